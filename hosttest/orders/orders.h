/* SPDX-License-Identifier: MIT */
/*
 * Protocols under the memory orders of C11, decided by search.
 *
 * A protocol is a few threads, written as the functions of mm/ are, that call what is declared
 * below for each access to shared memory. The search runs them in all ways that an operational
 * machine of views allows:
 *
 *   - A location has a history of messages, oldest first in its modification order. A store puts one anywhere behind
 *     what its thread has seen of the location, not only at the end; a read-modify-write puts it right behind the one
 *     that it has read, and nothing comes between the two any more.
 *   - A thread has a view: how far, at least, it has seen each location. A load takes any message from there on.
 *   - A message has a view, too. That of a release store is its thread's; whoever reads it with acquire joins it to its
 *     own. A read-modify-write passes on the view of what it has read, whatever its order: a release sequence.
 *   - A release fence keeps the view that later relaxed stores publish; an acquire fence joins what earlier relaxed
 *     loads have read.
 *   - Sequentially consistent accesses have one order, which agrees with what happens before what, and with what each of
 *     them reads and overwrites; not, as such, with the order in which they are made: see agree.c. A fence of that order
 *     comes behind all that were made before it, joins what they have seen, and those behind it have seen that.
 *   - Plain accesses are no choice. Views say which of them their owner knows to be over; one that meets another that
 *     it does not know of, and one of them writes, is a data race, and wrong.
 *
 * What it has not: stores that others see before an earlier load of their thread has read. Load
 * buffering, which C11 allows where all is relaxed, needs promises for that, and is out.
 *
 * A state holds no local variables. It has what each thread has read so far, and a step runs the
 * thread's function from its beginning, gives it the same again, and makes one access more. So the
 * functions are C like any other, with three rules: what they do depends on what they read alone;
 * they keep nothing outside of their frame; and they wait by await() and lock(), and not in a loop.
 * Their other loops end when all that is read is 0.
 *
 * Equal states are met once. What makes them equal: messages are counted from the oldest that
 * anybody can still read.
 */
#ifndef HOSTTEST_ORDERS_H
#define HOSTTEST_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOST_THREADS 4
#define MOST_LOCATIONS 10
#define MOST_PLAINS 6
#define MOST_GHOSTS 8
#define MOST_SITES 32
#define MOST_MESSAGES 24
#define MOST_STEPS 72

enum order {
	RELAXED,
	ACQUIRE,
	RELEASE,
	ACQ_REL,
	SEQ_CST,
	NR_ORDERS,
};

/* An access of the code: where it is, what it does, and with which order. */
struct site {
	const char *function, *access;
	enum order order;
	enum {
		LOAD,
		STORE,
		UPDATE, /* a read-modify-write */
		FENCE,
	} kind;
};

struct protocol {
	const char *name, *about;
	const char *thread[MOST_THREADS]; /* names */
	void (*run[MOST_THREADS])(void);
	const char *location[MOST_LOCATIONS]; /* names; all are 0 in the beginning */
	const char *plain[MOST_PLAINS]; /* of variables that are not atomic */
	struct site sites[MOST_SITES];
	unsigned int ways; /* to begin, 1 if 0; of which the short form takes @short_ways, all if 0 */
	unsigned int short_ways;
	void (*start)(void); /* may be NULL */
	const char *(*wrong)(void); /* when all threads have ended; may be NULL */
	unsigned long least; /* states of the right protocol: fewer, and it has lost most of what it should look at */
};

/* ---- for the functions of a protocol ---- */

/* Which way to begin this is. */
extern unsigned int way;

unsigned int load(unsigned int site, unsigned int location);
void store(unsigned int site, unsigned int location, unsigned int value);
/* All return what was there. */
unsigned int exchange(unsigned int site, unsigned int location, unsigned int value);
unsigned int fetch_or(unsigned int site, unsigned int location, unsigned int value);
unsigned int fetch_and(unsigned int site, unsigned int location, unsigned int value);
unsigned int fetch_add(unsigned int site, unsigned int location, unsigned int value);
/*
 * What @mask has becomes what @value has: a loop of compare_exchange() around a relaxed load, in
 * one.
 */
unsigned int replace(unsigned int site, unsigned int location, unsigned int mask, unsigned int value);
/* @failed: the site whose order a failure has. */
bool compare_exchange(unsigned int site, unsigned int failed, unsigned int location,
		      unsigned int *expected, unsigned int value);
void fence(unsigned int site);
/* A load, again and again, until (the value & @mask) is @value, or is another one. */
unsigned int await(unsigned int site, unsigned int location, unsigned int mask, unsigned int value);
unsigned int await_not(unsigned int site, unsigned int location, unsigned int mask,
		       unsigned int value);

/*
 * Accesses of others whose orders are not this protocol's business: the port's, and those of a
 * lock.
 */
unsigned int load_as(enum order order, unsigned int location);
unsigned int await_not_as(enum order order, unsigned int location, unsigned int mask,
			  unsigned int value);
void store_as(enum order order, unsigned int location, unsigned int value);
unsigned int await_as(enum order order, unsigned int location, unsigned int mask, unsigned int value);
void lock(unsigned int location);
void unlock(unsigned int location);

/* Variables that are not atomic. */
unsigned int plain_read(unsigned int plain);
void plain_write(unsigned int plain, unsigned int value);

/*
 * What a thread has read is forgotten where nothing of it is needed any more, and states become
 * equal sooner: its function returns after go_on(), and is called for that part from then on. Each
 * part makes an access, at least.
 */
unsigned int part(void);
void go_on(unsigned int part);

/*
 * What the author of a protocol counts, beside it: in order of execution, and no part of any order.
 */
unsigned int ghost(unsigned int number);
void set_ghost(unsigned int number, unsigned int value);
/* This must not happen. */
void wrong(const char *why);
/* wrong() unless @ok. */
void must(bool ok, const char *why);

/* In start() and in wrong(): what a location or variable has first, or last. */
void begin_with(unsigned int location, unsigned int value);
void begin_plain(unsigned int plain, unsigned int value);
void begin_ghost(unsigned int number, unsigned int value);
unsigned int last(unsigned int location);
unsigned int last_plain(unsigned int plain);
unsigned int last_ghost(unsigned int number);

/* ---- the machine: step.c, access.c, plain.c ---- */

#define MOST_EVENTS 16
typedef uint16_t set; /* of events, see agree.c */

struct view {
	unsigned char at[MOST_LOCATIONS]; /* the oldest message that may be read */
	unsigned char knows[MOST_PLAINS]; /* the last write; the reads since then by each thread: KNOWS_* */
	set before; /* events */
};

#define KNOWS_WRITE 0x80u
#define KNOWS_READ(thread) (1u << (thread))
#define KNOWS_READS ((1u << MOST_THREADS) - 1)

struct message {
	unsigned char value;
	unsigned char joined; /* of a read-modify-write: belongs to the message before it */
	struct view view;
};

struct thread_state {
	unsigned char ended, part, steps;
	unsigned char seen[MOST_STEPS];
	struct view now, acquired, released; /* the last two for fences */
};

/* A sequentially consistent access. */
struct event {
	unsigned char location, at,
		writes; /* a message of it that it has read or, in the end, written */
	unsigned char zero; /* states are compared as bytes */
	set before;
};

struct agreement {
	unsigned char events;
	struct event event[MOST_EVENTS];
	/* What came before those that have gone; the second: which have read the oldest message. */
	set gone[MOST_LOCATIONS], gone_reads[MOST_LOCATIONS];
	set fenced; /* what came before the last fence of that order */
};

struct state {
	struct thread_state thread[MOST_THREADS];
	unsigned char count[MOST_LOCATIONS];
	struct message message[MOST_LOCATIONS][MOST_MESSAGES];
	struct agreement agreement;
	/*
	 * With fences: what those that are sequentially consistent have seen, and what such
	 * accesses have.
	 */
	unsigned char fenced[MOST_LOCATIONS], touched[MOST_LOCATIONS];
	unsigned char plain[MOST_PLAINS], ghost[MOST_GHOSTS];
};

struct machine {
	struct state state;
	const struct protocol *protocol;
	enum order order[MOST_SITES]; /* as tried now */
	unsigned int threads, locations, plains, sites;
	bool fences, agrees; /* there are such sites, or sequentially consistent ones */
	const char *wrong;
	/* Of the step that is made. */
	unsigned int thread, choice, options, at;
	bool moved, stopped, traced;
};

extern struct machine machine;

extern const char *const order_names[NR_ORDERS];

/*
 * agree.c: may a sequentially consistent access read message @i, or put another one behind it, or
 * both?
 */
bool agree_allows(unsigned int location, unsigned int i, bool reads, bool writes);
/* It was made; @i is the message that was written, if it was. */
void agree_add(unsigned int location, unsigned int i, bool writes);
void agree_insert(unsigned int location, unsigned int behind);
void agree_fence(void);
void agree_forget(unsigned int location, unsigned int n);
void agree_sort(void);

/* All orders are the code's. */
void machine_set(const struct protocol *protocol);
void machine_start(unsigned int which);
/*
 * One access of @thread, the one of its @options with number @choice. Return: false: there is no
 * such one.
 */
bool machine_step(unsigned int thread, unsigned int choice);

/* ---- the search: search.c ---- */

struct found {
	unsigned long states;
	const char *wrong; /* NULL: nothing */
	unsigned int steps; /* there */
	bool exhausted; /* false: too many states, the answer is not known */
};

/* Breadth first, so that what is found is found in the fewest steps. */
struct found search(bool brief);
/* How the last search found it. */
void search_trace(void);

extern const struct protocol *const protocols[];
extern const unsigned int nr_protocols;

/* ---- litmus.c ---- */

/* Return: whether the machine allows and forbids what it should; counts and says each. */
bool litmus(unsigned int *passed, unsigned int *failed);

/* ---- axioms.c: the same of programs made from a seed ---- */

bool axioms(unsigned long programs, unsigned int *passed, unsigned int *failed);

#endif
