// SPDX-License-Identifier: MIT
/* Regions at the ends of the address space. */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/page.h"

/* Of the hosted port. */
__attribute__((weak)) bool port_memory_at(void *at, size_t bytes);

/* The first address behind all that the heap may use; as a page, since it may be no address. */
#define TOP (((uintptr_t)MW_ADDR_BASE >> MW_PAGE_SHIFT) + MW_PN_MASK + 1)

static char *page_at(size_t number)
{
	return (char *)((uintptr_t)number << MW_PAGE_SHIFT);
}

static bool rounds_to(size_t below, size_t skip, size_t len, size_t n)
{
	struct mw_frames frames = { 0 };
	const char *base = page_at(TOP - below) + skip;

	return !mw_region_round(base, (uint64_t)1 << 20 | skip, len, &frames) && frames.n == n &&
	       frames.first == MW_PN_MASK + 1 - below + (skip != 0) &&
	       frames.frame == ((size_t)1 << 20 >> MW_PAGE_SHIFT) + (skip != 0);
}

TEST(pages_up_to_the_last)
{
	CHECK(rounds_to(16, 0, 16 * PAGE, 15));
	CHECK(rounds_to(16, 0, 15 * PAGE, 15));
	CHECK(rounds_to(16, 0, 16 * PAGE - 1, 15));
	CHECK(rounds_to(16, 0, 15 * PAGE - 1, 14));
	CHECK(rounds_to(16, 8, 16 * PAGE - 8, 14));
	CHECK(rounds_to(16, 8, 2 * PAGE - 8, 1));
	CHECK(rounds_to(2, 0, 2 * PAGE, 1));
	CHECK(rounds_to(2, 0, PAGE, 1));
}

static void none(const char *base, uint64_t phys, size_t len)
{
	struct mw_frames frames;

	CHECK(mw_region_round(base, phys, len, &frames) != NULL);
	test_expect_misuse(MW_BAD_REGION);
	CHECK_EQ(mw_region_add((void *)base, phys, len), 0);
	test_misuse_came();
}

TEST(regions_that_are_none)
{
	uintptr_t last = UINTPTR_MAX & ~(uintptr_t)(PAGE - 1);

	test_heap(MIB);
	/* In the last page of all, and that page. */
	none((char *)last + 1, last + 1, 16);
	none((char *)last + 1, last + 1, PAGE - 1);
	none((char *)last, last, PAGE);
	none(page_at(TOP - 1), 0, PAGE);
	/* Past it. */
	none((char *)last, last, PAGE + 1);
	none((char *)last - PAGE, last - PAGE, SIZE_MAX);
	none((char *)last, UINT64_MAX - PAGE + 1, 2 * PAGE);
	none(page_at(TOP - 8), UINT64_MAX - 4 * PAGE + 1, 8 * PAGE);
	/* In the first. */
	none(NULL, 0, PAGE);
	none(NULL, 0, 0);
	none((char *)8, 8, PAGE + 8);
	none((char *)PAGE + 1, 1, PAGE);
}

/* The last page itself is not there, and need not be. */
TEST_WITH(a_heap_at_the_top, TEST_HOSTED)
{
	size_t n = 8 * MIB / PAGE, usable, got = 0;
	char *base = page_at(TOP - n), *page, *highest = NULL;

	test_heap(PAGE * 4);
	mw_reset();
	if (!port_memory_at(base, (n - 1) * PAGE))
		test_skip("the top of the address space is not to be had");
	usable = mw_region_add(base, (uint64_t)1 << 40, n * PAGE) / PAGE;
	CHECK(usable > n - n / 64 && usable < n);
	test_heap_may_leak();
	while ((page = mw_pages_alloc(1, MW_ATOMIC | MW_ZERO))) {
		highest = page > highest ? page : highest;
		got++;
	}
	CHECK(got + 8 >= usable && got <= usable);
	CHECK(highest >= base + (usable - 8) * PAGE && mw_phys(highest) < UINT64_MAX);
	CHECK(mw_heap_check());
}
