// SPDX-License-Identifier: MIT
/*
 * Regions that go: first out of everybody's sight, then, a grace period later, out of the map's and the
 * caller's way. In between they are in mw_page.leaving.
 */
#include "../base/grace.h"
#include "runs.h"
#include "stock.h"
#include "up.h"

/*
 * Shut the gap and look whether anything but the region's own bookkeeping is in use. Heap lock and
 * @add held, stocks closed. Return: false, with the gap as before, if it cannot go.
 */
static bool let_go(struct mw_region *region)
{
	size_t own = region->end - region->own;
	size_t gap = atomic_exchange_explicit(&region->gap, 0, memory_order_relaxed);
	const char *lo = mw_pn_address(own), *hi = mw_pn_address(region->end);

	if (!region->used && region->frontier + gap == own &&
	    !mw_map_lends(region, region->first, region->end, lo, hi))
		return true;
	atomic_store_explicit(&region->gap, gap, memory_order_relaxed);
	return false;
}

/* Nobody finds the region any more. Its one free run goes with it. Heap lock held. */
static void unlink_region(struct mw_region *region)
{
	struct mw_zone *zone = region->index;
	size_t first = mw_region_first(region), end = region->end, own = end - region->own;
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
	mw_map_disown(first, end, mw_pn_address(own), mw_pn_address(end));
	mw_list_push_back(&mw_page.leaving, &region->growing);
	atomic_fetch_sub_explicit(&mw_page.metadata, region->own, memory_order_relaxed);
}

/* The regions that mw_region_add(@base) made. @add held. Return: how many. */
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

/* All of @parts or none. Heap lock and @add held, stocks closed. */
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

static enum taken unlink_all(const void *base)
{
	struct mw_region *parts[MW_ZONES];
	size_t n = parts_of(base, parts);
	enum taken taken = TAKEN_NONE;
	unsigned long state;

	if (!n)
		return leaving(base, parts, false) ? TAKEN_OUT : TAKEN_NONE;
	mw_stocks_close();
	state = mw_lock(&mw_page.heap);
	taken = unlink_parts(parts, n) ? TAKEN_OUT : TAKEN_USED;
	mw_unlock(&mw_page.heap, state);
	mw_stocks_open();
	return taken;
}

static enum taken take_out(const void *base)
{
	enum taken taken;
	unsigned long state;

	/* The scavenger keeps a region in mind between its pieces. */
	while (atomic_exchange_explicit(&mw_page.scavenging, 1, memory_order_acquire))
		mw_port_yield();
	state = mw_lock(&mw_page.add);
	taken = unlink_all(base);
	mw_unlock(&mw_page.add, state);
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
	while (taken == TAKEN_USED && mw_up_reclaim(0, MW_NORMAL, step++));
	if (taken != TAKEN_OUT || !mw_grace_wait())
		return false;
	state = mw_lock(&mw_page.add);
	n = leaving(base, parts, true);
	mw_unlock(&mw_page.add, state);
	for (size_t i = 0; i < n; i++)
		forget_region(parts[i]);
	return n > 0;
}
