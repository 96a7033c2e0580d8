// SPDX-License-Identifier: MIT
/*
 * Caches with debug aids, the usual case: objects of few bytes that are as they should be. All is done with
 * the cache's lock held once, so that no object is between live and free, and no bit of it is for others.
 * What is not usual is left to debug.c, as if nothing had been done: it looks again, and reports.
 *
 * All is compiled twice. In what most caches need no call is but the last thing that it does, so nothing is saved
 * and restored. The full one looks at neighbours too, waits for the lock if another CPU has it, and notes who
 * allocates or frees: that is found out before the lock is taken, into a frame of its own, as a walk up the stack
 * is the port's, and longer than all the rest.
 */
#include "../base/fail.h"
#include "aid.h"

#define MW_SHORT inline __attribute__((always_inline))

/* Aids of a span that are in the longer ones of the ways, or in none. */
#define MW_SHORT_FULL (MW_DEBUG_CHECKS | MW_DEBUG_TRACK | MW_DEBUG_LONG)
/* Aids of a cache that are looked at before the lock is taken. */
#define MW_SHORT_FIRST (MW_DEBUG_TRACK | MW_DEBUG_LONG)

/* Sizes are multiples of 16 here. */
static MW_SHORT void mw_short_fill(void *object, size_t size, uint64_t value)
{
	uint64_t *words = object, *end = (uint64_t *)((char *)object + size);

	if (size & 16) {
		words[0] = words[1] = value;
		words += 2;
		if (words == end)
			return;
	}
	do {
		words[0] = words[1] = words[2] = words[3] = value;
		words += 4;
	} while (words != end);
}

/* The last two words, one of which is special, are for the end; what makes the rest a multiple of four is first. */
static MW_SHORT bool mw_short_is_poison(const char *object, size_t size)
{
	const uint64_t free = MW_AID_ALL(MW_AID_FREE_BYTE);
	const uint64_t *words = (const uint64_t *)object;
	const uint64_t *end = (const uint64_t *)(object + size) - 2;

	if (!(size & 16)) {
		if (words[0] != free || words[1] != free)
			return false;
		words += 2;
	}
	for (; words != end; words += 4) {
		if (words[0] != free || words[1] != free || words[2] != free || words[3] != free)
			return false;
	}
	return end[0] == free && end[1] == MW_AID_LAST;
}

static MW_SHORT bool mw_short_zone(const char *object, size_t size)
{
	return mw_aid_zone_is_whole(object - MW_AID_ZONE) && mw_aid_zone_is_whole(object + size);
}

/* The object's red zones, and with MW_DEBUG_CHECKS the neighbours' too. */
static MW_SHORT bool mw_short_zones(const struct mw_span *span, const char *object,
				    unsigned int aids, bool full)
{
	if (!(aids & MW_DEBUG_REDZONE))
		return true;
	if (!mw_short_zone(object, span->size))
		return false;
	if (!full || !(aids & MW_DEBUG_CHECKS))
		return true;
	return (object == span->base || mw_short_zone(object - span->stride, span->size)) &&
	       (object == mw_span_object(span, span->count - 1) ||
		mw_short_zone(object + span->stride, span->size));
}

/* A free object's bit is cleared, a live one's is set. */
static void mw_short_turn(struct mw_span *span, const char *object)
{
	size_t index = mw_span_index(span, object);
	mw_atomic_t *word = &span->free[index / MW_WORD_BITS];

	mw_set_word(word, mw_word(word) ^ mw_bit(index));
}

/* ---- allocations ---- */

/* The last free object of its span was taken. Pinned, by @state, with the lock; neither when it returns. */
static __attribute__((noinline)) void *mw_short_taken_last(char *object, struct mw_cache *cache,
							   struct mw_span *span, unsigned long state)
{
	mw_debug_settle_locked(cache, span);
	mw_unlock_pinned(&cache->lock);
	mw_port_unpin(state);
	return object;
}

static __attribute__((noinline)) void *mw_short_not_taken(struct mw_cache *cache, mw_flags_t flags,
							  unsigned long state, uintptr_t site)
{
	mw_port_unpin(state);
	return mw_cache_alloc_rest(cache, flags, site);
}

/* The general way, with who allocates: that of one place should look the same by whichever way. */
static __attribute__((noinline)) void *mw_short_noted(struct mw_cache *cache, mw_flags_t flags,
						      unsigned long state, uintptr_t site,
						      const struct mw_trace *here)
{
	mw_port_unpin(state);
	return mw_debug_alloc(cache, flags, here, site);
}

/* It was taken, but is not as it should be. */
static __attribute__((noinline)) void *mw_short_take_back(struct mw_cache *cache, mw_flags_t flags,
							  unsigned long state, uintptr_t site,
							  struct mw_span *span, const char *object)
{
	mw_short_turn(span, object);
	mw_unlock_pinned(&cache->lock);
	return mw_short_not_taken(cache, flags, state, site);
}

/* Take the first span's lowest free object. NULL: it has none. */
static MW_SHORT char *mw_short_take(struct mw_span *span)
{
	mw_atomic_t *word = span->free;
	unsigned long some = mw_word(word);
	uint32_t index = 0;

	while (mw_unlikely(!some)) {
		index += MW_WORD_BITS;
		if (index >= span->count)
			return NULL;
		some = mw_word(++word);
	}
	index += (uint32_t)mw_lowest_bit(some);
	if (mw_unlikely(index >= span->count))
		return NULL;
	mw_set_word(word, some & (some - 1));
	return span->base + (uint32_t)(index * (uint32_t)span->stride);
}

static __attribute__((noinline)) void *mw_short_alloc_full(struct mw_cache *cache, mw_flags_t flags,
							   unsigned long state, uintptr_t site);

/* @full: this is mw_short_alloc_full(), and @here who allocates, or NULL: that is not to be noted. */
static MW_SHORT void *mw_short_alloc(struct mw_cache *cache, mw_flags_t flags, unsigned long state,
				     uintptr_t site, bool full, const struct mw_trace *here)
{
	struct mw_debug_span *debug;
	struct mw_span *span;
	unsigned int aids;
	char *object;

	if (full)
		mw_lock_pinned(&cache->lock);
	else if (mw_unlikely(!mw_trylock_pinned(&cache->lock)))
		return mw_short_alloc_full(cache, flags, state, site);
	span = mw_container(cache->debug_spans.next, struct mw_span, link);
	if (mw_unlikely(mw_list_empty(&cache->debug_spans)))
		goto otherwise;
	debug = span->debug;
	aids = debug->flags;
	if (!full && mw_unlikely(aids & MW_SHORT_FULL)) {
		mw_unlock_pinned(&cache->lock);
		return mw_short_alloc_full(cache, flags, state, site);
	}
	if (full && (aids & (here ? MW_DEBUG_LONG : MW_SHORT_FIRST)))
		goto otherwise;
	object = mw_short_take(span);
	if (mw_unlikely(!object))
		goto otherwise;
	if (((aids & MW_DEBUG_POISON) && !mw_short_is_poison(object, span->size)) ||
	    !mw_short_zones(span, object, aids, full)) {
		if (!full)
			return mw_short_take_back(cache, flags, state, site, span, object);
		mw_short_turn(span, object);
		goto otherwise;
	}
	cache->allocs++;
	if (flags & MW_ZERO)
		mw_short_fill(object, span->size, 0);
	else if (aids & MW_DEBUG_POISON)
		mw_short_fill(object, span->size, MW_AID_ALL(MW_AID_NEW_BYTE));
	if (full && (aids & MW_DEBUG_TRACK))
		debug->track[mw_span_index(span, object)].allocated = *here;
	object = mw_keep(object);
	mw_shadow_live(object, span->size);
	if (mw_unlikely(!--debug->some))
		return mw_short_taken_last(object, cache, span, state);
	mw_unlock_pinned(&cache->lock);
	mw_port_unpin(state);
	return object;
otherwise:
	mw_unlock_pinned(&cache->lock);
	return here ? mw_short_noted(cache, flags, state, site, here)
		    : mw_short_not_taken(cache, flags, state, site);
}

static __attribute__((noinline)) void *mw_short_alloc_full(struct mw_cache *cache, mw_flags_t flags,
							   unsigned long state, uintptr_t site)
{
	const struct mw_trace *known = NULL;
	unsigned long aids = mw_word(&cache->debug);
	struct mw_trace here;

	if (aids & MW_DEBUG_LONG)
		return mw_short_not_taken(cache, flags, state, site);
	if (aids & MW_DEBUG_TRACK) {
		mw_port_unpin(state);
		mw_trace_here(&here);
		known = &here;
		state = mw_port_pin();
	}
	return mw_short_alloc(cache, flags, state, site, true, known);
}

__attribute__((noinline)) void *mw_debug_alloc_short(struct mw_cache *cache, mw_flags_t flags,
						     unsigned long state, uintptr_t site)
{
	if (mw_unlikely(mw_word(&mw_fail_on)) || mw_profiling())
		return mw_short_not_taken(cache, flags, state, site);
	if (mw_word(&cache->debug) & MW_SHORT_FIRST)
		return mw_short_alloc_full(cache, flags, state, site);
	return mw_short_alloc(cache, flags, state, site, false, NULL);
}

/* ---- frees ---- */

/* The first free into a span that had no free object, or the last one. As mw_short_taken_last(). */
static __attribute__((noinline)) void mw_short_put_first(struct mw_cache *cache,
							 struct mw_span *span, unsigned long state)
{
	mw_debug_settle_locked(cache, span);
	mw_unlock_pinned(&cache->lock);
	mw_port_unpin(state);
}

static __attribute__((noinline)) void mw_short_not_put(void *object, struct mw_cache *said,
						       unsigned long state, uintptr_t site)
{
	mw_port_unpin(state);
	(void)mw_free_slow(object, said, site);
}

/* It was freed, but is not as it should be. */
static __attribute__((noinline)) void mw_short_put_back(void *object, struct mw_span *span,
							struct mw_cache *said, unsigned long state,
							struct mw_cache *cache, uintptr_t site)
{
	mw_short_turn(span, object);
	mw_unlock_pinned(&cache->lock);
	mw_short_not_put(object, said, state, site);
}

/* A live object's bit. All is looked at again: the span may be anything by now. Return: false: it is none. */
static MW_SHORT bool mw_short_put(struct mw_span *span, struct mw_cache *cache, const char *object)
{
	unsigned long bits, gone;
	size_t index;

	if (atomic_load_explicit(&span->owner, memory_order_acquire) != MW_OWNER_DEBUG ||
	    mw_span_cache(span) != cache || !mw_span_has(span, object, &index))
		return false;
	bits = mw_word(&span->free[index / MW_WORD_BITS]);
	gone = bits | mw_word(&span->remote[index / MW_WORD_BITS]);
	if (gone >> index % MW_WORD_BITS & 1)
		return false;
	mw_set_word(&span->free[index / MW_WORD_BITS], bits | 1ul << index % MW_WORD_BITS);
	return true;
}

static __attribute__((noinline)) void mw_short_free_full(char *object, struct mw_span *span,
							 struct mw_cache *said, unsigned long state,
							 struct mw_cache *cache, uintptr_t site);

static __attribute__((noinline)) void mw_short_free_again(char *object, struct mw_span *span,
							  struct mw_cache *said, unsigned long state,
							  struct mw_cache *cache, uintptr_t site)
{
	mw_short_turn(span, object);
	mw_unlock_pinned(&cache->lock);
	mw_short_free_full(object, span, said, state, cache, site);
}

/* @said: as in mw_debug_free_short(); @full, @here: as in mw_short_alloc(). */
static MW_SHORT void mw_short_free(char *object, struct mw_span *span, struct mw_cache *said,
				   unsigned long state, struct mw_cache *cache, uintptr_t site,
				   bool full, const struct mw_trace *here)
{
	struct mw_debug_span *debug;
	unsigned int aids, some;

	if (full) {
		mw_lock_pinned(&cache->lock);
	} else if (mw_unlikely(!mw_trylock_pinned(&cache->lock))) {
		mw_short_free_full(object, span, said, state, cache, site);
		return;
	}
	if (mw_unlikely(!mw_short_put(span, cache, object))) {
		mw_unlock_pinned(&cache->lock);
		mw_short_not_put(object, said, state, site);
		return;
	}
	debug = span->debug;
	aids = debug->flags;
	if (!full && mw_unlikely(aids & MW_SHORT_FULL)) {
		mw_short_free_again(object, span, said, state, cache, site);
		return;
	}
	if ((full && (aids & (here ? MW_DEBUG_LONG : MW_SHORT_FIRST))) ||
	    !mw_short_zones(span, object, aids, full)) {
		mw_short_put_back(object, span, said, state, cache, site);
		return;
	}
	cache->frees++;
	if (aids & MW_DEBUG_POISON) {
		mw_short_fill(object, span->size, MW_AID_ALL(MW_AID_FREE_BYTE));
		*(uint64_t *)(object + span->size - sizeof(uint64_t)) = MW_AID_LAST;
	}
	if (full && (aids & MW_DEBUG_TRACK))
		debug->track[mw_span_index(span, object)].freed = *here;
	mw_shadow_dead(object, span->size, MW_SHADOW_FREE);
	some = debug->some++;
	if (mw_unlikely(!some || some + 1 == span->count)) {
		mw_short_put_first(cache, span, state);
		return;
	}
	mw_unlock_pinned(&cache->lock);
	mw_port_unpin(state);
}

static __attribute__((noinline)) void mw_short_free_full(char *object, struct mw_span *span,
							 struct mw_cache *said, unsigned long state,
							 struct mw_cache *cache, uintptr_t site)
{
	const struct mw_trace *known = NULL;
	unsigned long aids = mw_word(&cache->debug);
	struct mw_trace here;

	if (aids & MW_DEBUG_LONG) {
		mw_short_not_put(object, said, state, site);
		return;
	}
	if (aids & MW_DEBUG_TRACK) {
		mw_port_unpin(state);
		mw_trace_here(&here);
		known = &here;
		state = mw_port_pin();
	}
	mw_short_free(object, span, said, state, cache, site, true, known);
}

__attribute__((noinline)) void mw_debug_free_short(void *object, struct mw_span *span,
						   struct mw_cache *said, unsigned long state,
						   uintptr_t site)
{
	struct mw_cache *cache = said ? said : mw_span_cache(span);

	if (mw_unlikely(!cache))
		mw_short_not_put(object, said, state, site);
	else if (mw_word(&cache->debug) & MW_SHORT_FIRST)
		mw_short_free_full(object, span, said, state, cache, site);
	else
		mw_short_free(object, span, said, state, cache, site, false, NULL);
}
