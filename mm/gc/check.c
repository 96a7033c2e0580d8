/* SPDX-License-Identifier: MIT */
/*
 * The collector checks itself: a second mark by other means, compared with the first bit by bit.
 *
 * This one is alone, takes roots and objects one at a time, and shares no code with mark.c but the root
 * walk and the layouts. With the world stopped and flushed, no collected span has remote frees: the
 * remote words hold the second marks. An object waits to be looked at while its second mark is
 * set and its scanned bit still is; looking clears the scanned bit. So this needs no memory either.
 */
#include "gc.h"

#if MW_GC

struct second {
	struct mw_span_queue queue;
	struct mw_span *holder; /* being looked at; NULL: a root */
	char *object;
	unsigned int bad;
	bool ok;
};

#define BAD_MOST 4 /* reports of bad pointers in one check */

static void *path_next(const void *target);

/* How the object is reached: who points to it, who to that one, up to a root. */
static void print_path(const void *object)
{
	const void *seen[16];
	size_t n = 0;

	for (const void *at = object; at && n < MW_LEN(seen); at = path_next(at)) {
		mw_print("  %s %p\n", n ? "reached from" : "holder", at);
		for (size_t i = 0; i < n; i++)
			if (seen[i] == at)
				return;
		seen[n++] = at;
	}
}

static void bad_pointer(struct second *second, const uintptr_t *word)
{
	size_t offset = (size_t)((char *)word - second->object);
	const struct mw_type *type = second->holder ? second->holder->type : NULL;
	struct mw_report report = {
		.what = MW_BAD_POINTER,
		.address = (void *)*word,
		.object = second->object,
		.given = offset,
	};
	char text[120];

	if (second->bad++ >= BAD_MOST)
		return;
	mw_format(text, sizeof(text), "%s.%s at offset %zu holds %p, which is no object",
		  type ? type->name : "a root", type ? mw_field_name(type, offset) : "", offset,
		  (void *)*word);
	report.text = text;
	if (second->holder)
		print_path(second->object);
	mw_misuse(&report);
}

static void second_queue(struct second *second, struct mw_span *span)
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
	struct second *second = ctx;
	struct mw_span *span = *word ? mw_span_of((void *)*word) : NULL;
	size_t index, w;

	if (!span)
		return;
	index = mw_span_index(span, (void *)*word);
	w = index / MW_WORD_BITS;
	if (index >= span->count || mw_word(&span->free[w]) & mw_bit(index)) {
		if (sure && mw_gc.debug & MW_GC_DEBUG_POINTERS)
			bad_pointer(second, word);
		return;
	}
	if (!span->mark || mw_word(&span->remote[w]) & mw_bit(index))
		return;
	mw_set_word(&span->remote[w], mw_word(&span->remote[w]) | mw_bit(index));
	if (span->scanned)
		second_queue(second, span);
}

__attribute__((no_sanitize("address"), no_sanitize("thread"))) static void
second_range(struct second *second, const void *lo, const void *hi)
{
	for (const uintptr_t *at = lo; at + 1 <= (const uintptr_t *)hi; at++) {
		uintptr_t word = *at;

		second_word(second, &word, false);
	}
}

static void second_root(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			const void *hi, const struct mw_layout *layout)
{
	struct second *second = ctx;

	(void)kind, (void)name;
	second->holder = NULL;
	second->object = (char *)lo;
	if (layout)
		mw_layout_each(layout, (void *)lo, (size_t)((char *)hi - (char *)lo), second_word,
			       second);
	else
		second_range(second, (void *)mw_round_up((uintptr_t)lo, sizeof(void *)),
			     (void *)mw_round_down((uintptr_t)hi, sizeof(void *)));
}

static void second_object(struct second *second, struct mw_span *span, char *object)
{
	const struct mw_layout *layout = mw_span_layout(span);

	second->holder = span;
	second->object = object;
	if (layout)
		mw_layout_each(layout, object, span->size, second_word, second);
	else
		second_range(second, object, object + span->size);
}

static void second_span(struct second *second, struct mw_span *span)
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
		if (span->in_use && (mw_span_flags(span) & MW_SPAN_COLLECTED) &&
		    !mw_span_newborn(span))
			ok &= fn(span);
	return ok;
}

static bool prepare_one(struct mw_span *span)
{
	prepare(span);
	return true;
}

bool mw_check_marks(void)
{
	struct second second = { .ok = true };

	each_collected(prepare_one);
	mw_roots_each(second_root, &second);
	while (second.queue.length) {
		struct mw_span *span = second.queue.first;

		second.queue.first = span->gc_next;
		second.queue.length--;
		second_span(&second, span);
	}
	mw_gc.check_ok = each_collected(compare) && !second.bad;
	return mw_gc.check_ok;
}

bool mw_gc_check(void)
{
	unsigned int before =
		atomic_fetch_or_explicit(&mw_gc.debug, MW_GC_DEBUG_CHECK, memory_order_relaxed);
	bool ok = mw_gc_collect(MW_COLLECT_MARKED) && mw_gc.check_ok;

	atomic_store_explicit(&mw_gc.debug, before, memory_order_relaxed);
	return ok;
}

void mw_gc_debug(unsigned int aids, unsigned long every)
{
	mw_gc_ready();
	atomic_store_explicit(&mw_gc.debug, aids, memory_order_relaxed);
	mw_set_word(&mw_gc.pace.every, every);
	mw_object_slowly(every != 0);
}

/* ---- the path to a root ---- */

struct search {
	uintptr_t lo, hi; /* the target */
	void *found;
	char *object;
};

static void search_word(void *ctx, uintptr_t *word, bool sure)
{
	struct search *search = ctx;

	(void)sure;
	if (!search->found && *word >= search->lo && *word < search->hi)
		search->found = search->object;
}

static void search_span(struct search *search, struct mw_span *span)
{
	const struct mw_layout *layout = mw_span_layout(span);

	for (size_t i = 0; i < span->count && !search->found; i++) {
		char *object = mw_span_object(span, i);

		if (!(mw_word(&span->mark[i / MW_WORD_BITS]) & mw_bit(i)) ||
		    (uintptr_t)object == search->lo)
			continue;
		search->object = object;
		if (layout)
			mw_layout_each(layout, object, span->size, search_word, search);
		else
			for (size_t at = 0; at + sizeof(void *) <= span->size; at += sizeof(void *))
				search_word(search, (uintptr_t *)(object + at), false);
	}
}

/* A marked object that points to @target, or NULL: then a root does. */
static void *path_next(const void *target)
{
	struct mw_span *span = mw_span_of(target);
	struct search search = { .lo = (uintptr_t)target };
	struct mw_span_cursor cursor = { 0 };

	if (!span)
		return NULL;
	search.hi = search.lo + span->size;
	while (!search.found && (span = mw_span_next(&cursor)))
		if (span->in_use && span->scanned)
			search_span(&search, span);
	return search.found;
}

#endif
