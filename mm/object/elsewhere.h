/* SPDX-License-Identifier: MIT */
/*
 * mw_free_elsewhere(), inline: frees of what this CPU does not own, as usual as they may be. No call is
 * in it but the last thing that it does, so nothing is saved and restored; it leaves all that is not as
 * usual to others. See remote.c for what the steps are good for.
 */
#ifndef MW_OBJECT_ELSEWHERE_H
#define MW_OBJECT_ELSEWHERE_H

#include "kept.h"

/* Set the remote bit. Return: false: it was set before. */
static inline bool mw_remote_bit(struct mw_span *span, size_t index)
{
	mw_atomic_t *word = &span->remote[index / MW_WORD_BITS];
	unsigned long bit = 1ul << index % MW_WORD_BITS;

	return !(atomic_fetch_or_explicit(word, bit, memory_order_seq_cst) & bit);
}

/* A large object that nobody gives back meanwhile, with a bin: of no cache, and plain. */
static inline __attribute__((always_inline)) void mw_free_kept(struct mw_span *span, void *object,
							       struct mw_cache *cache,
							       unsigned long state, unsigned int here)
{
	struct mw_freer *freer = &mw_freers[here];

	if (mw_unlikely(cache || object != span->base || !mw_large_set_free(span))) {
		mw_freer_leave(freer);
		mw_free_otherwise(span, object, cache, state);
		return;
	}
	mw_freer_leave(freer);
	if (mw_likely(mw_stock_put(atomic_load_explicit(&mw_cpus[here], memory_order_relaxed), span)))
		mw_port_unpin(state);
	else
		mw_large_unkept(span, state);
}

/* Pinned, by @state, on the CPU @here; not any more when it returns. */
static inline __attribute__((always_inline)) void mw_free_outside(struct mw_span *span, void *object,
								  struct mw_cache *cache,
								  unsigned long state,
								  unsigned int here)
{
	struct mw_freer *freer = &mw_freers[here];
	unsigned int owner;
	size_t index;

	if (mw_unlikely(!atomic_exchange_explicit(&freer->span, span, memory_order_seq_cst))) {
		mw_free_first(span, object, cache, state);
		return;
	}
	owner = atomic_load_explicit(&span->owner, memory_order_seq_cst) &
		~(MW_OWNER_PENDING | MW_OWNER_FULL);
	if (mw_unlikely(owner >= MW_MAX_CPUS)) {
		if (mw_likely(owner == MW_OWNER_LARGE && span->bin))
			mw_free_kept(span, object, cache, state, here);
		else if (MW_GC && (span->flags & MW_SAFE_FLAGS) == MW_SPAN_SAFE &&
			 (owner & ~MW_OWNER_NO_FREE) != MW_OWNER_GONE)
			mw_safe_free_held(span, object, cache, state);
		else if (owner == MW_OWNER_LARGE)
			mw_free_large(span, object, cache, state);
		else
			goto otherwise;
		return;
	}
	if (mw_unlikely(owner == here || (cache && mw_span_cache(span) != cache) ||
			!mw_span_has(span, object, &index)))
		goto otherwise;
	mw_shadow_dead(object, span->size, MW_SHADOW_FREE);
	if (mw_unlikely(!mw_remote_bit(span, index)))
		goto otherwise;
	if (mw_unlikely(mw_word(&span->free[index / MW_WORD_BITS]) >> index % MW_WORD_BITS & 1)) {
		mw_free_undo(span, object, cache, state);
		return;
	}
	mw_freer_leave(freer);
	if (mw_likely(mw_span_pending(span)))
		mw_port_unpin(state);
	else
		mw_remote_tell(span, state);
	return;
otherwise:
	mw_freer_leave(freer);
	mw_free_otherwise(span, object, cache, state);
}

#endif
