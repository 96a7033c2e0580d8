// SPDX-License-Identifier: MIT
/*
 * Threads, and what happens to them.
 *
 * A thread gets a slot at its first allocation and gives it back, emptied, when it ends. Slot 0 is
 * never used, slot 1 is for all who have none of their own: threads beyond MW_MAX_CPUS - 2, and
 * what threads still do after their slot is gone. They borrow it under a lock, one call at a time.
 *
 * A fork copies one thread only. All locks are taken before and given back after it, so none of
 * them stays closed in the child. The slots of the threads that are not there in the child may have been
 * caught in the middle of anything: they are never used again there, and what they hold is lost to it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <marrow/port.h>
#include "preload.h"
#include "../mm/base/hold.h"
#include "../mm/object/object.h"

#define SHARED_SLOT 1u
#define SLOT_WORDS (MW_MAX_CPUS / MW_WORD_BITS)

__thread struct preload_self preload_self = { .cpu = &mw_cpu_none };
/* This thread's destructor has run: no slot of its own any more. */
static __thread bool ended __attribute__((tls_model("initial-exec")));

static struct {
	struct preload_lock lock; /* guards used */
	unsigned long used[SLOT_WORDS];
	struct preload_lock shared; /* of SHARED_SLOT */
	atomic_bool started;
	bool have_key;
	pthread_key_t key;
} slots = { .used = { 3 } };

void preload_lock(struct preload_lock *lock)
{
	while (atomic_exchange_explicit(&lock->taken, true, memory_order_acquire))
		preload_yield();
}

void preload_unlock(struct preload_lock *lock)
{
	atomic_store_explicit(&lock->taken, false, memory_order_release);
}

/* Return: 0 if all are taken. */
static unsigned int take_slot(void)
{
	unsigned int slot = 0;

	preload_lock(&slots.lock);
	for (unsigned int w = 0; w < SLOT_WORDS && !slot; w++) {
		if (~slots.used[w]) {
			unsigned int bit = mw_lowest_bit(~slots.used[w]);

			slots.used[w] |= 1ul << bit;
			slot = w * MW_WORD_BITS + bit;
		}
	}
	preload_unlock(&slots.lock);
	return slot;
}

static void give_slot(unsigned int slot)
{
	preload_lock(&slots.lock);
	slots.used[slot / MW_WORD_BITS] &= ~(1ul << slot % MW_WORD_BITS);
	preload_unlock(&slots.lock);
}

static void start(void)
{
	preload_lock(&slots.lock);
	if (!atomic_load_explicit(&slots.started, memory_order_relaxed)) {
		preload_heap_start();
		atomic_store_explicit(&slots.started, true, memory_order_release);
	}
	preload_unlock(&slots.lock);
}

/* Return: false: the slot cannot be used, there is no memory for it. */
static bool become(unsigned int slot)
{
	preload_self.slot = slot;
	if (!slot || !mw_cpu_start())
		return false;
	preload_self.cpu = atomic_load_explicit(&mw_cpus[slot], memory_order_relaxed);
	return true;
}

static void become_nobody(void)
{
	preload_self.cpu = &mw_cpu_none;
	preload_self.slot = 0;
}

MW_NOINLINE bool preload_begin(void)
{
	unsigned int slot;

	if (mw_likely(preload_self.slot))
		return false;
	if (!atomic_load_explicit(&slots.started, memory_order_acquire))
		start();
	slot = ended ? 0 : take_slot();
	if (become(slot)) {
		/* May allocate, which it can by now. */
		if (slots.have_key)
			pthread_setspecific(slots.key, &slots);
		return false;
	}
	if (slot)
		give_slot(slot);
	preload_lock(&slots.shared);
	/* Without memory even for this one, allocations fail and frees go the way of other CPUs. */
	(void)become(SHARED_SLOT);
	return true;
}

void preload_end(bool borrowed)
{
	if (borrowed) {
		become_nobody();
		preload_unlock(&slots.shared);
	}
}

/*
 * The end of a thread. Other keys' destructors come in any order and may allocate: they are
 * let pass first, by asking for another round.
 */
static void thread_ends(void *round)
{
	unsigned int slot = preload_self.slot;

	if (round == &slots) {
		pthread_setspecific(slots.key, &slots.key);
		return;
	}
	ended = true;
	if (!slot)
		return;
	mw_cpu_stop();
	become_nobody();
	give_slot(slot);
}

/* In the order in which they nest. */
static void before_fork(void)
{
	preload_lock(&slots.shared);
	preload_lock(&slots.lock);
	preload_lock(&preload_heap_lock);
	mw_hold_all();
}

static void after_fork(void)
{
	mw_unhold_all();
	preload_unlock(&preload_heap_lock);
	preload_unlock(&slots.lock);
	preload_unlock(&slots.shared);
}

/* A thread that is not there in the child does not look at any span any more. */
static void after_fork_in_child(void)
{
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		if (mw_freers[i].span)
			atomic_store_explicit(&mw_freers[i].span, MW_FREER_IDLE,
					      memory_order_relaxed);
	}
	after_fork();
}

/* Allocations come before this, from the dynamic linker; there are no other threads yet then. */
static __attribute__((constructor)) void set_up(void)
{
	preload_end(preload_begin());
	if (!pthread_key_create(&slots.key, thread_ends)) {
		slots.have_key = true;
		pthread_setspecific(slots.key, &slots);
	}
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}
