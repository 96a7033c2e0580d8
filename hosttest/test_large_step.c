// SPDX-License-Identifier: MIT
/*
 * Two CPUs free one large object, with a switch at each instruction in turn: one of them is told so, and nobody
 * else's object is freed, whatever became of the span meanwhile.
 */
#include "test.h"
#include "../mm/object/inside.h"

#define HEAP ((size_t)16 << 20)
#define SIZE ((size_t)64 << 10)
#define MOST 20000u /* instructions: more than there are */
#define LEAST 20u

static struct {
	char *object, *other, *behind, *kept[2];
	unsigned int reports, unknown;
} large;

static void count_report(const struct mw_report *report)
{
	large.reports++;
	large.unknown += report->what != MW_DOUBLE_FREE && report->what != MW_FREED_SPAN &&
			 report->what != MW_INNER_FREE && report->what != MW_FOREIGN_FREE;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void as_other(void (*fn)(void *arg), void *arg)
{
	(void)test_step(nothing, fn, arg, 0);
}

/* An object that the CPU has kept once: it is the holder. */
static void make(void *arg)
{
	(void)arg;
	mw_free(mw_alloc(SIZE, 0));
	NEED(large.object = mw_alloc(SIZE, 0));
	NEED(atomic_load(&mw_span_of(large.object)->holder) == MW_HOLDER_CPU(mw_port_cpu()));
}

static void free_it(void *arg)
{
	(void)arg;
	mw_free(large.object);
}

static void drop(void *arg)
{
	struct mw_list *chain = NULL;
	unsigned long state = mw_port_pin();

	(void)arg;
	(void)mw_stock_cut(mw_cpu_here(), SIZE_MAX, &chain);
	mw_stock_free(chain);
	mw_port_unpin(state);
}

/* The descriptor becomes that of another object, in another place. */
static void free_and_make_other(void *arg)
{
	free_it(arg);
	drop(arg);
	large.other = mw_alloc(2 * SIZE, 0);
}

/* Who takes what is kept has it alone. */
static void take_first(void *arg)
{
	(void)arg;
	large.kept[0] = mw_alloc(SIZE, 0);
}

static void take_second(void *arg)
{
	(void)arg;
	large.kept[1] = mw_alloc(SIZE, 0);
}

static void free_other(void *arg)
{
	(void)arg;
	mw_free(large.other);
	mw_free(large.kept[1]);
	drop(arg);
}

static mw_misuse_fn *begin(void)
{
	NEED(test_heap(HEAP));
	__builtin_memset(&large, 0, sizeof(large));
	return mw_on_misuse(count_report);
}

static void ends(unsigned long at, mw_misuse_fn *before)
{
	mw_on_misuse(before);
	CHECK_EQ(large.unknown, 0);
	CHECK(at > LEAST && at < MOST);
	CHECK(mw_object_check());
	test_note("%lu instructions", at);
	__builtin_memset(&large, 0, sizeof(large));
}

/* Both keep what they free: one of them has it afterwards. */
static void both_keep(void (*maker)(void (*fn)(void *arg), void *arg))
{
	mw_misuse_fn *before = begin();
	unsigned long at = 0, shared = 0;
	bool more;

	do {
		large.reports = 0;
		maker(make, NULL);
		more = test_step(free_it, free_it, NULL, at++);
		take_first(NULL);
		as_other(take_second, NULL);
		NEED(large.kept[0] && large.kept[1]);
		shared += large.kept[0] == large.kept[1] || large.reports != 1;
		mw_free(large.kept[0]);
		drop(NULL);
		as_other(free_other, NULL);
	} while (more && !shared && at < MOST);
	CHECK_EQ(shared, 0);
	ends(at, before);
}

static void here(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

TEST_WITH(two_free_what_one_holds, TEST_HOSTED)
{
	both_keep(here);
}

TEST_WITH(two_free_what_the_other_holds, TEST_HOSTED)
{
	both_keep(as_other);
}

TEST_WITH(two_free_what_a_third_holds, TEST_HOSTED)
{
	both_keep(test_elsewhere);
}

/* The other one gives it back, and has another object behind the same descriptor. */
static void one_gives_back(void (*maker)(void (*fn)(void *arg), void *arg))
{
	mw_misuse_fn *before = begin();
	unsigned long at = 0, wrong = 0, same = 0;
	bool more;

	do {
		struct mw_span *span;

		large.reports = 0;
		maker(make, NULL);
		span = mw_span_of(large.object);
		NEED(large.behind = mw_alloc(SIZE, 0)); /* so that the other one has no room here */
		more = test_step(free_it, free_and_make_other, NULL, at++);
		NEED(large.other && large.other != large.object);
		same += mw_span_of(large.other) == span;
		wrong += large.reports != 1 || !mw_usable_size(large.other);
		large.kept[1] = NULL;
		as_other(free_other, NULL);
		mw_free(large.behind);
		drop(NULL);
	} while (more && !wrong && at < MOST);
	CHECK_EQ(wrong, 0);
	CHECK(same > LEAST);
	ends(at, before);
}

TEST_WITH(what_one_holds_becomes_another, TEST_HOSTED)
{
	one_gives_back(here);
}

TEST_WITH(what_the_other_holds_becomes_another, TEST_HOSTED)
{
	one_gives_back(as_other);
}
