// SPDX-License-Identifier: MIT
/* What calls of the page heap cost, in instructions, where these can be counted exactly. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/page/span.h"
#include "../mm/page/up.h"

#define PAGE MW_PAGE_SIZE
#define MIB ((size_t)1 << 20)
#define PAIRS 1000

static void need_counting(void)
{
	uint64_t a = test_instructions(), b = test_instructions();

	if (!a || b - a > 200)
		test_skip("instructions are not counted here");
	if (MW_DEBUG)
		test_skip("a debug build");
}

static size_t pair_cost(size_t count)
{
	uint64_t begin;

	mw_pages_free(mw_pages_alloc(count, MW_ATOMIC), count);
	mw_pages_free(mw_pages_alloc(count, MW_ATOMIC), count);
	begin = test_instructions();
	for (size_t i = 0; i < PAIRS; i++)
		mw_pages_free(mw_pages_alloc(count, MW_ATOMIC), count);
	return (size_t)(test_instructions() - begin) / PAIRS;
}

/* The loop's 7 are in the figures, as in those of others. */
TEST_WITH(pairs_of_pages, TEST_COUNTED)
{
	size_t order0, order4, order9, odd;

	need_counting();
	test_heap(240 * MIB);
	order0 = pair_cost(1);
	order4 = pair_cost(16);
	order9 = pair_cost(512);
	odd = pair_cost(17);
	test_note("instructions a pair: order 0 %zu, 4 %zu, 9 %zu, 17 pages %zu", order0, order4,
		  order9, odd);
	/* A tenth above what gcc makes of it; clang's are up to 9 % above. */
	CHECK(order0 <= 102);
	CHECK(order4 <= 172);
	CHECK(order9 <= 175);
	CHECK(odd <= 1020);
}

/* @n free runs of 1 to 7 pages, kept apart by pages in use, which are put into @fences. */
static size_t scatter(size_t n, void **fences, void **runs)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct mw_pages want = { .count = 1 + i % 7, .flags = MW_ATOMIC };

		runs[i] = mw_pages_alloc_as(&want);
		want.count = 1;
		fences[i] = runs[i] ? mw_pages_alloc_as(&want) : NULL;
		if (!fences[i])
			break;
	}
	for (size_t j = 0; j < i; j++)
		mw_pages_free(runs[j], 1 + j % 7);
	mw_page_cpu_stop();
	return i;
}

/* Whatever the number of free runs, the same work. */
TEST_WITH(cost_does_not_grow, TEST_COUNTED)
{
	static void *fences[30000], *runs[30000];
	size_t few = 0, many = 0;

	need_counting();
	for (size_t n = 10; n <= 30000; n *= 10) {
		size_t cost = 0, made;

		test_heap(240 * MIB);
		made = scatter(n < 10000 ? n : 10000, fences, runs);
		for (size_t count = 17; count < 60; count++)
			cost += pair_cost(count) + pair_cost(3);
		few = few ? few : cost;
		many = cost;
		test_note("%zu free runs: %zu instructions a pair", made, cost / 43 / 2);
		while (made--)
			mw_pages_free(fences[made], 1);
	}
	CHECK(many <= few + few / 10 && few <= many + many / 10);
}
