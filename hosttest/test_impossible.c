// SPDX-License-Identifier: MIT
/* Requests that no machine, or not this one, could ever meet: nobody is stopped, swept or asked for them. */
#include <marrow/watch.h>
#include <marrow/gc.h>
#include "page_heap.h"
#include "../mm/gc/gc.h"
#include "../mm/object/object.h"

#define HEAP (64 * MIB)
#define HUGE (SIZE_MAX / 16 * 7)

static unsigned long asked;

static size_t ask(struct mw_shrinker *self, size_t pages)
{
	(void)self, (void)pages;
	asked++;
	return 0;
}

static struct {
	unsigned long turns, cycles, asked;
} before;

static struct mw_shrinker shrinker;

static unsigned long cycles(void)
{
#if MW_GC
	return mw_word(&mw_gc.cycles);
#else
	return 0;
#endif
}

/* Nothing of it is below 16 MiB. */
static void begin(void)
{
	(void)own_heap(HEAP, (uint64_t)1 << 30);
	shrinker = (struct mw_shrinker){ .shrink = ask };
	mw_shrinker_add(&shrinker);
	/* Something that could be collected and drained. */
	for (size_t i = 0; i < 1000; i++)
		(void)mw_alloc(512, MW_COLLECTED);
	before.turns = mw_object.last_turn;
	before.cycles = cycles();
	before.asked = asked;
}

static bool nothing_was_tried(void)
{
	return mw_object.last_turn == before.turns && cycles() == before.cycles &&
	       asked == before.asked;
}

static void end(void)
{
	CHECK(nothing_was_tried());
	mw_shrinker_remove(&shrinker);
	test_heap_may_leak();
}

TEST(pages_that_cannot_be)
{
	struct mw_region_stats region;
	struct mw_pages want = { .count = HEAP / PAGE };
	size_t off;

	begin();
	NEED(mw_region_stats(0, &region));
	off = (uintptr_t)region.base & (64 * MIB - 1);
	CHECK(!mw_pages_alloc(HEAP / PAGE, 0));
	CHECK(!mw_pages_alloc(HUGE / PAGE, 0));
	CHECK(!mw_stack_alloc(30 - MW_PAGE_SHIFT, 0));
	CHECK(!mw_pages_alloc_as(&want));
	/* Records are there, and will be. */
	want.at = (char *)region.base + (region.pages - 1) * PAGE;
	want.count = 1;
	CHECK(!mw_pages_alloc_as(&want));
	want.at = (char *)region.base + (region.pages - 8) * PAGE;
	want.count = 16;
	CHECK(!mw_pages_alloc_as(&want));
	/* Nothing is so aligned, or so low. */
	want = (struct mw_pages){ .count = 40 * MIB / PAGE, .align = 64 * MIB };
	if (off && off < want.count * PAGE)
		CHECK(!mw_pages_alloc_as(&want));
	want = (struct mw_pages){ .count = 8, .boundary = 4 * PAGE };
	CHECK(!mw_pages_alloc_as(&want));
	CHECK(!mw_pages_alloc(1, MW_BELOW_16M));
	end();
}

TEST(objects_that_cannot_be)
{
	static const mw_flags_t flags[] = { 0, MW_ZERO, MW_POINTERS, MW_COLLECTED, MW_NOSCAN };
	char *object, *small;

	begin();
	object = mw_alloc(MIB, 0);
	small = mw_alloc(100, 0);
	NEED(object && small);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		CHECK(!mw_alloc(HEAP, flags[i]));
		CHECK(!mw_alloc(HUGE, flags[i]));
		CHECK(!mw_alloc_aligned(HEAP, MIB, flags[i]));
		CHECK(!mw_alloc_array(HEAP / 64, 64, flags[i]));
	}
	CHECK(!mw_realloc(object, HEAP, 0));
	CHECK(!mw_realloc(small, HUGE, MW_ZERO));
	CHECK(!mw_realloc_array(object, HEAP / 8, 8, 0));
	mw_free(object);
	mw_free(small);
	end();
}

TEST(caches_that_cannot_be)
{
	struct mw_cache_want want = { .name = "low", .size = 200, .flags = MW_BELOW_16M };
	struct mw_cache *cache;

	begin();
	cache = mw_cache_create(&want);
	NEED(cache);
	CHECK(!mw_cache_alloc(cache, 0));
	end();
	CHECK(mw_cache_destroy(cache));
}

/* A part is set aside, and nobody without the flag gets it, whatever is given back. */
TEST(the_reserve_cannot_be)
{
	struct mw_page_stats stats;

	begin();
	CHECK(mw_reserve(16 * MIB));
	mw_page_stats(&stats);
	CHECK(!mw_pages_alloc(50 * MIB / PAGE, 0));
	CHECK(!mw_alloc(50 * MIB, 0));
	CHECK(!mw_reserve(HUGE));
	CHECK_EQ(stats.reserve, 16 * MIB / PAGE);
	asked = before.asked; /* a reserve has to ask: it need not be one run */
	CHECK(mw_reserve(0));
	end();
}

/* Raw pages come back from shrinkers only: those are asked, and nobody else is bothered. */
TEST(raw_pages_are_in_the_way)
{
	void *raw;

	begin();
	raw = mw_pages_alloc(40 * MIB / PAGE, 0);
	NEED(raw);
	CHECK(!mw_pages_alloc(40 * MIB / PAGE, 0));
	CHECK(!mw_alloc(40 * MIB, 0));
	CHECK_EQ(asked, before.asked + 2);
	asked = before.asked;
	mw_pages_free(raw, 40 * MIB / PAGE);
	end();
}

static void *keep[100];

/* Drains are tried, as any object may be one that a CPU keeps; a cycle could bring a tenth of it. */
TEST(more_than_is_collected)
{
	begin();
	for (size_t i = 0; i < 50; i++)
		keep[i] = mw_alloc(MIB, 0);
	for (size_t i = 50; i < 54; i++)
		keep[i] = mw_alloc(MIB, MW_COLLECTED);
	before.cycles = cycles();
	CHECK(!mw_pages_alloc(40 * MIB / PAGE, 0));
	CHECK(!mw_alloc(40 * MIB, 0));
	CHECK_EQ(cycles(), before.cycles);
	for (size_t i = 0; i < 50; i++)
		mw_free(keep[i]);
	before.turns = mw_object.last_turn;
	asked = before.asked;
	end();
}

#if MW_GC
/* And where it may help it is run. */
TEST(as_much_as_is_collected)
{
	struct mw_gc_policy policy;
	void *run;

	begin();
	mw_gc_policy_get(&policy);
	policy.percent = MW_GC_OFF;
	mw_gc_policy_set(&policy);
	for (size_t i = 0; i < 50; i++)
		CHECK(mw_alloc(MIB, MW_COLLECTED) != NULL);
	before.cycles = cycles();
	run = mw_pages_alloc(30 * MIB / PAGE, 0);
	/* Words that look like pointers may keep one in the midst of it. */
	CHECK(cycles() > before.cycles);
	mw_pages_free(run, 30 * MIB / PAGE);
	before.cycles = cycles();
	before.turns = mw_object.last_turn;
	asked = before.asked;
	end();
}
#endif
