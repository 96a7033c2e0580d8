// SPDX-License-Identifier: MIT
/* Frees of addresses that are in no object: the report says what is there now, of pages and of objects. */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/page.h"

/* How @address is reported when it is freed as @count pages, and (0) as an object. */
static const struct mw_report *freed(char *address, size_t count, enum mw_misuse what,
				     const char *part)
{
	const struct mw_report *report;

	test_expect_misuse(what);
	if (count)
		mw_pages_free(address, count);
	else
		mw_free(address);
	report = test_misuse_came();
	CHECK(report->text && test_has(report->text, part));
	CHECK_PTR(report->address, address);
	return report;
}

static void is_run(const struct mw_report *report, const char *first, size_t n)
{
	CHECK_PTR(report->span, first);
	CHECK_EQ(report->span_pages, n);
}

TEST(inside_a_run)
{
	static const size_t lengths[] = { 2, 4, 9, 100, 700 };

	test_heap(16 * MIB);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = lengths[i];
		char *run = mw_pages_alloc(n, 0);

		NEED(run);
		for (size_t at = 0; at < n; at += 1 + n / 7) {
			char *inner = run + at * PAGE + (at ? 0 : 16);

			is_run(freed(inner, 1, MW_INNER_FREE, "inside a run"), run, n);
			is_run(freed(inner, n, MW_INNER_FREE, "inside a run"), run, n);
			is_run(freed(inner, 0, MW_WRONG_KIND, "run of pages"), run, n);
		}
		is_run(freed(run, n + 1, MW_WRONG_SIZE, "another count"), run, n);
		is_run(freed(run, 0, MW_WRONG_KIND, "run of pages"), run, n);
		mw_pages_free(run, n);
	}
}

/* However far away its first page is. */
TEST_WITH(inside_a_very_long_run, TEST_HOSTED)
{
	size_t n = (size_t)(sizeof(void *) == 8 ? 6144 : 512) * MIB / PAGE;
	char *run;

	(void)own_heap(n * PAGE / 4 * 5, (uint64_t)1 << 40);
	run = mw_pages_alloc(n, 0);
	NEED(run);
	is_run(freed(run + (n - 1) * PAGE, 1, MW_INNER_FREE, "inside a run"), run, n);
	mw_pages_free(run, n);
}

TEST(free_pages_of_all_kinds)
{
	char *run, *page, *behind;

	test_heap(16 * MIB);
	run = mw_pages_alloc(9, 0);
	behind = mw_pages_alloc(9, 0);
	page = mw_pages_alloc(1, 0);
	NEED(run && behind && page);
	mw_pages_free(run, 9);
	for (size_t at = 0; at < 9; at++) {
		is_run(freed(run + at * PAGE, 9, MW_DOUBLE_FREE, "free pages"), run, 9);
		is_run(freed(run + at * PAGE, 0, MW_FREED_SPAN, "free pages"), run, 9);
	}
	mw_pages_free(page, 1);
	is_run(freed(page, 1, MW_DOUBLE_FREE, "that a CPU keeps"), page, 1);
	is_run(freed(page, 0, MW_FREED_SPAN, "that a CPU keeps"), page, 1);
	mw_pages_free(behind, 9);
}

TEST(what_was_never_handed_out)
{
	char *base = own_heap(16 * MIB, (uint64_t)1 << 30), *end = base + 16 * MIB;
	char *page = mw_pages_alloc(1, 0);

	NEED(page);
	for (char *at = page + 8 * MIB; at < page + 9 * MIB; at += 77 * PAGE) {
		freed(at, 1, MW_FOREIGN_FREE, "never handed out");
		freed(at, 0, MW_FOREIGN_FREE, "never handed out");
	}
	for (size_t n = 1; n <= 2; n++) {
		freed(end - n * PAGE, 1, MW_FOREIGN_FREE, "own records");
		freed(end - n * PAGE, 0, MW_FOREIGN_FREE, "own records");
	}
	freed(end, 1, MW_FOREIGN_FREE, "no region");
	freed(end, 0, MW_FOREIGN_FREE, "no region");
	freed(base - PAGE, 1, MW_FOREIGN_FREE, "no region");
	freed((char *)PAGE + 8, 0, MW_FOREIGN_FREE, "no region");
	freed((char *)UINTPTR_MAX - 7, 0, MW_FOREIGN_FREE, "no region");
	mw_pages_free(page, 1);
}

TEST(objects_freed_as_pages)
{
	char *object, *large;

	test_heap(16 * MIB);
	object = mw_alloc(64, 0);
	large = mw_alloc(20 * PAGE, 0);
	NEED(object && large);
	freed((char *)((uintptr_t)object & ~(uintptr_t)(PAGE - 1)), 1, MW_WRONG_KIND, "objects");
	freed(large + 3 * PAGE, 17, MW_WRONG_KIND, "objects");
	mw_free(object);
	mw_free(large);
}
