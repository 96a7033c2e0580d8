// SPDX-License-Identifier: MIT
/* Locks: one at a time, from interrupts too; and, in debug builds, the order of ranks. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/base/hold.h"
#include "../mm/base/lock.h"
#include "../mm/page/span.h"

#define TURNS test_rounds(10000)

static struct {
	struct mw_lock lock;
	unsigned long a, b; /* equal whenever the lock is free */
} shared;

static void step(void)
{
	shared.a++;
	/* Make the window wide enough to be fallen into: long, and now and then a turn of the scheduler. */
	for (volatile int i = 0; i < 30; i++)
		;
	if (shared.a % 16 == 0)
		mw_port_relax();
	if (shared.a != shared.b + 1)
		CHECK_EQ(shared.a, shared.b + 1);
	shared.b++;
}

static void lock_worker(unsigned int i, void *arg)
{
	(void)arg;
	test_barrier();
	for (unsigned long turn = 0; turn < TURNS; turn++) {
		unsigned long state;

		if ((turn + i) % 3) {
			state = mw_lock(&shared.lock);
		} else {
			state = mw_port_pin();
			while (!mw_trylock_pinned(&shared.lock))
				mw_port_relax();
		}
		step();
		mw_unlock(&shared.lock, state);
	}
}

static void reset_shared(void)
{
	mw_lock_init(&shared.lock, MW_RANK_CENTRAL);
	shared.a = shared.b = 0;
}

TEST(one_at_a_time)
{
	unsigned int n = test_cpus() < 4 ? test_cpus() : 4;

	reset_shared();
	test_parallel(n, lock_worker, NULL);
	CHECK_EQ(shared.a, n * TURNS);
	CHECK_EQ(shared.b, n * TURNS);
	CHECK(!mw_lock_held(&shared.lock));
}

static void locked_step(void *arg)
{
	unsigned long state = mw_lock(&shared.lock);

	(void)arg;
	step();
	mw_unlock(&shared.lock, state);
}

/* The interrupt takes the same lock: a pin that lets it in would wait for itself for ever. */
TEST(interrupts_wait_for_unpin)
{
	uint64_t until = test_now() + 50000000;
	unsigned long own = 0, taken;

	reset_shared();
	if (!test_interrupts_on(locked_step, NULL))
		test_skip("no interrupts here");
	while (test_now() < until) {
		locked_step(NULL);
		own++;
	}
	taken = test_interrupts_off();
	CHECK_EQ(shared.a, own + taken);
	CHECK(taken > 0);
	test_note("%lu interrupts in %lu turns", taken, own);
}

TEST(trylock_says_no)
{
	struct mw_lock lock = MW_LOCK_INIT(MW_RANK_LEAF);
	unsigned long state = mw_port_pin();

	CHECK(mw_trylock_pinned(&lock));
	CHECK(mw_lock_held(&lock));
	CHECK(!mw_trylock_pinned(&lock));
	mw_unlock_pinned(&lock);
	CHECK(!mw_lock_held(&lock));
	mw_port_unpin(state);
}

/* ---- ranks ---- */

static struct mw_lock first = MW_LOCK_INIT(MW_RANK_CENTRAL);
static struct mw_lock second = MW_LOCK_INIT(MW_RANK_HEAP);
static struct mw_lock third = MW_LOCK_INIT(MW_RANK_HEAP);

static void in_order(void *arg)
{
	unsigned long state = mw_lock(&first);

	(void)arg;
	mw_lock_pinned(&second);
	mw_unlock_pinned(&second);
	mw_lock_pinned(&third);
	/* Giving back in any order is fine. */
	mw_unlock_pinned(&first);
	mw_unlock_pinned(&third);
	mw_port_unpin(state);
}

static void against_the_order(void *arg)
{
	(void)arg;
	(void)mw_lock(&second);
	mw_lock_pinned(&first);
}

static void same_rank_twice(void *arg)
{
	(void)arg;
	(void)mw_lock(&second);
	mw_lock_pinned(&third);
}

static void unlock_not_held(void *arg)
{
	(void)arg;
	mw_unlock_pinned(&first);
}

static void unlock_of_anothers(void *arg)
{
	(void)arg;
	atomic_store(&first.word, 1);
	mw_unlock_pinned(&first);
}

static void expect_death(void (*fn)(void *arg), bool dies)
{
	const char *why = test_panics(fn, NULL);

	CHECK_EQ(why != NULL, dies);
	mw_lock_init(&first, MW_RANK_CENTRAL);
	mw_lock_init(&second, MW_RANK_HEAP);
	mw_lock_init(&third, MW_RANK_HEAP);
	mw_reset(); /* forgets what this CPU holds */
}

TEST(order_of_ranks_is_executed)
{
	expect_death(in_order, false);
	if (MW_DEBUG < 1)
		test_skip("needs MW_DEBUG");
	expect_death(against_the_order, true);
	expect_death(same_rank_twice, true);
	expect_death(unlock_not_held, true);
	expect_death(unlock_of_anothers, true);
}

/* ---- what must be pinned ---- */

static void lock_unpinned(void *arg)
{
	(void)arg;
	mw_lock_pinned(&first);
}

static void read_map_pinned(void *arg)
{
	unsigned long state = mw_port_pin();

	(void)mw_span_of_pinned(arg);
	mw_port_unpin(state);
}

static void read_map_unpinned(void *arg)
{
	(void)mw_span_of_pinned(arg);
}

static void read_map_while_stopped(void *arg)
{
	NEED(mw_stop_world() < 0);
	(void)mw_span_of_pinned(arg);
	mw_start_world();
}

TEST(pins_are_asserted)
{
	expect_death(read_map_pinned, false);
	expect_death(read_map_while_stopped, false);
	if (MW_DEBUG < 1)
		test_skip("needs MW_DEBUG");
	expect_death(lock_unpinned, true);
	expect_death(read_map_unpinned, true);
}

/* ---- all locks at once, as for a fork ---- */

static void hold_and_release(void *arg)
{
	unsigned long state = mw_port_pin();

	(void)arg;
	mw_hold_all();
	mw_unhold_all();
	mw_port_unpin(state);
}

/* Takes locks of caches, the page heap, and records. */
static void use_all(void *arg)
{
	void *small = mw_alloc(64, 0), *large = mw_alloc(200000, 0), *page = mw_pages_alloc(1, 0);

	NEED(small && large && page);
	mw_free(small);
	mw_free(large);
	mw_pages_free(page, 1);
	++*(unsigned long *)arg;
}

/* Who needs a lock meanwhile waits for it, and gets it. */
TEST_WITH(all_are_held_and_given_back, TEST_HOSTED)
{
	unsigned long at = 0, used = 0, turns = 0;
	bool more;

	if (MW_DEBUG > 1)
		test_skip("it holds many locks of one rank");
	NEED(test_heap(16 << 20));
	use_all(&used);
	do {
		more = test_step(hold_and_release, use_all, &used, at);
		at += at < 2 ? 1 : 7; /* there are many, and most are alike */
		turns++;
	} while (more);
	use_all(&used);
	CHECK_EQ(used, turns + 2);
	CHECK(mw_heap_check());
	test_note("%lu instructions, %lu turns", at, turns);
}
