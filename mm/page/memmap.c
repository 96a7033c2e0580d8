// SPDX-License-Identifier: MIT
/*
 * Reading memory maps as firmware leaves them.
 *
 * The type of a byte is the most restrictive of all entries that cover it; of a byte that none
 * covers, reserved. The type of a page is the most restrictive of its bytes. So a free run is
 * rounded inward, a page shared by free and reclaimable memory is reclaimable, and a page whose
 * halves come from two free entries is free.
 *
 * Nothing is sorted, merged or kept: each step asks the whole map about one address and learns how
 * far the answer holds. Steps end where an entry begins or ends, or a page that one shares: so a
 * walk over a map of n entries is a small multiple of n steps of n entries each, however large the
 * memory is.
 */
#include <marrow/mm.h>
#include "../base/base.h"

#define MAP_PAGE ((uint64_t)MW_PAGE_SIZE)
/*
 * The walk ends before the last page of the 64-bit space, so that the end of a run can always be
 * said. No machine has a frame there.
 */
#define MAP_END (UINT64_MAX - (MAP_PAGE - 1))

static enum mw_memtype entry_type(const struct mw_memrange *entry)
{
	switch (entry->type) {
	case MW_MEM_FREE:
	case MW_MEM_RECLAIM:
		return entry->type;
	case MW_MEM_RESERVED:
	default:
		return MW_MEM_RESERVED;
	}
}

/* An entry that runs past the end of the address space ends there. Its length is not 0. */
static uint64_t entry_last(const struct mw_memrange *entry)
{
	return entry->len - 1 > UINT64_MAX - entry->start ? UINT64_MAX
							  : entry->start + (entry->len - 1);
}

/* The type of the byte at @at; up to *@last, inclusive, the same entries cover the bytes. */
static enum mw_memtype type_at(const struct mw_memrange *map, size_t n, uint64_t at, uint64_t *last)
{
	enum mw_memtype type = (enum mw_memtype)0;

	*last = UINT64_MAX;
	for (const struct mw_memrange *entry = map; entry < map + n; entry++) {
		uint64_t border;

		if (!entry->len || entry_last(entry) < at)
			continue;
		border = entry->start > at ? entry->start - 1 : entry_last(entry);
		if (border < *last)
			*last = border;
		if (entry->start <= at && entry_type(entry) > type)
			type = entry_type(entry);
	}
	return type ? type : MW_MEM_RESERVED;
}

/* The type of the page at @at; the pages up to *@end, exclusive, are known to have it too. */
static enum mw_memtype page_at(const struct mw_memrange *map, size_t n, uint64_t at, uint64_t *end)
{
	uint64_t page_last = at + (MAP_PAGE - 1), last;
	enum mw_memtype type = type_at(map, n, at, &last);

	if (last >= page_last) {
		*end = last >= MAP_END - 1 ? MAP_END : (last + 1) & ~(MAP_PAGE - 1);
		return type;
	}
	*end = at + MAP_PAGE;
	while (last < page_last && type != MW_MEM_RESERVED) {
		enum mw_memtype next = type_at(map, n, last + 1, &last);

		if (next > type)
			type = next;
	}
	return type;
}

bool mw_memmap_next(const struct mw_memrange *map, size_t n, enum mw_memtype type, uint64_t from,
		    struct mw_memrange *out)
{
	uint64_t at, end;
	bool found = false;

	if (from > MAP_END)
		return false;
	for (at = (from + (MAP_PAGE - 1)) & ~(MAP_PAGE - 1); at < MAP_END; at = end) {
		if (page_at(map, n, at, &end) == type) {
			if (!found)
				out->start = at;
			found = true;
		} else if (found) {
			break;
		}
	}
	if (!found)
		return false;
	out->len = at - out->start;
	out->type = type;
	return true;
}
