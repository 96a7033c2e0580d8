/* SPDX-License-Identifier: MIT */
/*
 * Crowds: random allowed calls on several CPUs at once, each with a model of what it owns. Parts of test_crowd.c:
 *
 *	crowd.h		who calls, and what he remembers
 *	crowd_things.h	the things that calls need: made, looked at, ended
 *	crowd_model.h	what an answer must be, and what becomes of it
 *	crowd_calls.h	which call comes next
 *	crowd_begin.h	what all share
 *	crowd_end.h	how it all ends
 *
 * The calls are the forms of api.def. Each CPU has two actors, its thread and its interrupt handler, each with things
 * of its own: a form that names a thing is called when the actor has it. What nobody else can change has one right
 * answer. What a form of api.def takes from all (us) comes to the actor from another one by way of
 * crowd.transit, so that just one of them ends it.
 */
#ifndef HOSTTEST_CROWD_H
#define HOSTTEST_CROWD_H

#include "harness.h"

/* What the forms ask for, other sizes in each crowd. */
static struct {
	size_t object, wide, large, cache;
} crowd_size;
#define OBJECT_SIZE crowd_size.object
#define WIDE_SIZE crowd_size.wide
#define LARGE_SIZE crowd_size.large
#define CACHE_SIZE crowd_size.cache
#include "forms_table.h"
#include "../mm/special/special.h"

#define CROWD_CPUS 4u
#define MOST_FORMS 320u
#define MOST_EXTRAS 40u
#define REGION_PHYS ((uint64_t)1 << 34)
#define MOST_HOGS 96u
#define LAST_CALLS 12u /* of each actor, told when something fails */
#define PASSES 4u /* slots of each kind in transit */

/* What else stands for a thing in the expressions; these are always there. */
#define ROOT_WORDS 32u
#define FIRST_ROOT                                                                                 \
	12u /* the words before it are of the things; the last one is of answers that were live before */
#define TAG 7u

/* An answer that is memory: whole, or with what it is to hold in it. */
struct extra {
	void *at;
	size_t size; /* bytes that are filled */
	enum made kind;
	unsigned char byte;
};

struct last {
	const struct form *form;
	uintptr_t result;
	mw_flags_t flags;
};

struct actor {
	struct things me, us; /* @us: what is in transit, in this actor's hands */
	bool is_handler;
	unsigned int cpu;
	bool live[NR_THINGS], shared[NR_THINGS]; /* what of @me and of @us is there */
	struct extra extra[MOST_EXTRAS];
	struct {
		size_t size;
		unsigned char byte;
	} root[ROOT_WORDS]; /* what the collected answers in me.roots hold */
	unsigned char byte; /* what its things are filled with */
	unsigned char next_byte; /* the next answer */

	/* The model of what is no memory. */
	char *spare[2]; /* for regions, the second one for memory that reads as zero; me.spare is one of them */
	bool region_on[2];
	bool key_in, collected_in; /* in the shared table */
	bool finalized, collected_finalized;
	unsigned int pins; /* of me.to_pin */
	unsigned int debug_calls;
	struct {
		void *at;
		size_t pages;
	} hog[MOST_HOGS];
	unsigned int hogs;

	unsigned short deck[MOST_FORMS], cards, card;
	uint64_t cost[MOST_FORMS], mean; /* ns, on average */
	unsigned long calls[MOST_FORMS], left[MOST_FORMS]; /* left: what it needs was not to be had */
	struct last last[LAST_CALLS];
	unsigned int told;
};

struct crowd_want {
	const char *name;
	size_t heap;
	bool interrupts, workers;
	bool switches; /* aids, safe free, samples, the trace */
	bool hogs; /* memory is out now and then */
	bool fails; /* on purpose */
	unsigned long calls; /* of each thread */
};

static struct {
	const struct crowd_want *want;
	struct things us; /* what is the same for all */
	struct actor thread[CROWD_CPUS], handler[CROWD_CPUS];
	unsigned int cpus;
	_Atomic(void *) transit[NR_THINGS][PASSES];
	atomic_bool region_taken;
	bool region_off; /* somebody removes it, or adds it again */
	atomic_bool resizing; /* of calls that are apart from each other */
	atomic_bool quiet[CROWD_CPUS]; /* its handler does nothing */
	atomic_bool failed, on;
	mw_atomic_t pins, sets, clears, finalized, added, cancelled, cleaned, heard, shrunk;
	size_t base_objects, base_pages, base_pool;
	unsigned int words_of_me[MOST_FORMS],
		words_of_us[MOST_FORMS]; /* things that are named, as bits */
	bool chosen[MOST_FORMS];
} crowd;

/* ---- failures ---- */

static bool crowd_same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static bool crowd_names(const char *text, const char *part)
{
	return test_has(text, part) != NULL;
}

static void crowd_tell_actor(const struct actor *a)
{
	unsigned int n = a->told < LAST_CALLS ? a->told : LAST_CALLS;

	for (unsigned int i = a->told - n; i != a->told; i++) {
		const struct last *last = &a->last[i % LAST_CALLS];

		if (last->form)
			test_note("CPU %u%s %u: %s%s%s (flags 0x%x) gave 0x%lx", a->cpu,
				  a->is_handler ? " handler" : "", i, last->form->call,
				  *last->form->tag ? "." : "", last->form->tag, last->flags,
				  (unsigned long)last->result);
	}
}

/* The last calls of each CPU; the harness tells the seed. */
static void crowd_tell(void)
{
	if (!crowd.want)
		return;
	test_note("crowd %s, seed %llu: the last calls", crowd.want->name,
		  (unsigned long long)test_seed);
	for (unsigned int cpu = 0; cpu < crowd.cpus; cpu++) {
		crowd_tell_actor(&crowd.thread[cpu]);
		crowd_tell_actor(&crowd.handler[cpu]);
	}
}

/* The first failure ends the crowd. */
#define CROWD_CHECK(a_, ok_, what_, text_)                                                         \
	do {                                                                                       \
		if (!(ok_))                                                                        \
			crowd_fail((a_), (what_), (text_), __LINE__);                              \
	} while (0)

static void crowd_fail(const struct actor *a, const char *what, const char *text, int line)
{
	if (atomic_exchange(&crowd.failed, true))
		return;
	(void)test_check(false, __FILE__, line, "CPU %u%s: %s %s", a ? a->cpu : 0,
			 a && a->is_handler ? " handler" : "", what, text);
	crowd_tell();
}

static void crowd_misused(const struct mw_report *report)
{
	unsigned int cpu = backend_worker();

	if (!atomic_load(&crowd.failed))
		test_note("%s at %p, object %p of %zu bytes, %s, given %zu",
			  mw_misuse_name(report->what), report->address, report->object,
			  report->size, report->cache ? report->cache : "no cache", report->given);
	crowd_fail(&crowd.thread[cpu], mw_misuse_name(report->what), report->text, __LINE__);
}

/* ---- contents ---- */

#define WHOLE 512u /* bytes; of what is longer the ends, and a byte of each so many */
#define END 128u

static void crowd_fill(void *at, size_t size, unsigned char byte)
{
	unsigned char *bytes = at;

	if (size <= WHOLE) {
		__builtin_memset(at, byte, size);
		return;
	}
	__builtin_memset(bytes, byte, END);
	__builtin_memset(bytes + size - END, byte, END);
	for (size_t i = WHOLE; i < size - END; i += WHOLE)
		bytes[i] = byte;
}

static bool crowd_holds(const void *at, size_t size, unsigned char byte)
{
	const unsigned char *bytes = at;
	bool holds = true;

	for (size_t i = 0; i < size; i++) {
		if (size > WHOLE && i >= END && i < size - END && i % WHOLE)
			i = i / WHOLE * WHOLE + WHOLE < size - END ? i / WHOLE * WHOLE + WHOLE
								   : size - END;
		holds &= bytes[i] == byte;
	}
	return holds;
}

static bool crowd_is_zero(const void *at, size_t size)
{
	const unsigned char *bytes = at;
	bool zero = true;

	for (size_t i = 0; i < size; i++)
		zero &= !bytes[i];
	return zero;
}

#endif
