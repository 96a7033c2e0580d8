// SPDX-License-Identifier: MIT
/*
 * Requests for pages of every kind, drawn at random, in three zones, with a reserve, poison, and
 * pages that are with the port. A model with two bits a page says whether a request can be met,
 * where, and what each figure is.
 */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/span.h"
#include "../mm/page/up.h"

#define AREAS 3
#define MOST_PAGES (5 * MIB / PAGE)
#define MOST_RUNS 300
#define BATCH 16 /* pages that a stock may take beyond what was asked, for a moment */
#define LEAST_LOOKS 4 /* so many runs of a list are looked at, whatever is asked */

static struct area {
	char *base;
	uint64_t phys;
	size_t pages; /* that may be handed out */
	size_t grown; /* of them, from the beginning: were there ever */
	size_t most_used;
	bool used[MOST_PAGES];
	bool released[MOST_PAGES];
} area[AREAS]; /* by zone */

static struct run {
	char *at;
	size_t n;
} live[MOST_RUNS];

static struct {
	size_t reserve, metadata, bytes;
	unsigned long allocs, frees, failures;
	bool stocks; /* calls are made that fill stocks */
	bool poison;
} model;

/* ---- the areas ---- */

static void begin_area(size_t bytes, uint64_t phys, bool zeroed)
{
	char *memory = test_memory(bytes);

	__builtin_memset(memory, zeroed ? 0 : 0xa5, bytes);
	NEED(zeroed ? mw_region_add_zeroed(memory, phys, bytes) : mw_region_add(memory, phys, bytes));
}

static void begin(bool stocks)
{
	struct mw_region_stats region;

	test_heap(4 * PAGE);
	mw_reset();
	begin_area(4 * MIB, ((uint64_t)1 << 30) + 3 * PAGE, false);
	begin_area(3 * MIB, 4 * MIB + PAGE, true);
	begin_area(5 * MIB, ((uint64_t)5 << 30) + 5 * PAGE, false);
	/* What keeps records of a reclaim is there before figures are compared. */
	(void)mw_up_reclaim(0, MW_ATOMIC, 0);
	__builtin_memset(area, 0, sizeof(area));
	__builtin_memset(live, 0, sizeof(live));
	__builtin_memset(&model, 0, sizeof(model));
	for (size_t i = 0; mw_region_stats(i, &region); i++) {
		struct area *a = &area[region.zone];

		NEED(!a->base);
		a->base = (char *)region.base;
		a->phys = region.phys;
		a->pages = region.pages - region.metadata;
		a->most_used = region.used;
		model.bytes += region.pages * PAGE;
		CHECK_EQ(region.used, 0);
	}
	NEED(area[0].base && area[1].base && area[2].base);
	model.metadata = stats_now().metadata;
	model.allocs = stats_now().allocs;
	model.frees = stats_now().frees;
	model.stocks = stocks;
}

static struct area *area_of(const char *at)
{
	for (size_t z = 0; z < AREAS; z++)
		if (at >= area[z].base && at < area[z].base + area[z].pages * PAGE)
			return &area[z];
	return NULL;
}

static size_t free_pages(const struct area *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->pages; i++)
		n += !a->used[i];
	return n;
}

static size_t all_free(void)
{
	return free_pages(&area[0]) + free_pages(&area[1]) + free_pages(&area[2]);
}

static size_t runs_of(const struct area *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->pages; i++)
		n += !a->used[i] && (!i || a->used[i - 1]);
	return n;
}

/* ---- what must be answered ---- */

static unsigned int highest(mw_flags_t flags)
{
	return flags & MW_BELOW_16M ? 0 : flags & MW_BELOW_4G ? 1 : 2;
}

static bool fits_at(const struct area *a, size_t i, const struct mw_pages *want)
{
	uint64_t phys = a->phys + i * PAGE;

	if (want->count > a->pages || i > a->pages - want->count)
		return false;
	if (want->align && ((uintptr_t)a->base + i * PAGE) % want->align)
		return false;
	if (want->boundary &&
	    phys / want->boundary != (phys + want->count * PAGE - 1) / want->boundary)
		return false;
	for (size_t j = want->count; j--;)
		if (a->used[i + j])
			return false;
	return true;
}

static bool fits_in(const struct area *a, const struct mw_pages *want)
{
	if (want->at)
		return area_of(want->at) == a &&
		       fits_at(a, (size_t)((char *)want->at - a->base) / PAGE, want);
	for (size_t i = 0; i < a->pages; i++)
		if (fits_at(a, i, want))
			return true;
	return false;
}

/* The highest zone that has it; -1: none. */
static int zone_for(const struct mw_pages *want)
{
	int z = (int)highest(want->flags);

	while (z >= 0 && !fits_in(&area[z], want))
		z--;
	return z;
}

static bool touches_reserve(const struct mw_pages *want)
{
	size_t left = all_free();

	if (!model.reserve || want->flags & MW_RESERVE)
		return false;
	return left < want->count || left - want->count < model.reserve;
}

/* Is it found wherever it is? Else only where there are few runs. */
static bool is_sure(const struct mw_pages *want)
{
	if (want->at || (want->align <= PAGE && !want->boundary) ||
	    (!want->boundary && want->count * PAGE == want->align))
		return true;
	return runs_of(&area[0]) <= LEAST_LOOKS && runs_of(&area[1]) <= LEAST_LOOKS &&
	       runs_of(&area[2]) <= LEAST_LOOKS;
}

static void check_answer(const struct mw_pages *want, char *at, bool stocked)
{
	struct area *a = area_of(at);
	int zone = zone_for(want);
	size_t first;

	NEED(a);
	first = (size_t)(at - a->base) / PAGE;
	NEED((uintptr_t)at % PAGE == 0 && fits_at(a, first, want));
	NEED(a - area <= (int)highest(want->flags));
	/* What is in a stock may be of any zone, and is not found before stocks are emptied. */
	if (is_sure(want) && !stocked && !model.stocks)
		CHECK_EQ(a - area, zone);
	CHECK(stocked || !touches_reserve(want));
	if (want->at)
		CHECK_PTR(at, want->at);
	for (size_t i = 0; want->flags & MW_ZERO && i < want->count * PAGE; i++)
		NEED(!at[i]);
	for (size_t i = first; i < first + want->count; i++) {
		a->used[i] = true;
		a->released[i] = false;
	}
	__builtin_memset(at, 0x5a, want->count * PAGE);
}

/* ---- what is done ---- */

static struct mw_pages some_request(void)
{
	static const mw_flags_t zones[] = { 0, 0, MW_BELOW_4G, MW_BELOW_16M,
					    MW_BELOW_4G | MW_BELOW_16M };
	static const size_t aligns[] = { 0, 0, 8, PAGE, 2 * PAGE, 8 * PAGE, 64 * PAGE };
	static const size_t boundaries[] = { 0, 0, 0, PAGE, 4 * PAGE, 32 * PAGE, 256 * PAGE };
	struct mw_pages want = { .count = (size_t)1 << test_below(10) };
	struct area *a = &area[test_below(AREAS)];

	if (test_below(2))
		want.count = 1 + test_below(want.count);
	want.flags = zones[test_below(5)];
	want.flags |= test_below(4) ? 0 : MW_ZERO;
	want.flags |= test_below(2) ? 0 : MW_ATOMIC;
	want.flags |= test_below(4) ? 0 : MW_RESERVE;
	want.flags |= test_below(4) ? 0 : MW_NO_SHRINK;
	want.align = aligns[test_below(7)];
	want.boundary = boundaries[test_below(7)];
	if (!test_below(4))
		want.at = a->base + test_below(a->pages + 8) * PAGE;
	return want;
}

static char *ask(const struct mw_pages *want)
{
	unsigned int order = (unsigned int)__builtin_ctzl(want->count);

	if (model.stocks && !want->at && !want->boundary && want->align <= PAGE)
		return mw_pages_alloc(want->count, want->flags);
	if (model.stocks && !want->at && !want->boundary && want->count * PAGE == want->align)
		return mw_stack_alloc(order, want->flags);
	return mw_pages_alloc_as(want);
}

static void take(struct run *run)
{
	struct mw_pages want = some_request();
	bool bad = want.at && want.align && (uintptr_t)want.at % want.align;
	bool stocked = stats_now().stocked > 0;

	if (bad)
		test_expect_misuse(MW_BAD_REQUEST);
	run->at = ask(&want);
	run->n = want.count;
	if (bad) {
		test_misuse_came();
		CHECK(!run->at);
	} else if (run->at) {
		model.allocs++;
		check_answer(&want, run->at, stocked);
	} else {
		model.failures++;
		if (is_sure(&want))
			NEED(zone_for(&want) < 0 || touches_reserve(&want));
	}
}

static void give(struct run *run)
{
	struct area *a = area_of(run->at);

	for (size_t i = 0; i < run->n * PAGE; i += 64)
		NEED(run->at[i] == 0x5a);
	mw_pages_free(run->at, run->n);
	for (size_t i = 0; i < run->n; i++)
		a->used[(size_t)(run->at - a->base) / PAGE + i] = false;
	model.frees++;
	run->at = NULL;
}

static void change_reserve(void)
{
	size_t bytes = test_below(3) ? test_below(2 * MIB) : test_below(16 * MIB);
	size_t pages = (bytes + PAGE - 1) / PAGE, left = all_free();

	CHECK_EQ(mw_reserve(bytes), left >= pages);
	if (left >= pages)
		model.reserve = pages;
}

/* All that is free goes to the port, in two calls; what stocks hold does not. */
static void release(void)
{
	size_t idle = 0, some = test_below(64), expected;

	mw_page_cpu_stop();
	for (size_t z = 0; z < AREAS; z++)
		for (size_t i = 0; i < area[z].grown; i++)
			idle += !area[z].used[i] && !area[z].released[i];
	expected = some < idle ? some : idle;
	if (!model.stocks)
		CHECK_EQ(mw_scavenge(0, some * PAGE + test_below(PAGE)), expected * PAGE);
	else
		expected = 0;
	CHECK(mw_scavenge(0, SIZE_MAX) <= (idle - expected) * PAGE || model.stocks);
	for (size_t z = 0; z < AREAS; z++)
		for (size_t i = 0; i < area[z].grown; i++)
			area[z].released[i] = !area[z].used[i];
}

static void give_all(void)
{
	for (size_t i = 0; i < MOST_RUNS; i++)
		if (live[i].at)
			give(&live[i]);
}

/* ---- what must be told ---- */

static void check_runs(const struct area *a, const struct mw_zone_stats *zone)
{
	size_t runs = 0, largest = 0, by_order[MW_ORDERS] = { 0 };

	for (size_t i = 0, n = 0; i <= a->grown; i++) {
		if (i < a->grown && !a->used[i]) {
			n++;
			continue;
		}
		if (!n)
			continue;
		runs++;
		by_order[63 - __builtin_clzll(n)]++;
		largest = n > largest ? n : largest;
		n = 0;
	}
	CHECK_EQ(zone->runs, runs);
	for (size_t i = 0; i < MW_ORDERS; i++)
		CHECK_EQ(zone->by_order[i], by_order[i]);
	CHECK(zone->largest <= largest && zone->largest >= largest - largest / 16);
	if (largest < 128)
		CHECK_EQ(zone->largest, largest);
	CHECK_EQ(zone->fragmentation, zone->free ? 1000 - zone->largest * 1000 / zone->free : 0);
}

static void check_area(struct area *a, const struct mw_region_stats *region,
		       const struct mw_page_stats *stats)
{
	const struct mw_zone_stats *zone = &stats->zone[a - area];
	size_t used = a->pages - free_pages(a), released = 0;

	a->grown = region->used + region->free;
	a->most_used = region->used > a->most_used ? region->used : a->most_used;
	CHECK_PTR(region->base, a->base);
	CHECK_EQ(region->phys, a->phys);
	CHECK_EQ(region->pages, a->pages + region->metadata);
	CHECK_EQ(region->untouched, a->pages - a->grown);
	CHECK(region->used >= used && region->used <= used + stats->stocked);
	CHECK_EQ(zone->pages, a->pages);
	CHECK_EQ(zone->free, region->free);
	CHECK_EQ(zone->released, region->released);
	CHECK(zone->low_water <= zone->pages - a->most_used);
	CHECK(zone->low_water + (model.stocks ? BATCH : 0) >= zone->pages - a->most_used);
	for (size_t i = 0; i < a->pages; i++) {
		released += a->released[i];
		CHECK(i < a->grown || !a->used[i]);
	}
	if (!model.stocks)
		CHECK_EQ(region->released, released);
	if (!stats->stocked)
		check_runs(a, zone);
}

static void check_figures(void)
{
	struct mw_page_stats stats = stats_now();
	struct mw_region_stats region;
	size_t all = area[0].pages + area[1].pages + area[2].pages, used = 0, untouched = 0, n = 0;

	for (; mw_region_stats(n, &region); n++) {
		check_area(&area[region.zone], &region, &stats);
		used += region.used;
		untouched += region.untouched;
	}
	CHECK_EQ(n, AREAS);
	CHECK_EQ(stats.regions, AREAS);
	CHECK_EQ(stats.bytes, model.bytes);
	CHECK_EQ(stats.metadata, model.metadata);
	CHECK_EQ(stats.untouched, untouched * PAGE);
	CHECK_EQ(stats.raw, all - all_free());
	CHECK_EQ(stats.raw + stats.stocked, used);
	CHECK_EQ(stats.free, all - used);
	CHECK_EQ(stats.objects, 0);
	CHECK_EQ(stats.lost, 0);
	CHECK_EQ(stats.reserve, model.reserve);
	CHECK_EQ(stats.allocs, model.allocs);
	CHECK_EQ(stats.frees, model.frees);
	CHECK_EQ(stats.failures, model.failures);
}

static void step(void)
{
	struct run *run = &live[test_below(MOST_RUNS)];

	if (!test_below(8))
		mw_page_cpu_stop();
	switch (test_below(400)) {
	case 0:
		give_all();
		break;
	case 1:
	case 2:
	case 3:
		change_reserve();
		break;
	case 4:
	case 5:
	case 6:
		release();
		break;
	case 7:
		model.poison = !model.poison;
		mw_page_poison(model.poison);
		break;
	default:
		if (run->at)
			give(run);
		else
			take(run);
	}
}

static void go(bool stocks, unsigned long steps)
{
	begin(stocks);
	for (unsigned long i = test_rounds(steps); i--;) {
		step();
		check_figures();
		if (i % 256 == 0)
			NEED(mw_page_check());
	}
	give_all();
	mw_page_poison(false);
	check_figures();
}

TEST_WITH(requests_of_every_kind, TEST_HOSTED)
{
	go(false, 12000);
}

TEST_WITH(requests_of_every_kind_by_way_of_stocks, TEST_HOSTED)
{
	go(true, 12000);
}
