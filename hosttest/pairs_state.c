// SPDX-License-Identifier: MIT
/*
 * The states that pairs begin in, and the things that are there. See pairs.h.
 *
 * A state is a choice for each of: how the spans stand that the two calls will meet, how much memory there is, which
 * aids are on, who watches, which CPUs have begun. Most states have one choice that is not the usual one;
 * those at the end of the table mix them, so that any two choices meet somewhere.
 */
#define _GNU_SOURCE
#include <string.h>
#include "pairs.h"
#include "../mm/object/object.h"

#define MAIN (ARENA + ((size_t)1 << 20))
#define MAIN_BYTES ((size_t)3 << 20)
#define REGION (ARENA + ((size_t)64 << 20))
#define PHYS(at) ((uint64_t)((at)-ARENA) + ((uint64_t)16 << 20))

enum {
	SPAN_CURRENT, /* there is room in the spans that CPUs allocate from */
	SPAN_FULL, /* there is none: the next one of each kind needs another span */
	SPAN_PARTIAL, /* every other object of the full ones is free again */
	SPAN_REMOTE, /* these were freed by another CPU, and nobody has gathered them */
	SPAN_UNOWNED, /* all spans are of a CPU that has stopped */
	SPAN_UNSWEPT, /* a mark has found garbage everywhere, and nothing is swept */
	SPAN_NEWBORN, /* spans were made while the world was stopped for a mark */
	SPAN_KEPT, /* large objects were just freed, and pages, and caches destroyed */
};
enum {
	MEMORY_AMPLE,
	MEMORY_FULL, /* not a page is left */
	MEMORY_RESERVE, /* nor would one be but for the reserve */
};
enum {
	AIDS_OFF,
	AIDS_DEBUG,
	AIDS_SAFE,
	AIDS_GC,
};
enum {
	WATCH_OFF,
	WATCH_SAMPLES, /* the profile of all, the trace */
	WATCH_FAILING, /* failing on purpose is on, and hits nobody */
};
enum {
	CPUS_BEGUN,
	CPUS_A_NOT, /* A's CPU has not begun */
	CPUS_B_NOT,
};

const struct state states[] = {
	{ "current", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "full", SPAN_FULL, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "partial", SPAN_PARTIAL, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "remote", SPAN_REMOTE, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "unowned", SPAN_UNOWNED, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "unswept", SPAN_UNSWEPT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "newborn", SPAN_NEWBORN, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "kept", SPAN_KEPT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "no-memory", SPAN_FULL, MEMORY_FULL, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "reserve", SPAN_FULL, MEMORY_RESERVE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "debug", SPAN_CURRENT, MEMORY_AMPLE, AIDS_DEBUG, WATCH_OFF, CPUS_BEGUN },
	{ "safe", SPAN_CURRENT, MEMORY_AMPLE, AIDS_SAFE, WATCH_OFF, CPUS_BEGUN },
	{ "gc-aids", SPAN_CURRENT, MEMORY_AMPLE, AIDS_GC, WATCH_OFF, CPUS_BEGUN },
	{ "samples", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_SAMPLES, CPUS_BEGUN },
	{ "failing", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_FAILING, CPUS_BEGUN },
	{ "a-not-begun", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_A_NOT },
	{ "b-not-begun", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_B_NOT },
	{ "mix-1", SPAN_KEPT, MEMORY_FULL, AIDS_SAFE, WATCH_SAMPLES, CPUS_A_NOT },
	{ "mix-2", SPAN_PARTIAL, MEMORY_FULL, AIDS_DEBUG, WATCH_FAILING, CPUS_B_NOT },
	{ "mix-3", SPAN_NEWBORN, MEMORY_RESERVE, AIDS_GC, WATCH_FAILING, CPUS_A_NOT },
	{ "mix-4", SPAN_REMOTE, MEMORY_RESERVE, AIDS_DEBUG, WATCH_SAMPLES, CPUS_B_NOT },
	{ "mix-5", SPAN_UNSWEPT, MEMORY_FULL, AIDS_GC, WATCH_SAMPLES, CPUS_B_NOT },
	{ "mix-6", SPAN_UNOWNED, MEMORY_RESERVE, AIDS_SAFE, WATCH_FAILING, CPUS_B_NOT },
	{ "mix-7", SPAN_UNOWNED, MEMORY_FULL, AIDS_DEBUG, WATCH_SAMPLES, CPUS_A_NOT },
	{ "mix-8", SPAN_NEWBORN, MEMORY_FULL, AIDS_SAFE, WATCH_SAMPLES, CPUS_B_NOT },
	{ "mix-9", SPAN_PARTIAL, MEMORY_RESERVE, AIDS_GC, WATCH_SAMPLES, CPUS_A_NOT },
	{ "mix-10", SPAN_KEPT, MEMORY_RESERVE, AIDS_DEBUG, WATCH_FAILING, CPUS_B_NOT },
	{ "mix-11", SPAN_REMOTE, MEMORY_FULL, AIDS_GC, WATCH_FAILING, CPUS_A_NOT },
	{ "mix-12", SPAN_UNSWEPT, MEMORY_RESERVE, AIDS_SAFE, WATCH_FAILING, CPUS_A_NOT },
	{ "mix-13", SPAN_FULL, MEMORY_FULL, AIDS_GC, WATCH_SAMPLES, CPUS_A_NOT },
	{ "mix-14", SPAN_FULL, MEMORY_RESERVE, AIDS_SAFE, WATCH_FAILING, CPUS_B_NOT },
	{ "mix-15", SPAN_PARTIAL, MEMORY_RESERVE, AIDS_SAFE, WATCH_OFF, CPUS_A_NOT },
	{ "mix-16", SPAN_NEWBORN, MEMORY_AMPLE, AIDS_DEBUG, WATCH_OFF, CPUS_A_NOT },
	{ "mix-17", SPAN_UNSWEPT, MEMORY_FULL, AIDS_DEBUG, WATCH_SAMPLES, CPUS_B_NOT },
	{ "mix-18", SPAN_CURRENT, MEMORY_FULL, AIDS_GC, WATCH_OFF, CPUS_A_NOT },
	{ "mix-19", SPAN_FULL, MEMORY_AMPLE, AIDS_DEBUG, WATCH_OFF, CPUS_B_NOT },
	{ "mix-20", SPAN_UNOWNED, MEMORY_AMPLE, AIDS_GC, WATCH_SAMPLES, CPUS_BEGUN },
	{ "mix-21", SPAN_CURRENT, MEMORY_RESERVE, AIDS_GC, WATCH_FAILING, CPUS_A_NOT },
	{ "mix-22", SPAN_REMOTE, MEMORY_AMPLE, AIDS_SAFE, WATCH_SAMPLES, CPUS_BEGUN },
	{ "mix-23", SPAN_KEPT, MEMORY_AMPLE, AIDS_GC, WATCH_FAILING, CPUS_A_NOT },
};
const unsigned int nr_states = PAIRS_LEN(states);

static unsigned int choice(const struct state *state, unsigned int of)
{
	const unsigned int choices[] = { state->span, state->memory, state->aids, state->watch,
					 state->cpus };

	return choices[of];
}

static bool meet(unsigned int a, unsigned int x, unsigned int b, unsigned int y)
{
	for (unsigned int i = 0; i < nr_states; i++) {
		if (choice(&states[i], a) == x && choice(&states[i], b) == y)
			return true;
	}
	return false;
}

bool states_cover(void)
{
	static const unsigned int kinds[] = { SPAN_KEPT + 1, MEMORY_RESERVE + 1, AIDS_GC + 1,
					      WATCH_FAILING + 1, CPUS_B_NOT + 1 };

	for (unsigned int a = 0; a < PAIRS_LEN(kinds); a++) {
		for (unsigned int b = a + 1; b < PAIRS_LEN(kinds); b++) {
			for (unsigned int i = 0; i < kinds[a] * kinds[b]; i++) {
				if (!meet(a, i % kinds[a], b, i / kinds[a]))
					return false;
			}
		}
	}
	return true;
}

bool state_is_full(const struct state *state)
{
	return state->memory != MEMORY_AMPLE;
}

/* What was here before: records and descriptors that are used again, with what others left in them. */
static void churn(void)
{
	static const struct mw_cache_want wants[] = {
		{ .name = "was-16", .size = 16, .flags = MW_COLLECTED },
		{ .name = "was-2048", .size = 2048 },
		{ .name = "was-96", .size = 96 },
	};
	struct mw_cache *caches[PAIRS_LEN(wants)];

	for (unsigned int i = 0; i < PAIRS_LEN(wants); i++) {
		things_must((caches[i] = mw_cache_create(&wants[i])), "cache");
		mw_cache_free(caches[i], mw_cache_alloc(caches[i], MW_ZERO));
	}
	for (unsigned int i = 0; i < PAIRS_LEN(wants); i++)
		things_must(mw_cache_destroy(caches[i]), "destroy");
	mw_free(mw_alloc(2 * LARGE_SIZE, 0));
}

static void *filler(unsigned int kind)
{
	struct things *us = &machine->us;

	switch (kind) {
	case 0:
		return mw_alloc(OBJECT_SIZE, 0);
	case 1:
		return mw_cache_alloc(us->cache, 0);
	case 2:
		return mw_cache_alloc(us->live, 0);
	case 3:
		return mw_alloc(OBJECT_SIZE, MW_COLLECTED);
	default:
		return mw_alloc(OBJECT_SIZE, MW_NOSCAN);
	}
}

/* Until a span is full. Collected ones are garbage. */
static void fill_spans(unsigned int cpu)
{
	unsigned int before = machine_as(cpu);

	for (unsigned int kind = 0; kind < 5; kind++) {
		for (;;) {
			void *object = filler(kind);
			struct mw_span *span = object ? mw_span_of(object) : NULL;

			things_must(object && machine->fillers < MOST_FILLERS, "fillers");
			machine->filler[machine->fillers++] = object;
			if (span->count == mw_span_live_count(span))
				break;
		}
	}
	machine_as(before);
}

static void free_half(unsigned int cpu)
{
	unsigned int before = machine_as(cpu), kept = 0;

	for (unsigned int i = 0; i < machine->fillers; i++) {
		if (i % 2)
			machine->filler[kept++] = machine->filler[i];
		else
			mw_free(machine->filler[i]);
	}
	machine->fillers = kept;
	machine_as(before);
}

static void fill_memory(void)
{
	for (size_t pages = 64; pages; pages /= 4) {
		void *run;

		while ((run = mw_pages_alloc(pages, MW_ATOMIC))) {
			things_must(machine->runs < MOST_RUNS, "runs");
			machine->run[machine->runs].at = run;
			machine->run[machine->runs++].pages = pages;
		}
	}
}

/* A handler on the CPU that is stopped. */
static void allocate(struct mw_gc_listener *self, enum mw_gc_moment moment,
		     const struct mw_gc_cycle *cycle)
{
	struct things *us = &machine->us;
	unsigned int before;

	(void)self, (void)cycle;
	if (moment != MW_GC_STOPPED)
		return;
	before = machine_as(1);
	for (unsigned int i = 0; i < 3; i++) {
		unsigned long state = mw_port_pin();

		us->roots[20 + i] = mw_cache_alloc(i ? us->live : us->fresh, MW_ATOMIC);
		mw_port_unpin(state);
	}
	machine_as(before);
}

static void collect_with_births(void)
{
	struct mw_gc_listener listener = { .moment = allocate };

	mw_gc_listen(&listener);
	things_must(mw_gc_collect(MW_COLLECT_SWEPT), "collect");
	mw_gc_unlisten(&listener);
}

static void make_kept(void)
{
	churn();
	for (unsigned int i = 0; i < 3; i++) {
		mw_free(mw_alloc(LARGE_SIZE * (i + 1), 0));
		mw_pages_free(mw_pages_alloc(i + 1, 0), i + 1);
	}
}

static void make_spans(const struct state *state)
{
	unsigned int cpu = state->span == SPAN_UNOWNED ? 2 : 0;

	if (state->span == SPAN_CURRENT)
		return;
	if (state->span == SPAN_KEPT) {
		make_kept();
		return;
	}
	if (state->span == SPAN_NEWBORN) {
		collect_with_births();
		return;
	}
	fill_spans(cpu);
	if (cpu == 0)
		fill_spans(1);
	if (state->span == SPAN_PARTIAL || state->span == SPAN_UNOWNED)
		free_half(cpu);
	else if (state->span == SPAN_REMOTE)
		free_half(2);
	else if (state->span == SPAN_UNSWEPT)
		things_must(mw_gc_collect(MW_COLLECT_MARKED), "collect");
}

/* ---- the whole ---- */

static void make_region(struct things *us)
{
	us->region = REGION;
	us->inside = REGION + 3 * MW_PAGE_SIZE;
	us->inside_phys = PHYS(us->inside);
	things_must(mw_region_add(us->region, PHYS(us->region), SPARE_BYTES), "region");
}

static void watch(const struct state *state)
{
	if (state->aids == AIDS_SAFE) {
		things_must(mw_safe_free(NULL, &machine->us.safe), "safe");
		for (unsigned int i = 0; i < 8; i++)
			mw_free(filler(i % 2));
	} else if (state->aids == AIDS_GC) {
		mw_gc_debug(MW_GC_DEBUG_POINTERS | MW_GC_DEBUG_POISON | MW_GC_DEBUG_CHECK, 3);
	}
	if (state->watch == WATCH_SAMPLES) {
		things_must(mw_profile_rate(1) && mw_trace_on(true), "watching");
		for (unsigned int i = 0; i < 8; i++)
			mw_free(filler(i % 2));
	} else if (state->watch == WATCH_FAILING) {
		(void)mw_fail_set(&machine->us.rarely);
	}
}

static void stop(unsigned int cpu)
{
	unsigned int before = machine_as(cpu);

	mw_cpu_stop();
	machine_as(before);
}

static void make(void *arg)
{
	const struct state *state = arg;
	struct things *us = &machine->us;
	unsigned int shared = state->span == SPAN_UNOWNED ? 2 : 0;

	if (state->aids == AIDS_DEBUG)
		things_must(mw_debug_set("FZPU"), "aids");
	things_must(mw_region_add(MAIN, PHYS(MAIN), MAIN_BYTES), "memory");
	machine_as(0);
	churn();
	things_make(shared);
	make_spans(state);
	things_make_idle();
	make_region(us);
	watch(state);
	if (state->memory == MEMORY_RESERVE)
		things_must(mw_reserve(8 * MW_PAGE_SIZE), "reserve");
	if (state->memory != MEMORY_AMPLE)
		fill_memory();
	machine_as(2);
	if (state->span == SPAN_UNOWNED)
		stop(2);
	if (state->cpus != CPUS_BEGUN)
		stop(state->cpus == CPUS_A_NOT ? 0 : 1);
	machine->faults_here = false;
}

bool state_make(const struct state *state)
{
	mw_reset();
	memory_clear();
	machine_clear();
	machine->faults_here = true;
	return machine_try(make, (void *)state);
}
