// SPDX-License-Identifier: MIT
/* Commands that look at the heap, and use it by hand. */
#include "commands.h"
#include "look.h"
#include "settings.h"
#include "text.h"

/* ---- looking ---- */

static void run_mem(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	memory_print();
	mw_print_meminfo();
	memory_print_metadata();
}

static void run_map(size_t argc, char **argv)
{
	if (argc > 1 && !text_equal(argv[1], "colour"))
		unknown_word("map", argv[1]);
	else
		mw_print_map(64, argc > 1);
}

static void run_runs(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	mw_print_buddyinfo();
	memory_print_untouched();
}

static void run_slab(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	mw_print_slabinfo();
}

static void run_sites(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	mw_print_sites();
}

static void run_check(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	if (memory_check())
		mw_print("Every structure of the heap is as it should be.\n");
}

static void run_look(size_t argc, char **argv)
{
	uint64_t address;

	if (number_of(argc, argv, 1, "an address", NULL, &address))
		look_at((void *)address);
}

/* ---- using ---- */

static void run_alloc(size_t argc, char **argv)
{
	uint64_t size;
	void *object;

	if (!number_of(argc, argv, 1, "a size", NULL, &size))
		return;
	object = mw_alloc(size, MW_ZERO);
	if (object)
		mw_print("%p, %zu bytes usable; give it back with: free %p\n", object,
			 mw_usable_size(object), object);
	else
		mw_print("There is not so much memory.\n");
}

static void run_pages(size_t argc, char **argv)
{
	uint64_t count;
	void *pages;

	if (!number_of(argc, argv, 1, "a count", NULL, &count))
		return;
	pages = mw_pages_alloc(count, MW_NORMAL);
	if (pages)
		mw_print("%p, physical 0x%llx; give it back with: free %p %llu\n", pages,
			 (unsigned long long)mw_phys(pages), pages, (unsigned long long)count);
	else
		mw_print("There is no such run of pages in free memory.\n");
}

static void run_free(size_t argc, char **argv)
{
	const uint64_t none = 0;
	uint64_t address, count;

	if (!number_of(argc, argv, 1, "an address", NULL, &address) ||
	    !number_of(argc, argv, 2, "a count of pages", &none, &count))
		return;
	if (count)
		mw_pages_free((void *)address, count);
	else
		mw_free((void *)address);
}

static void run_reclaim(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	mw_print("%llu KiB joined the heap.\n", (unsigned long long)memory_reclaim() >> 10);
}

static void set_fail(bool every, unsigned long n)
{
	const struct mw_fail fail = { .every = every ? n : 0, .after = every ? 0 : n };
	unsigned long failed = mw_fail_set(n ? &fail : NULL);

	if (n)
		mw_print("%s %luth allocation fails from now on. ", every ? "Each" : "The", n);
	else
		mw_print("No allocation fails on purpose any more. ");
	mw_print("%lu did since the last time.\n", failed);
}

/* fail every N, fail after N, fail off */
static void run_fail(size_t argc, char **argv)
{
	uint64_t n;

	if (!need(argc, 2, "fail"))
		return;
	if (text_equal(argv[1], "off"))
		set_fail(true, 0);
	else if (!text_equal(argv[1], "every") && !text_equal(argv[1], "after"))
		unknown_word("fail", argv[1]);
	else if (number_of(argc, argv, 2, "a number", NULL, &n))
		set_fail(text_equal(argv[1], "every"), n);
}

static void run_debug(size_t argc, char **argv)
{
	if (!need(argc, 2, "debug"))
		return;
	if (!settings_debug(argv[1]))
		mw_print("\"%s\" cannot be read: F checks, Z red zones, P poison, U who and when, "
			 "G pages "
			 "that fault; for one cache ,NAME.\n",
			 argv[1]);
	else if (text_equal(argv[1], "-"))
		mw_print("No debug aids from now on.\n");
	else
		mw_print("Spans that are taken from now on have the aids %s; debug - ends it.\n",
			 argv[1]);
}

static const struct command commands[] = {
	{ "mem", "", "the memory map, and what the heap made of it", run_mem },
	{ "map", "[colour]", "a picture of the heap's pages; in colours for a terminal", run_map },
	{ "runs", "", "free runs of pages by size", run_runs },
	{ "slab", "", "size classes and caches, and what is in them", run_slab },
	{ "sites", "", "who allocates what, in a kernel built with KCFLAGS=-DMW_SITES=1", run_sites },
	{ "check", "", "check every structure of the heap", run_check },
	{ "alloc", "SIZE", "an object: alloc 100, alloc 64K", run_alloc },
	{ "pages", "COUNT", "a run of pages", run_pages },
	{ "free", "ADDRESS [COUNT]", "an object, or pages; try it twice", run_free },
	{ "look", "ADDRESS", "what is there: whose, who had it, which roots lead to it", run_look },
	{ "poke", "[MISTAKE]", "make a mistake, and read the report", poke },
	{ "debug", "AIDS[,CACHE]|-", "debug aids of objects: debug FZPU, debug FZU,alloc-64",
	  run_debug },
	{ "fail", "every N|after N|off", "let allocations fail", run_fail },
	{ "reclaim", "", "add the memory where ACPI tables lay", run_reclaim },
};

const struct command_group heap_commands = { "The heap", commands, LEN(commands) };
