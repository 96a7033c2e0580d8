// SPDX-License-Identifier: MIT
/* Each storm for a moment, with everything that can happen to a heap. */
#include <marrow/gc.h>
#include "fs/fs.h"
#include "storm.h"
#include "test.h"
#include "text.h"
#include "thread.h"

#define HEAP ((size_t)48 << 20)
#define EXTRA ((size_t)4 << 20)
#define MOMENT_NS 200000000ul
#define PATIENCE_NS 20000000000ul

static void run(const struct storm *storm)
{
	struct storm_want want = { .ns = MOMENT_NS, .seed = test_random(), .chaos = true };
	struct storm_result result;

	/* Never so short that Marrow's own records are in what is to be taken away again. */
	test_heap(HEAP / 4 * mw_max(test_cpus(), 4));
	stop_set_limit(PATIENCE_NS);
	want.extra = test_memory(EXTRA);
	want.extra_phys = want.extra ? arch_phys(want.extra) : 0;
	want.extra_len = EXTRA;
	NEED(test_workers(true));
	CHECK(storm_run(storm, &want, &result));
	CHECK(result.steps > 0);
	test_note("%lu steps, %lu allocations, %lu of them failed on purpose, %lu cycles",
		  result.steps, result.allocs, result.failed, result.cycles);
	CHECK_EQ(mw_phys(want.extra), UINT64_MAX);
	if (result.wrong)
		storm_print(storm, &result);
	test_workers(false);
}

#if MW_GC

static bool nothing_to_begin(const struct storm_want *want)
{
	(void)want;
	return true;
}

static void nothing_to_end(void)
{
}

static void collect_by_itself(unsigned int i)
{
	while (!storm_is_over()) {
		(void)mw_gc_collect(MW_COLLECT_MARKED);
		storm_step(i);
	}
}

/* Stops count whoever collects, and so does what the workers do beside. */
TEST(cycles_of_the_storm_itself_count)
{
	static const struct storm storm = {
		.name = "collect",
		.threads = 1,
		.begin = nothing_to_begin,
		.work = collect_by_itself,
		.end = nothing_to_end,
	};
	const struct storm_want want = { .ns = MOMENT_NS };
	struct storm_result result;

	test_heap(HEAP);
	stop_set_limit(PATIENCE_NS);
	NEED(test_workers(true));
	CHECK(storm_run(&storm, &want, &result));
	CHECK(result.cycles > 0);
	CHECK_EQ(result.stop_others, result.stop_total);
	CHECK(result.collector_ns > result.stop_total * test_cpus());
	test_workers(false);
}

#endif

TEST(stops_have_columns_from_a_microsecond_to_a_tenth_of_a_second)
{
	static const uint64_t ns[] = { 500,	1000,	 1001,	   20000,    20000,	20000,
				       2000000, 9000000, 90000000, 99999999, 200000000, 30000 };
	char text[STORM_COLUMNS + 1];

	storm_columns(ns, LEN(ns), text);
	for (unsigned int i = 0; i < STORM_COLUMNS; i++)
		CHECK_EQ(text[i] != ' ', i == 0 || i == 1 || i == 3 || i == 7 || i == 8 || i >= 10);
	CHECK(text_equal(text + STORM_COLUMNS, ""));
	/* The most is where most are. */
	CHECK(text[3] != text[1]);
}

TEST(fs)
{
	run(&storm_fs);
}

TEST(counted)
{
	run(&storm_counted);
}

TEST(pipes)
{
	run(&storm_pipes);
}

TEST(bus)
{
	run(&storm_bus);
}

TEST(short_threads)
{
	run(&storm_threads);
}

TEST(queue)
{
	run(&storm_queue);
}

TEST(interrupts)
{
	run(&storm_interrupts);
}

TEST(out_of_memory)
{
	run(&storm_memory);
}

TEST(regions)
{
	run(&storm_regions);
}
