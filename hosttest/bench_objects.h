/* SPDX-License-Identifier: MIT */
/*
 * The loads of the object benchmarks: plain malloc() and free(), so that one and the same program
 * measures every allocator, whichever is preloaded. scripts/bench.py runs it and explains the loads.
 */
#ifndef BENCH_OBJECTS_H
#define BENCH_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a load is asked to do; what it was in the end goes back into the same structure. */
struct bench_run {
	unsigned long count; /* allocations, rounded by the load to whole rounds */
	unsigned long arg; /* mostly the size in bytes */
	unsigned int threads;
	const char *file; /* a recorded trace */
	/* answers */
	unsigned long done; /* allocations really made */
	uint64_t ns;
	unsigned long requested; /* bytes live at the end, for the memory loads */
	unsigned long resident; /* bytes resident for them */
};

struct bench_load {
	const char *name;
	void (*run)(struct bench_run *run);
};

/* Each file's table ends with an entry without a name. */
extern const struct bench_load bench_basic_loads[];
extern const struct bench_load bench_field_loads[];
extern const struct bench_load bench_thread_loads[];
extern const struct bench_load bench_memory_loads[];
extern const struct bench_load bench_trace_loads[];

uint64_t bench_now(void);
/* For mistakes of the benchmark itself, and for allocators that run out. */
_Noreturn void bench_die(const char *why);
void *bench_alloc(size_t size);
/* Zeroed memory that is none of the allocator's. */
void *bench_map(size_t bytes);
/* Gives up the CPU by a system call of its own, so that no library's instructions are counted. */
void bench_yield(void);
/* Runs fn(0, arg) ... fn(n - 1, arg) in threads of their own, and waits for them. */
void bench_threads(unsigned int n, void (*fn)(unsigned int i, void *arg), void *arg);

static inline uint64_t bench_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}

/* Seeds that are small numbers would give alike first numbers. */
static inline uint64_t bench_seed(uint64_t n)
{
	return (n + 1) * 0x9e3779b97f4a7c15u | 1;
}

#endif
