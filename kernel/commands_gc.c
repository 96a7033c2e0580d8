// SPDX-License-Identifier: MIT
/* Commands that drive the collector. */
#include <marrow/gc.h>
#include "commands.h"
#include "settings.h"
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

static void set_goal(const char *percent)
{
	if (settings_goal(percent))
		print_policy();
	else
		mw_print("\"%s\" is no goal: gc wants 0 to 10000 percent, or off.\n", percent);
}

static void set_trace(const char *how)
{
	bool on = text_equal(how, "on");

	if (!on && !text_equal(how, "off"))
		unknown_word("gc", how);
	else if (settings_gc_trace(on ? "1" : "0"))
		mw_print(on ? "A line for each cycle from now on; gc trace off ends it.\n"
			    : "No more lines about cycles.\n");
}

static void set_debug(const char *words)
{
	if (!settings_gc_debug(words))
		mw_print(
			"\"%s\" is no verification: gc wants off, or some of pointers,poison,check,"
			"every=N.\n",
			words);
	else if (text_equal(words, "off"))
		mw_print("No verification of marks any more.\n");
	else
		mw_print("Marks are verified from the next cycle on: %s.\n", words);
}

static void run_gc(size_t argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *how = argc > 2 ? argv[2] : NULL;

	if (argc < 2)
		collect();
	else if (text_equal(what, "goal"))
		how ? set_goal(how) : print_policy();
	else if (text_equal(what, "trace"))
		set_trace(how ? how : "on");
	else if (text_equal(what, "debug"))
		set_debug(how ? how : "pointers,poison,check");
	else if (text_equal(what, "check"))
		mw_print(mw_gc_check() ? "A second mark found the same.\n"
				       : "The marks do not agree.\n");
	else
		unknown_word("gc", what);
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
	static const char *const words[] = { "goal", "trace", "check", "debug" };

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
	{ "gc", "[goal|trace|check|debug [HOW]]",
	  "collect; at N % of growth; say so; check; verify", run_gc },
	{ "finalizers", "", "run finalizers and cleanups that are due; which never can be",
	  run_finalizers },
};

const struct command_group gc_commands = { "The collector", commands, LEN(commands) };
