// SPDX-License-Identifier: MIT
/*
 * The map of pages and the caches as JSON, for pictures: runs of pages in order of addresses, each
 * with a letter for its state, those of objects with their cache and how many of its places are live.
 * Read without a lock, as the map of map.c is: what changes meanwhile may be wrong, nothing worse.
 */
#include "map.h"
#include "stream.h"

#if MW_WATCH

static void put_picture_run(struct mw_stream *s, const struct mw_map_run *run, bool *more)
{
	const struct mw_span *span = run->span;
	static const char letters[MW_MAP_STATES] = { 'o', 'p', 's', '.', '-', 'm' };

	mw_stream_text(s, "%s[\"%c\",%zu", *more ? "," : "", letters[run->state], run->pages);
	*more = true;
	if (run->state == MW_MAP_OBJECTS && span && mw_span_readable(span)) {
		const struct mw_cache *cache = mw_span_cache(span);

		mw_stream_text(s, ",%d,%zu,%u", cache ? (int)cache->id : -1,
			       mw_span_live_count(span), span->count);
	}
	mw_stream_text(s, "]");
}

static void put_region(struct mw_stream *s, struct mw_map_cursor *cursor)
{
	struct mw_map_run run;
	bool more = false;

	mw_stream_text(s, "{\"base\":\"%p\",\"pages\":%zu,\"zone\":%d,\"runs\":[",
		       mw_pn_address(cursor->at), cursor->end - cursor->at, (int)cursor->zone);
	while (!s->stopped && mw_map_next(cursor, &run))
		put_picture_run(s, &run, &more);
	mw_stream_text(s, "]}");
}

static void put_caches(struct mw_stream *s)
{
	struct mw_cache_cursor cursor = { 0 };
	const struct mw_cache *cache;
	struct mw_cache_stats stats;
	bool more = false;

	while (!s->stopped && (cache = mw_cache_next(&cursor))) {
		mw_cache_describe(cache, &stats);
		if (!stats.spans && !stats.allocs)
			continue;
		mw_stream_text(s, "%s\n{\"id\":%u,\"name\":", more ? "," : "", stats.id);
		mw_stream_quoted(s, stats.name);
		mw_stream_text(s, ",\"size\":%zu,\"asked\":%zu,\"live\":%zu,\"places\":%zu",
			       stats.size, stats.asked, stats.live, stats.capacity);
		mw_stream_text(s, ",\"spans\":%zu,\"pages\":%zu,\"allocs\":%lu}", stats.spans,
			       stats.pages, stats.allocs);
		more = true;
	}
	mw_cache_leave(&cursor);
}

bool mw_picture_write(mw_sink_fn *sink, void *ctx)
{
	struct mw_map_cursor cursor;
	struct mw_stream s;
	bool more = false;

	mw_stream_begin(&s, sink, ctx);
	mw_stream_text(&s, "{\"page\":%lu,\"regions\":[", (unsigned long)MW_PAGE_SIZE);
	for (size_t i = 0; mw_map_begin(&cursor, i); i++) {
		mw_stream_text(&s, more ? ",\n" : "\n");
		put_region(&s, &cursor);
		more = true;
	}
	mw_stream_text(&s, "],\n\"caches\":[");
	put_caches(&s);
	mw_stream_text(&s, "]}\n");
	return mw_stream_end(&s);
}

#endif
