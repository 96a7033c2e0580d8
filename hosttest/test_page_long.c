// SPDX-License-Identifier: MIT
/*
 * Long runs over memory that was never used: how much is done while this CPU is pinned once. Each time it is no
 * longer pinned an interrupt looks how far the heap has come.
 */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/page.h"

/* Of the hosted port. */
__attribute__((weak)) void port_interrupt_set(void (*fn)(void *arg), void *arg);
__attribute__((weak)) void port_interrupt_each(bool on);
__attribute__((weak)) void port_pages_are(bool (*release)(void *page, size_t len),
					  bool (*reclaim)(void *page, size_t len));

#define LENGTH ((size_t)(sizeof(void *) == 8 ? 16384 : 512) * MIB)
/* What a test wants of it, less than a leaf's worth of metadata from the end. */
#define LONG (LENGTH / PAGE / 16 * 15)

static struct {
	struct mw_region *region;
	const mw_atomic_t *bits; /* NULL: the frontier is looked at */
	size_t at, most;
	unsigned long turns;
} seen;

static size_t progress(void)
{
	size_t lo, hi, at = 0, n = seen.region->frontier - mw_region_first(seen.region), count = 0;

	if (!seen.bits)
		return seen.region->frontier;
	while (mw_bits_run(seen.bits, at, n, true, &lo, &hi)) {
		count += hi - lo;
		at = hi;
	}
	return count;
}

static void look(void *arg)
{
	size_t now = progress();

	(void)arg;
	seen.most = mw_max(seen.most, now > seen.at ? now - seen.at : seen.at - now);
	seen.at = now;
	seen.turns++;
}

/* From here on; @bits: of the region, or NULL for its frontier. */
static void begin(const mw_atomic_t *bits)
{
	seen.bits = bits;
	seen.at = progress();
	seen.most = seen.turns = 0;
	port_interrupt_set(look, NULL);
	port_interrupt_each(true);
}

/* Return: pages that it came on at most, between two looks. */
static size_t end(void)
{
	port_interrupt_each(false);
	look(NULL);
	port_interrupt_set(NULL, NULL);
	return seen.most;
}

static char *sparse_heap(bool zeroed)
{
	unsigned long state;
	char *memory;

	test_heap(PAGE * 4);
	memory = test_memory(LENGTH);
	mw_reset();
	NEED((zeroed ? mw_region_add_zeroed : mw_region_add)(memory, (uint64_t)1 << 40, LENGTH));
	state = mw_port_pin();
	seen.region = mw_region_of(mw_pn(memory));
	mw_port_unpin(state);
	NEED(seen.region);
	return memory;
}

static void need_pages_in(size_t moved)
{
	CHECK(moved > 0 && moved <= MW_GROW_MOST && moved <= MW_BITS_ONCE);
	test_note("%zu pages at most, %lu turns", moved, seen.turns);
}

TEST_WITH(a_long_run, TEST_HOSTED)
{
	for (unsigned int zeroed = 0; zeroed < 2; zeroed++) {
		void *run;

		sparse_heap(zeroed);
		begin(NULL);
		run = mw_pages_alloc(LONG, MW_ATOMIC);
		need_pages_in(end());
		NEED(run);
		CHECK(seen.turns > LONG / MW_GROW_MOST);
		if (zeroed)
			begin(seen.region->zero_bits);
		mw_pages_free(run, LONG);
		if (zeroed)
			need_pages_in(end());
		seen.bits = seen.region->zero_bits;
		CHECK(progress() <= seen.region->frontier - mw_region_first(seen.region) - LONG);
	}
}

TEST_WITH(a_long_span, TEST_HOSTED)
{
	struct mw_span *span;

	sparse_heap(true);
	begin(NULL);
	span = mw_span_alloc(LONG, 0, 0);
	need_pages_in(end());
	NEED(span);
	begin(seen.region->zero_bits);
	mw_span_free(span);
	need_pages_in(end());
}

TEST_WITH(a_page_far_up, TEST_HOSTED)
{
	struct mw_pages want = { .count = 3 };
	char *memory = sparse_heap(false);

	want.at = memory + LONG * PAGE;
	begin(NULL);
	CHECK_PTR(mw_pages_alloc_as(&want), want.at);
	need_pages_in(end());
	mw_pages_free(want.at, 3);
}

/* No such place: the heap stays as it is. */
TEST_WITH(places_that_are_none, TEST_HOSTED)
{
	char *memory = sparse_heap(false), *top = memory + LENGTH;
	size_t frontier = seen.region->frontier, ceiling = seen.region->ceiling;
	struct mw_pages want = { .count = 1 };

	for (size_t n = 1; n < 2 * seen.region->own; n++) {
		want.at = top - n * PAGE;
		want.count = 1 + n % 3;
		if (mw_pn(want.at) + want.count > ceiling)
			CHECK(!mw_pages_alloc_as(&want));
	}
	want.at = memory;
	want.count = ceiling - mw_region_first(seen.region) + 1;
	CHECK(!mw_pages_alloc_as(&want));
	want.count = MW_PN_MASK >> 1;
	CHECK(!mw_pages_alloc_as(&want));
	CHECK_EQ(seen.region->frontier, frontier);
}

static bool let_go(void *page, size_t len)
{
	(void)page, (void)len;
	return false;
}

static bool get_back(void *page, size_t len)
{
	(void)page, (void)len;
	return true;
}

/* The scavenger looks for what is not released yet, and a request asks all of it back. */
TEST_WITH(a_long_run_is_released, TEST_HOSTED)
{
	void *run;

	sparse_heap(false);
	port_pages_are(let_go, get_back);
	run = mw_pages_alloc(LONG, MW_ATOMIC);
	NEED(run);
	mw_pages_free(run, LONG);
	CHECK(mw_scavenge(0, SIZE_MAX) >= LONG * PAGE);
	begin(NULL);
	CHECK_EQ(mw_scavenge(0, SIZE_MAX), 0);
	(void)end();
	/* A turn for each piece that was looked through. */
	CHECK(seen.turns >= LONG / MW_BITS_ONCE);
	begin(seen.region->released_bits);
	run = mw_pages_alloc(LONG, MW_ATOMIC);
	need_pages_in(end());
	NEED(run);
	mw_pages_free(run, LONG);
	port_pages_are(NULL, NULL);
}
