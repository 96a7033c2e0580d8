// SPDX-License-Identifier: MIT
/* Grace periods: what is deferred runs when every CPU has been seen unpinned since, once, and not before. */
#include <marrow/gc.h>
#include "test.h"
#include "../mm/base/grace.h"

/* Of the hosted port: how long a stop waits for a CPU. */
__attribute__((weak)) void port_world_set_limit(unsigned int seconds);

#define ITEMS 100u

static struct deferred {
	struct mw_grace grace[ITEMS];
	unsigned int done[ITEMS];
	unsigned int all;
	bool pinned;
} deferred;

static void done(struct mw_grace *item)
{
	deferred.done[item - deferred.grace]++;
	deferred.all++;
	deferred.pinned |= mw_port_pinned();
}

static void defer(unsigned int i)
{
	mw_grace_defer(&deferred.grace[i], done);
}

static void begin(void)
{
	test_heap(8 << 20);
	deferred = (struct deferred){ 0 };
}

static void once_each(void)
{
	for (unsigned int i = 0; i < ITEMS; i++)
		CHECK_EQ(deferred.done[i], 1);
	/* A port that cannot tell says that it always is. */
	CHECK(!deferred.pinned || mw_port_pinned());
}

TEST(what_is_deferred_waits_for_a_stop)
{
	begin();
	for (unsigned int i = 0; i < ITEMS; i++)
		defer(i);
	mw_grace_run();
	CHECK_EQ(deferred.all, MW_MAX_CPUS == 1 ? ITEMS : 0);
	CHECK(mw_grace_wait());
	CHECK_EQ(deferred.all, ITEMS);
	mw_grace_run();
	once_each();
}

TEST(stops_of_others_serve)
{
	size_t half = (4 << 20) / MW_PAGE_SIZE;
	unsigned long since;
	void *pages;

	begin();
	pages = mw_pages_alloc(half, MW_NORMAL);
	NEED(pages);
	for (unsigned int i = 0; i < ITEMS; i++)
		defer(i);
	since = mw_grace_begin();
	CHECK_EQ(mw_grace_passed(since), MW_MAX_CPUS == 1);
	/* What cannot be had, in spite of all that is tried. */
	CHECK(!mw_pages_alloc(half, MW_NORMAL));
	mw_pages_free(pages, half);
	CHECK(mw_grace_passed(since));
	once_each();
}

TEST(a_stop_under_way_does_not_count)
{
	unsigned long since;

	begin();
	NEED(mw_stop_world() < 0);
	defer(0);
	since = mw_grace_begin();
	mw_start_world();
	CHECK_EQ(mw_grace_passed(since), MW_MAX_CPUS == 1);
	CHECK_EQ(deferred.all, MW_MAX_CPUS == 1);
	CHECK(mw_grace_wait());
	CHECK_EQ(deferred.all, 1);
}

static void defer_in_interrupt(void *arg)
{
	unsigned int *next = arg;

	if (*next < ITEMS)
		defer((*next)++);
}

TEST(handlers_defer)
{
	uint64_t until = test_now() + 200000000;
	volatile unsigned int next = 0;

	begin();
	if (!test_interrupts_on(defer_in_interrupt, (void *)&next))
		test_skip("no interrupts here");
	while (next < ITEMS && test_now() < until)
		NEED(mw_grace_wait());
	(void)test_interrupts_off();
	CHECK(next > 0);
	CHECK(mw_grace_wait());
	CHECK_EQ(deferred.all, next);
	for (unsigned int i = 0; i < next; i++)
		CHECK_EQ(deferred.done[i], 1);
}

/* ---- several CPUs ---- */

static struct {
	atomic_uint pinned, tried;
	struct cell {
		struct mw_grace grace;
		_Atomic(bool) freed;
	} cells[2];
	struct cell *_Atomic now;
	atomic_uint wrong;
	atomic_bool end;
} world;

static void cell_done(struct mw_grace *item)
{
	atomic_store(&((struct cell *)item)->freed, true);
}

/* The cell in use is replaced by the other one, which may be used again when it has been freed. */
static void replace(unsigned int turns)
{
	for (unsigned int turn = 1; turn <= turns; turn++) {
		struct cell *next = &world.cells[turn % 2], *last = atomic_load(&world.now);

		atomic_store(&next->freed, false);
		atomic_store(&world.now, next);
		mw_grace_defer(&last->grace, cell_done);
		while (!atomic_load(&last->freed))
			NEED(mw_grace_wait());
	}
	atomic_store(&world.end, true);
}

static void read_or_replace(unsigned int cpu, void *arg)
{
	unsigned int *turns = arg;

	if (!cpu) {
		replace(*turns);
		return;
	}
	while (!atomic_load(&world.end)) {
		unsigned long state = mw_port_pin();
		const struct cell *cell = atomic_load(&world.now);

		for (unsigned int i = 0; i < 20; i++)
			if (atomic_load(&cell->freed))
				atomic_fetch_add(&world.wrong, 1);
		mw_port_unpin(state);
	}
}

TEST(readers_never_see_what_is_freed)
{
	unsigned int turns = (unsigned int)test_rounds(300);

	if (test_cpus() < 2)
		test_skip("needs two CPUs");
	begin();
	world.cells[0].freed = world.cells[1].freed = false;
	atomic_store(&world.now, &world.cells[0]);
	atomic_store(&world.wrong, 0);
	atomic_store(&world.end, false);
	test_parallel(test_cpus() < 4 ? test_cpus() : 4, read_or_replace, &turns);
	CHECK_EQ(atomic_load(&world.wrong), 0);
}

static void stay_pinned(unsigned int cpu, void *arg)
{
	unsigned long state;

	(void)arg;
	if (!cpu) {
		while (!atomic_load(&world.pinned))
			mw_port_relax();
		CHECK(!mw_grace_wait());
		atomic_store(&world.tried, 1);
		CHECK_EQ(deferred.all, 0);
		return;
	}
	state = mw_port_pin();
	atomic_store(&world.pinned, 1);
	while (!atomic_load(&world.tried))
		mw_port_relax();
	mw_port_unpin(state);
}

/* The wait ends, and says that nothing may be freed; later it may. */
TEST_WITH(a_stuck_cpu_is_not_waited_for, TEST_HOSTED)
{
	begin();
	atomic_store(&world.pinned, 0);
	atomic_store(&world.tried, 0);
	defer(0);
	port_world_set_limit(0);
	test_parallel(2, stay_pinned, NULL);
	port_world_set_limit(2);
	CHECK(mw_grace_wait());
	CHECK_EQ(deferred.all, 1);
}

#if MW_GC
static void collect_beside(unsigned int cpu, void *arg)
{
	unsigned long state;

	(void)arg;
	if (!cpu) {
		while (!atomic_load(&world.pinned))
			mw_port_relax();
		CHECK(!mw_gc_collect(MW_COLLECT_SWEPT));
		atomic_store(&world.tried, 1);
		return;
	}
	state = mw_port_pin();
	atomic_store(&world.pinned, 1);
	while (!atomic_load(&world.tried))
		mw_port_relax();
	mw_port_unpin(state);
}

/* Being late is no misuse of the caller's: it is said, and the collection is given up. */
TEST_WITH(a_late_cpu_ends_no_kernel, TEST_HOSTED)
{
	mw_misuse_fn *before;
	const char *said;

	begin();
	atomic_store(&world.pinned, 0);
	atomic_store(&world.tried, 0);
	port_world_set_limit(0);
	before = mw_on_misuse(NULL);
	test_capture();
	test_parallel(2, collect_beside, NULL);
	said = test_captured();
	mw_on_misuse(before);
	CHECK(test_has(said, "stuck-cpu: CPU "));
	port_world_set_limit(2);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}
#endif
