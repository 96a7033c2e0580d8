// SPDX-License-Identifier: MIT
/* What the page heap says of itself. */
#include <marrow/watch.h>
#include "stock.h"

/* What was never handed out is no run yet, and does not count. */
static unsigned int fragmentation(const struct mw_zone_stats *zone)
{
	size_t free = zone->free;

	if (!free || zone->largest >= free)
		return 0;
	return 1000 - (unsigned int)(free > SIZE_MAX / 1000 ? zone->largest / (free / 1000)
							    : zone->largest * 1000 / free);
}

static void zone_stats(enum mw_zone_index z, struct mw_zone_stats *out)
{
	const struct mw_zone *zone = &mw_page.zone[z];

	*out = (struct mw_zone_stats){
		.pages = zone->pages,
		.free = zone->grown - zone->used,
		.low_water = zone->pages - mw_min(zone->pages, zone->most_used),
		.released = zone->released,
		.runs = mw_run_count(zone),
		.largest = mw_run_largest(z),
	};
	out->fragmentation = fragmentation(out);
	for (size_t i = 0; i < MW_LEN(zone->by_order); i++)
		out->by_order[mw_min(i, MW_ORDERS - 1)] += (unsigned int)zone->by_order[i];
}

/* What the region is made of that is no page of the heap, and no record either. */
static void add_own(const struct mw_region *region, struct mw_page_stats *stats)
{
	size_t index = mw_region_index_bytes(region->end - region->first);

	stats->map += region->map_bytes;
	stats->index += index;
	stats->edges += (region->own << MW_PAGE_SHIFT) - region->map_bytes - index;
}

void mw_page_stats(struct mw_page_stats *stats)
{
	unsigned long state = mw_lock(&mw_page.heap);

	*stats = (struct mw_page_stats){
		.regions = mw_page.nr_regions,
		.metadata = mw_page.metadata << MW_PAGE_SHIFT,
		.raw = mw_page.raw,
		.stocked = mw_stock_pages(),
		.objects = mw_page.objects,
		.lost = mw_page.lost,
		.edges = atomic_load_explicit(&mw_page.pool_rest, memory_order_relaxed)
			 << MW_PAGE_SHIFT,
		.stacks = atomic_load_explicit(&mw_page.stacks, memory_order_relaxed),
		.reserve = mw_page.reserve,
		.allocs = mw_page.allocs,
		.frees = mw_page.frees,
		.failures = mw_page.failures,
	};
	for (unsigned int id = 0; id < MW_NR_IDS; id++) {
		const struct mw_region *region = mw_region_by_id(id);

		if (!region)
			continue;
		stats->bytes += (region->end - region->first) << MW_PAGE_SHIFT;
		stats->untouched += mw_region_gap(region) << MW_PAGE_SHIFT;
		add_own(region, stats);
	}
	for (unsigned int z = 0; mw_page.ready && z < MW_ZONES; z++) {
		zone_stats((enum mw_zone_index)z, &stats->zone[z]);
		stats->free += stats->zone[z].free;
	}
	stats->free += stats->untouched >> MW_PAGE_SHIFT;
	/* A page that is on its way into a stock may be counted as there too early. */
	stats->raw -= mw_min(stats->raw, stats->stocked);
	mw_stock_events(&stats->allocs, &stats->frees);
	mw_unlock(&mw_page.heap, state);
}

bool mw_region_stats(size_t index, struct mw_region_stats *stats)
{
	unsigned long state = mw_lock(&mw_page.heap);
	const struct mw_region *region = NULL;
	size_t grown;

	if (index < mw_page.nr_regions)
		region = mw_page.by_address[index];
	if (region) {
		grown = region->frontier - region->first;
		*stats = (struct mw_region_stats){
			.base = mw_pn_address(region->first),
			.phys = (uint64_t)region->frame << MW_PAGE_SHIFT,
			.zone = (unsigned int)region->zone,
			.pages = region->end - region->first,
			.used = region->used,
			.free = grown - region->used,
			.released = region->released,
			.untouched = mw_region_gap(region),
		};
		stats->metadata = stats->pages - grown - stats->untouched;
	}
	mw_unlock(&mw_page.heap, state);
	return region != NULL;
}
