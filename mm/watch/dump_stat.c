// SPDX-License-Identifier: MIT
/* The dump's statistics, in the 26 fields that the format has for them, and the profile's buckets. */
#include "dump.h"
#include "profile.h"

#if MW_WATCH

#define APART __attribute__((noinline))

static void put_numbers(struct mw_stream *s, const uint64_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mw_stream_varint(s, numbers[i]);
}

static uint64_t in_bytes(size_t pages)
{
	return (uint64_t)pages << MW_PAGE_SHIFT;
}

/* Everything up to the ring of pauses. */
APART static void put_metadata(struct mw_stream *s, const struct mw_stats *stats)
{
	put_numbers(s,
		    (const uint64_t[]){
			    in_bytes(stats->page.stacks),
			    in_bytes(stats->page.stacks),
			    stats->span_records,
			    stats->metadata_by_use[MW_USE_SPANS],
			    stats->cache_records,
			    stats->metadata_by_use[MW_USE_CACHES],
			    stats->metadata_by_use[MW_USE_WATCH],
			    stats->metadata_by_use[MW_USE_COLLECTOR] +
				    stats->metadata_by_use[MW_USE_RECORDS],
			    stats->metadata_by_use[MW_USE_MAP] + stats->metadata_by_use[MW_USE_RUNS] +
				    stats->metadata_by_use[MW_USE_OTHER] + stats->metadata_spare +
				    stats->page.edges,
			    stats->goal,
		    },
		    10);
}

APART static void put_heap(struct mw_stream *s, const struct mw_stats *stats, size_t used,
			   size_t released)
{
	const struct mw_page_stats *page = &stats->page;

	put_numbers(s,
		    (const uint64_t[]){ stats->live_bytes, stats->alloc_bytes, page->bytes,
					stats->lookups, stats->allocs, stats->frees,
					stats->live_bytes, page->bytes - page->metadata,
					page->bytes - page->metadata - in_bytes(used),
					in_bytes(used), in_bytes(released), stats->live_objects },
		    12);
}

APART static void put_figures(struct mw_stream *s)
{
	struct mw_stats stats;
	const struct mw_page_stats *page = &stats.page;
	size_t used, released = 0;

	mw_stats(&stats);
	used = page->objects + page->raw + page->stocked + page->lost;
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		released += page->zone[z].released;
	put_heap(s, &stats, used, released);
	put_metadata(s, &stats);
}

void mw_dump_stats(struct mw_dump *d)
{
	mw_stream_varint(&d->s, MW_DUMP_STATS);
	put_figures(&d->s);
	mw_dump_pauses(d);
}

/* ---- the profile ---- */

static void put_frame(struct mw_stream *s, uintptr_t pc)
{
	char text[96];

	if (!mw_port_symbol(pc - 1, text, sizeof(text)))
		text[0] = '\0';
	mw_stream_string(s, text);
	/* In place of a file: what a debugger makes one of. */
	mw_format(text, sizeof(text), "%p", (void *)pc);
	mw_stream_string(s, text);
	mw_stream_varint(s, 0);
}

APART static void put_bucket(struct mw_stream *s, uint64_t id, const struct mw_bucket *b)
{
	mw_stream_varint(s, MW_DUMP_BUCKET);
	mw_stream_varint(s, id);
	mw_stream_varint(s, b->size);
	mw_stream_varint(s, b->depth);
	for (unsigned int i = 0; i < b->depth; i++)
		put_frame(s, b->pcs[i]);
	mw_stream_varint(s, b->objects);
	mw_stream_varint(s, b->objects - mw_min(b->objects, mw_bucket_live(b)));
}

void mw_dump_buckets(struct mw_dump *d)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket bucket;

	while (!d->s.stopped && mw_profile_next(&cursor, &bucket))
		put_bucket(&d->s, mw_dump_number(cursor.at), &bucket);
}

#endif
