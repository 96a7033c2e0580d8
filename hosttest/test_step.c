// SPDX-License-Identifier: MIT
/* The ways in which test_step_way() lets one call come into another one. */
#include <marrow/gc.h>
#include "gc_heap.h"

#if MW_GC

/* Of the hosted port. */
__attribute__((weak)) bool port_world_is_stopped(void);

static struct {
	unsigned long pinned, unpinned, stopped, running; /* where b came */
	volatile bool inside; /* a has pinned, and not unpinned */
	bool same_cpu;
	unsigned int cpu;
} came;

static void pin_and_unpin(void *arg)
{
	unsigned long state = mw_port_pin();

	(void)arg;
	came.inside = true;
	came.inside = false;
	mw_port_unpin(state);
}

static void note(void *arg)
{
	(void)arg;
	came.pinned += came.inside;
	came.unpinned += !came.inside;
	came.stopped += port_world_is_stopped();
	came.running += !port_world_is_stopped();
	came.same_cpu = mw_port_cpu() == came.cpu;
}

TEST_WITH(another_cpu_comes_anywhere, TEST_HOSTED)
{
	unsigned long at = 0;

	came.pinned = 0;
	came.cpu = mw_port_cpu();
	while (test_step(pin_and_unpin, note, NULL, at++))
		;
	CHECK(came.pinned != 0);
	CHECK(!came.same_cpu);
}

TEST_WITH(an_interrupt_waits_for_the_unpin, TEST_HOSTED)
{
	unsigned long at = 0;

	came.pinned = came.unpinned = 0;
	came.cpu = mw_port_cpu();
	while (test_step_way(TEST_INTERRUPT, pin_and_unpin, note, NULL, at++))
		CHECK(came.same_cpu);
	CHECK_EQ(came.pinned, 0);
	CHECK_EQ(came.unpinned, at);
}

static void stop_and_start(void *arg)
{
	(void)arg;
	NEED(mw_port_stop_world() < 0);
	mw_port_start_world();
}

TEST_WITH(a_handler_comes_while_the_world_is_stopped, TEST_HOSTED)
{
	unsigned long at = 0;

	came.stopped = came.running = 0;
	came.cpu = mw_port_cpu();
	while (test_step_way(TEST_STOPPED, stop_and_start, note, NULL, at++))
		CHECK(!came.same_cpu);
	CHECK(came.stopped > 5);
	CHECK_EQ(came.stopped + came.running, at);
}

/* Longer than what could once be followed, and none of it is left out. */
static void long_way(void *arg)
{
	volatile unsigned int *sum = arg;

#define TEN(x) x x x x x x x x x x
	TEN(TEN(TEN(TEN(++*sum; ++*sum;))))
#undef TEN
	came.inside = true;
}

static void note_end(void *arg)
{
	(void)arg;
	came.pinned += came.inside;
}

TEST_WITH(a_long_call_is_followed_to_its_end, TEST_HOSTED)
{
	unsigned int sum = 0;
	unsigned long at = 0;

	came.inside = false;
	while (test_step(long_way, note_end, &sum, at) && at < 2)
		at++;
	CHECK(at == 2);
	for (at = 2; at < 1000000; at += 4999) {
		if (!test_step(long_way, note_end, &sum, at))
			break;
	}
	CHECK(at > 16384);
}

#endif
