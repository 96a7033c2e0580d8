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
 * An object of more than MW_PIECE bytes is alone in its span and is scanned in pieces: who takes the
 * span takes one piece and puts the span back for others before scanning it.
 *
 * Markers work on their own queues. One that sees hungry ones gives them half of what it has, up to
 * GIVE spans, by way of the shared queue. No marker busy is the end, see struct mw_marking.
 */
#include "scan.h"

#if MW_GC

#define GIVE 16

/* Whether the span was not queued, and the caller is to do it. */
static bool test_and_queue(struct mw_span *span, bool alone)
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

/* Objects with pointers are counted when they are scanned. */
static void marked(struct mw_marker *marker, struct mw_span *span, size_t objects, bool alone)
{
	if (!span->scanned)
		mw_mark_count(marker, span, objects);
	else if (test_and_queue(span, alone))
		mw_queue_push(&marker->own, span);
}

void mw_marked(struct mw_marker *marker, struct mw_span *span)
{
	marked(marker, span, 1, true);
}

/*
 * What is marked already is passed by with no locked instruction. That another one marks it after the look does no harm:
 * both ask whether the span is queued. Only what is counted here needs to know whose mark it was, which the
 * compiler makes a loop of.
 */
void mw_mark_settle_all(struct mw_marker *marker, struct mw_pending *pending, bool alone)
{
	const struct mw_pending_word *end = pending->last;

	for (const struct mw_pending_word *p = pending->word; p++ < end;) {
		struct mw_span *span = p->span;
		unsigned long old = mw_word(p->mark);
		unsigned long bits = p->bits & ~(old | mw_word(p->free));

		if (!bits)
			continue;
		if (alone)
			mw_set_word(p->mark, old | bits);
		if (mw_likely(span->scanned)) {
			if (!alone)
				(void)atomic_fetch_or_explicit(p->mark, bits, memory_order_seq_cst);
			/* Mostly it has been in a queue for long. */
			if (atomic_load_explicit(&span->queued, memory_order_seq_cst))
				continue;
		} else if (!alone) {
			bits &= ~atomic_fetch_or_explicit(p->mark, bits, memory_order_seq_cst);
		}
		marked(marker, span, span->scanned ? 0 : mw_count_bits(bits), alone);
	}
	pending->last = pending->word;
}

/* ---- large objects and ranges ---- */

static void share(struct mw_span *span)
{
	struct mw_marking *marking = &mw_gc.marking;
	unsigned long state = mw_lock(&marking->lock);

	mw_queue_push(&marking->shared, span);
	atomic_store_explicit(&marking->shared_length, marking->shared.length, memory_order_seq_cst);
	mw_unlock(&marking->lock, state);
}

MW_UNSANITIZED static void scan_bytes(struct mw_marker *marker, const struct mw_layout *layout,
				      char *base, size_t bytes, bool alone)
{
	struct mw_pending pending;
	struct mw_target target = { .pending = &pending };

	mw_pending_init(&pending);
	if (alone)
		mw_scan_bytes(marker, &target, layout, base, bytes, MW_ALONE_BATCH);
	else
		mw_scan_bytes(marker, &target, layout, base, bytes, MW_SHARED);
}

/*
 * The next piece of an object with a span of its own. Typed arrays are cut between elements. Its words
 * lie in no word of marks that they could set, so marks may be gathered.
 */
MW_UNSANITIZED static void scan_large(struct mw_marker *marker, struct mw_span *span, bool alone)
{
	const struct mw_layout *layout = mw_span_layout(span);
	size_t piece = MW_PIECE, at, bytes;

	if (layout && layout->flex != SIZE_MAX)
		piece = span->size;
	else if (layout)
		piece = mw_max(MW_PIECE / layout->size, 1) * layout->size;
	at = atomic_fetch_add_explicit(&span->gc_scanned, piece, memory_order_relaxed);
	if (at >= span->size)
		return;
	if (!at)
		mw_mark_count(marker, span, 1);
	bytes = mw_min(piece, span->size - at);
	if (at + bytes < span->size) {
		if (alone)
			mw_queue_push(&marker->own, span);
		else
			share(span);
	}
	scan_bytes(marker, layout, span->base + at, bytes, alone);
}

/* One function for each way to scan, so that its loops have the registers for themselves. */
#define SCANNER(name_, kind_, mode_)                                                               \
	MW_UNSANITIZED static __attribute__((noinline)) void name_(struct mw_marker *marker,       \
								   const struct mw_scan *scan)     \
	{                                                                                          \
		mw_scan_span(marker, scan, kind_, mode_);                                          \
	}
SCANNER(scan_chains_alone, MW_SCAN_ONE, MW_ALONE)
SCANNER(scan_masked_alone, MW_SCAN_MASK, MW_ALONE)
SCANNER(scan_masked_shared, MW_SCAN_MASK, MW_SHARED)
SCANNER(scan_run_alone, MW_SCAN_RUN, MW_ALONE)
SCANNER(scan_run_shared, MW_SCAN_RUN, MW_SHARED)
SCANNER(scan_words_alone, MW_SCAN_WORDS, MW_ALONE)
SCANNER(scan_words_shared, MW_SCAN_WORDS, MW_SHARED)
SCANNER(scan_program_alone, MW_SCAN_PROGRAM, MW_ALONE)
SCANNER(scan_program_shared, MW_SCAN_PROGRAM, MW_SHARED)

typedef void scanner(struct mw_marker *marker, const struct mw_scan *scan);
static scanner *const scanners[][2] = {
	[MW_SCAN_ONE] = { scan_masked_shared, scan_chains_alone },
	[MW_SCAN_MASK] = { scan_masked_shared, scan_masked_alone },
	[MW_SCAN_RUN] = { scan_run_shared, scan_run_alone },
	[MW_SCAN_WORDS] = { scan_words_shared, scan_words_alone },
	[MW_SCAN_PROGRAM] = { scan_program_shared, scan_program_alone },
};

static void scan_span(struct mw_marker *marker, struct mw_span *span, bool alone)
{
	struct mw_scan scan;

	if (span->count == 1) {
		scan_large(marker, span, alone);
		return;
	}
	if (alone)
		atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	else
		atomic_exchange_explicit(&span->queued, 0, memory_order_seq_cst);
	scanners[mw_scan_choose(&scan, span)][alone](marker, &scan);
}

/* ---- roots ---- */

static void mark_range(struct mw_marker *marker, const struct mw_range *range, bool alone)
{
	scan_bytes(marker, range->layout, (char *)range->lo,
		   (size_t)((const char *)range->hi - (const char *)range->lo), alone);
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

/* mw_gc is no root, so to note an address here keeps nothing. */
static void keep_range(struct mw_range range)
{
	struct mw_marking *marking = &mw_gc.marking;

	if (marking->ranges < MW_MAX_RANGES)
		marking->range[marking->ranges++] = range;
	else
		mark_range(&marking->marker[0], &range, true);
}

void mw_mark_add_range(const void *lo, const void *hi, const struct mw_layout *layout)
{
	const char *at = (const char *)mw_round_up((uintptr_t)lo, sizeof(uintptr_t));
	const char *end = (const char *)mw_round_down((uintptr_t)hi, sizeof(uintptr_t));
	size_t piece = MW_PIECE;

	if (layout)
		piece = layout->flex != SIZE_MAX ? SIZE_MAX
						 : mw_max(MW_PIECE / layout->size, 1) * layout->size;
	for (; at < end; at += mw_min(piece, (size_t)(end - at)))
		keep_range((struct mw_range){
			(const uintptr_t *)at,
			(const uintptr_t *)(at + mw_min(piece, (size_t)(end - at))),
			layout,
		});
}

void mw_mark_visit_root(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			const void *hi, const struct mw_layout *layout)
{
	(void)ctx, (void)kind, (void)name;
	mw_mark_add_range(lo, hi, layout);
}

void mw_mark_visit_range(void *ctx, const char *name, const void *lo, const void *hi,
			 const struct mw_span *span)
{
	(void)ctx, (void)name;
	mw_mark_add_range(lo, hi, span ? mw_span_layout(span) : NULL);
}

void mw_mark_queue(struct mw_span *span)
{
	if (test_and_queue(span, true))
		mw_queue_push(&mw_gc.marking.marker[0].own, span);
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
	mw_page_bounds(&marking->lo, &marking->bytes);
	marking->bytes -= marking->lo;
	marking->flat = 0 - atomic_load_explicit(&mw_map_flat.bias, memory_order_relaxed);
	marking->flat_bytes = mw_word(&mw_map_flat.pages) << MW_PAGE_SHIFT;
	marking->flat_spans = atomic_load_explicit(&mw_map_flat.spans, memory_order_relaxed);
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
	unsigned long state = mw_lock(&marking->lock);

	for (size_t n = mw_min(marker->own.length / 2, GIVE); n; n--) {
		mw_queue_push(&marking->shared, mw_queue_pop(&marker->own));
		marker->handovers++;
	}
	atomic_store_explicit(&marking->shared_length, marking->shared.length, memory_order_seq_cst);
	mw_unlock(&marking->lock, state);
}

static struct mw_span *steal(struct mw_marker *marker)
{
	struct mw_marking *marking = &mw_gc.marking;
	struct mw_span *span;
	unsigned long state;

	if (!atomic_load_explicit(&marking->shared_length, memory_order_seq_cst))
		return NULL;
	state = mw_lock(&marking->lock);
	span = mw_queue_pop(&marking->shared);
	atomic_store_explicit(&marking->shared_length, marking->shared.length, memory_order_seq_cst);
	mw_unlock(&marking->lock, state);
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
	span = mw_queue_pop(&marker->own);
	return span ? span : steal(marker);
}

static void run_alone(struct mw_marker *marker)
{
	struct mw_span *span;

	while (mark_next_range(marker, true))
		;
	while ((span = mw_queue_pop(&marker->own)))
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
