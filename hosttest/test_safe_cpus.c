/* SPDX-License-Identifier: MIT */
/* Safe free among CPUs, interrupts and the worker. */
#include "safe.h"

#if MW_GC

/* ---- among CPUs and interrupts ---- */

#define MOST_CPUS 4
#define MINE 32

static struct {
	mw_atomic_t bad, frees;
} race;

/*
 * Objects are freed and the pointers stay, in roots: what they point to must stay as it was until
 * they go. Every object of the other CPUs is filled with something else.
 */
static void use(unsigned int cpu, size_t slot)
{
	struct thing *thing = dangling(slot);
	uintptr_t mine = 0xdead00u + cpu;

	if (thing) {
		for (size_t w = 0; w < MW_LEN(thing->stamp); w++)
			if (thing->stamp[w] != mine)
				atomic_fetch_add(&race.bad, 1);
		if (test_below(3))
			return;
		root[slot] = NULL;
	}
	thing = mw_alloc(sizeof(*thing), MW_ZERO);
	if (!thing)
		return;
	for (size_t w = 0; w < MW_LEN(thing->stamp); w++)
		thing->stamp[w] = mine;
	root[slot] = (struct node *)thing;
	mw_free(thing);
	atomic_fetch_add(&race.frees, 1);
}

/* And ordinary ones, of several sizes, some freed by another CPU. */
static struct thing *_Atomic trade[MW_MAX_CPUS];

static void trade_one(unsigned int cpu)
{
	struct thing *thing = mw_alloc(64u << test_below(3), MW_ZERO);

	if (!thing)
		return;
	for (size_t w = 0; w < MW_LEN(thing->stamp); w++)
		thing->stamp[w] = NEW + cpu;
	mw_free(atomic_exchange(&trade[test_below(MOST_CPUS)], thing));
}

static void race_body(unsigned int cpu, void *arg)
{
	size_t most = test_rounds(6000);

	(void)arg;
	test_barrier();
	for (size_t i = 0; i < most; i++) {
		use(cpu, cpu * MINE + test_below(MINE));
		trade_one(cpu);
		if (i % (most / 4) == most / 20 * cpu + most / 30)
			(void)mw_gc_collect(MW_COLLECT_MARKED);
	}
}

NOINLINE static void drop_trade(void)
{
	for (size_t i = 0; i < MW_LEN(trade); i++)
		mw_free(atomic_exchange(&trade[i], NULL));
}

TEST(nothing_dangling_is_used_again)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);
	struct mw_safe_stats stats;
	struct mw_safe_policy policy = { .on = true, .hold = 128 << 10 };

	setup(32 << 20);
	CHECK(mw_safe_free(NULL, &policy));
	atomic_store(&race.bad, 0);
	test_parallel(cpus, race_body, NULL);
	drop_trade();
	mw_safe_stats(&stats);
	test_note("%lu marks, %lu released", stats.marks, stats.released);
	CHECK_EQ(race.bad, 0);
	CHECK(stats.marks >= cpus && stats.released > test_rounds(1000));
	CHECK(mw_heap_check());
	for (size_t i = 0; i < ROOTS; i++)
		root[i] = NULL;
	off();
}

/* The mode comes and goes meanwhile, for all or for one cache. */
static void switch_body(unsigned int cpu, void *arg)
{
	struct mw_safe_policy policy = { .hold = 64 << 10 };
	struct mw_leak_want want = { .most = 0 };

	size_t most = test_rounds(3000);

	(void)arg;
	test_barrier();
	for (size_t i = 0; i < most; i++) {
		trade_one(cpu);
		if (i % (most / 10) == most / 50 * cpu + most / 300) {
			policy.on = test_below(2);
			policy.wipe = test_below(2);
			(void)mw_safe_free(NULL, &policy);
		}
		if (cpu == 1 && i % (most / 4) == most / 30)
			(void)mw_leak_scan(&want);
	}
}

TEST(the_mode_comes_and_goes)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);
	struct mw_stats stats;

	setup(32 << 20);
	test_capture();
	test_parallel(cpus, switch_body, NULL);
	(void)test_captured();
	drop_trade();
	off();
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, 0);
}

static struct thing *_Atomic from_interrupt[64];
static mw_atomic_t struck;

static void strike(void *arg)
{
	unsigned long n = atomic_fetch_add(&struck, 1);

	(void)arg;
	if (n > 20000)
		return;
	for (size_t i = 0; i < 8; i++) {
		struct thing *thing = mw_alloc(64, MW_ATOMIC);

		mw_free(atomic_exchange(&from_interrupt[(8 * n + i) % MW_LEN(from_interrupt)], thing));
	}
}

static void strike_at(struct mw_gc_listener *self, enum mw_gc_moment moment,
		      const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment >= MW_GC_STOPPED && moment <= MW_GC_STARTED)
		strike(NULL);
}

NOINLINE static void drop_struck(void)
{
	for (size_t i = 0; i < MW_LEN(from_interrupt); i++)
		mw_free(atomic_exchange(&from_interrupt[i], NULL));
}

TEST(frees_from_interrupts)
{
	static struct mw_gc_listener listener = { .moment = strike_at };
	struct mw_stats stats;
	bool came;

	begin(32 << 20);
	atomic_store(&struck, 0);
	mw_gc_listen(&listener);
	for (unsigned int i = 0; i < 20; i++) {
		dangle(0);
		collect();
		CHECK_EQ(stamp_at(0, 0), OLD);
		CHECK(mw_heap_check());
	}
	mw_gc_unlisten(&listener);
	came = test_interrupts_on(strike, NULL);
	for (unsigned int i = 0; came && i < 20; i++) {
		dangle(0);
		collect();
		CHECK_EQ(stamp_at(0, 0), OLD);
	}
	if (came)
		CHECK(test_interrupts_off() > 0);
	drop_struck();
	root[0] = NULL;
	off();
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, 0);
}

TEST(the_worker_marks_when_it_is_due)
{
	struct mw_safe_stats stats;

	begin(32 << 20);
	if (!test_workers(true))
		test_skip("there are no workers");
	for (unsigned int i = 0; i < 200; i++) {
		churn_bytes(1 << 20);
		mw_safe_stats(&stats);
		if (stats.marks > 3)
			break;
		mw_port_relax();
	}
	test_workers(false);
	mw_safe_stats(&stats);
	CHECK(stats.marks > 3);
	off();
}

#endif
