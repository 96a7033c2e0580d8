// SPDX-License-Identifier: MIT
/* Reports name what is there now, and who called. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)32 << 20)

/* A free of @address is refused. Return: the report. */
static const struct mw_report *refused(enum mw_misuse what, void *address)
{
	const struct mw_report *report;
	size_t live = mw_object_live_bytes();

	test_expect_misuse(what);
	mw_free(address);
	report = test_misuse_came();
	CHECK_PTR(report->address, address);
	CHECK_EQ(mw_object_live_bytes(), live);
	return report;
}

static void says(const struct mw_report *report, const char *words)
{
	if (!report->text || !test_has(report->text, words))
		test_note("said: %s", report->text);
	CHECK(report->text && test_has(report->text, words));
}

/* Which span, of which cache, and the object around the address. */
TEST(in_a_span)
{
	const struct mw_report *report;
	struct mw_span *span;
	char *object;

	NEED(test_heap(HEAP));
	NEED(object = mw_alloc(416, 0));
	span = mw_span_of(object);
	report = refused(MW_INNER_FREE, object + 100);
	CHECK_PTR(report->object, object);
	CHECK(test_has(report->cache, "alloc-416"));
	report = refused(MW_DOUBLE_FREE, object + span->stride);
	CHECK_PTR(report->object, object + span->stride);
	says(report, "free");
	says(report, "never handed out");
	report = refused(MW_FOREIGN_FREE, span->base + span->count * span->stride + 8);
	says(report, "behind the last object");
	CHECK(!report->object);
	CHECK_PTR(report->span, span->base);
	CHECK_EQ(report->span_pages, span->pages);
	CHECK(test_has(report->cache, "alloc-416"));
	mw_free(object);
}

TEST(with_debug_aids)
{
	const struct mw_report *report;
	struct mw_span *span;
	char *object;

	NEED(test_heap(HEAP));
	CHECK(mw_debug_set("FZP"));
	NEED(object = mw_alloc(48, 0));
	span = mw_span_of(object);
	report = refused(MW_FOREIGN_FREE, span->base - 8);
	says(report, "before the first object");
	CHECK(!report->object);
	for (unsigned int i = 0; i < 2; i++) {
		NEED(object = mw_alloc(48, 0));
		test_spoil(i ? object + 48 : object - 1, 1);
		test_expect_misuse(MW_OVERRUN);
		mw_free(object);
		report = test_misuse_came();
		says(report, i ? "behind the object" : "before the object");
		CHECK_PTR(report->object, object);
	}
	mw_free(span->base);
	CHECK(mw_debug_set("-"));
}

/* ---- who called ---- */

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif
#define LONGEST 8192 /* bytes of code, a sanitizer's too */

/* Calls from within this function. */
NOINLINE static void wrong_calls(unsigned int which, void *object, struct mw_cache *cache)
{
	switch (which) {
	case 0:
		mw_free(object);
		break;
	case 1:
		mw_free_sized(object, 30000);
		break;
	case 2:
		mw_cache_free(cache, object);
		break;
	case 3:
		mw_cache_free_bulk(cache, 1, &object);
		break;
	case 4:
		CHECK_PTR(mw_realloc(object, 30, 0), NULL);
		break;
	case 5:
		CHECK_PTR(mw_realloc_array(object, 3, 30, 0), NULL);
		break;
	case 8:
		mw_pages_free(object, 1);
		break;
	case 9:
		mw_stack_free(object, 1);
		break;
	case 10:
		CHECK_PTR(mw_pages_alloc_as(&(struct mw_pages){ .count = 1, .align = 3 }), NULL);
		break;
	case 11:
		CHECK_EQ(mw_region_add(object, 0, 0), 0);
		break;
	case 12:
		CHECK(!mw_cache_destroy(cache));
		break;
	case 6:
		CHECK_PTR(mw_cache_create(&(struct mw_cache_want){ .name = "no size" }), NULL);
		break;
	default:
		CHECK_PTR(mw_realloc(object, 0, 0), mw_alloc(0, 0));
	}
	__asm__ volatile("");
}

static void names_the_caller(unsigned int which, void *object, struct mw_cache *cache,
			     enum mw_misuse what)
{
	uintptr_t from = (uintptr_t)wrong_calls;
	const struct mw_report *report;

	test_expect_misuse(what);
	wrong_calls(which, object, cache);
	report = test_misuse_came();
	if (report->here.pcs[0] - from >= LONGEST)
		test_note("call %u: from %p, not in %p", which, (void *)report->here.pcs[0],
			  (void *)from);
	CHECK(report->here.depth >= 1);
	CHECK(report->here.pcs[0] - from < LONGEST);
}

static void callers(const char *aids)
{
	const struct mw_cache_want want = { .name = "own", .size = 96 };
	struct mw_cache *cache;
	char *object, *pages;

	NEED(test_heap(HEAP));
	CHECK(mw_debug_set(aids));
	NEED(cache = mw_cache_create(&want));
	NEED(object = mw_alloc(96, 0));
	NEED(pages = mw_pages_alloc(4, 0));
	names_the_caller(0, object + 8, cache, MW_INNER_FREE);
	names_the_caller(1, object, cache, MW_WRONG_SIZE);
	names_the_caller(2, object, cache, MW_WRONG_CACHE);
	names_the_caller(3, object, cache, MW_WRONG_CACHE);
	names_the_caller(4, object + 8, cache, MW_INNER_FREE);
	names_the_caller(5, object + 8, cache, MW_INNER_FREE);
	names_the_caller(6, NULL, cache, MW_BAD_REQUEST);
	names_the_caller(7, object + 8, cache, MW_INNER_FREE);
	names_the_caller(8, pages, cache, MW_WRONG_SIZE);
	names_the_caller(9, pages, cache, MW_WRONG_SIZE);
	names_the_caller(10, NULL, cache, MW_BAD_REQUEST);
	names_the_caller(11, pages, cache, MW_BAD_REGION);
	mw_free(object);
	names_the_caller(0, object, cache, MW_DOUBLE_FREE);
	names_the_caller(0, pages, cache, MW_WRONG_KIND);
	names_the_caller(0, &cache, cache, MW_FOREIGN_FREE);
	mw_pages_free(pages, 4);
	names_the_caller(0, pages, cache, MW_FREED_SPAN);
	names_the_caller(8, pages, cache, MW_DOUBLE_FREE);
	CHECK(mw_cache_destroy(cache));
	names_the_caller(12, NULL, cache, MW_BAD_REQUEST);
	CHECK(mw_debug_set("-"));
}

TEST(caller)
{
	callers("-");
}

TEST(caller_with_debug_aids)
{
	callers("FZPU");
	callers("FZP");
}

/* Another CPU's object, a large one: each by the way of its kind. */
static void *shared[3];

static void free_from_afar(unsigned int i, void *arg)
{
	(void)arg;
	if (!i) {
		shared[0] = mw_alloc(64, 0);
		shared[1] = mw_alloc(40000, 0);
		NEED(shared[0] && shared[1]);
	}
	test_barrier();
	if (i) {
		names_the_caller(0, (char *)shared[0] + 8, NULL, MW_INNER_FREE);
		names_the_caller(0, (char *)shared[1] + 8, NULL, MW_INNER_FREE);
		mw_free(shared[0]);
		mw_free(shared[1]);
		names_the_caller(0, shared[0], NULL, MW_DOUBLE_FREE);
	}
	test_barrier();
}

TEST(caller_on_another_cpu)
{
	NEED(test_heap(HEAP));
	if (test_cpus() < 2)
		test_skip("one CPU");
	test_parallel(2, free_from_afar, NULL);
}
