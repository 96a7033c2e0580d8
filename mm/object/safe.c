// SPDX-License-Identifier: MIT
/*
 * Holding back what is freed, for a collector that finds out when nothing points to it any more.
 *
 * A span of a cache in that mode has MW_SPAN_SAFE, and MW_OWNER_NO_FREE, so that every free comes here.
 * An object that is held back has the state of one that another CPU freed: not free, and its remote bit
 * set. Nobody gathers in such a span, so the bit stays until mw_span_let_go(); a second free finds
 * it. The mode changes with the world stopped; who is about to free looks at it pinned.
 *
 * Spans with debug aids use the remote bit for what is between live and free, and are not in the mode.
 */
#include "inside.h"

#define MW_WIPE_BYTE 0x6b

static unsigned int mw_safe_wanted(const struct mw_span *span)
{
	if (span->flags & (MW_SPAN_COLLECTED | MW_SPAN_DEBUG))
		return 0;
	return (span->cache ? span->cache->span_flags : mw_object.large_flags) & MW_SAFE_FLAGS;
}

bool mw_span_follow(struct mw_span *span)
{
	unsigned int flags = span->flags, want = mw_safe_wanted(span);

	if (mw_likely((flags & MW_SAFE_FLAGS) == want))
		return false;
	/* Nobody attaches a record meanwhile. */
	mw_lock_pinned(&span->records_lock);
	/* Not at once: a byte's read-modify-write is a library call on some machines. */
	atomic_store_explicit(&span->flags,
			      (unsigned char)((flags & ~(unsigned int)MW_SAFE_FLAGS) | want),
			      memory_order_seq_cst);
	mw_span_slow_frees(span, mw_span_always_slow(span) || span->records);
	mw_unlock_pinned(&span->records_lock);
	return flags & ~want & MW_SPAN_SAFE;
}

/* Set the bit. Return: false: the object is not live. Only who lets go makes such an object free. */
static inline bool mw_safe_bit(struct mw_span *span, size_t index)
{
	size_t w = index / MW_WORD_BITS;
	unsigned long bit = mw_bit(index);

	return !(mw_word(&span->free[w]) & bit) &&
	       !(atomic_fetch_or_explicit(&span->remote[w], bit, memory_order_acq_rel) & bit);
}

static MW_NOINLINE void mw_safe_tell(struct mw_freer *freer, unsigned long state)
{
	size_t bytes = mw_word(&freer->held);

	mw_set_word(&freer->held, 0);
	mw_up_safe_held(bytes);
	mw_port_unpin(state);
}

/* Pinned, by @state; not any more afterwards. */
static inline void mw_safe_count(struct mw_freer *freer, size_t bytes, unsigned long state)
{
	bytes += mw_word(&freer->held);
	mw_set_word(&freer->held, bytes);
	if (mw_likely(bytes < MW_SAFE_FOLD))
		mw_port_unpin(state);
	else
		mw_safe_tell(freer, state);
}

/* No call in it but the last thing that it does, as in mw_free_elsewhere(). */
void mw_safe_free_held(void *object, struct mw_span *span, struct mw_cache *cache,
		       unsigned long state, uintptr_t site)
{
	struct mw_freer *freer = &mw_freers[mw_port_cpu()];
	size_t index, stride;

	if (mw_unlikely(__atomic_load_n(&span->records, __ATOMIC_RELAXED) ||
			(cache && mw_span_cache(span) != cache) ||
			!mw_span_has(span, object, &index) || !mw_safe_bit(span, index)))
		goto otherwise;
	stride = span->stride;
	atomic_store_explicit(&freer->span, MW_FREER_IDLE, memory_order_release);
	mw_safe_count(freer, stride, state);
	return;
otherwise:
	atomic_store_explicit(&freer->span, MW_FREER_IDLE, memory_order_release);
	mw_free_otherwise(object, span, cache, state, site);
}

/* The bit, if the span is still what it was. Pinned, by @state; not any more afterwards. */
static enum mw_freed mw_safe_set(struct mw_span *span, const void *object, unsigned long state)
{
	unsigned int here = mw_port_cpu(), owner = mw_freer_begin(span, here);
	enum mw_freed what = MW_FREED_MOVED;
	size_t index, stride = 0;

	if (owner != MW_OWNER_GONE && (span->flags & MW_SPAN_SAFE) &&
	    mw_span_has(span, object, &index)) {
		stride = span->stride;
		what = mw_safe_bit(span, index) ? MW_FREED : MW_FREED_TWICE;
	}
	mw_freer_end(here);
	mw_safe_count(&mw_freers[here], what == MW_FREED ? stride : 0, state);
	return what;
}

enum mw_freed mw_safe_hold(struct mw_span *span, const void *object)
{
	struct mw_cache *cache = mw_span_cache(span);
	size_t index;

	/* As long as it is live nobody lets go of it. */
	if (span->flags & MW_SPAN_WIPE && !(cache && cache->construct) &&
	    mw_span_has(span, object, &index) && mw_span_live(span, index))
		__builtin_memset(mw_span_object(span, index), MW_WIPE_BYTE, span->size);
	return mw_safe_set(span, object, mw_port_pin());
}

size_t mw_span_let_go(struct mw_span *span, const mw_atomic_t *held, const mw_atomic_t *marked)
{
	if (mw_owner(span) == MW_OWNER_NONE)
		return mw_central_let_go(span, held, marked);
	if (mw_owner(span) != MW_OWNER_LARGE || !(mw_word(&held[0]) & ~mw_word(&marked[0])))
		return 0;
	mw_large_let_go(span);
	return 1;
}

/*
 * ---- the mode changes ----
 *
 * Handlers of stopped CPUs free and allocate meanwhile. Caches have the new mode first, and a span that a CPU takes
 * from then on follows it. Then each CPU has the spans follow that it owns; at last the stopper does it for those that
 * are a cache's, under its lock, and for large ones, which do not go as long as a free is said to be at them. A free
 * that has read the old mode may set a bit later than that: it is waited for, before the bits are looked at. The free
 * says where it is, then reads the flags; who changes them writes them, then looks who is there: all four sequentially
 * consistent, so one of the two sees the other.
 */

static bool mw_span_any_held(const struct mw_span *span)
{
	unsigned long held = 0;

	for (size_t w = 0; w < span->words; w++)
		held |= mw_word(&span->remote[w]);
	return held;
}

void mw_span_end_mode(struct mw_span *span)
{
	mw_freers_wait(span);
	if (mw_span_any_held(span))
		mw_remote_notify(span);
}

/* The CPU's own spans, one at a time. */
static void mw_safe_change_owned(struct mw_cpu *cpu, void *arg)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	(void)arg;
	while ((span = mw_span_next(&cursor))) {
		unsigned long state = mw_port_pin();

		if ((mw_owner(span) & ~MW_OWNER_FULL) == cpu->number && mw_span_follow(span))
			mw_span_end_mode(span);
		mw_port_unpin(state);
	}
}

/* A cache's, if it still is. */
static void mw_safe_change_central(struct mw_span *span, struct mw_cache *cache)
{
	unsigned long state = mw_port_pin();
	bool ended;

	mw_lock_pinned(&cache->lock);
	ended = mw_owner(span) == MW_OWNER_NONE && mw_span_cache(span) == cache &&
		mw_span_follow(span);
	mw_unlock_pinned(&cache->lock);
	if (ended)
		mw_span_end_mode(span);
	mw_port_unpin(state);
}

static void mw_safe_change_large(struct mw_span *span)
{
	unsigned long state = mw_port_pin();
	unsigned int here = mw_port_cpu();
	bool ended, held = false;

	ended = mw_freer_begin(span, here) == MW_OWNER_LARGE && mw_span_follow(span);
	mw_freer_end(here);
	if (ended) {
		mw_freers_wait(span);
		/* A live object that was freed: nobody else frees it, so the span is still the same. */
		held = mw_owner(span) == MW_OWNER_LARGE && mw_span_any_held(span);
	}
	mw_port_unpin(state);
	if (held)
		mw_large_let_go(span);
}

static void mw_safe_change_rest(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		struct mw_cache *cache = mw_span_cache(span);

		if (!cache)
			mw_safe_change_large(span);
		else if (mw_owner(span) == MW_OWNER_NONE)
			mw_safe_change_central(span, cache);
	}
}

static void mw_safe_set_cache(struct mw_cache *cache, unsigned int flags)
{
	if (cache->span_flags & MW_SPAN_COLLECTED)
		return;
	cache->span_flags =
		(unsigned char)((cache->span_flags & ~(unsigned int)MW_SAFE_FLAGS) | flags);
}

void mw_object_safe_set(struct mw_cache *cache, bool on, bool wipe)
{
	unsigned int flags = (on ? MW_SPAN_SAFE : 0) | (on && wipe ? MW_SPAN_WIPE : 0);
	struct mw_cache_cursor caches = { 0 };
	struct mw_cache *one;

	if (cache)
		mw_safe_set_cache(cache, flags);
	else
		mw_object.large_flags = (unsigned char)flags;
	while (!cache && (one = mw_cache_next(&caches)))
		mw_safe_set_cache(one, flags);
	(void)mw_cpus_each(mw_safe_change_owned, NULL);
	mw_safe_change_rest();
}

void mw_object_held(size_t *objects, size_t *bytes)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	*objects = *bytes = 0;
	while ((span = mw_span_next(&cursor))) {
		size_t n = 0;

		if (!(span->flags & MW_SPAN_SAFE))
			continue;
		for (size_t w = 0; w < span->words; w++)
			n += mw_count_bits(mw_word(&span->remote[w]));
		*objects += n;
		*bytes += n * span->size;
	}
}
