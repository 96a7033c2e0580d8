// SPDX-License-Identifier: MIT
/* Storms at the prompt, one by one or all in turn. */
#include "commands.h"
#include "keys.h"
#include "storm.h"
#include "text.h"

#define MOST_STORMS 16u
#define ROUND_S 10u /* of a soak: longest time for one storm at a time */

const char *storm_word(size_t n)
{
	size_t i = 0;

	while (i < n && storms[i])
		i++;
	if (storms[i])
		return storms[i]->name;
	return i == n ? "all" : NULL;
}

static void list(void)
{
	for (size_t i = 0; storms[i]; i++)
		mw_print("  storm %-12s %s\n", storms[i]->name, storms[i]->help);
	mw_print("  storm %-12s each of them\n", "all");
}

static bool one(const struct storm *storm, struct storm_want *want)
{
	struct storm_result result;

	want->seed = arch_now();
	want->extra = memory_held(&want->extra_len, &want->extra_phys);
	if (!storm_run(storm, want, &result))
		monitor_failed();
	storm_print(storm, &result);
	return !result.wrong;
}

/* storm NAME SECONDS LIVE */
static void run_storm(size_t argc, char **argv)
{
	const struct storm *storm = argc > 1 ? storm_find(argv[1]) : NULL;
	const uint64_t five = 5, none = 0;
	struct storm_want want = { .progress = true };
	uint64_t seconds, live;
	bool all = argc > 1 && text_equal(argv[1], "all");

	if (!storm && !all) {
		if (argc > 1)
			unknown_word("storm", argv[1]);
		list();
		return;
	}
	if (!number_of(argc, argv, 2, "a number of seconds", &five, &seconds) ||
	    !number_of(argc, argv, 3, "how many bytes should live", &none, &live))
		return;
	want.ns = seconds * 1000000000;
	want.live = live;
	for (size_t i = 0; storms[i] && !keys_stop(); i++)
		if (all || storms[i] == storm)
			(void)one(storms[i], &want);
}

/* All in turn, again and again, with everything that can happen; results as those of tests. */
static void run_soak(size_t argc, char **argv)
{
	struct storm_want want = { .chaos = true };
	bool well[MOST_STORMS];
	const uint64_t minute = 60;
	size_t n = 0, rounds;
	uint64_t seconds;

	if (!number_of(argc, argv, 1, "a number of seconds", &minute, &seconds))
		return;
	while (storms[n])
		well[n++] = true;
	rounds = seconds / (n * ROUND_S) + 1;
	want.ns = seconds * 1000000000 / (n * rounds);
	mw_print("KTAP version 1\n1..%zu\n", n);
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < n; i++)
			well[i] = !keys_stop() && one(storms[i], &want) && well[i];
	for (size_t i = 0; i < n; i++)
		mw_print("%sok %zu - storm.%s\n", well[i] ? "" : "not ", i + 1, storms[i]->name);
	mw_print("# marrow: tests done\n");
}

static const struct command commands[] = {
	{ "storm", "[NAME [SECONDS [LIVE]]]",
	  "many threads at the heap: storm fs 10, storm fs 10 64M", run_storm },
	{ "soak", "[SECONDS]", "all storms in turn, with failures and collections at random",
	  run_soak },
};

const struct command_group storm_commands = { "Storms", commands, LEN(commands) };
