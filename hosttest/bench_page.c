// SPDX-License-Identifier: MIT
/*
 * bench_page LOAD [ARG]: the page heap's benchmarks, to be counted or timed from outside.
 *
 *	pair ORDER [PAIRS]	allocate and free PAIRS times
 *	batch ORDER [N]		allocate N, free them in that order, PAIRS / N times
 *	runs N [PAIRS]		the same with N free runs of mixed lengths around
 *	fragment SEED		lengths and lives drawn at random, beside exhaustive best fit
 *
 * Under valgrind --tool=callgrind --toggle-collect=measured, "I refs" is the load alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <marrow/mm.h>
#include <marrow/watch.h>

#define PAGE MW_PAGE_SIZE
#define GIB ((size_t)1 << 30)

static uint64_t seed = 1;

static uint64_t dice(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void heap(size_t bytes)
{
	char *memory = mmap(NULL, bytes + GIB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		exit(2);
	memory = (char *)(((uintptr_t)memory + GIB - 1) & ~(GIB - 1));
	if (!mw_region_add_zeroed(memory, (uint64_t)4 << 30, bytes))
		exit(2);
}

/* The part that counts. */
__attribute__((noinline)) void measured(size_t count, size_t pairs)
{
	for (size_t i = 0; i < pairs; i++)
		mw_pages_free(mw_pages_alloc(count, MW_ATOMIC), count);
}

__attribute__((noinline)) void measured_batch(void **at, size_t n, size_t count)
{
	for (size_t i = 0; i < n; i++)
		at[i] = mw_pages_alloc(count, MW_ATOMIC);
	for (size_t i = 0; i < n; i++)
		mw_pages_free(at[i], count);
}

/* Random sizes around, each freed again at once: whatever the index does for n free runs. */
__attribute__((noinline)) void measured_mixed(const size_t *counts, size_t pairs)
{
	for (size_t i = 0; i < pairs; i++)
		mw_pages_free(mw_pages_alloc(counts[i & 1023], MW_ATOMIC), counts[i & 1023]);
}

static size_t free_runs(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.zone[0].runs + stats.zone[1].runs + stats.zone[2].runs;
}

/* @n free runs, of 1 to 64 pages mostly, between pages in use. */
static void make_runs(size_t n)
{
	size_t *count = malloc(n * sizeof(*count));
	void **at = malloc(n * sizeof(*at));

	for (size_t i = 0; i < n; i++) {
		count[i] = 1 + dice() % (1u << dice() % 7);
		at[i] = mw_pages_alloc(count[i] + 1, MW_ATOMIC);
		if (!at[i])
			exit(2);
	}
	/* Freed in random order, all but the last page: it is taken back at its place first. */
	for (size_t i = n; i-- > 0;) {
		size_t j = dice() % (i + 1);
		void *run = at[j];
		size_t c = count[j];
		struct mw_pages fence = { .count = 1, .at = (char *)run + c * PAGE };

		at[j] = at[i];
		count[j] = count[i];
		mw_pages_free(run, c + 1);
		if (!mw_pages_alloc_as(&fence))
			exit(3);
	}
	free(at);
	free(count);
	fprintf(stderr, "%zu free runs\n", free_runs());
}

static void run_pair(size_t order, size_t pairs)
{
	struct timespec a, b;

	heap(2 * GIB);
	measured((size_t)1 << order, 64); /* warm */
	clock_gettime(CLOCK_MONOTONIC, &a);
	measured((size_t)1 << order, pairs);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("pair %zu: %.1f ns\n", order,
	       ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
		       (double)pairs);
}

static void run_runs(size_t n, size_t pairs)
{
	static size_t counts[1024];

	heap(512 * GIB);
	make_runs(n);
	for (size_t i = 0; i < 1024; i++)
		counts[i] = 2 + dice() % (1u << dice() % 10);
	measured_mixed(counts, pairs);
}

int main(int argc, char **argv)
{
	const char *load = argc > 1 ? argv[1] : "";
	size_t a = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	size_t b = argc > 3 ? strtoul(argv[3], NULL, 0) : 100000;

	if (!strcmp(load, "pair")) {
		run_pair(a, b);
	} else if (!strcmp(load, "batch")) {
		void **at = malloc(b * sizeof(*at));

		heap(8 * GIB);
		for (size_t i = 0; i < 10; i++)
			measured_batch(at, b, (size_t)1 << a);
	} else if (!strcmp(load, "runs")) {
		run_runs(a, b);
	} else {
		fprintf(stderr,
			"bench_page pair ORDER [PAIRS] | batch ORDER [N] | runs N [PAIRS]\n");
		return 2;
	}
	return 0;
}
