// SPDX-License-Identifier: MIT
/* The caches as numbers and as a table. */
#include <marrow/watch.h>
#include "inside.h"

static void mw_cache_count(const struct mw_cache *cache, struct mw_cache_stats *stats)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		if (mw_span_cache(span) != cache)
			continue;
		stats->live += mw_span_live_count(span);
		stats->capacity += span->count;
		stats->spans++;
		stats->pages += span->pages;
	}
}

void mw_cache_describe(const struct mw_cache *cache, struct mw_cache_stats *stats)
{
	unsigned long remote;

	*stats = (struct mw_cache_stats){
		.id = mw_cache_id(cache),
		.name = cache->name,
		.size = cache->stride,
		.asked = cache->asked,
	};
	mw_cache_count(cache, stats);
	stats->allocs = mw_cache_allocs(cache, &remote);
	stats->frees = stats->allocs - stats->live;
	stats->remote_frees = remote;
}

bool mw_cache_stats(size_t index, struct mw_cache_stats *stats)
{
	struct mw_cache_cursor cursor = { 0 };
	const struct mw_cache *cache;

	do {
		cache = mw_cache_next(&cursor);
	} while (cache && index--);
	if (cache)
		mw_cache_describe(cache, stats);
	mw_cache_leave(&cursor);
	return cache;
}

void mw_print_slabinfo(void)
{
	struct mw_cache_cursor cursor = { 0 };
	const struct mw_cache *cache;
	struct mw_cache_stats stats;

	mw_print("%-20s %8s %8s %8s %6s %7s %10s %8s\n", "name", "size", "live", "places", "spans",
		 "pages", "allocs", "remote");
	while ((cache = mw_cache_next(&cursor))) {
		mw_cache_describe(cache, &stats);
		if (stats.spans || stats.allocs)
			mw_print("%-20s %8zu %8zu %8zu %6zu %7zu %10lu %8lu\n", stats.name,
				 stats.size, stats.live, stats.capacity, stats.spans, stats.pages,
				 stats.allocs, stats.remote_frees);
	}
}
