// SPDX-License-Identifier: MIT
/* What an address is: lookups and sizes. */
#include "../page/page.h"
#include "inside.h"

static bool mw_lookup_span(const struct mw_span *span, const void *address, struct mw_place *place)
{
	size_t index = mw_span_index(span, address);

	if (index >= span->count)
		return false;
	place->kind = mw_span_live(span, index) ? MW_KIND_OBJECT : MW_KIND_FREE;
	place->base = mw_span_object(span, index);
	place->size = span->size;
	place->cache = span->cache;
	return true;
}

/* A run of raw pages is known by its first page. Pinned. */
static bool mw_lookup_pages(const void *address, struct mw_place *place)
{
	uintptr_t word = mw_map_get_pinned((uintptr_t)address);

	if (mw_map_tag(word) != MW_TAG_RAW || (word & MW_RAW_STOCKED))
		return false;
	place->kind = MW_KIND_PAGES;
	place->base = (void *)mw_round_down((uintptr_t)address, MW_PAGE_SIZE);
	place->size = (size_t)mw_map_payload(word) << MW_PAGE_SHIFT;
	return true;
}

/* Pinned. */
static void mw_count_lookup(void)
{
	struct mw_cpu *cpu = mw_cpu_fast();

	if (cpu != &mw_cpu_none)
		cpu->lookups++;
}

bool mw_lookup(const void *address, struct mw_place *place)
{
	unsigned long state = mw_port_pin();
	struct mw_span *span = mw_span_of_pinned(address);
	bool found;

	*place = (struct mw_place){ .kind = MW_KIND_NONE };
	mw_count_lookup();
	if (span)
		found = mw_lookup_span(span, address, place);
	else
		found = mw_lookup_pages(address, place);
	mw_port_unpin(state);
	return found;
}

size_t mw_usable_size(const void *object)
{
	unsigned long state = mw_port_pin();
	const struct mw_span *span = mw_span_fast(object);
	size_t index;

	mw_port_unpin(state);
	index = mw_span_index(span, object);
	if (index >= span->count || mw_span_object(span, index) != object ||
	    !mw_span_live(span, index) || (span->flags & MW_SPAN_TINY))
		return 0;
	mw_shadow_live(object, span->size);
	return span->size;
}
