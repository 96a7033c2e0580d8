// SPDX-License-Identifier: MIT
/* mw_free_sized(): each size that is right is taken, each that can be told from a right one is reported. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)32 << 20)

/* It is reported, names the object and both sizes, and the object lives on. */
static void refused(void *object, size_t size)
{
	size_t live = mw_object_live_bytes();
	const struct mw_report *report;

	test_expect_misuse(MW_WRONG_SIZE);
	mw_free_sized(object, size);
	report = test_misuse_came();
	if (!report->address)
		test_note("%p freed with %zu", object, size);
	CHECK_PTR(report->address, object);
	CHECK_EQ(report->given, size);
	if (object != mw_alloc(0, 0)) {
		CHECK_PTR(report->object, object);
		CHECK_EQ(report->size, mw_usable_size(object));
	}
	CHECK_EQ(mw_object_live_bytes(), live);
}

static void taken(void *object, size_t size)
{
	mw_free_sized(object, size);
	CHECK_EQ(mw_usable_size(object), 0);
}

/* Of every size class: the sizes of the class, and those beside them. */
TEST(each_class)
{
	size_t below = 0;

	NEED(test_heap(HEAP));
	while (below < MW_SMALL_MAX) {
		size_t size = mw_size_roundup(below + 1);
		void *object;

		NEED(object = mw_alloc(size, 0));
		refused(object, below);
		refused(object, size + 1);
		refused(object, SIZE_MAX);
		taken(object, size);
		NEED(object = mw_alloc(size, 0));
		taken(object, below + 1);
		below = size;
	}
	CHECK(mw_heap_check());
}

/* To the page, though what is kept may be longer, and a resize may leave it so. */
TEST(large_objects)
{
	static const size_t pages[] = { 9, 16, 17, 100, 255, 2048 };
	const size_t page = MW_PAGE_SIZE;

	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		size_t size = pages[i] * page;
		char *object;

		NEED(object = mw_alloc(size, 0));
		refused(object, size + 1);
		refused(object, size - page);
		refused(object, size / 8 * 7);
		refused(object, 0);
		refused(object, SIZE_MAX);
		refused(object, SIZE_MAX - page);
		taken(object, size - page + 1);
	}
	for (unsigned int i = 1; i < sizeof(pages) / sizeof(pages[0]) - 1; i++) {
		size_t size = (pages[i] - 1) * page;
		char *object;

		NEED(object = mw_alloc(pages[i] * page, 0));
		mw_free(object);
		NEED(object = mw_alloc(size, 0)); /* one page less of the same */
		refused(object, pages[i] * page);
		NEED(object = mw_realloc(object, size - page, 0));
		if (size - page > MW_SMALL_MAX)
			refused(object, size);
		taken(object, size - page);
	}
	CHECK(mw_heap_check());
}

TEST(objects_without_bytes)
{
	void *nothing;

	NEED(test_heap(HEAP));
	NEED(nothing = mw_alloc(0, 0));
	mw_free_sized(nothing, 0);
	refused(nothing, 1);
	refused(nothing, 100);
	refused(nothing, SIZE_MAX);
	mw_free_sized(NULL, 100);
}

TEST(objects_of_a_typed_cache)
{
	const struct mw_cache_want want = { .name = "two hundred", .size = 200 };
	struct mw_cache *cache;
	void *object;

	NEED(test_heap(HEAP));
	NEED(cache = mw_cache_create(&want));
	for (unsigned int i = 0; i < 2; i++) {
		NEED(object = mw_cache_alloc(cache, 0));
		refused(object, 199);
		refused(object, 201);
		refused(object, 0);
		refused(object, SIZE_MAX);
		taken(object, i ? 200 : mw_size_roundup(200));
	}
	CHECK(mw_cache_destroy(cache));
}

/* Any size that some alignment makes the class: nobody notes the alignment. */
static void aligned_objects(mw_flags_t flags)
{
	for (size_t align = 8; align <= MW_PAGE_SIZE; align *= 2) {
		static const size_t sizes[] = { 16, 33, 100, 1000, 5000, 30000 };

		for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			void *object = mw_alloc_aligned(sizes[i], align, flags);
			size_t size;

			NEED(object);
			size = mw_usable_size(object);
			refused(object, size + 1);
			refused(object, SIZE_MAX);
			if (size > MW_PAGE_SIZE)
				refused(object, size - MW_PAGE_SIZE);
			taken(object, sizes[i]);
		}
	}
}

TEST(aligned)
{
	void *object;

	NEED(test_heap(HEAP));
	aligned_objects(0);
	NEED(object = mw_alloc_aligned(100, 16 * MW_PAGE_SIZE, 0));
	refused(object, MW_PAGE_SIZE + 1);
	taken(object, 100);
}

#if MW_GC
TEST(with_pointers_and_collected)
{
	NEED(test_heap(HEAP));
	aligned_objects(MW_POINTERS);
	aligned_objects(MW_COLLECTED);
	aligned_objects(MW_NOSCAN);
}
#endif

TEST(with_debug_aids)
{
	void *object;

	NEED(test_heap(HEAP));
	CHECK(mw_debug_set("FZPU"));
	NEED(object = mw_alloc(100, 0));
	refused(object, 90);
	refused(object, SIZE_MAX);
	taken(object, 100);
	CHECK(mw_debug_set("-"));
}

/* The other faults of a free go before the size. */
TEST(other_faults_first)
{
	char *object;

	NEED(test_heap(HEAP));
	NEED(object = mw_alloc(100, 0));
	test_expect_misuse(MW_INNER_FREE);
	mw_free_sized(object + 8, 100);
	CHECK_PTR(test_misuse_came()->object, object);
	mw_free_sized(object, 100);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free_sized(object, 100);
	CHECK_PTR(test_misuse_came()->object, object);
	test_expect_misuse(MW_FOREIGN_FREE);
	mw_free_sized(&object, sizeof(object));
	CHECK_PTR(test_misuse_came()->address, &object);
}

/* ---- what it costs ---- */

#define PAIRS 1000

static uint64_t frees_cost(bool sized, size_t size)
{
	static void *objects[PAIRS];
	uint64_t before, cost = 0;

	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < PAIRS; i++)
			NEED(objects[i] = mw_alloc(size, 0));
		before = test_instructions();
		for (unsigned int i = 0; i < PAIRS; i++) {
			if (sized)
				mw_free_sized(objects[i], size);
			else
				mw_free(objects[i]);
		}
		cost = (test_instructions() - before) / PAIRS;
	}
	return cost;
}

/* @more: than the bounds beside the sizes. */
static void costs(size_t heap, unsigned int more)
{
	static const struct {
		size_t size;
		unsigned int more;
	} of[] = { { 16, 10 }, { 64, 10 }, { 1024, 10 }, { 8192, 13 } };

	NEED(test_heap(heap));
	for (unsigned int i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		uint64_t plain = frees_cost(false, of[i].size), sized = frees_cost(true, of[i].size);

		test_note("%zu bytes: %llu instructions, with a size %llu", of[i].size,
			  (unsigned long long)plain, (unsigned long long)sized);
		CHECK(sized <= plain + of[i].more + more);
	}
}

TEST_WITH(cost_little_more_than_others, TEST_COUNTED)
{
	costs((size_t)128 << 20, 0);
}

/* Where there are no leaves of the page map: a look-up is a call, which pins once more. */
TEST_WITH(cost_in_little_memory, TEST_COUNTED)
{
	costs((size_t)30 << 20, 34);
}
