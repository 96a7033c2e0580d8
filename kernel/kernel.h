/* SPDX-License-Identifier: MIT */
/*
 * The demo kernel, file by file. What arch/ gives it is in arch.h; main.c tells the order of a boot.
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/mm.h>
#include <marrow/port.h>
#include <marrow/sites.h>
#include <marrow/watch.h>
#include "../mm/base/report.h"
#include "arch.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

/* options.c: what the loader's command line asks for */
struct options {
	const char *test; /* "all", "suite", "suite.name"; NULL: no tests */
	const char *run; /* commands of the monitor, separated by ';' */
	bool exit_given, exit; /* leave QEMU afterwards, instead of going to the monitor */
	bool long_tests, counted_tests;
	bool seeded;
	uint64_t seed;
	uint64_t rounds; /* percent of them, for tests */
	uint64_t gap; /* longest time between two seeded preemptions, in nanoseconds */
};

extern struct options options;
void options_read(const char *cmdline);
const char *options_take(const char *word); /* Return: a complaint, or NULL */
void options_complain(void); /* about words that nobody knows */
void options_help(void);

/* memory.c: from the firmware's map to regions of the heap */
void memory_init(const struct arch_boot_info *info);
const struct arch_boot_info *memory_info(void);
uint64_t memory_total(void); /* bytes of FREE memory */
void memory_open(void); /* all of it becomes the heap */
void memory_close(void); /* the heap is forgotten; all of it is spare again */
bool memory_is_open(void);
uint64_t memory_reclaim(void); /* adds what is RECLAIM; the bytes that became usable, once */
void *memory_spare(size_t *len); /* the longest run of FREE memory, while the heap is closed */
/* Memory that is no region yet, while the heap is open; NULL: there is none. */
void *memory_held(size_t *len, uint64_t *phys);
void memory_print(void);
void memory_print_untouched(void); /* beside the free runs */
void memory_print_metadata(void); /* what the heap's own records are */
bool memory_check(void); /* of the whole heap, the world stopped; says what is wrong */

/*
 * asan/: only in a build that checks addresses. What lies below @stack on this thread's has ended; memory is
 * used for something else.
 */
void shadow_stack_left(void *stack) __attribute__((weak));
void shadow_forget(void *at, size_t len) __attribute__((weak));
/*
 * Only in the kernel with seams (kernel/seams/): from now on all CPUs take turns as @seed says; @what
 * makes one test's moments differ from another's.
 */
void seams_start(uint64_t seed, uint64_t what) __attribute__((weak));
void seams_stop(void) __attribute__((weak));
void seams_report(void) __attribute__((weak));
void pinned_report(void) __attribute__((weak)); /* only in the kernel of make pinned */

/* stop.c: the world stands still */
struct stop_counts {
	unsigned long stops, failures;
	uint64_t longest_ns; /* from the request to the last answer */
};

void stop_counts(struct stop_counts *counts);
/* How long a CPU may take to answer: at first, and from the next stop on. */
#define STOP_LIMIT_NS 2000000000ul
void stop_set_limit(uint64_t ns);
/*
 * Is the world stopped, or about to be: a handler that would allocate does it later, and no CPU
 * changes its thread. irq: any.
 */
bool stop_active(void);
/* Registers that CPU @cpu was stopped with; only between stop and start. NULL: the stopper's. */
const struct arch_regs *stop_regs(unsigned int cpu);

/* port.c */
struct port_counts {
	size_t released, reclaimed; /* bytes */
	size_t reported; /* of those released, that the host took */
};

void port_counts(struct port_counts *counts);
/* Was any page of a heap ever made to fault? It may still, when that heap is gone. */
bool port_has_protected(void);
/* What the current thread says is dropped, until it is switched off. One thread at a time. */
void port_mute(bool on);

/* workers.c: the threads that serve mw_port_wake(); they are there while the heap is open */
struct worker_counts {
	unsigned long wakes, runs; /* asked for; began to work */
	unsigned long turns; /* calls of mw_worker_run() */
	uint64_t ns; /* that it had a CPU, until it gave it away last; since it was started */
};

bool workers_start(void); /* irq: on. Return: false: no memory, and none runs */
void workers_stop(void); /* they are gone when it returns; irq: on */
bool worker_runs_here(void); /* is the current thread one of them? */
void worker_counts(unsigned int worker, struct worker_counts *counts);

/* dimm.c: memory modules that come and go while the heap is open */
void dimm_open(void);
void dimm_close(void);
void dimm_print(void);

/* report.c: what is said when something is wrong */
size_t report_heap(char *text, size_t size); /* what it knew, for a panic. irq: any. Return: length */
mw_misuse_fn report_and_go_on, report_and_panic; /* handlers for mw_on_misuse() */

/* monitor.c */
struct command {
	const char *name, *args, *help;
	void (*run)(size_t argc, char **argv); /* argv[0] is the name */
};

struct command_group {
	const char *title;
	const struct command *commands;
	size_t n;
};

/* commands_*.c, poke.c, graph.c, tour.c */
extern const struct command_group heap_commands, gc_commands, watch_commands, leak_commands,
	fs_commands, storm_commands, test_commands, machine_commands, memory_commands;
void poke(size_t argc, char **argv);
void poke_overflow(void *arg); /* recurses until the stack's guard page */
void tour(size_t argc, char **argv);
void graph(size_t argc, char **argv);
void graph_churn(size_t argc, char **argv);

void monitor_run(const char *commands); /* separated by ';', each shown first */
void monitor_typed(const char *commands); /* the same, which is to be seen already */
_Noreturn void monitor_loop(void);

/* test_harness.c */
bool test_running(void);
bool test_has_own_roots(void); /* what stacks and data hold are no roots */
bool tests_run(const char *which, bool list); /* Return: at least one ran, and none failed */
bool tests_known(const char *which); /* is there one? Else a line says so */
/* A panic or an exception; does not return if the test that runs on this CPU can end by it. */
void tests_panicked(const char *why);

#endif
