// SPDX-License-Identifier: MIT
/*
 * The end of a mark: what lives on a condition, and what interrupts did meanwhile.
 *
 * Values of weak-keyed tables live if their keys do, which they may do because of other such values:
 * so the tables are walked, and what was found is marked, until a walk finds nothing. A chain
 * of n such values takes n walks at worst, if it lies in the tables backwards.
 *
 * Interrupts go on. What <marrow/gc.h> allows them is just what these steps make true, in this order:
 *
 *	what they grabbed	is marked, with all that it points to
 *	those that run		are waited for: what they hold in their frames lives until they end, as nothing
 *				is swept before; and all that they read from what is marked now is behind them
 *	what they allocated	lives as a whole, and what it points to is marked
 *	tables
 *	closed			if somebody grabbed more in between, all of it again
 *
 * Who begins behind the wait finds references only where marks have been, or in what is allocated since: so all that
 * it finds is marked. hosttest/test_model_weak.c has the first two and the last in all interleavings.
 */
#include "gc.h"

#if MW_GC

/* Objects that interrupts allocated meanwhile live, and so does all that they point to. */
static void mark_born(void)
{
	if (!mw_word(&mw_gc.marking.births))
		return;
	mw_mark_again();
	mw_roots_each_born(mw_mark_visit_root, NULL);
	mw_mark_run(0, NULL);
}

/*
 * Clear the marks of what was born during the mark, as no sweep will. The walk takes raw
 * descriptors, as the sweep's does: an object may be live before its span is readable. A marker
 * sees by a relaxed load that an object is live. The acquire fence behind that makes the span's
 * birth and its generation visible as well. The function is out of line because gcc's thread
 * sanitizer does not know fences, and gcc warns where one is inlined.
 */
static MW_NOINLINE void clear_born(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	atomic_thread_fence(memory_order_acquire);
	if (!mw_word(&mw_gc.marking.births))
		return;
	while ((span = mw_span_next_raw(&cursor)))
		if (mw_span_newborn(span))
			mw_sweep_clear(span);
}

static void mark_grabbed(void)
{
	if (!mw_weaks_look())
		return;
	mw_mark_again();
	mw_weaks_each_grabbed(mw_mark_visit_range, NULL);
	mw_mark_run(0, NULL);
}

static void mark_tables(void)
{
	mw_mark_again();
	while (mw_tables_show(mw_mark_visit_range, NULL)) {
		mw_mark_run(0, NULL);
		mw_mark_again();
	}
}

void mw_mark_specials(void)
{
	unsigned int markers = mw_gc.marking.markers;

	do {
		mark_grabbed();
		mw_handlers_wait();
		mark_born();
		mark_tables();
	} while (!mw_weaks_close());
	clear_born();
	mw_tables_settle();
	mw_gc.marking.markers = markers; /* for the figures */
}

#endif
