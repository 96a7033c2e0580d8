// SPDX-License-Identifier: MIT
/*
 * docs/TOUR.md on the screen: step by step, each when a key says so. scripts/monitor_test.py holds
 * the two together.
 */
#include "commands.h"
#include "keys.h"
#include "text.h"

#define CONTROL_C 3

struct step {
	const char *text, *commands; /* of the monitor, separated by ';' */
};

static const struct step steps[] = {
	{ "A file system is there to play with, and nobody frees its objects. This directory has "
	  "a\n"
	  "second name, inside itself.",
	  "mkdir home;write home/note \"remember the milk\";ln home home/again;tree" },
	{ "Now the only name goes that leads there from outside. A count of holders would never "
	  "reach\n"
	  "zero; the collector looks what can be reached, and sweeps the rest.",
	  "rm home;gc" },
	{ "The same where holders are counted: the ring stays for ever, and the next storm's leak "
	  "scan\n"
	  "will name it.",
	  "world counted;mkdir home;ln home home/again;rm home;world collected" },
	{ "A storm: all CPUs make, write, move and remove the same names. The line shows "
	  "allocations a\n"
	  "second, the heap, collections, and how long the world stood still. Control-C ends it.",
	  "storm fs 5" },
	{ "The same beside 64 MiB that stay alive.", "storm fs 5 64M" },
	{ "A mistake, and its report: what, where, who allocated the object, who freed it. The "
	  "heap is\n"
	  "as before.",
	  "poke double-free" },
	{ "A byte behind the end of an object.", "poke overrun" },
	{ "A pointer to where no object is any more, with the path to it from a root.",
	  "poke bad-pointer" },
	{ "Objects that nobody points to.", "poke leak" },
	{ "A stack that runs into its guard page.", "poke stack" },
	{ "Where the memory is, and who has it.", "mem;slab" },
	{ "All pages in one picture.", "map colour" },
	{ "Threads, the collector's among them; CPUs, and how the world was stopped.", "ps;cpus" },
	{ "After all of that, every structure of the heap is walked through.", "check" },
};

static void list(void)
{
	for (size_t i = 0; i < LEN(steps); i++)
		mw_print("%zu: %s\n", i + 1, steps[i].commands);
}

/* Return: false: the visitor has seen enough. */
static bool wait_for_visitor(bool *skip)
{
	for (;;) {
		char key = keys_wait();

		*skip = key == 's';
		if (key == '\r' || key == '\n' || key == ' ' || *skip)
			return true;
		if (key == 'q' || key == CONTROL_C)
			return false;
	}
}

void tour(size_t argc, char **argv)
{
	const uint64_t first = 1;
	uint64_t i;
	bool skip;

	if (argc > 1 && text_equal(argv[1], "list")) {
		list();
		return;
	}
	if (!number_of(argc, argv, 1, "a step, or list", &first, &i))
		return;
	for (i -= i > 0; i < LEN(steps) && !keys_stop(); i++) {
		mw_print("\n-- %llu of %zu --\n%s\n    %s\n[Return: do it; s: skip; q: end]\n",
			 (unsigned long long)i + 1, LEN(steps), steps[i].text, steps[i].commands);
		if (!wait_for_visitor(&skip))
			break;
		if (!skip)
			monitor_run(steps[i].commands);
	}
	if (i < LEN(steps))
		mw_print("The tour ends here; \"tour %llu\" goes on.\n", (unsigned long long)i + 1);
	else
		mw_print("That was the tour; \"help\" lists all there is.\n");
}
