// SPDX-License-Identifier: MIT
/* The monitor when memory is full, which is when its commands are wanted most. */
#include "commands.h"
#include "scratch.h"
#include "test.h"

#define HEAP ((size_t)24 << 20)

static void *_Atomic hidden; /* a list through all objects, from the one made last */

static const char *run(const char *commands)
{
	test_capture();
	monitor_typed(commands);
	return test_captured();
}

/*
 * Objects of some size, until there is no more. What another test left in their memory might lead
 * to a leak.
 */
static void take_all(size_t size)
{
	void **object;

	while ((object = mw_alloc(size, MW_ZERO))) {
		*object = hidden;
		hidden = object;
	}
}

/* @commands come first; then objects of @most bytes and fewer, until there is no room for any. */
static void begin_full(const char *commands, size_t most)
{
	test_heap(HEAP);
	test_heap_may_leak();
	commands_forget();
	scratch_open();
	mw_on_misuse(report_and_go_on);
	hidden = NULL;
	(void)run(commands);
	for (size_t size = most; size >= 16; size /= 8)
		take_all(size);
	CHECK(!mw_alloc(64, MW_NORMAL));
}

static void end_full(void)
{
	scratch_close();
	mw_reset();
}

static void check_says(const char *command, const char *wanted)
{
	const char *said = run(command);

	(void)test_check(test_has(said, wanted), __FILE__, __LINE__,
			 "\"%s\" says \"%s\", not \"%s\"", command, wanted, said);
}

TEST(mistakes_say_that_they_cannot_be_made)
{
	begin_full("mem", 65536);
	check_says("poke double-free", "no memory");
	check_says("poke wrong-count", "no memory");
	check_says("alloc 100", "not so much memory");
	check_says("check", "as it should be");
	end_full();
}

/* Nothing was done, so nothing is well. */
TEST(storms_say_that_nothing_was_done)
{
	begin_full("mem", 65536);
	check_says("storm threads 1", "memory");
	CHECK(!test_has(run("storm threads 1"), "all is well"));
	end_full();
}

#if MW_GC

/* As much as before, whatever came in between: a storm compares what is in use. */
TEST(what_is_lent_comes_back_whole)
{
	size_t before;

	test_heap(HEAP);
	scratch_open();
	CHECK(mw_region_add(test_memory(HEAP), UINT64_C(1) << 40, HEAP) > 0);
	scratch_open();
	before = scratch_bytes();
	CHECK(before > 2 * HEAP / 32);
	(void)run("leaks");
	CHECK_EQ(scratch_bytes(), before);
	scratch_close();
	CHECK_EQ(scratch_bytes(), 0);
}

static void find_leaks(size_t most)
{
	begin_full("leaks make 5", most);
	check_says("leaks", "nothing points to 5 objects");
	/* And once more: what was lent is there again. */
	check_says("leaks", "nothing points to 5 objects");
	check_says("check", "as it should be");
	end_full();
}

TEST(leaks_are_found)
{
	find_leaks(65536);
}

/* A scan needs the most memory for these. */
TEST(leaks_are_found_among_the_smallest)
{
	find_leaks(16);
}

#endif
