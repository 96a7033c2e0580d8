/* SPDX-License-Identifier: MIT */
/*
 * Safe free: a catalogue of uses after free, each of which must come to nothing; what no pointer is
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

#endif
