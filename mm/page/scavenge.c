// SPDX-License-Identifier: MIT
/*
 * Giving idle pages to whoever owns the memory underneath.
 *
 * Every run carries the epoch in which it was freed, not the time: epochs begin with calls of
 * mw_scavenge(), a ring remembers when. Freed in epoch e means idle at least since e + 1 began. So a
 * free reads no clock, and 7 bits will do.
 *
 * Before it looks, it has the caches give back the empty spans that the central lists and this CPU keep.
 *
 * A piece of a run is taken out of the heap, released without a lock, and put back, at most 1 MiB at
 * a time; an allocation that finds nothing meanwhile waits for the piece.
 */
#include <marrow/watch.h>
#include "../base/event.h"
#include "page.h"
#include "up.h"

#define PIECE (((size_t)1 << 20) >> MW_PAGE_SHIFT)
/* Looked at in one go, pinned: runs, and pages of them that are with the port already. */
#define LOOK_AT 64
#define LOOK_THROUGH MW_BITS_ONCE
/* An epoch is at least this part of the age that is asked for, so that the ring spans it. */
#define EPOCHS_AN_AGE 32

static void begin_epoch(uint64_t now, uint64_t older_than)
{
	unsigned long state = mw_lock(&mw_page.heap);

	if (now - mw_page.epoch_at[mw_page.epoch & MW_AGE_MASK] >= older_than / EPOCHS_AN_AGE) {
		mw_page.epoch++;
		mw_page.epoch_at[mw_page.epoch & MW_AGE_MASK] = now;
	}
	mw_unlock(&mw_page.heap, state);
}

static bool is_idle(unsigned int age, uint64_t now, uint64_t older_than)
{
	if (!older_than)
		return true;
	return age != (mw_page.epoch & MW_AGE_MASK) &&
	       now - mw_page.epoch_at[(age + 1) & MW_AGE_MASK] >= older_than;
}

/* What one search is about. */
struct search {
	struct mw_region *region;
	size_t at; /* relative page where it goes on */
	uint64_t now, older_than;
	size_t most; /* pages */
	unsigned int age; /* of the run that was found */
};

/* The next piece that is idle and not released. Heap lock held. Return: 0: none so far. */
static size_t find_piece(struct search *s, size_t *start)
{
	size_t first = mw_region_first(s->region), through = LOOK_THROUGH, lo, hi;

	for (unsigned int i = 0; i < LOOK_AT && through; i++) {
		size_t from = s->at, last = mw_tree_next(&s->region->ends, from), to;
		struct mw_run run;

		if (last == MW_TREE_NONE) {
			s->at = MW_TREE_NONE;
			return 0;
		}
		run = mw_run_ending_at(first + last);
		s->age = mw_run_age(&run);
		s->at = last + 1;
		if (!is_idle(s->age, s->now, s->older_than))
			continue;
		from = mw_max(run.first - first, from);
		to = from + mw_min(last + 1 - from, through);
		if (mw_bits_run(s->region->released_bits, from, to, false, &lo, &hi)) {
			*start = first + lo;
			s->at = lo + mw_min(hi - lo, mw_min(PIECE, s->most));
			return s->at - lo;
		}
		through -= to - from;
		s->at = to;
	}
	return 0;
}

static size_t take_piece(struct search *s, size_t *start)
{
	unsigned long state = mw_lock(&mw_page.heap);
	size_t n = find_piece(s, start);

	if (n) {
		mw_heap_lift(s->region, *start, n);
		atomic_store_explicit(&mw_page.lifted, n, memory_order_relaxed);
	}
	mw_unlock(&mw_page.heap, state);
	return n;
}

static void put_piece(const struct search *s, size_t start, size_t n, bool zero)
{
	struct mw_region *region = s->region;
	size_t from = start - mw_region_first(region);
	unsigned long state = mw_lock(&mw_page.heap);

	mw_bits_set(region->released_bits, from, n, true);
	mw_bits_set(region->zero_bits, from, n, zero);
	if (mw_region_flag(&region->some_poison))
		mw_bits_set(region->poison_bits, from, n, false);
	atomic_store_explicit(&region->some_released, true, memory_order_relaxed);
	if (zero)
		atomic_store_explicit(&region->some_zero, true, memory_order_relaxed);
	region->released += n;
	mw_page.zone[region->zone].released += n;
	mw_heap_settle(region, start, n, s->age);
	atomic_store_explicit(&mw_page.lifted, 0, memory_order_release);
	mw_unlock(&mw_page.heap, state);
}

static size_t scavenge_region(struct search *s, size_t most)
{
	size_t pages = 0, start, n;

	while (s->at != MW_TREE_NONE && pages < most) {
		s->most = most - pages;
		n = take_piece(s, &start);
		if (!n)
			continue;
		put_piece(s, start, n, mw_port_release(mw_pn_address(start), n << MW_PAGE_SHIFT));
		pages += n;
	}
	return pages;
}

void mw_scavenge_trace(bool on)
{
	mw_page.scavenge_trace = on;
}

static void print_line(size_t pages)
{
	struct mw_page_stats stats;
	size_t released = 0;

	mw_page_stats(&stats);
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		released += stats.zone[z].released;
	mw_print("scavenger: %zu KiB released, %zu in all; %zu in use, %zu idle, %zu of the "
		 "machine's %zu\n",
		 pages << MW_PAGE_SHIFT >> 10, released << MW_PAGE_SHIFT >> 10,
		 (stats.raw + stats.objects) << MW_PAGE_SHIFT >> 10,
		 (stats.free + stats.stocked) << MW_PAGE_SHIFT >> 10,
		 (stats.bytes - stats.untouched - (released << MW_PAGE_SHIFT)) >> 10,
		 stats.bytes >> 10);
}

size_t mw_scavenge(uint64_t older_than_ns, size_t max_bytes)
{
	size_t pages = 0, most = max_bytes >> MW_PAGE_SHIFT;
	uint64_t now = mw_port_now();

	if (!MW_CAN_RELEASE || !mw_page.ready)
		return 0;
	(void)mw_reclaim_above(0, MW_ATOMIC, 0);
	if (atomic_exchange_explicit(&mw_page.scavenging, 1, memory_order_acquire))
		return 0;
	begin_epoch(now, older_than_ns);
	for (unsigned int id = 0; id < MW_NR_IDS && pages < most; id++) {
		struct search s = { mw_region_by_id(id), 0, now, older_than_ns, 0, 0 };

		if (s.region)
			pages += scavenge_region(&s, most - pages);
	}
	atomic_store_explicit(&mw_page.scavenging, 0, memory_order_release);
	mw_event(MW_EVENT_SCAVENGE, pages, (unsigned long)(mw_port_now() - now));
	if (mw_page.scavenge_trace)
		print_line(pages);
	return pages << MW_PAGE_SHIFT;
}
