// SPDX-License-Identifier: MIT
/* The monitor's commands about leaks and dangling pointers. */
#include <marrow/gc.h>
#include "kernel.h"
#include "test.h"

#if MW_GC

static bool begins(const char *text, const char *with)
{
	while (*with && *text == *with)
		text++, with++;
	return !*with;
}

static bool has(const char *text, const char *part)
{
	while (*text && !begins(text, part))
		text++;
	return *text;
}

static __attribute__((noinline)) const char *run(const char *commands)
{
	test_capture();
	monitor_run(commands);
	return test_captured();
}

TEST(a_ring_made_by_a_command_is_found)
{
	const char *said;

	test_heap(16 << 20);
	test_heap_may_leak();
	CHECK(has(run("leaks"), "Something points to every object"));
	/* A word that was left in a dead frame hides a whole ring, so it is the last of several that is asked for. */
	for (int i = 0; i < 3; i++)
		(void)run("leaks make 50");
	said = run("leaks make 7; leaks");
	if (!has(said, "nothing points to"))
		test_note("%s", said);
	CHECK(has(said, "nothing points to"));
	CHECK(has(said, "alloc-256"));
	CHECK(has(run("leaks now"), "leaks [MILLISECONDS]"));
}

TEST(safe_free_is_switched_by_a_command)
{
	test_heap(16 << 20);
	CHECK(has(run("safe"), "0 objects of 0 bytes are held back"));
	CHECK(has(run("safe no-such-cache"), "There is no cache"));
	(void)run("safe alloc-64");
	(void)run("safe wipe");
	(void)run("safe off");
	CHECK(has(run("safe"), "0 objects of 0 bytes are held back"));
	CHECK(mw_heap_check());
}

#endif
