/* SPDX-License-Identifier: MIT */
/*
 * The test harness. The same test files are built for Linux and into the demo kernel; they use
 * <marrow/...>, headers of mm/, and this one only: no libc.
 *
 *	TEST(join_both_sides) { ...; CHECK(run); CHECK_EQ(pages_free(), 3); }
 *
 * A file is a suite, named after it: hosttest/test_page.c is "page"; a test is "page.join_both_sides".
 * Results are KTAP on the console. A test that ends without one CHECK having run has failed.
 * After each test the harness looks for what was left behind: a heap made by test_heap() must be
 * empty again (unless test_heap_may_leak() was called) and pass its structure checks.
 */
#ifndef HOSTTEST_TEST_H
#define HOSTTEST_TEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/mm.h>

struct test_case {
	const char *suite; /* __FILE__; the harness makes the name */
	const char *name;
	void (*run)(void);
	unsigned int flags;
};

#define TEST_PLAIN 0u
#define TEST_HOSTED 1u /* needs what only Linux has: address space for a terabyte, say */
#define TEST_LONG 2u /* hosted, only in `make test-long`, a part of `make test` */
#define TEST_HIDDEN 4u /* is meant to fail: run by the harness's own test only, in no plan */
#define TEST_COUNTED                                                                               \
	8u /* asks test_instructions(): has bounds that hold only where these are counted */

/* Pointers to test cases are collected by the linker in a section of their own. */
#define TEST_WITH(name_, flags_)                                                                   \
	static void test_##name_(void);                                                            \
	static const struct test_case test_case_##name_ = { __FILE__, #name_, test_##name_,        \
							    (flags_) };                            \
	static const struct test_case *const test_case_ptr_##name_                                 \
		__attribute__((used, section("mw_tests"))) = &test_case_##name_;                   \
	static void test_##name_(void)
#define TEST(name_) TEST_WITH(name_, TEST_PLAIN)

/* A failed CHECK says so, with file and line, and the test goes on; a failed NEED ends the test. */
bool test_check(bool ok, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
_Noreturn void test_give_up(void);

#define CHECK(cond) ((void)test_check(!!(cond), __FILE__, __LINE__, "%s", #cond))
#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		long long test_a_ = (long long)(a), test_b_ = (long long)(b);                      \
		(void)test_check(test_a_ == test_b_, __FILE__, __LINE__, "%s: %lld and %lld",      \
				 #a " == " #b, test_a_, test_b_);                                  \
	} while (0)
#define CHECK_PTR(a, b)                                                                            \
	do {                                                                                       \
		const void *test_a_ = (a), *test_b_ = (b);                                         \
		(void)test_check(test_a_ == test_b_, __FILE__, __LINE__, "%s: %p and %p",          \
				 #a " == " #b, test_a_, test_b_);                                  \
	} while (0)
#define NEED(cond)                                                                                 \
	do {                                                                                       \
		if (!test_check(!!(cond), __FILE__, __LINE__, "%s", #cond))                        \
			test_give_up();                                                            \
	} while (0)

/* A diagnostic line "# ..." */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The rest of the test makes no sense here; counts as skipped, never as passed. */
_Noreturn void test_skip(const char *why);

/*
 * A fresh heap over @bytes of memory (hosted: reserved address space; in the kernel: memory set
 * aside at boot). mw_reset() first. Return: bytes usable; in the kernel the test is skipped if
 * the machine has not so much.
 */
size_t test_heap(size_t bytes);
void test_heap_may_leak(void); /* for the rest of this test */
/* Raw memory of that kind without a heap on it, page-aligned, for regions of a test's own making. */
void *test_memory(size_t bytes);

/* Same seed (SEED=n, seed=n), same numbers; per CPU. */
uint64_t test_random(void);
uint64_t test_below(uint64_t n);
extern uint64_t test_seed;

/* Run fn(0), ..., fn(n - 1) on as many CPUs at once; n <= test_cpus(). Return when all are done. */
unsigned int test_cpus(void);
void test_parallel(unsigned int n, void (*fn)(unsigned int i, void *arg), void *arg);
/* Inside: a barrier of all n. Spins with pause. */
void test_barrier(void);

/*
 * a(arg) and b(arg) as two CPUs would run them, with one switch: somewhere in @a the other CPU has its turn, until
 * it ends or waits for this one. To be called with @at from 0 on until it returns false: the first two times @b comes
 * after @a, of which the second shows what instructions there are; then before the first of them, and so on.
 * The first call of these two skips the test where they cannot be had; hosted only.
 */
bool test_step(void (*a)(void *arg), void (*b)(void *arg), void *arg, unsigned long at);
/* The same; b(arg) comes in another way. */
enum test_way {
	TEST_CPU, /* as the other CPU would run it */
	TEST_INTERRUPT, /* as an interrupt handler on the same CPU: where that is pinned, at its last unpin */
	TEST_STOPPED, /* as one on the other CPU while a(arg) has the world stopped: where not, behind it */
};
bool test_step_way(enum test_way way, void (*a)(void *arg), void (*b)(void *arg), void *arg,
		   unsigned long at);
/* fn(arg) as a third CPU, that does nothing otherwise. */
void test_elsewhere(void (*fn)(void *arg), void *arg);

/* A function that looks at what is not its own on purpose: sanitizers leave it alone. */
#define TEST_UNCHECKED __attribute__((noinline, no_sanitize_address))

/* A write that is wrong on purpose, for the heap to find and not a sanitizer. */
static TEST_UNCHECKED __attribute__((unused)) void test_spoil(void *at, char byte)
{
	*(volatile char *)at = byte;
}

/*
 * Call @fn from a timer interrupt on this CPU (hosted: from a signal of this thread), again and
 * again until test_interrupts_off(). Return: false where it cannot be had.
 */
bool test_interrupts_on(void (*fn)(void *arg), void *arg);
unsigned long test_interrupts_off(void); /* how often it ran */

/*
 * The threads that serve mw_port_wake(); off at the beginning and the end of each test, so that nothing
 * happens behind its back. Return: false where they cannot be had.
 */
bool test_workers(bool on);

/*
 * While it is on, only what is registered with mw_gc_root_add() is a root, and not what a stack, a register or a
 * number in the program's data happens to hold: for what counts exactly what is left. Off at the end of each test.
 */
void test_own_roots(bool on);

/* What mw_port_write() is given from now on, up to 4 KiB of it, instead of on the console. */
void test_capture(void);
/* The end of it. Return: the text, terminated, valid until the next capture. */
const char *test_captured(void);
/* Return: where @part is in @text; NULL: nowhere. */
const char *test_has(const char *text, const char *part);

/*
 * Run fn(arg), which should panic. Return: why it did, or NULL if it returned. What it had locked
 * stays locked: call mw_reset() afterwards where that matters. What it printed is swallowed.
 */
const char *test_panics(void (*fn)(void *arg), void *arg);

/* The next misuse must be of this kind; it is ignored by the heap and kept for reading. */
void test_expect_misuse(enum mw_misuse what);
/* CHECKs that it came, once. Return: the report, valid until the next misuse. */
const struct mw_report *test_misuse_came(void);

/*
 * How often a test of many alike rounds goes round: @n, or the part of it (at least 1) that the run asks
 * for, by rounds=PERCENT in the kernel; hosted all of it. Many short runs that differ, as by seeds, or
 * slow ones, as under valgrind, have use for that.
 */
unsigned long test_rounds(unsigned long n);

/*
 * Nanoseconds; and instructions executed by this CPU where they can be counted, else 0. Only in TEST_COUNTED tests:
 * one part of `make test` runs all of these, and only these, where instructions are counted, and there 0 is a failure.
 */
uint64_t test_now(void);
uint64_t test_instructions(void);

#endif
