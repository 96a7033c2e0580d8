// SPDX-License-Identifier: MIT
/* What an overrun can reach: once memory was full, records lie between objects, each run of them behind a guard page. */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/page.h"
#include "../mm/page/up.h"

#define MOST 4096u

static struct mw_span *spans[MOST];

/* All memory has been in use, and is spans of one page now. Return: how many. */
static size_t fill(size_t bytes)
{
	static void *pages[MOST];
	size_t n = 0, made = 0;

	test_heap(bytes);
	while (n < MOST && (pages[n] = mw_pages_alloc(1, MW_ATOMIC)))
		n++;
	NEED(n < MOST);
	while (n)
		mw_pages_free(pages[--n], 1);
	mw_page_cpu_stop();
	CHECK_EQ(stats_now().untouched, 0);
	while (made < MOST && (spans[made] = mw_span_alloc(1, 0, 0)))
		mw_span_publish(spans[made++]);
	NEED(made > 100 && made < MOST);
	CHECK(mw_page_check());
	return made;
}

static void empty(size_t n)
{
	while (n)
		mw_span_free(spans[--n]);
	CHECK(mw_page_check());
}

/* How far the nearest descriptor is from the end of a span, or (@before) from its beginning. */
static size_t nearest(size_t n, bool before)
{
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < n; i++) {
		uintptr_t base = (uintptr_t)spans[i]->base, end = base + PAGE;

		for (size_t j = 0; j < n; j++) {
			uintptr_t at = (uintptr_t)spans[j];

			if (!before && at >= end)
				least = mw_min(least, at - end);
			if (before && at + sizeof(*spans[j]) <= base)
				least = mw_min(least, base - at - sizeof(*spans[j]));
		}
	}
	return least;
}

TEST(no_record_is_within_a_page_of_an_object)
{
	size_t n = fill(4 * MIB);

	CHECK(mw_page.lent > 0);
	CHECK(nearest(n, false) >= PAGE);
	CHECK(nearest(n, true) >= PAGE);
	test_note("%zu spans, records from %zu bytes behind one", n, nearest(n, false));
	empty(n);
}

/* What is beside a span and is none: nothing is free. */
static bool is_guard(const char *at)
{
	unsigned long state = mw_port_pin();
	bool is = mw_region_of(mw_pn(at)) && !mw_span_of(at);

	mw_port_unpin(state);
	return is;
}

static TEST_UNCHECKED char read_at(const char *at)
{
	return *(const volatile char *)at;
}

/* A byte is written that is nobody's. */
static void spoil(char *at)
{
	char before = read_at(at), name[32];
	size_t digits = 0;
	const char *text;

	test_spoil(at, (char)(before ^ 1));
	test_capture();
	CHECK(!mw_page_check());
	text = test_captured();
	CHECK(test_has(text, "GUARD") && test_has(text, "guard.c"));
	/* With the word's address. */
	for (uintptr_t a = (uintptr_t)at & ~(sizeof(long) - 1); digits < 2 * sizeof(a); digits++)
		name[digits] = "0123456789abcdef"[a >> (4 * (2 * sizeof(a) - 1 - digits)) & 15];
	name[digits] = 0;
	for (digits = 0; name[digits] == '0'; digits++)
		;
	CHECK(test_has(text, name + digits));
	test_spoil(at, before);
	CHECK(mw_page_check());
}

TEST(written_guard_pages_are_found)
{
	size_t n = fill(4 * MIB), overruns = 0, underruns = 0;

	for (size_t i = 0; i < n; i++) {
		char *base = spans[i]->base;

		if (is_guard(base + PAGE) && overruns++ < 8) {
			spoil(base + PAGE);
			spoil(base + 2 * PAGE - 1);
		}
		if (is_guard(base - 1) && underruns++ < 8) {
			spoil(base - 1);
			spoil(base - PAGE);
		}
	}
	/* One of them is behind the last page of the heap. */
	CHECK(overruns > 1 && underruns > 0);
	test_note("%zu spans before records, %zu behind", overruns, underruns);
	empty(n);
}

/* Where free memory is in pieces, records have to do with less; there is a guard at both ends still. */
TEST(guards_of_small_runs)
{
	static void *pages[MOST];
	size_t n = 0, made = 0;

	test_heap(4 * MIB);
	while (n < MOST && (pages[n] = mw_pages_alloc(1, MW_ATOMIC)))
		n++;
	/* Three pages of each eight are free. */
	for (size_t i = 0; i < n; i++) {
		if (((uintptr_t)pages[i] / PAGE & 7) < 3) {
			mw_pages_free(pages[i], 1);
			pages[i] = NULL;
		}
	}
	mw_page_cpu_stop();
	while (made < MOST && (spans[made] = mw_span_alloc(1, 0, 0)))
		mw_span_publish(spans[made++]);
	CHECK(made > n / 4);
	CHECK(nearest(made, false) >= PAGE && nearest(made, true) >= PAGE);
	CHECK(mw_page_check());
	empty(made);
	for (size_t i = 0; i < n; i++)
		mw_pages_free(pages[i], 1);
}
