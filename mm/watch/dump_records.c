// SPDX-License-Identifier: MIT
/* The dump's finalizers and special records, pauses, and field names. World stopped. */
#include "dump.h"

#if MW_WATCH && MW_GC

/* ---- every record of every span ---- */

/* What is known of a record when it may be gone: interrupts free objects meanwhile. */
struct seen {
	enum mw_record_kind kind;
	void *object;
	uintptr_t fn;
	uint64_t value;
};

typedef void see_record_fn(struct mw_dump *d, const struct seen *seen);

static struct seen record_seen(const struct mw_record *record, void *object)
{
	struct seen seen = { .kind = record->kind, .object = object };

	if (seen.kind == MW_RECORD_FINALIZER) {
		seen.fn = (uintptr_t)((const struct mw_finalizer *)record)->fn;
		seen.value = mw_dump_number(((const struct mw_finalizer *)record)->arg);
	} else if (seen.kind == MW_RECORD_CLEANUP) {
		seen.fn = (uintptr_t)((const struct mw_cleanup_record *)record)->fn;
		seen.value = mw_dump_number(((const struct mw_cleanup_record *)record)->arg);
	} else if (seen.kind == MW_RECORD_TAG) {
		seen.value = ((const struct mw_tag *)record)->tag;
	} else if (mw_record_samples(seen.kind)) {
		seen.value = mw_dump_number(((const struct mw_sample *)record)->bucket);
	}
	return seen;
}

#define BATCH 8

/*
 * Up to BATCH records of a bucket from the @first on, with the lock; they are written without, as a
 * sink may be slow. Return: how many; 0: there are no more.
 */
static size_t records_seen(struct mw_span *span, size_t bucket, size_t first, struct seen *seen)
{
	unsigned long state = mw_lock(&span->records_lock);
	const struct mw_record *r = NULL;
	size_t n = 0;

	if (bucket < mw_record_lists(span))
		r = *mw_record_list(span, bucket);
	for (; r && n < BATCH; r = r->next) {
		if (first)
			first--;
		else
			seen[n++] = record_seen(r, span->base + r->offset);
	}
	mw_unlock(&span->records_lock, state);
	return n;
}

static size_t buckets_of(const struct mw_span *span)
{
	return mw_span_readable(span) ? mw_record_lists(span) : 0;
}

static void each_record(struct mw_dump *d, see_record_fn *see)
{
	struct mw_span_cursor cursor = { 0 };
	struct seen seen[BATCH];
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		for (size_t b = 0, n; b < buckets_of(span); b++)
			for (size_t first = 0; (n = records_seen(span, b, first, seen)); first += n)
				for (size_t i = 0; i < n && !d->s.stopped; i++)
					see(d, &seen[i]);
	}
}

/* ---- finalizers ---- */

static void put_finalizer(struct mw_dump *d, unsigned int kind, uintptr_t fn, const void *object)
{
	const struct mw_span *span = mw_span_of(object);

	mw_stream_varint(&d->s, kind);
	mw_stream_varint(&d->s, mw_dump_number(object));
	mw_stream_varint(&d->s, fn);
	mw_stream_varint(&d->s, fn);
	mw_stream_varint(&d->s, 0);
	mw_stream_varint(&d->s, span ? mw_dump_number(span->type) : 0);
}

static void see_finalizer(struct mw_dump *d, const struct seen *seen)
{
	if (seen->kind == MW_RECORD_FINALIZER)
		put_finalizer(d, MW_DUMP_FINALIZER, seen->fn, seen->object);
}

void mw_dump_finalizers(struct mw_dump *d)
{
	each_record(d, see_finalizer);
	for (const struct mw_record *r = mw_special.finalizers.first; r && !d->s.stopped; r = r->next)
		put_finalizer(d, MW_DUMP_DUE, (uintptr_t)((const struct mw_finalizer *)r)->fn,
			      r->object);
}

/* ---- which object is a sample of what ---- */

static void see_sample(struct mw_dump *d, const struct seen *seen)
{
	if (!mw_record_samples(seen->kind))
		return;
	mw_stream_varint(&d->s, MW_DUMP_SAMPLE);
	mw_stream_varint(&d->s, mw_dump_number(seen->object));
	mw_stream_varint(&d->s, seen->value);
}

void mw_dump_samples(struct mw_dump *d)
{
	each_record(d, see_sample);
}

/* ---- pauses ---- */

/* When the last one was, all together, and the ring: the format wants it as it is kept here. */
void mw_dump_pauses(struct mw_dump *d)
{
	size_t paused = mw_gc.paused;

	mw_stream_varint(&d->s, paused ? mw_gc.pauses[(paused - 1) % MW_PAUSES].end : 0);
	mw_stream_varint(&d->s, mw_gc.pause_total);
	for (unsigned int i = 0; i < MW_PAUSES; i++)
		mw_stream_varint(&d->s, mw_gc.pauses[i].ns);
	mw_stream_varint(&d->s, mw_word(&mw_gc.cycles));
}

/* ---- behind the end ---- */

static void put_type(struct mw_stream *s, const struct mw_type *type)
{
	mw_stream_varint(s, MW_MORE_TYPE);
	mw_stream_varint(s, mw_dump_number(type));
	mw_stream_varint(s, type->size);
	mw_stream_string(s, type->name);
	mw_stream_varint(s, type->field_count);
	for (size_t i = 0; i < type->field_count; i++) {
		const struct mw_field *f = &type->fields[i];

		mw_stream_string(s, f->name);
		mw_stream_varint(s, f->kind);
		mw_stream_varint(s, f->offset);
		mw_stream_varint(s, f->count);
		mw_stream_varint(s, mw_dump_number(f->type));
	}
}

/* A type and those of its fields, which may be in no object of their own; some come twice. */
static void put_types_of(struct mw_stream *s, const struct mw_type *type)
{
	struct {
		const struct mw_type *type;
		size_t field;
	} stack[MW_LAYOUT_DEPTH + 1] = { { .type = type } };
	unsigned int depth = 0;

	put_type(s, type);
	while (!s->stopped) {
		const struct mw_type *top = stack[depth].type;

		if (stack[depth].field == top->field_count) {
			if (!depth--)
				return;
			continue;
		}
		top = top->fields[stack[depth].field++].type;
		if (top && depth < MW_LAYOUT_DEPTH) {
			put_type(s, top);
			stack[++depth].type = top;
			stack[depth].field = 0;
		}
	}
}

void mw_dump_more_types(struct mw_dump *d)
{
	for (const struct mw_type *type = mw_layout_types(); type; type = type->next)
		put_types_of(&d->s, type);
}

/* Samples are in the dump itself. */
static void see_record(struct mw_dump *d, const struct seen *seen)
{
	char name[96] = "";

	if (mw_record_samples(seen->kind))
		return;
	if (seen->fn && !mw_port_symbol(seen->fn, name, sizeof(name)))
		mw_format(name, sizeof(name), "%p", (void *)seen->fn);
	mw_stream_varint(&d->s, MW_MORE_RECORD);
	mw_stream_varint(&d->s, mw_dump_number(seen->object));
	mw_stream_string(&d->s, mw_record_kinds[seen->kind].name);
	mw_stream_string(&d->s, name);
	mw_stream_varint(&d->s, seen->value);
}

void mw_dump_more_records(struct mw_dump *d)
{
	each_record(d, see_record);
}

#endif
