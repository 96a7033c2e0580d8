// SPDX-License-Identifier: MIT
/* The monitor's commands about leaks and dangling pointers. */
#include <marrow/gc.h>
#include "commands.h"
#include "test.h"

#if MW_GC

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
	commands_forget();
	CHECK(test_has(run("leaks"), "Something points to every object"));
	/* The first one made, with no frames in which an address could have stayed. */
	said = run("leaks make 50; leaks");
	if (!test_has(said, "nothing points to 50 objects"))
		test_note("%s", said);
	CHECK(test_has(said, "nothing points to 50 objects"));
	said = run("leaks make 7; leaks");
	CHECK(test_has(said, "nothing points to 57 objects"));
	CHECK(test_has(said, "alloc-256"));
	CHECK(test_has(run("leaks free; leaks"), "2 rings were freed."));
	CHECK(test_has(run("leaks"), "Something points to every object"));
	CHECK(test_has(run("leaks now"), "\"now\" is no number"));
}

/* By the first storm that comes upon it, and not by those that find it there again. */
TEST(storms_report_a_leak_once)
{
	const char *said, *first;

	test_heap(48 << 20);
	test_heap_may_leak();
	commands_forget();
	said = run("leaks make 5; storm queue 0; storm queue 0");
	first = test_has(said, "nothing points to 5 objects");
	CHECK(first != NULL);
	CHECK(first && !test_has(first + 1, "nothing points to"));
	CHECK(test_has(said, "all is well"));
}

TEST(safe_free_is_switched_by_a_command)
{
	const char *said;

	test_heap(16 << 20);
	CHECK(test_has(run("safe"), "0 objects of 0 bytes are held back"));
	CHECK(test_has(run("safe no-such-cache"), "There is no cache"));
	CHECK(!test_has(run("safe alloc-64"), "There is no cache"));
	mw_free(mw_alloc(64, MW_NORMAL));
	said = run("safe");
	if (!test_has(said, "1 objects of 64 bytes are held back"))
		test_note("%s", said);
	CHECK(test_has(said, "1 objects of 64 bytes are held back"));
	(void)run("safe wipe");
	(void)run("safe off");
	CHECK(test_has(run("safe"), "0 objects of 0 bytes are held back"));
	CHECK(mw_heap_check());
}

#endif
