/* SPDX-License-Identifier: MIT */
/*
 * Storms: many threads that do one thing to the heap as fast as they can, checking what they find.
 *
 * Each is a command (`storm NAME SECONDS`) and a test, and a part of `make soak`. Afterwards, and after
 * all garbage is gone, as many pages and objects are in use as before; the whole-heap check and the
 * leak scan find nothing. The way of a storm is storm_run() in storm.c.
 */
#ifndef KERNEL_STORM_H
#define KERNEL_STORM_H

#include "kernel.h"

#define STORM_THREADS 16u

/* How to run it. */
struct storm_want {
	uint64_t ns;
	uint64_t seed;
	size_t live; /* bytes that should live meanwhile, where that can be chosen; 0: few */
	bool progress; /* a line that changes */
	bool chaos; /* collections, sweeps, scavenges, failing allocations at random */
	/* Memory that is no region yet and may be one for a while; NULL: none. */
	void *extra;
	uint64_t extra_phys;
	size_t extra_len;
};

struct storm {
	const char *name, *help;
	unsigned int threads; /* 0: two for each CPU; at most STORM_THREADS */
	/* Make what it works on; false: no memory. What @begin made @end takes away, all of it. */
	bool (*begin)(const struct storm_want *want);
	void (*work)(unsigned int i); /* of thread @i, until storm_is_over() */
	void (*over)(void); /* after the time is up: wake those that wait; may be NULL */
	void (*end)(void);
};

/* What of the heap is in use. */
struct storm_use {
	size_t pages, objects, bytes;
	unsigned int channels;
};

struct storm_result {
	const char *wrong; /* NULL: all is well; else what was found first */
	uint64_t ns;
	unsigned long steps, allocs, failed; /* failed: allocations, on purpose */
	unsigned long cycles, leaks;
	unsigned int stops; /* of the world, for the collector; how many are in the figures below */
	uint64_t stop_median, stop_p99, stop_longest, stop_total; /* ns */
	uint64_t stop_others; /* of stop_total, those of other threads than the workers */
	/* Time of CPUs: stopped, or in a worker of the collector's. Not what allocations sweep. */
	uint64_t collector_ns;
	size_t heap_most; /* bytes of live objects and garbage, as far as it was looked at */
	struct storm_use before, after;
};

extern const struct storm *const storms[]; /* ends with NULL */
const struct storm *storm_find(const char *name);

bool storm_run(const struct storm *storm, const struct storm_want *want,
	       struct storm_result *result); /* Return: !result->wrong */
void storm_print(const struct storm *storm, const struct storm_result *result);

/*
 * What is in use when all garbage is gone: looked at again, for a while, until it is as @wanted, as
 * workers of the collector's may still be at it; once if that is NULL.
 */
struct storm_use storm_settle(const struct storm_use *wanted);
bool storm_same_use(const struct storm_use *a, const struct storm_use *b);

#define STORM_COLUMNS 12u
/*
 * How many of @n lengths lie below 1 us, 3 us, 10 us and so on up to 100 ms, and above: a column
 * each in @text, the fuller the more of all.
 */
void storm_columns(const uint64_t *ns, unsigned int n, char *text);

/* ---- for the work ---- */

bool storm_is_over(void);
void storm_step(unsigned int i); /* thread @i did one more thing */
void storm_wrong(const char *what); /* a string that stays; the first one counts, and ends the storm */
uint64_t storm_random(unsigned int i); /* of thread @i */
uint64_t storm_below(unsigned int i, uint64_t n);

/* What the heap keeps for the next request it gives back. */
void storm_drain(void);

/* ---- storm_chaos.c ---- */

void storm_chaos(void *seed); /* the body of a thread */
unsigned int storm_chaos_things(void); /* that it did */
unsigned long storm_chaos_end(void); /* Return: how many allocations failed on purpose */

/* ---- storm_gc.c: what the collector does meanwhile ---- */

void storm_gc_begin(void);
void storm_gc_end(void);
/* The last stops, sorted, up to @most. Return: how many there are. */
unsigned int storm_gc_stops(uint64_t *ns, unsigned int most);
void storm_gc_read(struct storm_result *result); /* cycles, stop_*, without collector_ns */
void storm_gc_settle(void);
/* Print which roots lead to collected objects: a few of them. */
void storm_gc_holders(void);
/*
 * Return: how much leaks, which is reported if it is more than last time; 0 where there is no scan,
 * SIZE_MAX: no memory.
 */
size_t storm_gc_leaks(void);
void storm_gc_forget(void); /* what was reported */

/* The ones there are: storm_fs.c, storm_talk.c, storm_threads.c, storm_memory.c */
extern const struct storm storm_fs, storm_counted, storm_pipes, storm_bus, storm_threads,
	storm_queue, storm_interrupts, storm_memory, storm_regions;

#endif
