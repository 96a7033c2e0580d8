// SPDX-License-Identifier: MIT
/*
 * MW_ZERO: whichever way an object comes to be, moves, grows and shrinks, no byte that it gains holds what
 * anybody wrote before. The caller of these tests writes to what it asked for, and to nothing else.
 */
#include <marrow/linux.h>
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)32 << 20)
#define ROUNDS 40
#define STEPS 12
#define OLD 0xee
#define TINY 16

static size_t kept_bytes(size_t i)
{
	return (i * 7 ^ i >> 8) % 255 + 1;
}

static void fill(unsigned char *at, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		at[i] = (unsigned char)kept_bytes(i);
}

static size_t changed(const unsigned char *at, size_t n)
{
	size_t wrong = 0;

	for (size_t i = 0; i < n; i++)
		wrong += at[i] != (unsigned char)kept_bytes(i);
	return wrong;
}

static size_t not_zero(const unsigned char *at, size_t from, size_t to)
{
	size_t wrong = 0;

	for (size_t i = from; i < to; i++)
		wrong += at[i] != 0;
	return wrong;
}

/* What the object may hold; under a sanitizer only what was asked for may be touched. */
static size_t readable(const void *object, size_t size)
{
	return MW_SHADOW ? size : mw_usable_size(object);
}

/* Sizes that meet: of one class, of its neighbours, of large objects that differ by a page. */
static size_t some_size(size_t near)
{
	static const size_t most[] = { 64, 600, 5000, 33000, 200000 };
	size_t limit = most[test_below(sizeof(most) / sizeof(most[0]))];

	if (near && test_below(3)) {
		limit = near / 8 + 2;
		near = near > limit / 2 ? near - limit / 2 : 0;
		return near + 1 + test_below(limit);
	}
	return 1 + test_below(limit);
}

/* What comes out of the heap from now on was somebody else's. */
static void leave_bytes_behind(void)
{
	unsigned char *old[64];
	unsigned int n = 0;

	for (; n < 64; n++) {
		size_t size = some_size(0);

		old[n] = mw_alloc_aligned(size, n % 4 ? 8 : 256, n % 3 ? 0 : MW_POINTERS * MW_GC);
		if (!old[n])
			break;
		__builtin_memset(old[n], OLD, readable(old[n], size));
	}
	while (n)
		mw_free(old[--n]);
}

/* ---- the ways ---- */

typedef void *alloc_way(size_t size, mw_flags_t flags);
typedef void *realloc_way(void *object, size_t size, mw_flags_t flags);

static void *by_align(size_t size, mw_flags_t flags)
{
	return mw_alloc_aligned(size, (size_t)1 << test_below(15), flags);
}

static void *by_array(size_t size, mw_flags_t flags)
{
	return mw_alloc_array(1, size, flags);
}

static void *by_realloc(size_t size, mw_flags_t flags)
{
	return mw_realloc(NULL, size, flags);
}

static void *by_realloc_array(size_t size, mw_flags_t flags)
{
	return mw_realloc_array(NULL, size, 1, flags);
}

static void *by_kzalloc(size_t size, mw_flags_t flags)
{
	return kzalloc(size, flags & ~(mw_flags_t)MW_ZERO);
}

static void *by_kcalloc(size_t size, mw_flags_t flags)
{
	return kcalloc(size, 1, flags & ~(mw_flags_t)MW_ZERO);
}

static void *again_array(void *object, size_t size, mw_flags_t flags)
{
	return mw_realloc_array(object, size, 1, flags);
}

static void *again_krealloc(void *object, size_t size, mw_flags_t flags)
{
	return krealloc(object, size, flags);
}

static alloc_way *const allocs[] = { mw_alloc,	       by_align,   by_array,  by_realloc,
				     by_realloc_array, by_kzalloc, by_kcalloc };
static realloc_way *const reallocs[] = { mw_realloc, again_array, again_krealloc };

/* It grows and shrinks; what is kept is as it was written, and all else is zero. */
static void resize(unsigned char *object, size_t size, mw_flags_t flags)
{
	for (unsigned int step = 0; step < STEPS; step++) {
		size_t other = some_size(size);
		unsigned char *again = reallocs[test_below(3)](object, other, flags);
		size_t keeps = other < size ? other : size;

		NEED(again);
		if (changed(again, keeps) || not_zero(again, keeps, readable(again, other))) {
			test_note("%zu, then %zu bytes, flags %x, %s", size, other, flags,
				  again == object ? "in place" : "moved");
			CHECK_EQ(changed(again, keeps), 0);
			CHECK_EQ(not_zero(again, keeps, readable(again, other)), 0);
		}
		object = again;
		size = other;
		fill(object, 0, size);
	}
	mw_free(object);
}

static void each_way(mw_flags_t flags, size_t least)
{
	leave_bytes_behind();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t size = some_size(0) + least;
		unsigned int way = (unsigned int)test_below(sizeof(allocs) / sizeof(allocs[0]));
		unsigned char *object = allocs[way](size, flags | MW_ZERO);

		NEED(object);
		if (not_zero(object, 0, readable(object, size))) {
			test_note("%zu bytes, flags %x, way %u", size, flags, way);
			CHECK_EQ(not_zero(object, 0, readable(object, size)), 0);
		}
		fill(object, 0, size);
		resize(object, size, MW_ZERO | (flags & (MW_BELOW_4G | MW_BELOW_16M)));
		if (i % 8 == 7)
			leave_bytes_behind();
	}
	CHECK(mw_heap_check());
}

TEST(plain_objects)
{
	NEED(test_heap(HEAP));
	each_way(0, 0);
}

TEST(objects_with_debug_aids)
{
	NEED(test_heap(HEAP));
	CHECK(mw_debug_set("FZP"));
	each_way(0, 0);
	CHECK(mw_debug_set("-"));
}

TEST(objects_of_a_zone)
{
	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < 4; i++) {
		unsigned char *object = mw_alloc(some_size(0), MW_ZERO | MW_BELOW_4G);
		size_t size = object ? mw_usable_size(object) : 0;

		if (!object)
			break; /* the memory of this heap is elsewhere */
		CHECK_EQ(not_zero(object, 0, MW_SHADOW ? 1 : size), 0);
		mw_free(object);
	}
	CHECK(mw_heap_check());
}

#if MW_GC
TEST(objects_with_pointers)
{
	NEED(test_heap(HEAP));
	each_way(MW_POINTERS, 0);
}

TEST(collected_objects)
{
	NEED(test_heap(HEAP));
	each_way(MW_COLLECTED, 0);
	/* Tiny ones, which have no size of their own, are not resized. */
	each_way(MW_NOSCAN, TINY);
}
#endif

/* ---- each fault by itself ---- */

/* A CPU keeps 17 pages; who asks for 16 gets them. */
TEST(kept_object_is_longer_than_asked)
{
	size_t page = MW_PAGE_SIZE, pages = 17;
	unsigned char *object, *again;

	NEED(test_heap(HEAP));
	object = mw_alloc(pages * page, 0);
	NEED(object);
	__builtin_memset(object, OLD, pages * page);
	mw_free(object);
	again = mw_alloc((pages - 1) * page, MW_ZERO);
	NEED(again);
	CHECK_PTR(again, object);
	CHECK_EQ(not_zero(again, 0, readable(again, (pages - 1) * page)), 0);
	object = mw_realloc(again, pages * page, MW_ZERO);
	CHECK_PTR(again, object);
	CHECK_EQ(not_zero(again, 0, pages * page), 0);
	mw_free(object);
}

/* It shrinks and grows where it is. */
TEST(shrunk_and_grown_in_its_class)
{
	static const size_t sizes[][2] = {
		{ 50, 64 }, { 3600, 4000 }, { 29000, 32200 }, { 90000, 94000 }
	};

	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t less = sizes[i][0], more = sizes[i][1];
		unsigned char *object = mw_alloc(more, MW_ZERO);

		NEED(object);
		__builtin_memset(object, OLD, more);
		object = mw_realloc(object, less, MW_ZERO);
		NEED(object);
		object = mw_realloc(object, more, MW_ZERO);
		NEED(object);
		CHECK_EQ(not_zero(object, less, more), 0);
		mw_free(object);
	}
}

/* Of a typed cache: one by one and many at once. */
TEST(objects_of_a_typed_cache)
{
	static const size_t sizes[] = { 24, 200, 4096, 40000 };
	unsigned char *objects[8];

	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct mw_cache_want want = { .name = "zeroed", .size = sizes[i] };
		struct mw_cache *cache = mw_cache_create(&want);

		NEED(cache);
		for (unsigned int round = 0; round < 3; round++) {
			for (unsigned int k = 0; k < 8 && round < 2; k++)
				NEED(objects[k] = mw_cache_alloc(cache, MW_ZERO));
			if (round == 2)
				NEED(mw_cache_alloc_bulk(cache, MW_ZERO, 8, (void **)objects));
			for (unsigned int k = 0; k < 8; k++) {
				size_t usable = readable(objects[k], sizes[i]);

				CHECK_EQ(not_zero(objects[k], 0, usable), 0);
				__builtin_memset(objects[k], OLD, usable);
			}
			objects[0] = mw_realloc(objects[0], sizes[i] / 2, MW_ZERO);
			NEED(objects[0]);
			objects[0] = mw_realloc(objects[0], sizes[i], MW_ZERO);
			NEED(objects[0]);
			CHECK_EQ(not_zero(objects[0], sizes[i] / 2, sizes[i]), 0);
			mw_cache_free_bulk(cache, 8, (void **)objects);
		}
		CHECK(mw_cache_destroy(cache));
	}
}

static void construct(void *object)
{
	__builtin_memset(object, OLD, 96);
}

/* It stays as it was made, for whoever gets the place next. */
TEST(constructed_object_is_not_resized_zeroed)
{
	const struct mw_cache_want want = { .name = "made", .size = 96, .construct = construct };
	struct mw_cache *cache;
	unsigned char *object;

	NEED(test_heap(HEAP));
	NEED(cache = mw_cache_create(&want));
	NEED(object = mw_cache_alloc(cache, 0));
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK_PTR(mw_realloc(object, 32, MW_ZERO), NULL);
	CHECK_PTR(test_misuse_came()->object, object);
	CHECK_EQ(not_zero(object, 0, 96), 96);
	mw_cache_free(cache, object);
	CHECK(mw_cache_destroy(cache));
}

#if MW_GC
/* Who frees an object stays the same, whether it moves or not. */
TEST(resize_keeps_the_kind)
{
	struct mw_span *span;
	void *object;

	NEED(test_heap(HEAP));
	NEED(object = mw_alloc(100, 0));
	NEED(object = mw_realloc(object, 2000, MW_COLLECTED));
	span = mw_span_of(object);
	CHECK_EQ(span->flags & (MW_SPAN_COLLECTED | MW_SPAN_POINTERS), 0);
	mw_free(object);
}
#endif
