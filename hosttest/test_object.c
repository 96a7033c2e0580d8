// SPDX-License-Identifier: MIT
/* Objects: what the calls promise, one test a promise. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)48 << 20)

static size_t live_bytes(void)
{
	return mw_object_live_bytes();
}

TEST(a_pair)
{
	void *a, *b;

	NEED(test_heap(HEAP));
	a = mw_alloc(24, 0);
	b = mw_alloc(24, 0);
	NEED(a && b);
	CHECK(a != b);
	CHECK_EQ(mw_usable_size(a), 32);
	mw_free(a);
	mw_free(b);
	CHECK_EQ(live_bytes(), 0);
	CHECK(mw_object_check());
}

TEST(sizes_and_alignment)
{
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	for (size_t size = 1; size <= 70000; size += size < 2100 ? 1 : 61) {
		char *object = mw_alloc(size, 0);
		size_t usable = mw_usable_size(object);

		NEED(object);
		wrong += usable < size || usable != mw_size_roundup(size);
		wrong += (uintptr_t)object % (size < 16 ? 8 : 16) != 0;
		if (!(size & (size - 1)))
			wrong += (uintptr_t)object % (size < MW_PAGE_SIZE ? size : MW_PAGE_SIZE) != 0;
		mw_free_sized(object, size);
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(live_bytes(), 0);
}

TEST(zero_sized)
{
	void *nothing;

	NEED(test_heap(HEAP));
	nothing = mw_alloc(0, 0);
	NEED(nothing);
	CHECK_PTR(mw_alloc(0, MW_ZERO), nothing);
	mw_free(nothing);
	mw_free(nothing);
	mw_free(NULL);
	CHECK_EQ(mw_usable_size(nothing), 0);
	CHECK_EQ(mw_size_roundup(0), 0);
}

/* Return: bytes that were not zero; then none of them is. */
static size_t soil(unsigned char *object)
{
	size_t usable = mw_usable_size(object), wrong = 0;

	for (size_t i = 0; i < usable; i++) {
		wrong += object[i] != 0;
		object[i] = 0xa5;
	}
	return wrong;
}

/* As often as it takes to get the places that were used before. */
TEST(zeroed)
{
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	for (size_t size = 1; size <= 200000; size += size / 3 + 1) {
		for (unsigned int round = 0; round < (size < 4096 ? 200 : 4); round++) {
			unsigned char *object = mw_alloc(size, MW_ZERO);

			NEED(object);
			wrong += soil(object);
			mw_free(object);
		}
	}
	CHECK_EQ(wrong, 0);
}

TEST(aligned)
{
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
		for (size_t size = 0; size <= 9000; size += size / 2 + 1) {
			char *object = mw_alloc_aligned(size, align, 0);

			NEED(object);
			wrong += (uintptr_t)object % align != 0;
			if (size || align > 16) {
				wrong += mw_usable_size(object) < size;
				mw_free_sized(object, size);
			}
		}
	}
	CHECK_EQ(wrong, 0);
	CHECK_PTR(mw_alloc_aligned(8, 3, 0), NULL);
	CHECK_PTR(mw_alloc_aligned(8, 0, 0), NULL);
	CHECK_PTR(mw_alloc_aligned(8, (size_t)2 << 30, 0), NULL);
	CHECK_EQ(live_bytes(), 0);
}

TEST(arrays_do_not_overflow)
{
	void *array;

	NEED(test_heap(HEAP));
	array = mw_alloc_array(10, 10, MW_ZERO);
	NEED(array);
	CHECK(mw_usable_size(array) >= 100);
	CHECK_PTR(mw_alloc_array(SIZE_MAX / 2, 3, 0), NULL);
	CHECK_PTR(mw_realloc_array(array, SIZE_MAX, SIZE_MAX, 0), NULL);
	CHECK(mw_usable_size(array) >= 100);
	CHECK_PTR(mw_alloc(SIZE_MAX, 0), NULL);
	CHECK_PTR(mw_alloc(SIZE_MAX - MW_PAGE_SIZE, 0), NULL);
	mw_free(array);
}

TEST(realloc_keeps_what_it_should)
{
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	for (size_t from = 1; from <= 100000; from = from * 2 + 1) {
		for (size_t to = 1; to <= 100000; to = to * 3 + 1) {
			unsigned char *a = mw_alloc(from, 0), *b;

			NEED(a);
			for (size_t i = 0; i < from; i++)
				a[i] = (unsigned char)(i * 7);
			b = mw_realloc(a, to, 0);
			NEED(b);
			for (size_t i = 0; i < from && i < to; i++)
				wrong += b[i] != (unsigned char)(i * 7);
			mw_free_sized(b, to);
		}
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(live_bytes(), 0);
}

/* From a large object, new or kept by the CPU, back to a small one. */
TEST(realloc_keeps_alignment_of_large_objects)
{
	NEED(test_heap(HEAP));
	for (size_t align = 16; align <= 4 * MW_PAGE_SIZE; align *= 2) {
		for (size_t again = 0; again < 3; again++) {
			void *object = mw_alloc_aligned(200000, align, 0);

			NEED(object);
			for (size_t size = 150000; size; size /= 3) {
				object = mw_realloc(object, size, 0);
				NEED(object);
				CHECK_EQ((uintptr_t)object % align, 0);
			}
			mw_free(object);
			object = mw_alloc(200000, 0);
			mw_free(object);
		}
	}
}

TEST(realloc_keeps_alignment)
{
	NEED(test_heap(HEAP));
	for (size_t align = 32; align <= (size_t)1 << 20; align *= 2) {
		void *object = mw_alloc_aligned(40, align, 0);

		NEED(object);
		for (size_t size = 100; size < 400000; size *= 3) {
			object = mw_realloc(object, size, 0);
			NEED(object);
			CHECK_EQ((uintptr_t)object % (align < MW_PAGE_SIZE ? align : align), 0);
		}
		mw_free(object);
	}
	CHECK_PTR(mw_realloc(mw_alloc(10, 0), 0, 0), mw_alloc(0, 0));
	CHECK_EQ(live_bytes(), 0);
}

TEST(lookup_of_any_word)
{
	struct mw_place place;
	char *object, *large;

	NEED(test_heap(HEAP));
	object = mw_alloc(100, 0);
	large = mw_alloc(100000, 0);
	NEED(object && large);
	CHECK(mw_lookup(object + 99, &place));
	CHECK_PTR(place.base, object);
	CHECK_EQ(place.size, 112);
	CHECK_EQ(place.kind, MW_KIND_OBJECT);
	CHECK(mw_lookup(large + 99999, &place));
	CHECK_PTR(place.base, large);
	CHECK(!mw_lookup(&place, &place));
	CHECK(!mw_lookup(NULL, &place));
	CHECK(!mw_lookup((void *)UINTPTR_MAX, &place));
	mw_free(object);
	CHECK(mw_lookup(object, &place));
	CHECK_EQ(place.kind, MW_KIND_FREE);
	mw_free(large);
}

/* Memory runs out, NULL comes, everything comes back. */
TEST(exhaustion)
{
	static const size_t sizes[] = { 16, 100, 1000, 5000, 40000, 3000000 };

	NEED(test_heap((size_t)8 << 20));
	mw_free(mw_alloc(1, 0));
	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		void **chain = NULL, **next;
		size_t n = 0;

		while ((next = mw_alloc(sizes[s], s & 1 ? MW_ATOMIC : 0))) {
			*next = chain;
			chain = next;
			n++;
		}
		CHECK(n * sizes[s] >= (size_t)5 << 19);
		for (; chain; chain = next) {
			next = *chain;
			mw_free(chain);
		}
		CHECK_EQ(live_bytes(), 0);
		CHECK(mw_object_check());
	}
}

/* A span is used to its last place before there is a second one. */
TEST(every_place_of_a_span)
{
	static const size_t sizes[] = { 8, 16, 48, 96, 1000 };

	NEED(test_heap(HEAP));
	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		const struct mw_cache_want want = { .name = "places", .size = sizes[s] };
		struct mw_cache *cache = mw_cache_create(&want);
		static void *object[2000];
		size_t n = 0, count;

		NEED(cache);
		do
			NEED(object[n] = mw_cache_alloc(cache, 0));
		while (mw_span_of(object[n]) == mw_span_of(object[0]) && ++n < 1999);
		count = mw_span_of(object[0])->count;
		CHECK_EQ(n, count);
		for (size_t i = 0; i <= n; i++)
			mw_cache_free(cache, object[i]);
		CHECK(mw_cache_destroy(cache));
	}
}
