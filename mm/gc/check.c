/* SPDX-License-Identifier: MIT */
/*
 * The collector checks itself: a second mark by other means, compared with the first bit by bit.
 *
 * This one is alone, takes roots and objects one at a time, and shares no code with mark.c but the root
 * walk and the layouts. Its marks are in scratch of their own, in records of wide.c, one for each collected span: its
 * descriptor leads there by gc_scanned, which the first mark is done with. An object waits to be looked at while its
 * second mark is set and its scanned bit still is; looking clears the scanned bit, which nobody else reads any more.
 * No word of a span that interrupts read or write is changed. No memory for the scratch: no check, which is printed.
 *
 * Interrupts go on between the two marks. They free objects and drop references, so what only the first
 * mark came to says nothing. But all that they can find is marked: what only the second one came to, and lives, was
 * missed. A bad pointer is looked at again when those that may be about to clear it have ended.
 *
 * The path from a root to the holder of a bad pointer is found by marking again for each of its steps:
 * whatever the second mark was looking at when it came to an object leads one step nearer to a root.
 *
 * Its state is part of mw_gc, which is no root, and what outlives a step of it is kept complemented: a
 * path must not end at the frames of those who look for it.
 */
#include "../page/up.h"
#include "gc.h"

#if MW_GC

#define PATH_MOST 32 /* steps that are printed */

static void note_bad(struct mw_second *second, const uintptr_t *word)
{
	struct mw_bad_pointer *bad;

	if (second->target || second->bad_count++ >= MW_BAD_MOST)
		return;
	bad = &second->bad[second->bad_count - 1];
	*bad = (struct mw_bad_pointer){
		.holder = second->holder ? ~(uintptr_t)second->object : 0,
		.type = second->holder ? second->holder->type : NULL,
		.root = second->root,
		.offset = (size_t)((char *)word - second->object),
		.value = ~*word,
		.word = ~(uintptr_t)word,
	};
}

/* The object that is being marked is the one whose holder is looked for. */
static void note_holder(struct mw_second *second)
{
	second->from = second->holder ? ~(uintptr_t)second->object : 0;
	second->from_root = second->root;
}

static void second_queue(struct mw_second *second, struct mw_span *span)
{
	if (atomic_exchange_explicit(&span->queued, 1, memory_order_relaxed))
		return;
	span->gc_next = NULL;
	if (second->queue.length++)
		second->queue.last->gc_next = span;
	else
		second->queue.first = span;
	second->queue.last = span;
}

/* NULL: it has none, as it is not one of the collected spans that the first mark found. */
static struct mw_wide_span *second_bits(const struct mw_span *span)
{
	if (!span->mark || mw_span_newborn(span))
		return NULL;
	return (struct mw_wide_span *)mw_word(&span->gc_scanned);
}

/* Is it no object of its span? What died between the two marks was one when it was pointed to. */
static bool is_bad(const struct mw_span *span, size_t index)
{
	unsigned long bit = mw_bit(index);
	size_t w = index / MW_WORD_BITS;

	if (index >= span->count)
		return true;
	return mw_word(&span->free[w]) & bit && !(second_bits(span) && mw_word(&span->mark[w]) & bit);
}

/*
 * Is a typed pointer that leads to no span a bad one: a small number, or an address in a page that
 * is free? The page heap's lock is taken, so no lock may be held.
 */
static bool is_stray(uintptr_t word)
{
	return word && (word < MW_PAGE_SIZE || mw_page_is_nobodys((void *)word));
}

static void second_word(void *ctx, uintptr_t *word, bool sure)
{
	struct mw_second *second = ctx;
	struct mw_span *span = *word ? mw_span_of((void *)*word) : NULL;
	struct mw_wide_span *wide;
	mw_atomic_t *bits;
	size_t index;

	if (!span) {
		if (sure && !second->locked && mw_gc.debug & MW_GC_DEBUG_POINTERS && is_stray(*word))
			note_bad(second, word);
		return;
	}
	index = mw_span_index(span, (void *)*word);
	if (is_bad(span, index)) {
		if (sure && mw_gc.debug & MW_GC_DEBUG_POINTERS)
			note_bad(second, word);
		return;
	}
	/* What was born during the mark lives anyway. */
	wide = second_bits(span);
	if (!wide)
		return;
	bits = &wide->bits[index / MW_WORD_BITS];
	if (mw_word(bits) & mw_bit(index))
		return;
	if (second->target == ~(uintptr_t)mw_span_object(span, index))
		note_holder(second);
	mw_set_word(bits, mw_word(bits) | mw_bit(index));
	if (span->scanned)
		second_queue(second, span);
}

__attribute__((no_sanitize("address"), no_sanitize("thread"))) static void
second_range(struct mw_second *second, const void *lo, const void *hi)
{
	for (const uintptr_t *at = lo; at + 1 <= (const uintptr_t *)hi; at++) {
		uintptr_t word = *at;

		second_word(second, &word, false);
	}
}

static void second_root(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			const void *hi, const struct mw_layout *layout)
{
	struct mw_second *second = ctx;

	/*
	 * What records show comes with their lock; the object itself is looked at when it comes off
	 * the queue.
	 */
	second->locked = kind != MW_ROOT_DATA;
	second->holder = NULL;
	second->root = name ? name : "unnamed";
	second->object = (char *)lo;
	if (layout)
		mw_layout_each(layout, (void *)lo, (size_t)((char *)hi - (char *)lo), second_word,
			       second);
	else
		second_range(second, (void *)mw_round_up((uintptr_t)lo, sizeof(void *)),
			     (void *)mw_round_down((uintptr_t)hi, sizeof(void *)));
}

static void second_object(struct mw_second *second, struct mw_span *span, char *object)
{
	const struct mw_layout *layout = mw_span_layout(span);

	second->locked = false;
	second->holder = span;
	second->object = object;
	if (layout)
		mw_layout_each(layout, object, span->size, second_word, second);
	else
		second_range(second, object, object + span->size);
}

static void second_span(struct mw_second *second, struct mw_span *span)
{
	const struct mw_wide_span *wide = second_bits(span);

	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	for (size_t w = 0; w < span->words; w++) {
		unsigned long todo = mw_word(&wide->bits[w]) & mw_word(&span->scanned[w]);

		mw_set_word(&span->scanned[w], mw_word(&span->scanned[w]) & ~todo);
		for (; todo; todo &= todo - 1)
			second_object(second, span,
				      mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(todo)));
	}
}

/* Large objects are marked as scanned nowhere else: their bit is made what the others' are. */
static void prepare(struct mw_wide_span *wide)
{
	struct mw_span *span = wide->span;

	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	for (size_t w = 0; w < wide->words; w++) {
		mw_set_word(&wide->bits[w], 0);
		if (span->scanned)
			mw_set_word(&span->scanned[w], mw_word(&span->mark[w]));
	}
}

/* Every descriptor has its record or 0 in gc_scanned: there may be more ways to one than by this walk. */
static bool give_bits(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	bool room = true;

	while ((span = mw_span_next_raw(&cursor))) {
		struct mw_wide_span *wide = NULL;

		if (mw_span_newborn(span))
			continue;
		if (mw_span_readable(span) && mw_span_flags(span) & MW_SPAN_COLLECTED) {
			wide = mw_wide_record(span);
			room &= wide != NULL;
		}
		if (wide)
			wide->span = span;
		mw_set_word(&span->gc_scanned, (uintptr_t)wide);
	}
	return room;
}

/* No collected span goes while the world is stopped. */
static void take_bits(void)
{
	struct mw_wide_cursor cursor = { 0 };
	struct mw_wide_span *wide;

	while ((wide = mw_wide_next(&cursor)))
		mw_set_word(&wide->span->gc_scanned, 0);
}

static bool compare(struct mw_wide_span *wide)
{
	const struct mw_span *span = wide->span;

	for (size_t w = 0; w < wide->words; w++) {
		unsigned long first = mw_word(&span->mark[w]), second = mw_word(&wide->bits[w]);

		if (!(second & ~first & mw_span_live_word(span, w)))
			continue;
		mw_print("marrow: marks differ: span %p, objects from %zu: %lx, again %lx\n",
			 (void *)span->base, w * MW_WORD_BITS, first, second);
		return false;
	}
	return true;
}

static bool compare_all(void)
{
	struct mw_wide_cursor cursor = { 0 };
	struct mw_wide_span *wide;
	bool same = true;

	while ((wide = mw_wide_next(&cursor)))
		same &= compare(wide);
	return same;
}

static void mark_second(struct mw_second *second)
{
	struct mw_wide_cursor cursor = { 0 };
	struct mw_wide_span *wide;

	while ((wide = mw_wide_next(&cursor)))
		prepare(wide);
	mw_roots_each(second_root, second);
	mw_roots_each_born(second_root, second);
	while (second->queue.length) {
		struct mw_span *span = second->queue.first;

		second->queue.first = span->gc_next;
		second->queue.length--;
		second_span(second, span);
	}
}

/* ---- the path from a root ---- */

static MW_NOINLINE void print_step(const char *what, uintptr_t hidden)
{
	const struct mw_span *span = mw_span_of((void *)~hidden);

	mw_print("  %s %p%s%s\n", what, (void *)~hidden, span && span->type ? ", " : "",
		 span && span->type ? span->type->name : "");
}

/* How the holder is reached: who points to it, who to that one, up to a root. */
static void print_path(struct mw_second *second, const struct mw_bad_pointer *bad)
{
	const char *root = bad->root;
	uintptr_t at = bad->holder;

	for (unsigned int step = 0; at; step++) {
		if (step == PATH_MOST) {
			mw_print("  and so on\n");
			return;
		}
		print_step(step ? "reached from" : "held by", at);
		second->target = at;
		second->from = 0;
		second->from_root = NULL;
		mark_second(second);
		at = second->from;
		root = second->from_root;
	}
	mw_print("  %s root %s\n", bad->holder ? "reached from" : "held by",
		 root ? root : "that is not known");
}

static MW_NOINLINE void report_bad(const struct mw_bad_pointer *bad)
{
	const struct mw_type *type = bad->type;
	struct mw_report report = {
		.what = MW_BAD_POINTER,
		.address = (void *)~bad->value,
		.object = bad->holder ? (void *)~bad->holder : NULL,
		.given = bad->offset,
	};
	const struct mw_span *span = mw_span_of((void *)~bad->value);
	const char *is = "no object";
	char text[160];

	if (span) {
		report.span = span->base;
		report.span_pages = span->pages;
	} else if (~bad->value < MW_PAGE_SIZE) {
		is = "a small number";
	} else {
		mw_page_stray((void *)~bad->value, &report);
		report.what = MW_BAD_POINTER;
		is = report.text;
	}
	mw_format(text, sizeof(text), "%s.%s at offset %zu holds %p, which is %s",
		  type ? type->name : "a root", type ? mw_field_name(type, bad->offset) : "",
		  bad->offset, (void *)~bad->value, is);
	report.text = text;
	mw_misuse(&report);
}

/*
 * Who frees what is pointed to clears the pointer before it ends: it is there still, in what lives, and
 * leads to no object still.
 */
static bool still_bad(const struct mw_bad_pointer *bad)
{
	const char *holder = (char *)~bad->holder;
	const struct mw_span *span = bad->holder ? mw_span_of(holder) : NULL;

	if (bad->holder && (!span || !mw_span_live(span, mw_span_index(span, holder))))
		return false;
	if (*(const volatile uintptr_t *)~bad->word != ~bad->value)
		return false;
	span = mw_span_of((void *)~bad->value);
	if (!span)
		return is_stray(~bad->value);
	return is_bad(span, mw_span_index(span, (void *)~bad->value));
}

/* Return: is there none? */
static bool report_all_bad(struct mw_second *second)
{
	bool none = true;

	if (second->bad_count)
		mw_handlers_wait();
	for (unsigned int i = 0; i < mw_min(second->bad_count, MW_BAD_MOST); i++) {
		if (!still_bad(&second->bad[i]))
			continue;
		none = false;
		print_path(second, &second->bad[i]);
		report_bad(&second->bad[i]);
	}
	return none;
}

static bool no_memory(void)
{
	mw_print("marrow: no memory for a second mark, marks are not checked\n");
	return false;
}

bool mw_check_wanted(void)
{
	return mw_gc.check_wanted || mw_gc.debug & (MW_GC_DEBUG_POINTERS | MW_GC_DEBUG_CHECK);
}

void mw_check_end(void)
{
	mw_wide_forget();
	if (!mw_gc.safe.on)
		mw_wide_drop();
}

bool mw_check_begin(void)
{
	bool room = mw_wide_room(true);

	mw_gc.check_ok = false;
	mw_wide_forget();
	if (room)
		return true;
	mw_check_end();
	return no_memory();
}

void mw_check_marks(void)
{
	struct mw_second *second = &mw_gc.second;

	*second = (struct mw_second){ 0 };
	if (give_bits()) {
		mark_second(second);
		mw_gc.check_ok = compare_all();
		mw_gc.check_ok &= report_all_bad(second);
	} else {
		(void)no_memory();
	}
	take_bits();
}

void mw_gc_debug(unsigned int aids, unsigned long every)
{
	mw_gc_ready();
	atomic_store_explicit(&mw_gc.debug, aids, memory_order_relaxed);
	mw_set_word(&mw_gc.pace.every, every);
	mw_object_slowly(every != 0);
}

#endif
