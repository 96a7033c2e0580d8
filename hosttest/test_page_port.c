// SPDX-License-Identifier: MIT
/* The page heap and a port that takes pages and gives them back: with what was in them, or not at all. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/base/report.h"
#include "../mm/page/span.h"
#include "../mm/page/up.h"

#define PAGE MW_PAGE_SIZE
#define MIB ((size_t)1 << 20)

/* Of the hosted port. */
__attribute__((weak)) void port_pages_are(bool (*release)(void *page, size_t len),
					  bool (*reclaim)(void *page, size_t len));

static unsigned char with[4 * MIB / MW_PAGE_SIZE]; /* the port has the page */
static char *base, *lost;
static size_t reclaimed;

static bool keeps; /* what is in them; else they read as zero afterwards */

static bool release(void *page, size_t len)
{
	for (size_t i = 0; i < len / PAGE; i++)
		CHECK(!with[((char *)page - base) / PAGE + i]++);
	if (!keeps)
		__builtin_memset(page, 0, len);
	return !keeps;
}

static bool reclaim(void *page, size_t len)
{
	char *at = page;

	for (size_t i = 0; i < len / PAGE; i++)
		CHECK_EQ(with[(at - base) / PAGE + i]--, 1);
	reclaimed += len / PAGE;
	return !lost || lost < at || lost >= at + len;
}

static void begin(void)
{
	test_heap(4 * PAGE);
	base = test_memory(4 * MIB);
	mw_reset();
	__builtin_memset(base, 0xa5, 4 * MIB);
	__builtin_memset(with, 0, sizeof(with));
	NEED(mw_region_add(base, (uint64_t)1 << 30, 4 * MIB));
	lost = NULL;
	keeps = true;
	reclaimed = 0;
	port_pages_are(release, reclaim);
}

static void end(void)
{
	port_pages_are(NULL, NULL);
	CHECK(mw_page_check());
}

static bool not_with_port(const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (with[(at - base) / PAGE + i])
			return false;
	return true;
}

static size_t released(void)
{
	struct mw_page_stats stats;
	size_t pages = 0;

	mw_page_stats(&stats);
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		pages += stats.zone[z].released;
	return pages;
}

/* All that is free goes to the port. Return: pages. */
static size_t release_all(void)
{
	mw_page_cpu_stop();
	return mw_scavenge(0, SIZE_MAX) / PAGE;
}

TEST_WITH(released_pages_are_asked_back, TEST_HOSTED)
{
	struct mw_span *span;
	char *run, *page;
	size_t pages;

	begin();
	run = mw_pages_alloc(100, 0);
	NEED(run);
	mw_pages_free(run, 100);
	pages = release_all();
	CHECK(pages >= 100 && released() == pages);
	run = mw_pages_alloc(100, 0);
	NEED(run);
	CHECK(not_with_port(run, 100));
	CHECK_EQ(reclaimed, 100);
	page = mw_pages_alloc(1, 0); /* with a batch for the stock */
	NEED(page);
	CHECK(not_with_port(page, 1));
	span = mw_span_alloc(5, 0, 0);
	NEED(span);
	CHECK(not_with_port(span->base, 5));
	CHECK_EQ(released() + reclaimed, pages);
	mw_span_free(span);
	mw_pages_free(page, 1);
	mw_pages_free(run, 100);
	end();
}

TEST_WITH(released_pages_need_not_be_zero, TEST_HOSTED)
{
	unsigned char *run;

	begin();
	run = mw_pages_alloc(10, 0);
	NEED(run);
	mw_pages_free(run, 10);
	keeps = false;
	CHECK(release_all() >= 10);
	keeps = true;
	run = mw_pages_alloc(10, MW_ZERO);
	NEED(run);
	__builtin_memset(run, 0x5a, 10 * PAGE);
	mw_pages_free(run, 10);
	CHECK(release_all() >= 10);
	run = mw_pages_alloc(10, MW_ZERO);
	NEED(run);
	for (size_t i = 0; i < 10 * PAGE; i++)
		NEED(!run[i]);
	mw_pages_free(run, 10);
	end();
}

/* One page in the middle of a run never comes back: whoever gets pages does not get that one. */
TEST_WITH(lost_pages_are_nobodys, TEST_HOSTED)
{
	void *page[64];
	size_t n = 0;
	char *run;

	test_heap_may_leak();
	begin();
	run = mw_pages_alloc(40, 0);
	NEED(run);
	mw_pages_free(run, 40);
	CHECK(release_all() >= 40);
	lost = run + 17 * PAGE;
	for (; n < 64; n++) {
		page[n] = mw_pages_alloc(1, 0);
		NEED(page[n]);
		CHECK(page[n] != lost && not_with_port(page[n], 1));
	}
	while (n--)
		mw_pages_free(page[n], 1);
	mw_page_cpu_stop();
	CHECK(release_all() > 0);
	lost = run + 10 * PAGE;
	run = mw_pages_alloc(20, 0);
	NEED(run);
	CHECK(lost < run || lost >= run + 20 * PAGE);
	mw_pages_free(run, 20);
	end();
}

static size_t pages_lost(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	CHECK_EQ((stats.free + stats.raw + stats.objects + stats.stocked + stats.lost) * PAGE +
			 stats.metadata,
		 stats.bytes);
	return stats.lost;
}

/* @n pages are free and with the port, which has lost the first of them. */
static char *lose_first_of(size_t n)
{
	char *run;

	/* With all in its place the same request finds the same run. */
	(void)release_all();
	run = mw_pages_alloc(n, 0);
	NEED(run);
	mw_pages_free(run, n);
	CHECK(release_all() > 0);
	lost = run;
	return run;
}

/* Each is counted once, whoever it was that wanted them, and the heap is as sound as before. */
TEST_WITH(lost_pages_are_counted_once, TEST_HOSTED)
{
	struct mw_pages want = { .count = 5 };
	char *object, *page, *run, line[64];

	test_heap_may_leak();
	begin();
	lose_first_of(30);
	object = mw_alloc(30 * PAGE, 0);
	NEED(object);
	CHECK_EQ(pages_lost(), 30);
	CHECK(mw_heap_check());
	/* Behind it, for an object that is to be longer. */
	lost = object + 31 * PAGE;
	object = mw_realloc(object, 32 * PAGE, 0);
	NEED(object);
	CHECK_EQ(pages_lost(), 32);
	CHECK(mw_heap_check());
	mw_free(object);
	page = lose_first_of(5);
	want.at = page;
	CHECK(!mw_pages_alloc_as(&want));
	CHECK_EQ(pages_lost(), 37);
	page = lose_first_of(5);
	run = mw_pages_alloc(5, 0);
	NEED(run);
	CHECK(run != page);
	CHECK_EQ(pages_lost(), 42);
	CHECK(mw_heap_check());
	mw_pages_free(run, 5);
	lose_first_of(1);
	page = mw_pages_alloc(1, 0);
	CHECK(page && page != lost);
	CHECK_EQ(pages_lost(), 43);
	CHECK(mw_heap_check());
	test_capture();
	mw_print_meminfo();
	mw_format(line, sizeof(line), "\nLost:              %10zu KiB\n", 43 * PAGE >> 10);
	CHECK(test_has(test_captured(), line));
	mw_pages_free(page, 1);
	test_expect_misuse(MW_FOREIGN_FREE);
	mw_pages_free(lost, 1);
	CHECK(test_has(test_misuse_came()->text, "lost"));
	end();
}
