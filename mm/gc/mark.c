/* SPDX-License-Identifier: MIT */
/*
 * Marking: from words to marks, from marks to scans.
 *
 * What is queued is a span, not an object: the first mark of an object in a span puts the span at
 * the end of a queue, by a link in its descriptor, and when its turn comes all its objects that
 * were marked meanwhile are scanned together. So the queue needs no memory whatever the shape of the
 * heap, and objects that lie together are read together.
 *
 * Per object there are two bits: marked, and scanned. What is left to do in a span is
 * marked & ~scanned. A marker that marks sets the bit first and asks queued after it; one that scans
 * clears queued first and reads the bits after it. Both pairs are sequentially consistent, so a
 * mark that this scan does not see finds queued clear and queues the span again.
 *
 * An object of more than PIECE bytes is alone in its span and is scanned in pieces: who takes the
 * span takes one piece and puts the span back for others before scanning it.
 *
 * Markers work on their own queues. One that sees hungry ones gives them half of what it has, up to
 * GIVE spans, by way of the shared queue. No marker busy is the end, see struct mw_marking.
 */
#include "gc.h"

#if MW_GC

#define PIECE ((size_t)128 << 10)
#define GIVE 16
#define WORD sizeof(uintptr_t)
/* Stacks are read here as they are, whatever a sanitizer thinks of the gaps in them. */
#define UNSANITIZED __attribute__((no_sanitize("address"), no_sanitize("thread")))
#define INLINE UNSANITIZED static inline __attribute__((always_inline))

static void queue_push(struct mw_span_queue *queue, struct mw_span *span)
{
	span->gc_next = NULL;
	if (queue->length++)
		queue->last->gc_next = span;
	else
		queue->first = span;
	queue->last = span;
}

static struct mw_span *queue_pop(struct mw_span_queue *queue)
{
	struct mw_span *span = queue->first;

	if (!queue->length)
		return NULL;
	queue->first = span->gc_next;
	queue->length--;
	return span;
}

/* ---- a word ---- */

/*
 * Whether this call is the one that sets @bit. Alone, a marker needs no locked instruction; both
 * forms are made of one source by a constant @alone.
 */
INLINE bool set_bit(mw_atomic_t *word, unsigned long bit, bool alone)
{
	unsigned long old = mw_word(word);

	if (old & bit)
		return false;
	if (!alone)
		return !(atomic_fetch_or_explicit(word, bit, memory_order_seq_cst) & bit);
	mw_set_word(word, old | bit);
	return true;
}

INLINE bool test_and_queue(struct mw_span *span, bool alone)
{
	if (alone) {
		if (atomic_load_explicit(&span->queued, memory_order_relaxed))
			return false;
		atomic_store_explicit(&span->queued, 1, memory_order_relaxed);
		return true;
	}
	return !atomic_load_explicit(&span->queued, memory_order_seq_cst) &&
	       !atomic_exchange_explicit(&span->queued, 1, memory_order_seq_cst);
}

/* Objects with pointers are counted when they are scanned, many at a time. */
INLINE void count(struct mw_marker *marker, const struct mw_span *span, size_t objects)
{
	marker->objects += objects;
	marker->bytes += objects * span->stride;
}

INLINE void mark_word(struct mw_marker *marker, uintptr_t word, bool alone)
{
	struct mw_span *span = mw_span_of((void *)word);
	mw_atomic_t *mark;
	unsigned long bit;
	size_t index, w;

	if (!span || !(mark = span->mark))
		return;
	index = mw_span_index(span, (void *)word);
	if (mw_unlikely(index >= span->count))
		return;
	w = index / MW_WORD_BITS;
	bit = mw_bit(index);
	if (mw_unlikely(mw_word(&span->free[w]) & bit) || !set_bit(&mark[w], bit, alone))
		return;
	if (!span->scanned)
		count(marker, span, 1);
	else if (test_and_queue(span, alone))
		queue_push(&marker->own, span);
}

/* ---- a range ---- */

INLINE void mark_all_words(struct mw_marker *marker, const uintptr_t *lo, const uintptr_t *hi,
			   bool alone)
{
	marker->words += (size_t)(hi - lo);
	for (; lo < hi; lo++)
		if (*lo)
			mark_word(marker, *lo, alone);
}

/* Out of line: for roots and pieces of large objects. */
UNSANITIZED static void mark_words(struct mw_marker *marker, const uintptr_t *lo,
				   const uintptr_t *hi, bool alone)
{
	if (alone)
		mark_all_words(marker, lo, hi, true);
	else
		mark_all_words(marker, lo, hi, false);
}

struct visitor {
	struct mw_marker *marker;
	bool alone;
};

INLINE void visit(void *ctx, uintptr_t *word, bool sure)
{
	struct visitor *visitor = ctx;

	(void)sure;
	visitor->marker->words++;
	if (*word)
		mark_word(visitor->marker, *word, visitor->alone);
}

/* By the steps of a layout that needs them: loops, tags, flexible arrays. */
UNSANITIZED static void scan_program(struct mw_marker *marker, const struct mw_layout *layout,
				     char *base, size_t bytes, bool alone)
{
	struct visitor visitor = { marker, alone };

	mw_layout_each(layout, base, bytes, visit, &visitor);
}

INLINE void scan_masked(struct mw_marker *marker, const struct mw_layout *layout, char *base,
			size_t bytes, bool alone)
{
	char *end = base + bytes;

	for (; (size_t)(end - base) >= layout->size; base += layout->size)
		for (unsigned long mask = layout->mask; mask; mask &= mask - 1) {
			uintptr_t word = ((uintptr_t *)base)[mw_lowest_bit(mask)];

			marker->words++;
			if (word)
				mark_word(marker, word, alone);
		}
}

/* @small: scan in place, without a call for each object. */
INLINE void scan_bytes(struct mw_marker *marker, const struct mw_layout *layout, char *base,
		       size_t bytes, bool alone, bool small)
{
	uintptr_t *words = (uintptr_t *)base;

	if ((!layout || layout->dense) && small)
		mark_all_words(marker, words, words + bytes / WORD, alone);
	else if (!layout || layout->dense)
		mark_words(marker, words, words + bytes / WORD, alone);
	else if (layout->by_mask && small)
		scan_masked(marker, layout, base, bytes, alone);
	else
		scan_program(marker, layout, base, bytes, alone);
}

/* ---- a span ---- */

INLINE void scan_objects(struct mw_marker *marker, struct mw_span *span, size_t w,
			 unsigned long todo, bool alone)
{
	const struct mw_layout *layout = mw_span_layout(span);
	char *base = mw_span_object(span, w * MW_WORD_BITS);
	size_t stride = span->stride, size = span->size;

	for (unsigned long bits = todo; bits; bits &= bits - 1)
		__builtin_prefetch(base + mw_lowest_bit(bits) * stride);
	for (; todo; todo &= todo - 1)
		scan_bytes(marker, layout, base + mw_lowest_bit(todo) * stride, size, alone, true);
}

/*
 * The objects of one word that are to be scanned. Return: whether there were any; then there may be more,
 * as what they point to often lies beside them.
 */
INLINE bool scan_word(struct mw_marker *marker, struct mw_span *span, size_t w, bool alone)
{
	unsigned long done = mw_word(&span->scanned[w]);
	unsigned long todo = atomic_load_explicit(&span->mark[w], memory_order_seq_cst) & ~done;

	if (!todo)
		return false;
	if (alone)
		mw_set_word(&span->scanned[w], done | todo);
	else
		todo &= ~atomic_fetch_or_explicit(&span->scanned[w], todo, memory_order_relaxed);
	count(marker, span, mw_count_bits(todo));
	scan_objects(marker, span, w, todo, alone);
	return true;
}

INLINE void scan_small(struct mw_marker *marker, struct mw_span *span, bool alone)
{
	if (alone)
		atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	else
		atomic_exchange_explicit(&span->queued, 0, memory_order_seq_cst);
	for (size_t w = 0; w < span->words; w++)
		while (scan_word(marker, span, w, alone))
			;
}

static void share(struct mw_span *span)
{
	struct mw_marking *marking = &mw_gc.marking;

	mw_lock_pinned(&marking->lock);
	queue_push(&marking->shared, span);
	atomic_store_explicit(&marking->shared_length, marking->shared.length, memory_order_seq_cst);
	mw_unlock_pinned(&marking->lock);
}

/* The next piece of an object with a span of its own. Typed arrays are cut between elements. */
INLINE void scan_large(struct mw_marker *marker, struct mw_span *span, bool alone)
{
	const struct mw_layout *layout = mw_span_layout(span);
	size_t piece = PIECE, at, bytes;

	if (layout && layout->flex != SIZE_MAX)
		piece = span->size;
	else if (layout)
		piece = mw_max(PIECE / layout->size, 1) * layout->size;
	at = atomic_fetch_add_explicit(&span->gc_scanned, piece, memory_order_relaxed);
	if (at >= span->size)
		return;
	if (!at)
		count(marker, span, 1);
	bytes = mw_min(piece, span->size - at);
	if (at + bytes < span->size) {
		if (alone)
			queue_push(&marker->own, span);
		else
			share(span);
	}
	scan_bytes(marker, layout, span->base + at, bytes, alone, false);
}

INLINE void scan_span(struct mw_marker *marker, struct mw_span *span, bool alone)
{
	if (span->count == 1)
		scan_large(marker, span, alone);
	else
		scan_small(marker, span, alone);
}

/* ---- roots ---- */

static void mark_range(struct mw_marker *marker, const struct mw_range *range, bool alone)
{
	scan_bytes(marker, range->layout, (char *)range->lo,
		   (size_t)((const char *)range->hi - (const char *)range->lo), alone, false);
}

/* Ranges are claimed whole: mw_mark_add_range() has cut them. */
static bool mark_next_range(struct mw_marker *marker, bool alone)
{
	struct mw_marking *marking = &mw_gc.marking;
	const struct mw_range *range;
	size_t i;

	if (atomic_load_explicit(&marking->next_range, memory_order_relaxed) >= marking->ranges)
		return false;
	i = atomic_fetch_add_explicit(&marking->next_range, 1, memory_order_relaxed);
	if (i >= marking->ranges)
		return false;
	range = &marking->range[i];
	mark_range(marker, range, alone);
	return true;
}

/*
 * A range inside a collected object, as the contents of one with a finalizer are, is marked where it is
 * found: to note its address, in data that the port may show as a root, would keep the object.
 */
static void keep_range(struct mw_range range)
{
	struct mw_marking *marking = &mw_gc.marking;
	struct mw_span *span = mw_span_of(range.lo);

	if (marking->ranges < MW_MAX_RANGES && !(span && span->mark)) {
		marking->range[marking->ranges++] = range;
		return;
	}
	mark_range(&marking->marker[0], &range, true);
}

void mw_mark_add_range(const void *lo, const void *hi, const struct mw_layout *layout)
{
	const char *at = (const char *)mw_round_up((uintptr_t)lo, WORD);
	const char *end = (const char *)mw_round_down((uintptr_t)hi, WORD);
	size_t piece = PIECE;

	if (layout)
		piece = layout->flex != SIZE_MAX ? SIZE_MAX
						 : mw_max(PIECE / layout->size, 1) * layout->size;
	for (; at < end; at += mw_min(piece, (size_t)(end - at)))
		keep_range((struct mw_range){
			(const uintptr_t *)at,
			(const uintptr_t *)(at + mw_min(piece, (size_t)(end - at))),
			layout,
		});
}

void mw_mark_object(const void *object)
{
	mark_word(&mw_gc.marking.marker[0], (uintptr_t)object, true);
}

void mw_mark_queue(struct mw_span *span)
{
	if (test_and_queue(span, true))
		queue_push(&mw_gc.marking.marker[0].own, span);
}

/* ---- markers ---- */

void mw_mark_begin(unsigned int markers)
{
	struct mw_marking *marking = &mw_gc.marking;

	for (unsigned int i = 0; i < MW_MAX_MARKERS; i++)
		marking->marker[i] = (struct mw_marker){ 0 };
	mw_lock_init(&marking->lock, MW_RANK_LEAF);
	marking->markers = markers;
	marking->shared = (struct mw_span_queue){ 0 };
	atomic_store_explicit(&marking->shared_length, 0, memory_order_relaxed);
	atomic_store_explicit(&marking->busy, 0, memory_order_relaxed);
	atomic_store_explicit(&marking->hungry, 0, memory_order_relaxed);
	atomic_store_explicit(&marking->next_range, 0, memory_order_relaxed);
	marking->ranges = 0;
}

void mw_mark_again(void)
{
	struct mw_marking *marking = &mw_gc.marking;

	marking->markers = 1;
	marking->ranges = 0;
	atomic_store_explicit(&marking->next_range, 0, memory_order_relaxed);
}

static void give(struct mw_marker *marker)
{
	struct mw_marking *marking = &mw_gc.marking;

	mw_lock_pinned(&marking->lock);
	for (size_t n = mw_min(marker->own.length / 2, GIVE); n; n--)
		queue_push(&marking->shared, queue_pop(&marker->own));
	atomic_store_explicit(&marking->shared_length, marking->shared.length, memory_order_seq_cst);
	mw_unlock_pinned(&marking->lock);
}

static struct mw_span *steal(struct mw_marker *marker)
{
	struct mw_marking *marking = &mw_gc.marking;
	struct mw_span *span;

	if (!atomic_load_explicit(&marking->shared_length, memory_order_seq_cst))
		return NULL;
	mw_lock_pinned(&marking->lock);
	span = queue_pop(&marking->shared);
	atomic_store_explicit(&marking->shared_length, marking->shared.length, memory_order_seq_cst);
	mw_unlock_pinned(&marking->lock);
	marker->steals += span != NULL;
	return span;
}

/* Work, or NULL when no marker has any and none will come. The marker is busy, and then it is not. */
static struct mw_span *wait_for_work(struct mw_marker *marker)
{
	struct mw_marking *marking = &mw_gc.marking;
	struct mw_span *span = NULL;

	atomic_fetch_add_explicit(&marking->hungry, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&marking->busy, 1, memory_order_seq_cst);
	while (!span && atomic_load_explicit(&marking->busy, memory_order_seq_cst)) {
		if (atomic_load_explicit(&marking->shared_length, memory_order_relaxed)) {
			atomic_fetch_add_explicit(&marking->busy, 1, memory_order_seq_cst);
			span = steal(marker);
			if (!span)
				atomic_fetch_sub_explicit(&marking->busy, 1, memory_order_seq_cst);
		}
		if (!span) {
			marker->yields++;
			mw_port_relax();
		}
	}
	atomic_fetch_sub_explicit(&marking->hungry, 1, memory_order_relaxed);
	return span;
}

static struct mw_span *next_span(struct mw_marker *marker)
{
	struct mw_marking *marking = &mw_gc.marking;
	struct mw_span *span;

	if (marker->own.length > 1 &&
	    atomic_load_explicit(&marking->hungry, memory_order_relaxed) >
		    atomic_load_explicit(&marking->shared_length, memory_order_relaxed))
		give(marker);
	span = queue_pop(&marker->own);
	return span ? span : steal(marker);
}

static void run_alone(struct mw_marker *marker)
{
	struct mw_span *span;

	while (mark_next_range(marker, true))
		;
	while ((span = queue_pop(&marker->own)))
		scan_span(marker, span, true);
}

static void run_with_others(struct mw_marker *marker)
{
	struct mw_span *span;

	atomic_fetch_add_explicit(&mw_gc.marking.busy, 1, memory_order_seq_cst);
	for (;;) {
		if (mark_next_range(marker, false))
			continue;
		span = next_span(marker);
		if (!span)
			span = wait_for_work(marker);
		if (!span)
			return;
		scan_span(marker, span, false);
	}
}

void mw_mark_run(unsigned int worker, void *arg)
{
	(void)arg;
	if (worker >= mw_gc.marking.markers)
		return;
	if (mw_gc.marking.markers == 1)
		run_alone(&mw_gc.marking.marker[worker]);
	else
		run_with_others(&mw_gc.marking.marker[worker]);
}

#endif
