// SPDX-License-Identifier: MIT
/*
 * The world stands still: the level 2 part of the port that is about other CPUs.
 *
 * The stopper becomes the owner, gives the stop a number, and posts a call to each other CPU. The
 * call is an interrupt, so a pinned CPU answers when it unpins. The CPU writes down its registers,
 * answers with the number, and stays in its handler for as long as this stop is requested.
 *
 *	stop.owner      0, or CPU + 1 of the stopper
 *	stop.request    0, or the number of the present stop; numbers are never used again
 *	at[cpu].answer  the number of the stop that the CPU answered last
 *
 * Late or repeated calls find a number that is 0 or already answered: nothing is to be taken back.
 * Whoever waits to be the owner does so with interrupts on, and is stopped there.
 *
 * A stopped CPU has interrupts on: requests to flush its TLB reach it, and handlers may allocate, since each CPU
 * runs its own part of what is to be done there.
 */
#include <stdatomic.h>
#include <marrow/port.h>
#include "kernel.h"

#define SPINS 200 /* of a stopped CPU, before it sleeps */

static struct {
	_Atomic(unsigned long) owner, request;
	unsigned long last; /* the owner's: number of the last stop */
	_Atomic(uint64_t) limit_ns;
	struct stop_counts counts; /* the owner's */
	/* One function for all: number, then what to run, then how many are still at it. */
	_Atomic(unsigned long) job, left;
	void (*fn)(unsigned int worker, void *arg);
	void *arg;
} stop = { .limit_ns = STOP_LIMIT_NS };

static struct {
	_Alignas(64) _Atomic(unsigned long) answer;
	const struct arch_regs *regs; /* on the CPU's stack, while it is stopped */
	unsigned int depth; /* of be_stopped(): stops that it is in, or leaving */
	unsigned long job; /* the last one that it ran */
	struct arch_call call; /* the owner's */
} at[MW_MAX_CPUS];

bool stop_active(void)
{
	return atomic_load_explicit(&stop.owner, memory_order_relaxed);
}

void stop_set_limit(uint64_t ns)
{
	atomic_store_explicit(&stop.limit_ns, ns, memory_order_relaxed);
}

void stop_counts(struct stop_counts *counts)
{
	*counts = stop.counts;
}

const struct arch_regs *stop_regs(unsigned int cpu)
{
	return cpu + 1 == atomic_load_explicit(&stop.owner, memory_order_relaxed) ? NULL
										  : at[cpu].regs;
}

/* ---- on a CPU that is stopped ---- */

/* The caller is worker 0; the others have their order, without a hole at the caller's place. */
static unsigned int worker_of(unsigned int cpu)
{
	unsigned long owner = atomic_load_explicit(&stop.owner, memory_order_relaxed);

	return cpu + 1 < owner ? cpu + 1 : cpu;
}

static void run_job(unsigned int cpu)
{
	unsigned long job = atomic_load_explicit(&stop.job, memory_order_acquire);

	if (job == at[cpu].job)
		return;
	at[cpu].job = job;
	stop.fn(worker_of(cpu), stop.arg);
	atomic_fetch_sub_explicit(&stop.left, 1, memory_order_release);
}

/*
 * Wait for work or for the end of the stop: spinning at first, then asleep, which leaves the cores of
 * a host to whoever works. wake_others() interrupts the sleep.
 */
static void rest(unsigned int cpu, unsigned long number)
{
	for (unsigned int turns = 0;; turns++) {
		arch_irq_off();
		if (atomic_load_explicit(&stop.request, memory_order_acquire) != number ||
		    atomic_load_explicit(&stop.job, memory_order_acquire) != at[cpu].job)
			break;
		if (turns >= SPINS) {
			arch_idle();
		} else {
			arch_irq_on();
			arch_relax();
		}
	}
	arch_irq_on();
}

static void be_stopped(struct arch_regs *regs, void *arg)
{
	unsigned long number = atomic_load_explicit(&stop.request, memory_order_acquire);
	unsigned int cpu = arch_cpu_id();

	(void)arg;
	if (!number || atomic_load_explicit(&at[cpu].answer, memory_order_relaxed) == number)
		return;
	/* A stop that comes while the one before is being left: its marking is nobody's roots. */
	if (!at[cpu].depth++)
		at[cpu].regs = regs;
	at[cpu].job = atomic_load_explicit(&stop.job, memory_order_relaxed);
	atomic_store_explicit(&at[cpu].answer, number, memory_order_release);
	arch_irq_on();
	while (atomic_load_explicit(&stop.request, memory_order_acquire) == number) {
		run_job(cpu);
		rest(cpu, number);
	}
	arch_irq_off();
	at[cpu].depth--;
}

/* ---- on the stopper ---- */

static bool try_to_own(void)
{
	unsigned long free = 0;
	unsigned long state = arch_irq_save();
	bool mine =
		atomic_compare_exchange_strong_explicit(&stop.owner, &free, arch_cpu_id() + 1ul,
							memory_order_acquire, memory_order_relaxed);

	arch_irq_restore(state);
	return mine;
}

static void wake_others(void)
{
	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		if (arch_cpus_others() >> cpu & 1)
			arch_ipi_reschedule(cpu);
}

static void let_go(void)
{
	atomic_store_explicit(&stop.request, 0, memory_order_release);
	wake_others();
	atomic_store_explicit(&stop.owner, 0, memory_order_release);
}

/*
 * Post again and again: a CPU that is just leaving the stop before is still busy with the same call,
 * and answers only to one that is posted afterwards.
 */
static bool wait_for(unsigned int cpu, unsigned long number, uint64_t deadline)
{
	while (atomic_load_explicit(&at[cpu].answer, memory_order_acquire) != number) {
		(void)arch_call_post(cpu, &at[cpu].call, be_stopped, NULL);
		if (arch_now() > deadline)
			return false;
		arch_relax();
	}
	return true;
}

static int stop_others(arch_cpus_t others)
{
	uint64_t start = arch_now();
	uint64_t deadline = start + atomic_load_explicit(&stop.limit_ns, memory_order_relaxed);
	unsigned long number = ++stop.last;

	atomic_store_explicit(&stop.request, number, memory_order_release);
	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		if (others >> cpu & 1)
			(void)arch_call_post(cpu, &at[cpu].call, be_stopped, NULL);
	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		if (others >> cpu & 1 && !wait_for(cpu, number, deadline))
			return (int)cpu;
	if (arch_now() - start > stop.counts.longest_ns)
		stop.counts.longest_ns = arch_now() - start;
	stop.counts.stops++;
	return -1;
}

int mw_port_stop_world(void)
{
	int stuck;

	if (!arch_irq_enabled())
		mw_port_panic("stop of the world asked for with interrupts off");
	while (!try_to_own())
		arch_relax();
	stuck = stop_others(arch_cpus_others());
	if (stuck >= 0) {
		stop.counts.failures++;
		let_go();
	}
	return stuck;
}

void mw_port_start_world(void)
{
	let_go();
}

void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	stop.fn = fn;
	stop.arg = arg;
	atomic_store_explicit(&stop.left, arch_cpu_count() - 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&stop.job, 1, memory_order_release);
	wake_others();
	fn(0, arg);
	while (atomic_load_explicit(&stop.left, memory_order_acquire))
		arch_relax();
}
