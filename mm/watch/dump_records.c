// SPDX-License-Identifier: MIT
/* The dump's finalizers and special records, pauses, and field names. World stopped. */
#include "dump.h"

#if MW_WATCH && MW_GC

/* ---- every record of every span ---- */

typedef void see_record_fn(struct mw_dump *d, const struct mw_span *span,
			   const struct mw_record *record);

static void each_record(struct mw_dump *d, see_record_fn *see)
{
	struct mw_span_cursor cursor = { 0 };
	const struct mw_records *records;
	struct mw_span *span;

	while (!d->s.stopped && (span = mw_span_next(&cursor))) {
		records = mw_span_readable(span) ? span->records : NULL;
		for (size_t i = 0; records && i < mw_records_buckets(records); i++)
			for (const struct mw_record *r = records->bucket[i]; r; r = r->next)
				see(d, span, r);
	}
}

/* ---- finalizers ---- */

static void put_finalizer(struct mw_dump *d, unsigned int kind, const struct mw_finalizer *f,
			  const void *object)
{
	const struct mw_span *span = mw_span_of(object);

	mw_stream_varint(&d->s, kind);
	mw_stream_varint(&d->s, mw_dump_number(object));
	mw_stream_varint(&d->s, (uintptr_t)f->fn);
	mw_stream_varint(&d->s, (uintptr_t)f->fn);
	mw_stream_varint(&d->s, 0);
	mw_stream_varint(&d->s, span ? mw_dump_number(span->type) : 0);
}

static void see_finalizer(struct mw_dump *d, const struct mw_span *span,
			  const struct mw_record *record)
{
	if (record->kind == MW_RECORD_FINALIZER)
		put_finalizer(d, MW_DUMP_FINALIZER, (const struct mw_finalizer *)record,
			      span->base + record->offset);
}

void mw_dump_finalizers(struct mw_dump *d)
{
	each_record(d, see_finalizer);
	for (const struct mw_record *r = mw_special.finalizers.first; r && !d->s.stopped; r = r->next)
		put_finalizer(d, MW_DUMP_DUE, (const struct mw_finalizer *)r, r->object);
}

/* ---- which object is a sample of what ---- */

void mw_dump_samples(struct mw_dump *d)
{
	(void)d;
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

static void put_record(struct mw_dump *d, const struct mw_record *record, const void *object)
{
	uintptr_t fn = 0, value = 0;
	char name[96] = "";

	if (record->kind == MW_RECORD_FINALIZER) {
		fn = (uintptr_t)((const struct mw_finalizer *)record)->fn;
		value = (uintptr_t)((const struct mw_finalizer *)record)->arg;
	} else if (record->kind == MW_RECORD_CLEANUP) {
		fn = (uintptr_t)((const struct mw_cleanup_record *)record)->fn;
		value = (uintptr_t)((const struct mw_cleanup_record *)record)->arg;
	} else if (record->kind == MW_RECORD_TAG) {
		value = ((const struct mw_tag *)record)->tag;
	}
	if (fn && !mw_port_symbol(fn, name, sizeof(name)))
		mw_format(name, sizeof(name), "%p", (void *)fn);
	mw_stream_varint(&d->s, MW_MORE_RECORD);
	mw_stream_varint(&d->s, mw_dump_number(object));
	mw_stream_string(&d->s, mw_record_kinds[record->kind].name);
	mw_stream_string(&d->s, name);
	mw_stream_varint(&d->s, value);
}

static void see_record(struct mw_dump *d, const struct mw_span *span, const struct mw_record *record)
{
	put_record(d, record, span->base + record->offset);
}

void mw_dump_more_records(struct mw_dump *d)
{
	each_record(d, see_record);
}

#endif
