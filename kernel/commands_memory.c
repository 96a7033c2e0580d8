// SPDX-License-Identifier: MIT
/* Commands about the memory under the heap: what the host has of it, what was plugged in. */
#include "commands.h"
#include "keys.h"
#include "text.h"

static void run_balloon(size_t argc, char **argv)
{
	struct port_counts counts;
	uint64_t age_ms;

	if (argc > 1 && !number_of(argc, argv, 1, "an age in milliseconds", NULL, &age_ms))
		return;
	if (argc > 1)
		mw_print("%zu KiB released.\n", mw_scavenge(age_ms * 1000000, SIZE_MAX) >> 10);
	port_counts(&counts);
	mw_print("The host %s. Released so far: %zu KiB, of which the host took %zu KiB; taken "
		 "back: "
		 "%zu KiB\n",
		 arch_report_present() ? "takes free pages" : "does not ask for free pages",
		 counts.released >> 10, counts.reported >> 10, counts.reclaimed >> 10);
}

/* Objects of many sizes, each written to its end, in a list. Return: bytes. */
static size_t fill(void ***list, size_t most)
{
	size_t bytes = 0;

	for (unsigned int i = 0; bytes < most && !(i % 1024 == 0 && keys_stop()); i++) {
		size_t size = 64 + i * 7919u % 8000;
		void **object = mw_alloc(size, MW_NORMAL);

		if (!object)
			break;
		memset(object, 0xa5, size);
		*object = *list;
		*list = object;
		bytes += mw_usable_size(object);
	}
	return bytes;
}

static void run_fill(size_t argc, char **argv)
{
	void **list = NULL, *object;
	uint64_t mib;
	size_t bytes;

	if (!number_of(argc, argv, 1, "MIB", NULL, &mib))
		return;
	bytes = fill(&list, mib << 20);
	mw_print("%zu KiB in objects; ", bytes >> 10);
	while ((object = list)) {
		list = *list;
		mw_free(object);
	}
	mw_print("all freed.\n");
}

static void run_dimm(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	dimm_print();
}

static const struct command commands[] = {
	{ "balloon", "[MS]", "pages that the host has; release those idle for MS, 0: all",
	  run_balloon },
	{ "dimm", "", "memory modules that were plugged in", run_dimm },
	{ "fill", "MIB", "take and write so much memory in objects, then free them", run_fill },
};

const struct command_group memory_commands = { "The memory underneath", commands, LEN(commands) };
