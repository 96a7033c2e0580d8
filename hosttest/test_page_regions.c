// SPDX-License-Identifier: MIT
/* Where pages are: boundaries, zones, regions that come and go, pages that leave and come back. */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/map.h"
#include "../mm/page/up.h"

#define GIB ((uint64_t)1 << 30)

TEST(boundaries_are_not_crossed)
{
	void *pages[400];
	size_t n = 0;

	own_heap(8 * MIB, 3 * PAGE + 64 * KIB);
	for (; n < 400; n++) {
		struct mw_pages want = { .count = 1 + test_below(8), .boundary = 32 * KIB };
		uint64_t phys;

		pages[n] = mw_pages_alloc_as(&want);
		NEED(pages[n]);
		phys = mw_phys(pages[n]);
		CHECK_EQ(phys / (32 * KIB), (phys + want.count * PAGE - 1) / (32 * KIB));
		mw_pages_free(pages[n], want.count);
		pages[n] = mw_pages_alloc(3, 0);
	}
	while (n--)
		mw_pages_free(pages[n], 3);
}

TEST_WITH(zones_by_physical_address, TEST_HOSTED)
{
	char *low, *page;
	struct mw_pages big = { .count = 16 * MIB / PAGE, .flags = MW_BELOW_4G };

	low = own_heap(64 * MIB, 1 * MIB); /* 1 MiB .. 65 MiB */
	NEED(mw_region_add(test_memory(64 * MIB), 4 * GIB - 32 * MIB, 64 * MIB));
	CHECK_EQ(stats_now().zone[0].pages > 0, 1);
	CHECK_EQ(stats_now().regions, 4);
	page = mw_pages_alloc(1, MW_BELOW_16M);
	NEED(page);
	CHECK(mw_phys(page) < 16 * MIB && page >= low);
	mw_pages_free(page, 1);
	page = mw_pages_alloc(8, 0);
	CHECK(mw_phys(page) >= 4 * GIB);
	mw_pages_free(page, 8);
	page = mw_pages_alloc_as(&big);
	NEED(page);
	CHECK(mw_phys(page) + 16 * MIB <= 4 * GIB);
	mw_pages_free(page, big.count);
	CHECK(!mw_pages_alloc(16 * MIB / PAGE, MW_BELOW_16M | MW_ATOMIC));
	CHECK(mw_page_check());
}

TEST(bad_regions_are_refused)
{
	char *memory = own_heap(4 * MIB, 64 * MIB);

	test_expect_misuse(MW_BAD_REGION);
	CHECK_EQ(mw_region_add(memory + MIB, 128 * MIB, MIB), 0); /* virtual overlap */
	test_misuse_came();
	test_expect_misuse(MW_BAD_REGION);
	CHECK_EQ(mw_region_add(test_memory(MIB), 65 * MIB, MIB), 0); /* physical */
	test_misuse_came();
	test_expect_misuse(MW_BAD_REGION);
	CHECK_EQ(mw_region_add(memory + 16 * MIB, 256 * MIB + 8, MIB), 0);
	test_misuse_came();
	test_expect_misuse(MW_BAD_REGION);
	CHECK_EQ(mw_region_add(memory + 16 * MIB + 1, 256 * MIB + 1, PAGE), 0);
	test_misuse_came();
	test_expect_misuse(MW_BAD_REGION);
	CHECK_EQ(mw_region_add((void *)(UINTPTR_MAX - MIB), 256 * MIB, MIB / 2), 0);
	test_misuse_came();
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK(!mw_pages_alloc_as(&(struct mw_pages){ .count = 1, .align = 12345 }));
	test_misuse_came();
	CHECK(mw_page_check());
}

TEST(regions_come_and_go)
{
	char *first = own_heap(2 * MIB, 64 * MIB), *second = test_memory(4 * MIB), *page;
	size_t metadata = stats_now().metadata;

	(void)first;
	for (unsigned int round = 0; round < 20; round++) {
		struct mw_pages want = { .count = 16, .at = second + MIB };

		NEED(mw_region_add(second, 128 * MIB, 4 * MIB));
		page = mw_pages_alloc_as(&want);
		CHECK_PTR(page, want.at);
		CHECK(!mw_region_remove(second)); /* in use */
		CHECK_EQ(mw_phys(page), 129 * MIB);
		mw_pages_free(page, 16);
		CHECK(mw_page_check());
		CHECK(mw_region_remove(second));
		CHECK(mw_phys(page) == UINT64_MAX);
		CHECK(!mw_map_get((uintptr_t)page));
		CHECK(!mw_region_remove(second));
		CHECK(mw_page_check());
		__builtin_memset(second, 0xa5, 4 * MIB); /* it is not Marrow's any more */
	}
	CHECK(stats_now().metadata <= metadata + 4 * PAGE);
}

/* Of the hosted port: how long a stop waits for a CPU. */
__attribute__((weak)) void port_world_set_limit(unsigned int seconds);

static struct {
	char *region, *other;
	atomic_bool pinned, tried;
} late;

static void remove_or_stay_pinned(unsigned int cpu, void *arg)
{
	unsigned long state;

	(void)arg;
	if (!cpu) {
		while (!atomic_load(&late.pinned))
			mw_port_relax();
		CHECK(!mw_region_remove(late.region));
		CHECK(!mw_region_remove(late.other));
		CHECK(!mw_region_remove(late.region));
		atomic_store(&late.tried, true);
		return;
	}
	state = mw_port_pin();
	atomic_store(&late.pinned, true);
	while (!atomic_load(&late.tried))
		mw_port_relax();
	mw_port_unpin(state);
}

/*
 * Its memory may still be read: nobody gets it, until the removal is asked for once more, of each.
 */
TEST_WITH(a_region_does_not_wait_for_ever, TEST_HOSTED)
{
	const size_t table = (size_t)1 << MW_MAP_TABLE_SHIFT;
	struct mw_pages want = { .count = 16 };

	own_heap(2 * MIB, 64 * MIB);
	/* Each has a table of the page map to itself: none lends the other one its own. */
	late.region = test_memory(4 * table);
	late.region = (char *)(((uintptr_t)late.region + table - 1) & ~(uintptr_t)(table - 1));
	late.other = late.region + 2 * table;
	atomic_store(&late.pinned, false);
	atomic_store(&late.tried, false);
	NEED(mw_region_add(late.region, 128 * MIB, 4 * MIB));
	NEED(mw_region_add(late.other, 256 * MIB, 4 * MIB));
	port_world_set_limit(0);
	test_parallel(2, remove_or_stay_pinned, NULL);
	port_world_set_limit(2);
	want.at = late.region + MIB;
	CHECK(!mw_pages_alloc_as(&want));
	CHECK_EQ(stats_now().regions, 1);
	CHECK(mw_page_check());
	test_expect_misuse(MW_BAD_REGION);
	CHECK(!mw_region_add(late.region + MIB, 129 * MIB, MIB));
	test_misuse_came();
	CHECK(mw_region_remove(late.region));
	CHECK(!mw_region_remove(late.region));
	CHECK(mw_region_add(late.region, 128 * MIB, 4 * MIB));
	CHECK(mw_region_remove(late.region));
	CHECK(mw_region_remove(late.other));
	CHECK(!mw_region_remove(late.other));
}

/* Two small regions, then a large one in the same 64 MiB, which has the table of the first one. */
TEST_WITH(regions_share_a_table, TEST_HOSTED)
{
	char *memory = test_memory(192 * MIB), *a, *b, *c;
	struct mw_span *span;

	memory = (char *)(((uintptr_t)memory + 64 * MIB - 1) & ~(uintptr_t)(64 * MIB - 1));
	test_heap(PAGE * 4);
	mw_reset();
	NEED(mw_region_add(memory, 256 * MIB, MIB));
	NEED(mw_region_add(memory + 2 * MIB, 258 * MIB, MIB));
	a = mw_pages_alloc(1, 0);
	span = mw_span_alloc(3, 0, 0);
	NEED(a && span);
	mw_span_publish(span);
	NEED(mw_region_add(memory + 4 * MIB, 260 * MIB, 60 * MIB));
	CHECK_PTR(mw_span_of(span->base + 2 * PAGE), span);
	CHECK(mw_page_check());
	b = mw_pages_alloc(1000, 0);
	c = mw_pages_alloc(1, 0);
	CHECK(b && c);
	mw_pages_free(a, 1);
	mw_pages_free(b, 1000);
	mw_pages_free(c, 1);
	mw_span_free(span);
	CHECK(mw_page_check());
	CHECK(mw_region_remove(memory + 4 * MIB)); /* the table is the first one's */
	CHECK(mw_page_check());
}

/* The last pages of one region and the first of the next one are in the same leaf. */
TEST_WITH(regions_share_a_leaf, TEST_HOSTED)
{
	char *memory = test_memory(192 * MIB), *last, *first;
	size_t cut = 4 * MIB + MIB / 2;
	struct mw_pages want = { .count = 4 };

	memory = (char *)(((uintptr_t)memory + 64 * MIB - 1) & ~(uintptr_t)(64 * MIB - 1));
	test_heap(PAGE * 4);
	mw_reset();
	NEED(mw_region_add(memory, 256 * MIB, cut));
	NEED(mw_region_add(memory + cut, 512 * MIB, 60 * MIB));
	want.at = memory + cut - MIB / 4;
	last = mw_pages_alloc_as(&want);
	want.at = memory + cut;
	first = mw_pages_alloc_as(&want);
	CHECK(last == memory + cut - MIB / 4 && first == memory + cut);
	CHECK(mw_page_check());
	mw_pages_free(last, 4);
	mw_pages_free(first, 4);
	CHECK(mw_page_check());
	CHECK(!mw_region_remove(memory)); /* the leaf lies there */
	CHECK(mw_region_remove(memory + cut));
	CHECK(mw_page_check());
	NEED(mw_region_add(memory + cut, 512 * MIB, 2 * MIB));
	first = mw_pages_alloc_as(&want);
	CHECK_PTR(first, memory + cut);
	CHECK(mw_page_check());
	mw_pages_free(first, 4);
	CHECK(mw_region_remove(memory + cut) && mw_region_remove(memory));
	CHECK(mw_page_check());
}

TEST_WITH(scavenged_pages_leave, TEST_HOSTED)
{
	size_t n = 48 * MIB, before;
	char *run;

	test_heap(64 * MIB);
	run = mw_pages_alloc(n / PAGE, 0);
	NEED(run);
	__builtin_memset(run, 1, n);
	before = port_resident();
	mw_pages_free(run, n / PAGE);
	CHECK_EQ(mw_scavenge(UINT64_C(3600000000000), SIZE_MAX), 0); /* not idle for an hour */
	CHECK_EQ(mw_scavenge(0, 8 * MIB), 8 * MIB);
	CHECK(mw_page_check());
	CHECK(mw_scavenge(0, SIZE_MAX) >= n - 8 * MIB);
	CHECK_EQ(mw_scavenge(0, SIZE_MAX), 0);
	CHECK(mw_page_check());
	CHECK(before - port_resident() >= n - MIB);
	run = mw_pages_alloc(n / PAGE, MW_ZERO);
	NEED(run);
	/* Known to be zero: it was not even touched to clear it. */
	CHECK(before - port_resident() >= n - MIB);
	for (size_t i = 0; i < n; i += PAGE / 2)
		NEED(!run[i]);
	__builtin_memset(run, 1, n);
	mw_pages_free(run, n / PAGE);
	run = mw_pages_alloc(n / PAGE, MW_ZERO);
	NEED(run);
	for (size_t i = 0; i < n; i += PAGE / 2)
		NEED(!run[i]);
	mw_pages_free(run, n / PAGE);
	CHECK(mw_page_check());
}

TEST(age_decides_what_is_scavenged)
{
	char *old, *young, *fence;
	uint64_t until;

	test_heap(4 * MIB);
	old = mw_pages_alloc(100, 0);
	fence = mw_pages_alloc(3, 0);
	young = mw_pages_alloc(500, 0);
	NEED(old && fence && young);
	mw_pages_free(old, 100);
	if (!mw_scavenge(0, PAGE))
		test_skip("no way to release pages");
	until = test_now() + 20000000;
	while (test_now() < until)
		CHECK_EQ(mw_scavenge(1000000000, SIZE_MAX), 0);
	mw_pages_free(young, 500);
	/* Idle for a millisecond: the old run, and not what was freed just now. */
	CHECK(mw_scavenge(1000000, SIZE_MAX) >= 99 * PAGE);
	CHECK(stats_now().zone[0].released + stats_now().zone[1].released +
		      stats_now().zone[2].released <
	      500);
	mw_pages_free(fence, 3);
	CHECK(mw_page_check());
}

static size_t free_and_not_released(void)
{
	size_t n = 0;

	for (unsigned int z = 0; z < 3; z++)
		n += stats_now().zone[z].free - stats_now().zone[z].released;
	return n;
}

/* The front of a run is taken: the rest is as old as it was, also if it is one page or two. */
TEST(what_is_left_of_a_run_keeps_its_age)
{
	static const size_t counts[] = { 100, 6, 3 }, fronts[] = { 40, sizeof(long) == 8 ? 4 : 3, 2 };
	struct mw_pages want = { .count = 1 };
	uint64_t until;
	void *runs[3];

	test_heap(4 * MIB);
	for (size_t i = 0; i < 3; i++) {
		want.count = counts[i];
		runs[i] = mw_pages_alloc_as(&want);
		want.count = 1;
		NEED(runs[i] && mw_pages_alloc_as(&want));
	}
	for (size_t i = 0; i < 3; i++)
		mw_pages_free(runs[i], counts[i]);
	mw_page_cpu_stop();
	if (!mw_scavenge(0, PAGE))
		test_skip("no way to release pages");
	until = test_now() + 20000000;
	while (test_now() < until)
		CHECK_EQ(mw_scavenge(1000000000, SIZE_MAX), 0);
	for (size_t i = 0; i < 3; i++) {
		want.count = fronts[i];
		want.at = runs[i];
		CHECK_PTR(mw_pages_alloc_as(&want), runs[i]);
	}
	CHECK(free_and_not_released() > 0);
	(void)mw_scavenge(1000000, SIZE_MAX);
	CHECK_EQ(free_and_not_released(), 0);
	CHECK(mw_page_check());
	test_heap_may_leak();
}

/*
 * Two regions share the MiB in which they meet, and the later one has the map of the next elsewhere. The
 * words of a run's last pages do not stand beside each other then.
 */
TEST_WITH(runs_end_where_the_map_is_torn, TEST_HOSTED)
{
	char *memory = test_memory(6 * MIB), *middle;
	size_t half = MIB / 2;

	test_heap(4 * PAGE);
	mw_reset();
	memory = (char *)mw_round_up((uintptr_t)memory, MIB);
	middle = memory + MIB;
	NEED(mw_region_add(memory + 4 * MIB, 68 * MIB, MIB) && mw_region_add(memory, 64 * MIB, half) &&
	     mw_region_add(memory + half, 64 * MIB + half, 2 * MIB));
	for (size_t i = 0; i < 5; i++) {
		struct mw_pages want = { .count = 8, .at = middle - 4 * PAGE }, end = want;
		char *run, *behind;

		run = mw_pages_alloc_as(&want);
		NEED(run);
		end.at = run + want.count * PAGE;
		end.count = 1;
		behind = mw_pages_alloc_as(&end);
		NEED(behind);
		/* It ends two pages before the border, ... two behind it. */
		mw_pages_free(run, 8);
		CHECK(mw_page_check());
		want.at = middle + i * PAGE - 2 * PAGE;
		want.count = 4 - i + 2;
		run = mw_pages_alloc_as(&want);
		NEED(run);
		CHECK(mw_page_check());
		mw_pages_free(run, want.count);
		CHECK(mw_page_check());
		mw_pages_free(behind, 1);
	}
}

/* ---- what a region's record says of the one that had it before ---- */

/* It was grown to its end, and some of it was with the port. */
TEST(a_record_begins_anew)
{
	struct mw_page_stats before, after;
	struct mw_pages want = { .count = 1 };
	char *extra;

	NEED(test_heap(4 * MIB));
	extra = test_memory(MIB);
	before = stats_now();
	for (unsigned int turn = 0; turn < 3; turn++) {
		size_t usable = mw_region_add(extra, 16 * GIB, MIB) / PAGE;

		NEED(usable > 8);
		want.at = extra;
		want.count = turn == 0 ? usable - 1 : 8;
		want.at = mw_pages_alloc_as(&want);
		NEED(want.at);
		CHECK(mw_page_check());
		mw_pages_free(want.at, want.count);
		(void)mw_scavenge(0, SIZE_MAX);
		CHECK(mw_page_check());
		CHECK(mw_region_remove(extra));
	}
	after = stats_now();
	CHECK_EQ(after.zone[2].released, before.zone[2].released);
	CHECK(mw_page_check());
}

/* Failing on purpose takes the record of the next region. */
TEST(a_region_without_memory_for_its_record)
{
	const struct mw_fail fail = { .every = 1, .own = true };
	char *extra;
	size_t n = 0, failed;

	NEED(test_heap(4 * MIB));
	extra = test_memory(8 * MIB);
	(void)mw_fail_set(&fail);
	while (n < 8 && mw_region_add(extra + n * MIB, 16 * GIB + n * MIB, MIB))
		n++;
	failed = mw_fail_set(NULL);
	CHECK(n > 0 && n < 8 && failed > 0);
	CHECK(mw_page_check());
	CHECK(mw_region_add(extra + n * MIB, 16 * GIB + n * MIB, MIB));
	CHECK(mw_page_check());
}
