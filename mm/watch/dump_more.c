// SPDX-License-Identifier: MIT
/*
 * What the format has no place for: field names, what each span holds, special records. It stands
 * behind the record that ends the dump, where readers of the format have stopped; the parameters
 * announce it. docs/design/watch.md says what it looks like.
 */
#include "dump.h"

#if MW_WATCH

static void put_span(struct mw_stream *s, const struct mw_span *span)
{
	const struct mw_cache *cache = mw_span_cache(span);

	mw_stream_varint(s, MW_MORE_SPAN);
	mw_stream_varint(s, mw_dump_number(span->base));
	mw_stream_varint(s, span->stride);
	mw_stream_varint(s, span->size);
	mw_stream_varint(s, span->count);
	mw_stream_varint(s, mw_dump_number(span->type));
	mw_stream_varint(s, span->flags);
	mw_stream_string(s, cache ? cache->name : "large");
}

static void put_spans(struct mw_dump *d)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while (!d->s.stopped && (span = mw_span_next(&cursor)))
		if (mw_span_live_count(span))
			put_span(&d->s, span);
}

void mw_dump_more(struct mw_dump *d)
{
	uint32_t sum;

	mw_stream_bytes(&d->s, MW_DUMP_MORE "\n", sizeof(MW_DUMP_MORE));
	mw_dump_more_types(d);
	put_spans(d);
	mw_dump_more_records(d);
	mw_stream_varint(&d->s, MW_MORE_END);
	sum = mw_stream_sum(&d->s);
	mw_stream_varint(&d->s, sum);
}

#endif
