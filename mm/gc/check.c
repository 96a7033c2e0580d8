/* SPDX-License-Identifier: MIT */
/*
 * The collector checks itself: a second mark by other means, compared with the first bit by bit.
 *
 * This one is alone, takes roots and objects one at a time, and shares no code with mark.c but the root
 * walk and the layouts. With the world stopped and flushed, no collected span has remote frees: the
 * remote words hold the second marks. An object waits to be looked at while its second mark is
 * set and its scanned bit still is; looking clears the scanned bit. So this needs no memory either.
 *
 * The path from a root to the holder of a bad pointer is found by marking again for each of its steps:
 * whatever the second mark was looking at when it came to an object leads one step nearer to a root.
 *
 * Its state is part of mw_gc, which is no root, and what outlives a step of it is kept complemented: a
 * path must not end at the frames of those who look for it.
 */
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

static void second_word(void *ctx, uintptr_t *word, bool sure)
{
	struct mw_second *second = ctx;
	struct mw_span *span = *word ? mw_span_of((void *)*word) : NULL;
	size_t index, w;

	if (!span)
		return;
	index = mw_span_index(span, (void *)*word);
	w = index / MW_WORD_BITS;
	if (index >= span->count || mw_word(&span->free[w]) & mw_bit(index)) {
		if (sure && mw_gc.debug & MW_GC_DEBUG_POINTERS)
			note_bad(second, word);
		return;
	}
	/* What was born during the mark lives anyway, and its remote words are its own. */
	if (!span->mark || mw_word(&span->remote[w]) & mw_bit(index) || mw_span_newborn(span))
		return;
	if (second->target == ~(uintptr_t)mw_span_object(span, index))
		note_holder(second);
	mw_set_word(&span->remote[w], mw_word(&span->remote[w]) | mw_bit(index));
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

	(void)kind;
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

	second->holder = span;
	second->object = object;
	if (layout)
		mw_layout_each(layout, object, span->size, second_word, second);
	else
		second_range(second, object, object + span->size);
}

static void second_span(struct mw_second *second, struct mw_span *span)
{
	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	for (size_t w = 0; w < span->words; w++) {
		unsigned long todo = mw_word(&span->remote[w]) & mw_word(&span->scanned[w]);

		mw_set_word(&span->scanned[w], mw_word(&span->scanned[w]) & ~todo);
		for (; todo; todo &= todo - 1)
			second_object(second, span,
				      mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(todo)));
	}
}

/* Large objects are marked as scanned nowhere else: their bit is made what the others' are. */
static void prepare(struct mw_span *span)
{
	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	for (size_t w = 0; span->scanned && w < span->words; w++)
		mw_set_word(&span->scanned[w], mw_word(&span->mark[w]));
}

static bool compare(struct mw_span *span)
{
	bool same = true;

	for (size_t w = 0; w < span->words; w++) {
		unsigned long first = mw_word(&span->mark[w]), second = mw_word(&span->remote[w]);

		mw_set_word(&span->remote[w], 0);
		if (first == second || !same)
			continue;
		same = false;
		mw_print("marrow: marks differ: span %p, objects from %zu: %lx, again %lx\n",
			 (void *)span->base, w * MW_WORD_BITS, first, second);
	}
	return same;
}

typedef bool each_span_fn(struct mw_span *span);

static bool each_collected(each_span_fn *fn)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	bool ok = true;

	while ((span = mw_span_next(&cursor)))
		if ((mw_span_flags(span) & MW_SPAN_COLLECTED) && !mw_span_newborn(span))
			ok &= fn(span);
	return ok;
}

static bool prepare_one(struct mw_span *span)
{
	prepare(span);
	return true;
}

static bool forget_one(struct mw_span *span)
{
	for (size_t w = 0; w < span->words; w++)
		mw_set_word(&span->remote[w], 0);
	return true;
}

static void mark_second(struct mw_second *second)
{
	each_collected(prepare_one);
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
		each_collected(forget_one);
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
	char text[120];

	mw_format(text, sizeof(text), "%s.%s at offset %zu holds %p, which is no object",
		  type ? type->name : "a root", type ? mw_field_name(type, bad->offset) : "",
		  bad->offset, (void *)~bad->value);
	report.text = text;
	mw_misuse(&report);
}

bool mw_check_marks(void)
{
	struct mw_second *second = &mw_gc.second;

	*second = (struct mw_second){ 0 };
	mark_second(second);
	mw_gc.check_ok = each_collected(compare) && !second->bad_count;
	for (unsigned int i = 0; i < mw_min(second->bad_count, MW_BAD_MOST); i++) {
		print_path(second, &second->bad[i]);
		report_bad(&second->bad[i]);
	}
	return mw_gc.check_ok;
}

void mw_gc_debug(unsigned int aids, unsigned long every)
{
	mw_gc_ready();
	atomic_store_explicit(&mw_gc.debug, aids, memory_order_relaxed);
	mw_set_word(&mw_gc.pace.every, every);
	mw_object_slowly(every != 0);
}

#endif
