// SPDX-License-Identifier: MIT
/* The loads whose instructions are counted: one thing each, as little as can be around it. */
#define _GNU_SOURCE
#include <stdlib.h>
#include "bench_objects.h"

#define LIVE 1000u

/* One object of @arg bytes, given back at once. */
static void load_pair(struct bench_run *run)
{
	for (unsigned long i = 0; i < run->count; i++) {
		char *p = bench_alloc(run->arg);

		*p = 1;
		free(p);
	}
	run->done = run->count;
}

/* Of C23: what has it not is freed as others. */
void free_sized(void *p, size_t size) __attribute__((weak));

/* The same, given back with its size. */
static void load_sized(struct bench_run *run)
{
	for (unsigned long i = 0; i < run->count; i++) {
		char *p = bench_alloc(run->arg);

		*p = 1;
		if (free_sized)
			free_sized(p, run->arg);
		else
			free(p);
	}
	run->done = run->count;
}

static void fill(char **objects, size_t size)
{
	for (unsigned int i = 0; i < LIVE; i++) {
		objects[i] = bench_alloc(size);
		*objects[i] = 1;
	}
}

/* A thousand objects, given back oldest first. */
static void load_fifo(struct bench_run *run)
{
	static char *objects[LIVE];

	for (; run->done < run->count; run->done += LIVE) {
		fill(objects, run->arg);
		for (unsigned int i = 0; i < LIVE; i++)
			free(objects[i]);
	}
}

/* The same, newest first. */
static void load_lifo(struct bench_run *run)
{
	static char *objects[LIVE];

	for (; run->done < run->count; run->done += LIVE) {
		fill(objects, run->arg);
		for (unsigned int i = LIVE; i-- > 0;)
			free(objects[i]);
	}
}

/* A thousand live objects of 16 to 1024 bytes; one at random is replaced each time. */
static void load_random(struct bench_run *run)
{
	static char *objects[LIVE];
	uint64_t seed = bench_seed(7);

	for (unsigned long i = 0; i < run->count; i++) {
		uint64_t r = bench_random(&seed);
		char **slot = &objects[(r >> 32) % LIVE];

		free(*slot);
		*slot = bench_alloc(16 + (uint32_t)r % 1009);
		**slot = 1;
	}
	for (unsigned int i = 0; i < LIVE; i++)
		free(objects[i]);
	run->done = run->count;
}

/*
 * Batches of a thousand, allocated by one thread and freed by another. Two batches are on the way:
 * full[i] says who may touch batch i.
 */
static struct {
	char *objects[2][LIVE];
	unsigned int full[2];
} pipe_;

static void wait_for(unsigned int *flag, unsigned int value)
{
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != value)
		bench_yield();
}

static void pipe_end(unsigned int who, void *arg)
{
	struct bench_run *run = arg;

	for (unsigned long i = 0; i * LIVE < run->count; i++) {
		unsigned int b = i & 1;

		wait_for(&pipe_.full[b], who);
		if (who == 0)
			fill(pipe_.objects[b], run->arg);
		else
			for (unsigned int k = 0; k < LIVE; k++)
				free(pipe_.objects[b][k]);
		__atomic_store_n(&pipe_.full[b], !who, __ATOMIC_RELEASE);
	}
}

static void load_xthread(struct bench_run *run)
{
	bench_threads(2, pipe_end, run);
	run->done = (run->count + LIVE - 1) / LIVE * LIVE;
}

const struct bench_load bench_basic_loads[] = {
	{ "pair", load_pair },
	{ "fifo", load_fifo },
	{ "lifo", load_lifo },
	{ "random", load_random },
	{ "xthread", load_xthread },
	{ "sized", load_sized },
	{ 0 },
};
