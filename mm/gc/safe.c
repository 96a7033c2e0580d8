// SPDX-License-Identifier: MIT
/*
 * Safe free: what is freed by hand is held back until a mark finds no pointer to it.
 *
 * mm/object/safe.c holds back; here is when a mark is due, and what it lets go. The mark is a cycle's,
 * and a wide one: all hand-managed objects that live are marked from the beginning and looked at;
 * what is held back is marked if something points to it, and then it is looked at too. So a list
 * of freed objects is kept as long as its head is, and a ring of them that nobody knows is not.
 *
 * When memory is out a mark is made, and nothing else is let go: NULL is an answer, an object that
 * is still pointed to and given to somebody else is not.
 */
#include "gc.h"

#if MW_GC

#define HOLD_DEFAULT ((size_t)1 << 20)
#define PERCENT_DEFAULT 12
/* What is held may grow so many times as big while marks have had their share of the time, */
#define PATIENCE 4
/* which is one part of so many. */
#define SHARE 20
/* With less than that part of what makes one due, memory is not worth a mark when it is out. */
#define LITTLE 16

/* Of about a microsecond, and as many as a word can tell: their differences count. */
static unsigned long ticks(uint64_t ns)
{
	return (unsigned long)(ns >> 10);
}

/* What a mark costs is what it looks at: roots, and all that lives. So that says how often there is one. */
static size_t goal(void)
{
	size_t hold = mw_word(&mw_gc.safe.hold), percent = mw_word(&mw_gc.safe.percent);
	size_t part = mw_word(&mw_gc.safe.looked) / 100 * (percent ? percent : PERCENT_DEFAULT);

	return mw_max(part, hold ? hold : HOLD_DEFAULT);
}

static bool enough(size_t held)
{
	size_t most = goal();

	if (mw_likely(held < most))
		return false;
	return held / PATIENCE >= most ||
	       (long)(ticks(mw_port_now()) - mw_word(&mw_gc.safe.rested)) >= 0;
}

static size_t fresh(void)
{
	return mw_word(&mw_gc.safe.fresh);
}

void mw_up_safe_held(size_t bytes)
{
	bytes += atomic_fetch_add_explicit(&mw_gc.safe.fresh, bytes, memory_order_relaxed);
	if (enough(bytes) && !atomic_exchange_explicit(&mw_gc.safe.told, 1, memory_order_relaxed))
		mw_port_wake(MW_WORKER_COLLECT);
}

bool mw_safe_due(void)
{
	return mw_gc.safe.on && enough(fresh());
}

bool mw_safe_overdue(unsigned int part)
{
	size_t held;

	if (mw_likely(!mw_gc.safe.on))
		return false;
	held = fresh();
	return enough(held - held / (part + 1));
}

bool mw_safe_worth(void)
{
	return mw_gc.safe.on && fresh() >= goal() / LITTLE;
}

void mw_up_safe_drain(void)
{
	(void)mw_gc_collect(MW_COLLECT_MARKED);
}

/* ---- the mark ---- */

void mw_safe_choose(bool asked)
{
	bool other = mw_word(&mw_gc.wide.mode) != MW_WIDE_NOT || mw_gc.stuck.wanted ||
		     mw_gc.check_wanted || mw_gc.debug & MW_GC_DEBUG_CHECK;

	if (!mw_gc.safe.on || other || !(asked || mw_safe_due()))
		return;
	/* What there is no room for is looked at as roots are, and stays. */
	mw_gc.wide.scarce = !mw_wide_room(false);
	mw_wide_forget();
	mw_set_word(&mw_gc.wide.mode, MW_WIDE_SAFE);
}

static void look_for_held_in(struct mw_wide_span *wide)
{
	size_t held = 0, kept = 0;

	for (size_t w = 0; w < wide->words; w++) {
		unsigned long mark = mw_word(&mw_wide_mark(wide)[w]), back = mw_word(&wide->bits[w]);

		held += mw_count_bits(back);
		kept += mw_count_bits(back & mark);
	}
	mw_gc.safe.kept += kept * wide->stride;
	if (held > kept)
		mw_gc.safe.released += mw_span_let_go(wide->span, wide->bits, mw_wide_mark(wide));
}

void mw_safe_look(void)
{
	struct mw_wide_cursor cursor = { 0 };
	struct mw_wide_span *wide;
	size_t words = 0;

	mw_wide_take_bits();
	mw_gc.safe.kept = 0;
	mw_gc.safe.marks++;
	while ((wide = mw_wide_next(&cursor)))
		if (mw_wide_readable(wide))
			look_for_held_in(wide);
	mw_wide_end();
	for (unsigned int i = 0; i < MW_MAX_MARKERS; i++)
		words += mw_gc.marking.marker[i].words;
	mw_set_word(&mw_gc.safe.looked, words * sizeof(uintptr_t));
	mw_set_word(&mw_gc.safe.fresh, 0);
	mw_set_word(&mw_gc.safe.told, 0);
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++)
		mw_set_word(&mw_freers[i].held, 0);
}

void mw_safe_rest(uint64_t now, uint64_t ns)
{
	mw_set_word(&mw_gc.safe.rested, ticks(now) + ticks(ns) * (SHARE - 1));
}

/* ---- the mode ---- */

static bool any_cache(void)
{
	struct mw_cache_cursor cursor = { 0 };
	const struct mw_cache *cache;
	bool any = false;

	while (!any && (cache = mw_cache_next(&cursor)))
		any = cache->span_flags & MW_SPAN_SAFE;
	mw_cache_leave(&cursor);
	return any;
}

bool mw_safe_free(struct mw_cache *cache, const struct mw_safe_policy *policy)
{
	if (cache && mw_cache_refuses_dead(cache, MW_SITE))
		return false;
	if (cache && cache->span_flags & MW_SPAN_COLLECTED)
		return false;
	mw_object_ready();
	if (!mw_gc_hold())
		return false;
	mw_handlers_wait();
	mw_set_word(&mw_gc.safe.hold, policy->hold);
	mw_set_word(&mw_gc.safe.percent, policy->percent);
	mw_object_safe_set(cache, policy->on, policy->wipe);
	mw_gc.safe.on = any_cache();
	/* Some room for marks that are made because there is no memory. */
	if (mw_gc.safe.on)
		(void)mw_wide_room(false);
	else
		mw_wide_drop();
	mw_gc_release();
	return true;
}

void mw_safe_stats(struct mw_safe_stats *stats)
{
	mw_gc_ready();
	*stats = (struct mw_safe_stats){
		.kept_bytes = mw_gc.safe.kept,
		.released = mw_gc.safe.released,
		.marks = mw_gc.safe.marks,
		.due = goal(),
		.most = goal() * PATIENCE,
	};
	mw_object_held(&stats->held_objects, &stats->held_bytes);
}

#endif
