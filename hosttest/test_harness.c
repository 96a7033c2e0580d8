// SPDX-License-Identifier: MIT
/*
 * The harness itself: each way in which a test can go wrong must make the run fail and say so. The
 * hidden tests are those ways; hosted, the runner is started again for each of them.
 */
#include <marrow/gc.h>
#include "harness.h"
#include "../mm/base/level.h"
#include "../mm/base/meta.h"
#include "../mm/base/report.h"

#define HIDDEN(name) TEST_WITH(name, TEST_HIDDEN | TEST_HOSTED)

__attribute__((weak)) int backend_child(const char *name, char *out, size_t size);
__attribute__((weak)) bool backend_sanitized(void);

static volatile int zero;

HIDDEN(hidden_check_fails)
{
	CHECK_EQ(1 + zero, 2);
}

/* No part of the tests would hold its bounds. */
HIDDEN(hidden_counts_unasked)
{
	CHECK(test_instructions() != 1);
}

HIDDEN(hidden_no_check)
{
}

HIDDEN(hidden_need_ends_the_test)
{
	CHECK(true);
	NEED(zero);
	test_note("not reached");
}

HIDDEN(hidden_panic)
{
	CHECK(true);
	mw_port_panic("as planned");
}

HIDDEN(hidden_fault)
{
	CHECK(true);
	*(volatile int *)(uintptr_t)(zero + 64) = 1;
}

HIDDEN(hidden_ends_pinned)
{
	CHECK(true);
	(void)mw_port_pin();
}

HIDDEN(hidden_hang)
{
	CHECK(true);
	while (!zero)
		mw_port_relax();
}

HIDDEN(hidden_hang_pinned)
{
	(void)mw_port_pin();
	while (!zero)
		mw_port_relax();
}

static void fault_on_one(unsigned int i, void *arg)
{
	(void)arg;
	test_barrier();
	if (i == 1)
		*(volatile int *)(uintptr_t)(zero + 64) = 1;
	while (!zero)
		mw_port_relax();
}

HIDDEN(hidden_fault_elsewhere)
{
	test_parallel(2, fault_on_one, NULL);
}

static void panic_on_one(unsigned int i, void *arg)
{
	(void)arg;
	if (i == 1)
		mw_port_panic("elsewhere");
}

HIDDEN(hidden_panic_elsewhere)
{
	test_parallel(2, panic_on_one, NULL);
}

static void check_on_one(unsigned int i, void *arg)
{
	(void)arg;
	CHECK(i != 1);
}

HIDDEN(hidden_check_elsewhere)
{
	test_parallel(2, check_on_one, NULL);
}

HIDDEN(hidden_misuse)
{
	struct mw_report report = { .what = MW_DOUBLE_FREE };

	CHECK(true);
	mw_misuse(&report);
}

HIDDEN(hidden_misuse_missing)
{
	CHECK(true);
	test_expect_misuse(MW_DOUBLE_FREE);
}

HIDDEN(hidden_misuse_of_another_kind)
{
	struct mw_report report = { .what = MW_INNER_FREE };

	test_expect_misuse(MW_DOUBLE_FREE);
	mw_misuse(&report);
	(void)test_misuse_came();
}

HIDDEN(hidden_misuse_twice)
{
	struct mw_report report = { .what = MW_DOUBLE_FREE };

	test_expect_misuse(MW_DOUBLE_FREE);
	mw_misuse(&report);
	mw_misuse(&report);
	(void)test_misuse_came();
}

HIDDEN(hidden_good)
{
	CHECK(!zero);
}

static char out[8192];

static void expect(const char *test, int code, const char *says, const char *also)
{
	char name[64];
	int got;

	if (!backend_child)
		test_skip("no processes here");
	mw_format(name, sizeof(name), "harness.%s", test);
	got = backend_child(name, out, sizeof(out));
	/* A sanitizer's runtime has exit codes of its own. */
	if (got > 0 && code > 0 && backend_sanitized && backend_sanitized())
		got = code;
	(void)test_check(got == code, __FILE__, __LINE__, "%s: exit %d, not %d", test, got, code);
	if (!test_has(out, says) || !test_has(out, also) || !test_has(out, name)) {
		CHECK(!"the output as it should be");
		test_note("%s: %s", test, out);
	}
}

TEST_WITH(failures_fail, TEST_HOSTED)
{
	expect("hidden_good", 0, "\nok 1 - ", "0 failed");
	expect("hidden_check_fails", 1, "\nnot ok 1 - ", "1 + zero == 2: 1 and 2");
	expect("hidden_no_check", 1, "\nnot ok 1 - ", "no CHECK ran");
	expect("hidden_need_ends_the_test", 1, "\nnot ok 1 - ", "failed: zero");
	expect("hidden_counts_unasked", 1, "\nnot ok 1 - ", "failed: the test is TEST_COUNTED");
	expect("hidden_ends_pinned", 1, "\nnot ok 1 - ", "the test ends pinned");
	expect("hidden_check_elsewhere", 1, "\nnot ok 1 - ", "failed: i != 1");
	CHECK_EQ(backend_child("harness.nobody", out, sizeof(out)), 1);
	CHECK(test_has(out, "\n1..0\n"));
}

TEST_WITH(misuses_fail, TEST_HOSTED)
{
	expect("hidden_misuse", 1, "\nnot ok 1 - ", "unexpected misuse: double-free");
	expect("hidden_misuse_missing", 1, "\nnot ok 1 - ", "expected one double-free, 0 came");
	expect("hidden_misuse_of_another_kind", 1, "\nnot ok 1 - ", "unexpected misuse: inner-free");
	expect("hidden_misuse_twice", 1, "\nnot ok 1 - ", "expected one double-free, 2 came");
}

TEST_WITH(panics_fail, TEST_HOSTED)
{
	expect("hidden_panic", 1, "\nnot ok 1 - ", "panic: as planned");
	expect("hidden_panic_elsewhere", 2, "\nnot ok 1 - ", "panic: elsewhere");
}

TEST_WITH(faults_fail, TEST_HOSTED)
{
	expect("hidden_fault", 1, "not ok 1 - ", "");
	expect("hidden_fault_elsewhere", 2, "not ok 1 - ", "Bail out!");
}

TEST_WITH(hangs_fail, TEST_HOSTED)
{
	expect("hidden_hang", 3, "\nnot ok 1 - ", "hang");
	expect("hidden_hang_pinned", 3, "\nnot ok 1 - ", "hang");
}

/* ---- what tests lean on ---- */

static void note_seed(unsigned int i, void *arg)
{
	((uint64_t *)arg)[i] = test_random();
}

TEST(random_numbers_differ_and_stay_below)
{
	uint64_t seen[8] = { 0 };
	unsigned int n = test_cpus() < 8 ? test_cpus() : 8;

	test_parallel(n, note_seed, seen);
	for (unsigned int i = 1; i < n; i++)
		CHECK(seen[i] != seen[0]);
	for (int turn = 0; turn < 1000; turn++) {
		uint64_t limit = (test_random() >> test_below(64)) | 1;

		CHECK(test_below(limit) < limit);
	}
	CHECK_EQ(test_below(1), 0);
}

#if MW_GC

/* What only this frame holds is dead while the port's roots do not count; what is registered lives. */
TEST(own_roots_are_all_there_is)
{
	void *volatile on_stack;
	uintptr_t hidden;

	NEED(test_heap((size_t)4 << 20));
	on_stack = mw_alloc(100, MW_COLLECTED);
	hidden = ~(uintptr_t)on_stack;
	NEED(on_stack && mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK(mw_gc_is_object((void *)~hidden));
	test_own_roots(true);
	NEED(mw_gc_root_add("test", (void *)&on_stack, (void *)(&on_stack + 1), NULL));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK(mw_gc_is_object((void *)~hidden));
	CHECK(mw_gc_root_remove((void *)&on_stack));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK(!mw_gc_is_object((void *)~hidden));
}

#endif

static void barrier_worker(unsigned int i, void *arg)
{
	atomic_uint *count = arg;

	(void)i;
	for (unsigned int round = 1; round <= 50; round++) {
		atomic_fetch_add(count, 1);
		test_barrier();
		CHECK_EQ(atomic_load(count), round * test_cpus());
		test_barrier();
	}
}

TEST(barrier_waits_for_all)
{
	atomic_uint count = 0;

	test_parallel(test_cpus(), barrier_worker, &count);
	CHECK_EQ(atomic_load(&count), 50 * test_cpus());
}

TEST(captured_text_comes_back)
{
	test_capture();
	mw_print("one %d\n", 1);
	CHECK(test_has(test_captured(), "one 1\n"));
	test_capture();
	CHECK(!*test_captured());
}

static void panic_inside(void *arg)
{
	(void)mw_port_pin();
	mw_port_panic(arg);
}

TEST(expected_panics_come_back)
{
	const char *why = test_panics(panic_inside, (void *)(uintptr_t) "the reason");

	NEED(why != NULL);
	CHECK(test_has(why, "the reason"));
}

TEST(memory_is_zero_and_aligned)
{
	unsigned char *memory = test_memory((size_t)1 << 20);

	CHECK_EQ((uintptr_t)memory % MW_PAGE_SIZE, 0);
	for (size_t i = 0; i < (size_t)1 << 20; i += 4093) {
		CHECK_EQ(memory[i], 0);
		memory[i] = 1;
	}
}

TEST_WITH(a_terabyte_of_address_space, TEST_HOSTED)
{
	char *memory;

	if (sizeof(size_t) < 8)
		test_skip("32 bits");
	memory = test_memory((size_t)1 << (sizeof(size_t) < 8 ? 30 : 40));
	memory[0] = 1;
	memory[((size_t)1 << (sizeof(size_t) < 8 ? 30 : 40)) - 1] = 1;
	CHECK(true);
}
