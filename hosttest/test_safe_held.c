/* SPDX-License-Identifier: MIT */
/*
 * What safe free holds back: of which caches, beside debug aids and records, from when on, how much at the most,
 * and where memory is out. That it is held while something points to it: test_safe.c.
 */
#include "safe.h"

#if MW_GC

/* ---- caches ---- */

static void construct(void *object)
{
	*(uintptr_t *)object = 4711;
}

NOINLINE static uintptr_t first_word(size_t slot)
{
	return *(uintptr_t *)root[slot];
}

NOINLINE static void dangle_in(struct mw_cache *cache, size_t slot)
{
	root[slot] = mw_cache_alloc(cache, MW_NORMAL);
	NEED(root[slot]);
	mw_cache_free(cache, root[slot]);
}

BARE_TEST(one_cache_alone)
{
	struct mw_cache_want want = { .name = "safe", .size = 80, .construct = construct };
	struct mw_cache_want collected = { .name = "collected", .size = 80, .flags = MW_COLLECTED };
	struct mw_safe_policy policy = { .on = true };
	struct mw_cache *cache, *other;
	const char *text;

	setup(16 << 20);
	cache = mw_cache_create(&want);
	other = mw_cache_create(&collected);
	NEED(cache && other);
	CHECK(!mw_safe_free(other, &policy));
	dangle_in(cache, 1);
	on(cache, true);
	dangle_in(cache, 0);
	dangle(2);
	CHECK_HELD(1u);
	collect();
	CHECK_HELD(1u);
	/* What was constructed is as it was. */
	CHECK_EQ(first_word(0), 4711);
	root[2] = NULL;
	test_capture();
	CHECK(!mw_cache_destroy(cache));
	text = test_captured();
	CHECK(text[0]);
	root[0] = NULL;
	root[1] = NULL;
	scribble();
	CHECK(mw_cache_destroy(cache));
	CHECK(mw_cache_destroy(other));
	off();
}

TEST(caches_made_later_are_safe_too)
{
	struct mw_cache_want want = { .name = "later", .size = 80 };
	struct mw_cache *cache;

	begin(16 << 20);
	cache = mw_cache_create(&want);
	NEED(cache);
	dangle_in(cache, 0);
	CHECK_HELD(1u);
	off();
	dangle_in(cache, 0);
	CHECK_HELD(0u);
	root[0] = NULL;
	CHECK(mw_cache_destroy(cache));
}

TEST(debug_aids_have_their_own_ways)
{
	begin(16 << 20);
	NEED(mw_debug_set("FZP"));
	dangle(0);
	CHECK_HELD(0u);
	CHECK(mw_heap_check());
	collect();
	NEED(mw_debug_set("-"));
	root[0] = NULL;
	off();
}

/* Bits of frees that nobody gathered yet are there when the mode begins, and when it ends. */
TEST(frees_from_elsewhere_before_and_after)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), 2);
	size_t live;
	struct mw_stats stats;

	setup(16 << 20);
	mw_stats(&stats);
	live = stats.live_objects;
	for (unsigned int i = 0; i < 4; i++) {
		struct thing *thing = thing_new();

		if (cpus > 1)
			test_parallel(cpus, free_elsewhere, thing);
		else
			mw_free(thing);
		if (i % 2)
			off();
		else
			on(NULL, false);
		CHECK(mw_heap_check());
	}
	collect();
	off();
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, live);
	CHECK(!comes_again(0, 64));
}

TEST(records_end_at_the_free)
{
	struct thing *thing;

	begin(16 << 20);
	thing = thing_new();
	root[0] = (struct node *)thing;
	CHECK(mw_tag_set(thing, 7));
	mw_free(thing);
	CHECK_EQ(records(), 0);
	CHECK_EQ(mw_tag_get(thing), 0);
	CHECK(!mw_tag_set(thing, 8));
	CHECK_HELD(1u);
	/* With its records gone the span still lets no free pass by. */
	thing = thing_new();
	mw_free(thing);
	CHECK_HELD(2u);
	root[0] = NULL;
	thing = NULL;
	off();
}

/* ---- bounds ---- */

/* What one span of objects of the size has. */
NOINLINE static size_t span_bytes(size_t size)
{
	void *object = mw_alloc(size, MW_NORMAL);
	size_t bytes = mw_span_of(object)->pages << MW_PAGE_SHIFT;

	mw_free(object);
	return bytes;
}

TEST(what_is_held_is_bounded)
{
	struct mw_safe_stats stats;
	struct mw_page_stats page;

	begin(32 << 20);
	churn_bytes(200 << 20);
	mw_safe_stats(&stats);
	mw_page_stats(&page);
	test_note("%lu marks, %zu bytes held, %zu pages of objects", stats.marks, stats.held_bytes,
		  page.objects);
	/* The fewer the longer they take: down to a fourth. */
	CHECK(stats.marks >= 25 / 4 && stats.marks <= 250);
	/*
	 * At twice the most that makes a mark due, one is made whatever share of the time marks have had; but it is
	 * an allocation that takes pages which sees that, and each CPU may have a fold that is not counted yet.
	 */
	CHECK(stats.held_bytes <= 2 * stats.most + (32 << 10) + span_bytes(256));
	CHECK(page.objects << MW_PAGE_SHIFT <= 2 * stats.most + (1 << 20));
	CHECK(stats.released >= 700000);
	off();
}

/* A mark is paid for by what it looks at, roots as well as objects: so that says when the next one is due. */
TEST(what_a_mark_looks_at_says_how_much_is_held)
{
	struct mw_safe_policy policy = { .on = true, .percent = 50 };
	struct mw_safe_stats before, after;
	char *roots;

	begin(64 << 20);
	roots = mw_pages_alloc((16 << 20) >> MW_PAGE_SHIFT, MW_ZERO);
	NEED(roots);
	collect();
	mw_safe_stats(&before);
	CHECK(mw_gc_root_add("many", roots, roots + (16 << 20), NULL));
	collect();
	mw_safe_stats(&after);
	CHECK(after.due >= (16 << 20) / 100 * 12);
	CHECK(after.due - before.due <= (16 << 20) / 100 * 13);
	CHECK(after.most == 4 * after.due);
	CHECK(mw_safe_free(NULL, &policy));
	mw_safe_stats(&after);
	CHECK(after.due >= (16 << 20) / 100 * 50);
	CHECK(mw_gc_root_remove(roots));
	mw_pages_free(roots, (16 << 20) >> MW_PAGE_SHIFT);
	off();
}

NOINLINE static size_t fill(size_t slot, size_t size)
{
	size_t n = 0;
	void *object;

	while ((object = mw_alloc(size, MW_NORMAL))) {
		*(void **)object = root[slot];
		root[slot] = object;
		n++;
	}
	return n;
}

NOINLINE static void empty(size_t slot)
{
	while (root[slot]) {
		void *object = root[slot];

		root[slot] = *(void **)object;
		*(void **)object = NULL;
		mw_free(object);
	}
}

TEST(out_of_memory_marks_first)
{
	struct mw_safe_policy policy = { .on = true, .hold = (size_t)1 << 30 };
	size_t n, again;

	setup(8 << 20);
	CHECK(mw_safe_free(NULL, &policy));
	n = fill(0, 1000);
	CHECK(n > 4000);
	empty(0);
	CHECK_EQ(held(), n);
	again = fill(0, 2000);
	CHECK(again >= n * 9 / 20);
	empty(0);
	/* What is pointed to is not to be had. */
	dangle(1);
	n = fill(0, 64);
	CHECK(n > 10000);
	CHECK_EQ(stamp_at(1, 3), OLD);
	empty(0);
	root[1] = NULL;
	off();
}

BARE_TEST(without_memory_for_the_mark)
{
	struct mw_fail fail = { .every = 1, .pages = true };

	begin(32 << 20);
	for (size_t i = 0; i < 20000; i++)
		root[0] = (struct node *)thing_new()->next;
	test_heap_may_leak();
	free_a_list();
	mw_fail_set(&fail);
	for (unsigned int i = 0; i < 3; i++) {
		collect();
		CHECK_HELD(3u);
		CHECK_EQ(stamp_behind(0), OLD);
	}
	mw_fail_set(NULL);
	root[0] = NULL;
	collect();
	CHECK_HELD(0u);
	off();
}

#endif
