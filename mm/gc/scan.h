/* SPDX-License-Identifier: MIT */
/*
 * From marks to scans: all objects of a span that were marked and not scanned, a word of marks at a
 * time. Inline, for the loops of mark.c.
 */
#ifndef MW_GC_SCAN_H
#define MW_GC_SCAN_H

#include "mark.h"

#if MW_GC

#define MW_SHORT_RUN 8 /* words */
#define MW_PIECE ((size_t)128 << 10) /* of a large object, or of a range of roots */

enum mw_scan_kind {
	MW_SCAN_ONE, /* one pointer in each object; alone */
	MW_SCAN_MASK,
	MW_SCAN_RUN, /* pointers that lie side by side */
	MW_SCAN_WORDS,
	MW_SCAN_PROGRAM,
};

/* A copy of what a list within one span is followed by. */
struct mw_own {
	uintptr_t base;
	size_t bytes;
	unsigned long magic;
	mw_atomic_t *free, *mark;
};

/* What is to be known of a span to scan its objects. */
struct mw_scan {
	struct mw_span *span;
	const struct mw_layout *layout; /* NULL: every word may be a pointer */
	size_t stride, size;
	unsigned long mask; /* of MW_SCAN_MASK; bit i: word i is a pointer */
	size_t at; /* of MW_SCAN_ONE and MW_SCAN_RUN: bytes to the first */
	struct mw_own own; /* what its objects point to if it is in this span */
	mw_atomic_t *scanned;
	size_t words; /* looked at in each object; 0: counted one by one */
};

struct mw_visitor {
	struct mw_marker *marker;
	struct mw_target *target;
	enum mw_marking_mode mode;
};

MW_MARK_INLINE void mw_scan_visit(void *ctx, uintptr_t *word, bool sure)
{
	struct mw_visitor *v = ctx;

	(void)sure;
	v->marker->words++;
	if (*word)
		mw_mark_word(v->marker, v->target, *word, v->mode);
}

/* By the steps of a layout that needs them: loops, tags, flexible arrays. */
MW_MARK_INLINE void mw_scan_program(struct mw_marker *marker, struct mw_target *t,
				    const struct mw_layout *layout, char *base, size_t bytes,
				    enum mw_marking_mode mode)
{
	struct mw_visitor visitor = { marker, t, mode };
	const uintptr_t *words = (const uintptr_t *)(base + layout->flex);
	size_t n;

	if (!layout->flex_dense) {
		mw_layout_each(layout, base, bytes, mw_scan_visit, &visitor);
		return;
	}
	MW_DASSERT(mw_layout_fits(layout, bytes));
	mw_layout_run(layout->step, base, mw_scan_visit, &visitor);
	n = (bytes - layout->flex) / sizeof(*words);
	marker->words += n;
	mw_mark_each(marker, t, words, words + n, mode);
}

/* The words of @mask, which has at least one bit. */
MW_MARK_INLINE void mw_scan_masked(struct mw_marker *marker, struct mw_target *t,
				   const uintptr_t *words, unsigned long mask,
				   enum mw_marking_mode mode)
{
	do {
		uintptr_t word = words[mw_lowest_bit(mask)];

		if (word)
			mw_mark_word(marker, t, word, mode);
	} while ((mask &= mask - 1));
}

/* The @n words from @word on, at least one. */
MW_MARK_INLINE void mw_scan_run(struct mw_marker *marker, struct mw_target *t,
				const uintptr_t *word, size_t n, enum mw_marking_mode mode)
{
	const uintptr_t *end = word + n;

	do {
		if (*word)
			mw_mark_word(marker, t, *word, mode);
	} while (++word < end);
}

/*
 * One object with one pointer, and then what it points to, as long as that lies in the same span and was not
 * marked: a list is followed here, and marked and scanned is the same. Return: objects behind the first.
 */
MW_MARK_INLINE size_t mw_scan_chain(struct mw_marker *marker, struct mw_target *t,
				    const struct mw_scan *scan, const char *object)
{
	const struct mw_own *own = &scan->own;
	size_t n = 0;

	for (;;) {
		uintptr_t word = *(const uintptr_t *)(object + scan->at);
		unsigned long bit, mark, scanned;
		size_t index, w;

		if (word - own->base >= own->bytes) {
			if (word)
				mw_mark_word(marker, t, word, MW_ALONE);
			return n;
		}
		index = (size_t)((mw_wide_t)(word - own->base) * own->magic >> MW_WORD_BITS);
		w = index / MW_WORD_BITS;
		mark = mw_word(&own->mark[w]);
		/* What a wide mark does not want to be looked into counts as scanned. */
		scanned = mw_word(&scan->scanned[w]);
		bit = mw_bit(index) & ~(mark | mw_word(&own->free[w]));
		if (!(bit & ~scanned)) {
			mw_set_word(&own->mark[w], mark | bit);
			return n;
		}
		mw_set_word(&own->mark[w], mark | bit);
		mw_set_word(&scan->scanned[w], scanned | bit);
		object = (const char *)own->base + index * scan->stride;
		n++;
	}
}

/* A word that may lead on within the object's own span: if it does, to *@near - 1. In MW_ALONE mode. */
MW_MARK_INLINE void mw_scan_near(struct mw_marker *marker, struct mw_target *t,
				 const struct mw_scan *scan, uintptr_t word, size_t *near)
{
	struct mw_span *span;
	unsigned long old;
	size_t index, w;

	if (!word || !mw_target_reach(t, word))
		return;
	span = t->span;
	index = mw_target_index(t, word);
	w = index / MW_WORD_BITS;
	old = mw_word(&span->mark[w]);
	if ((old | mw_word(&span->free[w])) >> index % MW_WORD_BITS & 1)
		return;
	mw_set_word(&span->mark[w], old | mw_bit(index));
	if (mw_unlikely(!atomic_load_explicit(&span->queued, memory_order_relaxed)))
		mw_marked(marker, span);
	if (span == scan->span)
		*near = index + 1;
}

/* The words of one object. Return: one behind an object of its own span that was not marked; 0: none. */
MW_MARK_INLINE size_t mw_scan_words(struct mw_marker *marker, struct mw_target *t,
				    const struct mw_scan *scan, const uintptr_t *words)
{
	const volatile uintptr_t *at = words;
	size_t near = 0;

	for (size_t n = scan->words / 4; n; n--, at += 4) {
		if (mw_four_zero((const uintptr_t *)at))
			continue;
		mw_scan_near(marker, t, scan, at[0], &near);
		mw_scan_near(marker, t, scan, at[1], &near);
		mw_scan_near(marker, t, scan, at[2], &near);
		mw_scan_near(marker, t, scan, at[3], &near);
	}
	for (size_t n = scan->words % 4; n; n--)
		mw_scan_near(marker, t, scan, *at++, &near);
	return near;
}

/* The same for objects of which every word may be a pointer: behind each, one of those that it led to. */
MW_MARK_INLINE size_t mw_scan_words_chain(struct mw_marker *marker, struct mw_target *t,
					  const struct mw_scan *scan, const char *object)
{
	size_t n = 0, near;

	while ((near = mw_scan_words(marker, t, scan, (const uintptr_t *)object))) {
		size_t index = near - 1;
		mw_atomic_t *scanned = &scan->scanned[index / MW_WORD_BITS];
		unsigned long old = mw_word(scanned);

		if (old >> index % MW_WORD_BITS & 1)
			return n;
		mw_set_word(scanned, old | mw_bit(index));
		object = (const char *)scan->own.base + index * scan->stride;
		n++;
	}
	return n;
}

/* Ranges and large objects, whatever they are of. */
MW_MARK_INLINE void mw_scan_bytes(struct mw_marker *marker, struct mw_target *t,
				  const struct mw_layout *layout, char *base, size_t bytes,
				  enum mw_marking_mode mode)
{
	uintptr_t *words = (uintptr_t *)base;

	if (layout && !layout->dense) {
		mw_scan_program(marker, t, layout, base, bytes, mode);
	} else {
		marker->words += bytes / sizeof(*words);
		mw_mark_each(marker, t, words, words + bytes / sizeof(*words), mode);
	}
	mw_mark_settle(marker, t, mode);
}

/* Return: objects that were scanned behind it. */
MW_MARK_INLINE size_t mw_scan_object(struct mw_marker *marker, struct mw_target *t,
				     const struct mw_scan *scan, char *object,
				     enum mw_scan_kind kind, enum mw_marking_mode mode)
{
	uintptr_t *words = (uintptr_t *)object;

	if (kind == MW_SCAN_ONE)
		return mw_scan_chain(marker, t, scan, object);
	if (kind == MW_SCAN_WORDS && mode == MW_ALONE)
		return mw_scan_words_chain(marker, t, scan, object);
	if (kind == MW_SCAN_RUN)
		mw_scan_run(marker, t, (uintptr_t *)(object + scan->at), scan->words, mode);
	else if (kind == MW_SCAN_MASK)
		mw_scan_masked(marker, t, words, scan->mask, mode);
	else if (kind == MW_SCAN_WORDS)
		mw_mark_each(marker, t, words, words + scan->words, mode);
	else
		mw_scan_program(marker, t, scan->layout, object, scan->size, mode);
	return 0;
}

MW_MARK_INLINE unsigned long mw_scan_todo(const struct mw_span *span, size_t w)
{
	return atomic_load_explicit(&span->mark[w], memory_order_seq_cst) &
	       ~mw_word(&span->scanned[w]);
}

/*
 * Fetch the objects of a word of bits that is scanned soon. Where four and more lie side by side the
 * machine does it by itself.
 */
MW_MARK_INLINE void mw_scan_prefetch(const struct mw_scan *scan, size_t w)
{
	unsigned long todo = mw_scan_todo(scan->span, w);
	unsigned long pairs = todo & todo >> 1;
	char *base = mw_span_object(scan->span, w * MW_WORD_BITS);

	if (pairs & pairs >> 2)
		return;
	for (; todo; todo &= todo - 1)
		__builtin_prefetch(base + mw_lowest_bit(todo) * scan->stride);
}

/* What is marked in one word of bits and this marker's to scan; it counts as scanned from now on. */
MW_MARK_INLINE unsigned long mw_scan_claim(mw_atomic_t *mark, mw_atomic_t *scanned,
					   enum mw_marking_mode mode)
{
	unsigned long todo, old = mw_word(scanned);

	todo = atomic_load_explicit(mark, memory_order_seq_cst) & ~old;
	if (!todo)
		return 0;
	if (mode == MW_SHARED)
		todo &= ~atomic_fetch_or_explicit(scanned, todo, memory_order_relaxed);
	else
		mw_set_word(scanned, old | todo);
	return todo;
}

/* @base is that of the word's first object. Return: as mw_scan_object(). */
MW_MARK_INLINE size_t mw_scan_claimed(struct mw_marker *marker, struct mw_target *t,
				      const struct mw_scan *scan, char *base, unsigned long todo,
				      enum mw_scan_kind kind, enum mw_marking_mode mode)
{
	size_t stride = scan->stride, behind = 0;

	if (kind == MW_SCAN_WORDS && !~todo && stride == scan->size) {
		uintptr_t *words = (uintptr_t *)base;

		mw_mark_each(marker, t, words, words + MW_WORD_BITS * scan->words, mode);
		return 0;
	}
	do
		behind += mw_scan_object(marker, t, scan, base + mw_lowest_bit(todo) * stride, kind,
					 mode);
	while ((todo &= todo - 1));
	return behind;
}

/*
 * All there is to do in one word of bits, until it stays so: what its objects point to often lies
 * beside them, so a chain is followed here and not by way of the queue.
 */
MW_MARK_INLINE void mw_scan_word(struct mw_marker *marker, struct mw_target *t,
				 const struct mw_scan *scan, size_t w, enum mw_scan_kind kind,
				 enum mw_marking_mode mode)
{
	mw_atomic_t *mark = &scan->span->mark[w], *scanned = &scan->span->scanned[w];
	unsigned long before = mw_word(scanned), todo;
	char *base = mw_span_object(scan->span, w * MW_WORD_BITS);
	/* Else all that is scanned lies in this word, and is counted at the end. */
	bool counted = mode == MW_SHARED || kind == MW_SCAN_ONE || kind == MW_SCAN_WORDS;
	size_t objects = 0;

	while ((todo = mw_scan_claim(mark, scanned, mode))) {
		if (counted)
			objects += mw_count_bits(todo);
		objects += mw_scan_claimed(marker, t, scan, base, todo, kind, mode);
		/* Here is more to do if pointers led here. */
		if (mode == MW_SHARED && t->span == scan->span)
			mw_mark_settle(marker, t, mode);
	}
	if (!counted)
		objects = mw_count_bits(mw_word(scanned) ^ before);
	mw_mark_count(marker, scan->span, objects);
	marker->words += objects * scan->words;
}

/* Out of line, so that each kind has the registers for itself. */
MW_MARK_INLINE void mw_scan_span(struct mw_marker *marker, const struct mw_scan *given,
				 enum mw_scan_kind kind, enum mw_marking_mode mode)
{
	struct mw_pending pending;
	struct mw_target target = { .pending = &pending };
	struct mw_scan scan = *given;

	mw_pending_init(&pending);
	mw_target_set(&target, scan.span);
	for (size_t w = 0; w < scan.span->words; w++) {
		if (!mw_scan_todo(scan.span, w))
			continue;
		if (w + 1 < scan.span->words)
			mw_scan_prefetch(&scan, w + 1);
		mw_scan_word(marker, &target, &scan, w, kind, mode);
		/* What lies before is looked at again at once: lists grow in both directions. */
		if (w && mw_scan_todo(scan.span, w - 1))
			w -= 2;
	}
	mw_mark_settle(marker, &target, mode);
}

/* A flexible array behind a part without pointers is one run of them, however long it is. */
MW_MARK_INLINE enum mw_scan_kind mw_scan_choose_tail(struct mw_scan *scan,
						     const struct mw_layout *layout)
{
	if (!layout->flex_dense || layout->step->op != MW_OP_END || scan->size <= layout->flex)
		return MW_SCAN_PROGRAM;
	scan->at = layout->flex;
	scan->words = (scan->size - layout->flex) / sizeof(uintptr_t);
	if (scan->words <= MW_SHORT_RUN)
		return MW_SCAN_RUN;
	scan->words = 0;
	return MW_SCAN_PROGRAM;
}

/* What the objects of a span are scanned by. */
MW_MARK_INLINE enum mw_scan_kind mw_scan_choose(struct mw_scan *scan, struct mw_span *span)
{
	const struct mw_layout *layout = mw_span_layout(span);

	*scan = (struct mw_scan){
		.span = span,
		.layout = layout,
		.stride = span->stride,
		.size = span->size,
		.scanned = span->scanned,
		.own = { (uintptr_t)span->base, (size_t)span->count * span->stride, span->magic,
			 span->free, span->mark },
	};
	if (!layout || layout->dense) {
		scan->words = span->size / sizeof(uintptr_t);
		return MW_SCAN_WORDS;
	}
	if (!layout->by_mask)
		return mw_scan_choose_tail(scan, layout);
	if (span->size > MW_WORD_BITS * sizeof(uintptr_t))
		return MW_SCAN_PROGRAM;
	/* An array of a few elements is one object to a mask. */
	for (size_t at = 0; at + layout->size <= span->size; at += layout->size)
		scan->mask |= layout->mask << at / sizeof(uintptr_t);
	scan->words = mw_count_bits(scan->mask);
	if (!scan->mask)
		return MW_SCAN_PROGRAM;
	scan->at = mw_lowest_bit(scan->mask) * sizeof(uintptr_t);
	if (scan->words == 1)
		return MW_SCAN_ONE;
	/* Without holes: what is behind its last bit is one that a carry reaches. */
	return scan->mask & (scan->mask + (scan->mask & -scan->mask)) || scan->words > MW_SHORT_RUN
		       ? MW_SCAN_MASK
		       : MW_SCAN_RUN;
}

#endif
#endif
