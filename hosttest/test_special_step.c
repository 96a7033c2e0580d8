// SPDX-License-Identifier: MIT
/*
 * Two CPUs at the records of one object, with a switch at each instruction in turn: who is quicker does it, and
 * the other one finds it done.
 */
#include "special.h"

#if MW_GC

#define MOST 20000u /* instructions: more than there are */
#define LEAST 20u

static struct {
	struct mw_weak *first, *second;
	struct mw_weak_table *table;
	struct mw_cleanup *cleanup;
	bool first_did, second_did;
	unsigned long wrong;
} both;

static void begin(void)
{
	setup(16 << 20);
	root[0] = make(1);
	root[1] = make(2);
	root[2] = make(3);
	both.wrong = 0;
	forget_calls();
}

/* @ready before each pair, @judge after it. */
static void steps(void (*ready)(void), void (*a)(void *arg), void (*b)(void *arg),
		  void (*judge)(void))
{
	unsigned long at = 0;
	bool more;

	do {
		if (ready)
			ready();
		more = test_step(a, b, NULL, at++);
		judge();
	} while (more && !both.wrong && at < MOST);
	CHECK_EQ(both.wrong, 0);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions", at);
}

/* ---- tags ---- */

static void tag_first(void *arg)
{
	(void)arg;
	both.first_did = mw_tag_set(root[0], 1);
}

static void tag_second(void *arg)
{
	(void)arg;
	both.second_did = mw_tag_set(root[0], 2);
}

static void tag_none(void *arg)
{
	(void)arg;
	both.second_did = mw_tag_set(root[0], 0);
}

static void judge_tags(void)
{
	uintptr_t tag = mw_tag_get(root[0]);

	both.wrong += !both.first_did || !both.second_did || (tag != 1 && tag != 2) || records() != 1;
	both.wrong += !mw_tag_set(root[0], 0) || records() != 0;
}

TEST_WITH(two_set_a_tag, TEST_HOSTED)
{
	begin();
	steps(NULL, tag_first, tag_second, judge_tags);
}

static void ready_tag(void)
{
	both.wrong += !mw_tag_set(root[0], 3);
}

static void judge_taken(void)
{
	uintptr_t tag = mw_tag_get(root[0]);

	both.wrong += !both.first_did || !both.second_did || tag > 1 || records() != tag;
}

TEST_WITH(one_sets_a_tag_that_the_other_takes_away, TEST_HOSTED)
{
	begin();
	steps(ready_tag, tag_first, tag_none, judge_taken);
	CHECK(mw_tag_set(root[0], 0));
}

/* ---- weak references ---- */

static void refer_first(void *arg)
{
	(void)arg;
	both.first = mw_weak_new(root[0]);
}

static void refer_second(void *arg)
{
	(void)arg;
	both.second = mw_weak_new(root[0]);
}

static void free_first(void *arg)
{
	(void)arg;
	mw_weak_free(both.first);
}

static void judge_weak(void)
{
	both.wrong += !both.first || !both.second || mw_weak_get(both.first) != root[0] ||
		      mw_weak_get(both.second) != root[0];
	mw_weak_free(both.first);
	both.wrong += mw_weak_get(both.second) != root[0];
	mw_weak_free(both.second);
	both.wrong += records() != 0;
}

TEST_WITH(two_refer_to_an_object, TEST_HOSTED)
{
	begin();
	steps(NULL, refer_first, refer_second, judge_weak);
}

static void ready_weak(void)
{
	refer_first(NULL);
}

static void judge_second(void)
{
	both.wrong += !both.second || mw_weak_get(both.second) != root[0];
	mw_weak_free(both.second);
	both.wrong += records() != 0;
}

TEST_WITH(one_refers_while_the_last_other_leaves, TEST_HOSTED)
{
	begin();
	steps(ready_weak, free_first, refer_second, judge_second);
}

/* ---- tables ---- */

static void put_first(void *arg)
{
	(void)arg;
	both.first_did = mw_weak_table_put(both.table, root[0], root[1]);
}

static void put_second(void *arg)
{
	(void)arg;
	both.second_did = mw_weak_table_put(both.table, root[0], root[2]);
}

static void remove_second(void *arg)
{
	(void)arg;
	both.second_did = mw_weak_table_remove(both.table, root[0]);
}

static void judge_put(void)
{
	void *value = mw_weak_table_get(both.table, root[0]);

	both.wrong += !both.first_did || !both.second_did || (value != root[1] && value != root[2]);
	both.wrong += !mw_weak_table_remove(both.table, root[0]) ||
		      mw_weak_table_get(both.table, root[0]) != NULL;
}

static void judge_removed(void)
{
	void *value = mw_weak_table_get(both.table, root[0]);

	both.wrong += !both.first_did || value != (both.second_did ? NULL : root[1]);
	both.wrong += mw_weak_table_remove(both.table, root[0]) == both.second_did;
}

TEST_WITH(two_put_one_key, TEST_HOSTED)
{
	begin();
	NEED(both.table = mw_weak_table_new("steps"));
	steps(NULL, put_first, put_second, judge_put);
	mw_weak_table_free(both.table);
}

TEST_WITH(one_puts_what_the_other_removes, TEST_HOSTED)
{
	begin();
	NEED(both.table = mw_weak_table_new("steps"));
	steps(NULL, put_first, remove_second, judge_removed);
	mw_weak_table_free(both.table);
}

/* ---- the end of an object ---- */

static void note_end(void *arg)
{
	saw(arg, 1);
}

static void ready_cleanup(void)
{
	root[0] = make(1);
	both.cleanup = mw_cleanup_add(root[0], note_end, NULL);
	NEED(both.cleanup);
	forget_calls();
}

static void cancel(void *arg)
{
	(void)arg;
	both.first_did = mw_cleanup_cancel(both.cleanup);
}

static void end_by_hand(void *arg)
{
	(void)arg;
	mw_free(root[0]);
}

static void judge_end(void)
{
	while (mw_worker_run(MW_WORKER_FINALIZE, 1000000))
		;
	both.wrong += (atomic_load(&calls.n) == 1) == both.first_did || records() != 0;
}

/* It is called, or it was cancelled. */
TEST_WITH(one_cancels_what_the_other_brings_about, TEST_HOSTED)
{
	begin();
	steps(ready_cleanup, cancel, end_by_hand, judge_end);
	root[0] = NULL;
}

/* Two that have time for one call find one: it is made once, and whoever made it says so. */
static void ready_call(void)
{
	ready_cleanup();
	mw_free(root[0]);
}

static void call_first(void *arg)
{
	(void)arg;
	both.first_did = mw_finalizers_run(1);
}

static void call_second(void *arg)
{
	(void)arg;
	both.second_did = mw_finalizers_run(1);
}

static void judge_call(void)
{
	both.wrong += atomic_load(&calls.n) != 1 || both.first_did == both.second_did;
	both.wrong += mw_finalizers_run(1) != 0 || records() != 0;
}

TEST_WITH(two_make_the_only_call, TEST_HOSTED)
{
	begin();
	steps(ready_call, call_first, call_second, judge_call);
	root[0] = NULL;
}

/* ---- a span that is swept in pieces ---- */

#define MANY ((size_t)3 * MW_SWEEP_STEP)

BARE NOINLINE static void collect_marked(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
}

static struct {
	struct mw_span *span;
	unsigned long between; /* the other one came when it had been given back */
} pieces;

NOINLINE static void make_one(size_t i)
{
	void *object = mw_alloc(16, MW_COLLECTED);

	NEED(object && mw_cleanup_add(object, note_end, (void *)(i + 1)));
	pieces.span = mw_span_of(object);
	both.wrong += mw_span_of(root[0]) != pieces.span;
}

BARE static void make_many(void)
{
	for (size_t i = 0; i < MANY; i++)
		make_one(i);
	both.wrong += records() != MANY;
	forget_calls();
	collect_marked();
}

static void sweep_it(void *arg)
{
	(void)arg;
	mw_up_span_sweep(pieces.span);
}

static void sweep_it_too(void *arg)
{
	pieces.between += mw_up_span_unswept(pieces.span) && mw_word(&pieces.span->gc_scanned);
	sweep_it(arg);
	both.wrong += mw_up_span_unswept(pieces.span) || records() != MANY;
}

static void judge_many(void)
{
	uintptr_t sum = 0;

	while (mw_worker_run(MW_WORKER_FINALIZE, 1000000))
		;
	for (size_t i = 0; i < mw_word(&calls.n) && i < MOST_CALLS; i++)
		sum += ~calls.object[i];
	both.wrong += mw_word(&calls.n) != MANY || sum != MANY * (MANY + 1) / 2 || records() != 0;
	both.wrong += mw_word(&pieces.span->gc_scanned) != 0;
}

/* All are told once, whoever sweeps which piece. */
TEST_WITH(two_sweep_a_span_in_pieces, TEST_HOSTED)
{
	begin();
	pieces.between = 0;
	NEED(root[0] = mw_alloc(16, MW_COLLECTED));
	steps(make_many, sweep_it, sweep_it_too, judge_many);
	CHECK(pieces.between > 0);
	test_note("%lu times between two pieces", pieces.between);
}

TEST_WITH(one_brings_about_what_the_other_cancels, TEST_HOSTED)
{
	begin();
	steps(ready_cleanup, end_by_hand, cancel, judge_end);
	root[0] = NULL;
}

#endif
