// SPDX-License-Identifier: MIT
/*
 * Regions that go: first out of everybody's sight, then, a grace period later, out of the map's and the
 * caller's way. In between they are in mw_page.leaving.
 */
#include "../base/grace.h"
#include "runs.h"
#include "stock.h"
#include "up.h"

/* Tables that are looked at with the heap lock held once. */
#define DISOWN_STEP 16u

/*
 * Shut the gap and look whether anything but the region's own bookkeeping is in use. Heap lock held, stocks
 * closed. Return: false, with the gap as before, if it cannot go.
 */
static bool let_go(struct mw_region *region)
{
	size_t own = region->end - region->own;
	size_t gap = atomic_exchange_explicit(&region->gap, 0, memory_order_relaxed);

	if (!region->used && region->frontier + gap == own)
		return true;
	atomic_store_explicit(&region->gap, gap, memory_order_relaxed);
	return false;
}

/* Nobody finds the region any more. Its one free run goes with it. Heap lock held. */
static void unlink_region(struct mw_region *region)
{
	struct mw_zone *zone = region->index;
	size_t first = mw_region_first(region), own = region->end - region->own;
	size_t grown = region->frontier - first;

	if (grown) {
		const struct mw_run all = mw_run_of(region, first, grown);

		mw_run_remove(&all);
	}
	if (!mw_list_empty(&region->growing))
		mw_list_remove(&region->growing);
	zone->pages -= own - first;
	zone->grown -= grown;
	zone->released -= region->released;
	region->live = false;
	mw_tables_remove(region);
	atomic_store_explicit(&mw_page.by_id[region->id], NULL, memory_order_relaxed);
	atomic_fetch_sub_explicit(&mw_page.metadata, region->own, memory_order_relaxed);
}

/* Do other regions' parts of the page map lie in one of @parts? As long as nobody else changes regions. */
static bool lends(struct mw_region **parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct mw_region *region = parts[i];
		size_t own = region->end - region->own;

		if (mw_map_lends(region, mw_pn_address(own), mw_pn_address(region->end)))
			return true;
	}
	return false;
}

/*
 * It is in nobody's list: out of the page map, a few tables at a time; then it waits for its
 * readers.
 */
static void disown(struct mw_region *region)
{
	const size_t step = DISOWN_STEP * MW_MAP_LEAVES * MW_LEAF_PAGES;
	size_t end = region->end;
	const char *lo = mw_pn_address(end - region->own), *hi = mw_pn_address(end);
	unsigned long state;

	for (size_t at = region->first, next; at < end; at = next) {
		next = mw_min(mw_round_down(at, step) + step, end);
		state = mw_lock(&mw_page.heap);
		mw_map_disown(at, next, lo, hi);
		mw_unlock(&mw_page.heap, state);
	}
	state = mw_lock(&mw_page.add);
	mw_list_push_back(&mw_page.leaving, &region->growing);
	mw_unlock(&mw_page.add, state);
}

/* The regions that mw_region_add(@base) made. Return: how many. */
static size_t parts_of(const void *base, struct mw_region **parts)
{
	size_t n = 0;

	for (unsigned int id = 0; id < MW_NR_IDS && n < MW_ZONES; id++) {
		struct mw_region *region = mw_region_by_id(id);

		if (region && region->base == base)
			parts[n++] = region;
	}
	return n;
}

/* All of @parts or none. Heap lock held, stocks closed. */
static bool unlink_parts(struct mw_region **parts, size_t n)
{
	size_t ready = 0;

	while (ready < n && let_go(parts[ready]))
		ready++;
	for (size_t i = 0; i < ready; i++) {
		struct mw_region *region = parts[i];

		if (ready == n)
			unlink_region(region);
		else
			atomic_store_explicit(&region->gap,
					      region->end - region->own - region->frontier,
					      memory_order_relaxed);
	}
	return ready == n;
}

/* What the port has of it comes back; nobody else knows the region now. */
static void reclaim_all(struct mw_region *region)
{
	size_t first = mw_region_first(region), at = 0, n = region->frontier - first, lo, hi;

	while (mw_region_flag(&region->some_released) &&
	       mw_bits_run(region->released_bits, at, n, true, &lo, &hi)) {
		(void)mw_port_reclaim(mw_pn_address(first + lo), (hi - lo) << MW_PAGE_SHIFT);
		at = hi;
	}
}

/* A grace period has passed since it was unlinked: none still reads its leaves or its record. */
static void forget_region(struct mw_region *region)
{
	bool early = region >= mw_page.early && region < mw_page.early + MW_LEN(mw_page.early);
	unsigned long state = mw_lock(&mw_page.heap);

	mw_map_readers_gone(mw_pn_address(region->end - region->own), mw_pn_address(region->end));
	mw_unlock(&mw_page.heap, state);

	reclaim_all(region);
	mw_shadow_live(mw_pn_address(mw_region_first(region)),
		       (region->end - mw_region_first(region)) << MW_PAGE_SHIFT);
	atomic_store_explicit(&region->end, 0, memory_order_relaxed);
	if (!early)
		mw_fixed_free(&mw_page.regions, region);
}

/* The regions of mw_region_add(@base) that are leaving; with @take they are the caller's. @add held. */
static size_t leaving(const void *base, struct mw_region **parts, bool take)
{
	struct mw_list *at, *after;
	size_t n = 0;

	mw_list_for_each_safe (at, after, &mw_page.leaving) {
		struct mw_region *region = mw_container(at, struct mw_region, growing);

		if (region->base != base || n == MW_ZONES)
			continue;
		parts[n++] = region;
		if (take)
			mw_list_remove(at);
	}
	return n;
}

enum taken {
	TAKEN_NONE, /* there is no such region */
	TAKEN_USED, /* not all of it is free; nothing happened */
	TAKEN_OUT, /* nobody finds it any more, from now on or already */
};

static bool is_leaving(const void *base)
{
	struct mw_region *parts[MW_ZONES];
	unsigned long state = mw_lock(&mw_page.add);
	size_t n = leaving(base, parts, false);

	mw_unlock(&mw_page.add, state);
	return n > 0;
}

static enum taken unlink_all(const void *base)
{
	struct mw_region *parts[MW_ZONES];
	size_t n = parts_of(base, parts);
	unsigned long state;
	bool out;

	if (!n)
		return is_leaving(base) ? TAKEN_OUT : TAKEN_NONE;
	if (lends(parts, n))
		return TAKEN_USED;
	mw_stocks_close();
	state = mw_lock(&mw_page.heap);
	out = unlink_parts(parts, n);
	mw_unlock(&mw_page.heap, state);
	for (size_t i = 0; out && i < n; i++)
		disown(parts[i]);
	mw_stocks_open();
	return out ? TAKEN_OUT : TAKEN_USED;
}

static enum taken take_out(const void *base)
{
	enum taken taken;

	/* The scavenger keeps a region in mind between its pieces. */
	while (atomic_exchange_explicit(&mw_page.scavenging, 1, memory_order_acquire))
		mw_port_yield();
	mw_regions_change();
	taken = unlink_all(base);
	mw_regions_changed();
	atomic_store_explicit(&mw_page.scavenging, 0, memory_order_release);
	return taken;
}

/* What is in use may be no more than what caches keep, or garbage: they are asked as when memory is out. */
bool mw_region_remove(void *base)
{
	struct mw_region *parts[MW_ZONES];
	unsigned int step = 0;
	unsigned long state;
	enum taken taken;
	size_t n;

	/* Without a way to stop the others there is no telling when they have stopped reading. */
	if (!MW_CAN_STOP || !mw_page.ready)
		return false;
	do
		taken = take_out(base);
	while (taken == TAKEN_USED && mw_reclaim_above(0, MW_NORMAL, step++));
	if (taken != TAKEN_OUT || !mw_grace_wait())
		return false;
	state = mw_lock(&mw_page.add);
	n = leaving(base, parts, true);
	mw_unlock(&mw_page.add, state);
	for (size_t i = 0; i < n; i++)
		forget_region(parts[i]);
	return n > 0;
}
