// SPDX-License-Identifier: MIT
/* The tables for people: each number in them is the one of the statistics. */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "test.h"
#include "../mm/base/report.h"
#include "../mm/object/object.h"

#define PAGE MW_PAGE_SIZE
#define KIB(pages) ((pages)*PAGE >> 10)

/* The number behind @label and blanks; SIZE_MAX: there is none. */
static size_t number_behind(const char *text, const char *label)
{
	const char *at = test_has(text, label);
	size_t n = 0;

	if (!at)
		return SIZE_MAX;
	for (; *label; label++)
		at++;
	while (*at == ' ')
		at++;
	if (*at < '0' || *at > '9')
		return SIZE_MAX;
	for (; *at >= '0' && *at <= '9'; at++)
		n = n * 10 + (size_t)(*at - '0');
	return n;
}

/* What every figure of the tables needs to be another one than 0. */
static void *pages, *objects[200], *freed[3];

static void fill(void)
{
	test_heap(64 << 20);
	NEED(mw_reserve(37 * PAGE));
	NEED(pages = mw_pages_alloc(7, MW_NORMAL));
	for (size_t i = 0; i < 200; i++)
		NEED(objects[i] = mw_alloc(1 + i * 37, MW_NORMAL));
	for (size_t i = 0; i < 3; i++) {
		NEED(freed[i] = mw_pages_alloc(40 + i, MW_NORMAL));
		mw_pages_free(freed[i], 40 + i);
	}
	freed[0] = mw_pages_alloc(1, MW_NORMAL);
	mw_pages_free(freed[0], 1);
	CHECK(!mw_pages_alloc((size_t)1 << 20, MW_ATOMIC));
	test_expect_misuse(MW_WRONG_SIZE);
	mw_pages_free(pages, 6);
	test_misuse_came();
	mw_free(objects[0]);
	objects[0] = NULL;
	(void)mw_scavenge(0, 20 * PAGE);
#if MW_GC
	NEED(mw_alloc(5, MW_NOSCAN) && mw_alloc(5, MW_NOSCAN));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
#endif
}

static void empty(void)
{
	for (size_t i = 0; i < 200; i++)
		mw_free(objects[i]);
	mw_pages_free(pages, 7);
	CHECK(mw_reserve(0));
}

TEST(each_line_of_meminfo)
{
	static const char *const uses[] = { "  PageMap:", "  FreeRuns:",  "  Spans:", "  Caches:",
					    "  Records:", "  Collector:", "  Watch:", "  Other:" };
	const char *text;
	struct mw_stats s;
	size_t released = 0, taken;

	fill();
	test_capture();
	mw_print_meminfo();
	text = test_captured();
	mw_stats(&s);
	for (size_t z = 0; z < MW_NR_ZONES; z++)
		released += s.page.zone[z].released;
	taken = s.page.objects * PAGE;
	CHECK_EQ(number_behind(text, "MemTotal:"), s.page.bytes >> 10);
	CHECK_EQ(number_behind(text, "\nMemFree:"), KIB(s.page.free));
	CHECK_EQ(number_behind(text, "\n  Untouched:"), s.page.untouched >> 10);
	CHECK_EQ(number_behind(text, "\n  Released:"), KIB(released));
	CHECK_EQ(number_behind(text, "\n  Reserve:"), KIB((size_t)37));
	CHECK_EQ(number_behind(text, "\nPages:"), KIB((size_t)7));
	CHECK_EQ(number_behind(text, "\n  Stacks:"), KIB(s.page.stacks));
	CHECK_EQ(number_behind(text, "\nPagesInStocks:"), KIB(s.page.stocked));
	CHECK(!test_has(text, "Lost:"));
	CHECK_EQ(number_behind(text, "\nObjects:"), taken >> 10);
	CHECK_EQ(number_behind(text, "\n  Live:"), s.live_bytes >> 10);
	CHECK_EQ(number_behind(text, "\n  FreePlaces:"), s.cached_bytes >> 10);
	CHECK_EQ(number_behind(text, "\n  Rest:"), (taken - s.live_bytes - s.cached_bytes) >> 10);
	CHECK_EQ(number_behind(text, "\nMetadata:"), s.page.metadata >> 10);
	for (size_t i = 0; i < MW_LEN(uses); i++)
		CHECK_EQ(number_behind(text, uses[i]),
			 s.metadata_by_use[i] ? s.metadata_by_use[i] >> 10 : SIZE_MAX);
	CHECK_EQ(number_behind(text, "\n  Spare:"), s.metadata_spare >> 10);
	CHECK_EQ(number_behind(text, "\n  Edges:"), s.page.edges >> 10);
	CHECK_EQ(number_behind(text, "\nAllocatedEver:"), s.alloc_bytes >> 10);
	CHECK_EQ(number_behind(text, "\nObjectCounts:"), s.live_objects);
	CHECK_EQ(number_behind(text, " live,"), s.allocs);
	CHECK_EQ(number_behind(test_has(text, "ObjectCounts:"), "allocated,"), s.frees);
	CHECK_EQ(number_behind(text, "other CPUs),"), s.packed);
	CHECK_EQ(number_behind(text, "\nPageRuns:"), s.page.allocs);
	CHECK_EQ(number_behind(test_has(text, "PageRuns:"), "allocated,"), s.page.frees);
	CHECK_EQ(number_behind(test_has(text, "PageRuns:"), "freed,"), s.page.failures);
	CHECK_EQ(number_behind(text, "\nMisuses:"), 1);
#if MW_GC
	CHECK_EQ(number_behind(text, "\nCollected:"), s.collected_bytes >> 10);
	CHECK_EQ(number_behind(text, "on the way counted as"), s.collected_about >> 10);
	CHECK_EQ(number_behind(text, "\nCycles:"), 1);
	CHECK_EQ(number_behind(text, "goal"), s.goal >> 10);
	CHECK_EQ(number_behind(text, "longest pause"), s.pause_max_ns);
	CHECK_EQ(number_behind(text, "all pauses"), s.pause_total_ns);
#endif
	empty();
}

/* The number of column @n, from 0, of the line that begins with @name. */
static size_t in_line(const char *text, const char *name, unsigned int n)
{
	const char *at = test_has(text, name);

	if (!at)
		return SIZE_MAX;
	for (; *name; name++)
		at++;
	for (;; n--) {
		while (*at == ' ')
			at++;
		if (!n || *at == '\n')
			return number_behind(at, "");
		while (*at != ' ' && *at != '\n')
			at++;
	}
}

TEST(each_column_of_buddyinfo)
{
	static const char *const names[MW_NR_ZONES] = { "\n<16M ", "\n<4G ", "\nrest " };
	struct mw_page_stats s;
	const char *text, *orders;
	unsigned int most = 0;

	fill();
	test_capture();
	mw_print_buddyinfo();
	text = test_captured();
	mw_page_stats(&s);
	orders = test_has(text, "\nruns of 2^n pages or more, n from 0 to");
	NEED(orders);
	for (unsigned int z = 0; z < MW_NR_ZONES; z++) {
		const struct mw_zone_stats *zone = &s.zone[z];

		CHECK_EQ(in_line(text, names[z], 0), zone->pages ? zone->free : SIZE_MAX);
		if (!zone->pages)
			continue;
		CHECK_EQ(in_line(text, names[z], 1), zone->runs);
		CHECK_EQ(in_line(text, names[z], 2), zone->largest);
		CHECK_EQ(in_line(text, names[z], 3), zone->fragmentation);
		CHECK_EQ(in_line(text, names[z], 4), zone->low_water);
		for (unsigned int i = 0; i < MW_ORDERS; i++)
			if (zone->by_order[i] && i > most)
				most = i;
	}
	CHECK_EQ(number_behind(orders, "from 0 to"), most);
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		for (unsigned int i = 0; s.zone[z].pages && i <= most; i++)
			CHECK_EQ(in_line(orders, names[z], i), s.zone[z].by_order[i]);
	empty();
}

TEST(each_column_of_slabinfo)
{
	struct mw_cache_stats s;
	const char *text;
	char name[64];
	size_t shown = 0;

	fill();
	test_capture();
	mw_print_slabinfo();
	text = test_captured();
	for (size_t i = 0; mw_cache_stats(i, &s); i++) {
		mw_format(name, sizeof(name), "\n%s ", s.name);
		/* Those of one size and different kinds have the same name. */
		if (!s.spans || s.live < 2)
			continue;
		shown++;
		CHECK_EQ(in_line(text, name, 0), s.size);
		CHECK_EQ(in_line(text, name, 1), s.live);
		CHECK_EQ(in_line(text, name, 2), s.capacity);
		CHECK_EQ(in_line(text, name, 3), s.spans);
		CHECK_EQ(in_line(text, name, 4), s.pages);
		CHECK_EQ(in_line(text, name, 5), s.allocs);
		CHECK_EQ(in_line(text, name, 6), s.remote_frees);
	}
	CHECK(shown > 10);
	empty();
}
