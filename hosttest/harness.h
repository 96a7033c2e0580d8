/* SPDX-License-Identifier: MIT */
/*
 * Between the half of the harness that is the same everywhere (harness_common.c, harness_expect.c,
 * harness_cpus.c) and its backends: harness_hosted.c and harness_machine.c for Linux, kernel/test_harness.c for the
 * demo kernel.
 *
 * A backend fills a struct harness_want from its command line, calls harness_run() in a context
 * that may be pinned and interrupted, and ends the process or the machine by the answer. Its
 * mw_port_write() offers the text to harness_swallow() first, its mw_port_panic() calls
 * harness_panicked() first.
 */
#ifndef HOSTTEST_HARNESS_H
#define HOSTTEST_HARNESS_H

#include "test.h"

/* ---- common half, called by backends ---- */

struct harness_want {
	const char *names; /* "page,base.format,gc.*": suites and tests; NULL or "": all */
	unsigned int flags; /* TEST_HOSTED, TEST_LONG, TEST_HIDDEN: what may run here */
	unsigned int only; /* what a test must have to be chosen; TEST_COUNTED: instructions must be counted */
	uint64_t seed;
	unsigned int percent; /* of the rounds of long loops, see test_rounds(); 0: all */
	bool list; /* print names only */
	bool (*stop)(void); /* asked before each test; NULL: all run */
};

/* All chosen tests. Return: 0 if at least one ran and none failed, else how many did, at least 1. */
unsigned int harness_run(const struct harness_want *want);
/* How many would be chosen; with @want->list their names are printed. Also while a test runs. */
unsigned int harness_plan(const struct harness_want *want);

/*
 * The test that runs cannot go on: a panic, a fault. On the CPU of the test it ends the test and does
 * not return. Elsewhere it does: the backend then prints what it knows and ends everything.
 */
void harness_panicked(const char *why);

/* A function of backend_parallel() was left by backend_leave(): the others' barriers wait for one less. */
void harness_worker_left(void);

/* harness_cpus.c, for each test: its random numbers begin anew, and nobody waits at a barrier. */
void harness_begin(const struct harness_want *want, const struct test_case *test, const char *name);

/* Return: true if a test captures the console and has taken the text. interrupt: yes. */
bool harness_swallow(const char *text, size_t len);

/* harness_expect.c, at the end of each test: nothing is expected any more; has what was expected come? */
void harness_expect_end(void);
void harness_expect_came(void);
/* What mw_on_misuse() is given: a misuse that no test expects fails the one that runs. */
void harness_misused(const struct mw_report *report);

/* The file of the test that runs, for failures that no line of it can be named for; "": none runs. */
const char *harness_suite(void);

/* What a test has to tell before a crash, a hang or a panic ends it or everything; NULL: nothing. */
extern void (*harness_last_words)(void);

/* "suite.name" of the test that runs, and its number in the plan; NULL: none runs. */
const char *harness_current(unsigned int *number);

/* ---- backend half, called by the common one ---- */

/* Console, below mw_port_write(). */
void backend_write(const char *text, size_t len);

/* Zeroed memory with a physical address; backend_memory_reset() takes all of it back. */
void *backend_memory(size_t bytes, uint64_t *phys); /* NULL: the machine has not so much */
void backend_memory_reset(void);

/* fn(0, arg) on this CPU and fn(1, arg)... on others, at once; back when all are. */
unsigned int backend_cpus(void);
void backend_parallel(unsigned int n, void (*fn)(unsigned int i, void *arg), void *arg);
/* The @i that this CPU runs for; 0 outside. */
unsigned int backend_worker(void);

#define FIRST_INTERRUPT_NS 10000000000ull /* how long backend_interrupts_off() waits for it */
bool backend_interrupts_on(void (*fn)(void *arg), void *arg);
unsigned long backend_interrupts_off(void);

/* Threads that serve mw_port_wake(); off: they are gone when it returns. False: not here. */
bool backend_workers(bool on);

/* The port shows no roots of its own. */
void backend_own_roots(bool on);

uint64_t backend_now(void);
uint64_t backend_instructions(void);

/* Begin and end of each test: a time limit against hangs. */
void backend_test_begin(const char *name);
void backend_test_end(void);

/*
 * Run fn(arg). Return: false if it was left by backend_leave(), which unwinds to the innermost
 * backend_try() of this CPU and puts pinning back to what it was there.
 */
bool backend_try(void (*fn)(void *arg), void *arg);
_Noreturn void backend_leave(void);

/*
 * Only where processes are: run this runner again with the hidden test @name and a time limit of one
 * second. Its output goes to @out, terminated. Return: its exit code, 128 + a signal, -1.
 */
int backend_child(const char *name, char *out, size_t size);

/* There too: fn(arg) in a copy of this process. Return: 0 if it said true, 128 + a signal. */
int backend_fork(bool (*fn)(void *arg), void *arg);

/*
 * a(arg), with b(arg) of another CPU before one of its instructions; and fn(arg) as a third CPU: see test.h.
 * backend_steps(): whether that can be had.
 */
bool backend_steps(void);
bool backend_step(enum test_way way, void (*a)(void *arg), void (*b)(void *arg), void *arg,
		  unsigned long at);
void backend_elsewhere(void (*fn)(void *arg), void *arg);

/* There too: a sanitizer's own report ends the process where a fault would end a test. */
bool backend_sanitized(void);

#endif
