// SPDX-License-Identifier: MIT
/* Commands that drive the collector. */
#include <marrow/gc.h>
#include "commands.h"
#include "text.h"

#if MW_GC

static size_t in_use(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return stats.collected_bytes >> 10;
}

static void collect(void)
{
	size_t before = in_use();
	uint64_t start = arch_now();

	if (!mw_gc_collect(MW_COLLECT_SWEPT)) {
		mw_print("A CPU could not be stopped.\n");
		return;
	}
	mw_print("%zu KiB of collected objects before, %zu KiB now; %llu us.\n", before, in_use(),
		 (unsigned long long)(arch_now() - start) / 1000);
}

/* Return: false if it was not set. */
static bool set_goal(size_t argc, char **argv)
{
	struct mw_gc_policy policy;
	uint64_t percent;

	if (argc > 2 && text_equal(argv[2], "off"))
		percent = (uint64_t)MW_GC_OFF;
	else if (!number_of(argc, argv, 2, "a percentage, or off", NULL, &percent))
		return false;
	mw_gc_policy_get(&policy);
	policy.percent = percent > INT32_MAX ? MW_GC_OFF : (int)percent;
	if (mw_gc_policy_set(&policy))
		return true;
	mw_print("gc goal: 0 to 10000 percent, or off\n");
	return false;
}

static void print_policy(void)
{
	struct mw_gc_policy policy;
	struct mw_stats stats;

	mw_gc_policy_get(&policy);
	mw_stats(&stats);
	if (policy.percent == MW_GC_OFF)
		mw_print("No cycle begins by itself.\n");
	else
		mw_print("A cycle begins when there is %d %% more than lived after the last one: "
			 "at %zu KiB, now %zu KiB.\n",
			 policy.percent, stats.goal >> 10, stats.collected_bytes >> 10);
	mw_print("%lu cycles so far, the longest stop was %llu us.\n", stats.cycles,
		 (unsigned long long)stats.pause_max_ns / 1000);
}

static void set_trace(size_t argc, char **argv)
{
	bool on = argc < 3 || text_equal(argv[2], "on");

	if (!on && !text_equal(argv[2], "off")) {
		unknown_word("gc", argv[2]);
		return;
	}
	mw_gc_trace(on);
	mw_print(on ? "A line for each cycle from now on; gc trace off ends it.\n"
		    : "No more lines about cycles.\n");
}

static void run_gc(size_t argc, char **argv)
{
	if (argc < 2)
		collect();
	else if (text_equal(argv[1], "goal") && argc > 2)
		(void)(set_goal(argc, argv) && (print_policy(), true));
	else if (text_equal(argv[1], "goal"))
		print_policy();
	else if (text_equal(argv[1], "trace"))
		set_trace(argc, argv);
	else if (text_equal(argv[1], "check"))
		mw_print(mw_gc_check() ? "A second mark found the same.\n"
				       : "The marks do not agree.\n");
	else
		unknown_word("gc", argv[1]);
}

static void run_finalizers(size_t argc, char **argv)
{
	size_t stuck;

	(void)argc, (void)argv;
	mw_print("%zu calls were due, and ran here.\n", mw_finalizers_run(SIZE_MAX));
	stuck = mw_cleanups_stuck();
	if (stuck)
		mw_print("%zu can never run: what they are given keeps their own object.\n", stuck);
	else
		mw_print("None is there that could never run.\n");
}

const char *gc_word(size_t n)
{
	static const char *const words[] = { "goal", "trace", "check" };

	return n < LEN(words) ? words[n] : NULL;
}

#else

static void run_gc(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	mw_print("This kernel was built without the collector.\n");
}

static void run_finalizers(size_t argc, char **argv)
{
	run_gc(argc, argv);
}

const char *gc_word(size_t n)
{
	(void)n;
	return NULL;
}

#endif

static const struct command commands[] = {
	{ "gc", "[goal|trace|check [N|off]]", "collect; at N % of growth; say so; check", run_gc },
	{ "finalizers", "", "run finalizers and cleanups that are due; which never can be",
	  run_finalizers },
};

const struct command_group gc_commands = { "The collector", commands, LEN(commands) };
