// SPDX-License-Identifier: MIT
/*
 * The field's single-threaded loads, written anew from what is published about them: batches of
 * mixed sizes, a replacement test over a wide range of sizes, and growth by realloc().
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "bench_objects.h"

/*
 * Batches of one size after the other, 1 to 1000 bytes, small ones more often; every batch is freed
 * in one of three orders, and a part of every fourth one is kept for a while.
 */
#define BATCH 200u
#define KEPT 4000u

static void free_batch(char **objects, unsigned long round)
{
	switch (round % 3) {
	case 0:
		for (unsigned int i = 0; i < BATCH; i++)
			free(objects[i]);
		return;
	case 1:
		for (unsigned int i = BATCH; i-- > 0;)
			free(objects[i]);
		return;
	default:
		for (unsigned int i = 0; i < BATCH; i += 2)
			free(objects[i]);
		for (unsigned int i = 1; i < BATCH; i += 2)
			free(objects[i]);
	}
}

static void load_batch(struct bench_run *run)
{
	static char *objects[BATCH], *kept[KEPT];
	uint64_t seed = bench_seed(3);
	unsigned int k = 0;

	for (unsigned long round = 0; run->done < run->count; round++, run->done += BATCH) {
		uint64_t r = bench_random(&seed);
		size_t size = 1 + (r & 1023) % (1 + (r >> 10 & 1023) % 1000);

		for (unsigned int i = 0; i < BATCH; i++) {
			objects[i] = bench_alloc(size);
			*objects[i] = 1;
		}
		for (unsigned int i = 0; round % 4 == 0 && i < BATCH; i += 4) {
			free(kept[k]);
			kept[k] = objects[i];
			objects[i] = NULL;
			k = (k + 1) % KEPT;
		}
		free_batch(objects, round);
	}
	for (unsigned int i = 0; i < KEPT; i++)
		free(kept[i]);
}

/*
 * Many live slots, sizes from 8 bytes to 64 KiB with every doubling half as likely; the whole object
 * is written when it is born and read when it dies.
 */
#define SLOTS 16384u

static volatile unsigned long sink;

static void load_alloctest(struct bench_run *run)
{
	static struct {
		unsigned long *object;
		size_t words;
	} slots[SLOTS];
	uint64_t seed = bench_seed(11);

	for (unsigned long i = 0; i < run->count; i++) {
		uint64_t r = bench_random(&seed), s = bench_random(&seed);
		unsigned int k = r % SLOTS, log = (unsigned int)__builtin_ctzll(r >> 20 | 1u << 13);
		size_t size = ((size_t)8 << log) + (s & (((size_t)8 << log) - 1));
		unsigned long sum = 0;

		for (size_t w = 0; w < slots[k].words; w += 8)
			sum += slots[k].object[w];
		sink = sum;
		free(slots[k].object);
		slots[k].words = size / sizeof(long);
		slots[k].object = bench_alloc(size);
		memset(slots[k].object, (int)i, size);
	}
	for (unsigned int k = 0; k < SLOTS; k++)
		free(slots[k].object);
	run->done = run->count;
}

/* Sixteen vectors that grow by half from 16 bytes to 64 KiB, turn by turn; then they start anew. */
#define VECTORS 16u

static void load_realloc(struct bench_run *run)
{
	static struct {
		char *data;
		size_t size;
	} v[VECTORS];

	while (run->done < run->count) {
		for (unsigned int i = 0; i < VECTORS; i++, run->done++) {
			size_t size = v[i].size ? v[i].size + v[i].size / 2 + 1 : 16 + i;

			if (size > 65536) {
				free(v[i].data);
				v[i].data = NULL;
				size = 16 + i;
			}
			v[i].data = realloc(v[i].data, size);
			if (!v[i].data)
				bench_die("out of memory");
			v[i].data[size - 1] = 1;
			v[i].size = size;
		}
	}
	for (unsigned int i = 0; i < VECTORS; i++)
		free(v[i].data);
}

/* Zeroed arrays, 64 bytes to 16 KiB, read once. */
static void load_calloc(struct bench_run *run)
{
	uint64_t seed = bench_seed(5);

	for (unsigned long i = 0; i < run->count; i++) {
		size_t n = (size_t)64 << (bench_random(&seed) & 7);
		char *p = calloc(n, 2);

		if (!p || p[n])
			bench_die("calloc");
		p[n] = 1;
		free(p);
	}
	run->done = run->count;
}

const struct bench_load bench_field_loads[] = {
	{ "batch", load_batch },
	{ "alloc-test", load_alloctest },
	{ "realloc", load_realloc },
	{ "calloc", load_calloc },
	{ 0 },
};
