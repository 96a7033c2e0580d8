// SPDX-License-Identifier: MIT
/* Resident memory for a million live objects: bytes resident over bytes requested. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bench_objects.h"

static unsigned long resident(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long total, pages = 0;

	if (!f || !fgets(line, sizeof(line), f) || sscanf(line, "%lu %lu", &total, &pages) != 2)
		bench_die("/proc/self/statm");
	fclose(f);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE);
}

/* Sizes of 16 to 512 bytes: evenly over the logarithm (arg 0), or lognormal around 64 (arg 1). */
static size_t draw(uint64_t *seed, unsigned long shape)
{
	double u = (double)(bench_random(seed) >> 11) / 9007199254740992.0;
	double v = (double)(bench_random(seed) >> 11) / 9007199254740992.0;
	double size;

	if (shape == 0)
		return (size_t)(16.0 * pow(32.0, u));
	size = 64.0 * exp(0.75 * sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v));
	return size < 16 ? 16 : size > 512 ? 512 : (size_t)size;
}

struct object {
	char *data;
	unsigned int size;
};

static struct object *objects;
static uint64_t seed;
static unsigned long before;

static void born(struct bench_run *run, struct object *o)
{
	o->size = (unsigned int)draw(&seed, run->arg);
	o->data = bench_alloc(o->size);
	memset(o->data, 1, o->size);
	run->requested += o->size;
}

static void dies(struct bench_run *run, struct object *o)
{
	free(o->data);
	o->data = NULL;
	run->requested -= o->size;
}

static void fill(struct bench_run *run)
{
	objects = bench_map(run->count * sizeof(*objects));
	memset(objects, 0, run->count * sizeof(*objects));
	for (unsigned long i = 0; i < run->count; i++) /* so that it is resident before */
		objects[i].size = 1;
	seed = bench_seed(13);
	(void)resident(); /* the stream's buffer */
	before = resident();
	for (unsigned long i = 0; i < run->count; i++)
		born(run, &objects[i]);
	run->done = run->count;
}

static void load_live(struct bench_run *run)
{
	fill(run);
	run->resident = resident() - before;
}

/* Five times as many deaths and births as there are objects. */
static void load_churn(struct bench_run *run)
{
	fill(run);
	for (unsigned long i = 0; i < 5 * run->count; i++) {
		struct object *o = &objects[bench_random(&seed) % run->count];

		dies(run, o);
		born(run, o);
	}
	run->done += 5 * run->count;
	run->resident = resident() - before;
}

/* A little business as usual, so that an allocator that gives memory back now and then can. */
static void go_on_for(unsigned int ms)
{
	uint64_t end = bench_now() + (uint64_t)ms * 1000000u;

	while (bench_now() < end) {
		struct timespec nap = { .tv_nsec = 1000000 };

		for (unsigned int i = 0; i < 100; i++) {
			char *small = bench_alloc(100), *large = bench_alloc(100000);

			*small = *large = 1;
			free(small);
			free(large);
		}
		nanosleep(&nap, NULL);
	}
}

/* Of the objects that were filled in, @keep in a thousand stay, spread at random. */
static void thin_out(struct bench_run *run, unsigned int keep)
{
	fill(run);
	for (unsigned long i = 0; i < run->count; i++)
		if (bench_random(&seed) % 1000 >= keep)
			dies(run, &objects[i]);
	go_on_for(1500);
	run->resident = resident() - before;
}

static void load_tenth(struct bench_run *run)
{
	thin_out(run, 100);
}

static void load_gone(struct bench_run *run)
{
	thin_out(run, 0);
}

const struct bench_load bench_memory_loads[] = {
	{ "live", load_live },
	{ "churn", load_churn },
	{ "tenth", load_tenth },
	{ "gone", load_gone },
	{ 0 },
};
