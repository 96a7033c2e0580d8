// SPDX-License-Identifier: MIT
/* Many objects of a cache at once: the CPU is pinned once for up to MW_BULK_STEP of them. */
#include "inside.h"

#define MW_BULK_STEP 64

/* Up to @n objects of the slot's word. Pinned. Return: how many. */
static size_t mw_slot_take_many(struct mw_slot *slot, size_t n, void **objects)
{
	unsigned long word = mw_word(slot->word), some = word & slot->mask, left = some;
	size_t taken = 0;

	while (left && taken < n) {
		objects[taken++] = slot->base + mw_lowest_bit(left) * slot->stride;
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

/* Objects up to the first that needs the slow way. Pinned. Return: how many. */
static size_t mw_cache_free_run(struct mw_cache *cache, size_t n, void **objects)
{
	unsigned int here = mw_port_cpu();
	struct mw_span *span = NULL;
	uintptr_t base = 0, bytes = 0;

	for (size_t i = 0; i < n; i++) {
		if ((uintptr_t)objects[i] - base >= bytes) {
			span = mw_span_of(objects[i]);
			if (!span || span->cache != cache || !mw_span_owned_by(span, here))
				return i;
			base = (uintptr_t)span->base;
			bytes = span->count * span->stride;
			if ((uintptr_t)objects[i] - base >= bytes)
				return i;
		}
		if (!mw_span_free_exact(span, objects[i]))
			return i;
	}
	return n;
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
