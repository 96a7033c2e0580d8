/* SPDX-License-Identifier: MIT */
/*
 * Threads: preemptive, on all CPUs, taking turns.
 *
 * Every CPU has a queue of threads that could run; one without work takes from the longest queue of
 * another. What a CPU booted on is a thread too (its boot thread), which stays there: the monitor on
 * CPU 0, idle loops elsewhere. It is always running or in its CPU's queue, also while it waits for
 * something: so there is always somebody to switch to. One lock guards all of it and is held across a
 * switch: the thread that comes gives it back, so nobody sees one whose registers are half saved.
 *
 *	created → READY ⇄ RUNNING → DEAD → joined
 *	            ↑        ↓
 *	            └─ WAITING
 *
 * The scheduler never calls Marrow with its lock held, so Marrow may wake a thread at any time.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include "kernel.h"
#include "../mm/base/list.h"
#include "sleep.h"

struct landing;

#define THREAD_STACK_ORDER 2
#define THREAD_STACK_SIZE (MW_PAGE_SIZE << THREAD_STACK_ORDER)

enum thread_state {
	THREAD_READY, /* in a run queue */
	THREAD_RUNNING,
	THREAD_WAITING, /* never a boot thread */
	THREAD_DEAD, /* its stack is not used any more */
};

/* Waiters for something that the scheduler's lock guards. */
struct wait_queue {
	struct mw_list waiters;
};

struct thread {
	uintptr_t sp; /* while it does not run: all that is live is above */
	struct landing *landing; /* landing.c; this thread's alone */
	/* The rest is guarded by the scheduler's lock. */
	struct mw_list all;
	struct mw_list run_link, wait_link; /* alone if they are in no queue */
	struct wait_queue joiners;
	enum thread_state state;
	unsigned int cpu; /* where it runs, or ran last, or is queued */
	bool waiting; /* for wait_link's queue to be woken, or for its time */
	bool timed_out; /* the last wait ended by its time */
	bool idle; /* it does nothing for anybody: what is on its stack, or in its registers, is no root */
	struct sleeper sleeper; /* due UINT64_MAX: it waits for no time */
	unsigned long switches; /* how often it began to run */
	uint64_t began, ran_ns; /* when it did so last; how long it ran in all turns before */
	/* These never change. */
	bool boot; /* stays on its CPU */
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	char *stack, *stack_end; /* what is below @stack faults */
	void *pages; /* the same memory, as it was allocated */
};

#define WAIT_QUEUE(name) struct wait_queue name = { { &(name).waiters, &(name).waiters } }

void thread_init(void); /* on CPU 0; irq: off */
void thread_init_cpu(void); /* on each other one; waits for CPU 0 */
void thread_take_reschedules(void); /* arch's hook is ours, again */
struct thread *thread_current(void);

/* The heap is open. NULL: no memory. irq: on. */
struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg);
void thread_join(struct thread *thread); /* waits for its end and frees it; irq: on */
_Noreturn void thread_exit(void); /* the same as returning from its function */
void thread_yield(void);
void thread_sleep(uint64_t ns);
_Noreturn void thread_idle_loop(void); /* of a boot thread */

/* irq: any; interrupts are off in between. */
unsigned long sched_lock(void);
void sched_unlock(unsigned long state);
/*
 * With the lock held, which is given back meanwhile: until woken, or @deadline (UINT64_MAX: none).
 * Return: false if it was the deadline. The condition that is waited for must be looked at again.
 */
bool sched_wait(struct wait_queue *queue, uint64_t deadline);
void sched_wake_all(struct wait_queue *queue);
void sched_wake_first(struct wait_queue *queue);

/*
 * Waking without the lock, for callers that may hold any other one, Marrow's for instance: sets a
 * word and interrupts this CPU, which wakes all waiters with @n when its interrupts are on again.
 * Waiters look at their condition with the lock held; who pokes makes it true first. irq: any.
 */
#define SCHED_POKES 8
void sched_poke(unsigned int n);
bool sched_wait_poke(unsigned int n, uint64_t deadline); /* as sched_wait() */

/*
 * What a CPU does, once, after it had no work for half a second; on its boot thread, interrupts on. NULL:
 * nothing. It may still run on a CPU when this returns.
 */
void sched_on_idle(void (*fn)(void));

/* Call @fn for every thread, lock held; the world may be stopped. */
void thread_for_each(void (*fn)(const struct thread *thread, void *arg), void *arg);

/* A lock that waits. */
struct mutex {
	struct thread *owner;
	struct wait_queue waiters;
};

#define MUTEX(name)                                                                                \
	struct mutex name = { NULL, { { &(name).waiters.waiters, &(name).waiters.waiters } } }

static inline void wait_queue_init(struct wait_queue *queue)
{
	mw_list_init(&queue->waiters);
}

static inline void mutex_init(struct mutex *mutex)
{
	mutex->owner = NULL;
	wait_queue_init(&mutex->waiters);
}

void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

#endif
