// SPDX-License-Identifier: MIT
/* Threads begin and end; those that CPUs booted on; the lock that waits. The rules are in thread.h. */
#include <stdatomic.h>
#include "sched.h"

static struct mw_list all; /* guarded by the scheduler's lock */
static atomic_bool ready; /* set up by CPU 0 */
static struct thread boot_threads[MW_MAX_CPUS];

struct thread *thread_current(void)
{
	return arch_local();
}

static void thread_begin(struct thread *thread)
{
	mw_list_init(&thread->run_link);
	mw_list_init(&thread->wait_link);
	mw_list_init(&thread->joiners.waiters);
	mw_list_push_back(&all, &thread->all);
}

void thread_init(void)
{
	mw_list_init(&all);
	sched_init();
	thread_init_cpu();
	atomic_store_explicit(&ready, true, memory_order_release);
}

void thread_init_cpu(void)
{
	unsigned int cpu = arch_cpu_id();
	struct thread *thread = &boot_threads[cpu];
	void *lo, *hi;

	while (cpu && !atomic_load_explicit(&ready, memory_order_acquire))
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
	sched_unlock(0);
}

/* The first switch to a thread ends here, with the lock. */
static void thread_main(void *arg)
{
	struct thread *thread = arg;

	sched_unlock(ARCH_IRQ_ON);
	thread->fn(thread->arg);
	thread_exit();
}

_Noreturn void thread_exit(void)
{
	struct thread *current = thread_current();

	(void)sched_lock();
	mw_list_remove(&current->all);
	sched_wake_all(&current->joiners);
	sched_leave();
}

/* Return: false if there is no memory for it, or no place to map it. */
static bool stack_make(struct thread *thread)
{
	thread->pages = mw_stack_alloc(THREAD_STACK_ORDER, MW_NORMAL);
	if (!thread->pages)
		return false;
	thread->stack = arch_stack_map(thread->pages, THREAD_STACK_SIZE);
	thread->stack_end = thread->stack + THREAD_STACK_SIZE;
	if (!thread->stack)
		mw_stack_free(thread->pages, THREAD_STACK_ORDER);
	else if (shadow_forget)
		shadow_forget(thread->stack, THREAD_STACK_SIZE);
	return thread->stack;
}

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
	struct thread *thread = mw_alloc(sizeof(*thread), MW_ZERO | MW_POINTERS);
	unsigned long state;

	if (!thread)
		return NULL;
	*thread = (struct thread){ .name = name, .fn = fn, .arg = arg };
	if (!stack_make(thread)) {
		mw_free(thread);
		return NULL;
	}
	thread->sp = arch_stack_init(thread->stack_end, thread_main, thread);
	state = sched_lock();
	thread_begin(thread);
	thread->cpu = arch_cpu_id();
	sched_make_ready(thread);
	sched_unlock(state);
	return thread;
}

void thread_join(struct thread *thread)
{
	unsigned long state = sched_lock();

	while (thread->state != THREAD_DEAD)
		(void)sched_wait(&thread->joiners, UINT64_MAX);
	sched_unlock(state);
	arch_stack_unmap(thread->stack, THREAD_STACK_SIZE);
	mw_stack_free(thread->pages, THREAD_STACK_ORDER);
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

	mw_list_for_each (it, &all)
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
	sched_wake_first(&mutex->waiters);
	sched_unlock(state);
}
