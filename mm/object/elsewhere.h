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

/* A large object that was freed, with a bin. Pinned, by @state; not any more when it returns. */
static inline __attribute__((always_inline)) void
mw_keep_large(struct mw_span *span, unsigned long state, unsigned int here)
{
	if (mw_likely(mw_stock_put(atomic_load_explicit(&mw_cpus[here], memory_order_relaxed), span)))
		mw_port_unpin(state);
	else
		mw_large_unkept(span, state);
}

/* A large object that nobody gives back meanwhile, with a bin: of no cache, and plain. */
static inline __attribute__((always_inline)) void mw_free_kept(void *object, struct mw_span *span,
							       struct mw_cache *cache,
							       unsigned long state,
							       unsigned int here, uintptr_t site)
{
	struct mw_freer *freer = &mw_freers[here];

	if (mw_unlikely(cache || object != span->base || !mw_large_set_free(span))) {
		mw_freer_leave(freer);
		mw_free_otherwise(object, span, cache, state, site);
		return;
	}
	mw_freer_leave(freer);
	mw_keep_large(span, state, here);
}

/* Pinned, by @state, on the CPU @here; not any more when it returns. @owner: as it was a moment ago. */
static inline __attribute__((always_inline)) void
mw_free_outside(void *object, struct mw_span *span, struct mw_cache *cache, unsigned long state,
		unsigned int here, unsigned int owner, uintptr_t site)
{
	struct mw_freer *freer = &mw_freers[here];
	size_t index;

	if (mw_unlikely(owner & MW_OWNER_NONE)) { /* or one of the others behind it */
		if (owner == MW_OWNER_LARGE && !cache && mw_large_free_own(span, object, here)) {
			mw_keep_large(span, state, here);
			return;
		}
		if (owner == MW_OWNER_DEBUG) { /* has a lock, under which all is looked at again */
			mw_debug_free_short(object, span, cache, state, site);
			return;
		}
		if (owner == MW_OWNER_GONE) { /* in no span, or freed twice */
			mw_free_otherwise(object, span, cache, state, site);
			return;
		}
	}
	if (mw_unlikely(!atomic_exchange_explicit(&freer->span, span, memory_order_seq_cst))) {
		mw_free_first(object, span, cache, state, site);
		return;
	}
	owner = atomic_load_explicit(&span->owner, memory_order_seq_cst) &
		~(MW_OWNER_PENDING | MW_OWNER_FULL);
	if (mw_unlikely(owner >= MW_MAX_CPUS)) {
		if (mw_likely(owner == MW_OWNER_LARGE && span->bin))
			mw_free_kept(object, span, cache, state, here, site);
		else if (MW_GC && (span->flags & MW_SAFE_FLAGS) == MW_SPAN_SAFE &&
			 (owner & ~MW_OWNER_NO_FREE) != MW_OWNER_GONE)
			mw_safe_free_held(object, span, cache, state, site);
		else if (owner == MW_OWNER_LARGE)
			mw_free_large(object, span, cache, state, site);
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
		mw_free_undo(object, span, cache, state, site);
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
	mw_free_otherwise(object, span, cache, state, site);
}

#endif
