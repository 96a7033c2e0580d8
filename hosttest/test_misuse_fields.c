// SPDX-License-Identifier: MIT
/*
 * Every field of a report, whatever was done wrong and by which call: what applies is told, and
 * nothing else.
 */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define PAGE MW_PAGE_SIZE
#define CODE 800 /* more bytes than what does it has */

/* Two caches, each with an object; one of a size class, a large one, and a run of pages. */
static struct {
	struct mw_cache *left, *right;
	char *of_left, *of_right, *small, *large, *pages, *gone, *gone_large, *tail;
} us;

static void begin(void)
{
	static const struct mw_cache_want left = { .name = "left", .size = 100 },
					  right = { .name = "right", .size = 60 };

	test_heap(16 << 20);
	NEED((us.left = mw_cache_create(&left)) && (us.right = mw_cache_create(&right)));
	NEED(us.of_left = mw_cache_alloc(us.left, 0));
	NEED(us.of_right = mw_cache_alloc(us.right, 0));
	NEED(us.small = mw_alloc(200, 0));
	NEED(us.gone = mw_alloc(200, 0));
	NEED(us.large = mw_alloc(100000, 0));
	NEED(us.gone_large = mw_alloc(150000, 0));
	NEED(us.pages = mw_pages_alloc(5, 0));
	mw_free(us.gone);
	mw_free(us.gone_large);
	us.tail = (char *)mw_span_of(us.small)->base +
		  mw_span_of(us.small)->count * mw_span_of(us.small)->stride;
}

static void end(void)
{
	mw_cache_free(us.left, us.of_left);
	mw_cache_free(us.right, us.of_right);
	mw_free(us.small);
	mw_free(us.large);
	mw_pages_free(us.pages, 5);
	CHECK(mw_cache_destroy(us.left) && mw_cache_destroy(us.right));
	CHECK(mw_heap_check());
}

/* ---- what is done wrong ---- */

/* Not its last deed, so that the call returns to it. */
#define WRONG(name_, statement_)                                                                   \
	static __attribute__((noinline)) void name_(void)                                          \
	{                                                                                          \
		statement_;                                                                        \
		__asm__ volatile("");                                                              \
	}

WRONG(free_twice, mw_free(us.gone))
WRONG(free_large_twice, mw_free(us.gone_large))
WRONG(free_inside, mw_free(us.small + 24))
WRONG(free_inside_large, mw_free(us.large + 5000))
WRONG(free_tail, mw_free(us.tail))
WRONG(free_pages, mw_free(us.pages))
WRONG(free_foreign, mw_free(&us))
WRONG(sized_wrong, mw_free_sized(us.small, 500))
WRONG(sized_large_wrong, mw_free_sized(us.large, 300000))
WRONG(sized_typed_wrong, mw_free_sized(us.of_left, 700))
WRONG(cache_wrong, mw_cache_free(us.right, us.of_left))
WRONG(cache_of_class, mw_cache_free(us.left, us.small))
WRONG(cache_of_large, mw_cache_free(us.left, us.large))
WRONG(cache_twice, mw_cache_free(NULL, us.gone))
WRONG(resize_gone, NEED(!mw_realloc(us.gone, 300, 0)))
WRONG(resize_inside, NEED(!mw_realloc(us.small + 8, 300, 0)))
WRONG(resize_to_nothing, (void)mw_realloc(us.gone, 0, 0))
WRONG(pages_short, mw_pages_free(us.pages, 4))
WRONG(pages_inside, mw_pages_free(us.pages + PAGE, 4))
WRONG(pages_of_objects, mw_pages_free((void *)mw_span_of(us.small)->base, 1))
WRONG(stack_wrong, mw_stack_free(us.pages, 3))
WRONG(destroy_live, NEED(!mw_cache_destroy(us.left)))
WRONG(ask_wrong_align, NEED(!mw_pages_alloc_as(&(struct mw_pages){ .count = 3, .align = 3 * PAGE })))

struct wrong {
	const char *name;
	void (*does)(void);
	struct mw_report is; /* @span: NULL: of the object */
};

static bool same(const char *a, const char *b)
{
	while (a && b && *a && *a == *b)
		a++, b++;
	return a == b || (a && b && *a == *b);
}

/* What is not said of @wrong must not be in the report. */
static void check_report(const struct wrong *wrong, const struct mw_report *r)
{
	const struct mw_report *is = &wrong->is;
	uintptr_t site = (uintptr_t)wrong->does;
	bool ok = r->what == is->what && r->address == is->address && r->object == is->object &&
		  r->size == is->size && r->given == is->given && r->span == is->span &&
		  r->span_pages == is->span_pages && same(r->cache, is->cache) &&
		  same(r->given_cache, is->given_cache) && r->text && !r->allocated && !r->freed &&
		  r->here.depth && r->here.pcs[0] >= site && r->here.pcs[0] < site + CODE &&
		  r->here.when && r->here.cpu == mw_port_cpu();

	if (!ok)
		test_note("%s: %s, %p of %p, size %zu, given %zu, span %p with %zu, %s, %s, from "
			  "%p not %p",
			  wrong->name, mw_misuse_name(r->what), r->address, r->object, r->size,
			  r->given, r->span, r->span_pages, r->cache ? r->cache : "none",
			  r->given_cache ? r->given_cache : "none", (void *)r->here.pcs[0],
			  (void *)site);
	CHECK(ok);
}

static void check(const char *name, void (*does)(void), struct mw_report is)
{
	struct wrong wrong = { name, does, is };
	const struct mw_span *span = is.object ? mw_span_of(is.object) : NULL;

	if (span && !is.span) {
		wrong.is.span = (void *)mw_round_down((uintptr_t)span->base, PAGE);
		wrong.is.span_pages = span->pages;
	}
	test_expect_misuse(is.what);
	does();
	check_report(&wrong, test_misuse_came());
}

#define WHEN(does_, ...) check(#does_, does_, (struct mw_report){ __VA_ARGS__ })

TEST(frees_of_what_is_no_object)
{
	size_t size;

	begin();
	size = mw_size_roundup(200);
	WHEN(free_twice, .what = MW_DOUBLE_FREE, .address = us.gone, .object = us.gone,
	     .size = size, .cache = "alloc-208");
	WHEN(cache_twice, .what = MW_DOUBLE_FREE, .address = us.gone, .object = us.gone,
	     .size = size, .cache = "alloc-208");
	WHEN(resize_gone, .what = MW_DOUBLE_FREE, .address = us.gone, .object = us.gone,
	     .size = size, .cache = "alloc-208");
	WHEN(resize_to_nothing, .what = MW_DOUBLE_FREE, .address = us.gone, .object = us.gone,
	     .size = size, .cache = "alloc-208");
	WHEN(free_inside, .what = MW_INNER_FREE, .address = us.small + 24, .object = us.small,
	     .size = size, .cache = "alloc-208");
	WHEN(resize_inside, .what = MW_INNER_FREE, .address = us.small + 8, .object = us.small,
	     .size = size, .cache = "alloc-208");
	WHEN(free_large_twice, .what = MW_DOUBLE_FREE, .address = us.gone_large,
	     .object = us.gone_large, .size = mw_size_roundup(150000), .cache = "large");
	WHEN(free_inside_large, .what = MW_INNER_FREE, .address = us.large + 5000,
	     .object = us.large, .size = mw_size_roundup(100000), .cache = "large");
	if (us.tail < mw_span_of(us.small)->base + mw_span_of(us.small)->pages * PAGE)
		WHEN(free_tail, .what = MW_FOREIGN_FREE, .address = us.tail, .size = size,
		     .span = mw_span_of(us.small)->base, .span_pages = mw_span_of(us.small)->pages,
		     .cache = "alloc-208");
	WHEN(free_pages, .what = MW_WRONG_KIND, .address = us.pages, .object = us.pages,
	     .size = 5 * PAGE, .span = us.pages, .span_pages = 5);
	WHEN(free_foreign, .what = MW_FOREIGN_FREE, .address = &us);
	end();
}

TEST(frees_that_say_something_wrong)
{
	size_t size, large;

	begin();
	size = mw_size_roundup(200);
	large = mw_size_roundup(100000);
	WHEN(sized_wrong, .what = MW_WRONG_SIZE, .address = us.small, .object = us.small,
	     .size = size, .given = 500, .cache = "alloc-208");
	WHEN(sized_large_wrong, .what = MW_WRONG_SIZE, .address = us.large, .object = us.large,
	     .size = large, .given = 300000, .cache = "large");
	WHEN(sized_typed_wrong, .what = MW_WRONG_SIZE, .address = us.of_left, .object = us.of_left,
	     .size = mw_usable_size(us.of_left), .given = 700, .cache = "left");
	WHEN(cache_wrong, .what = MW_WRONG_CACHE, .address = us.of_left, .object = us.of_left,
	     .size = mw_usable_size(us.of_left), .cache = "left", .given_cache = "right");
	WHEN(cache_of_class, .what = MW_WRONG_CACHE, .address = us.small, .object = us.small,
	     .size = size, .cache = "alloc-208", .given_cache = "left");
	WHEN(cache_of_large, .what = MW_WRONG_CACHE, .address = us.large, .object = us.large,
	     .size = large, .cache = "large", .given_cache = "left");
	end();
}

TEST(pages_and_caches)
{
	begin();
	WHEN(pages_short, .what = MW_WRONG_SIZE, .address = us.pages, .object = us.pages,
	     .size = 5 * PAGE, .given = 4, .span = us.pages, .span_pages = 5);
	WHEN(stack_wrong, .what = MW_WRONG_SIZE, .address = us.pages, .object = us.pages,
	     .size = 5 * PAGE, .given = 8, .span = us.pages, .span_pages = 5);
	WHEN(pages_inside, .what = MW_INNER_FREE, .address = us.pages + PAGE, .object = us.pages,
	     .size = 5 * PAGE, .given = 4, .span = us.pages, .span_pages = 5);
	WHEN(pages_of_objects, .what = MW_WRONG_KIND, .address = mw_span_of(us.small)->base,
	     .given = 1);
	WHEN(destroy_live, .what = MW_CACHE_LIVE, .address = us.of_left, .object = us.of_left,
	     .given = 1, .size = mw_usable_size(us.of_left), .cache = "left");
	WHEN(ask_wrong_align, .what = MW_BAD_REQUEST, .given = 3);
	end();
}
