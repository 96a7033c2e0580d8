// SPDX-License-Identifier: MIT
/*
 * The command line of the boot loader: words "name" or "name=value"; quotes keep blanks in one,
 * as in run="alloc 100;mem". A word that nobody knows is complained of, and does no harm.
 */
#include "kernel.h"
#include "settings.h"
#include "text.h"

#define MAX_WORDS 32

struct option {
	const char *name, *help;
	bool (*set)(const char *value); /* NULL: arch/ reads it. Return: false if it cannot be that */
};

struct options options = { .seed = 1, .gap = 1000, .rounds = 100 };

static char line[2048];
static char *words[MAX_WORDS];
static size_t nr_words;

static bool set_test(const char *value)
{
	options.test = *value ? value : "all";
	return true;
}

static bool set_run(const char *value)
{
	options.run = value;
	return *value;
}

static bool set_exit(const char *value)
{
	options.exit_given = true;
	options.exit = !text_equal(value, "no");
	return !*value || text_equal(value, "yes") || text_equal(value, "no");
}

static bool set_long(const char *value)
{
	options.long_tests = !text_equal(value, "0");
	return true;
}

static bool set_counted(const char *value)
{
	options.counted_tests = !text_equal(value, "0");
	return true;
}

static bool set_seed(const char *value)
{
	options.seeded = text_number(value, &options.seed);
	return options.seeded;
}

static bool set_gap(const char *value)
{
	return text_number(value, &options.gap) && options.gap;
}

static bool set_rounds(const char *value)
{
	return text_number(value, &options.rounds) && options.rounds && options.rounds <= 100;
}

static const struct option known[] = {
	{ "test", "all, suite or suite.name, several with ',': run tests, print KTAP, exit",
	  set_test },
	{ "run", "commands of the monitor, separated by ';'", set_run },
	{ "exit", "leave QEMU after run=; exit=no: stay after test=", set_exit },
	{ "long", "long=1: tests that take long, too", set_long },
	{ "counted", "counted=1: only tests with bounds in instructions, which must be counted",
	  set_counted },
	{ "seed", "tests with random numbers and preemption from this seed", set_seed },
	{ "rounds", "percent of the rounds that long tests go, 1 to 100", set_rounds },
	{ "gap", "nanoseconds between two seeded preemptions, at most", set_gap },
	{ "debug", "debug aids of objects: FZPUG for all caches, or FZPU,NAME for one",
	  settings_debug },
	{ "gc", "percent of growth until a collection, or off", settings_goal },
	{ "gctrace", "gctrace=1: a line for each collection", settings_gc_trace },
	{ "gcdebug", "verification of marks: pointers,poison,check,every=N", settings_gc_debug },
	{ "profile", "sample one allocation in so many bytes", settings_profile },
	{ "mem", "use only so much memory", NULL },
	{ "cpus", "use only so many CPUs", NULL },
	{ "console", "serial, screen or both", NULL },
	{ "tsc_hz", "frequency of the clock, where it is measured else", NULL },
};

const char *options_take(const char *word)
{
	for (size_t i = 0; i < LEN(known); i++) {
		const char *rest = text_after(word, known[i].name);

		if (!rest || (*rest && *rest != '='))
			continue;
		if (!known[i].set || known[i].set(*rest ? rest + 1 : rest))
			return NULL;
		return "not a value that it can have";
	}
	return "nobody knows this word";
}

void options_read(const char *cmdline)
{
	mw_format(line, sizeof(line), "%s", cmdline);
	nr_words = text_split(line, words, MAX_WORDS);
	for (size_t i = 0; i < nr_words; i++)
		(void)options_take(words[i]);
}

void options_complain(void)
{
	struct options before = options;
	const char *complaint;

	for (size_t i = 0; i < nr_words; i++) {
		complaint = options_take(words[i]);
		if (complaint)
			mw_print("command line: \"%s\": %s\n", words[i], complaint);
	}
	options = before;
}

void options_help(void)
{
	mw_print("\nWords for the boot loader's command line:\n");
	for (size_t i = 0; i < LEN(known); i++)
		mw_print("  %-10s %s\n", known[i].name, known[i].help);
}
