// SPDX-License-Identifier: MIT
/* Regions that come and go: see region.c. */
#include "../base/grace.h"
#include "runs.h"
#include "stock.h"
#include "up.h"

/* What mw_region_add() was given, in pages. */
struct frames {
	size_t first, n, frame;
	bool zeroed;
};

static size_t bits_words(size_t n)
{
	return (n + MW_WORD_BITS - 1) / MW_WORD_BITS;
}

/* Pages of metadata that a region of [first, first + n) needs for itself. */
static size_t own_pages(size_t first, size_t n)
{
	size_t bytes = mw_map_bytes(first, first + n);

	bytes += (2 * mw_tree_words(n) + 3 * bits_words(n)) * sizeof(unsigned long);
	return mw_round_up(bytes, MW_PAGE_SIZE) >> MW_PAGE_SHIFT;
}

static bool overlaps(const struct frames *want)
{
	for (size_t i = 0; i < mw_page.nr_regions; i++) {
		struct mw_region *region = mw_page.by_address[i];
		size_t n = region->end - region->first;

		if (want->first < region->end && region->first < want->first + want->n)
			return true;
		if (want->frame < region->frame + n && region->frame < want->frame + want->n)
			return true;
	}
	return false;
}

static unsigned int new_id(bool low)
{
	for (unsigned int id = 2 | low; id < MW_NR_IDS; id += 2) {
		if (!mw_region_by_id(id))
			return id;
	}
	return 0;
}

static struct mw_region *new_region(void)
{
	struct mw_region *region;

	for (size_t i = 0; i < MW_LEN(mw_page.early); i++) {
		if (!mw_page.early[i].live && !mw_page.early[i].end)
			return &mw_page.early[i];
	}
	region = mw_fixed_alloc(&mw_page.regions);
	if (region)
		__builtin_memset((void *)region, 0, sizeof(*region));
	return region;
}

static enum mw_zone_index zone_of(size_t frame, size_t *end)
{
	uint64_t at = (uint64_t)frame << MW_PAGE_SHIFT;

	*end = SIZE_MAX;
	if (at >= UINT64_C(1) << 32)
		return MW_ZONE_REST;
	if (at >= UINT64_C(1) << 24) {
		*end = (size_t)(UINT64_C(1) << (32 - MW_PAGE_SHIFT));
		return MW_ZONE_4G;
	}
	*end = (size_t)1 << (24 - MW_PAGE_SHIFT);
	return MW_ZONE_16M;
}

/* Lay the region's own bitmaps out from @at on. */
static void place_bitmaps(struct mw_region *region, size_t n, unsigned long *at)
{
	mw_tree_init(&region->ends, at, n);
	at += mw_tree_words(n);
	mw_tree_init(&region->singles, at, n);
	at += mw_tree_words(n);
	region->zero_bits = (mw_atomic_t *)at;
	region->released_bits = (mw_atomic_t *)(at + bits_words(n));
	region->poison_bits = (mw_atomic_t *)(at + 2 * bits_words(n));
}

/* Heap lock held. */
static void publish(struct mw_region *region, size_t n)
{
	struct mw_zone *zone = region->index;
	size_t end = region->end, map_bytes = mw_map_bytes(region->first, end);
	char *own = mw_pn_address(end - region->own);

	/* Lists are long, and of most machines' zones some stay empty for ever. */
	for (size_t i = 0; !zone->ready && i < MW_LISTS; i++)
		zone->head[i] = MW_PN_NONE;
	zone->ready = true;
	mw_map_claim(region->first, end, own);
	place_bitmaps(region, n, (unsigned long *)(own + map_bytes));
	atomic_store_explicit(&mw_page.by_id[region->id], region, memory_order_release);
	mw_list_push_back(&zone->growing, &region->growing);
	zone->pages += n - region->own;
	region->live = true;
	mw_tables_insert(region);
}

/* A part that lies in one zone. Return: pages that became usable. */
static size_t add_part(const struct frames *part, enum mw_zone_index zone, const void *base)
{
	size_t own = own_pages(part->first, part->n);
	struct mw_region *region;
	unsigned int id = new_id(zone == MW_ZONE_16M);
	unsigned long state;

	if (own >= part->n || !id || mw_page.nr_regions >= MW_MAX_REGIONS)
		return 0;
	region = new_region();
	if (!region)
		return 0;
	atomic_init(&region->first, part->first);
	atomic_init(&region->end, part->first + part->n);
	atomic_init(&region->frame, part->frame);
	atomic_init(&region->ceiling, part->first + part->n - own);
	atomic_init(&region->gap, part->n - own);
	region->frontier = part->first;
	region->id = id;
	region->zone = zone;
	region->index = &mw_page.zone[zone];
	region->zeroed = part->zeroed;
	atomic_init(&region->some_zero, part->zeroed);
	region->own = own;
	region->base = base;
	state = mw_lock(&mw_page.heap);
	publish(region, part->n);
	mw_unlock(&mw_page.heap, state);
	atomic_fetch_add_explicit(&mw_page.metadata, own, memory_order_relaxed);
	return part->n - own;
}

static size_t add_parts(struct frames rest, const void *base)
{
	size_t usable = 0;

	mw_stocks_close();
	while (rest.n) {
		struct frames part = rest;
		size_t end;
		enum mw_zone_index zone = zone_of(part.frame, &end);

		part.n = mw_min(part.n, end - part.frame);
		usable += add_part(&part, zone, base);
		rest.first += part.n;
		rest.frame += part.n;
		rest.n -= part.n;
	}
	mw_stocks_open();
	return usable;
}

static const char *round_inward(void *base, uint64_t phys, size_t len, struct frames *out)
{
	uintptr_t lo = mw_round_up((uintptr_t)base, MW_PAGE_SIZE);
	uintptr_t hi = mw_round_down((uintptr_t)base + len, MW_PAGE_SIZE);

	if ((uintptr_t)base + len < (uintptr_t)base || phys + len < phys)
		return "region wraps around";
	if (((uintptr_t)base ^ phys) & (MW_PAGE_SIZE - 1))
		return "region's virtual and physical addresses differ within a page";
	if (!lo)
		lo = MW_PAGE_SIZE; /* the page of NULL */
	if (lo >= hi)
		return "region has no whole page";
	if ((uint64_t)(lo - (uintptr_t)MW_ADDR_BASE) >> MW_ADDR_BITS ||
	    (uint64_t)(hi - 1 - (uintptr_t)MW_ADDR_BASE) >> MW_ADDR_BITS)
		return "region outside of MW_ADDR_BASE and MW_ADDR_BITS";
	out->first = mw_pn((void *)lo);
	out->n = (hi - lo) >> MW_PAGE_SHIFT;
	out->frame = (size_t)((phys + (lo - (uintptr_t)base)) >> MW_PAGE_SHIFT);
	return NULL;
}

static size_t add(void *base, uint64_t phys, size_t len, bool zeroed)
{
	struct frames want = { .zeroed = zeroed };
	const char *wrong = round_inward(base, phys, len, &want);
	struct mw_report report = { .what = MW_BAD_REGION, .address = base, .given = len };
	unsigned long state;
	size_t usable = 0;

	mw_page_init();
	if (!wrong) {
		state = mw_lock(&mw_page.add);
		if (overlaps(&want)) {
			wrong = "region overlaps another one";
		} else {
			mw_shadow_live(mw_pn_address(want.first), want.n << MW_PAGE_SHIFT);
			usable = add_parts(want, base);
		}
		mw_unlock(&mw_page.add, state);
	}
	if (!wrong && !usable)
		wrong = "region too small for its own bookkeeping, or one too many";
	if (wrong) {
		report.text = wrong;
		mw_misuse(&report);
	}
	return usable << MW_PAGE_SHIFT;
}

size_t mw_region_add(void *base, uint64_t phys, size_t len)
{
	return add(base, phys, len, false);
}

size_t mw_region_add_zeroed(void *base, uint64_t phys, size_t len)
{
	return add(base, phys, len, true);
}

/* ---- removal ---- */

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

/* Every CPU has been outside of Marrow since: none still reads the region's leaves. */
static void wait_for_readers(void)
{
	while (!mw_grace_wait())
		mw_port_relax();
}

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

/* @n: of how many regions it is. Return: false, and nothing happened: not all of it is free. */
static bool take_out(const void *base, struct mw_region **parts, size_t *n)
{
	unsigned long outer, inner;
	bool done;

	/* The scavenger keeps a region in mind between its pieces. */
	while (atomic_exchange_explicit(&mw_page.scavenging, 1, memory_order_acquire))
		mw_port_relax();
	outer = mw_lock(&mw_page.add);
	*n = parts_of(base, parts);
	mw_stocks_close();
	inner = mw_lock(&mw_page.heap);
	done = *n && unlink_parts(parts, *n);
	mw_unlock(&mw_page.heap, inner);
	mw_stocks_open();
	mw_unlock(&mw_page.add, outer);
	atomic_store_explicit(&mw_page.scavenging, 0, memory_order_release);
	return done;
}

/* What is in use may be no more than what caches keep, or garbage: they are asked as when memory is out. */
bool mw_region_remove(void *base)
{
	struct mw_region *parts[MW_ZONES];
	unsigned int step = 0;
	bool done;
	size_t n;

	/* Without a way to stop the others there is no telling when they have stopped reading. */
	if (!MW_CAN_STOP || !mw_page.ready)
		return false;
	do
		done = take_out(base, parts, &n);
	while (!done && n && mw_up_reclaim(0, MW_NORMAL, step++));
	if (!done)
		return false;
	wait_for_readers();
	for (size_t i = 0; i < n; i++)
		forget_region(parts[i]);
	return true;
}
