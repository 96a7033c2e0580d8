// SPDX-License-Identifier: MIT
/*
 * The event trace, read while it is written and written while it is read: a switch at each instruction. And how
 * many instructions there are to figures that are said to be had in a bounded time.
 */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/watch/trace.h"

#if MW_WATCH

#define MOST 5000u /* instructions, more than either has */

static struct {
	struct mw_ring *ring;
	unsigned long turn; /* the reader's */
	struct mw_event_seen seen;
	bool believed;
	unsigned long torn;
} trace;

static void say(void *arg)
{
	unsigned long n = mw_word(&trace.ring->written) + 1;

	(void)arg;
	mw_up_event(MW_EVENT_REFILL, n, ~n);
}

static void look(void *arg)
{
	(void)arg;
	trace.believed = mw_ring_read(trace.ring, trace.turn, &trace.seen);
	if (trace.believed && (trace.seen.a != trace.turn || trace.seen.b != ~trace.turn ||
			       trace.seen.what != MW_EVENT_REFILL || !trace.seen.when))
		trace.torn++;
}

/* Who writes has the only ring. */
static void find_ring(void)
{
	trace.ring = NULL;
	for (unsigned int i = 0; i < MW_MAX_CPUS && !trace.ring; i++)
		trace.ring = mw_trace_state.ring[i];
	NEED(trace.ring);
	trace.torn = 0;
}

static void first_round(void *arg)
{
	(void)arg;
	for (unsigned long n = 1; n <= MW_RING; n++)
		mw_up_event(MW_EVENT_REFILL, n, ~n);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* The event that is being written, and the one that it is written over. */
static void look_at_both(void *arg)
{
	unsigned long next = *(unsigned long *)arg;

	trace.turn = next - MW_RING;
	look(NULL);
	trace.turn = next;
	look(NULL);
}

TEST_WITH(a_reader_at_each_step_of_a_writer, TEST_HOSTED)
{
	unsigned long at = 0, next;

	test_heap(8 << 20);
	first_round(NULL);
	find_ring();
	do
		next = mw_word(&trace.ring->written) + 1;
	while (test_step(say, look_at_both, &next, at++) && at < MOST);
	CHECK(at > 20 && at < MOST);
	CHECK_EQ(trace.torn, 0);
	test_note("%lu instructions", at);
}

TEST_WITH(a_writer_at_each_step_of_a_reader, TEST_HOSTED)
{
	unsigned long at = 0, believed = 0;
	bool more;

	test_heap(8 << 20);
	(void)test_step(nothing, first_round, NULL, 0);
	find_ring();
	do {
		trace.turn = mw_word(&trace.ring->written) + 1 - MW_RING;
		more = test_step(look, say, NULL, at++);
		believed += trace.believed;
	} while (more && at < MOST);
	CHECK(at > 10 && at < MOST);
	CHECK(believed > 0 && believed < at);
	CHECK_EQ(trace.torn, 0);
	test_note("%lu instructions", at);
}

/* ---- figures ---- */

#define RUNS 3000u
#define FEW 2500u /* a look at some of the longest runs */

static void page_figures(void *arg)
{
	mw_page_stats(arg);
}

static unsigned long instructions_of_figures(void)
{
	struct mw_page_stats stats;
	unsigned long at = 0;

	while (test_step(page_figures, nothing, &stats, at))
		at++;
	return at;
}

/* Runs of @pages pages, of which every second one is free. */
static void make_runs(void **run, size_t pages)
{
	for (unsigned int i = 0; i < RUNS; i++)
		NEED(run[i] = mw_pages_alloc(pages, 0));
	for (unsigned int i = 0; i < RUNS; i += 2)
		mw_pages_free(run[i], pages);
}

TEST_WITH(figures_of_pages_take_as_long_whatever_is_in_use, TEST_HOSTED)
{
	static const size_t lengths[] = { 1, 3, 200 };
	static void *run[RUNS];
	unsigned long empty, now;

	if (sizeof(size_t) < 8)
		test_skip("no room for so many runs");
	test_heap((size_t)RUNS << 20);
	mw_pages_free(mw_pages_alloc(1, 0), 1);
	empty = instructions_of_figures();
	CHECK(empty > 500);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		make_runs(run, lengths[i]);
		now = instructions_of_figures();
		test_note("%lu instructions among runs of %zu pages", now, lengths[i]);
		CHECK(now < empty + FEW);
		for (unsigned int k = 1; k < RUNS; k += 2)
			mw_pages_free(run[k], lengths[i]);
	}
	test_note("%lu instructions", empty);
}

#endif
