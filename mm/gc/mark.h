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
	unsigned int n; /* the last one that is pending; 0: none */
	struct mw_pending_word {
		mw_atomic_t *mark, *free;
		unsigned long bits; /* objects to be marked, if they are live and are not marked yet */
		struct mw_span *span;
	} word[1 + MW_PENDING]; /* the first one is of no span, so that the last one can always be looked at */
};

/* The span that the last pointer led to: the next one often leads there too. */
struct mw_target {
	struct mw_span *span;
	uintptr_t base;
	size_t bytes; /* of its objects; 0: there is no span */
	unsigned long magic;
	mw_atomic_t *free, *mark;
	/*
	 * It is, and alone, nobody takes it out of the queue before this marker looks for its next span:
	 * so a mark is all there is to do. In MW_ALONE mode.
	 */
	bool queued;
	/* In the others. */
	struct mw_pending *pending;
};

static inline void mw_pending_init(struct mw_pending *pending)
{
	pending->n = 0;
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

/*
 * This marker is the one that marked these objects, perhaps none, of one word. Return: whether there
 * is nothing but marks to set in this span from now on: see mw_target.queued.
 */
bool mw_marked(struct mw_marker *marker, struct mw_span *span, unsigned long bits, bool alone);

/* Set what is pending. */
void mw_mark_settle_all(struct mw_marker *marker, struct mw_pending *pending, bool alone);

/* Objects of the target, in the word of marks with the number @w. */
MW_MARK_INLINE void mw_mark_later(struct mw_marker *marker, struct mw_target *t, size_t w,
				  unsigned long bit, enum mw_marking_mode mode)
{
	struct mw_pending_word *p = &t->pending->word[t->pending->n];

	if (&t->mark[w] == p->mark) {
		p->bits |= bit;
		return;
	}
	__builtin_prefetch((void *)&t->mark[w], 1);
	if (mw_unlikely(t->pending->n == MW_PENDING)) {
		mw_mark_settle_all(marker, t->pending, mode != MW_SHARED);
		p = t->pending->word;
	}
	t->pending->n++;
	p[1] = (struct mw_pending_word){ &t->mark[w], &t->free[w], bit, t->span };
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
	t->magic = span->magic;
	t->free = span->free;
	t->mark = span->mark;
	t->queued = atomic_load_explicit(&span->queued, memory_order_relaxed);
}

/* Return: false: @word points to nothing collected. */
MW_MARK_INLINE bool mw_target_find(struct mw_target *t, uintptr_t word)
{
	struct mw_span *span;

	if (word - mw_gc.marking.lo >= mw_gc.marking.bytes)
		return false;
	span = mw_span_of((void *)word);
	if (!span || !span->mark)
		return false;
	mw_target_set(t, span);
	return word - t->base < t->bytes;
}

/* Of the object that @word, which points into the target, leads to. */
MW_MARK_INLINE size_t mw_target_index(const struct mw_target *t, uintptr_t word)
{
	return (size_t)((mw_wide_t)(word - t->base) * t->magic >> MW_WORD_BITS);
}

/* Return: in MW_ALONE mode, the bit that was set now, of the target; 0: none. */
MW_MARK_INLINE unsigned long mw_mark_word(struct mw_marker *marker, struct mw_target *t,
					  uintptr_t word, enum mw_marking_mode mode)
{
	unsigned long bit, old;
	size_t index, w;

	if (word - t->base >= t->bytes && !mw_target_find(t, word))
		return 0;
	index = mw_target_index(t, word);
	w = index / MW_WORD_BITS;
	bit = mw_bit(index);
	if (mode == MW_ALONE) {
		/* No branch on whether it is marked, which nobody can predict. */
		old = mw_word(&t->mark[w]);
		bit &= ~(old | mw_word(&t->free[w]));
		mw_set_word(&t->mark[w], old | bit);
		if (mw_unlikely(!t->queued))
			t->queued = mw_marked(marker, t->span, bit, true);
		return bit;
	}
	mw_mark_later(marker, t, w, bit, mode);
	return 0;
}

/* Most words are zero: where sixteen of them are, they are passed by at once. Return: the first that is not behind. */
MW_MARK_INLINE const uintptr_t *mw_skip_zeros(const uintptr_t *lo, const uintptr_t *hi)
{
	while (hi - lo >= 16 && !(lo[0] | lo[1] | lo[2] | lo[3] | lo[4] | lo[5] | lo[6] | lo[7] |
				  lo[8] | lo[9] | lo[10] | lo[11] | lo[12] | lo[13] | lo[14] | lo[15]))
		lo += 16;
	return lo;
}

/* All words from @lo to @hi. */
MW_MARK_INLINE void mw_mark_each(struct mw_marker *marker, struct mw_target *t, const uintptr_t *lo,
				 const uintptr_t *hi, enum mw_marking_mode mode)
{
	for (; hi - lo >= 4; lo += 4) {
		uintptr_t a = lo[0], b = lo[1], c = lo[2], d = lo[3];

		if (!(a | b | c | d)) {
			lo = mw_skip_zeros(lo + 4, hi) - 4;
			continue;
		}
		if (a)
			(void)mw_mark_word(marker, t, a, mode);
		if (b)
			(void)mw_mark_word(marker, t, b, mode);
		if (c)
			(void)mw_mark_word(marker, t, c, mode);
		if (d)
			(void)mw_mark_word(marker, t, d, mode);
	}
	for (; lo < hi; lo++)
		if (*lo)
			(void)mw_mark_word(marker, t, *lo, mode);
}

#endif
#endif
