// SPDX-License-Identifier: MIT
/* Commands that run the tests, which need all of the memory for heaps of their own; benchmarks. */
#include "bench.h"
#include "commands.h"
#include "text.h"

static void run_test(size_t argc, char **argv)
{
	const char *which = argc > 1 ? argv[1] : "all";
	bool was_open = memory_is_open();

	if (!tests_known(which))
		return;
	if (was_open)
		mw_print("The heap is given to the tests; what you allocated is forgotten.\n");
	commands_forget();
	mw_print("%s\n", tests_run(which, false) ? "All passed." : "Not all passed.");
	if (was_open)
		memory_open();
}

static void run_tests(size_t argc, char **argv)
{
	const char *which = argc > 1 ? argv[1] : "all";

	if (tests_known(which))
		(void)tests_run(which, true);
}

static void run_bench(size_t argc, char **argv)
{
	if (argc > 1 && text_equal(argv[1], "cpus"))
		bench_cpus();
	else if (argc > 1)
		unknown_word("bench", argv[1]);
	else
		bench_table();
}

static const struct command commands[] = {
	{ "test", "[SUITE[.NAME]]", "run all tests, a suite, or one", run_test },
	{ "tests", "[SUITE]", "list them", run_tests },
	{ "bench", "[cpus]", "what objects and pages cost; cpus: how several CPUs go together",
	  run_bench },
};

const struct command_group test_commands = { "Tests", commands, LEN(commands) };
