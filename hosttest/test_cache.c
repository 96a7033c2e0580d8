// SPDX-License-Identifier: MIT
/* Typed caches. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)16 << 20)

struct thing {
	uint64_t made; /* by the constructor */
	uint64_t words[11];
};

static unsigned long constructed;

static void construct(void *object)
{
	((struct thing *)object)->made = 0x600d;
	constructed++;
}

TEST(construct_once)
{
	const struct mw_cache_want want = { .name = "thing",
					    .size = sizeof(struct thing),
					    .construct = construct };
	struct mw_cache *cache;
	struct thing *things[500];
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	constructed = 0;
	cache = mw_cache_create(&want);
	NEED(cache);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 500; i++) {
			things[i] = mw_cache_alloc(cache, 0);
			NEED(things[i]);
			wrong += things[i]->made != 0x600d;
			things[i]->words[10] = i;
		}
		for (unsigned int i = 0; i < 500; i++)
			mw_cache_free(cache, things[i]);
	}
	CHECK_EQ(wrong, 0);
	CHECK(constructed >= 500);
	CHECK(constructed < 1500);
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK_PTR(mw_cache_alloc(cache, MW_ZERO), NULL);
	CHECK(test_misuse_came());
	CHECK(mw_cache_destroy(cache));
	CHECK(mw_object_check());
}

TEST(alignment_and_size)
{
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	for (size_t align = 0; align <= MW_PAGE_SIZE; align = align ? 2 * align : 8) {
		for (size_t size = 1; size < 200000; size = size * 3 + 1) {
			struct mw_cache_want want = { .name = "x", .size = size, .align = align };
			struct mw_cache *cache = mw_cache_create(&want);
			char *objects[5];

			NEED(cache);
			for (unsigned int i = 0; i < 5; i++) {
				objects[i] = mw_cache_alloc(cache, MW_ZERO);
				NEED(objects[i]);
				wrong += align && (uintptr_t)objects[i] % align;
				wrong += objects[i][0] || objects[i][size - 1];
				objects[i][0] = objects[i][size - 1] = 1;
				wrong += mw_usable_size(objects[i]) < size;
			}
			for (unsigned int i = 0; i < 5; i++)
				mw_free_sized(objects[i], size);
			NEED(mw_cache_destroy(cache));
		}
	}
	CHECK_EQ(wrong, 0);
}

static size_t not_all(const char *object, size_t size, char byte)
{
	size_t wrong = 0;

	for (size_t b = 0; b < size; b++)
		wrong += object[b] != byte;
	return wrong;
}

/* What is made zero is the object, and not a byte of the next one, whatever its size. */
TEST(zeroing_ends_with_the_object)
{
	static char *objects[256];
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	for (size_t size = 8; size <= 400; size += 8) {
		struct mw_cache_want want = { .name = "x", .size = size, .align = 8 };
		struct mw_cache *cache = mw_cache_create(&want);

		NEED(cache);
		for (unsigned int i = 0; i < 256; i++) {
			objects[i] = mw_cache_alloc(cache, 0);
			NEED(objects[i]);
			__builtin_memset(objects[i], 1, size);
		}
		for (unsigned int i = 0; i < 256; i += 2)
			mw_free(objects[i]);
		for (unsigned int i = 0; i < 256; i += 2) {
			objects[i] = mw_cache_alloc(cache, MW_ZERO);
			NEED(objects[i]);
			wrong += not_all(objects[i], size, 0);
		}
		for (unsigned int i = 1; i < 256; i += 2)
			wrong += not_all(objects[i], size, 1);
		for (unsigned int i = 0; i < 256; i++)
			mw_free(objects[i]);
		NEED(mw_cache_destroy(cache));
	}
	CHECK_EQ(wrong, 0);
}

TEST(contradictions)
{
	static const struct mw_cache_want bad[] = {
		{ .name = "no size" },
		{ .size = 8 },
		{ .name = "align", .size = 8, .align = 24 },
		{ .name = "align", .size = 8, .align = 2 * MW_PAGE_SIZE },
		{ .name = "flags", .size = 8, .flags = MW_ZERO },
		{ .name = "both", .size = 8, .flags = MW_COLLECTED, .construct = construct },
		{ .name = "huge", .size = SIZE_MAX / 2 },
	};

	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		test_expect_misuse(MW_BAD_REQUEST);
		CHECK_PTR(mw_cache_create(&bad[i]), NULL);
		CHECK(test_misuse_came()->text);
	}
}

TEST(bulk)
{
	const struct mw_cache_want want = { .name = "bulk", .size = 64 };
	struct mw_cache *cache;
	static void *objects[3000];
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	cache = mw_cache_create(&want);
	NEED(cache);
	for (size_t n = 0; n <= 3000; n = n * 2 + 1) {
		NEED(mw_cache_alloc_bulk(cache, MW_ZERO, n, objects));
		NEED(n < 2 || objects[0] != objects[1]);
		CHECK_EQ(mw_object_live_bytes(), n * 64);
		mw_cache_free_bulk(cache, n, objects);
		CHECK_EQ(mw_object_live_bytes(), 0);
		NEED(mw_cache_alloc_bulk(cache, 0, n, objects));
		CHECK_EQ(mw_object_live_bytes(), n * 64);
		for (size_t i = 0; i < n; i++) {
			wrong += *(void **)objects[i] == &wrong; /* handed out twice? */
			*(void **)objects[i] = &wrong;
		}
		for (size_t i = 0; i < n; i++)
			*(void **)objects[i] = NULL;
		mw_cache_free_bulk(cache, n, objects);
	}
	CHECK_EQ(wrong, 0);
	NEED(mw_cache_alloc_bulk(cache, 0, 20, objects));
	objects[20] = objects[7];
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_cache_free_bulk(cache, 21, objects);
	CHECK_PTR(test_misuse_came()->address, objects[7]);
	CHECK(mw_cache_destroy(cache));
}

TEST(bulk_is_all_or_nothing)
{
	const struct mw_cache_want want = { .name = "big", .size = 30000 };
	struct mw_cache *cache;
	static void *objects[400];

	NEED(test_heap((size_t)8 << 20));
	cache = mw_cache_create(&want);
	NEED(cache);
	CHECK(!mw_cache_alloc_bulk(cache, 0, 400, objects));
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_cache_alloc_bulk(cache, 0, 100, objects));
	mw_cache_free_bulk(cache, 100, objects);
	CHECK(mw_cache_destroy(cache));
}

TEST(shrink_and_own_memory)
{
	const struct mw_cache_want want = { .name = "own", .size = 128 };
	struct mw_cache *cache;
	static void *objects[2000];
	struct mw_page_stats before, after;

	NEED(test_heap(HEAP));
	cache = mw_cache_create(&want);
	NEED(cache);
	mw_page_stats(&before);
	NEED(mw_cache_alloc_bulk(cache, 0, 2000, objects));
	for (unsigned int i = 0; i < 2000; i++) {
		struct mw_place place;

		NEED(mw_lookup(objects[i], &place) && place.cache == cache);
	}
	mw_cache_free_bulk(cache, 2000, objects);
	CHECK(mw_cache_shrink(cache) >= 60);
	mw_page_stats(&after);
	CHECK_EQ(after.objects, before.objects);
	CHECK(mw_cache_destroy(cache));
}

/* More caches than there is room for: NULL, and each place is used again. */
TEST(many_caches)
{
	static struct mw_cache *caches[2000];
	const struct mw_cache_want want = { .name = "many", .size = 40 };
	unsigned int n = 0;

	NEED(test_heap(HEAP));
	for (unsigned int round = 0; round < 2; round++) {
		for (n = 0; n < 2000 && (caches[n] = mw_cache_create(&want)); n++) {
			void *object = mw_cache_alloc(caches[n], 0);

			NEED(object);
			mw_cache_free(caches[n], object);
		}
		CHECK(n >= 400 && n < 2000);
		while (n--)
			NEED(mw_cache_destroy(caches[n]));
	}
}
