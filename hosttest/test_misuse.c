// SPDX-License-Identifier: MIT
/* The catalogue of misuse: each case with the report that it must give, and the heap unharmed. */
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)16 << 20)

static size_t live;

static void begin(enum mw_misuse what)
{
	live = mw_object_live_bytes();
	test_expect_misuse(what);
}

/* The report came, and nothing changed. */
static const struct mw_report *came(const void *address)
{
	const struct mw_report *report = test_misuse_came();

	CHECK_EQ(mw_object_live_bytes(), live);
	CHECK(mw_object_check());
	NEED(report);
	CHECK_PTR(report->address, address);
	return report;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

TEST(double_free)
{
	static const size_t sizes[] = { 8, 16, 48, 64, 1000, 4096, 20000, 32768, 40000, 3000000 };
	const struct mw_report *report;

	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *keep = mw_alloc(sizes[i], 0), *object = mw_alloc(sizes[i], 0);

		NEED(keep && object);
		mw_free(object);
		if (sizes[i] > (size_t)1 << 20) {
			begin(MW_FREED_SPAN); /* too large to be kept */
			mw_free(object);
			came(object);
		} else {
			begin(MW_DOUBLE_FREE);
			mw_free(object);
			report = came(object);
			CHECK_PTR(report->object, object);
			CHECK_EQ(report->size, mw_size_roundup(sizes[i]));
			CHECK(report->span && report->span_pages);
		}
		mw_free(keep);
	}
	CHECK_EQ(mw_object_live_bytes(), 0);
}

TEST(foreign_free)
{
	static char statics[64];
	char stack[64];
	char *object;

	NEED(test_heap(HEAP));
	object = mw_alloc(64, 0);
	begin(MW_FOREIGN_FREE);
	mw_free(statics + 16);
	came(statics + 16);
	begin(MW_FOREIGN_FREE);
	mw_free(stack + 16);
	came(stack + 16);
	begin(MW_FOREIGN_FREE);
	mw_free((void *)16);
	came((void *)16);
	begin(MW_FOREIGN_FREE);
	mw_free((void *)UINTPTR_MAX);
	came((void *)UINTPTR_MAX);
	mw_free(object);
}

TEST(inner_free)
{
	static const size_t sizes[] = { 16, 48, 64, 112, 1000, 4096, 20000, 32768, 40000, 300000 };
	const struct mw_report *report;

	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *object = mw_alloc(sizes[i], 0);
		const size_t offsets[] = { 1, 8, sizes[i] / 2, sizes[i] - 1 };

		NEED(object);
		for (unsigned int k = 0; k < 4; k++) {
			begin(MW_INNER_FREE);
			mw_free(object + offsets[k]);
			report = came(object + offsets[k]);
			CHECK_PTR(report->object, object);
		}
		mw_free(object);
	}
}

/* Behind the last whole object of a span; in the span's last page. */
TEST(free_in_the_tail)
{
	struct mw_span *span;
	char *object, *tail;

	NEED(test_heap(HEAP));
	object = mw_alloc(416, 0);
	NEED(object);
	span = mw_span_of(object);
	tail = span->base + span->count * span->stride;
	NEED(tail < span->base + span->pages * MW_PAGE_SIZE);
	begin(MW_FOREIGN_FREE);
	mw_free(tail);
	came(tail);
	begin(MW_FOREIGN_FREE);
	mw_free(tail + 8);
	came(tail + 8);
	mw_free(object);
}

TEST(never_allocated)
{
	char *object;

	NEED(test_heap(HEAP));
	object = mw_alloc(64, 0);
	NEED(object);
	begin(MW_DOUBLE_FREE);
	mw_free(object + 64);
	came(object + 64);
	mw_free(object);
}

TEST(freed_span)
{
	char *object;

	NEED(test_heap(HEAP));
	object = mw_alloc((size_t)5 << 20, 0);
	NEED(object);
	mw_free(object);
	begin(MW_FREED_SPAN);
	mw_free(object + 4096);
	came(object + 4096);
}

TEST(wrong_size)
{
	static const size_t sizes[] = { 8, 16, 100, 1000, 5000, 40000, 300000 };
	const struct mw_report *report;

	NEED(test_heap(HEAP));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *object = mw_alloc(sizes[i], 0);

		NEED(object);
		begin(MW_WRONG_SIZE);
		mw_free_sized(object, sizes[i] * 2);
		report = came(object);
		CHECK_EQ(report->given, sizes[i] * 2);
		CHECK_EQ(report->size, mw_size_roundup(sizes[i]));
		if (sizes[i] > 16) {
			begin(MW_WRONG_SIZE);
			mw_free_sized(object, sizes[i] / 2);
			came(object);
		}
		mw_free_sized(object, sizes[i]);
	}
	CHECK_EQ(mw_object_live_bytes(), 0);
}

static void wrong_cache_of(size_t heap)
{
	const struct mw_cache_want inodes = { .name = "inode", .size = 200 };
	const struct mw_cache_want files = { .name = "file", .size = 200 };
	struct mw_cache *inode, *file;
	const struct mw_report *report;
	void *object, *plain;

	NEED(test_heap(heap));
	inode = mw_cache_create(&inodes);
	file = mw_cache_create(&files);
	NEED(inode && file);
	object = mw_cache_alloc(inode, 0);
	plain = mw_alloc(200, 0);
	NEED(object && plain);
	begin(MW_WRONG_CACHE);
	mw_cache_free(file, object);
	report = came(object);
	CHECK(same(report->cache, "inode"));
	CHECK(same(report->given_cache, "file"));
	begin(MW_WRONG_CACHE);
	mw_cache_free(file, plain);
	report = came(plain);
	CHECK(same(report->cache, "alloc-208"));
	begin(MW_WRONG_SIZE);
	mw_free_sized(object, 100);
	came(object);
	mw_cache_free(inode, object);
	mw_free(plain);
	CHECK(mw_cache_destroy(inode));
	CHECK(mw_cache_destroy(file));
}

TEST(wrong_cache)
{
	wrong_cache_of(HEAP);
}

/* Where there are leaves of the page map, and spans are found on the shortest way. */
TEST_WITH(wrong_cache_in_much_memory, TEST_HOSTED)
{
	wrong_cache_of((size_t)1 << 30);
}

TEST(pages_as_an_object)
{
	char *pages, *object;

	NEED(test_heap(HEAP));
	pages = mw_pages_alloc(4, 0);
	object = mw_alloc(40000, 0);
	NEED(pages && object);
	begin(MW_WRONG_KIND);
	mw_free(pages);
	came(pages);
	begin(MW_WRONG_KIND);
	mw_pages_free(object, 10);
	came(object);
	mw_pages_free(pages, 4);
	begin(MW_FREED_SPAN);
	mw_free(pages);
	came(pages);
	mw_free(object);
}

TEST(stack_of_another_order)
{
	static const unsigned int wrong[] = { 0, 1, 3, 17, 18, 19, 31, 32, 63, 64, ~0u };
	const struct mw_report *report;
	char *stack;

	NEED(test_heap(HEAP));
	NEED(stack = mw_stack_alloc(2, 0));
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		begin(MW_WRONG_SIZE);
		mw_stack_free(stack, wrong[i]);
		report = came(stack);
		CHECK_EQ(report->span_pages, 4);
		mw_stack_free(NULL, wrong[i]);
	}
	mw_stack_free(stack, 2);
}

TEST(destroyed_with_live_objects)
{
	const struct mw_cache_want wanted = { .name = "dentry", .size = 96 };
	const struct mw_report *report;
	struct mw_cache *cache;
	void *objects[3];

	NEED(test_heap(HEAP));
	cache = mw_cache_create(&wanted);
	NEED(cache && mw_cache_alloc_bulk(cache, 0, 3, objects));
	test_expect_misuse(MW_CACHE_LIVE);
	CHECK(!mw_cache_destroy(cache));
	report = test_misuse_came();
	NEED(report);
	CHECK(same(report->cache, "dentry"));
	CHECK_EQ(report->given, 3);
	CHECK(report->object == objects[0] || report->object == objects[1] ||
	      report->object == objects[2]);
	mw_cache_free_bulk(cache, 3, objects);
	CHECK(mw_cache_destroy(cache));
}

/* After mw_reset() nothing of the heap is known: an old object is foreign. */
TEST(torn_down_heap)
{
	void *object;

	NEED(test_heap(HEAP));
	object = mw_alloc(64, 0);
	NEED(object);
	mw_reset();
	test_expect_misuse(MW_FOREIGN_FREE);
	mw_free(object);
	CHECK_PTR(test_misuse_came()->address, object);
	CHECK_PTR(mw_alloc(64, MW_ATOMIC), NULL);
}

#if MW_GC
/* Parts of one block, first and other: neither is freed by hand. */
TEST(tiny_part)
{
	char *first, *second;

	NEED(test_heap(HEAP));
	test_heap_may_leak();
	first = mw_alloc(5, MW_NOSCAN);
	second = mw_alloc(4, MW_NOSCAN);
	NEED(first && second);
	CHECK_PTR(second, first + 8);
	CHECK_EQ((uintptr_t)mw_alloc(3, MW_NOSCAN) % 16, 12);
	for (unsigned int i = 0; i < 2; i++) {
		char *part = i ? second : first;

		test_expect_misuse(MW_BAD_REQUEST);
		mw_free(part);
		CHECK_PTR(test_misuse_came()->address, part);
		/* It does not grow over what is behind it. */
		test_expect_misuse(MW_BAD_REQUEST);
		CHECK_PTR(mw_realloc(part, 12, MW_NOSCAN), NULL);
		CHECK_PTR(test_misuse_came()->address, part);
		CHECK_EQ(mw_usable_size(part), 0);
	}
	CHECK(mw_object_check());
}
#endif

static void *shared;

static void free_twice_from_afar(unsigned int i, void *arg)
{
	(void)arg;
	if (!i)
		shared = mw_alloc(64, 0);
	test_barrier();
	if (i == 1)
		mw_free(shared);
	test_barrier();
	if (i == 0) {
		begin(MW_DOUBLE_FREE);
		mw_free(shared);
		came(shared);
	}
	test_barrier();
	if (i == 1) {
		begin(MW_DOUBLE_FREE);
		mw_free(shared);
		came(shared);
		begin(MW_INNER_FREE);
		mw_free((char *)shared + 16);
		came((char *)shared + 16);
	}
}

TEST(double_free_across_cpus)
{
	NEED(test_heap(HEAP));
	if (test_cpus() < 2)
		test_skip("one CPU");
	test_parallel(2, free_twice_from_afar, NULL);
	CHECK_EQ(mw_object_live_bytes(), 0);
}

/* No CPU owns the span any more. */
TEST(double_free_of_what_nobody_owns)
{
	void *one, *other;

	NEED(test_heap(HEAP));
	one = mw_alloc(64, 0);
	other = mw_alloc(64, 0);
	NEED(one && other);
	mw_cpu_stop();
	mw_free(one);
	begin(MW_DOUBLE_FREE);
	mw_free(one);
	came(one);
	mw_free(other);
	CHECK_EQ(mw_object_live_bytes(), 0);
}

TEST(report_as_text)
{
	struct mw_report report = { .what = MW_DOUBLE_FREE };

	NEED(test_heap(HEAP));
	CHECK(same(mw_misuse_name(report.what), "double-free"));
	CHECK(same(mw_misuse_name(MW_WRONG_CACHE), "wrong-cache"));
	CHECK(same(mw_misuse_name(MW_INNER_FREE), "inner-free"));
	CHECK(same(mw_misuse_name(MW_FREED_SPAN), "freed-span"));
}
