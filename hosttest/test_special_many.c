/* SPDX-License-Identifier: MIT */
/* Special records on many CPUs at once. */
#include <marrow/watch.h>
#include "gc_heap.h"

#if MW_GC

#define MOST_CPUS 4
#define ROUNDS 400
#define WEAK 64

struct thing {
	struct thing *next;
	uintptr_t magic, number;
};

static struct mw_type thing_type = MW_TYPE(struct thing, MW_PTR(struct thing, next));

#define MAGIC 0x5ee7u

static struct {
	mw_atomic_t made, finalized, cleaned, cleanups, wrong;
	struct mw_weak *weak[WEAK]; /* for all CPUs */
	struct mw_weak_table *table;
	unsigned char seen[MOST_CPUS * ROUNDS * 8];
} many;

static void many_finalizer(void *object, void *arg)
{
	struct thing *thing = object;

	/* What it points to is as it was, and its own finalizer was not called yet. */
	if (thing->magic != MAGIC || thing->number != (uintptr_t)arg ||
	    (thing->next && thing->next->magic != MAGIC))
		atomic_fetch_add(&many.wrong, 1);
	if (__atomic_fetch_add(&many.seen[thing->number], 1, __ATOMIC_RELAXED))
		atomic_fetch_add(&many.wrong, 1);
	thing->magic = MAGIC + 1;
	atomic_fetch_add(&many.finalized, 1);
}

static void many_cleanup(void *arg)
{
	if (((struct thing *)arg)->magic != MAGIC)
		atomic_fetch_add(&many.wrong, 1);
	atomic_fetch_add(&many.cleaned, 1);
}

NOINLINE static struct thing *thing_new(void)
{
	struct thing *thing = mw_new(&thing_type, MW_NORMAL);

	if (thing)
		thing->magic = MAGIC;
	return thing;
}

/* One that dies with a finalizer, and one with a cleanup, behind it. */
NOINLINE static void drop_some(void)
{
	struct thing *a = thing_new(), *b = thing_new(), *arg = thing_new();
	struct mw_cleanup *cancelled;
	struct mw_weak *weak;

	if (!a || !b || !arg) {
		atomic_fetch_add(&many.wrong, 1);
		return;
	}
	a->next = b;
	a->number = atomic_fetch_add(&many.made, 1);
	if (!mw_finalizer_set(a, many_finalizer, (void *)a->number) || !mw_tag_set(b, a->number + 1))
		atomic_fetch_add(&many.wrong, 1);
	if (mw_finalizer_set(a, many_finalizer, NULL) || mw_tag_get(b) != a->number + 1)
		atomic_fetch_add(&many.wrong, 1);
	if (mw_cleanup_add(b, many_cleanup, arg))
		atomic_fetch_add(&many.cleanups, 1);
	cancelled = mw_cleanup_add(b, many_cleanup, arg);
	weak = mw_weak_new(b);
	if (!mw_weak_table_put(many.table, b, arg) || mw_weak_table_get(many.table, b) != arg ||
	    mw_weak_get(weak) != b || !mw_cleanup_cancel(cancelled))
		atomic_fetch_add(&many.wrong, 1);
	mw_weak_free(weak);
}

/* References that all CPUs read, and one replaces. */
NOINLINE static void use_weak(unsigned int cpu, size_t i)
{
	struct thing *thing = mw_weak_get(many.weak[i]);

	if (thing && thing->magic != MAGIC)
		atomic_fetch_add(&many.wrong, 1);
	if (thing && cpu == 0 && test_below(4) == 0)
		root[i] = NULL;
}

static void many_body(unsigned int cpu, void *arg)
{
	size_t rounds = test_rounds(ROUNDS);

	(void)arg;
	test_barrier();
	for (size_t round = 0; round < rounds; round++) {
		drop_some();
		for (size_t i = 0; i < 4; i++)
			use_weak(cpu, test_below(WEAK));
		if (round % (rounds / 4) == rounds / 16 * cpu)
			(void)mw_gc_collect(round & 1 ? MW_COLLECT_SWEPT : MW_COLLECT_MARKED);
		if (round % 16 == cpu)
			mw_finalizers_run(round % 7);
	}
	scribble();
}

NOINLINE static void make_weak(void)
{
	for (size_t i = 0; i < WEAK; i++) {
		root[i] = (struct node *)thing_new();
		many.weak[i] = mw_weak_new(root[i]);
		NEED(many.weak[i]);
	}
}

/* The most CPUs that marked in one cycle. */
static mw_atomic_t most_markers;

static void count_markers(struct mw_gc_listener *self, enum mw_gc_moment moment,
			  const struct mw_gc_cycle *cycle)
{
	(void)self;
	if (moment == MW_GC_MARKED && cycle->markers > atomic_load(&most_markers))
		atomic_store(&most_markers, cycle->markers);
}

TEST(many_cpus_at_once)
{
	static struct mw_gc_listener listener = { .moment = count_markers };
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);

	setup(64 << 20);
	__builtin_memset((void *)&many, 0, sizeof(many));
	many.table = mw_weak_table_new("many");
	NEED(many.table);
	make_weak();
	atomic_store(&most_markers, 0);
	mw_gc_listen(&listener);
	test_parallel(cpus, many_body, NULL);
	mw_gc_unlisten(&listener);
	CHECK(cpus == 1 || atomic_load(&most_markers) > 1);
	for (unsigned int i = 0; i < 4; i++) {
		collect();
		mw_finalizers_run(SIZE_MAX);
	}
	CHECK_EQ(many.wrong, 0);
	CHECK_EQ(many.made, cpus * test_rounds(ROUNDS));
	CHECK(many.finalized <= many.made && many.finalized >= many.made * 9 / 10);
	CHECK(many.cleaned <= many.cleanups && many.cleaned >= many.cleanups * 9 / 10);
	for (size_t i = 0; i < WEAK; i++) {
		CHECK(!mw_weak_get(many.weak[i]) || root[i]);
		mw_weak_free(many.weak[i]);
	}
	mw_weak_table_free(many.table);
	CHECK(mw_heap_check());
}

/* ---- set, clear and die at once ---- */

#define SHARED 32

static struct {
	mw_atomic_t sets, refused, clears, none, ran, wrong;
} storm;

static void storm_finalizer(void *object, void *arg)
{
	struct thing *thing = object;

	if (thing->magic != MAGIC || (uintptr_t)arg != thing->number)
		atomic_fetch_add(&storm.wrong, 1);
	atomic_fetch_add(&storm.ran, 1);
}

static void count(mw_atomic_t *yes, mw_atomic_t *no, bool did)
{
	atomic_fetch_add(did ? yes : no, 1);
}

/* Objects that all CPUs have: any of them sets and clears, and lets go of them by putting a new one there. */
NOINLINE static void storm_step(size_t slot)
{
	struct thing *thing = __atomic_load_n((struct thing **)&root[slot], __ATOMIC_ACQUIRE);

	if (!thing || test_below(4) == 0) {
		thing = thing_new();
		if (!thing)
			return;
		thing->number = slot;
		__atomic_store_n((struct thing **)&root[slot], thing, __ATOMIC_RELEASE);
	}
	if (test_below(3))
		count(&storm.sets, &storm.refused,
		      mw_finalizer_set(thing, storm_finalizer, (void *)slot));
	else
		count(&storm.clears, &storm.none, mw_finalizer_clear(thing));
}

static void storm_body(unsigned int cpu, void *arg)
{
	(void)arg;
	test_barrier();
	for (size_t round = 0; round < 8 * ROUNDS; round++) {
		storm_step(test_below(SHARED));
		if (round % 800 == 200 * cpu)
			(void)mw_gc_collect(round & 1 ? MW_COLLECT_SWEPT : MW_COLLECT_MARKED);
		if (round % 64 == cpu)
			mw_finalizers_run(round % 7);
	}
	scribble();
}

TEST(set_clear_and_die_at_once)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);
	size_t left;

	setup(64 << 20);
	__builtin_memset((void *)&storm, 0, sizeof(storm));
	test_parallel(cpus, storm_body, NULL);
	for (size_t i = 0; i < SHARED; i++)
		root[i] = NULL;
	for (unsigned int i = 0; i < 4; i++) {
		collect();
		mw_finalizers_run(SIZE_MAX);
	}
	/* Each that was set was cleared, or has run, or is still there. */
	left = atomic_load(&mw_special.pool[MW_RECORD_FINALIZER].in_use);
	test_note("%lu set, %lu cleared, %lu ran, %zu left", storm.sets, storm.clears, storm.ran,
		  left);
	CHECK_EQ(storm.wrong, 0);
	CHECK_EQ(storm.sets, storm.clears + storm.ran + left);
	CHECK(storm.clears > 100 && storm.ran > 100 && storm.refused > 0 && storm.none > 0);
	CHECK(left <= storm.sets / 10);
	CHECK(mw_heap_check());
}

TEST(the_worker_runs_what_is_due)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);
	uint64_t until;

	setup(64 << 20);
	__builtin_memset((void *)&many, 0, sizeof(many));
	many.table = mw_weak_table_new("many");
	NEED(many.table);
	make_weak();
	if (!test_workers(true))
		test_skip("no threads for workers");
	test_parallel(cpus, many_body, NULL);
	until = test_now() + UINT64_C(10000000000);
	/* A cleanup comes in the cycle after its object's finalizer has run, and that takes the worker's time. */
	do {
		uint64_t next = test_now() + 10000000;

		collect();
		while (test_now() < next)
			mw_port_relax();
	} while (atomic_load(&many.cleaned) < many.cleanups * 9 / 10 && test_now() < until);
	test_workers(false);
	CHECK_EQ(many.wrong, 0);
	CHECK(many.finalized >= many.made * 9 / 10);
	CHECK(many.cleaned >= many.cleanups * 9 / 10);
	mw_weak_table_free(many.table);
}

#endif
