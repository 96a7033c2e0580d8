// SPDX-License-Identifier: MIT
/* Many objects of a cache at once: the CPU is pinned once for up to MW_BULK_STEP of them. */
#include "inside.h"

#define MW_BULK_STEP 64

/* @n bits from bit @first on; 1 to all of them. */
static inline unsigned long mw_bits(size_t first, size_t n)
{
	return ~0ul >> (MW_WORD_BITS - n) << first;
}

/* @n objects, two in a step. */
static inline void mw_take_run(char *at, size_t stride, size_t n, void **objects)
{
	void **end = objects + n;

	mw_shadow_live(at, n * stride);
	if (n & 1) {
		*objects++ = at;
		at += stride;
	}
	for (; objects != end; objects += 2) {
		objects[0] = at;
		at += stride;
		objects[1] = at;
		at += stride;
	}
}

/*
 * Up to @n of @some objects of the slot's word, those side by side at once. Pinned. Return: how
 * many.
 */
static inline size_t mw_slot_take_many(struct mw_slot *slot, unsigned long some, size_t n,
				       void **objects)
{
	unsigned long left = some;
	uint32_t stride = (uint32_t)slot->stride;
	size_t taken = 0;

	if (!some || !n)
		return 0;
	do {
		unsigned int first = mw_lowest_bit(left);
		size_t run = mw_lowest_bit(~(left >> first) | 1ul << (n - taken));

		mw_take_run(slot->base + first * stride, stride, run, objects + taken);
		left &= ~mw_bits(first, run);
		taken += run;
	} while (left && taken < n);
	slot->ready &= left;
	mw_set_word(slot->word, mw_word(slot->word) ^ some ^ left);
	slot->allocs += taken;
	return taken;
}

static inline __attribute__((always_inline)) size_t
mw_cache_take_many(struct mw_cache *cache, bool held, size_t n, void **objects)
{
	unsigned long state = mw_port_pin();
	struct mw_slot *slot = mw_cpu_fast()->slot[cache->id];
	unsigned long some = held && slot->behind ? slot->ready : mw_slot_some(slot);
	size_t taken = mw_slot_take_many(slot, some, mw_min(n, MW_WORD_BITS / 2), objects);

	mw_port_unpin(state);
	return taken;
}

/*
 * What the slot's first word did not have. While there is a profile, words have what is ready, no
 * more.
 */
static __attribute__((noinline)) bool mw_cache_alloc_others(struct mw_cache *cache, mw_flags_t flags,
							    bool plain, size_t n, void **objects,
							    size_t have, uintptr_t site)
{
	while (have < n) {
		objects[have] = mw_cache_alloc_site(cache, flags, site);
		if (mw_unlikely(!objects[have])) {
			mw_cache_free_bulk(cache, have, objects);
			return false;
		}
		have++;
		if (plain && have < n)
			have += mw_cache_take_many(cache, mw_profiling(), n - have, objects + have);
	}
	return true;
}

bool mw_cache_alloc_bulk(struct mw_cache *cache, mw_flags_t flags, size_t n, void **objects)
{
	bool plain = !(flags & MW_ZERO) && cache->policy != MW_POLICY_COLLECTED;
	size_t have = plain ? mw_cache_take_many(cache, false, n, objects) : 0;

	return mw_likely(have == n) ||
	       mw_cache_alloc_others(cache, flags, plain, n, objects, have, MW_SITE);
}

/* The end of the objects from @at to @end, two in a step, that each lie @stride behind the one before. */
static inline void **mw_run_end(void **at, void **end, size_t stride)
{
	void **last = end - 1;
	char *next = *at++;

	for (; at < last; at += 2) {
		next = mw_keep(next + stride);
		if (at[0] != next)
			return at;
		next = mw_keep(next + stride);
		if (at[1] != next)
			return at + 1;
	}
	return at < end && *at == next + stride ? at + 1 : at;
}

/*
 * Objects of one span of this CPU, up to the first that is not one of its live ones. Each word is
 * written once for all of its objects that come one after the other, and those that lie side by side are
 * looked up as one. Pinned. Return: how many.
 */
static __attribute__((noinline)) size_t mw_span_free_many(struct mw_span *span, size_t n,
							  void **objects)
{
	void **at = objects, **end = objects + n, **next;
	size_t index, run, first = SIZE_MAX / 2;
	unsigned long bits = 0, free, some;
	mw_atomic_t *word = NULL;

	for (; at < end && mw_span_has(span, *at, &index); at = next) {
		if (index - first >= MW_WORD_BITS) {
			if (word)
				mw_set_word(word, bits);
			first = mw_round_down(index, MW_WORD_BITS);
			word = &span->free[first / MW_WORD_BITS];
			bits = mw_word(word);
		}
		run = first + MW_WORD_BITS - index;
		next = (void **)mw_min((uintptr_t)end, (uintptr_t)at + run * sizeof(*at));
		next = mw_run_end(at, next, span->stride);
		run = (size_t)(next - at);
		some = mw_bits(index - first, run);
		/* Bits of the last word that are no objects are set: a free of one ends here too. */
		free = bits & some;
		if (mw_unlikely(free)) {
			at += mw_lowest_bit(free) - (index - first);
			bits |= some & ((free & -free) - 1);
			break;
		}
		mw_shadow_dead(*at, run * span->stride, MW_SHADOW_FREE);
		bits |= some;
	}
	if (word)
		mw_set_word(word, bits);
	return (size_t)(at - objects);
}

/* Objects up to the first that needs the slow way. Pinned. Return: how many. */
static size_t mw_cache_free_run(struct mw_cache *cache, size_t n, void **objects)
{
	unsigned int here = mw_port_cpu();
	size_t left = n;

	while (left) {
		struct mw_span *span = mw_span_fast(*objects);
		size_t some;

		if (span->cache != cache || !mw_span_owned_by(span, here))
			break;
		some = mw_span_free_many(span, left, objects);
		if (!some)
			break;
		objects += some;
		left -= some;
	}
	return n - left;
}

void mw_cache_free_bulk(struct mw_cache *cache, size_t n, void **objects)
{
	while (n) {
		size_t some = mw_min(n, MW_BULK_STEP);
		unsigned long state = mw_port_pin();
		size_t freed = mw_cache_free_run(cache, some, objects);

		mw_port_unpin(state);
		if (mw_unlikely(freed < some))
			(void)mw_free_slow(objects[freed++], cache, MW_SITE);
		objects += freed;
		n -= freed;
	}
}
