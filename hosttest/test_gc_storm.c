/* SPDX-License-Identifier: MIT */
/* The collector among interrupts that allocate, free and store references, on one CPU and on all. */
#include "gc_lists.h"

#if MW_GC

#define RING 100
#define CPUS 4
#define STORM_MOST 20000

/* One for each CPU: its interrupts alone write it, and its part of the roots. */
static struct storm {
	unsigned long next, failed, bad;
} storm[CPUS];

static struct node **ring_of(const struct storm *s)
{
	return root + (s - storm) * RING;
}

/* A node's value is its number, which says where it belongs; one that was freed has another. */
static bool in_place(const struct node *node, size_t slot)
{
	return node->value && (node->value - 1) % RING == slot;
}

/*
 * New nodes, each pointing to the one before it in the ring, into roots; some are freed by hand. Only the
 * new node leads to the one whose place it takes, wherever the mark has got to.
 */
static void strike(void *arg)
{
	struct storm *s = arg;
	struct node **ring = ring_of(s);

	/* A slow build gets interrupts all the time: it must come to its collections some time. */
	for (unsigned int i = 0; i < 8 && s->next < STORM_MOST; i++) {
		unsigned long n = s->next++;
		struct node *node = mw_new(&node_type, MW_ATOMIC), *old = ring[n % RING];

		if (old &&
		    (!in_place(old, n % RING) || (old->other && !in_place(old->other, n % RING))))
			s->bad++;
		if (!node) {
			s->failed++;
			continue;
		}
		node->value = n + 1;
		node->next = ring[(n + RING - 1) % RING];
		if (node->next)
			node->next->next = NULL;
		node->other = old;
		if (old)
			old->other = NULL;
		ring[n % RING] = node;
		if (n % 5 == 0)
			mw_free(mw_alloc(40000, MW_COLLECTED | MW_ATOMIC));
	}
}

NOINLINE static void check_ring(const struct storm *s)
{
	struct node **ring = ring_of(s);

	for (size_t i = 0; i < RING; i++)
		for (struct node *node = ring[i]; node; node = node->other)
			CHECK(in_place(node, i) && mw_gc_is_object(node));
}

static void prepare(void)
{
	setup(48 << 20);
	test_heap_may_leak();
	__builtin_memset(storm, 0, sizeof(storm));
	NEED(mw_type_ready(&node_type));
}

NOINLINE static void make_garbage(size_t n)
{
	while (n--)
		(void)mw_new(&node_type, MW_NORMAL);
}

TEST(storms_from_interrupts)
{
	unsigned long came;

	prepare();
	if (!test_interrupts_on(strike, storm))
		test_skip("no interrupts to be had");
	for (unsigned int i = 0; i < 60; i++) {
		make_garbage(300);
		CHECK(mw_gc_collect(i % 2 ? MW_COLLECT_SWEPT : MW_COLLECT_MARKED));
	}
	came = test_interrupts_off();
	test_note("%lu interrupts, %lu nodes, %lu not had", came, storm->next, storm->failed);
	CHECK(came > 0);
	CHECK_EQ(storm->bad, 0);
	check_ring(storm);
	collect();
	check_ring(storm);
	CHECK(mw_gc_check());
	CHECK(live_objects() < 3 * RING);
}

static mw_atomic_t storm_came, storm_cycles;

/* Every CPU is interrupted all the time, the collecting ones too, stopped or not. */
static void in_the_storm(unsigned int i, void *arg)
{
	unsigned long cycles = *(unsigned long *)arg;

	if (!test_interrupts_on(strike, &storm[i]))
		return;
	test_barrier();
	for (unsigned long n = 0; n < cycles; n++) {
		make_garbage(100);
		if (n % CPUS == i) {
			CHECK(mw_gc_collect(n % 3 ? MW_COLLECT_MARKED : MW_COLLECT_SWEPT));
			atomic_fetch_add(&storm_cycles, 1);
		}
	}
	atomic_fetch_add(&storm_came, test_interrupts_off());
}

TEST(storms_on_every_cpu)
{
	unsigned int cpus = mw_min(test_cpus(), CPUS);
	unsigned long cycles = 60;

	prepare();
	atomic_store(&storm_came, 0);
	atomic_store(&storm_cycles, 0);
	test_parallel(cpus, in_the_storm, &cycles);
	if (!atomic_load(&storm_cycles))
		test_skip("no interrupts to be had");
	test_note("%lu interrupts on %u CPUs", atomic_load(&storm_came), cpus);
	CHECK(atomic_load(&storm_came) > 0);
	for (unsigned int i = 0; i < cpus; i++) {
		CHECK_EQ(storm[i].bad, 0);
		check_ring(&storm[i]);
	}
	collect();
	collect();
	CHECK(mw_gc_check());
	CHECK(live_objects() < (size_t)cpus * 2 * RING + 2 * RING);
}

/*
 * The same, with nothing left to chance: a listener allocates and frees at every moment between stop
 * and start, as an interrupt of the collecting CPU would.
 */
static void strike_at(struct mw_gc_listener *self, enum mw_gc_moment moment,
		      const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment >= MW_GC_STOPPED && moment <= MW_GC_STARTED)
		strike(storm);
}

TEST(births_between_stop_and_start)
{
	static struct mw_gc_listener listener = { .moment = strike_at };

	prepare();
	mw_gc_listen(&listener);
	for (unsigned int i = 0; i < 40; i++) {
		collect();
		check_ring(storm);
	}
	mw_gc_unlisten(&listener);
	CHECK_EQ(storm->bad, 0);
	CHECK(storm->next > 40 * 8);
	CHECK(mw_gc_check());
	CHECK(live_objects() < 3 * RING);
}

/* ---- what is born during a mark, and what it points to ---- */

struct pair {
	struct pair *behind;
	uintptr_t name;
};

/* No root: inverted. The older one is known to a handler alone as soon as the younger one is there. */
static struct {
	uintptr_t older, younger;
	bool rooted; /* a root leads to it, too */
} hidden;

static void bear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	struct pair *pair;

	(void)self, (void)cycle;
	if (moment != MW_GC_ROOTS_DONE || hidden.younger)
		return;
	pair = mw_alloc(sizeof(*pair), MW_COLLECTED | MW_ATOMIC);
	NEED(pair);
	pair->behind = (struct pair *)~hidden.older;
	pair->name = 2;
	hidden.younger = ~(uintptr_t)pair;
	root[0] = hidden.rooted ? (struct node *)pair : NULL;
}

NOINLINE static void make_older(void)
{
	struct pair *pair = mw_alloc(sizeof(*pair), MW_COLLECTED);

	NEED(pair);
	*pair = (struct pair){ .name = 1 };
	hidden.older = ~(uintptr_t)pair;
	hidden.younger = 0;
}

TEST(newborns_keep_what_they_point_to)
{
	static struct mw_gc_listener listener = { .moment = bear };
	struct pair *pair;

	prepare();
	mw_gc_listen(&listener);
	for (unsigned int i = 0; i < 8; i++) {
		make_older();
		hidden.rooted = i % 4 > 1;
		mw_gc_debug(i % 2 ? MW_GC_DEBUG_CHECK : 0, 0);
		collect();
		CHECK(i % 2 == 0 || mw_gc.check_ok);
		NEED(hidden.younger);
		pair = (struct pair *)~hidden.younger;
		CHECK(mw_gc_is_object(pair) && mw_gc_is_object((struct pair *)~hidden.older));
		CHECK_EQ(pair->name, 2);
		CHECK_EQ(((struct pair *)~hidden.older)->name, 1);
	}
	CHECK(mw_heap_check());
	mw_gc_debug(0, 0);
	mw_gc_unlisten(&listener);
}

#endif
