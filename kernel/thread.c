// SPDX-License-Identifier: MIT
/* Who runs where: queues, switches, turns, waiting. The rules are in thread.h. */
#include <stdatomic.h>
#include "thread.h"

#define TURN_NS 5000000ul
#define RETRY_NS 1000000ul /* when the world was stopped at the end of a turn */

static struct {
	_Atomic(unsigned long) lock;
	atomic_bool ready; /* set up by CPU 0 */
	struct mw_list all;
	struct mw_list queue[MW_MAX_CPUS];
	unsigned int movable[MW_MAX_CPUS]; /* threads in the queue that are no boot threads */
	unsigned int sleepers; /* threads that wait for a time */
	arch_cpus_t idle; /* CPUs that sleep */
} sched;

static struct thread boot_threads[MW_MAX_CPUS];

struct thread *thread_current(void)
{
	return arch_local();
}

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

static void make_ready(struct thread *thread)
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
	sched.sleepers -= thread->wake_at != UINT64_MAX;
	thread->waiting = false;
	thread->timed_out = timed_out;
	if (thread->boot)
		arch_ipi_reschedule(thread->cpu);
	else
		make_ready(thread);
}

void sched_wake_all(struct wait_queue *queue)
{
	while (!mw_list_empty(&queue->waiters))
		wake(mw_container(queue->waiters.next, struct thread, wait_link), false);
}

/* Return: when the next one is due. The price of a turn grows with all threads while one sleeps. */
static uint64_t wake_sleepers(uint64_t now)
{
	uint64_t next = UINT64_MAX;
	struct mw_list *it;

	if (!sched.sleepers)
		return next;
	mw_list_for_each (it, &sched.all) {
		struct thread *thread = mw_container(it, struct thread, all);

		if (!thread->waiting)
			continue;
		if (thread->wake_at <= now)
			wake(thread, true);
		else if (thread->wake_at < next)
			next = thread->wake_at;
	}
	return next;
}

/* ---- switching ---- */

/* In the timer's interrupt: the switch itself is at the end of the outermost one. */
static void end_of_turn(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	arch_ipi_reschedule(arch_cpu_id());
}

/* An interrupt when the turn ends, if there is anybody else; and when the first sleeper is due. */
static void arm(unsigned int cpu)
{
	uint64_t now = arch_now(), due = wake_sleepers(now);

	if (!mw_list_empty(&sched.queue[cpu]) && due > now + TURN_NS)
		due = now + TURN_NS;
	if (due != UINT64_MAX)
		arch_timer_oneshot(due - now, end_of_turn, NULL);
}

static void switch_to(struct thread *next)
{
	struct thread *current = thread_current();

	next->state = THREAD_RUNNING;
	next->cpu = arch_cpu_id();
	arm(next->cpu);
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

static void on_reschedule(struct arch_regs *regs)
{
	(void)regs;
	(void)sched_lock();
	if (!stop_active())
		give_turn();
	else if (!mw_list_empty(&sched.queue[arch_cpu_id()]))
		arch_timer_oneshot(RETRY_NS, end_of_turn, NULL);
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

/*
 * What a boot thread does while it waits, or for ever: work of others first, then this CPU's mailbox,
 * then sleep, until any interrupt. The lock is held and given back meanwhile.
 */
static void idle(void)
{
	unsigned int cpu = arch_cpu_id();
	arch_cpus_t mine = (arch_cpus_t)1 << cpu;
	struct thread *other;

	(void)wake_sleepers(arch_now());
	other = sched.movable[cpu] ? take_first(cpu) : take_any();
	if (other) {
		put(thread_current(), cpu);
		switch_to(other);
	} else if (arch_mailbox_waiting()) {
		sched_unlock(ARCH_RFLAGS_IF);
		(void)arch_mailbox_run();
		(void)sched_lock();
	} else {
		sched.idle |= mine;
		arm(cpu);
		unlock();
		/* What ran here long ago left pointers in registers that nobody saves: no roots. */
		__asm__ volatile("xor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\t"
				 "xor %%r10d, %%r10d\n\txor %%r11d, %%r11d"
				 :
				 :
				 : "r8", "r9", "r10", "r11", "cc");
		arch_idle();
		(void)sched_lock();
		sched.idle &= ~mine;
	}
}

bool sched_wait(struct wait_queue *queue, uint64_t deadline)
{
	struct thread *current = thread_current();

	current->waiting = true;
	current->wake_at = deadline;
	sched.sleepers += deadline != UINT64_MAX;
	if (queue)
		mw_list_push_back(&queue->waiters, &current->wait_link);
	if (!current->boot) {
		current->state = THREAD_WAITING;
		switch_to(take_first(arch_cpu_id()));
	}
	while (current->waiting)
		idle();
	return !current->timed_out;
}

_Noreturn void thread_idle_loop(void)
{
	(void)sched_lock();
	for (;;)
		idle();
}

/* ---- beginning and end ---- */

static void thread_begin(struct thread *thread)
{
	mw_list_init(&thread->run_link);
	mw_list_init(&thread->wait_link);
	mw_list_init(&thread->joiners.waiters);
	mw_list_push_back(&sched.all, &thread->all);
}

void thread_init(void)
{
	mw_list_init(&sched.all);
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++)
		mw_list_init(&sched.queue[cpu]);
	thread_take_reschedules();
	thread_init_cpu();
	atomic_store_explicit(&sched.ready, true, memory_order_release);
}

void thread_init_cpu(void)
{
	unsigned int cpu = arch_cpu_id();
	struct thread *thread = &boot_threads[cpu];
	void *lo, *hi;

	while (cpu && !atomic_load_explicit(&sched.ready, memory_order_acquire))
		arch_relax();
	(void)sched_lock();
	(void)arch_cpu_stack(cpu, 0, &lo, &hi);
	*thread = (struct thread){ .name = cpu ? "idle" : "monitor",
				   .boot = true,
				   .cpu = cpu,
				   .state = THREAD_RUNNING,
				   .stack = lo,
				   .stack_end = hi };
	thread_begin(thread);
	arch_set_local(thread);
	unlock();
}

/* The first switch to a thread ends here, with the lock. */
static void thread_main(void *arg)
{
	struct thread *thread = arg;

	sched_unlock(ARCH_RFLAGS_IF);
	thread->fn(thread->arg);
	thread_exit();
}

_Noreturn void thread_exit(void)
{
	struct thread *current = thread_current();

	(void)sched_lock();
	current->state = THREAD_DEAD;
	mw_list_remove(&current->all);
	sched_wake_all(&current->joiners);
	switch_to(take_first(arch_cpu_id()));
	arch_panic("a dead thread runs");
}

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
	struct thread *thread = mw_alloc(sizeof(*thread), MW_ZERO | MW_POINTERS);
	char *stack = mw_pages_alloc(1 + THREAD_STACK_PAGES, MW_NORMAL);
	unsigned long state;

	if (!thread || !stack || !mw_port_protect(stack, MW_PAGE_SIZE, true)) {
		mw_pages_free(stack, 1 + THREAD_STACK_PAGES);
		mw_free(thread);
		return NULL;
	}
	*thread = (struct thread){ .name = name,
				   .fn = fn,
				   .arg = arg,
				   .stack = stack + MW_PAGE_SIZE,
				   .stack_end = stack + (1 + THREAD_STACK_PAGES) * MW_PAGE_SIZE };
	thread->sp = arch_stack_init(thread->stack_end, thread_main, thread);
	state = sched_lock();
	thread_begin(thread);
	thread->cpu = arch_cpu_id();
	make_ready(thread);
	sched_unlock(state);
	return thread;
}

void thread_join(struct thread *thread)
{
	unsigned long state = sched_lock();
	char *pages = thread->stack - MW_PAGE_SIZE;

	while (thread->state != THREAD_DEAD)
		(void)sched_wait(&thread->joiners, UINT64_MAX);
	sched_unlock(state);
	if (!mw_port_protect(pages, MW_PAGE_SIZE, false))
		mw_port_panic("the guard page of a stack is lost");
	mw_pages_free(pages, 1 + THREAD_STACK_PAGES);
	mw_free(thread);
}

void thread_sleep(uint64_t ns)
{
	unsigned long state = sched_lock();

	(void)sched_wait(NULL, arch_now() + ns);
	sched_unlock(state);
}

void thread_for_each(void (*fn)(const struct thread *thread, void *arg), void *arg)
{
	struct mw_list *it;

	mw_list_for_each (it, &sched.all)
		fn(mw_container(it, struct thread, all), arg);
}

/* ---- a lock that waits ---- */

void mutex_lock(struct mutex *mutex)
{
	unsigned long state = sched_lock();

	while (mutex->owner)
		(void)sched_wait(&mutex->waiters, UINT64_MAX);
	mutex->owner = thread_current();
	sched_unlock(state);
}

void mutex_unlock(struct mutex *mutex)
{
	unsigned long state = sched_lock();

	mutex->owner = NULL;
	if (!mw_list_empty(&mutex->waiters.waiters))
		wake(mw_container(mutex->waiters.waiters.next, struct thread, wait_link), false);
	sched_unlock(state);
}
