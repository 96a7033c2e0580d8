// SPDX-License-Identifier: MIT
/*
 * The whole heap in numbers. Each room counts for itself, at reading time, so that allocating pays for
 * almost none of it: the page heap under its lock, objects from the bitmaps of all spans. So the
 * figures of one room belong to one moment, those of two rooms only if nobody allocates meanwhile.
 */
#include "watch.h"

_Static_assert(MW_LEN(((struct mw_stats *)0)->metadata_by_use) == MW_NR_USES,
	       "a place for each use");

static void add_objects(struct mw_stats *stats)
{
	struct mw_object_totals totals;

	mw_object_totals(&totals);
	stats->live_bytes = totals.live_bytes;
	stats->live_objects = totals.live_objects;
	stats->collected_bytes = totals.collected_bytes;
	stats->collected_objects = totals.collected_objects;
	stats->cached_bytes = totals.cached_bytes;
	stats->allocs = totals.allocs;
	stats->alloc_bytes = totals.alloc_bytes;
	stats->frees = totals.frees;
	stats->remote_frees = totals.remote_frees;
	stats->lookups = totals.lookups;
	stats->packed = totals.packed;
}

#if MW_GC
static void add_collector(struct mw_stats *stats)
{
	stats->goal = mw_word(&mw_gc.pace.goal);
	stats->collected_about = mw_pace_about();
	stats->cycles = mw_word(&mw_gc.cycles);
	stats->pauses = mw_gc_pauses(NULL, 0, &stats->pause_total_ns, &stats->pause_max_ns);
}

size_t mw_pauses(struct mw_pause *last, size_t most)
{
	uint64_t total, longest;

	return mw_gc_pauses(last, most, &total, &longest);
}
#else
static void add_collector(struct mw_stats *stats)
{
	(void)stats;
}

size_t mw_pauses(struct mw_pause *last, size_t most)
{
	(void)last, (void)most;
	return 0;
}
#endif

void mw_stats(struct mw_stats *stats)
{
	*stats = (struct mw_stats){ 0 };
	mw_page_stats(&stats->page);
	add_objects(stats);
	for (unsigned int i = 0; i < MW_NR_USES; i++)
		stats->metadata_by_use[i] = mw_persist_bytes((enum mw_use)i);
	stats->metadata_by_use[MW_USE_MAP] += stats->page.map;
	stats->metadata_by_use[MW_USE_RUNS] += stats->page.index;
	stats->metadata_spare = mw_persist_spare();
	stats->span_records = mw_fixed_bytes(&mw_page.spans) + mw_object_bitmaps();
	stats->cache_records = mw_object_records();
	for (unsigned int i = 1; i < MW_NR_MISUSES; i++)
		stats->misuses += mw_misuse_count((enum mw_misuse)i);
	add_collector(stats);
}

/* ---- cheap against exact ---- */

static bool agree(const char *what, size_t cheap, size_t exact)
{
	if (cheap == exact)
		return true;
	mw_print("watch: %s: counted on the way %zu, found by looking %zu\n", what, cheap, exact);
	return false;
}

/* Pages of the page heap's figures, and of all spans there are. */
static bool check_pages(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_page_stats stats;
	struct mw_span *span;
	size_t pages = 0;

	/* Pages are a span's before it is one of objects. */
	while ((span = mw_span_next_raw(&cursor)))
		if (atomic_load_explicit(&span->in_use, memory_order_acquire))
			pages += span->pages;
	mw_page_stats(&stats);
	return agree("pages of spans", stats.objects, pages) &&
	       agree("pages of all regions",
		     stats.free + stats.raw + stats.objects + stats.stocked + stats.lost +
			     (stats.metadata >> MW_PAGE_SHIFT),
		     stats.bytes >> MW_PAGE_SHIFT);
}

/* What was carved, and what each use of it says that it has. */
static bool check_metadata(void)
{
	struct mw_page_stats page;
	size_t sum = mw_persist_spare();

	mw_page_stats(&page);
	for (unsigned int i = 0; i < MW_NR_USES; i++)
		sum += mw_persist_bytes((enum mw_use)i);
	return agree("bytes of metadata", page.metadata, sum + page.map + page.index + page.edges);
}

/* What each cache counts as its own, and the spans that say that they are the cache's. */
static bool check_cache(const struct mw_cache *cache)
{
	struct mw_span_cursor cursor = { 0 };
	size_t spans = 0, pages = 0;
	struct mw_span *span;

	while (cache->spans && (span = mw_span_next(&cursor))) {
		if (mw_span_cache(span) != cache)
			continue;
		spans++;
		pages += span->pages;
	}
	return agree(cache->name, cache->spans, spans) && agree(cache->name, cache->pages, pages);
}

static bool check_caches(void)
{
	struct mw_cache_cursor cursor = { 0 };
	const struct mw_cache *cache;
	bool ok = true;

	while (ok && (cache = mw_cache_next(&cursor)))
		ok = check_cache(cache);
	mw_cache_leave(&cursor);
	return ok;
}

bool mw_watch_check(void)
{
	return check_pages() && check_metadata() && check_caches();
}
