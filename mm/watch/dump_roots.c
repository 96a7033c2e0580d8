// SPDX-License-Identifier: MIT
/*
 * The dump's types, and what is reached without being pointed to: the walk is the mark's own. A stack
 * is a thread with one frame; the longest ranges of data and of bss are the two segments, which the
 * format has one of each; any other word that leads to an object is a root by its name.
 */
#include "dump.h"

#if MW_WATCH && MW_GC

bool mw_dump_hold(void)
{
	return mw_gc_hold();
}

void mw_dump_release(void)
{
	mw_gc_release();
}

/* ---- types ---- */

void mw_dump_types(struct mw_dump *d)
{
	for (const struct mw_type *type = mw_layout_types(); type; type = type->next) {
		mw_stream_varint(&d->s, MW_DUMP_TYPE);
		mw_stream_varint(&d->s, mw_dump_number(type));
		mw_stream_varint(&d->s, type->size);
		mw_stream_string(&d->s, type->name);
		mw_stream_varint(&d->s, 1);
	}
}

/* ---- typed objects ---- */

#define TURN_WORDS ((size_t)1024)

/*
 * The format wants fields in the order of their offsets, a type may have them in any: so they are
 * gathered in a bitmap, for one turn of the layout at a time. Those of longer turns come as they do.
 */
struct turn {
	struct mw_dump *d;
	char *object, *at; /* the turn's beginning */
	bool long_one;
	unsigned long bits[TURN_WORDS / MW_WORD_BITS];
};

static void put_pointer(struct turn *t, size_t offset)
{
	mw_stream_varint(&t->d->s, MW_DUMP_POINTER);
	mw_stream_varint(&t->d->s, offset);
}

MW_DUMP_RAW static void see(void *ctx, uintptr_t *word, bool sure)
{
	struct turn *t = ctx;
	size_t i = (size_t)((char *)word - t->at) / sizeof(*word);

	if (!sure && !mw_dump_hits(*(volatile uintptr_t *)word, MW_AIM_ANY))
		return;
	if (t->long_one)
		put_pointer(t, (size_t)((char *)word - t->object));
	else
		t->bits[i / MW_WORD_BITS] |= mw_bit(i);
}

MW_DUMP_RAW static void put_turn(struct turn *t, const struct mw_step *step, size_t size)
{
	t->long_one = size > TURN_WORDS * sizeof(uintptr_t);
	mw_layout_run(step, t->at, see, t);
	for (size_t w = 0; w < MW_LEN(t->bits); w++) {
		for (; t->bits[w]; t->bits[w] &= t->bits[w] - 1) {
			size_t i = w * MW_WORD_BITS + mw_lowest_bit(t->bits[w]);

			put_pointer(t, (size_t)(t->at - t->object) + i * sizeof(uintptr_t));
		}
	}
	t->at += size;
}

static void put_layout(struct mw_dump *d, const struct mw_layout *layout, char *object, size_t size)
{
	struct turn t = { .d = d, .object = object, .at = object };
	const struct mw_step *step = layout->step;
	size_t turn = layout->size;

	if (layout->flex != SIZE_MAX) {
		put_turn(&t, step, layout->flex);
		step = &layout->step[layout->flex_step];
		turn = layout->flex_stride;
	}
	while (!layout->plain && turn && size - (size_t)(t.at - object) >= turn && !d->s.stopped)
		put_turn(&t, step, turn);
}

void mw_dump_typed(struct mw_dump *d, const struct mw_span *span, char *object)
{
	const struct mw_layout *layout = mw_span_layout(span);

	if (layout)
		put_layout(d, layout, object, span->size);
	mw_stream_varint(&d->s, MW_DUMP_LAST);
}

/* ---- roots ---- */

struct named_root {
	struct mw_dump *d;
	const char *name;
	const void *lo, *hi;
};

MW_DUMP_RAW static void put_root(void *ctx, uintptr_t *word, bool sure)
{
	struct named_root *range = ctx;
	struct mw_stream *s = &range->d->s;
	uintptr_t to = *(volatile uintptr_t *)word;
	size_t at = (size_t)((char *)word - (const char *)range->lo);
	char text[96];

	(void)sure;
	if (!mw_dump_hits(to, MW_AIM_ANY))
		return;
	mw_format(text, sizeof(text), "%s+%zu", range->name ? range->name : "root", at);
	mw_stream_varint(s, MW_DUMP_OTHER_ROOT);
	if (range->name && (const char *)range->hi - (const char *)range->lo == sizeof(*word))
		mw_stream_string(s, range->name);
	else
		mw_stream_string(s, text);
	mw_stream_varint(s, to);
}

static void put_others(struct named_root *range, const struct mw_layout *layout)
{
	size_t bytes = (size_t)((const char *)range->hi - (const char *)range->lo);

	if (layout) {
		mw_layout_each(layout, (void *)range->lo, bytes, put_root, range);
		return;
	}
	for (const uintptr_t *word = range->lo;
	     word < (const uintptr_t *)range->hi && !range->d->s.stopped; word++)
		put_root(range, (uintptr_t *)word, false);
}

/* A thread that was stopped, and its stack as one frame. */
static void put_stack(struct mw_dump *d, const char *name, const void *lo, size_t bytes)
{
	struct mw_stream *s = &d->s;

	mw_stream_varint(s, MW_DUMP_FRAME);
	mw_stream_varint(s, mw_dump_number(lo));
	mw_stream_varint(s, 0); /* depth */
	mw_stream_varint(s, 0); /* of whom it was called: nobody */
	mw_stream_varint(s, bytes);
	mw_stream_memory(s, lo, bytes);
	for (unsigned int i = 0; i < 3; i++)
		mw_stream_varint(s, 0); /* where it is: the registers are other roots */
	mw_stream_string(s, name);
	mw_dump_words(d, lo, bytes, MW_AIM_ANY);
	mw_stream_varint(s, MW_DUMP_THREAD);
	mw_stream_varint(s, mw_dump_number(lo));
	mw_stream_varint(s, mw_dump_number(lo)); /* leads to the frame */
	mw_stream_varint(s, ++d->threads);
	mw_stream_varint(s, 0); /* who began it */
	mw_stream_varint(s, 4); /* it waits */
	for (unsigned int i = 0; i < 3; i++)
		mw_stream_varint(s, 0); /* of the system, in the background, since when */
	mw_stream_string(s, "the world is stopped");
	for (unsigned int i = 0; i < 4; i++)
		mw_stream_varint(s, 0); /* context, CPU, what the format calls defer and panic */
}

static void put_segment(struct mw_dump *d, unsigned int kind, const void *lo, size_t bytes)
{
	mw_stream_varint(&d->s, kind);
	mw_stream_varint(&d->s, mw_dump_number(lo));
	mw_stream_varint(&d->s, bytes);
	mw_stream_memory(&d->s, lo, bytes);
	mw_dump_words(d, lo, bytes, MW_AIM_ANY);
}

static bool is_bss(const char *name)
{
	return name && name[0] == 'b' && name[1] == 's' && name[2] == 's' && !name[3];
}

/* An object that is managed by hand is in the dump as such. */
static bool is_object(const void *lo)
{
	const struct mw_span *span = mw_span_of(lo);

	return span && !(span->flags & MW_SPAN_COLLECTED);
}

static void put_range(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
		      const void *hi, const struct mw_layout *layout)
{
	struct mw_dump *d = ctx;
	size_t bytes = (size_t)((const char *)hi - (const char *)lo);

	if (d->s.stopped || is_object(lo))
		return;
	if (kind == MW_ROOT_STACK)
		put_stack(d, name, lo, bytes);
	else if (kind == MW_ROOT_DATA && lo == d->data)
		put_segment(d, MW_DUMP_DATA, lo, bytes);
	else if (kind == MW_ROOT_DATA && lo == d->bss)
		put_segment(d, MW_DUMP_BSS, lo, bytes);
	else
		put_others(&(struct named_root){ d, name, lo, hi }, layout);
}

struct longest {
	const void *lo[2];
	size_t bytes[2];
};

static void find_longest(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			 const void *hi, const struct mw_layout *layout)
{
	struct longest *longest = ctx;
	size_t bytes = (size_t)((const char *)hi - (const char *)lo), i = is_bss(name);

	if (kind != MW_ROOT_DATA || layout || is_object(lo) || bytes <= longest->bytes[i])
		return;
	longest->lo[i] = lo;
	longest->bytes[i] = bytes;
}

void mw_dump_roots(struct mw_dump *d)
{
	struct longest longest = { 0 };

	mw_roots_each(find_longest, &longest);
	d->data = longest.lo[0];
	d->bss = longest.lo[1];
	if (!d->data)
		put_segment(d, MW_DUMP_DATA, NULL, 0);
	if (!d->bss)
		put_segment(d, MW_DUMP_BSS, NULL, 0);
	mw_roots_each(put_range, d);
}

#endif
