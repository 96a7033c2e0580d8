// SPDX-License-Identifier: MIT
/*
 * The port's contract, as far as a test can see it; the same for every port. A porter runs this
 * first: what fails here would fail as a corrupted heap later.
 */
#include <stdatomic.h>
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "harness.h"
#include "../mm/base/level.h"

static unsigned int cpus(void)
{
	return test_cpus() < 4 ? test_cpus() : 4;
}

TEST(time_never_goes_back)
{
	uint64_t before = mw_port_now();

	for (int i = 0; i < 10000; i++) {
		uint64_t now = mw_port_now();

		if (now < before)
			CHECK(now >= before);
		before = now;
	}
	CHECK(before > 0);
}

/* ---- pinning, numbers of CPUs ---- */

static atomic_uint owners[MW_MAX_CPUS];

static void number_worker(unsigned int i, void *arg)
{
	(void)i, (void)arg;
	test_barrier();
	for (int turn = 0; turn < 2000; turn++) {
		unsigned long state = mw_port_pin();
		unsigned int cpu = mw_port_cpu();

		if (cpu >= MW_MAX_CPUS || atomic_fetch_add(&owners[cpu], 1))
			CHECK(!"a number of its own");
		CHECK_EQ(mw_port_cpu(), cpu);
		atomic_fetch_sub(&owners[cpu], 1);
		mw_port_unpin(state);
	}
}

TEST(no_two_cpus_have_one_number)
{
	test_parallel(cpus(), number_worker, NULL);
}

static volatile bool inside;
static volatile unsigned long came, came_inside;

static void interrupt_notes(void *arg)
{
	unsigned long state = mw_port_pin();

	(void)arg;
	came++;
	came_inside += inside;
	mw_port_unpin(state);
}

/* Nested pins: interrupts must stay out until the outermost is undone. */
TEST(no_interrupt_while_pinned)
{
	uint64_t until = test_now() + 30000000;
	unsigned long ran;

	came = came_inside = 0;
	if (!test_interrupts_on(interrupt_notes, NULL))
		test_skip("no interrupts here");
	while (test_now() < until) {
		unsigned long outer = mw_port_pin(), inner;

		inside = true;
		inner = mw_port_pin();
		for (volatile int i = 0; i < 100; i++)
			;
		mw_port_unpin(inner);
		for (volatile int i = 0; i < 100; i++)
			;
		inside = false;
		mw_port_unpin(outer);
	}
	ran = test_interrupts_off();
	CHECK_EQ(came_inside, 0);
	CHECK_EQ(came, ran);
	CHECK(came > 0);
}

#if MW_PORT_LEVEL >= 2

/* ---- stopping the world ---- */

struct world {
	atomic_ulong counts[8];
	atomic_bool end;
	atomic_uint in_section; /* CPUs that are pinned */
};

static void spin(struct world *world, unsigned int i)
{
	while (!atomic_load_explicit(&world->end, memory_order_relaxed)) {
		unsigned long state = mw_port_pin();

		atomic_fetch_add(&world->in_section, 1);
		atomic_fetch_add_explicit(&world->counts[i], 1, memory_order_relaxed);
		atomic_fetch_sub(&world->in_section, 1);
		mw_port_unpin(state);
		mw_port_relax(); /* CPUs that are one thread of an emulator take turns here */
	}
}

/* Others spin until they are told to end: whoever stops the world says so even if he could not. */
static bool stopped(void)
{
	int culprit = mw_port_stop_world();

	CHECK_EQ(culprit, -1);
	return culprit < 0;
}

static void stop_and_look(struct world *world, unsigned int n)
{
	unsigned long before[8];

	if (!stopped())
		return;
	CHECK_EQ(atomic_load(&world->in_section), 0);
	for (unsigned int i = 1; i < n; i++)
		before[i] = atomic_load(&world->counts[i]);
	for (volatile int i = 0; i < 20000; i++)
		;
	for (unsigned int i = 1; i < n; i++)
		CHECK_EQ(atomic_load(&world->counts[i]), before[i]);
	mw_port_start_world();
}

static void wait_for_progress(struct world *world, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++) {
		unsigned long before = atomic_load(&world->counts[i]);

		while (atomic_load(&world->counts[i]) == before)
			mw_port_relax();
	}
}

static void stop_worker(unsigned int i, void *arg)
{
	struct world *world = arg;

	test_barrier();
	if (i) {
		spin(world, i);
		return;
	}
	for (int turn = 0; turn < 50; turn++) {
		wait_for_progress(world, cpus());
		stop_and_look(world, cpus());
	}
	atomic_store(&world->end, true);
}

TEST(stopped_cpus_stand_still)
{
	struct world world = { 0 };

	test_parallel(cpus(), stop_worker, &world);
}

/* Everybody stops everybody: one wins, the others stop first. */
static void rival_worker(unsigned int i, void *arg)
{
	static unsigned long inside_stop; /* only one at a time may be between stop and start */
	struct world *world = arg;

	test_barrier();
	for (int turn = 0; turn < 30; turn++) {
		if (!stopped())
			continue;
		CHECK_EQ(inside_stop++, 0);
		atomic_fetch_add(&world->counts[i], 1);
		inside_stop--;
		mw_port_start_world();
	}
	test_barrier();
}

TEST(rivals_take_turns)
{
	struct world world = { 0 };
	unsigned long sum = 0;

	test_parallel(cpus(), rival_worker, &world);
	for (unsigned int i = 0; i < cpus(); i++)
		sum += atomic_load(&world.counts[i]);
	CHECK_EQ(sum, 30 * cpus());
}

/* ---- work on stopped CPUs ---- */

struct job {
	struct world world;
	atomic_uint calls[MW_MAX_CPUS];
	atomic_uint most;
};

static void job_call(unsigned int worker, void *arg)
{
	struct job *job = arg;
	unsigned int most = atomic_load(&job->most);

	atomic_fetch_add(&job->calls[worker], 1);
	while (worker + 1 > most && !atomic_compare_exchange_weak(&job->most, &most, worker + 1))
		;
}

static void job_worker(unsigned int i, void *arg)
{
	struct job *job = arg;

	test_barrier();
	if (i) {
		spin(&job->world, i);
		return;
	}
	for (unsigned int turn = 1; turn <= 20; turn++) {
		if (!stopped())
			break;
		mw_port_run_stopped(job_call, job);
		mw_port_run_stopped(job_call, job);
		mw_port_start_world();
		for (unsigned int w = 0; w < atomic_load(&job->most); w++)
			CHECK_EQ(atomic_load(&job->calls[w]), 2 * turn);
	}
	atomic_store(&job->world.end, true);
}

TEST(work_runs_once_on_each_worker)
{
	static struct job job;

	job = (struct job){ 0 };
	test_parallel(cpus(), job_worker, &job);
	CHECK(atomic_load(&job.most) >= 1);
	test_note("%u workers", atomic_load(&job.most));
}

/* ---- roots ---- */

struct search {
	uintptr_t word; /* inverted, so as not to be found itself */
	unsigned int stack, data, ranges;
	bool odd;
};

__attribute__((no_sanitize("address", "thread"))) static void
search_range(void *ctx, enum mw_root_kind kind, const char *name, const void *lo, const void *hi)
{
	struct search *search = ctx;

	(void)name;
	search->ranges++;
	search->odd |= (uintptr_t)lo % sizeof(uintptr_t) || (uintptr_t)hi % sizeof(uintptr_t);
	for (const volatile uintptr_t *at = lo; (const void *)at < hi; at++) {
		if (*at != ~search->word)
			continue;
		search->stack += kind == MW_ROOT_STACK || kind == MW_ROOT_REGISTERS;
		search->data += kind == MW_ROOT_DATA;
	}
}

static volatile uintptr_t secret_in_data;

static void look_for(uintptr_t secret)
{
	struct search search = { .word = ~secret };

	mw_port_scan_roots(search_range, &search);
	CHECK(search.stack > 0);
	CHECK(!search.odd);
}

static void root_worker(unsigned int i, void *arg)
{
	struct world *world = arg;
	volatile uintptr_t secret = 0x5ec0de00u + i; /* on this stack only */

	atomic_fetch_add(&world->in_section, 1);
	if (i) {
		while (!atomic_load(&world->end))
			mw_port_relax();
		CHECK_EQ(secret, 0x5ec0de00u + i);
		return;
	}
	while (atomic_load(&world->in_section) != cpus())
		mw_port_relax();
	if (stopped()) {
		for (unsigned int k = 0; k < cpus(); k++)
			look_for(0x5ec0de00u + k);
		mw_port_start_world();
	}
	atomic_store(&world->end, true);
}

TEST(every_stack_is_seen)
{
	struct world world = { 0 };

	test_parallel(cpus(), root_worker, &world);
}

TEST_WITH(data_is_seen, TEST_HOSTED)
{
	struct search search = { .word = ~(uintptr_t)0x0da7a5ecu };

	secret_in_data = 0x0da7a5ecu;
	NEED(mw_port_stop_world() == -1);
	mw_port_scan_roots(search_range, &search);
	mw_port_start_world();
	CHECK(search.data > 0);
	secret_in_data = 0;
}

#if __STDC_HOSTED__

/* Of the thread that runs tests, which is the one that the program begins with. */
static __thread volatile uintptr_t secret_of_thread;

TEST_WITH(thread_local_words_are_seen, TEST_HOSTED)
{
	struct search search = { .word = ~(uintptr_t)0x71500da7u };

	secret_of_thread = 0x71500da7u;
	NEED(mw_port_stop_world() == -1);
	mw_port_scan_roots(search_range, &search);
	mw_port_start_world();
	CHECK(search.data > 0);
	CHECK(!search.odd);
	secret_of_thread = 0;
}

/* ---- a fork: the copy has one thread ---- */

static void stops_beside(unsigned int i, void *arg)
{
	struct world *world = arg;

	if (!i) {
		while (!atomic_load(&world->end))
			mw_port_relax();
		return;
	}
	if (mw_port_stop_world() == -1) {
		atomic_store(&world->in_section, 1);
		mw_port_start_world();
	}
	atomic_store(&world->end, true);
}

static void *_Atomic of_others[8];

/* It stops itself alone, frees what the others had, and then is stopped by a thread of its own. */
static bool copy_stops(void *arg)
{
	struct world world = { 0 };

	(void)arg;
	if (mw_port_stop_world() != -1)
		return false;
	mw_port_start_world();
	for (unsigned int i = 0; i < 8; i++)
		mw_free(atomic_exchange(&of_others[i], NULL));
#if MW_GC
	if (!mw_gc_collect(MW_COLLECT_SWEPT))
		return false;
#endif
#if defined(__SANITIZE_THREAD__)
	return mw_heap_check(); /* its runtime ends a copy that has threads */
#endif
	test_parallel(2, stops_beside, &world);
	return atomic_load(&world.in_section) && mw_heap_check();
}

static void fork_worker(unsigned int i, void *arg)
{
	struct world *world = arg;

	atomic_store(&of_others[i], mw_alloc(100 * i + 100, 0));
	CHECK(of_others[i]);
	test_barrier();
	if (i) {
		while (!atomic_load(&world->end))
			mw_port_relax();
		mw_free(of_others[i]);
		return;
	}
	CHECK_EQ(backend_fork(copy_stops, NULL), 0);
	mw_free(of_others[0]);
	atomic_store(&world->end, true);
	CHECK(stopped());
	mw_port_start_world();
}

TEST_WITH(a_copy_stops_its_world, TEST_HOSTED)
{
	struct world world = { 0 };

	NEED(test_heap((size_t)8 << 20));
	test_parallel(cpus(), fork_worker, &world);
}

#endif

/* ---- a CPU that does not answer ---- */

static void stuck_worker(unsigned int i, void *arg)
{
	struct world *world = arg;
	unsigned long state;

	if (!i) {
		while (!atomic_load(&world->in_section))
			mw_port_relax();
		CHECK(mw_port_stop_world() == (int)atomic_load(&world->counts[0]));
		atomic_store(&world->end, true);
		return;
	}
	state = mw_port_pin();
	atomic_store(&world->counts[0], mw_port_cpu());
	atomic_store(&world->in_section, 1);
	while (!atomic_load(&world->end))
		mw_port_relax();
	mw_port_unpin(state);
}

TEST(a_stuck_cpu_is_named)
{
	struct world world = { 0 };

	if (cpus() < 2)
		test_skip("one CPU");
	test_parallel(2, stuck_worker, &world);
	/* And the world can be stopped again. */
	CHECK_EQ(mw_port_stop_world(), -1);
	mw_port_start_world();
}

#endif

#if MW_PORT_LEVEL >= 3

/* ---- extras ---- */

static __attribute__((noinline)) size_t deeper(int n, uintptr_t *pcs, size_t max)
{
	size_t depth = n ? deeper(n - 1, pcs, max) : mw_port_backtrace(pcs, max);

	__asm__ volatile("" : "+r"(depth)); /* no tail call */
	return depth;
}

TEST(backtrace_is_bounded)
{
	uintptr_t pcs[40] = { 0 };
	size_t depth = deeper(10, pcs, 39);

	if (!depth)
		test_skip("none here");
	CHECK(depth <= 39);
	CHECK_EQ(pcs[39], 0);
	CHECK(deeper(10, pcs, 3) <= 3);
	CHECK_EQ(mw_port_backtrace(pcs, 0), 0);
}

TEST_WITH(released_pages_read_as_promised, TEST_HOSTED)
{
	unsigned char *memory = test_memory((size_t)1 << 20);
	bool zero;

	memory[5000] = 7;
	zero = mw_port_release(memory, (size_t)1 << 20);
	CHECK(mw_port_reclaim(memory, (size_t)1 << 20));
	CHECK(!zero || memory[5000] == 0);
}

__attribute__((weak)) bool backend_sanitized(void);

static unsigned char *page;

static void touch(void *arg)
{
	(void)arg;
	*(volatile unsigned char *)page = 1;
}

TEST_WITH(protected_pages_fault, TEST_HOSTED)
{
	page = test_memory(MW_PAGE_SIZE);
	if (!mw_port_protect(page, MW_PAGE_SIZE, true))
		test_skip("not here");
	/* A sanitizer takes a fault for its own. */
	if (!backend_sanitized || !backend_sanitized())
		CHECK(test_panics(touch, NULL) != NULL);
	CHECK(mw_port_protect(page, MW_PAGE_SIZE, false));
	CHECK(test_panics(touch, NULL) == NULL);
}

#endif
