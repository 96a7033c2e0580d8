// SPDX-License-Identifier: MIT
/*
 * What the statistics say in sum: bytes ever, metadata to the last byte, records, stacks, and what
 * is given back.
 */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "test.h"
#include "../mm/base/meta.h"

#define KIB ((size_t)1 << 10)

static struct mw_stats now(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return stats;
}

static size_t uses(const struct mw_stats *stats)
{
	size_t sum = stats->metadata_spare + stats->page.edges;

	for (unsigned int i = 0; i < MW_LEN(stats->metadata_by_use); i++)
		sum += stats->metadata_by_use[i];
	return sum;
}

/* ---- metadata ---- */

TEST(metadata_adds_up)
{
	void *objects[200];
	struct mw_stats stats;

	test_heap(32 << 20);
	stats = now();
	CHECK_EQ(uses(&stats), stats.page.metadata);
	for (size_t i = 0; i < MW_LEN(objects); i++)
		NEED(objects[i] = mw_alloc(1 + i * i, MW_NORMAL));
	stats = now();
	CHECK_EQ(uses(&stats), stats.page.metadata);
	/* A word a page at least. */
	CHECK(stats.metadata_by_use[MW_USE_MAP] >= (stats.page.bytes >> MW_PAGE_SHIFT) * sizeof(long));
	CHECK(stats.metadata_by_use[MW_USE_RUNS]);
	/* A guard page, and less than one that rounding leaves. */
	CHECK(stats.page.edges >= stats.page.regions * MW_PAGE_SIZE);
	CHECK(stats.page.edges < 2 * stats.page.regions * MW_PAGE_SIZE);
	for (size_t i = 0; i < MW_LEN(objects); i++)
		mw_free(objects[i]);
}

/* Records that come out of the heap, since nothing else is left, have edges of their own. */
TEST(metadata_adds_up_when_memory_ends)
{
	struct mw_stats stats;
	void *chain = NULL, *object;

	test_heap(4 << 20);
	while ((object = mw_alloc(40000, MW_NORMAL))) {
		*(void **)object = chain;
		chain = object;
	}
	while ((object = mw_alloc(100, MW_NORMAL))) {
		*(void **)object = chain;
		chain = object;
	}
	stats = now();
	CHECK_EQ(uses(&stats), stats.page.metadata);
	CHECK(mw_heap_check());
	for (; chain; chain = object) {
		object = *(void **)chain;
		mw_free(chain);
	}
}

TEST(metadata_of_regions_that_go)
{
	struct mw_stats before, with, stats;
	char *more;

	test_heap(16 << 20);
	before = now();
	more = test_memory(8 << 20);
	NEED(more && mw_region_add(more, (uint64_t)1 << 33, 8 << 20));
	with = now();
	CHECK(with.metadata_by_use[MW_USE_MAP] > before.metadata_by_use[MW_USE_MAP]);
	CHECK_EQ(uses(&with), with.page.metadata);
	CHECK(mw_region_remove(more));
	stats = now();
	CHECK_EQ(stats.metadata_by_use[MW_USE_MAP], before.metadata_by_use[MW_USE_MAP]);
	CHECK_EQ(uses(&stats), stats.page.metadata);
}

/* ---- records ---- */

TEST(records_in_use)
{
	struct mw_stats before, with, after;
	struct mw_cache *cache;
	void *object = NULL;

	test_heap(16 << 20);
	mw_free(mw_alloc(100, MW_NORMAL));
	before = now();
	cache = mw_cache_create(&(const struct mw_cache_want){ .name = "own", .size = 100 });
	NEED(cache && (object = mw_cache_alloc(cache, MW_NORMAL)));
	with = now();
	CHECK(with.span_records > before.span_records);
	CHECK(with.cache_records > before.cache_records);
	CHECK(with.span_records <= with.metadata_by_use[MW_USE_SPANS]);
	CHECK(with.cache_records <= with.metadata_by_use[MW_USE_CACHES]);
	mw_cache_free(cache, object);
	CHECK(mw_cache_destroy(cache));
	after = now();
	CHECK_EQ(after.span_records, before.span_records);
	CHECK(after.cache_records < with.cache_records);
}

/* ---- bytes ever ---- */

static uint64_t bytes_since(const struct mw_stats *before)
{
	struct mw_stats stats = now();

	return stats.alloc_bytes - before->alloc_bytes;
}

TEST(bytes_ever)
{
	struct mw_stats before;
	struct mw_cache *cache;
	uint64_t bytes = 0;
	char *object;

	test_heap(32 << 20);
	before = now();
	for (size_t size = 1; size < 300 * KIB; size += size / 2 + 1) {
		for (unsigned int again = 0; again < 3; again++) {
			NEED(object = mw_alloc(size, MW_NORMAL));
			bytes += mw_usable_size(object);
			mw_free(object);
		}
	}
	CHECK_EQ(bytes_since(&before), bytes);
	/* A cache's stay when it is gone. */
	cache = mw_cache_create(&(const struct mw_cache_want){ .name = "own", .size = 96 });
	NEED(cache);
	for (unsigned int i = 0; i < 10; i++)
		mw_cache_free(cache, mw_cache_alloc(cache, MW_NORMAL));
	CHECK_EQ(bytes_since(&before), bytes + 960);
	CHECK(mw_cache_destroy(cache));
	CHECK_EQ(bytes_since(&before), bytes + 960);
	CHECK_EQ(now().allocs - before.allocs, now().frees - before.frees);
	/* What grows where it lies is allocated, and what shrinks there is freed. */
	NEED(object = mw_alloc(100 * KIB, MW_NORMAL));
	bytes = bytes_since(&before);
	NEED((object = mw_realloc(object, 1000 * KIB, 0)));
	CHECK(bytes_since(&before) - bytes == 900 * KIB ||
	      bytes_since(&before) - bytes == 1000 * KIB);
	bytes = bytes_since(&before);
	NEED((object = mw_realloc(object, 200 * KIB, 0)));
	CHECK(bytes_since(&before) == bytes || bytes_since(&before) == bytes + 200 * KIB);
	CHECK(now().alloc_bytes >= now().live_bytes);
	mw_free(object);
}

/* ---- stacks ---- */

TEST(stacks_in_use)
{
	void *stacks[6], *page;

	test_heap(16 << 20);
	CHECK_EQ(now().page.stacks, 0);
	for (unsigned int order = 0; order < MW_LEN(stacks); order++)
		NEED(stacks[order] = mw_stack_alloc(order, MW_NORMAL));
	CHECK_EQ(now().page.stacks, 63);
	NEED(page = mw_pages_alloc(2, MW_NORMAL));
	mw_pages_free(page, 2);
	mw_stack_free(NULL, 1);
	CHECK_EQ(now().page.stacks, 63);
	test_expect_misuse(MW_WRONG_SIZE);
	mw_stack_free(stacks[2], 3);
	(void)test_misuse_came();
	CHECK_EQ(now().page.stacks, 63);
	for (unsigned int order = 0; order < MW_LEN(stacks); order++)
		mw_stack_free(stacks[order], order);
	CHECK_EQ(now().page.stacks, 0);
	CHECK_PTR(mw_stack_alloc(31, MW_NORMAL), NULL);
	CHECK_EQ(now().page.stacks, 0);
}

/* ---- all at once to whoever owns the memory ---- */

static size_t released(void)
{
	struct mw_page_stats stats;
	size_t pages = 0;

	mw_page_stats(&stats);
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		pages += stats.zone[z].released;
	return pages;
}

static void keep_some(unsigned int i, void *arg)
{
	void *objects[40];

	(void)i, (void)arg;
	for (size_t n = 0; n < MW_LEN(objects); n++)
		NEED(objects[n] = mw_alloc(2000 + 1000 * n, MW_NORMAL));
	for (size_t n = 0; n < MW_LEN(objects); n++)
		mw_free(objects[n]);
	mw_pages_free(mw_pages_alloc(1, MW_NORMAL), 1);
}

TEST(all_is_given_back)
{
	unsigned int cpus = test_cpus() < 3 ? test_cpus() : 3;
	struct mw_page_stats stats;
	size_t bytes;

	test_heap(64 << 20);
	test_parallel(cpus, keep_some, NULL);
	for (unsigned int i = 0; MW_GC && i < 200; i++)
		NEED(mw_alloc(5000, MW_NOSCAN));
	bytes = mw_give_back();
	if (!bytes && !released())
		test_skip("nobody to give it to");
	CHECK_EQ(released() << MW_PAGE_SHIFT, bytes);
	mw_page_stats(&stats);
	CHECK_EQ(stats.stocked, 0);
	/* But what a stack may hold by chance. */
	CHECK(stats.objects << MW_PAGE_SHIFT <= 128 * KIB);
	CHECK_EQ(stats.free - (stats.untouched >> MW_PAGE_SHIFT), released());
	test_heap_may_leak();
}

#if MW_GC

/* ---- what the collector counts on the way ---- */

static void never(void *object, void *arg)
{
	(void)object, (void)arg;
}

/* A mark does not find what waits for its finalizer, and it lives. */
static void keep_for_finalizers(void)
{
	struct mw_stats stats;

	for (unsigned int i = 0; i < 50; i++) {
		void *object = mw_alloc(300, MW_COLLECTED);

		NEED(object && mw_finalizer_set(object, never, NULL));
	}
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	stats = now();
	CHECK(stats.collected_bytes >= 40 * 300);
	CHECK(stats.collected_about >= stats.collected_bytes);
	mw_finalizers_run(50);
}

TEST(the_cheap_figure_is_no_less)
{
	struct mw_stats stats;

	test_heap(32 << 20);
	test_heap_may_leak();
	keep_for_finalizers();
	for (unsigned int i = 0; i < 3000; i++) {
		NEED(mw_alloc(1 + i % 700, i % 3 ? MW_COLLECTED : MW_NOSCAN));
		if (i % 500)
			continue;
		stats = now();
		CHECK(stats.collected_about >= stats.collected_bytes);
		CHECK(mw_heap_check());
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
		stats = now();
		CHECK(stats.collected_about >= stats.collected_bytes);
		CHECK(mw_heap_check());
	}
}

#endif

#if MW_WATCH

/* ---- the profile's sites, for anybody ---- */

TEST(sites_one_by_one)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_profile_site site;
	void *stays;
	unsigned int n = 0;

	test_heap(16 << 20);
	CHECK(!mw_profile_site_next(&cursor, &site));
	CHECK(mw_profile_rate(1));
	NEED(stays = mw_alloc(64, MW_NORMAL));
	mw_free(mw_alloc(5000, MW_NORMAL));
	cursor = (struct mw_profile_cursor){ 0 };
	while (mw_profile_site_next(&cursor, &site)) {
		CHECK(site.depth >= 1 && site.pcs[0]);
		CHECK_EQ(site.allocs, 1);
		CHECK_EQ(site.live, MW_GC ? site.size == 64 : 0);
		CHECK(site.size == 64 || site.size >= 5000);
		n++;
	}
	CHECK_EQ(n, 2);
	CHECK(mw_profile_rate(0));
	mw_free(stays);
}

#endif
