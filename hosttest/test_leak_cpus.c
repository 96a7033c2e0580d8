/* SPDX-License-Identifier: MIT */
/* The leak scan among CPUs and interrupts, and in numbers. */
#include "leak.h"

#if MW_GC

/* ---- among CPUs and interrupts ---- */

#define MOST_CPUS 4
#define MINE 64

/* Each CPU has a list of its own, to which it adds and from which it frees, and trades with others. */
static void churn(unsigned int cpu, void *arg)
{
	struct mw_leak_want want = { .most = 3 };
	size_t *found = arg, most = test_rounds(3000);

	test_barrier();
	for (size_t i = 0; i < most; i++) {
		size_t slot = cpu * MINE + test_below(MINE);
		struct thing *thing = (struct thing *)root[slot];

		if (thing && test_below(2)) {
			root[slot] = (struct node *)thing->next;
			mw_free(thing);
		} else {
			thing = mw_alloc(16u << test_below(7), MW_ZERO);
			if (thing)
				thing->next = (struct thing *)root[slot];
			root[slot] = thing ? (struct node *)thing : root[slot];
		}
		if (i % (most / 3) == most / 15 * cpu + most / 30)
			found[cpu] += mw_leak_scan(&want);
	}
}

TEST(no_false_report_while_all_allocate)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);
	size_t found[MOST_CPUS] = { 0 };

	setup(32 << 20);
	NEED(MOST_CPUS * MINE <= ROOTS);
	test_parallel(cpus, churn, found);
	for (unsigned int i = 0; i < cpus; i++)
		CHECK_EQ(found[i], 0);
	leak(20, 64);
	CHECK_EQ(scan(&quiet), 20);
	free_leaks(20);
	for (size_t slot = 0; slot < ROOTS; slot++)
		free_list(slot);
	CHECK(mw_heap_check());
}

static struct {
	unsigned long n, bad;
} strikes;

/* Whole spans are filled and emptied at once, large objects too. */
static void strike(void *arg)
{
	enum {
		MOST = 40
	};
	void *object[MOST];

	(void)arg;
	if (strikes.n++ > 5000)
		return;
	for (size_t i = 0; i < MOST; i++)
		object[i] = mw_alloc(i % 8 ? 3000 : 40000, MW_ATOMIC);
	for (size_t i = 0; i < MOST; i++)
		mw_free(object[i]);
}

static void strike_at(struct mw_gc_listener *self, enum mw_gc_moment moment,
		      const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment >= MW_GC_STOPPED && moment <= MW_GC_STARTED)
		strike(NULL);
}

/* At every moment between stop and start, as an interrupt of the collecting CPU would. */
TEST(spans_that_are_emptied_during_the_mark)
{
	static struct mw_gc_listener listener = { .moment = strike_at };

	setup(32 << 20);
	keep(0, 1000);
	leak(10, 64);
	mw_gc_listen(&listener);
	for (unsigned int i = 0; i < 20; i++) {
		strike(NULL);
		CHECK_EQ(scan(&quiet), 10);
		CHECK(mw_heap_check());
	}
	mw_gc_unlisten(&listener);
	CHECK_EQ(mw_gc.wide.left, 0);
	free_leaks(10);
	free_list(0);
}

TEST(storms_of_interrupts)
{
	unsigned long came = 0;

	setup(32 << 20);
	keep(0, 2000);
	leak(10, 64);
	strikes.n = 0;
	if (!test_interrupts_on(strike, NULL))
		test_skip("no interrupts to be had");
	/* A busy host may take long to let the first one come. */
	for (unsigned int i = 0; i < 10 || (!strikes.n && i < 10000); i++)
		CHECK_EQ(scan(&quiet), 10);
	came = test_interrupts_off();
	test_note("%lu interrupts", came);
	CHECK(came > 0);
	free_leaks(10);
	free_list(0);
	CHECK(mw_heap_check());
}

/* ---- in numbers ---- */

#define MILLION 1000000
#define SEEDS 1000

/* A table points to each, each one points to another; another table to every thousandth of them. */
NOINLINE static void make_million(size_t n)
{
	struct thing **table = mw_alloc(n * sizeof(*table), MW_ZERO);
	struct thing **lost = mw_alloc(SEEDS * sizeof(*table), MW_ZERO);

	NEED(table && lost);
	root[0] = (struct node *)table;
	root[1] = (struct node *)lost;
	for (size_t i = 0; i < n; i++) {
		table[i] = thing_new(MW_NORMAL);
		if (i)
			table[i]->next = table[test_below(i)];
		if (i % (n / SEEDS) == 1)
			lost[i / (n / SEEDS)] = thing_new(MW_NORMAL);
	}
}

NOINLINE static void lose_them(void)
{
	struct thing **lost = (struct thing **)root[1];

	for (size_t i = 0; i < SEEDS; i++)
		lost[i] = NULL;
}

/* Of one mark, of two if something is missed. */
NOINLINE static uint64_t cost_of_scan(size_t expected)
{
	uint64_t before = test_instructions();

	CHECK_EQ(scan(&quiet), expected);
	return test_instructions() - before;
}

static struct mw_type chained_type = MW_TYPE(struct thing, MW_PTR(struct thing, next));

NOINLINE static void chain(struct mw_cache *cache, size_t slot, size_t n)
{
	while (n--) {
		struct thing *thing = cache ? mw_cache_alloc(cache, MW_ZERO) : thing_new(MW_NORMAL);

		NEED(thing);
		thing->next = (struct thing *)root[slot];
		root[slot] = (struct node *)thing;
	}
}

NOINLINE static void unchain(struct mw_cache *cache, size_t slot)
{
	while (root[slot]) {
		struct thing *thing = (struct thing *)root[slot];

		root[slot] = (struct node *)thing->next;
		if (cache)
			mw_cache_free(cache, thing);
		else
			mw_free(thing);
	}
}

/* Live objects of 64 bytes with one pointer each: the difference of two heaps is what one costs. */
static unsigned int cost_of_chain(struct mw_cache *cache)
{
	size_t few = 1000, many = 50000;
	uint64_t cost[2];

	chain(cache, 0, few);
	cost[0] = cost_of_scan(0);
	chain(cache, 0, many);
	cost[1] = cost_of_scan(0);
	unchain(cache, 0);
	return (unsigned int)((cost[1] - cost[0]) / many);
}

TEST_WITH(instructions_per_live_object, TEST_COUNTED)
{
	struct mw_cache_want want = { .name = "chained",
				      .size = sizeof(struct thing),
				      .type = &chained_type };
	struct mw_cache *cache;
	unsigned int typed, plain;

	setup(32 << 20);
	NEED(mw_type_ready(&chained_type));
	cache = mw_cache_create(&want);
	NEED(cache);
	typed = cost_of_chain(cache);
	plain = cost_of_chain(NULL);
	test_note("%u instructions an object of a type, %u if every word may be a pointer", typed,
		  plain);
	CHECK(typed <= 45);
	CHECK(plain <= 95);
	CHECK(mw_cache_destroy(cache));
}

TEST_WITH(a_thousand_leaks_among_a_million_objects, TEST_COUNTED)
{
	struct mw_leak_want want = { .most = 2 };
	uint64_t empty, full;
	struct mw_stats stats;

	setup((size_t)112 << 20);
	test_heap_may_leak();
	empty = cost_of_scan(0);
	make_million(MILLION);
	/* Nothing is lost yet, and nothing is reported; that takes one mark. */
	full = cost_of_scan(0);
	test_note("%u instructions an object, two pointers to each",
		  (unsigned int)((full - empty) / MILLION));
	CHECK(full - empty <= 120ull * MILLION);
	lose_them();
	CHECK_EQ(scan(&want), SEEDS);
	CHECK_EQ(scan(&quiet), SEEDS);
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, MILLION + SEEDS + 2);
	CHECK(mw_heap_check());
}

#endif
