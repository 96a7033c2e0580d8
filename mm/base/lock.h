/* SPDX-License-Identifier: MIT */
/*
 * Spin locks, taken pinned, in the order of their ranks.
 *
 * The order is executable: with MW_DEBUG >= 1 taking a lock asserts that this CPU holds none of the
 * same or a later rank, and giving it back that it held it. No lock is held across a port call
 * that may wait.
 */
#ifndef MW_BASE_LOCK_H
#define MW_BASE_LOCK_H

#include "assert.h"
#include "level.h"

enum mw_rank {
	MW_RANK_REGISTRY, /* lists of caches, shrinkers, roots, types */
	MW_RANK_CENTRAL, /* a cache's central list */
	MW_RANK_STOCK, /* a CPU's stock of pages */
	MW_RANK_HEAP, /* free runs of the page heap */
	MW_RANK_META, /* a fixed-size allocator */
	MW_RANK_PERSIST, /* the persistent allocator and the regions' frontiers */
	MW_RANK_RECORDS, /* a span's special records: takes META's locks before, not inside */
	MW_RANK_LEAF, /* nothing inside: trace rings, profile buckets */
	MW_NR_RANKS,
};

struct mw_lock {
	_Atomic(unsigned int) word; /* 0 free, 1 taken */
	unsigned char rank;
};

/* Ranks are looked at with MW_DEBUG >= 1 only. Without, all is 0, so that what it stands in is in bss. */
#define MW_LOCK_INIT(r)                                                                            \
	{                                                                                          \
		0, MW_DEBUG >= 1 ? (r) : 0                                                         \
	}

#if MW_DEBUG >= 1
void mw_rank_push(const struct mw_lock *lock);
void mw_rank_pop(const struct mw_lock *lock);
#else
static inline void mw_rank_push(const struct mw_lock *lock)
{
	(void)lock;
}

static inline void mw_rank_pop(const struct mw_lock *lock)
{
	(void)lock;
}
#endif

static inline void mw_lock_init(struct mw_lock *lock, enum mw_rank rank)
{
	atomic_init(&lock->word, 0);
	lock->rank = (unsigned char)rank;
}

/* The caller is pinned and stays so until after mw_unlock_pinned(). */
static inline bool mw_trylock_pinned(struct mw_lock *lock)
{
	if (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire))
		return false;
	mw_rank_push(lock);
	return true;
}

MW_NOINLINE void mw_lock_wait(struct mw_lock *lock);

static inline void mw_lock_pinned(struct mw_lock *lock)
{
	if (mw_unlikely(atomic_exchange_explicit(&lock->word, 1, memory_order_acquire)))
		mw_lock_wait(lock);
	mw_rank_push(lock);
}

static inline void mw_unlock_pinned(struct mw_lock *lock)
{
	mw_rank_pop(lock);
	atomic_store_explicit(&lock->word, 0, memory_order_release);
}

/* Return: for mw_unlock(). */
static inline unsigned long mw_lock(struct mw_lock *lock)
{
	unsigned long state = mw_port_pin();

	mw_lock_pinned(lock);
	return state;
}

static inline void mw_unlock(struct mw_lock *lock, unsigned long state)
{
	mw_unlock_pinned(lock);
	mw_port_unpin(state);
}

static inline bool mw_lock_held(const struct mw_lock *lock)
{
	return atomic_load_explicit(&((struct mw_lock *)lock)->word, memory_order_relaxed);
}

#endif
