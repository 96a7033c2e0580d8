/* SPDX-License-Identifier: MIT */
/*
 * Safe free. A catalogue of uses after free, each of which must come to nothing; what no pointer is
 * left to must be had again. Pointers that a test does not want to count are kept complemented.
 */
#include "safe.h"

#if MW_GC

/* ---- the catalogue ---- */

BARE_TEST(a_dangling_read_finds_what_was_there)
{
	begin(16 << 20);
	dangle(0);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(!comes_again(hidden[0], sizeof(struct thing)));
		collect();
		for (size_t w = 0; w < MW_LEN(dangling(0)->stamp); w++)
			CHECK_EQ(stamp_at(0, w), OLD);
	}
	root[0] = NULL;
	collect();
	CHECK(comes_again(hidden[0], sizeof(struct thing)));
	off();
}

TEST(or_a_byte_that_is_no_pointer)
{
	setup(16 << 20);
	on(NULL, true);
	dangle(0);
	collect();
	for (size_t i = 0; i < sizeof(struct thing); i++)
		CHECK_EQ(((unsigned char *)root[0])[i], 0x6b);
	off();
}

TEST(a_dangling_write_hurts_nobody)
{
	enum {
		N = 500
	};
	struct thing **table;

	begin(16 << 20);
	dangle(0);
	collect();
	table = mw_alloc(N * sizeof(*table), MW_ZERO);
	NEED(table);
	for (size_t i = 0; i < N; i++)
		table[i] = thing_new();
	for (size_t i = 0; i < MW_LEN(dangling(0)->stamp); i++)
		dangling(0)->stamp[i] = NEW;
	for (size_t i = 0; i < N; i++) {
		for (size_t w = 0; w < MW_LEN(table[i]->stamp); w++)
			if (table[i]->stamp[w] != OLD)
				CHECK_EQ(table[i]->stamp[w], OLD);
		mw_free(table[i]);
	}
	mw_free(table);
	off();
}

static void free_elsewhere(unsigned int i, void *arg)
{
	if (i)
		mw_free(arg);
}

TEST(a_second_free_is_reported_at_once)
{
	struct mw_cache_want want = { .name = "twice", .size = 48 };
	struct mw_cache *cache;
	void *object;

	begin(16 << 20);
	dangle(0);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(root[0]);
	CHECK_PTR(test_misuse_came()->object, root[0]);
	collect();
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(root[0]);
	(void)test_misuse_came();
	if (test_cpus() > 1) {
		test_expect_misuse(MW_DOUBLE_FREE);
		test_parallel(2, free_elsewhere, root[0]);
		(void)test_misuse_came();
	}
	test_expect_misuse(MW_INNER_FREE);
	mw_free((char *)root[0] + 8);
	(void)test_misuse_came();
	CHECK_EQ(mw_usable_size(root[0]), 0);
	cache = mw_cache_create(&want);
	NEED(cache);
	object = mw_cache_alloc(cache, MW_NORMAL);
	mw_cache_free(cache, object);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_cache_free(cache, object);
	(void)test_misuse_came();
	object = NULL;
	scribble();
	off();
	CHECK(mw_cache_destroy(cache));
}

/* A freed object leads to another one that was freed after it, to which nothing else points. */
NOINLINE static void free_a_list(void)
{
	struct thing *first = thing_new(), *second = thing_new(), *third = thing_new();

	first->next = second;
	second->next = third;
	hidden[0] = ~(uintptr_t)first;
	hidden[1] = ~(uintptr_t)second;
	hidden[2] = ~(uintptr_t)third;
	root[0] = (struct node *)first;
	mw_free(first);
	mw_free(third);
	mw_free(second);
}

BARE_TEST(a_list_that_is_still_linked)
{
	begin(16 << 20);
	free_a_list();
	for (unsigned int i = 0; i < 2; i++) {
		collect();
		CHECK_HELD(3u);
		CHECK_EQ(stamp_behind(0), OLD);
		for (size_t k = 0; k < 3; k++)
			CHECK(!comes_again(hidden[k], sizeof(struct thing)));
	}
	root[0] = NULL;
	collect();
	CHECK_HELD(0u);
	off();
}

NOINLINE static void free_a_ring(void)
{
	struct thing *a = thing_new(), *b = thing_new();

	a->next = b;
	b->next = a;
	a->other = a;
	mw_free(a);
	mw_free(b);
}

BARE_TEST(what_only_freed_objects_point_to_goes)
{
	begin(16 << 20);
	free_a_ring();
	CHECK_HELD(2u);
	collect();
	CHECK_HELD(0u);
	off();
}

TEST(a_pointer_in_a_register_or_on_the_stack)
{
	struct thing *thing;

	begin(16 << 20);
	thing = thing_new();
	mw_free(thing);
	for (unsigned int i = 0; i < 3; i++) {
		__asm__ volatile("" : "+r"(thing));
		collect();
		CHECK_HELD(1u);
		CHECK(!comes_again(~(uintptr_t)thing, sizeof(*thing)));
		collect();
	}
	CHECK_EQ(thing->stamp[0], OLD);
	thing = NULL;
	__asm__ volatile("" : "+r"(thing));
	off();
}

/* ---- pointers in objects of all kinds ---- */

NOINLINE static void dangle_from(void *holder, size_t slot, size_t offset)
{
	struct thing *thing = thing_new();

	NEED(holder);
	root[slot] = holder;
	*(char **)holder = (char *)thing + offset;
	mw_free(thing);
}

/* Whose frame goes, and the argument in it. */
NOINLINE static void free_hidden(void)
{
	mw_free((void *)~hidden[0]);
}

BARE_TEST(a_pointer_in_another_object)
{
	begin(16 << 20);
	dangle_from(mw_alloc(64, MW_ZERO), 0, 0);
	dangle_from(mw_alloc(100 << 10, MW_ZERO), 1, sizeof(struct thing) - 1);
	dangle_from(mw_alloc(64, MW_POINTERS | MW_ZERO), 2, 8);
	dangle_from(mw_alloc(64, MW_COLLECTED), 3, 17);
	collect();
	CHECK_HELD(4u);
	/* What lives keeps, whether something points to it or not. */
	hidden[0] = ~(uintptr_t)root[0];
	root[0] = NULL;
	collect();
	CHECK_HELD(4u);
	free_hidden();
	collect();
	collect();
	CHECK_HELD(3u);
	*(void **)root[1] = NULL;
	*(void **)root[2] = NULL;
	root[3] = NULL;
	collect();
	CHECK_HELD(0u);
	mw_free(root[1]);
	mw_free(root[2]);
	root[1] = root[2] = NULL;
	off();
}

NOINLINE static void dangle_size(size_t size)
{
	char *object = mw_alloc(size, MW_ZERO);

	NEED(object);
	root[0] = (struct node *)(object + size - 1);
	hidden[0] = ~(uintptr_t)object;
	mw_free(object);
}

/* From frames that are gone; and the report of it, which is data, is of something else afterwards. */
NOINLINE static void free_it_again(void)
{
	static char nothing[64];

	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free((void *)~hidden[0]);
	(void)test_misuse_came();
	test_expect_misuse(MW_FOREIGN_FREE);
	mw_free(nothing);
	(void)test_misuse_came();
}

BARE_TEST(objects_of_all_sizes)
{
	static const size_t sizes[] = { 8, 100, 4096, 32768, 40000, 1 << 20, 3 << 20 };

	begin(64 << 20);
	for (size_t i = 0; i < MW_LEN(sizes); i++) {
		dangle_size(sizes[i]);
		CHECK(!comes_again(hidden[0], sizes[i]));
		collect();
		CHECK(!comes_again(hidden[0], sizes[i]));
		free_it_again();
		root[0] = NULL;
		collect();
		/* With 32 bits some number or other is the address of what is so large. */
		if (MW_WORD_BITS >= 64 || sizes[i] < 1 << 20)
			CHECK_HELD(0u);
		CHECK(mw_heap_check());
	}
	off();
}

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
