// SPDX-License-Identifier: MIT
/* The page heap, behaviour by behaviour. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/page/span.h"
#include "../mm/page/up.h"

#define PAGE MW_PAGE_SIZE
#define MIB ((size_t)1 << 20)

static size_t free_pages(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.free + stats.stocked;
}

static size_t raw_pages(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.raw;
}

/* Every page is accounted for. */
static bool all_there(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return (stats.free + stats.stocked + stats.raw + stats.objects) * PAGE + stats.metadata ==
	       stats.bytes;
}

static size_t free_runs(void)
{
	struct mw_page_stats stats;
	size_t runs = 0;

	mw_page_cpu_stop();
	mw_page_stats(&stats);
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		runs += stats.zone[z].runs;
	return runs;
}

TEST(one_page)
{
	size_t before;
	char *page;

	test_heap(4 * MIB);
	before = free_pages();
	page = mw_pages_alloc(1, 0);
	NEED(page);
	CHECK_EQ((uintptr_t)page % PAGE, 0);
	page[0] = page[PAGE - 1] = 1;
	CHECK_EQ(free_pages(), before - 1);
	mw_pages_free(page, 1);
	CHECK_EQ(free_pages(), before);
	CHECK(!mw_pages_alloc(0, 0));
	mw_pages_free(NULL, 1);
}

TEST(join_in_any_order)
{
	static const unsigned char orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						    { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	test_heap(4 * MIB);

	for (size_t n = 1; n < 12; n++) {
		for (size_t i = 0; i < 6; i++) {
			char *run[3], *fence;

			for (size_t j = 0; j < 3; j++)
				run[j] = mw_pages_alloc(n + (j == 1), 0);
			fence = mw_pages_alloc(1, 0);
			NEED(run[0] && run[1] && run[2] && fence);
			for (size_t j = 0; j < 3; j++)
				mw_pages_free(run[orders[i][j]], n + (orders[i][j] == 1));
			CHECK(mw_page_check());
			mw_pages_free(fence, 1);
			CHECK_EQ(free_runs(), 1);
		}
	}
}

/* The zone that has most in free runs: the test's memory may lie in several. */
static struct mw_zone_stats zone_with_runs(void)
{
	struct mw_page_stats stats;
	size_t most = 0;

	mw_page_stats(&stats);
	for (size_t z = 1; z < MW_NR_ZONES; z++)
		if (stats.zone[z].free > stats.zone[most].free)
			most = z;
	return stats.zone[most];
}

TEST(fragmentation_is_told)
{
	struct mw_zone_stats whole, holes;
	char *run[8];
	size_t n;

	test_heap(16 * MIB);
	for (n = 0; n < 8; n++)
		NEED(run[n] = mw_pages_alloc(100, MW_NORMAL));
	whole = zone_with_runs();
	for (n = 0; n < 8; n += 2)
		mw_pages_free(run[n], 100);
	holes = zone_with_runs();
	NEED(holes.free);
	CHECK(holes.fragmentation > whole.fragmentation);
	CHECK(holes.fragmentation <= 1000);
	CHECK_EQ(holes.fragmentation, 1000 - holes.largest * 1000 / holes.free);
	for (n = 1; n < 8; n += 2)
		mw_pages_free(run[n], 100);
}

TEST(regions_tell_what_they_hold)
{
	struct mw_region_stats region;
	struct mw_page_stats all;
	size_t pages = 0, used = 0, rest = 0, n = 0;
	void *some, *other;

	test_heap(16 * MIB);
	some = mw_pages_alloc(100, MW_NORMAL);
	other = mw_pages_alloc(50, MW_NORMAL);
	NEED(some && other);
	mw_pages_free(some, 100);
	mw_page_stats(&all);
	for (; mw_region_stats(n, &region); n++) {
		CHECK_EQ(region.used + region.free + region.untouched + region.metadata,
			 region.pages);
		CHECK_EQ(mw_phys(region.base), region.phys);
		pages += region.pages;
		used += region.used;
		rest += region.free + region.untouched;
	}
	CHECK_EQ(n, all.regions);
	CHECK_EQ(pages * PAGE, all.bytes);
	CHECK_EQ(used, all.raw + all.stocked + all.objects);
	CHECK_EQ(rest, all.free);
	mw_pages_free(other, 50);
}

TEST(misuse_of_pages)
{
	char *a, *b;
	size_t before;

	test_heap(4 * MIB);
	a = mw_pages_alloc(4, 0);
	b = mw_pages_alloc(1, 0);
	NEED(a && b);
	before = free_pages();
	test_expect_misuse(MW_WRONG_SIZE);
	mw_pages_free(a, 3);
	CHECK_EQ(test_misuse_came()->span_pages, 4);
	test_expect_misuse(MW_WRONG_SIZE);
	mw_pages_free(a, 0);
	test_misuse_came();
	test_expect_misuse(MW_INNER_FREE);
	mw_pages_free(a + PAGE, 1);
	CHECK_PTR(test_misuse_came()->span, a);
	test_expect_misuse(MW_INNER_FREE);
	mw_pages_free(a + 8, 4);
	test_misuse_came();
	test_expect_misuse(MW_FOREIGN_FREE);
	mw_pages_free(&before, 1);
	test_misuse_came();
	mw_pages_free(a, 4);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_pages_free(a, 4);
	test_misuse_came();
	test_expect_misuse(MW_FOREIGN_FREE);
	mw_pages_free(b + 2 * MIB, 1);
	CHECK(test_has(test_misuse_came()->text, "never handed out"));
	mw_pages_free(b, 1);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_pages_free(b, 1);
	test_misuse_came();
	CHECK_EQ(free_pages(), before + 5);
}

TEST(aligned_blocks)
{
	test_heap(64 * MIB);

	for (unsigned int order = 0; order <= 12; order++) {
		struct mw_pages want = { .count = (size_t)1 << order, .align = PAGE << order };
		char *fence = mw_pages_alloc(1, 0), *run = mw_pages_alloc_as(&want);

		NEED(fence && run);
		CHECK_EQ((uintptr_t)run % want.align, 0);
		mw_pages_free(run, want.count);
		want.count = 3;
		run = mw_pages_alloc_as(&want);
		NEED(run);
		CHECK_EQ((uintptr_t)run % want.align, 0);
		mw_pages_free(run, want.count);
		mw_pages_free(fence, 1);
	}
}

TEST(exact_place)
{
	struct mw_pages want = { .count = 3 };
	char *run;

	test_heap(4 * MIB);
	run = mw_pages_alloc(8, 0);
	NEED(run);
	mw_pages_free(run, 8);
	want.at = run + 2 * PAGE;
	CHECK_PTR(mw_pages_alloc_as(&want), want.at);
	CHECK(!mw_pages_alloc_as(&want));
	CHECK(mw_page_check());
	mw_pages_free(want.at, 3);
	want.at = run + 3 * MIB; /* in the gap */
	CHECK_PTR(mw_pages_alloc_as(&want), want.at);
	mw_pages_free(want.at, 3);
	CHECK_EQ(free_runs(), 1);
}

TEST(spans_in_the_map)
{
	struct mw_span *span;
	size_t before;

	test_heap(4 * MIB);
	before = free_pages();
	span = mw_span_alloc(5, 0, MW_ZERO);
	NEED(span);
	CHECK(!mw_span_of(span->base));
	mw_span_publish(span);
	for (size_t i = 0; i < 5; i++)
		CHECK_PTR(mw_span_of(span->base + i * PAGE + 17), span);
	CHECK(!mw_span_of(span->base + 5 * PAGE));
	CHECK(!mw_span_of(span->base - 1));
	for (size_t i = 0; i < 5 * PAGE; i++)
		NEED(!span->base[i]);
	CHECK(mw_page_check());
	test_expect_misuse(MW_WRONG_KIND);
	mw_pages_free(span->base, 5);
	test_misuse_came();
	mw_span_free(span);
	CHECK(!mw_span_of(span->base));
	CHECK(free_pages() + 1 >= before);
}

TEST(frames_and_addresses)
{
	char *page;
	uint64_t phys;

	test_heap(4 * MIB);
	page = mw_pages_alloc(1, 0);
	NEED(page);
	phys = mw_phys(page + 123);
	CHECK(phys != UINT64_MAX && phys % PAGE == 123);
	CHECK_PTR(mw_virt(phys), page + 123);
	CHECK(mw_phys(&page) == UINT64_MAX);
	CHECK(!mw_virt(UINT64_MAX - PAGE));
	mw_pages_free(page, 1);
}

TEST(written_after_free)
{
	char *a, *b, *fence;
	struct mw_pages want = { .count = 3 };

	test_heap(4 * MIB);
	mw_page_poison(true);
	a = want.at = mw_pages_alloc(3, 0);
	fence = mw_pages_alloc(1, 0);
	b = mw_pages_alloc(1, 0);
	NEED(a && b && fence);
	mw_pages_free(a, 3);
	mw_pages_free(b, 1);
	CHECK_PTR(mw_pages_alloc_as(&want), a); /* untouched: nothing to report */
	mw_pages_free(a, 3);
	test_spoil(a + PAGE + 100, 1);
	test_expect_misuse(MW_USE_AFTER_FREE);
	CHECK_PTR(mw_pages_alloc_as(&want), a);
	CHECK(test_misuse_came()->span == a + PAGE);
	mw_page_poison(false);
	mw_pages_free(a, 3);
	test_spoil(a, 1); /* not filled, so not looked at */
	a = mw_pages_alloc(3, MW_ZERO);
	for (size_t i = 0; a && i < 3 * PAGE; i++)
		NEED(!a[i]);
	mw_pages_free(a, 3);
	mw_pages_free(fence, 1);
	CHECK(mw_page_check());
}

/* Pages of objects are filled and looked at as others are. */
TEST(written_after_free_of_an_object)
{
	char *object;
	struct mw_pages want = { .count = 20 };

	test_heap(4 * MIB);
	mw_page_poison(true);
	want.at = object = mw_alloc(20 * PAGE, 0);
	NEED(object);
	mw_free(object);
	mw_page_cpu_stop();
	(void)mw_up_reclaim(20, MW_ATOMIC, 0);
	test_spoil(object + 13 * PAGE - 1, 1);
	test_expect_misuse(MW_USE_AFTER_FREE);
	CHECK_PTR(mw_pages_alloc_as(&want), object);
	CHECK(test_misuse_came()->span == object + 12 * PAGE);
	mw_page_poison(false);
	mw_pages_free(object, 20);
	CHECK(mw_page_check());
}

/* Random operations, checked against a map with a byte for each page. */
static unsigned char model[16 * MIB / MW_PAGE_SIZE * 2];

static void model_random(size_t ops, size_t check_each)
{
	static struct {
		char *at;
		size_t n;
	} live[512];
	size_t bytes = test_heap(16 * MIB), taken = 0;
	char *base = NULL;

	for (size_t op = 0; op < ops; op++) {
		size_t i = test_below(512), first;

		if (!live[i].at) {
			size_t n = (size_t)1 << test_below(8);

			n = 1 + test_below(n);
			live[i].at = mw_pages_alloc(n, MW_ATOMIC);
			if (!live[i].at)
				continue;
			if (!base)
				base = live[i].at - bytes;
			live[i].n = n;
			taken += n;
			first = (size_t)(live[i].at - base) / PAGE;
			for (size_t j = 0; j < n; j++)
				NEED(!model[first + j]++);
		} else {
			first = (size_t)(live[i].at - base) / PAGE;
			for (size_t j = 0; j < live[i].n; j++)
				model[first + j]--;
			mw_pages_free(live[i].at, live[i].n);
			taken -= live[i].n;
			live[i].at = NULL;
		}
		if (op % check_each == 0)
			NEED(mw_page_check() && raw_pages() == taken && all_there());
	}
	for (size_t i = 0; i < 512; i++) {
		if (live[i].at)
			mw_pages_free(live[i].at, live[i].n);
		live[i].at = NULL;
	}
	__builtin_memset(model, 0, sizeof(model));
	CHECK_EQ(raw_pages(), 0);
	CHECK(all_there());
	CHECK(mw_page_check());
}

TEST(random_against_a_model)
{
	model_random(1000000, 997);
}
