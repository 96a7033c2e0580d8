// SPDX-License-Identifier: MIT
/* Debug aids of objects, failing on purpose, size classes. */
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)16 << 20)

TEST(specs)
{
	NEED(test_heap(HEAP));
	CHECK(mw_debug_set("FZPU"));
	CHECK(mw_debug_set("-"));
	CHECK(mw_debug_set("P,alloc-*;ZU,inode"));
	CHECK(mw_debug_set("-,alloc-64"));
	CHECK(!mw_debug_set(""));
	CHECK(!mw_debug_set("Q"));
	CHECK(!mw_debug_set("F,"));
	CHECK(!mw_debug_set("F;"));
	CHECK(!mw_debug_set("F,a name that is longer than all"));
	CHECK(mw_debug_set("-"));
}

TEST(everything_still_works)
{
	static const char *const specs[] = { "Z", "P", "U", "FZPU" };
	static void *objects[300];
	size_t wrong = 0;

	for (unsigned int s = 0; s < sizeof(specs) / sizeof(specs[0]); s++) {
		NEED(test_heap(HEAP));
		NEED(mw_debug_set(specs[s]));
		for (size_t size = 1; size <= 9000; size += size / 2 + 1) {
			for (unsigned int i = 0; i < 300; i++) {
				unsigned char *object = mw_alloc(size, i & 1 ? MW_ZERO : 0);
				struct mw_place place;

				NEED(object);
				wrong += mw_usable_size(object) != mw_size_roundup(size);
				wrong += !mw_lookup(object + size - 1, &place) ||
					 place.base != object;
				wrong += (uintptr_t)object % (size < 16 ? 8 : 16) != 0;
				if (!(size & (size - 1)) && size <= MW_PAGE_SIZE)
					wrong += (uintptr_t)object % size != 0;
				for (size_t b = 0; b < mw_usable_size(object); b++) {
					wrong += (i & 1) && object[b];
					object[b] = (unsigned char)i;
				}
				objects[i] = object;
			}
			for (unsigned int i = 0; i < 300; i++)
				mw_free_sized(objects[(i * 7) % 300], size);
		}
		CHECK_EQ(mw_object_live_bytes(), 0);
		CHECK(mw_object_check());
		CHECK(mw_debug_set("-"));
	}
	CHECK_EQ(wrong, 0);
}

TEST(overrun)
{
	const struct mw_report *report;
	char *object, *before;

	NEED(test_heap(HEAP));
	NEED(mw_debug_set("ZU,alloc-*"));
	before = mw_alloc(64, 0);
	object = mw_alloc(64, 0);
	NEED(before && object);
	test_spoil(object + 64, 1);
	test_expect_misuse(MW_OVERRUN);
	mw_free(object);
	report = test_misuse_came();
	CHECK_PTR(report->address, object + 64);
	CHECK_PTR(report->object, object);
	CHECK(report->allocated != NULL);
	object = mw_alloc(64, 0);
	test_spoil(object - 1, 1);
	test_expect_misuse(MW_OVERRUN);
	mw_free(object);
	CHECK_PTR(test_misuse_came()->address, object - 1);
	mw_free(before);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_debug_set("-"));
}

/* A span whose last object was taken is not in the way of others: none is made while any has a free one. */
TEST(a_free_object_is_found)
{
	const struct mw_cache_want want = { .name = "watched", .size = 64 };
	struct mw_cache *cache;
	void *objects[256];
	size_t n = 0, spans;

	NEED(test_heap(HEAP));
	NEED(mw_debug_set("P,watched"));
	cache = mw_cache_create(&want);
	NEED(cache);
	while (n < MW_LEN(objects))
		NEED(objects[n++] = mw_cache_alloc(cache, 0));
	spans = cache->spans;
	CHECK(spans > 2);
	for (unsigned int round = 0; round < 4; round++) {
		for (size_t i = 0; i < n; i += 64 + round)
			mw_cache_free(cache, objects[i]);
		for (size_t i = 0; i < n; i += 64 + round)
			NEED(objects[i] = mw_cache_alloc(cache, 0));
		CHECK_EQ(cache->spans, spans);
		CHECK(mw_object_check());
	}
	mw_cache_free_bulk(cache, n, objects);
	CHECK(mw_cache_destroy(cache));
	CHECK(mw_debug_set("-"));
}

/* The zones of the objects on both sides are looked at too, when one is taken and when it is freed. */
TEST(neighbours_are_watched)
{
	const struct mw_cache_want want = { .name = "watched", .size = 64 };
	const struct mw_report *report;
	struct mw_cache *cache;
	char *objects[3];

	NEED(test_heap(HEAP));
	NEED(mw_debug_set("FZ,watched"));
	cache = mw_cache_create(&want);
	NEED(cache);
	for (unsigned int i = 0; i < 3; i++)
		NEED(objects[i] = mw_cache_alloc(cache, 0));
	for (unsigned int i = 0; i < 8; i++) {
		char *neighbour = objects[i & 2], *bad = neighbour + (i & 1 ? 64 : -1);

		if (i & 4)
			mw_cache_free(cache, objects[1]);
		test_spoil(bad, 1);
		test_expect_misuse(MW_OVERRUN);
		if (!(i & 4))
			mw_cache_free(cache, objects[1]);
		else
			CHECK_PTR(mw_cache_alloc(cache, 0), objects[1]);
		report = test_misuse_came();
		CHECK_PTR(report->address, bad);
		CHECK_PTR(report->object, neighbour);
		if (!(i & 4))
			CHECK_PTR(mw_cache_alloc(cache, 0), objects[1]);
	}
	mw_cache_free_bulk(cache, 3, (void **)objects);
	CHECK(mw_cache_destroy(cache));
	CHECK(mw_debug_set("-"));
}

/* One write to each byte of a free object and of a live one's zones: it is found, and where it was. */
static void spoil_each(struct mw_cache *cache)
{
	char *before = mw_cache_alloc(cache, 0), *object = mw_cache_alloc(cache, 0);
	long size;

	NEED(before && object);
	size = (long)mw_usable_size(object);
	for (long at = -16; at < size + 16; at++) {
		bool zone = at < 0 || at >= size;

		if (!zone)
			mw_cache_free(cache, object);
		test_spoil(object + at, 1);
		test_expect_misuse(zone ? MW_OVERRUN : MW_USE_AFTER_FREE);
		if (zone)
			mw_cache_free(cache, object);
		CHECK_PTR(mw_cache_alloc(cache, at & 1 ? MW_ZERO : 0), object);
		CHECK_PTR(test_misuse_came()->address, object + at);
	}
	mw_cache_free(cache, before);
	mw_cache_free(cache, object);
}

TEST(every_byte_is_watched)
{
	static const size_t sizes[] = { 8, 16, 32, 48, 64, 80, 96, 112, 320 };

	NEED(test_heap(HEAP));
	NEED(mw_debug_set("ZP,watched"));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct mw_cache_want want = { .name = "watched", .size = sizes[i], .align = 8 };
		struct mw_cache *cache = mw_cache_create(&want);

		NEED(cache);
		spoil_each(cache);
		NEED(mw_cache_destroy(cache));
	}
	CHECK(mw_debug_set("-"));
}

TEST(use_after_free)
{
	const struct mw_report *report;
	char *object;

	NEED(test_heap(HEAP));
	NEED(mw_debug_set("PU"));
	object = mw_alloc(100, 0);
	NEED(object);
	CHECK_EQ((unsigned char)object[50], 0x5a);
	mw_free(object);
	test_spoil(object + 33, 1);
	CHECK(!mw_object_check());
	test_expect_misuse(MW_USE_AFTER_FREE);
	CHECK_PTR(mw_alloc(100, 0), object);
	report = test_misuse_came();
	CHECK_PTR(report->address, object + 33);
	CHECK(report->allocated && report->freed);
	mw_free(object);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(object);
	report = test_misuse_came();
	CHECK(report->allocated && report->freed);
	CHECK(mw_debug_set("-"));
}

TEST(typed_with_aids)
{
	const struct mw_cache_want want = { .name = "watched", .size = 48 };
	struct mw_cache *cache;
	void *objects[40];

	NEED(test_heap(HEAP));
	NEED(mw_debug_set("FZPU,watch*"));
	cache = mw_cache_create(&want);
	NEED(cache);
	NEED(mw_cache_alloc_bulk(cache, 0, 40, objects));
	test_spoil((char *)objects[20] + 48, 7);
	test_expect_misuse(MW_OVERRUN);
	mw_cache_free_bulk(cache, 40, objects);
	CHECK(test_misuse_came());
	CHECK(mw_cache_destroy(cache));
	CHECK_EQ(mw_object_live_bytes(), 0);
}

/* One object a page: what is freed is not handed out again at once, and is told from a live one. */
TEST(one_object_a_page)
{
	char *objects[200];
	size_t same = 0;

	NEED(test_heap(HEAP));
	NEED(mw_debug_set("G,alloc-128"));
	for (unsigned int i = 0; i < 200; i++) {
		objects[i] = mw_alloc(128, MW_ZERO);
		NEED(objects[i]);
		objects[i][127] = 1;
		mw_free(objects[i]);
		for (unsigned int k = 0; k < i; k++)
			same += i - k < 64 && objects[k] == objects[i];
	}
	CHECK_EQ(same, 0);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(objects[199]);
	CHECK(test_misuse_came());
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_debug_set("-"));
}

TEST(fail_every_third)
{
	const struct mw_fail fail = { .every = 3, .min_size = 17, .max_size = 40000 };
	size_t failed = 0;

	NEED(test_heap(HEAP));
	mw_free(mw_alloc(64, 0));
	mw_fail_set(&fail);
	for (unsigned int i = 0; i < 300; i++) {
		void *object = mw_alloc(i % 2 ? 64 : 3000, 0);

		failed += !object;
		mw_free(object);
		mw_free(mw_alloc(8, 0));
	}
	CHECK_EQ(mw_fail_set(NULL), 100);
	CHECK_EQ(failed, 100);
	for (unsigned int i = 0; i < 300; i++) {
		void *object = mw_alloc(64, 0);

		NEED(object);
		mw_free(object);
	}
	CHECK_EQ(mw_object_live_bytes(), 0);
}

/* Each k-th request fails once, for all k: nothing leaks, nothing breaks. */
TEST(fail_at_each_point)
{
	const struct mw_cache_want want = { .name = "failing", .size = 72 };

	for (unsigned long k = 1; k < 60; k++) {
		struct mw_fail fail = { .after = k, .pages = true };
		struct mw_cache *cache;
		void *bulk[20], *object;

		NEED(test_heap(HEAP));
		mw_fail_set(&fail);
		cache = mw_cache_create(&want);
		if (cache && mw_cache_alloc_bulk(cache, 0, 20, bulk))
			mw_cache_free_bulk(cache, 20, bulk);
		object = mw_alloc(100, 0);
		if (object) {
			void *moved = mw_realloc(object, 50000, 0);

			mw_free(moved ? moved : object);
		}
		mw_free(mw_alloc_aligned(100, 8192, 0));
		mw_fail_set(NULL);
		CHECK_EQ(mw_object_live_bytes(), 0);
		CHECK(mw_object_check());
		CHECK(!cache || mw_cache_destroy(cache));
	}
}

/* The generator with the rules of the lineage, and ours. */
TEST(size_classes)
{
	static const struct {
		size_t page, count;
	} known[] = { { 4096, 61 }, { 8192, 67 }, { 16384, 70 }, { 65536, 73 } };
	struct mw_class_tables tables;
	size_t sizes[100], n;

	for (unsigned int i = 0; i < 4; i++) {
		const struct mw_class_rules rules = { .page = known[i].page,
						      .eighths_from = 128,
						      .even_from = 2048,
						      .even_step = 256,
						      .merge = true };

		CHECK_EQ(mw_class_sizes(&rules, sizes, 100), known[i].count);
		CHECK_EQ(sizes[1], 8);
		CHECK_EQ(sizes[known[i].count - 1], MW_SMALL_MAX);
		for (n = 1; n < known[i].count; n++)
			CHECK(sizes[n] > sizes[n - 1]);
		CHECK_EQ(mw_class_sizes(&rules, sizes, known[i].count - 1), 0);
	}
	mw_class_fill(&tables);
	n = tables.count;
	CHECK_EQ(tables.sizes[n - 1], MW_SMALL_MAX);
	for (size_t size = 1; size <= MW_SMALL_MAX; size++) {
		unsigned int c = mw_class_of(&tables, size);

		if (tables.sizes[c] < size || tables.sizes[c - 1] >= size) {
			CHECK_EQ(c, size);
			break;
		}
		/* An eighth, or 15 bytes. */
		if ((tables.sizes[c] - size) * 8 > tables.sizes[c] && tables.sizes[c] - size > 15) {
			CHECK_EQ(tables.sizes[c], size);
			break;
		}
	}
}

/* Tails are at most an eighth, and an index by multiplication is exact in every span. */
TEST(span_lengths)
{
	struct mw_class_tables tables;
	size_t wrong = 0;

	mw_class_fill(&tables);
	for (unsigned int c = 1; c < tables.count; c++) {
		unsigned short pages[MW_SPAN_LENGTHS];
		size_t size = tables.sizes[c];

		mw_class_lengths(size, pages);
		for (unsigned int l = 0; l < MW_SPAN_LENGTHS; l++) {
			size_t bytes = (size_t)pages[l] << MW_PAGE_SHIFT;
			struct mw_span span = { .count = (unsigned int)(bytes / size) };

			wrong += bytes % size > bytes / 8 || bytes > (size_t)128 << 10;
			span.magic = span.count == 1 ? 1 : ~0ul / size + 1;
			for (size_t at = 0; at < bytes; at += at % size < 3 ? 1 : size / 3 + 1) {
				mw_wide_t product = mw_span_product(&span, (void *)at);
				size_t index = (size_t)(product >> MW_WORD_BITS);
				bool exact = (unsigned long)product < span.magic;

				wrong += span.count > 1 && index != at / size;
				wrong += exact != (at % size == 0) && at < span.count * size;
			}
		}
	}
	CHECK_EQ(wrong, 0);
}
