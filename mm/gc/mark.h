/* SPDX-License-Identifier: MIT */
/*
 * From a word to a mark: the part of a mark that runs once for each pointer, inline in all of its
 * loops. mark.c tells the whole.
 */
#ifndef MW_GC_MARK_H
#define MW_GC_MARK_H

#include "gc.h"

#if MW_GC

/* Stacks are read here as they are, whatever a sanitizer thinks of the gaps in them. */
#define MW_UNSANITIZED __attribute__((no_sanitize("address"), no_sanitize("thread")))
#define MW_MARK_INLINE MW_UNSANITIZED static inline __attribute__((always_inline))

/* How a marker sets bits. All forms are made of one source by a constant. */
enum mw_marking_mode {
	MW_ALONE, /* no locked instruction, and each mark at once: it may be of the word being scanned */
	MW_ALONE_BATCH, /* no locked instruction; for words that lie elsewhere than what they point to */
	MW_SHARED, /* others mark at the same time */
};

/*
 * Marks that are still to be set, but in MW_ALONE mode. A locked instruction waits for all that came
 * before it and lets nothing after it begin: so they are made one after the other, when the words
 * they change have been fetched, and pointers are followed undisturbed meanwhile.
 */
#define MW_PENDING 12

struct mw_pending {
	struct mw_pending_word *last; /* that is pending; the first of all: none is */
	struct mw_pending_word {
		mw_atomic_t *mark, *free;
		unsigned long bits; /* objects to be marked, if they are live and are not marked yet */
		struct mw_span *span;
	} word[1 + MW_PENDING]; /* the first one is of no span, so that the last one can always be looked at */
};

/*
 * The span that the last pointer led to: the next one often leads there too. What else a mark wants of the
 * span is read from it each time: a copy costs those that lead somewhere else each time more than that.
 */
struct mw_target {
	struct mw_span *span;
	uintptr_t base;
	size_t bytes; /* of its objects; 0: there is no span */
	struct mw_pending *pending; /* not in MW_ALONE mode */
};

static inline void mw_pending_init(struct mw_pending *pending)
{
	pending->last = pending->word;
	pending->word[0].mark = NULL;
	pending->word[0].bits = 0;
}

static inline void mw_queue_push(struct mw_span_queue *queue, struct mw_span *span)
{
	span->gc_next = NULL;
	if (queue->length++)
		queue->last->gc_next = span;
	else
		queue->first = span;
	queue->last = span;
}

static inline struct mw_span *mw_queue_pop(struct mw_span_queue *queue)
{
	struct mw_span *span = queue->first;

	if (!queue->length)
		return NULL;
	queue->first = span->gc_next;
	queue->length--;
	return span;
}

/* Objects with pointers are counted when they are scanned, many at a time. */
MW_MARK_INLINE void mw_mark_count(struct mw_marker *marker, const struct mw_span *span, size_t objects)
{
	marker->objects += objects;
	marker->bytes += objects * span->stride;
}

/* This marker, alone, is the one that marked an object of a span that is not queued. */
void mw_marked(struct mw_marker *marker, struct mw_span *span);

/* Set what is pending. */
void mw_mark_settle_all(struct mw_marker *marker, struct mw_pending *pending, bool alone);

/* Objects of the target, in the word of marks with the number @w. */
MW_MARK_INLINE void mw_mark_later(struct mw_marker *marker, struct mw_target *t, size_t w,
				  unsigned long bit, enum mw_marking_mode mode)
{
	struct mw_pending_word *p = t->pending->last;
	mw_atomic_t *mark = &t->span->mark[w];

	if (mark == p->mark) {
		p->bits |= bit;
		return;
	}
	__builtin_prefetch((void *)mark, 1);
	if (mw_unlikely(p == &t->pending->word[MW_PENDING])) {
		mw_mark_settle_all(marker, t->pending, mode != MW_SHARED);
		p = t->pending->last;
	}
	t->pending->last = p + 1;
	p[1] = (struct mw_pending_word){ mark, &t->span->free[w], bit, t->span };
}

MW_MARK_INLINE void mw_mark_settle(struct mw_marker *marker, struct mw_target *t,
				   enum mw_marking_mode mode)
{
	if (mode != MW_ALONE)
		mw_mark_settle_all(marker, t->pending, mode != MW_SHARED);
}

MW_MARK_INLINE void mw_target_set(struct mw_target *t, struct mw_span *span)
{
	t->span = span;
	t->base = (uintptr_t)span->base;
	t->bytes = (size_t)span->count * span->stride;
}

/* Return: false: @word points to nothing collected. */
MW_MARK_INLINE bool mw_target_find(struct mw_target *t, uintptr_t word)
{
	const struct mw_marking *marking = &mw_gc.marking;
	struct mw_span *span;

	if (mw_likely(word - marking->flat < marking->flat_bytes))
		span = atomic_load_explicit(
			&marking->flat_spans[(word - marking->flat) >> MW_PAGE_SHIFT],
			memory_order_acquire);
	else if (word - marking->lo < marking->bytes)
		span = mw_span_far(word);
	else
		return false;
	if (!span->mark)
		return false;
	mw_target_set(t, span);
	return word - t->base < t->bytes;
}

/* The same, and the target is what it points to. */
MW_MARK_INLINE bool mw_target_reach(struct mw_target *t, uintptr_t word)
{
	return word - t->base < t->bytes || mw_target_find(t, word);
}

/* Of the object that @word, which points into the target, leads to. */
MW_MARK_INLINE size_t mw_target_index(const struct mw_target *t, uintptr_t word)
{
	return (size_t)((mw_wide_t)(word - t->base) * t->span->magic >> MW_WORD_BITS);
}

/*
 * In MW_ALONE mode nobody takes a span out of the queue before this marker looks for its next one: as long as
 * it is in, a mark is all there is to do.
 */
MW_MARK_INLINE void mw_mark_word(struct mw_marker *marker, struct mw_target *t, uintptr_t word,
				 enum mw_marking_mode mode)
{
	struct mw_span *span;
	unsigned long marks, old;
	size_t index, w;

	if (!mw_target_reach(t, word))
		return;
	index = mw_target_index(t, word);
	w = index / MW_WORD_BITS;
	if (mode != MW_ALONE) {
		mw_mark_later(marker, t, w, mw_bit(index), mode);
		return;
	}
	span = t->span;
	/* No branch on whether it is marked, which nobody can predict. */
	old = mw_word(&span->mark[w]);
	marks = old | (mw_bit(index) & ~mw_word(&span->free[w]));
	mw_set_word(&span->mark[w], marks);
	if (mw_likely(atomic_load_explicit(&span->queued, memory_order_relaxed)))
		return;
	/* Without this gcc asks for marks first. */
	__asm__ volatile("");
	if (marks != old)
		mw_marked(marker, span);
}

/* All at once; they are read again one by one if not, which takes fewer registers. */
MW_MARK_INLINE bool mw_four_zero(const uintptr_t *words)
{
	return !(words[0] | words[1] | words[2] | words[3]);
}

MW_MARK_INLINE bool mw_sixteen_zero(const uintptr_t *words)
{
	return !(words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] |
		 words[7] | words[8] | words[9] | words[10] | words[11] | words[12] | words[13] |
		 words[14] | words[15]);
}

/*
 * Most words are zero: where many of them are, 32 are passed by at once. Between @lo and @end are fours.
 * Return: the first four that are not all zero, or @end.
 */
MW_MARK_INLINE const uintptr_t *mw_pass_zeros(const uintptr_t *lo, const uintptr_t *end)
{
	if (lo == end || !mw_four_zero(lo))
		return lo;
	lo += 4;
	if (lo == end || !mw_four_zero(lo))
		return lo;
	lo += 4;
	for (size_t n = (size_t)(end - lo) / 32; n && mw_sixteen_zero(lo); n--) {
		if (!mw_sixteen_zero(lo + 16)) {
			lo += 16;
			break;
		}
		lo += 32;
	}
	while (lo < end && mw_four_zero(lo))
		lo += 4;
	return lo;
}

/* All words from @lo to @hi. */
MW_MARK_INLINE void mw_mark_each(struct mw_marker *marker, struct mw_target *t, const uintptr_t *lo,
				 const uintptr_t *hi, enum mw_marking_mode mode)
{
	const uintptr_t *end = lo + ((hi - lo) & ~(ptrdiff_t)3);

	for (; (lo = mw_pass_zeros(lo, end)) < end; lo += 4) {
		const volatile uintptr_t *at = lo;
		uintptr_t word;

		if ((word = at[0]))
			mw_mark_word(marker, t, word, mode);
		if ((word = at[1]))
			mw_mark_word(marker, t, word, mode);
		if ((word = at[2]))
			mw_mark_word(marker, t, word, mode);
		if ((word = at[3]))
			mw_mark_word(marker, t, word, mode);
	}
	for (; lo < hi; lo++)
		if (*lo)
			mw_mark_word(marker, t, *lo, mode);
}

#endif
#endif
