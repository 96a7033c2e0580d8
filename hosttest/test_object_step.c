// SPDX-License-Identifier: MIT
/*
 * Two CPUs at one span or one list, with a switch at each instruction in turn: frees into spans of another CPU
 * while it gathers, and spans that no CPU owns, taken by two at once.
 */
#include "test.h"
#include "../mm/object/inside.h"

#define HEAP ((size_t)16 << 20)
#define MOST 20000u /* instructions: more than there are */
#define LEAST 20u

static void nothing(void *arg)
{
	(void)arg;
}

/* fn(arg) as the CPU that is the other one in test_step(). */
static void as_other(void (*fn)(void *arg), void *arg)
{
	(void)test_step(nothing, fn, arg, 0);
}

static void gather(void *arg)
{
	unsigned long state = mw_port_pin();

	(void)arg;
	(void)mw_cpu_gather(mw_cpu_here(), MW_GATHER_STEP);
	mw_port_unpin(state);
}

static bool is_free(const void *object)
{
	struct mw_span *span = mw_span_of((void *)object);
	size_t index = mw_span_index(span, object);

	return mw_word(&span->free[index / MW_WORD_BITS]) & mw_bit(index);
}

/* ---- what is freed, and what is taken ---- */

#define SIZE 64u
#define SPANS 3u
#define MANY 1024u

static struct {
	char *all[MANY];
	size_t n;
	char *first, *second;
} central;

/* ---- frees from elsewhere ---- */

static struct {
	char *first, *second, *anchor[2]; /* anchors keep the spans where they are */
	size_t size[2];
} frees;

static void make_anchors(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 2; i++)
		NEED(frees.anchor[i] = mw_alloc(frees.size[i], 0));
}

static void make_both(void *arg)
{
	(void)arg;
	NEED(frees.first = mw_alloc(frees.size[0], 0));
	NEED(frees.second = mw_alloc(frees.size[1], 0));
}

static void free_first(void *arg)
{
	(void)arg;
	mw_free(frees.first);
}

static void free_second(void *arg)
{
	(void)arg;
	mw_free(frees.second);
}

static void free_anchors(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 2; i++)
		mw_free(frees.anchor[i]);
}

static void start(size_t first, size_t second)
{
	NEED(test_heap(HEAP));
	frees.size[0] = first;
	frees.size[1] = second;
}

static void ends(unsigned long at)
{
	/* Test data may be roots: of the tests that follow too. */
	__builtin_memset(&frees, 0, sizeof(frees));
	__builtin_memset(&central, 0, sizeof(central));
	CHECK(at > LEAST && at < MOST);
	CHECK(mw_object_check());
	CHECK_EQ(mw_word(&mw_object.late_doubles), 0);
	test_note("%lu instructions", at);
}

/* The owner gathers one, and another one is freed. */
TEST_WITH(a_free_at_each_step_of_a_gather, TEST_HOSTED)
{
	unsigned long at = 0, lost = 0;
	bool more;

	start(64, 64);
	make_anchors(NULL);
	do {
		make_both(NULL);
		test_elsewhere(free_first, NULL);
		more = test_step(gather, free_second, NULL, at++);
		gather(NULL);
		lost += !is_free(frees.first) + !is_free(frees.second);
	} while (more && !lost && at < MOST);
	CHECK_EQ(lost, 0);
	free_anchors(NULL);
	ends(at);
}

TEST_WITH(a_gather_at_each_step_of_a_free, TEST_HOSTED)
{
	unsigned long at = 0, lost = 0;
	bool more;

	start(64, 64);
	as_other(make_anchors, NULL);
	do {
		as_other(make_both, NULL);
		test_elsewhere(free_second, NULL);
		more = test_step(free_first, gather, NULL, at++);
		as_other(gather, NULL);
		lost += !is_free(frees.first) + !is_free(frees.second);
	} while (more && !lost && at < MOST);
	CHECK_EQ(lost, 0);
	free_anchors(NULL);
	as_other(gather, NULL);
	ends(at);
}

/* Two free into spans of a third: one span, where they meet in the bits, or two, where they meet in the list. */
static void free_two(size_t first, size_t second)
{
	unsigned long at = 0, lost = 0;
	bool more;

	start(first, second);
	test_elsewhere(make_anchors, NULL);
	do {
		test_elsewhere(make_both, NULL);
		more = test_step(free_first, free_second, NULL, at++);
		test_elsewhere(gather, NULL);
		lost += !is_free(frees.first) + !is_free(frees.second);
	} while (more && !lost && at < MOST);
	CHECK_EQ(lost, 0);
	free_anchors(NULL);
	test_elsewhere(gather, NULL);
	ends(at);
}

TEST_WITH(two_free_into_one_span, TEST_HOSTED)
{
	free_two(64, 64);
}

TEST_WITH(two_push_spans_on_one_list, TEST_HOSTED)
{
	free_two(64, 256);
}

static void stop(void *arg)
{
	(void)arg;
	mw_cpu_stop();
}

static void take_over(void *arg)
{
	(void)arg;
	NEED(frees.anchor[0] = mw_alloc(frees.size[0], 0));
}

static void stop_third(void *arg)
{
	mw_free(frees.anchor[0]);
	stop(arg);
}

/* The owner goes away, and another CPU takes the span over: what is freed then must not wait for the first one. */
TEST_WITH(an_owner_stops_at_each_step_of_a_free, TEST_HOSTED)
{
	unsigned long at = 0, lost = 0;
	bool more;

	start(64, 64);
	do {
		as_other(make_both, NULL);
		more = test_step(free_first, stop, NULL, at++);
		lost += !is_free(frees.first);
		test_elsewhere(take_over, NULL);
		NEED(mw_span_of(frees.anchor[0]) == mw_span_of(frees.second));
		mw_free(frees.second);
		test_elsewhere(gather, NULL);
		lost += !is_free(frees.second);
		test_elsewhere(stop_third, NULL);
	} while (more && !lost && at < MOST);
	CHECK_EQ(lost, 0);
	ends(at);
}

/* ---- spans that no CPU owns ---- */

/* This CPU's spans of that size become the cache's. */
static void let_go(void *arg)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_here();
	struct mw_slot *slot = cpu->slot[mw_span_of(central.all[0])->cache->id];

	(void)arg;
	while (mw_slot_flush(cpu, slot, MW_GATHER_STEP))
		;
	mw_port_unpin(state);
}

/* Spans with every other object free, in nobody's hands. */
static void make_spans(void *arg)
{
	size_t spans = 0;

	(void)arg;
	for (central.n = 0; central.n < MANY && spans <= SPANS; central.n++) {
		char *object = central.all[central.n] = mw_alloc(SIZE, 0);

		NEED(object);
		spans += !central.n || mw_span_of(object) != mw_span_of(central.all[central.n - 1]);
	}
	NEED(spans > SPANS);
	for (size_t i = 0; i < central.n; i += 2) {
		mw_free(central.all[i]);
		central.all[i] = central.all[i + 1];
	}
	let_go(NULL);
}

static void take_first(void *arg)
{
	(void)arg;
	central.first = mw_alloc(SIZE, 0);
}

static void take_second(void *arg)
{
	(void)arg;
	central.second = mw_alloc(SIZE, 0);
}

static void give_second(void *arg)
{
	mw_free(central.second);
	let_go(arg);
}

static void give_first(void *arg)
{
	mw_free(central.first);
	let_go(arg);
}

TEST_WITH(two_take_spans_that_nobody_owns, TEST_HOSTED)
{
	unsigned long at = 0, shared = 0;
	bool more;

	NEED(test_heap(HEAP));
	test_elsewhere(make_spans, NULL);
	do {
		more = test_step(take_first, take_second, NULL, at++);
		NEED(central.first && central.second);
		shared += mw_span_of(central.first) == mw_span_of(central.second);
		give_first(NULL);
		as_other(give_second, NULL);
	} while (more && !shared && at < MOST);
	CHECK_EQ(shared, 0);
	for (size_t i = 1; i < central.n; i += 2)
		mw_free(central.all[i]);
	ends(at);
}

/* One takes a span and the other one gives one back. */
TEST_WITH(one_gives_what_the_other_takes, TEST_HOSTED)
{
	unsigned long at = 0;
	bool more;

	NEED(test_heap(HEAP));
	test_elsewhere(make_spans, NULL);
	do {
		as_other(take_second, NULL);
		more = test_step(take_first, give_second, NULL, at++);
		NEED(central.first && central.second);
		CHECK(!is_free(central.first));
		give_first(NULL);
		if (!(at % 64))
			CHECK(mw_object_check());
	} while (more && at < MOST);
	for (size_t i = 1; i < central.n; i += 2)
		mw_free(central.all[i]);
	ends(at);
}
