// SPDX-License-Identifier: MIT
/* Large objects that grow and shrink where they are. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)32 << 20)
#define KB ((size_t)1 << 10)
#define MB (KB << 10)

static void fill(unsigned char *at, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		at[i] = (unsigned char)(i * 7 ^ i >> 9);
}

static size_t wrong_bytes(const unsigned char *at, size_t from, size_t to)
{
	size_t wrong = 0;

	for (size_t i = from; i < to; i++)
		wrong += at[i] != (unsigned char)(i * 7 ^ i >> 9);
	return wrong;
}

static size_t object_pages(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.objects;
}

/* What lies behind an object is not read: behind memory is nothing, hosted. */
TEST(moves_from_the_end_of_memory)
{
	unsigned char *all[16], *last = NULL;
	size_t had = 200 * KB, n = 0;
	void *more;

	NEED(test_heap(2 << 20));
	more = test_memory(8 << 20);
	for (; n < 16 && (all[n] = mw_alloc(had, MW_ATOMIC)); n++)
		last = all[n] > last ? all[n] : last;
	NEED(n && n < 16 && mw_region_add(more, (uint64_t)1 << 33, 8 << 20));
	fill(last, 0, had);
	for (size_t i = 0; i < n; i++) {
		if (all[i] != last)
			continue;
		all[i] = mw_realloc(last, 2 * had, 0);
		NEED(all[i] && all[i] != last);
		CHECK_EQ(wrong_bytes(all[i], 0, had), 0);
	}
	while (n)
		mw_free(all[--n]);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_heap_check());
}

TEST(objects_of_a_typed_cache_and_arrays)
{
	const struct mw_cache_want want = { .name = "two hundred", .size = 200 };
	struct mw_cache *cache;
	unsigned char *object, *again;

	NEED(test_heap(HEAP));
	NEED(cache = mw_cache_create(&want));
	NEED(object = mw_cache_alloc(cache, 0));
	fill(object, 0, 200);
	CHECK_PTR(mw_realloc(object, 100, 0), object);
	CHECK_PTR(mw_realloc(object, 200, 0), object);
	again = mw_realloc(object, 1000, 0);
	NEED(again && again != object);
	CHECK_EQ(wrong_bytes(again, 0, 200), 0);
	mw_free(again);
	CHECK(mw_cache_destroy(cache));
	NEED(object = mw_realloc_array(NULL, 10, 8, 0));
	CHECK(!mw_realloc_array(object, SIZE_MAX / 2, 8, 0));
	again = mw_realloc_array(object, 0, 8, 0); /* an object of no bytes */
	NEED(again && !mw_usable_size(again));
	NEED(again = mw_realloc_array(again, 3, 8, 0));
	mw_free(again);
	CHECK_EQ(mw_object_live_bytes(), 0);
}

TEST(grows_and_shrinks_in_place)
{
	size_t had = 100 * KB, before;
	unsigned char *object, *again;

	NEED(test_heap(HEAP));
	before = object_pages();
	object = mw_alloc(had, 0);
	NEED(object);
	fill(object, 0, had);
	for (size_t size = 150 * KB; size < 8000 * KB; size = size * 3 / 2) {
		again = mw_realloc(object, size, 0);
		CHECK_PTR(again, object);
		CHECK(mw_usable_size(object) >= size);
		fill(object, had, size);
		had = size;
	}
	CHECK_EQ(object_pages() - before, (had + MW_PAGE_SIZE - 1) / MW_PAGE_SIZE);
	for (size_t size = had; size > 40 * KB; size = size * 2 / 3) {
		CHECK_PTR(mw_realloc(object, size, 0), object);
		CHECK_EQ(wrong_bytes(object, 0, size), 0);
		had = size;
	}
	CHECK(object_pages() - before <= had / MW_PAGE_SIZE * 9 / 8 + 1);
	mw_free_sized(object, had);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_heap_check());
}

/* What is kept when it is freed may have grown too long for that. */
TEST(is_not_kept_when_it_grew_too_long)
{
	size_t size = (size_t)1 << 20;
	char *object;

	NEED(test_heap(HEAP));
	mw_free(mw_alloc(size, 0));
	object = mw_alloc(size, 0);
	NEED(object);
	CHECK_PTR(mw_realloc(object, size + size / 4, 0), object);
	mw_free(object);
	CHECK_PTR(mw_span_of(object), NULL);
	CHECK(mw_heap_check());
}

/* Memory does not grow past freed large objects that are kept and not used. */
TEST(kept_ones_make_room)
{
	static void *large[16], *small[4096];
	size_t before;

	NEED(test_heap(HEAP));
	for (size_t i = 0; i < 16; i++) {
		large[i] = mw_alloc(100 * KB, 0);
		NEED(large[i]);
	}
	for (size_t i = 0; i < 16; i++)
		mw_free(large[i]);
	before = object_pages();
	CHECK(before >= 16 * 100 * KB / MW_PAGE_SIZE);
	for (size_t i = 0; i < 4096; i++) {
		small[i] = mw_alloc(320, 0);
		NEED(small[i]);
	}
	CHECK(object_pages() <= before + 128 * KB / MW_PAGE_SIZE);
	/* Those that are used stay. */
	large[0] = mw_alloc(100 * KB, 0);
	large[1] = mw_alloc(100 * KB, 0);
	NEED(large[0] && large[1]);
	mw_free(large[0]);
	before = object_pages();
	large[0] = mw_alloc(100 * KB, 0);
	CHECK_EQ(object_pages(), before);
	for (size_t i = 0; i < 2; i++)
		mw_free(large[i]);
	for (size_t i = 0; i < 4096; i++)
		mw_free(small[i]);
	CHECK(mw_heap_check());
}

TEST(moves_if_somebody_is_behind_it)
{
	unsigned char *a, *b, *moved;

	NEED(test_heap(HEAP));
	a = mw_alloc(100 * KB, 0);
	b = mw_realloc(a, 2000 * KB, 0);
	NEED(a && b == a);
	b = mw_realloc(a, 100 * KB, 0);
	/* Now the pages that it had are somebody else's. */
	b = mw_alloc(1500 * KB, 0);
	NEED(b);
	fill(a, 0, 100 * KB);
	moved = mw_realloc(a, 3000 * KB, 0);
	NEED(moved);
	CHECK(moved != a || b < a);
	CHECK_EQ(wrong_bytes(moved, 0, 100 * KB), 0);
	mw_free(moved);
	mw_free(b);
	CHECK(mw_heap_check());
}

TEST(what_is_added_is_zero)
{
	unsigned char *object, *dirty;
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	dirty = mw_alloc(6000 * KB, 0);
	NEED(dirty);
	__builtin_memset(dirty, 0xff, 6000 * KB);
	mw_free(dirty);
	object = mw_alloc(100 * KB, 0);
	NEED(object);
	fill(object, 0, 100 * KB);
	object = mw_realloc(object, 5000 * KB, MW_ZERO);
	NEED(object);
	CHECK_EQ(wrong_bytes(object, 0, 100 * KB), 0);
	for (size_t i = 100 * KB; i < 5000 * KB; i++)
		wrong += object[i] != 0;
	CHECK_EQ(wrong, 0);
	mw_free(object);
}

TEST(an_alignment_is_kept)
{
	NEED(test_heap(HEAP));
	for (size_t align = 64; align <= 256 * KB; align *= 4) {
		unsigned char *object = mw_alloc_aligned(100 * KB, align, 0);

		NEED(object);
		fill(object, 0, 50 * KB);
		for (size_t size = 200 * KB; size < 3000 * KB; size *= 2) {
			object = mw_realloc(object, size, 0);
			NEED(object);
			CHECK_EQ((uintptr_t)object % align, 0);
		}
		object = mw_realloc(object, 50 * KB, 0);
		CHECK_EQ((uintptr_t)object % align, 0);
		CHECK_EQ(wrong_bytes(object, 0, 50 * KB), 0);
		mw_free(object);
	}
	CHECK(mw_heap_check());
}

/* Those of the collector move: a mark may be looking into them. */
TEST(collected_objects_move)
{
	unsigned char *object;

	if (!MW_GC)
		test_skip("no collector");
	NEED(test_heap(HEAP));
	object = mw_alloc(100 * KB, MW_NOSCAN);
	NEED(object);
	fill(object, 0, 100 * KB);
	object = mw_realloc(object, 400 * KB, 0);
	NEED(object);
	CHECK_EQ(wrong_bytes(object, 0, 100 * KB), 0);
	object = mw_realloc(object, 60 * KB, 0);
	NEED(object);
	CHECK_EQ(wrong_bytes(object, 0, 60 * KB), 0);
	CHECK(mw_heap_check());
}

TEST(without_memory_nothing_changes)
{
	unsigned char *object;

	NEED(test_heap(HEAP));
	object = mw_alloc(100 * KB, 0);
	NEED(object);
	fill(object, 0, 100 * KB);
	CHECK_PTR(mw_realloc(object, 2 * HEAP, MW_ATOMIC), NULL);
	CHECK_PTR(mw_realloc(object, SIZE_MAX, MW_ATOMIC), NULL);
	CHECK_PTR(mw_realloc(object, SIZE_MAX - 2 * MW_PAGE_SIZE, MW_ATOMIC), NULL);
	CHECK_EQ(wrong_bytes(object, 0, 100 * KB), 0);
	mw_free_sized(object, 100 * KB);
	CHECK(mw_heap_check());
}

static unsigned int misuses[MW_NR_MISUSES];

static void count_misuse(const struct mw_report *report)
{
	misuses[report->what]++;
}

TEST(misuse_of_what_was_given_back)
{
	mw_misuse_fn *before;
	unsigned char *object;

	NEED(test_heap(HEAP));
	__builtin_memset(misuses, 0, sizeof(misuses));
	object = mw_alloc(1000 * KB, 0);
	NEED(object && mw_realloc(object, 100 * KB, 0) == object);
	before = mw_on_misuse(count_misuse);
	mw_free(object + 500 * KB);
	CHECK_EQ(misuses[MW_FREED_SPAN], 1);
	mw_free(object + 50 * KB);
	CHECK_EQ(misuses[MW_INNER_FREE], 1);
	mw_free_sized(object, 1000 * KB);
	CHECK_EQ(misuses[MW_WRONG_SIZE], 1);
	mw_free_sized(object, 100 * KB);
	mw_free(object);
	CHECK_EQ(misuses[MW_DOUBLE_FREE] + misuses[MW_FREED_SPAN], 2);
	mw_on_misuse(before);
	CHECK(mw_heap_check());
}

#define VECTORS 16

static void grow_and_shrink(unsigned int cpu, void *arg)
{
	unsigned char *vector[VECTORS] = { NULL };
	size_t size[VECTORS] = { 0 }, wrong = 0;

	(void)arg;
	for (size_t round = 0; round < 1500; round++) {
		size_t i = test_below(VECTORS), want = 33 * KB + test_below(400 * KB);
		unsigned char *now;

		want >>= test_below(3);
		now = test_below(8) ? mw_realloc(vector[i], want, 0) : NULL;
		if (now) {
			/* A page's first byte says whose it is. */
			for (size_t at = 0; at < size[i] && at < want; at += MW_PAGE_SIZE)
				wrong += now[at] != (unsigned char)(cpu * VECTORS + i);
			for (size_t at = 0; at < want; at += MW_PAGE_SIZE)
				now[at] = (unsigned char)(cpu * VECTORS + i);
			vector[i] = now;
			size[i] = want;
		} else {
			mw_free(vector[i]);
			vector[i] = NULL;
			size[i] = 0;
		}
	}
	for (size_t i = 0; i < VECTORS; i++)
		mw_free(vector[i]);
	CHECK_EQ(wrong, 0);
}

TEST(on_all_cpus)
{
	NEED(test_heap(2 * HEAP));
	test_parallel(test_cpus() < 8 ? test_cpus() : 8, grow_and_shrink, NULL);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_heap_check());
}

/* Small, in its class and out of it; large, growing and shrinking where it is. */
TEST_WITH(zones_hold_for_resizes, TEST_HOSTED)
{
	static const size_t sizes[][2] = {
		{ 100, 101 }, { 100, 1000 }, { 8, 8 }, { 300000, 300001 }, { 300000, 200000 }
	};

	mw_reset();
	NEED(mw_region_add(test_memory(8 * MB), 1 * MB, 8 * MB));
	NEED(mw_region_add(test_memory(8 * MB), 32 * MB, 8 * MB));
	NEED(mw_region_add(test_memory(8 * MB), (uint64_t)1 << 32, 8 * MB));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned char *object = mw_alloc(sizes[i][0], 0);
		size_t same = mw_min(sizes[i][0], sizes[i][1]);

		NEED(object);
		CHECK(mw_phys(object) >= (uint64_t)1 << 32);
		fill(object, 0, sizes[i][0]);
		object = mw_realloc(object, sizes[i][1], MW_BELOW_4G);
		NEED(object);
		CHECK(mw_phys(object) < (uint64_t)1 << 32 && mw_phys(object) >= 32 * MB);
		object = mw_realloc(object, sizes[i][1], MW_BELOW_16M);
		NEED(object);
		CHECK(mw_phys(object) < 16 * MB);
		CHECK_EQ(wrong_bytes(object, 0, same), 0);
		mw_free(object);
	}
	CHECK(mw_heap_check());
}
