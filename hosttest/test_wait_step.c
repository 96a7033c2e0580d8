// SPDX-License-Identifier: MIT
/*
 * Calls that wait for another thread, where priorities are strict: the thread that waits keeps the other one from
 * running until it yields. The other one is left at instructions all over what is waited for.
 */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/up.h"

#define MOST 16384u /* instructions that are tried */

/* Of the hosted port; without roots a collection is short. */
extern __attribute__((weak)) bool port_strict, port_shows_roots;

static struct {
	char *region;
	struct mw_shrinker shrinker;
	unsigned long removals;
	bool done;
} waits;

/* Each @every-th instruction is enough: what is waited for takes thousands. */
static void each(void (*a)(void *arg), void (*b)(void *arg), unsigned int every)
{
	unsigned long at = 0, tries = 0;
	bool more;

	port_strict = true;
	port_shows_roots = false;
	do {
		waits.done = false;
		more = test_step(a, b, NULL, at);
		NEED(waits.done);
		at += at < 2 ? 1 : every;
		tries++;
	} while (more && at < MOST);
	port_strict = false;
	port_shows_roots = true;
	CHECK(tries > 20);
	test_note("%lu moments", tries);
}

static size_t shrink_in_vain(struct mw_shrinker *self, size_t pages)
{
	(void)self, (void)pages;
	return 0;
}

/* The last that is tried when memory is out. */
static void ask(void *arg)
{
	unsigned int step = MW_RECLAIM_SHRINK;

	(void)arg;
	CHECK(!mw_page_reclaim(1, 1, MW_NORMAL, &step));
	waits.done = true;
}

TEST_WITH(for_who_asks_shrinkers, TEST_HOSTED)
{
	test_heap(8 * MIB);
	waits.shrinker.shrink = shrink_in_vain;
	mw_shrinker_add(&waits.shrinker);
	each(ask, ask, 3);
	CHECK(mw_shrinker_remove(&waits.shrinker));
}

static void scavenge(void *arg)
{
	(void)arg;
	(void)mw_scavenge(0, SIZE_MAX);
}

/* A page of it may be on its way from a stock to the heap. */
static void remove_region(void *arg)
{
	(void)arg;
	waits.done = true;
	if (!mw_region_remove(waits.region))
		return;
	waits.removals++;
	CHECK(mw_region_add(waits.region, 512 * MIB, 2 * MIB));
}

TEST_WITH(for_who_scavenges, TEST_HOSTED)
{
	test_heap(64 * MIB);
	waits.region = test_memory(2 * MIB);
	NEED(mw_region_add(waits.region, 512 * MIB, 2 * MIB));
	waits.removals = 0;
	each(scavenge, remove_region, 61);
	CHECK(waits.removals > 10);
	CHECK(mw_region_remove(waits.region));
}

static void take_all(void *arg)
{
	size_t n = *(size_t *)arg;
	void *pages = mw_pages_alloc(n, MW_NORMAL);

	CHECK(pages);
	mw_pages_free(pages, n);
	waits.done = true;
}

static size_t most;

static void take_most(void *arg)
{
	(void)arg;
	take_all(&most);
}

TEST_WITH(for_what_is_scavenged, TEST_HOSTED)
{
	test_heap(4 * MIB);
	most = 3 * MIB / PAGE;
	each(scavenge, take_most, 61);
}

#if MW_GC
static void collect(void *arg)
{
	(void)arg;
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	waits.done = true;
}

TEST_WITH(for_who_collects, TEST_HOSTED)
{
	test_heap(8 * MIB);
	each(collect, collect, 61);
}
#endif
