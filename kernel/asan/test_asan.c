// SPDX-License-Identifier: MIT
/*
 * Mistakes of a kernel, each of which must be caught at the access, with a report that names what it
 * was done to. The accesses go through volatile pointers, so that the compiler cannot know.
 */
#include <marrow/gc.h>
#include "kernel.h"
#include "test.h"
#include "text.h"

#define HEAP (8ul << 20)

static char *volatile target;
static volatile size_t index_of;
static volatile char seen;

static bool contains(const char *text, const char *part)
{
	for (; *text; text++)
		if (text_after(text, part))
			return true;
	return false;
}

/* The mistake was reported once, as @what, of @object with @size bytes and words of its own. */
static void check_report(enum mw_misuse what, const void *object, size_t size, const char *words)
{
	const struct mw_report *report = test_misuse_came();

	CHECK_EQ(report->what, what);
	CHECK_PTR(report->object, object);
	CHECK_EQ(report->size, size);
	CHECK(contains(report->text, words));
}

static void *fresh(size_t size)
{
	NEED(test_heap(HEAP));
	test_heap_may_leak();
	target = mw_alloc(size, 0);
	NEED(target);
	return target;
}

TEST(a_byte_behind_what_was_asked_for)
{
	char *object = fresh(100);

	target[99] = 1;
	test_expect_misuse(MW_OVERRUN);
	target[100] = 1;
	check_report(MW_OVERRUN, object, 112, "write of");
	test_expect_misuse(MW_OVERRUN);
	seen = target[111];
	check_report(MW_OVERRUN, object, 112, "read of");
	test_expect_misuse(MW_OVERRUN);
	seen = (char)*(volatile uint64_t *)(target + 96);
	check_report(MW_OVERRUN, object, 112, "byte 100");
	/* Who asks may use all. */
	CHECK_EQ(mw_usable_size(object), 112);
	target[111] = 1;
}

TEST(red_zones_on_both_sides)
{
	char *object;

	NEED(test_heap(HEAP));
	test_heap_may_leak();
	NEED(mw_debug_set("ZU,alloc-64"));
	(void)mw_alloc(64, 0);
	target = object = mw_alloc(64, 0);
	NEED(object);
	test_expect_misuse(MW_OVERRUN);
	seen = target[64];
	check_report(MW_OVERRUN, object, 64, "read of");
	CHECK(test_misuse_came()->allocated != NULL);
	test_expect_misuse(MW_OVERRUN);
	seen = target[-1];
	check_report(MW_OVERRUN, object, 64, "before it");
	CHECK(mw_debug_set("-"));
}

TEST(after_free)
{
	char *object = fresh(200);

	mw_free(object);
	test_expect_misuse(MW_USE_AFTER_FREE);
	target[7] = 1;
	check_report(MW_USE_AFTER_FREE, object, 208, "a free object");
	CHECK(contains(test_misuse_came()->cache, "208"));
	test_expect_misuse(MW_USE_AFTER_FREE);
	seen = target[0];
	check_report(MW_USE_AFTER_FREE, object, 208, "read of");
}

static void free_it(unsigned int i, void *object)
{
	if (i == 1)
		mw_free(object);
}

TEST(after_another_cpu_freed_it)
{
	char *object;

	if (test_cpus() < 2)
		test_skip("needs two CPUs");
	object = fresh(200);
	test_parallel(2, free_it, object);
	test_expect_misuse(MW_USE_AFTER_FREE);
	target[199] = 1;
	check_report(MW_USE_AFTER_FREE, object, 208, "a free object");
}

TEST(after_free_of_large_objects_and_pages)
{
	char *object = fresh(100000), *pages;

	test_expect_misuse(MW_OVERRUN);
	target[100000] = 1;
	check_report(MW_OVERRUN, object, 102400, "write of");
	mw_free(object);
	test_expect_misuse(MW_USE_AFTER_FREE);
	target[50000] = 1;
	check_report(MW_USE_AFTER_FREE, object, 102400, "a free object");
	target = pages = mw_pages_alloc(4, 0);
	NEED(pages);
	target[0] = target[4 * MW_PAGE_SIZE - 1] = 1;
	mw_pages_free(pages, 4);
	test_expect_misuse(MW_USE_AFTER_FREE);
	target[3 * MW_PAGE_SIZE] = 1;
	CHECK_PTR(test_misuse_came()->span, pages + 3 * MW_PAGE_SIZE);
	CHECK(contains(test_misuse_came()->text, "pages that are free"));
}

TEST(after_free_of_typed_objects)
{
	const struct mw_cache_want want = { .name = "inode", .size = 72 };
	struct mw_cache *cache;
	char *object;

	NEED(test_heap(HEAP));
	test_heap_may_leak();
	cache = mw_cache_create(&want);
	NEED(cache);
	target = object = mw_cache_alloc(cache, 0);
	NEED(object);
	target[71] = 1;
	mw_cache_free(cache, object);
	test_expect_misuse(MW_USE_AFTER_FREE);
	target[71] = 1;
	CHECK(text_equal(test_misuse_came()->cache, "inode"));
	CHECK_PTR(test_misuse_came()->object, object);
}

/* Addresses are kept where the collector does not see them. */
static uintptr_t hidden[100];
static void *volatile kept; /* its span stays */

static __attribute__((noinline)) void forget_objects(void)
{
	for (size_t i = 0; i < LEN(hidden); i++)
		hidden[i] = ~(uintptr_t)mw_alloc(200, MW_COLLECTED);
	kept = (void *)~hidden[10];
}

static __attribute__((noinline)) void overwrite_stack(void)
{
	volatile char nothing[2048];

	for (size_t i = 0; i < sizeof(nothing); i++)
		nothing[i] = 0;
}

/* The last of them may still lie in a register. */
TEST(after_the_collector_freed_it)
{
	struct mw_place place;

	NEED(test_heap(HEAP));
	test_heap_may_leak();
	forget_objects();
	overwrite_stack();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	NEED(mw_lookup((void *)~hidden[9], &place));
	CHECK_EQ(place.kind, MW_KIND_FREE);
	test_expect_misuse(MW_USE_AFTER_FREE);
	*(volatile char *)(~hidden[9] + 5) = 1;
	check_report(MW_USE_AFTER_FREE, (void *)~hidden[9], 208, "a free object");
}

TEST(functions_on_memory_are_checked)
{
	char *object = fresh(100);
	char source[128];

	memset(source, 1, sizeof(source));
	test_expect_misuse(MW_OVERRUN);
	memcpy(target, source, 101);
	check_report(MW_OVERRUN, object, 112, "byte 100");
	test_expect_misuse(MW_OVERRUN);
	memset(target + 50, 0, 51 + index_of);
	check_report(MW_OVERRUN, object, 112, "byte 100");
	test_expect_misuse(MW_OVERRUN);
	memmove(source, target, 101 + index_of);
	check_report(MW_OVERRUN, object, 112, "read of");
	test_expect_misuse(MW_OVERRUN);
	seen = (char)memcmp(source, target, 101 + index_of);
	(void)test_misuse_came();
}

/* Three names, of which the report must say the right one. */
TEST(a_variable_on_the_stack)
{
	volatile char below[24], buffer[40], above[24];

	for (index_of = 0; index_of < 24; index_of++)
		below[index_of] = buffer[index_of] = above[index_of] = 0;
	seen = below[0] + above[0];
	index_of = sizeof(buffer);
	test_expect_misuse(MW_OVERRUN);
	buffer[index_of] = 1;
	check_report(MW_OVERRUN, (const void *)buffer, sizeof(buffer), "variable buffer of");
	index_of = 0;
}

TEST(a_variable_out_of_its_scope)
{
	volatile char *left;

	{
		volatile char inner[32];

		inner[index_of] = 1;
		left = inner;
		target = (char *)left;
	}
	test_expect_misuse(MW_USE_AFTER_FREE);
	*(volatile char *)target = 2;
	check_report(MW_USE_AFTER_FREE, target, 32, "variable inner of");
}

static void touch(void *arg)
{
	if (!*(volatile bool *)arg)
		target[3] = 1;
	*(volatile bool *)arg = true;
}

TEST(in_an_interrupt)
{
	volatile bool done = false;

	mw_free(fresh(64));
	test_expect_misuse(MW_USE_AFTER_FREE);
	NEED(test_interrupts_on(touch, (void *)&done));
	while (!done)
		arch_relax();
	test_interrupts_off();
	CHECK(contains(test_misuse_came()->text, "a free object"));
}

/* What was left on a stack that a test gave up on does no harm to who uses it next. */
static void leave(void *arg)
{
	volatile char buffer[64];

	buffer[index_of] = 1;
	seen = buffer[0];
	(void)arg;
	mw_port_panic("on purpose");
}

TEST(stacks_are_clean_after_leaving)
{
	CHECK(test_panics(leave, NULL) != NULL);
	overwrite_stack();
	CHECK(true);
}
