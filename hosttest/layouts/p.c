// SPDX-License-Identifier: MIT
/* Layout P: the fast paths. */
#include "span.h"

static MW_NOINLINE void *alloc_more(size_t size, struct lay_slot *slot)
{
	(void)size;
	return span_slot_more(slot);
}

static MW_NOINLINE void *alloc_coarse(size_t size)
{
	struct lay_slot *slot;
	void *object;

	if (size > MW_SMALL_MAX)
		return span_alloc_large(size);
	slot = lay_self.cpu->slot[mw_class_of(&lay_classes, size)];
	object = slot_take(slot);
	return mw_likely(object) ? object : span_slot_more(slot);
}

void *lay_alloc_flags(size_t size, unsigned int flags)
{
	struct lay_slot *slot;
	void *object;

	if (mw_unlikely(flags))
		return NULL;
	if (mw_unlikely(size > MW_FINE_MAX))
		return alloc_coarse(size);
	slot = lay_self.cpu->fine[(size + 7) / 8];
	object = slot_take(slot);
	return mw_likely(object) ? object : alloc_more(size, slot);
}

void lay_free(void *object)
{
	struct span *span = span_of(object);
	unsigned int owner = span_owner(span);

	if (mw_likely(owner == lay_self.number && span_free_exact(span, object)))
		return;
	span_free_other(object, span, owner);
}

void *lay_cache_alloc(struct lay_cache *cache)
{
	struct lay_slot *slot = lay_self.cpu->slot[cache->id];
	void *object = slot_take(slot);

	return mw_likely(object) ? object : alloc_more(0, slot);
}

void lay_cache_free(struct lay_cache *cache, void *object)
{
	struct span *span = span_of(object);

	if (mw_likely(span->cache == cache && span_owner(span) == lay_self.number &&
		      span_free_exact(span, object)))
		return;
	span_free_cached(object, span, cache);
}

/* A class whose size is a multiple of @align, of pages at most, as spans begin with a page. */
void *lay_aligned(size_t size, size_t align)
{
	struct lay_slot *slot;
	void *object;

	size = (size + align - 1) & -align;
	if (mw_unlikely(size > MW_FINE_MAX))
		return align <= PAGE && size > MW_SMALL_MAX ? span_alloc_large(size) : NULL;
	slot = lay_self.cpu->fine[(size + 7) / 8];
	while (mw_unlikely(slot->unit & (align - 1)))
		slot = lay_self.cpu->slot[slot->cache->id + 1];
	object = slot_take(slot);
	return mw_likely(object) ? object : alloc_more(size, slot);
}

size_t lay_usable(const void *object)
{
	return span_usable(object);
}

void *lay_realloc(void *object, size_t size)
{
	size_t usable = span_usable(object);
	void *other;

	if (mw_likely(size <= usable && size >= usable / 2))
		return object;
	if (!usable)
		return NULL;
	other = lay_alloc_flags(size, 0);
	if (!other)
		return NULL;
	lay_copy(other, object, mw_min(size, usable));
	lay_free(object);
	return other;
}

bool lay_marked(const void *object)
{
	struct span *span = span_of(object);
	size_t index;

	return span_index(span, object, &index) && span->mark_at &&
	       (word_get(&span->live[span->mark_at + index / 64]) & bit_of(index));
}

/* The map's words, and 8 bytes a page for free runs, which today's map has in the same word. */
size_t lay_metadata(void)
{
	return lay_described_bytes + lay_used_pages * (sizeof(map_word) + 8);
}
