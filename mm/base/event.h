/* SPDX-License-Identifier: MIT */
/*
 * Things worth a note in the event trace of mm/watch: from slow paths only. One predictable test
 * when the trace is off, nothing at all with MW_WATCH=0.
 */
#ifndef MW_BASE_EVENT_H
#define MW_BASE_EVENT_H

#include "base.h"

/* What the two numbers mean stands behind each. */
enum mw_event {
	MW_EVENT_NONE,
	MW_EVENT_STOP, /* the world, for a cycle: its number, ns that it took */
	MW_EVENT_ROOTS, /* of the mark were found: cycle, ns */
	MW_EVENT_MARK, /* objects marked, ns */
	MW_EVENT_START, /* the world again: cycle, ns */
	MW_EVENT_SWEEP, /* spans, ns */
	MW_EVENT_SCAVENGE, /* pages released, ns */
	MW_EVENT_HEAP, /* bytes of collected objects, 0 */
	MW_EVENT_REFILL, /* a CPU looked for free objects: id of the cache, 0 */
	MW_EVENT_SPAN, /* taken: its pages, pages of all spans then */
	MW_EVENT_SPAN_BACK, /* given back: the same */
	MW_EVENT_RECLAIM, /* memory was out: pages wanted, step of the way that follows */
	MW_EVENT_FAILED, /* and stayed out: pages wanted, steps tried */
	MW_NR_EVENTS,
};

#if MW_WATCH
extern _Atomic(bool) mw_event_on;

/*
 * Of the trace, which switches the above on, if it is there. Pinned or not; no lock of
 * MW_RANK_PERSIST or behind.
 */
MW_NOINLINE void mw_up_event(enum mw_event what, unsigned long a, unsigned long b)
	__attribute__((weak));
#endif

static inline void mw_event(enum mw_event what, unsigned long a, unsigned long b)
{
#if MW_WATCH
	if (mw_unlikely(atomic_load_explicit(&mw_event_on, memory_order_relaxed)))
		mw_up_event(what, a, b);
#else
	(void)what, (void)a, (void)b;
#endif
}

#endif
