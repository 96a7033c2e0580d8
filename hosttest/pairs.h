/* SPDX-License-Identifier: MIT */
/*
 * Every pair of calls, at every moment: what the files of build/host-pairs/pairs share.
 *
 * One thread plays a machine of two CPUs, 0 for call A and 1 for call B, and a third one, which
 * sets up and looks afterwards. A is run once with a jump before each of its instructions that
 * touch memory: where one is about to touch what Marrow shares there is a moment. In a second run
 * it is stopped at one moment after the other. At each, all that Marrow is made of is copied
 * (globals, touched pages, stacks, registers); then for each B and each way of its coming there the
 * machine runs to the end, is looked at, and is put back, as far as it was written to. Where all
 * memory is then as after another case, what the checks said of that one holds, and they are not
 * run again. A crash, a panic or a loop without end costs nothing more than that case.
 *
 *	pairs_run.c	the machine: contexts, CPUs, faults
 *	pairs_port.c	what Marrow asks of it: stops of the world, roots, time
 *	pairs_step.c	accesses: record, choose, stop there
 *	pairs_decode.c	what an instruction touches
 *	pairs_memory.c	memory and its copies
 *	pairs_bytes.c	memset() and the like
 *	pairs_state.c	the states that pairs begin in
 *	pairs_things.c	what is there in each
 *	pairs_forms.c	the calls, made from api.def by forms_table.h
 *	pairs_check.c	what must hold afterwards
 *	pairs_case.c	one case
 *	pairs.c		the loop over all of it
 */
#ifndef HOSTTEST_PAIRS_H
#define HOSTTEST_PAIRS_H

#include <stdint.h>
#include <stdio.h>
#include <marrow/port.h>
#include "forms.h"

/* The engine's own variables: not Marrow's, and the same all the time. */
#define OWN __attribute__((section("pairs_own")))

#define PAIRS_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* ---- forms ---- */

/* May they be inside Marrow at once? The sentence that says no, or NULL. */
const char *forms_apart(const struct form *a, const struct form *b);
struct mw_mempool *forms_pool(void);
/* Run it for @who, 0 or 1, and note what it leaves. */
void form_run(const struct form *form, unsigned int who);

/* ---- the machine ---- */

/* How B comes. */
enum way {
	WAY_CPU, /* as a thread of the other CPU */
	WAY_HANDLER, /* as an interrupt handler on the CPU that runs, which is not pinned */
	WAY_STOPPED, /* as an interrupt handler on the CPU that is stopped */
	WAY_STOPPER, /* A is the handler on a stopped CPU; B has stopped the world before, and goes on */
	NR_WAYS
};
extern const char *const way_names[NR_WAYS];

enum who {
	CO_A,
	CO_B,
	CO_WORKER, /* what mw_port_run_stopped() gives the stopped CPU */
	NR_CO,
	CO_NOBODY = NR_CO /* setting up and looking: a third CPU */
};
#define NR_CPUS 3

/* At a place, see pairs_step.c: in the machine's order of registers. */
struct registers {
	_Alignas(64) char vectors[512]; /* as fxsave writes them */
	uintptr_t general[16], flags, ip; /* @flags: %ah as of lahf, %al: overflow */
};

struct co {
	void *sp; /* while it does not run */
	struct registers registers; /* if it stands at a moment: then it goes on with these */
	bool at_moment;
	bool started, ended;
	bool handler;
	unsigned int cpu;
	const struct form *form;
	unsigned int times;
};

#define MOST_FILLERS 2048u
#define MOST_RUNS 512u

/* All that changes besides Marrow's own memory, and is put back with it. */
struct machine {
	struct things mine[2], us;
	struct co co[NR_CO];
	enum who now;
	struct {
		unsigned long depth;
		unsigned int pending;
	} cpu[NR_CPUS]; /* of those that do not run: else in port_cpu */
	enum who stopper; /* CO_NOBODY: the world runs */
	void (*worker_fn)(unsigned int worker, void *arg);
	void *worker_arg;
	uint64_t clock;
	unsigned long yields;
	unsigned char reports[MW_NR_MISUSES];
	bool inside; /* the port's own instructions: no moments there */
	bool hold; /* B, when it has stopped the world */
	bool faults_here; /* misuse now is a failure of the case */
	struct mw_type node_type, flex_type;
	void *filler[MOST_FILLERS]; /* objects that fill spans, some collected */
	unsigned int fillers;
	struct {
		void *at;
		size_t pages;
	} run[MOST_RUNS]; /* what fills memory */
	unsigned int runs;
};
extern struct machine *machine;

enum verdict {
	V_PASSED,
	V_CRASH,
	V_HANG,
	V_PANIC,
	V_CHECK,
	V_ORDER,
	V_LOST,
	V_ENGINE,
	V_LONG, /* too many instructions for what is wanted */
	NR_VERDICTS
};
extern const char *const verdict_names[NR_VERDICTS];

struct failure {
	enum verdict verdict;
	uintptr_t ip;
	char text[480];
};
extern struct failure *failure; /* of the case that runs */

void machine_set_up(void);
#define MACHINE_YIELDS                                                                             \
	4000u /* turns of spin loops in a case; the longest that passes has a tenth */

/* As it was switched on. */
void machine_clear(void);
/* Run @fn on the engine's own stack, as the third CPU. Return: false if it failed, see *failure. */
bool machine_try(void (*fn)(void *arg), void *arg);
_Noreturn void machine_fail(enum verdict verdict, uintptr_t ip, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* As CPU @cpu, on the engine's stack: for setting up. */
unsigned int machine_as(unsigned int cpu);
/* Who is to begin. */
void machine_begin(enum who who, const struct form *form, unsigned int times, unsigned int cpu,
		   bool handler);
/* Let @who run until all that began has ended, or until a moment. */
void machine_run(enum who who);
/* For the port: somebody spins; let @to go on; may it? Where it is, how deep pinned. */
void machine_yield(void);
void machine_change(enum who to);
bool machine_may_run(enum who who);
unsigned int machine_cpu_of(enum who who);
unsigned long machine_depth_of(enum who who);
void machine_co_begin(enum who who, unsigned int cpu, void (*fn)(void));
/* B has stopped the world: back to who called machine_run(), as was wanted. */
void machine_hold(void);
const char *machine_now_name(void);
/* At a moment: back to who called machine_run(). Who stands there goes on with @registers. */
_Noreturn void machine_stopped_here(const struct registers *registers);
/* Of the stack of @who: where it begins to be used, and its end. */
char *machine_stack_top(enum who who);
char *machine_stack_low(enum who who);
#define STACK_SCANNED ((size_t)16 << 10) /* calls go no deeper; below it nothing is put back */
/* It takes long and is no hang. */
void machine_goes_on(void);
/* Text of mw_port_write() since machine_try() or machine_listen() began. */
const char *machine_said(void);
void machine_listen(void);

/* ---- memory ---- */

#define ARENA ((char *)(uintptr_t)MW_ADDR_BASE)
#define ARENA_BYTES ((size_t)1 << MW_ADDR_BITS)

void memory_set_up(void);
/* Fresh: nothing is touched, protected, or copied. */
void memory_clear(void);
/* A fault at @at. Return: true if it was but the first touch of a page. */
bool memory_touched(uintptr_t at);
void memory_forbid(void *page, size_t len, bool forbid);
/* Is it Marrow's, or an object? */
bool memory_shared(uintptr_t at);

/* What marks the page of @at as written: its number in the window, the two bytes swapped. */
static inline unsigned int memory_mark_of(uintptr_t at)
{
	return __builtin_bswap16((uint16_t)(at >> 12));
}
#define PAIRS_DIRTY 65536
extern unsigned char pairs_dirty[PAIRS_DIRTY];
void *pairs_memset(void *at, int byte, size_t len);
void *pairs_memcpy(void *to, const void *from, size_t len);
void *pairs_memmove(void *to, const void *from, size_t len);
/* The same, unmarked. */
void bytes_fill(void *at, int byte, size_t len);
void bytes_copy(void *to, const void *from, size_t len);
void bytes_move(void *to, const void *from, size_t len);

struct copy;
struct copy *copy_new(void);
void copy_take(struct copy *copy);
void copy_put_back(const struct copy *copy);
bool copy_is_so(const struct copy *copy);
size_t memory_pages(void);
/* Of all memory but the stacks. */
uint64_t memory_hash(void);

/* ---- states ---- */

#define PHYS(at) ((uint64_t)((at)-ARENA) + ((uint64_t)16 << 20))
/* The state cannot be made if this is not so. */
void things_must(bool fine, const char *what);
/* All things; @shared: the CPU that allocates for all, 0: each does its own. */
void things_make(unsigned int shared);
/* The shared idle cache's spans. */
void things_make_idle(void);

struct state {
	const char *name;
	unsigned int span, memory, aids, watch, cpus;
};
extern const struct state states[];
extern const unsigned int nr_states;
/* Does any choice meet any other one in one of them? */
bool states_cover(void);
/* A heap in that state. Return: false, see *failure. */
bool state_make(const struct state *state);
bool state_is_full(const struct state *state);

/* ---- moments ---- */

struct moment {
	unsigned int step; /* of the record */
	uintptr_t ip;
};

void step_set_up(void);
/* Leave what runs at *@from, and go on at a moment. */
void step_switch(void **from, const struct registers *registers);
/* Of whose instructions all that follows is: A's or B's. */
void step_use(enum who who);
/* Record whom machine_begin() has begun. @most: accesses; 0: as many as there is room for. Return: how many moments;
 * 0: it failed. */
unsigned int step_record(unsigned int most);
unsigned int step_moments(const struct moment **moments);
unsigned int step_accesses(void);
/* A's call begins and ends: from form_run(). */
void step_call_begins(void);
void step_call_ends(void);
/* To the moment @m, from an earlier one or from the beginning. Return: false: it did not come there. */
bool step_to(unsigned int m);
/* What was put back stands there. */
void step_stands_at(unsigned int m);
void step_end(void);

/* What memory an instruction touches besides its stack. Return: false: none, or only by push, pop, call, return. */
bool decode_touches(const uint8_t *code, const uintptr_t *registers, uintptr_t *at);

/* ---- checks ---- */

struct outcome {
	const struct b *b; /* pairs.c's */
	enum way way;
	uintptr_t result[2];
	unsigned char reports[MW_NR_MISUSES];
	size_t left_objects, left_pages; /* when all was given back */
};
void check_outcome(struct outcome *outcome);
/* Is @seen what @one was, as far as the two forms promise? */
bool check_alike(const struct form *a, const struct form *b, bool full, const struct outcome *seen,
		 const struct outcome *one);
/* After a case: fails, or returns. */
void check_after(void *arg);

/* ---- the loop ---- */

#define MOST_FAILURES 3u /* of one pair in one state, each with its moment; the rest is counted */
#define MOST_HANGS 3u /* then the pair is left in this state, and that is said */
#define MOST_BS 400u

struct b {
	const struct form *form;
	unsigned int times;
};

/* How a pair goes, one after the other. */
struct reference {
	bool known, fine;
	struct outcome ab, ba;
};

/* Mapped, so that nothing of it is put back. */
struct loop {
	const char *state, *a, *b, *way;
	int moment;
	unsigned long cases; /* 0: all */
	unsigned int moments; /* of an A at most; 0: all */
	unsigned int most, left; /* accesses of an A, 0: any; how many had more */
	uint64_t seed, dice;
	struct b bs[MOST_BS];
	unsigned int nr_bs;
	bool drawn[MOST_BS]; /* for this unit */
	struct copy *start, *held, *moment_copy, *second_copy;
	bool verifies; /* what is not done a second time else */
	bool twice; /* A goes on at each moment of B, too */
	const struct state *now_state;
	const struct form *now_a;
	struct reference reference[MOST_BS][NR_WAYS];
	struct tally {
		unsigned int cases, failed, hangs;
	} tally[MOST_BS][NR_WAYS];
	unsigned int accesses;
	unsigned long unit_cases, unit_failed;
	unsigned long checked; /* cases whose memory was like that of none before */
	unsigned long total_cases, total_failed, forbidden;
};
extern struct loop *loop;

const char *form_name(const struct form *form);
/* A failure that *failure describes, of the @i-th B. */
void case_failed(unsigned int i, enum way way, const char *moment, unsigned int step, uintptr_t ip);
/* May B come so, where the machine stands? */
bool case_way_is_open(enum way way, const struct form *form);
/* The two orders, from loop->start. Return: false: one of them has failed already. */
bool case_make_reference(unsigned int i, enum way way);
/* The machine stands at moment @m. */
void case_run(unsigned int i, enum way way, unsigned int m, const struct moment *moment);
/* There, each moment of B too: A goes on at it. */
void case_run_twice(unsigned int i, unsigned int m, const struct moment *moment);
/* From loop->start until B has stopped the world. Return: false: it does not. */
bool case_hold(unsigned int i);

#endif
