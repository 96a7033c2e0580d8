// SPDX-License-Identifier: MIT
/*
 * The field's loads for several threads, written anew from what is published about them: Larson's
 * server, producers and consumers, passive and active false sharing, and many more threads than CPUs.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include "bench_objects.h"

#define MAX_THREADS 256u

/*
 * Larson: each thread replaces objects of 10 to 500 bytes in its own slots at random, then ends and
 * leaves its slots, still full, to a thread that it started. So objects die in other threads
 * than they were born in, and threads come and go.
 */
#define LARSON_SLOTS 1000u
#define LARSON_LIFE 20000u /* replacements of one thread */

struct larson {
	char *slots[LARSON_SLOTS];
	uint64_t seed;
	unsigned long left;
};

static struct larson *larsons[MAX_THREADS];

static void *larson_life(void *arg)
{
	struct larson *self = arg;
	unsigned long n = self->left < LARSON_LIFE ? self->left : LARSON_LIFE;
	pthread_t heir;

	for (unsigned long i = 0; i < n; i++) {
		uint64_t r = bench_random(&self->seed);
		char **slot = &self->slots[(r >> 32) % LARSON_SLOTS];
		size_t size = 10 + (uint32_t)r % 491;

		free(*slot);
		*slot = bench_alloc(size);
		**slot = (*slot)[size - 1] = 1;
	}
	self->left -= n;
	if (!self->left)
		return NULL;
	if (pthread_create(&heir, NULL, larson_life, self))
		bench_die("pthread_create failed");
	/* The chain ends at the first thread, which waits for all: a stack each, as in the original. */
	return (void *)heir;
}

static void larson_line(unsigned int i, void *arg)
{
	void *heir = larson_life(larsons[i]);

	(void)arg;
	while (heir) {
		void *next;

		pthread_join((pthread_t)heir, &next);
		heir = next;
	}
}

static void load_larson(struct bench_run *run)
{
	for (unsigned int i = 0; i < run->threads; i++) {
		larsons[i] = bench_map(sizeof(struct larson));
		larsons[i]->seed = bench_seed(i);
		larsons[i]->left = run->count / run->threads;
	}
	bench_threads(run->threads, larson_line, NULL);
	for (unsigned int i = 0; i < run->threads; i++)
		for (unsigned int k = 0; k < LARSON_SLOTS; k++)
			free(larsons[i]->slots[k]);
	run->done = run->count / run->threads * run->threads;
}

/*
 * Producers put objects of 16 to 512 bytes into a ring, consumers take them out and free them; even
 * threads produce, odd ones consume the ring of the one before.
 */
#define RING 4096u

struct ring {
	unsigned long head;
	char pad[56];
	unsigned long tail;
	char pad2[56];
	char *objects[RING];
};

static struct ring *rings[MAX_THREADS / 2];

static void produce(struct ring *ring, unsigned long n)
{
	uint64_t seed = bench_seed(n);

	for (unsigned long i = 0; i < n; i++) {
		size_t size = 16 + bench_random(&seed) % 497;
		char *p = bench_alloc(size);

		*p = p[size - 1] = 1;
		while (i - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) == RING)
			bench_yield();
		ring->objects[i % RING] = p;
		__atomic_store_n(&ring->head, i + 1, __ATOMIC_RELEASE);
	}
}

static void consume(struct ring *ring, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		while (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == i)
			bench_yield();
		free(ring->objects[i % RING]);
		__atomic_store_n(&ring->tail, i + 1, __ATOMIC_RELEASE);
	}
}

static void ring_end(unsigned int i, void *arg)
{
	struct bench_run *run = arg;
	unsigned long n = run->count / (run->threads / 2);

	if (i % 2 == 0)
		produce(rings[i / 2], n);
	else
		consume(rings[i / 2], n);
}

static void load_prodcon(struct bench_run *run)
{
	run->threads = run->threads < 2 ? 2 : run->threads & ~1u;
	for (unsigned int i = 0; i < run->threads / 2; i++)
		rings[i] = bench_map(sizeof(struct ring));
	bench_threads(run->threads, ring_end, run);
	run->done = run->count / (run->threads / 2) * (run->threads / 2);
}

/*
 * False sharing: short writes to an object of 8 bytes, then a new object. "scratch" begins with
 * objects that lie side by side because one thread allocated them; each thread frees its own first,
 * so a bad allocator hands the shared line out again. "thrash" begins with nothing.
 */
#define WRITES 100u

static char *gifts[MAX_THREADS];

static void scribble(unsigned int i, void *arg)
{
	struct bench_run *run = arg;

	free(gifts[i]);
	for (unsigned long k = 0; k < run->count / run->threads; k++) {
		volatile char *p = bench_alloc(8);

		for (unsigned int w = 0; w < WRITES; w++)
			p[w % 8]++;
		free((void *)p);
	}
}

static void load_thrash(struct bench_run *run)
{
	bench_threads(run->threads, scribble, run);
	run->done = run->count;
}

static void load_scratch(struct bench_run *run)
{
	for (unsigned int i = 0; i < run->threads; i++)
		gifts[i] = bench_alloc(8);
	load_thrash(run);
}

/* Each thread replaces its own objects at random; more threads than CPUs by far. */
static void crowd_member(unsigned int i, void *arg)
{
	struct bench_run *run = arg;
	char *objects[100] = { 0 };
	uint64_t seed = bench_seed(i);

	for (unsigned long k = 0; k < run->count / run->threads; k++) {
		uint64_t r = bench_random(&seed);
		char **slot = &objects[(r >> 32) % 100];

		free(*slot);
		*slot = bench_alloc(16 + (uint32_t)r % 1009);
		**slot = 1;
	}
	for (unsigned int k = 0; k < 100; k++)
		free(objects[k]);
}

static void load_crowd(struct bench_run *run)
{
	bench_threads(run->threads, crowd_member, run);
	run->done = run->count;
}

const struct bench_load bench_thread_loads[] = {
	{ "larson", load_larson },	   { "prodcon", load_prodcon },
	{ "cache-scratch", load_scratch }, { "cache-thrash", load_thrash },
	{ "crowd", load_crowd },	   { 0 },
};
