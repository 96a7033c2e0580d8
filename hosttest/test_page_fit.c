// SPDX-License-Identifier: MIT
/* Which place the page heap takes, of several that would do, and the edges of what it knows. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/page/map.h"
#include "../mm/page/up.h"

#define PAGE MW_PAGE_SIZE
#define MIB ((size_t)1 << 20)
#define BLOCK 128 /* pages: runs from here on share lists with others of about their length */

static char *take_at(char *at, size_t n)
{
	struct mw_pages want = { .count = n, .at = at };

	return mw_pages_alloc_as(&want);
}

/*
 * Free runs of these lengths, each at the beginning of an aligned block, with used pages between them, made
 * in this order. The first one is at @base.
 */
static void make_runs(char *base, const size_t *length, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *at = base + i * 2 * BLOCK * PAGE;

		NEED(take_at(at, length[i]) == at);
		NEED(take_at(at + length[i] * PAGE, 2 * BLOCK - length[i]));
	}
	for (size_t i = 0; i < n; i++)
		mw_pages_free(base + i * 2 * BLOCK * PAGE, length[i]);
}

static char *own_blocks(size_t size)
{
	char *memory, *base;

	test_heap(4 * PAGE);
	test_heap_may_leak();
	memory = test_memory(size);
	mw_reset();
	NEED(mw_region_add(memory, (uint64_t)1 << 30, size));
	base = (char *)mw_round_up((uintptr_t)memory, BLOCK * PAGE);
	/* Nothing that the first one could be joined with. */
	if (base != memory)
		NEED(take_at(memory, (size_t)(base - memory) / PAGE));
	return base;
}

TEST(shortest_that_fits)
{
	static const size_t lengths[3] = { 135, 131, 133 };
	char *base = own_blocks(8 * MIB);

	make_runs(base, lengths, 3);
	CHECK_PTR(mw_pages_alloc(130, 0), base + 2 * BLOCK * PAGE);
	CHECK_PTR(mw_pages_alloc(130, 0), base + 4 * BLOCK * PAGE);
	CHECK_PTR(mw_pages_alloc(130, 0), base);
}

TEST(lowest_of_equals)
{
	static const size_t lengths[3] = { 131, 131, 131 };
	char *base = own_blocks(8 * MIB);

	make_runs(base, lengths, 3);
	for (size_t i = 0; i < 3; i++)
		CHECK_PTR(mw_pages_alloc(131, 0), base + i * 2 * BLOCK * PAGE);
	/* And whatever was freed last. */
	for (size_t i = 3; i--;)
		mw_pages_free(base + i * 2 * BLOCK * PAGE, 131);
	for (size_t i = 0; i < 3; i++)
		CHECK_PTR(mw_pages_alloc(131, 0), base + i * 2 * BLOCK * PAGE);
}

/* Long enough, but not from an aligned page on. */
TEST(a_page_too_short_behind_its_alignment)
{
	struct mw_pages want = { .count = 16, .align = 16 * PAGE };
	char *block, *run;

	test_heap(4 * MIB);
	block = mw_pages_alloc_as(&want);
	NEED(block);
	mw_pages_free(block, 16);
	mw_page_cpu_stop();
	/* Of the block three pages are free, from the second on. */
	want = (struct mw_pages){ .count = 1, .at = block };
	NEED(mw_pages_alloc_as(&want));
	want = (struct mw_pages){ .count = 12, .at = block + 4 * PAGE };
	NEED(mw_pages_alloc_as(&want));
	want = (struct mw_pages){ .count = 3, .align = 2 * PAGE };
	run = mw_pages_alloc_as(&want);
	NEED(run);
	CHECK(run + 3 * PAGE <= block || run >= block + 16 * PAGE);
	CHECK_EQ((uintptr_t)run % (2 * PAGE), 0);
	CHECK(mw_page_check());
	mw_pages_free(run, 3);
	mw_pages_free(block, 1);
	mw_pages_free(block + 4 * PAGE, 12);
}

/* Runs of @n lengths, from two pages up, each between used pages in 32 of its own. */
static void take_lengths(char *base, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *at = base + 32 * i * PAGE;

		NEED(take_at(at, 1));
		NEED(take_at(at + PAGE, i + 2));
		NEED(take_at(at + (i + 3) * PAGE, 29 - i));
	}
}

static void free_lengths(char *base, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mw_pages_free(base + (32 * i + 1) * PAGE, i + 2);
}

/* Alignments that only long runs are sure to have, and short runs for whoever looks from the shortest up. */
static void alignments_behind_short_runs(bool all_grown)
{
	char *base = own_blocks(64 * MIB);

	take_lengths(base, 24);
	free_lengths(base, 24);
	if (all_grown) {
		void *run = mw_pages_alloc(56 * MIB / PAGE, 0);

		NEED(run);
		mw_pages_free(run, 56 * MIB / PAGE);
	}
	for (size_t align = MIB; align <= 8 * MIB; align *= 2) {
		for (size_t i = 0; i < 4; i++) {
			struct mw_pages want = { .count = 1 + i % 2 * 2, .align = align };
			uintptr_t run = (uintptr_t)mw_pages_alloc_as(&want);

			CHECK(run);
			CHECK_EQ(run % align, 0);
		}
	}
	CHECK(mw_page_check());
}

TEST_WITH(aligned_page_where_the_heap_grows, TEST_HOSTED)
{
	alignments_behind_short_runs(false);
}

TEST_WITH(aligned_page_in_grown_memory, TEST_HOSTED)
{
	alignments_behind_short_runs(true);
}

/* Every free run is one page; a boundary cannot be crossed by one, and some are aligned. */
TEST(aligned_page_of_single_pages)
{
	struct mw_pages want = { .count = 1, .align = 4 * PAGE };
	char *base = own_blocks(2 * MIB);

	for (size_t i = 0; i < 64; i++)
		NEED(take_at(base + i * PAGE, 1));
	while (mw_pages_alloc(1, 0))
		;
	/* Odd ones, then even ones. */
	for (size_t i = 1; i < 64; i += i == 29 ? 3 : 2)
		mw_pages_free(base + i * PAGE, 1);
	mw_page_cpu_stop();
	for (size_t i = 32; i < 64; i += 4)
		CHECK_PTR(mw_pages_alloc_as(&want), base + i * PAGE);
	CHECK(!mw_pages_alloc_as(&want));
	want = (struct mw_pages){ .count = 1, .boundary = 2 * PAGE };
	CHECK_PTR(mw_pages_alloc_as(&want), base + PAGE);
	CHECK(mw_page_check());
}

/* Only the longest run has an aligned page, and it is shorter than what is sure to have one. */
TEST(aligned_page_in_the_longest_run)
{
	struct mw_pages want = { .count = 1, .align = MIB };
	char *base = own_blocks(8 * MIB), *aligned;

	take_lengths(base, 24);
	aligned = (char *)mw_round_up((uintptr_t)base + 4 * MIB, MIB);
	NEED(take_at(aligned - 20 * PAGE, 40));
	for (size_t n = 1024; n; n /= 2) {
		while (mw_pages_alloc(n, 0))
			;
	}
	free_lengths(base, 24);
	mw_pages_free(aligned - 20 * PAGE, 40);
	CHECK_PTR(mw_pages_alloc_as(&want), aligned);
	CHECK(mw_page_check());
}

TEST(exact_place_keeps_to_its_boundary)
{
	struct mw_pages want = { .count = 8, .align = 8 * PAGE };
	char *first, *at;

	test_heap(4 * MIB);
	first = mw_pages_alloc_as(&want);
	NEED(first);
	mw_pages_free(first, 8);
	want = (struct mw_pages){ .count = 4, .boundary = 4 * PAGE };
	for (at = first; at <= first + 4 * PAGE; at += PAGE) {
		uint64_t phys = mw_phys(at);
		bool crosses = phys / want.boundary != (phys + 4 * PAGE - 1) / want.boundary;
		void *run;

		want.at = at;
		run = mw_pages_alloc_as(&want);
		CHECK_PTR(run, crosses ? NULL : at);
		if (run)
			mw_pages_free(run, 4);
	}
	CHECK(mw_page_check());
}

TEST(exact_place_is_all_or_nothing)
{
	char *run, *rest;

	test_heap(4 * MIB);
	run = mw_pages_alloc(8, 0);
	NEED(run);
	mw_pages_free(run, 8);
	NEED(take_at(run, 4) == run);
	rest = take_at(run + 4 * PAGE, 4);
	NEED(rest);
	mw_pages_free(run, 4);
	CHECK(!take_at(run, 5)); /* its end is in use */
	CHECK(!take_at(run + 3 * PAGE, 2));
	CHECK_PTR(take_at(run + 3 * PAGE, 1), run + 3 * PAGE);
	mw_pages_free(run + 3 * PAGE, 1);
	mw_pages_free(rest, 4);
	CHECK(mw_page_check());
}

TEST(stacks_are_aligned_to_their_size)
{
	void *fence[64], *stack[64];
	size_t n = 0;

	test_heap(16 * MIB);
	for (unsigned int order = 0; order < 6; order++) {
		for (size_t i = 0; i < 10; i++, n++) {
			fence[n] = mw_pages_alloc(1 + 2 * (i % 2), 0);
			stack[n] = mw_stack_alloc(order, MW_ZERO);
			NEED(fence[n] && stack[n]);
			CHECK_EQ((uintptr_t)stack[n] % (PAGE << order), 0);
		}
	}
	while (n--) {
		mw_pages_free(fence[n], 1 + 2 * (n % 10 % 2));
		mw_stack_free(stack[n], (unsigned int)(n / 10));
	}
	CHECK(mw_page_check());
}

TEST(regions_end_where_they_end)
{
	struct mw_region_stats last = { 0 }, region;
	char *end;

	test_heap(4 * MIB);
	for (size_t i = 0; mw_region_stats(i, &region); i++)
		last = region;
	NEED(last.pages);
	end = (char *)last.base + last.pages * PAGE;
	CHECK_EQ(mw_phys(end - 1), last.phys + last.pages * PAGE - 1);
	CHECK(mw_phys(end) == UINT64_MAX);
	CHECK_PTR(mw_virt(last.phys + last.pages * PAGE - 1), end - 1);
	CHECK(mw_virt(last.phys + last.pages * PAGE) != end);
}

/* Two regions share 64 MiB, and the part of the page map for that lies in the one that came first. */
TEST_WITH(what_lends_its_map_stays, TEST_HOSTED)
{
	size_t table = (size_t)1 << MW_MAP_TABLE_SHIFT;
	char *memory, *first, *second;

	test_heap(4 * PAGE);
	memory = test_memory(4 * MIB);
	mw_reset();
	NEED(mw_region_add(memory, (uint64_t)1 << 30, 4 * MIB)); /* has all other records */
	memory = (char *)mw_round_up((uintptr_t)test_memory(2 * table), table);
	first = memory + 8 * MIB;
	second = memory + 24 * MIB;
	NEED(mw_region_add(first, (uint64_t)1 << 33, 4 * MIB));
	NEED(mw_region_add(second, (uint64_t)1 << 34, 4 * MIB));
	CHECK(!mw_region_remove(first));
	CHECK(mw_phys(second) == (uint64_t)1 << 34);
	CHECK(mw_page_check());
	CHECK(mw_region_remove(second));
	CHECK(mw_region_remove(first));
}

/* Leaves of the page map that lie in memory with something in it. */
TEST_WITH(leaves_wake_clean, TEST_HOSTED)
{
	char *memory, *page;
	size_t bytes = (size_t)1 << MW_MAP_TABLE_SHIFT;

	test_heap(4 * PAGE);
	memory = (char *)mw_round_up((uintptr_t)test_memory(2 * bytes), bytes) + MIB / 2;
	mw_reset();
	__builtin_memset(memory + bytes - 3 * MIB, 0xa5, 3 * MIB);
	NEED(mw_region_add(memory, (uint64_t)1 << 30, bytes));
	page = mw_pages_alloc(1, 0);
	NEED(page);
	for (char *at = memory + 2 * MIB; at < memory + bytes + MIB; at += MIB / 2)
		CHECK(!mw_map_get((uintptr_t)at) && !mw_span_of(at));
	CHECK(mw_page_check());
	mw_pages_free(page, 1);
}

/* ---- readers without a lock, while regions come and go ---- */

static char *steady, *passing;
static uint64_t steady_phys;
static atomic_bool changed_enough;

static void change_or_look(unsigned int cpu, void *arg)
{
	unsigned int *rounds = arg, looks = 0;

	if (!cpu) {
		for (unsigned int i = 0; i < *rounds; i++) {
			CHECK(mw_region_add(passing, (uint64_t)1 << 29, MIB) > 0);
			CHECK(mw_region_remove(passing));
		}
		atomic_store(&changed_enough, true);
		return;
	}
	while (!atomic_load(&changed_enough)) {
		bool right = mw_phys(steady) == steady_phys && mw_virt(steady_phys) == steady;

		if (!right)
			CHECK(right);
		if (!(++looks % 64))
			mw_port_relax();
	}
	(void)looks;
	CHECK(true);
}

/* The one that comes and goes lies before the one that is looked for, which moves in the tables. */
TEST(readers_of_tables_that_move)
{
	unsigned int rounds = 500;
	char *memory;

	if (test_cpus() < 2)
		test_skip("needs two CPUs");
	test_heap(4 * PAGE);
	memory = test_memory(4 * MIB);
	mw_reset();
	passing = memory;
	NEED(mw_region_add(memory + 2 * MIB, (uint64_t)1 << 30, 2 * MIB));
	steady = memory + 2 * MIB + 5 * PAGE + 9;
	steady_phys = ((uint64_t)1 << 30) + 5 * PAGE + 9;
	atomic_store(&changed_enough, false);
	test_parallel(test_cpus() < 4 ? test_cpus() : 4, change_or_look, &rounds);
	CHECK(mw_page_check());
}

/* ---- a shrinker that is removed while it is asked ---- */

static struct slow_shrinker {
	struct mw_shrinker shrinker;
	atomic_bool asked, removing, left;
} slow;

static size_t shrink_slowly(struct mw_shrinker *self, size_t pages)
{
	uint64_t until;

	(void)self, (void)pages;
	atomic_store(&slow.asked, true);
	while (!atomic_load(&slow.removing))
		mw_port_relax();
	until = test_now() + 3000000;
	while (test_now() < until)
		mw_port_relax();
	atomic_store(&slow.left, true);
	return 0;
}

static void ask_or_remove(unsigned int cpu, void *arg)
{
	size_t *pages = arg;

	if (!cpu) {
		CHECK(!mw_pages_alloc(*pages, 0));
		return;
	}
	while (!atomic_load(&slow.asked))
		mw_port_relax();
	CHECK(!mw_shrinker_remove(&slow.shrinker));
	atomic_store(&slow.removing, true);
	while (!mw_shrinker_remove(&slow.shrinker))
		mw_port_relax();
	CHECK(atomic_load(&slow.left));
}

TEST(shrinker_stays_while_it_is_asked)
{
	size_t half = test_heap(2 * MIB) / PAGE / 2, pages = half + half / 2;
	void *run;

	if (test_cpus() < 2)
		test_skip("needs two CPUs");
	/* What there could be, were this not in use. */
	run = mw_pages_alloc(half, 0);
	NEED(run);
	atomic_store(&slow.asked, false);
	atomic_store(&slow.removing, false);
	atomic_store(&slow.left, false);
	slow.shrinker.shrink = shrink_slowly;
	mw_shrinker_add(&slow.shrinker);
	test_parallel(2, ask_or_remove, &pages);
	mw_pages_free(run, half);
}
