// SPDX-License-Identifier: MIT
/* Who runs where: queues, switches, turns, waiting. The rules are in thread.h. */
#include <stdatomic.h>
#include "sched.h"

#define TURN_NS 5000000ul
#define IDLE_NS 500000000ul /* a CPU without work for so long has time for idle_work */
#define RETRY_NS 1000000ul /* when the world was stopped at the end of a turn */

static struct {
	_Atomic(unsigned long) lock;
	struct mw_list queue[MW_MAX_CPUS];
	unsigned int movable[MW_MAX_CPUS]; /* threads in the queue that are no boot threads */
	struct sleeper *sleepers; /* threads that wait for a time; the first that is due */
	arch_cpus_t idle; /* CPUs that sleep */
	uint64_t idle_from[MW_MAX_CPUS]; /* 0: idle_work was done since */
	void (*idle_work)(void);
	struct wait_queue poke[SCHED_POKES];
	_Atomic(unsigned long) poked; /* bits of these; not under the lock */
} sched;

/* ---- the lock ---- */

unsigned long sched_lock(void)
{
	unsigned long state = arch_irq_save();

	while (atomic_exchange_explicit(&sched.lock, 1, memory_order_acquire))
		arch_relax();
	return state;
}

static void unlock(void)
{
	atomic_store_explicit(&sched.lock, 0, memory_order_release);
}

void sched_unlock(unsigned long state)
{
	unlock();
	arch_irq_restore(state);
}

/* ---- run queues; the lock is held from here on ---- */

static void put(struct thread *thread, unsigned int cpu)
{
	thread->state = THREAD_READY;
	thread->cpu = cpu;
	mw_list_push_back(&sched.queue[cpu], &thread->run_link);
	sched.movable[cpu] += !thread->boot;
}

static struct thread *take(struct thread *thread)
{
	mw_list_remove(&thread->run_link);
	sched.movable[thread->cpu] -= !thread->boot;
	return thread;
}

/* There is always one: the boot thread, if no other. */
static struct thread *take_first(unsigned int cpu)
{
	return take(mw_container(sched.queue[cpu].next, struct thread, run_link));
}

/* A thread for a CPU without work, from the longest queue; NULL: nobody waits for a CPU. */
static struct thread *take_any(void)
{
	unsigned int from = 0;
	struct mw_list *it;

	for (unsigned int cpu = 1; cpu < arch_cpu_count(); cpu++)
		if (sched.movable[cpu] > sched.movable[from])
			from = cpu;
	mw_list_for_each (it, &sched.queue[from]) {
		struct thread *thread = mw_container(it, struct thread, run_link);

		if (!thread->boot)
			return take(thread);
	}
	return NULL;
}

/* Where a thread that can run again should: where it was, unless another CPU sleeps. */
static unsigned int place_for(const struct thread *thread)
{
	if (!sched.idle || (sched.idle >> thread->cpu & 1))
		return thread->cpu;
	return (unsigned int)__builtin_ctzl(sched.idle);
}

void sched_make_ready(struct thread *thread)
{
	unsigned int cpu = place_for(thread);

	put(thread, cpu);
	sched.idle &= ~((arch_cpus_t)1 << cpu);
	arch_ipi_reschedule(cpu);
}

/* ---- waiting ---- */

static void wake(struct thread *thread, bool timed_out)
{
	mw_list_remove(&thread->wait_link);
	if (thread->sleeper.due != UINT64_MAX)
		sleep_remove(&sched.sleepers, &thread->sleeper);
	thread->waiting = false;
	thread->timed_out = timed_out;
	if (thread->boot)
		arch_ipi_reschedule(thread->cpu);
	else
		sched_make_ready(thread);
}

void sched_wake_all(struct wait_queue *queue)
{
	while (!mw_list_empty(&queue->waiters))
		wake(mw_container(queue->waiters.next, struct thread, wait_link), false);
}

void sched_wake_first(struct wait_queue *queue)
{
	if (!mw_list_empty(&queue->waiters))
		wake(mw_container(queue->waiters.next, struct thread, wait_link), false);
}

/* Return: when the next one is due. */
static uint64_t wake_sleepers(uint64_t now)
{
	while (sched.sleepers && sched.sleepers->due <= now)
		wake(mw_container(sched.sleepers, struct thread, sleeper), true);
	return sched.sleepers ? sched.sleepers->due : UINT64_MAX;
}

/* ---- pokes: words that anybody may set, and that the next interrupt of the scheduler's sees ---- */

void sched_poke(unsigned int n)
{
	unsigned long state = arch_irq_save(), bit = 1ul << n;

	if (!(atomic_fetch_or_explicit(&sched.poked, bit, memory_order_release) & bit))
		arch_ipi_reschedule(arch_cpu_id());
	arch_irq_restore(state);
}

bool sched_wait_poke(unsigned int n, uint64_t deadline)
{
	return sched_wait(&sched.poke[n], deadline);
}

static void wake_poked(void)
{
	unsigned long poked = atomic_exchange_explicit(&sched.poked, 0, memory_order_acquire);

	for (; poked; poked &= poked - 1)
		sched_wake_all(&sched.poke[__builtin_ctzl(poked)]);
}

/* ---- switching ---- */

/* In the timer's interrupt: the switch itself is at the end of the outermost one. */
static void end_of_turn(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	arch_ipi_reschedule(arch_cpu_id());
}

/*
 * For who runs here, or is about to: an interrupt when the turn ends, if there is anybody else;
 * when the first sleeper is due; and when an idle CPU has time for idle_work. If that is due
 * already, idle() sees to it, which goes on after any interrupt; a further one would come before it
 * does, again and again.
 */
static void arm(const struct thread *thread, uint64_t now)
{
	uint64_t due = wake_sleepers(now), end = thread->began + TURN_NS;
	unsigned int cpu = arch_cpu_id();

	if (!mw_list_empty(&sched.queue[cpu]) && due > end)
		due = end;
	if (sched.idle_work && (sched.idle >> cpu & 1) && sched.idle_from[cpu] &&
	    sched.idle_from[cpu] + IDLE_NS > now && due > sched.idle_from[cpu] + IDLE_NS)
		due = sched.idle_from[cpu] + IDLE_NS;
	if (due != UINT64_MAX)
		arch_timer_oneshot(ARCH_TIMER_TURNS, due > now ? due - now : 1, end_of_turn, NULL);
}

static void switch_to(struct thread *next)
{
	struct thread *current = thread_current();
	uint64_t now = arch_now();

	next->state = THREAD_RUNNING;
	next->cpu = arch_cpu_id();
	current->ran_ns += now - current->began;
	next->began = now;
	arm(next, now);
	if (next == current)
		return;
	next->switches++;
	arch_set_local(next);
	arch_switch(&current->sp, next->sp);
}

static void give_turn(void)
{
	(void)wake_sleepers(arch_now());
	put(thread_current(), arch_cpu_id());
	switch_to(take_first(arch_cpu_id()));
}

/*
 * A thread that became ready behind the one that runs waits for its turn: who wakes others often would
 * take everybody's. Boot threads give way at once.
 */
static void look_at_turn(void)
{
	struct thread *current = thread_current();
	uint64_t now = arch_now();

	if (current->boot || now - current->began >= TURN_NS)
		give_turn();
	else
		arm(current, now);
}

static void on_reschedule(struct arch_regs *regs)
{
	(void)regs;
	(void)sched_lock();
	wake_poked();
	if (!stop_active())
		look_at_turn();
	else if (!mw_list_empty(&sched.queue[arch_cpu_id()]))
		arch_timer_oneshot(ARCH_TIMER_TURNS, RETRY_NS, end_of_turn, NULL);
	unlock();
}

void thread_take_reschedules(void)
{
	arch_on_reschedule(on_reschedule);
}

void thread_yield(void)
{
	unsigned long state = sched_lock();

	give_turn();
	sched_unlock(state);
}

static void run_mailbox(void)
{
	(void)arch_mailbox_run();
}

static void run_unlocked(void (*fn)(void))
{
	struct thread *current = thread_current();
	bool idle = current->idle;

	current->idle = false;
	sched_unlock(ARCH_IRQ_ON);
	fn();
	(void)sched_lock();
	current->idle = idle;
}

/*
 * What a boot thread does while it waits, or for ever: work of others first, then this CPU's mailbox,
 * then sleep, until any interrupt. The lock is held and given back meanwhile.
 */
static void idle(void)
{
	unsigned int cpu = arch_cpu_id();
	arch_cpus_t mine = (arch_cpus_t)1 << cpu;
	struct thread *other;
	uint64_t now = arch_now();

	wake_poked();
	(void)wake_sleepers(now);
	other = sched.movable[cpu] ? take_first(cpu) : take_any();
	if (other) {
		put(thread_current(), cpu);
		switch_to(other);
		sched.idle_from[cpu] = arch_now();
	} else if (arch_mailbox_waiting()) {
		run_unlocked(run_mailbox);
		sched.idle_from[cpu] = arch_now();
	} else if (sched.idle_work && sched.idle_from[cpu] && now >= sched.idle_from[cpu] + IDLE_NS) {
		sched.idle_from[cpu] = 0;
		run_unlocked(sched.idle_work);
	} else {
		sched.idle |= mine;
		arm(thread_current(), now);
		unlock();
		/* What ran here long ago left pointers in registers that nobody saves: no roots. */
		arch_forget_registers();
		arch_idle();
		(void)sched_lock();
		sched.idle &= ~mine;
	}
}

bool sched_wait(struct wait_queue *queue, uint64_t deadline)
{
	struct thread *current = thread_current();

	current->waiting = true;
	current->sleeper.due = deadline;
	if (deadline != UINT64_MAX)
		sleep_insert(&sched.sleepers, &current->sleeper);
	if (queue)
		mw_list_push_back(&queue->waiters, &current->wait_link);
	if (!current->boot) {
		current->state = THREAD_WAITING;
		switch_to(take_first(arch_cpu_id()));
	} else {
		sched.idle_from[current->cpu] = arch_now();
	}
	while (current->waiting)
		idle();
	return !current->timed_out;
}

_Noreturn void thread_idle_loop(void)
{
	(void)sched_lock();
	thread_current()->idle = true;
	for (;;)
		idle();
}

void sched_on_idle(void (*fn)(void))
{
	unsigned long state = sched_lock();

	sched.idle_work = fn;
	sched_unlock(state);
}

/* ---- beginning and end ---- */

void sched_init(void)
{
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++)
		mw_list_init(&sched.queue[cpu]);
	for (unsigned int n = 0; n < SCHED_POKES; n++)
		mw_list_init(&sched.poke[n].waiters);
	thread_take_reschedules();
}

_Noreturn void sched_leave(void)
{
	thread_current()->state = THREAD_DEAD;
	switch_to(take_first(arch_cpu_id()));
	arch_panic("a dead thread runs");
}
