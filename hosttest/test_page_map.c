// SPDX-License-Identifier: MIT
/* The page map's flat part: what it covers, and what becomes of it as regions come and go. */
#include "test.h"
#include "../mm/page/map.h"

#define PAGE MW_PAGE_SIZE
#define MIB ((size_t)1 << 20)
#define TABLE ((size_t)1 << MW_MAP_TABLE_SHIFT)
#define TABLE_PAGES (MW_MAP_LEAVES * MW_LEAF_PAGES)

static size_t flat_pages(void)
{
	return atomic_load_explicit(&mw_map_flat.pages, memory_order_relaxed);
}

static bool in_flat(const char *address)
{
	return mw_map_flat_number((uintptr_t)address) != MW_MAP_NOT_FLAT;
}

/* Memory of whole tables, with a small region for records elsewhere. */
static char *tables(size_t n)
{
	char *memory = test_memory((n + 1) * TABLE), *small = test_memory(2 * MIB);

	test_heap(4 * PAGE);
	mw_reset();
	NEED(mw_region_add(small, 64 * MIB, 2 * MIB));
	CHECK_EQ(flat_pages(), 0);
	return (char *)mw_round_up((uintptr_t)memory, TABLE);
}

/* Spans of the test's, in the collector's link. */
static struct mw_span *taken;

static struct mw_span *take(size_t pages)
{
	struct mw_span *span = mw_span_alloc(pages, 0, 0);

	if (!span)
		return NULL;
	mw_span_publish(span);
	CHECK_PTR(mw_span_of(span->base + (pages << MW_PAGE_SHIFT) - 1), span);
	span->gc_next = taken;
	taken = span;
	return span;
}

static void give_all(void)
{
	while (taken) {
		struct mw_span *span = taken;

		taken = span->gc_next;
		mw_span_free(span);
	}
}

TEST_WITH(flat_part_follows_the_frontier, TEST_HOSTED)
{
	char *memory = tables(4);
	struct mw_span *span;
	size_t seen = 0;

	NEED(mw_region_add(memory, 256 * MIB, 4 * TABLE));
	CHECK_EQ(mw_map_flat.most, 4 * TABLE_PAGES);
	while ((span = take(MIB / PAGE))) {
		CHECK(flat_pages() >= seen);
		seen = flat_pages();
		CHECK(in_flat(span->base) || (size_t)(span->base - memory) >= 4 * TABLE);
		CHECK(mw_page_check());
	}
	/* All but what the region's records lie in. */
	CHECK(flat_pages() >= 4 * TABLE_PAGES - 2 * MW_LEAF_PAGES);
	/* Just outside, and far away. */
	CHECK(!in_flat(memory - 1) && !mw_span_of(memory - 1));
	CHECK(!in_flat(memory + 4 * TABLE) && !mw_span_of(memory + 4 * TABLE));
	CHECK(!in_flat(NULL) && !in_flat((char *)UINTPTR_MAX));
	give_all();
}

/* Until something was used, the largest region has it; then it stays where it is. */
TEST_WITH(flat_part_is_the_largest_regions, TEST_HOSTED)
{
	char *memory = tables(6);

	NEED(mw_region_add(memory, 256 * MIB, TABLE));
	CHECK_EQ(mw_map_flat.most, TABLE_PAGES);
	NEED(mw_region_add(memory + TABLE, 512 * MIB, 2 * TABLE));
	CHECK_EQ(mw_map_flat.most, 2 * TABLE_PAGES);
	CHECK_EQ(flat_pages(), 0);
	while (!flat_pages())
		NEED(take(1));
	NEED(mw_region_add(memory + 3 * TABLE, 1024 * MIB, 3 * TABLE));
	CHECK_EQ(mw_map_flat.most, 2 * TABLE_PAGES);
	for (size_t i = 0; i < 4 * TABLE / MIB; i++)
		NEED(take(MIB / PAGE));
	CHECK(mw_page_check());
	give_all();
}

TEST_WITH(flat_part_goes_with_its_region, TEST_HOSTED)
{
	char *memory = tables(4);

	for (unsigned int round = 0; round < 4; round++) {
		size_t bytes = round & 1 ? 4 * TABLE : TABLE;
		char *base = round & 1 ? memory : memory + TABLE;
		struct mw_span *span;

		NEED(mw_region_add(base, 256 * MIB, bytes));
		CHECK_EQ(mw_map_flat.most, bytes / PAGE);
		do {
			span = take(MIB / PAGE);
			NEED(span);
		} while (!in_flat(span->base));
		CHECK(!mw_region_remove(base));
		CHECK(in_flat(span->base));
		give_all();
		CHECK(mw_region_remove(base));
		CHECK_EQ(flat_pages(), 0);
		CHECK_EQ(mw_map_flat.most, 0);
		CHECK(!mw_map_get((uintptr_t)base + MIB));
		CHECK(mw_page_check());
		__builtin_memset(base, 0xa5, bytes); /* it is not Marrow's any more */
	}
}
