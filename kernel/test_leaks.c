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
	/* The first one made, with no frames in which an address could have stayed. */
	said = run("leaks make 50; leaks");
	if (!has(said, "nothing points to 50 objects"))
		test_note("%s", said);
	CHECK(has(said, "nothing points to 50 objects"));
	said = run("leaks make 7; leaks");
	CHECK(has(said, "nothing points to 57 objects"));
	CHECK(has(said, "alloc-256"));
	CHECK(has(run("leaks now"), "leaks [MILLISECONDS]"));
}

TEST(safe_free_is_switched_by_a_command)
{
	const char *said;

	test_heap(16 << 20);
	CHECK(has(run("safe"), "0 objects of 0 bytes are held back"));
	CHECK(has(run("safe no-such-cache"), "There is no cache"));
	CHECK(!has(run("safe alloc-64"), "There is no cache"));
	mw_free(mw_alloc(64, MW_NORMAL));
	said = run("safe");
	if (!has(said, "1 objects of 64 bytes are held back"))
		test_note("%s", said);
	CHECK(has(said, "1 objects of 64 bytes are held back"));
	(void)run("safe wipe");
	(void)run("safe off");
	CHECK(has(run("safe"), "0 objects of 0 bytes are held back"));
	CHECK(mw_heap_check());
}

#endif
