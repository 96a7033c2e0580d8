// SPDX-License-Identifier: MIT
/* Many objects of a cache at once: the CPU is pinned once for up to MW_BULK_STEP of them. */
#include "inside.h"

#define MW_BULK_STEP 64

/* Up to @n objects of the slot's word. Pinned. Return: how many. */
static size_t mw_slot_take_many(struct mw_slot *slot, size_t n, void **objects)
{
	unsigned long word = mw_word(slot->word), some = mw_slot_some(slot), left = some;
	uint32_t stride = (uint32_t)slot->stride;
	char *base = slot->base;
	size_t taken = 0;

	while (left && taken < n) {
		objects[taken] = base + mw_lowest_bit(left) * stride;
		mw_shadow_live(objects[taken++], stride);
		left &= left - 1;
	}
	slot->ready &= left;
	mw_set_word(slot->word, word & ~(some ^ left));
	slot->allocs += taken;
	return taken;
}

static size_t mw_cache_take_many(struct mw_cache *cache, size_t n, void **objects)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_fast();
	size_t taken = 0;

	if (cpu->slot[cache->id] != &mw_slot_none)
		taken = mw_slot_take_many(cpu->slot[cache->id], mw_min(n, MW_BULK_STEP), objects);
	mw_port_unpin(state);
	return taken;
}

bool mw_cache_alloc_bulk(struct mw_cache *cache, mw_flags_t flags, size_t n, void **objects)
{
	bool plain = !(flags & MW_ZERO) && cache->policy != MW_POLICY_COLLECTED;
	size_t have = 0;

	while (have < n) {
		size_t some = plain ? mw_cache_take_many(cache, n - have, objects + have) : 0;

		if (!some) {
			objects[have] = mw_cache_alloc(cache, flags);
			some = objects[have] != NULL;
		}
		if (mw_unlikely(!some)) {
			mw_cache_free_bulk(cache, have, objects);
			return false;
		}
		have += some;
	}
	return true;
}

/*
 * Objects of one span of this CPU, up to the first that is not one of its live ones. Each word is
 * written once for all of its objects that come one after the other. Pinned. Return: how many.
 */
static __attribute__((noinline)) size_t mw_span_free_many(struct mw_span *span, size_t n,
							  void **objects)
{
	unsigned long bits, magic = span->magic;
	uintptr_t base = (uintptr_t)span->base;
	size_t i, first = mw_round_down(mw_span_index(span, objects[0]), MW_WORD_BITS);
	mw_atomic_t *word = &span->free[first / MW_WORD_BITS];

	if (first >= span->count)
		return 0;
	bits = mw_word(word);
	for (i = 0; i < n; i++) {
		mw_wide_t product = (mw_wide_t)((uintptr_t)objects[i] - base) * magic;
		size_t index = (size_t)(product >> MW_WORD_BITS);
		unsigned long with;

		if (mw_unlikely((unsigned long)product >= magic))
			break;
		/* Bits of the last word that are no objects are set: a free of one ends here too. */
		if (mw_unlikely(index - first >= MW_WORD_BITS)) {
			if (index >= span->count)
				break;
			mw_set_word(word, bits);
			first = mw_round_down(index, MW_WORD_BITS);
			word = &span->free[first / MW_WORD_BITS];
			bits = mw_word(word);
		}
		with = bits | 1ul << index % MW_WORD_BITS;
		if (mw_unlikely(with == bits))
			break;
		bits = with;
	}
	mw_set_word(word, bits);
	return i;
}

/* Objects up to the first that needs the slow way. Pinned. Return: how many. */
static size_t mw_cache_free_run(struct mw_cache *cache, size_t n, void **objects)
{
	unsigned int here = mw_port_cpu();
	size_t done = 0;

	while (done < n) {
		struct mw_span *span = mw_span_of(objects[done]);
		size_t some;

		if (!span || span->cache != cache || !mw_span_owned_by(span, here))
			break;
		some = mw_span_free_many(span, n - done, objects + done);
		if (!some)
			break;
		done += some;
	}
	return done;
}

void mw_cache_free_bulk(struct mw_cache *cache, size_t n, void **objects)
{
	for (size_t done = 0; done < n;) {
		size_t some = mw_min(n - done, MW_BULK_STEP);
		unsigned long state = mw_port_pin();
		size_t freed = mw_cache_free_run(cache, some, objects + done);

		mw_port_unpin(state);
		done += freed;
		if (freed < some)
			mw_free_slow(objects[done++], cache, SIZE_MAX);
	}
}
