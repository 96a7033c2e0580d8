// SPDX-License-Identifier: MIT
/* Addresses of all kinds that are in no span: where look-ups end, and what frees of them say. */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/map.h"

#define TABLE ((size_t)1 << MW_MAP_TABLE_SHIFT)
#define PHYS ((uint64_t)1 << 32)
#define BYTES (8 * MIB)
#define PLACES 32u

static struct place {
	const char *name;
	char *at;
} places[PLACES];
static unsigned int nr_places;
static unsigned long reports;

static void count_report(const struct mw_report *report)
{
	(void)report;
	reports++;
}

static void place(const char *name, uintptr_t at)
{
	NEED(nr_places < PLACES);
	places[nr_places++] = (struct place){ name, (char *)at };
}

/*
 * What is no region's: far away, beside the window, in a table that others have, in a leaf that
 * others have.
 */
static void outside(char *region, char *gone)
{
	static char variable;
	char local;

	place("NULL", 0);
	place("the first byte", 1);
	place("the last byte", UINTPTR_MAX);
	place("before the window", (uintptr_t)MW_ADDR_BASE - 1);
	if (MW_ADDR_BITS < 8 * sizeof(void *))
		place("behind the window",
		      (uintptr_t)MW_ADDR_BASE +
			      ((uintptr_t)1 << (MW_ADDR_BITS % (8 * sizeof(void *)))));
	place("the stack", (uintptr_t)&local);
	place("a variable", (uintptr_t)&variable);
	place("a function", (uintptr_t)outside);
	place("before a region", (uintptr_t)region - 1);
	place("behind a region", (uintptr_t)region + BYTES);
	place("in a table, in no leaf", (uintptr_t)region + BYTES + 4 * MIB);
	place("in no table", (uintptr_t)region + TABLE);
	place("a region that went", (uintptr_t)gone + MIB);
}

/* What is a region's, and in no span. */
static void inside(char *region, char *raw, char *free, char *stocked)
{
	struct mw_region_stats stats = { 0 };

	for (size_t i = 0; stats.base != region; i++)
		NEED(mw_region_stats(i, &stats));
	place("a run of pages", (uintptr_t)raw);
	place("in a run of pages", (uintptr_t)raw + 2 * PAGE);
	place("free pages", (uintptr_t)free + PAGE);
	place("a page in a stock", (uintptr_t)stocked);
	place("in a page in a stock", (uintptr_t)stocked + 17);
	place("before the frontier", (uintptr_t)region + (stats.used + stats.free - 1) * PAGE);
	place("at the frontier", (uintptr_t)region + (stats.used + stats.free) * PAGE);
	place("in a leaf that sleeps", (uintptr_t)region + BYTES - 2 * MIB);
	place("the guard page", (uintptr_t)region + BYTES - stats.metadata * PAGE);
	place("records", (uintptr_t)region + BYTES - 1);
}

static void look_up(const struct place *place)
{
	struct mw_place found;
	unsigned long state = mw_port_pin();
	const struct mw_span *fast = mw_span_fast(place->at), *other = mw_span_of_pinned(place->at);

	mw_port_unpin(state);
	(void)test_check(fast == &mw_span_none && !other && !mw_span_of(place->at), __FILE__,
			 __LINE__, "%s is in no span", place->name);
	CHECK_EQ(mw_usable_size(place->at), 0);
	CHECK(!mw_lookup(place->at, &found) || found.kind == MW_KIND_PAGES);
}

/* Each says so once, and nothing of NULL. */
static void free_it(const struct place *place, struct mw_cache *cache)
{
	void *one = place->at;

	reports = 0;
	mw_free(place->at);
	mw_free_sized(place->at, 64);
	mw_free_sized(place->at, 100000);
	mw_cache_free(cache, place->at);
	mw_cache_free_bulk(cache, 1, &one);
	(void)test_check(reports == (place->at ? 5 : 0), __FILE__, __LINE__, "%s: %lu reports",
			 place->name, reports);
	CHECK_PTR(mw_realloc(place->at ? place->at : (char *)1, 64, MW_NORMAL), NULL);
}

TEST_WITH(no_foreign_address_has_a_span, TEST_HOSTED)
{
	const struct mw_cache_want want = { .name = "nowhere", .size = 64 };
	char *region = (char *)mw_round_up((uintptr_t)test_memory(3 * TABLE), TABLE), *raw, *stocked;
	struct mw_pages three = { .count = 3, .at = region + 512 * KIB };
	struct mw_cache *cache;
	mw_misuse_fn *before;
	void *object;

	test_heap(4 * MIB);
	NEED(mw_region_add(region, PHYS, BYTES));
	NEED(mw_region_add(region + 2 * TABLE, 2 * PHYS, BYTES));
	NEED(mw_region_remove(region + 2 * TABLE));
	cache = mw_cache_create(&want);
	object = mw_cache_alloc(cache, MW_NORMAL);
	raw = mw_pages_alloc_as(&three);
	stocked = mw_pages_alloc(1, MW_NORMAL);
	NEED(object && raw && stocked);
	mw_pages_free(stocked, 1);
	nr_places = 0;
	outside(region, region + 2 * TABLE);
	inside(region, raw, raw + 8 * PAGE, stocked);
	before = mw_on_misuse(count_report);
	for (unsigned int i = 0; i < nr_places; i++) {
		look_up(&places[i]);
		free_it(&places[i], cache);
	}
	mw_on_misuse(before);
	CHECK(mw_page_check());
	mw_cache_free(cache, object);
	CHECK(mw_cache_destroy(cache));
	mw_pages_free(raw, 3);
}
