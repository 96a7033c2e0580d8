// SPDX-License-Identifier: MIT
/*
 * Typed pointers that lead nowhere: each way to nowhere is reported, and what is none is passed by.
 */
#include "gc_lists.h"
#include <marrow/watch.h>

#if MW_GC

/* The second node of a list points there. Return: what is reported; NULL: nothing is. */
static const struct mw_report *report_of(const void *value, bool bad)
{
	const struct mw_report *report = NULL;

	root[0]->next->other = (struct node *)value;
	mw_gc_debug(MW_GC_DEBUG_POINTERS, 0);
	if (bad)
		test_expect_misuse(MW_BAD_POINTER);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	if (bad)
		report = test_misuse_came();
	mw_gc_debug(0, 0);
	root[0]->next->other = NULL;
	return report;
}

static void check_bad(const void *value, const char *words)
{
	const struct mw_report *report = report_of(value, true);

	NEED(report && report->text);
	CHECK_PTR(report->object, root[0]->next);
	CHECK_PTR(report->address, value);
	CHECK_EQ(report->given, offsetof(struct node, other));
	CHECK(test_has(report->text, words));
}

static void begin(void)
{
	setup(32 << 20);
	test_own_roots(true);
	keep_list(0, 5);
}

static void end(void)
{
	root[0] = NULL;
	CHECK(mw_gc_root_remove(root));
}

TEST(a_small_number)
{
	begin();
	check_bad((void *)1, "a small number");
	check_bad((void *)(MW_PAGE_SIZE - 8), "a small number");
	(void)report_of(NULL, false);
	end();
}

TEST(pages_that_nobody_has)
{
	struct mw_region_stats region;
	unsigned int untouched = 0;
	char *pages, *large;

	begin();
	NEED(pages = mw_pages_alloc(400, MW_NORMAL));
	pages += 300 * MW_PAGE_SIZE; /* the second mark takes some of what is free, from the front */
	(void)report_of(pages, false); /* raw pages in use are the kernel's */
	mw_pages_free(pages - 300 * MW_PAGE_SIZE, 400);
	check_bad(pages, "in free pages");
	NEED(large = mw_alloc(3 << 20, MW_NORMAL));
	mw_free(large);
	check_bad(large + (2 << 20), "");
	for (size_t i = 0; mw_region_stats(i, &region); i++) {
		size_t page = region.used + region.free + region.untouched / 2;

		if (region.untouched < 100)
			continue;
		check_bad((char *)region.base + page * MW_PAGE_SIZE, "never handed out");
		untouched++;
	}
	CHECK(untouched);
	end();
}

static void nothing(void *object, void *arg)
{
	(void)object, (void)arg;
}

/*
 * What the object holds is shown with its records locked, too: whether a page is free is not to be
 * asked there.
 */
TEST(with_a_record)
{
	char *pages;

	begin();
	NEED(mw_finalizer_set(root[0]->next, nothing, NULL));
	NEED(pages = mw_pages_alloc(400, MW_NORMAL));
	mw_pages_free(pages, 400);
	check_bad(pages + 300 * MW_PAGE_SIZE, "in free pages");
	CHECK(mw_finalizer_clear(root[0]->next));
	end();
}

TEST(freed_and_behind)
{
	struct mw_place place;
	char *large, *small;

	begin();
	NEED(small = mw_alloc(1000, MW_NORMAL));
	(void)report_of(small + 500, false);
	mw_free(small);
	check_bad(small + 500, "no object");
	NEED(large = mw_alloc(100001, MW_COLLECTED));
	NEED(mw_lookup(large, &place));
	root[1] = (struct node *)large;
	(void)report_of(large + place.size - 8, false);
	root[1] = NULL;
	end();
}

/* What is not the heap's may be anything. */
TEST(not_ours)
{
	static int here;

	begin();
	(void)report_of(&here, false);
	(void)report_of((void *)((uintptr_t)0 - 4096), false);
	end();
}

#endif
