// SPDX-License-Identifier: MIT
/*
 * Whole scenarios with the k-th request failing, for every k until nothing fails any more: requests of
 * Marrow, and what it takes for itself, pages, records, the growth of a region. Then with all that follow
 * failing too.
 *
 * Whatever failed: a call says so, nothing crashes, the heap's checkers find nothing, the scenario goes
 * through when run again, and afterwards as many pages, objects and records are in use as if nothing
 * had ever failed.
 */
#include "fault_scenarios.h"
#include "../mm/special/special.h"
#include "../mm/page/page.h"

#define MOST 1500 /* requests of a scenario */

/* The thread sanitizer takes ten times as long and has little to say of one CPU. */
#if defined(__SANITIZE_THREAD__)
#define STEP 7
#else
#define STEP 1
#endif

static uintptr_t hidden; /* the heap's memory, complemented: its first byte may be an object's */

/* ---- the sweep over k ---- */

struct scenario {
	const char *name;
	bool (*run)(void);
	bool collects; /* what it leaves is the collector's to free */
};

struct counts {
	size_t raw, spans, objects, records;
};

static size_t in_use(const struct mw_fixed *fixed)
{
	return atomic_load_explicit(&((struct mw_fixed *)fixed)->in_use, memory_order_relaxed);
}

static struct counts count(void)
{
	struct mw_page_stats page;
	struct mw_span_cursor cursor = { 0 };
	struct counts now = { 0 };
	struct mw_span *span;

	mw_page_stats(&page);
	now.raw = page.raw;
	now.spans = page.objects;
	while ((span = mw_span_next(&cursor)))
		now.objects += mw_span_live_count(span);
	now.records = in_use(&mw_object.slots) + in_use(&mw_object.caches) - mw_caches_buried();
	for (size_t i = 0; i < MW_LEN(mw_object.bitmaps); i++)
		now.records += in_use(&mw_object.bitmaps[i]);
#if MW_GC
	now.records += in_use(&mw_gc.root_records) + in_use(&mw_gc.pin_records) +
		       in_use(&mw_gc.array_records) + in_use(&mw_special.entries);
	for (size_t i = 0; i < MW_NR_RECORDS; i++)
		now.records += in_use(&mw_special.pool[i]);
#endif
	return now;
}

/* What is dead goes, and what is kept for later is given back. */
static NOINLINE void settle(bool collects)
{
#if MW_GC
	test_own_roots(true);
	while (collects) {
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
		/* An object with a finalizer keeps what it points to until then: a list goes one by one. */
		collects = mw_finalizers_run(SIZE_MAX);
	}
	test_own_roots(false);
#endif
	(void)collects;
	mw_cpu_stop();
	(void)mw_up_reclaim(0, MW_ATOMIC, 0);
}

static void begin(void)
{
	mw_reset();
	NEED(mw_region_add((char *)~hidden, (uint64_t)1 << 32, 4 * MIB));
#if MW_GC
	for (size_t i = 0; i < 16; i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + 8, NULL));
#endif
}

/* Run it, and once more without a fault. Return: requests that failed. */
static NOINLINE unsigned long run_twice(const struct scenario *s, const struct mw_fail *fail,
					struct counts *after)
{
	unsigned long failed = 0;
	bool ok;

	begin();
	if (fail)
		(void)mw_fail_set(fail);
	ok = s->run();
	if (fail)
		failed = mw_fail_set(NULL);
	CHECK(ok || failed);
	settle(s->collects);
	CHECK(mw_page_check());
	CHECK(s->run());
	settle(s->collects);
	*after = count();
	return failed;
}

/* Return: requests of the scenario, each @step-th of which failed once; 0: a test of it failed. */
static unsigned long sweep(const struct scenario *s, struct mw_fail fail, unsigned long step)
{
	struct counts clean, after;
	(void)run_twice(s, NULL, &clean);
	for (fail.after = 1; fail.after < MOST; fail.after += step) {
		bool all = !run_twice(s, &fail, &after);

		CHECK_EQ(after.raw, clean.raw);
		CHECK_EQ(after.spans, clean.spans);
		CHECK_EQ(after.objects, clean.objects);
		if (!test_check(after.records == clean.records, __FILE__, __LINE__,
				"%s, request %lu: %zu records, not %zu", s->name, fail.after,
				after.records, clean.records))
			return 0;
		if (all)
			return fail.after - 1;
	}
	CHECK(fail.after < MOST);
	return 0;
}

/*
 * Each request, but for where a collection takes long: on one CPU of the kernel, and in three hosted
 * builds, all of them are swept.
 */
static unsigned long step_of(const struct scenario *s)
{
	return !__STDC_HOSTED__ && s->collects && test_cpus() > 1 ? 17 : STEP;
}

static void sweep_all(const struct scenario *s)
{
	unsigned long one, all, step = step_of(s);

	test_heap(4 * PAGE);
	hidden = ~(uintptr_t)test_memory(4 * MIB);
	more = test_memory(2 * MIB);
	root = test_memory(PAGE);
	one = sweep(s, (struct mw_fail){ .pages = true, .own = true }, step);
	all = sweep(s, (struct mw_fail){ .pages = true, .own = true, .every = 1 }, 3 * step);
	test_note("%s: one in %lu of %lu requests failed; and with all after it, up to %lu",
		  s->name, step, one, all);
	CHECK(one > 2);
}

#define SWEEP(name_, collects_)                                                                    \
	TEST(faults_in_##name_)                                                                    \
	{                                                                                          \
		sweep_all(&(const struct scenario){ #name_, name_, collects_ });                   \
	}

SWEEP(objects, false)
SWEEP(caches, false)
SWEEP(pages, false)
SWEEP(regions, false)
SWEEP(aided, false)
#if MW_GC
SWEEP(collected, true)
SWEEP(specials, true)
#endif
#if MW_WATCH
SWEEP(watched, MW_GC)
#endif
#if MW_GC && MW_PORT_LEVEL >= 2
SWEEP(held_back, false)
#endif
