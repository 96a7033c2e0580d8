// SPDX-License-Identifier: MIT
/* The way of a heap dump, and its objects: see dump.h. */
#include "dump.h"
#include "profile.h"

#if MW_WATCH

/* ---- where pointers are ---- */

bool mw_dump_hits(uintptr_t word, enum mw_dump_aim aim)
{
	const struct mw_span *span = mw_span_of((const void *)word);
	size_t index;

	if (!span || (aim == MW_AIM_HAND && span->flags & MW_SPAN_COLLECTED))
		return false;
	index = mw_span_index(span, (const void *)word);
	return index < span->count && mw_span_live(span, index);
}

static void put_field(struct mw_dump *d, size_t offset)
{
	mw_stream_varint(&d->s, MW_DUMP_POINTER);
	mw_stream_varint(&d->s, offset);
}

/* The dump's own words have just been copied from elsewhere: they keep nothing. */
MW_DUMP_RAW void mw_dump_words(struct mw_dump *d, const void *lo, size_t bytes, enum mw_dump_aim aim)
{
	const volatile uintptr_t *word = lo;

	for (size_t i = 0; i < bytes / sizeof(*word) && !d->s.stopped; i++) {
		uintptr_t at = (uintptr_t)&word[i];

		if (at >= (uintptr_t)d && at < (uintptr_t)(d + 1))
			continue;
		if (mw_dump_hits(word[i], aim))
			put_field(d, i * sizeof(*word));
	}
	mw_stream_varint(&d->s, MW_DUMP_LAST);
}

/*
 * Who manages an object by hand says nothing of pointers in it, or only that there are some: each
 * word that leads to a live object is taken for one. Without MW_POINTERS it keeps nothing of the
 * collector's, so only those to other such objects are.
 */
void mw_dump_fields(struct mw_dump *d, const struct mw_span *span, char *object)
{
	unsigned int flags =
		atomic_load_explicit(&((struct mw_span *)span)->flags, memory_order_relaxed);

	if (span->type)
		mw_dump_typed(d, span, object);
	else if (flags & MW_SPAN_POINTERS)
		mw_dump_words(d, object, span->size, MW_AIM_ANY);
	else if (!(flags & MW_SPAN_COLLECTED))
		mw_dump_words(d, object, span->size, MW_AIM_HAND);
	else
		mw_stream_varint(&d->s, MW_DUMP_LAST);
}

/* ---- objects ---- */

static void put_object(struct mw_dump *d, const struct mw_span *span, char *object)
{
	struct mw_stream *s = &d->s;

	mw_stream_varint(s, MW_DUMP_OBJECT);
	mw_stream_varint(s, mw_dump_number(object));
	mw_stream_varint(s, span->size);
	mw_stream_memory(s, object, span->size);
	mw_dump_fields(d, span, object);
	if (span->flags & MW_SPAN_COLLECTED)
		return;
	mw_stream_varint(s, MW_DUMP_OTHER_ROOT);
	mw_stream_string(s, MW_DUMP_HAND);
	mw_stream_varint(s, mw_dump_number(object));
}

static void put_objects(struct mw_dump *d)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while (!d->s.stopped && (span = mw_span_next(&cursor))) {
		for (size_t w = 0; w < span->words && !d->s.stopped; w++) {
			unsigned long live = mw_span_live_word(span, w) & mw_span_mask(span, w);

			for (; live; live &= live - 1)
				put_object(d, span,
					   mw_span_object(span,
							  w * MW_WORD_BITS + mw_lowest_bit(live)));
		}
	}
}

/* ---- all ---- */

static void put_params(struct mw_dump *d)
{
	struct mw_stream *s = &d->s;
	struct mw_region_stats region;
	uint64_t lo = 0, hi = 0;
	unsigned int cpus = 0;

	for (size_t i = 0; mw_region_stats(i, &region); i++) {
		if (!i)
			lo = mw_dump_number(region.base);
		hi = mw_dump_number(region.base) + ((uint64_t)region.pages << MW_PAGE_SHIFT);
	}
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++)
		cpus += atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire) != NULL;
	mw_stream_varint(s, MW_DUMP_PARAMS);
	mw_stream_varint(s, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	mw_stream_varint(s, sizeof(void *));
	mw_stream_varint(s, lo);
	mw_stream_varint(s, hi);
	/* The format's letters for machines with words of 64 and of 32 bits. */
	mw_stream_varint(s, sizeof(void *) == 8 ? '6' : '8');
	mw_stream_string(s, MW_DUMP_MORE);
	mw_stream_varint(s, cpus);
}

static void put_cpus(struct mw_dump *d)
{
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire);

		if (!cpu)
			continue;
		mw_stream_varint(&d->s, MW_DUMP_CPU);
		mw_stream_varint(&d->s, mw_dump_number(cpu));
		mw_stream_varint(&d->s, i);
		mw_stream_varint(&d->s, i);
	}
}

static void put_all(struct mw_dump *d)
{
	static const char header[] = "go1.4 heap dump\n";

	mw_stream_bytes(&d->s, header, sizeof(header) - 1);
	put_params(d);
	mw_dump_types(d);
	put_objects(d);
	mw_dump_roots(d);
	mw_dump_finalizers(d);
	put_cpus(d);
	mw_dump_stats(d);
	mw_dump_buckets(d);
	mw_dump_samples(d);
	mw_stream_varint(&d->s, MW_DUMP_EOF);
	mw_dump_more(d);
}

bool mw_dump_write(mw_sink_fn *sink, void *ctx)
{
	struct mw_dump d = { 0 };

	if (!mw_dump_hold())
		return false;
	atomic_store_explicit(&mw_profile.still, true, memory_order_relaxed);
	mw_stream_begin(&d.s, sink, ctx);
	put_all(&d);
	(void)mw_stream_end(&d.s);
	atomic_store_explicit(&mw_profile.still, false, memory_order_relaxed);
	mw_dump_release();
	return !d.s.stopped;
}

#endif
