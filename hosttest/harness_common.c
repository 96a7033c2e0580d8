// SPDX-License-Identifier: MIT
/*
 * The harness, as far as it is the same on Linux and in the demo kernel (see test.h, harness.h): checks, a
 * test's memory, the choice of tests, the run and its report.
 */
#include <stdatomic.h>
#include <marrow/port.h>
#include <marrow/watch.h>
#include "harness.h"
#include "../mm/base/report.h"

#define HARNESS_NAME 96
#define HARNESS_FAILURES_SHOWN 20

extern const struct test_case *const __start_mw_tests[];
extern const struct test_case *const __stop_mw_tests[];

/* Rooms that may not be in this build. */
__attribute__((weak)) bool mw_heap_check(void);
__attribute__((weak)) void mw_page_stats(struct mw_page_stats *stats);
__attribute__((weak)) void mw_stats(struct mw_stats *stats);

enum outcome {
	PASSED,
	FAILED,
	SKIPPED
};

/* One test's bookkeeping; counters are atomic because CHECKs run on several CPUs. */
static struct {
	const struct test_case *test;
	char name[HARNESS_NAME];
	unsigned int number;
	atomic_uint checks, failures;
	const char *volatile skipped;
	bool heap, memory, may_leak;
} now;

static unsigned int tests_run, tests_failed, tests_skipped;

uint64_t test_seed;

/* ---- text ---- */

/* One write a line, so that lines of several CPUs do not mix inside. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	char line[320];
	va_list args;
	size_t len;

	va_start(args, format);
	len = mw_vformat(line, sizeof(line), format, args);
	va_end(args);
	backend_write(line, len);
}

static void say_diagnostic(const char *head, const char *format, va_list args)
{
	char text[256];

	mw_vformat(text, sizeof(text), format, args);
	say("# %s%s\n", head, text);
}

void test_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_diagnostic("", format, args);
	va_end(args);
}

/* ---- checks ---- */

bool test_check(bool ok, const char *file, int line, const char *format, ...)
{
	va_list args;

	atomic_fetch_add_explicit(&now.checks, 1, memory_order_relaxed);
	if (ok)
		return true;
	if (atomic_fetch_add_explicit(&now.failures, 1, memory_order_relaxed) <
	    HARNESS_FAILURES_SHOWN) {
		char head[HARNESS_NAME + 40];

		mw_format(head, sizeof(head), "%s:%d: failed: ", file, line);
		va_start(args, format);
		say_diagnostic(head, format, args);
		va_end(args);
	}
	return false;
}

_Noreturn void test_give_up(void)
{
	backend_leave();
}

_Noreturn void test_skip(const char *why)
{
	now.skipped = why;
	backend_leave();
}

const char *harness_current(unsigned int *number)
{
	*number = now.number;
	return now.test ? now.name : NULL;
}

const char *harness_suite(void)
{
	return now.test ? now.test->suite : "";
}

/* ---- memory ---- */

void *test_memory(size_t bytes)
{
	uint64_t phys;
	void *memory = backend_memory(bytes, &phys);

	if (!memory)
		test_skip("not so much memory");
	now.memory = true;
	return memory;
}

size_t test_heap(size_t bytes)
{
	uint64_t phys;
	void *memory;
	size_t usable;

	mw_reset();
	/* A test that makes a heap again and again holds one at a time. */
	if (!now.memory)
		backend_memory_reset();
	memory = backend_memory(bytes, &phys);
	if (!memory)
		test_skip("not so much memory");
	mw_on_misuse(harness_misused);
	now.heap = true;
	usable = mw_region_add(memory, phys, bytes);
	NEED(usable != 0);
	return usable;
}

void test_heap_may_leak(void)
{
	now.may_leak = true;
}

static void check_left_behind(void *arg)
{
	(void)arg;
	if (mw_heap_check)
		CHECK(mw_heap_check());
	if (now.may_leak)
		return;
	if (mw_page_stats) {
		struct mw_page_stats stats;

		mw_page_stats(&stats);
		(void)test_check(!stats.raw, now.test->suite, 0, "%zu pages left behind", stats.raw);
	}
	if (mw_stats) {
		struct mw_stats stats;

		mw_stats(&stats);
		(void)test_check(stats.live_objects == stats.collected_objects, now.test->suite, 0,
				 "%zu objects left behind",
				 stats.live_objects - stats.collected_objects);
	}
}

/* ---- the run ---- */

/* @word up to a comma or its end: a suite, a test, or a beginning followed by '*'. */
static bool word_matches(const char *word, const char *name)
{
	for (; *word && *word != ',' && *word != '*'; word++, name++) {
		if (*word != *name)
			return false;
	}
	return *word == '*' || !*name || *name == '.';
}

/* "hosttest/test_page.c", "free" -> "page.free" */
static void make_name(const struct test_case *test, char *name)
{
	const char *base = test->suite;
	char suite[HARNESS_NAME];
	size_t len = 0;

	for (const char *c = test->suite; *c; c++) {
		if (*c == '/')
			base = c + 1;
	}
	if (word_matches("test_*", base))
		base += sizeof("test_") - 1;
	for (; base[len] && base[len] != '.' && len + 1 < sizeof(suite); len++)
		suite[len] = base[len];
	suite[len] = '\0';
	mw_format(name, HARNESS_NAME, "%s.%s", suite, test->name);
}

static bool chosen(const struct harness_want *want, const struct test_case *test, const char *name)
{
	const char *word = want->names;

	if (test->flags & ~want->flags & TEST_HIDDEN || want->only & ~test->flags)
		return false;
	if (!word || !*word)
		return true;
	for (;;) {
		if (*word && *word != ',' && word_matches(word, name))
			return true;
		while (*word && *word != ',')
			word++;
		if (!*word++)
			return false;
	}
}

unsigned int harness_plan(const struct harness_want *want)
{
	char name[HARNESS_NAME];
	unsigned int n = 0;

	for (const struct test_case *const *t = __start_mw_tests; t != __stop_mw_tests; t++) {
		make_name(*t, name);
		if (!chosen(want, *t, name))
			continue;
		n++;
		if (want->list)
			say("%s\n", name);
	}
	return n;
}

static void call_test(void *arg)
{
	(void)arg;
	now.test->run();
}

static enum outcome outcome_of(void)
{
	if (atomic_load(&now.failures))
		return FAILED;
	if (now.skipped)
		return SKIPPED;
	return atomic_load(&now.checks) ? PASSED : FAILED;
}

/* Everything that a test may have switched on, whichever way it ended. */
static void clean_up(void)
{
	harness_expect_end();
	(void)backend_interrupts_off();
	(void)backend_workers(false);
	backend_own_roots(false);
	(void)mw_fail_set(NULL);
	harness_expect_came();
	/* What a test left after a failure is no news. */
	if (now.heap && !now.skipped && !atomic_load(&now.failures))
		(void)backend_try(check_left_behind, NULL);
	mw_reset();
	backend_memory_reset();
}

/* A call that forgets to unpin shows in nothing else where nobody stops the world afterwards. */
static bool is_pinned(void)
{
#ifdef MW_PORT_PINNED_GIVEN
	return mw_port_pinned();
#else
	return false;
#endif
}

static enum outcome run_one(const struct harness_want *want, const struct test_case *test,
			    unsigned int number)
{
	unsigned long state;
	bool pinned;

	make_name(test, now.name);
	now.number = number;
	now.skipped = NULL;
	now.heap = now.memory = now.may_leak = false;
	atomic_store(&now.checks, 0);
	atomic_store(&now.failures, 0);
	now.test = test;
	harness_begin(want, test, now.name);
	test_expect_misuse(MW_MISUSE_NONE);
	mw_on_misuse(harness_misused);
	backend_test_begin(now.name);
	pinned = is_pinned();
	state = mw_port_pin();
	mw_port_unpin(state);
	if (backend_try(call_test, NULL) && is_pinned() != pinned) {
		(void)test_check(false, test->suite, 0, "the test ends %spinned",
				 pinned ? "not " : "");
		mw_port_unpin(state);
	}
	clean_up();
	backend_test_end();
	now.test = NULL;
	return outcome_of();
}

static void report_one(enum outcome outcome)
{
	if (outcome == FAILED && !atomic_load(&now.checks))
		say("# no CHECK ran\n");
	if (outcome == FAILED)
		say("# seed: 0x%llx\n", (unsigned long long)test_seed);
	tests_run++;
	tests_failed += outcome == FAILED;
	tests_skipped += outcome == SKIPPED;
	say("%s %u - %s%s%s\n", outcome == FAILED ? "not ok" : "ok", now.number, now.name,
	    outcome == SKIPPED ? " # SKIP " : "", outcome == SKIPPED ? now.skipped : "");
}

static enum outcome skip_one(const struct test_case *test, unsigned int number, const char *why)
{
	make_name(test, now.name);
	now.number = number;
	now.skipped = why;
	return SKIPPED;
}

unsigned int harness_run(const struct harness_want *want)
{
	unsigned int n, number = 0;

	tests_run = tests_failed = tests_skipped = 0;
	test_seed = want->seed;
	if (!want->list)
		say("KTAP version 1\n");
	n = harness_plan(want);
	if (want->list)
		return 0;
	say("1..%u\n", n);
	for (const struct test_case *const *t = __start_mw_tests; t != __stop_mw_tests; t++) {
		unsigned int missing = (*t)->flags & ~want->flags & (TEST_HOSTED | TEST_LONG);

		make_name(*t, now.name);
		if (!chosen(want, *t, now.name))
			continue;
		if (want->stop && want->stop())
			break;
		number++;
		if (missing & TEST_HOSTED)
			report_one(skip_one(*t, number, "hosted only"));
		else if (missing)
			report_one(skip_one(*t, number, "long"));
		else
			report_one(run_one(want, *t, number));
	}
	say("# done: %u tests, %u failed, %u skipped, seed 0x%llx\n", tests_run, tests_failed,
	    tests_skipped, (unsigned long long)test_seed);
	return n && number == n ? tests_failed : 1;
}
