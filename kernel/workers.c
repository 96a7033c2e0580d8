// SPDX-License-Identifier: MIT
/*
 * The threads that Marrow would like to have: one collects when the heap has reached its goal, one
 * sweeps in the background and then scavenges, one runs finalizers and cleanups.
 *
 * mw_port_wake() may be called with any of Marrow's locks held and in interrupts. It sets two words and
 * interrupts its own CPU: where a lock is held, interrupts are off until it is given back. The
 * scheduler's lock is taken in that interrupt, and never across a call into Marrow.
 */
#include <stdatomic.h>
#include <marrow/gc.h>
#include "kernel.h"
#include "thread.h"

#define BUDGET_NS 2000000ul /* after so long another thread has its turn */
#define BACK_OFF_NS 1000000ul /* before it looks again, where it could do nothing yet */
#define SCAVENGE_EVERY_NS 1000000000ul
#define SCAVENGE_AGE_NS 2000000000ul

/* There is none where the collector was left out. */
__attribute__((weak)) bool mw_worker_run(enum mw_worker worker, uint64_t budget_ns);

static struct worker {
	const char *name;
	struct thread *thread;
	atomic_bool wanted;
	_Atomic(unsigned long) wakes, runs, turns;
} workers[MW_NR_WORKERS] = {
	[MW_WORKER_COLLECT] = { .name = "collect" },
	[MW_WORKER_SWEEP] = { .name = "sweep" },
	[MW_WORKER_FINALIZE] = { .name = "finalize" },
};

static atomic_bool ending = true;
static atomic_uint idle_cpus; /* in give_up_idle() */

void mw_port_wake(enum mw_worker kind)
{
	struct worker *worker = &workers[kind];

	atomic_fetch_add_explicit(&worker->wakes, 1, memory_order_relaxed);
	if (!atomic_exchange_explicit(&worker->wanted, true, memory_order_acq_rel))
		sched_poke(kind);
}

static bool is_ending(void)
{
	return atomic_load(&ending);
}

static void scavenge(void)
{
	if (arch_report_present())
		(void)mw_scavenge(SCAVENGE_AGE_NS, SIZE_MAX);
}

/* A CPU without work: nobody else can give back what it keeps for its next allocations. */
static void give_up_idle(void)
{
	atomic_fetch_add(&idle_cpus, 1);
	if (!is_ending())
		scavenge();
	atomic_fetch_sub(&idle_cpus, 1);
}

/* Until there is work, or, for the sweeper, it is time to look for idle pages. */
static void wait_for_work(struct worker *worker, uint64_t deadline)
{
	unsigned long state = sched_lock();

	while (!is_ending() && !atomic_exchange_explicit(&worker->wanted, false, memory_order_acq_rel))
		if (!sched_wait_poke((unsigned int)(worker - workers), deadline))
			break;
	sched_unlock(state);
}

/* Returns whether there is more to do. */
static bool take_turn(struct worker *worker)
{
	atomic_fetch_add_explicit(&worker->turns, 1, memory_order_relaxed);
	return mw_worker_run && mw_worker_run((enum mw_worker)(worker - workers), BUDGET_NS);
}

static void work(struct worker *worker)
{
	uint64_t begin = arch_now();

	atomic_fetch_add_explicit(&worker->runs, 1, memory_order_relaxed);
	while (take_turn(worker) && !is_ending()) {
		/* Yields of who waits for another one to collect would only move it from CPU to CPU. */
		if (arch_now() - begin < BUDGET_NS)
			thread_sleep(BACK_OFF_NS);
		else
			thread_yield();
		begin = arch_now();
	}
}

static void run(void *arg)
{
	struct worker *worker = arg;
	bool sweeps = worker == &workers[MW_WORKER_SWEEP];
	uint64_t next = arch_now() + SCAVENGE_EVERY_NS;

	while (!is_ending()) {
		wait_for_work(worker, sweeps ? next : UINT64_MAX);
		if (is_ending())
			break;
		work(worker);
		if (!sweeps || arch_now() < next)
			continue;
		scavenge();
		next = arch_now() + SCAVENGE_EVERY_NS;
	}
}

bool workers_start(void)
{
	atomic_store(&ending, false);
	for (unsigned int i = 0; i < MW_NR_WORKERS; i++) {
		struct worker *worker = &workers[i];

		if (worker->thread)
			continue;
		worker->thread = thread_create(worker->name, run, worker);
		if (!worker->thread) {
			workers_stop();
			return false;
		}
	}
	if (arch_report_present())
		sched_on_idle(give_up_idle);
	return true;
}

void workers_stop(void)
{
	atomic_store(&ending, true);
	sched_on_idle(NULL);
	while (atomic_load(&idle_cpus))
		arch_relax();
	for (unsigned int i = 0; i < MW_NR_WORKERS; i++) {
		struct worker *worker = &workers[i];

		sched_poke(i);
		if (worker->thread)
			thread_join(worker->thread);
		worker->thread = NULL;
		atomic_store(&worker->wanted, false);
	}
}

bool worker_runs_here(void)
{
	const struct thread *current = thread_current();

	for (unsigned int i = 0; i < MW_NR_WORKERS; i++)
		if (workers[i].thread == current)
			return true;
	return false;
}

void worker_counts(unsigned int i, struct worker_counts *counts)
{
	counts->wakes = atomic_load_explicit(&workers[i].wakes, memory_order_relaxed);
	counts->runs = atomic_load_explicit(&workers[i].runs, memory_order_relaxed);
	counts->turns = atomic_load_explicit(&workers[i].turns, memory_order_relaxed);
	counts->ns = workers[i].thread ? workers[i].thread->ran_ns : 0;
}
