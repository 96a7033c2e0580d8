// SPDX-License-Identifier: MIT
/* The slow halves of lock.h: waiting, and the order of ranks made executable. */
#include "lock.h"
#include "state.h"

MW_NOINLINE void mw_lock_wait(struct mw_lock *lock)
{
	do {
		/* Reading keeps the line shared until there is something to win. */
		while (atomic_load_explicit(&lock->word, memory_order_relaxed))
			mw_port_relax();
	} while (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire));
}

#if MW_DEBUG >= 1
/*
 * A CPU's mask is written by that CPU alone, pinned; it is atomic only because hosted ports hand
 * the number of an ended thread to another one.
 */
void mw_rank_push(const struct mw_lock *lock)
{
	mw_atomic_t *held = &mw_base.held[mw_port_cpu()];
	unsigned long ranks = atomic_load_explicit(held, memory_order_relaxed);

	MW_ASSERT(mw_port_pinned());
	MW_ASSERT(lock->rank < MW_NR_RANKS);
	MW_ASSERT(!(ranks >> lock->rank)); /* none of this rank or behind it is held */
	atomic_store_explicit(held, ranks | 1ul << lock->rank, memory_order_relaxed);
}

void mw_rank_pop(const struct mw_lock *lock)
{
	mw_atomic_t *held = &mw_base.held[mw_port_cpu()];
	unsigned long ranks = atomic_load_explicit(held, memory_order_relaxed);

	MW_ASSERT(mw_lock_held(lock));
	MW_ASSERT(ranks >> lock->rank & 1); /* it was taken by this CPU */
	atomic_store_explicit(held, ranks & ~(1ul << lock->rank), memory_order_relaxed);
}
#endif
