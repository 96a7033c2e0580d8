// SPDX-License-Identifier: MIT
/*
 * bench_page LOAD [ARG]: the page heap's benchmarks, to be counted or timed from outside.
 *
 *	pair ORDER [PAIRS]	allocate and free PAIRS times
 *	batch ORDER [N]		allocate N, free them in that order, PAIRS / N times
 *	runs N [PAIRS]		the same with N free runs of mixed lengths around
 *	fragment SEED [OPS]	lengths and lives drawn at random, beside exhaustive best fit
 *
 * Under valgrind --tool=callgrind --toggle-collect=measured, "I refs" is the load alone.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <marrow/mm.h>
#include <marrow/watch.h>
#include "../mm/page/up.h"

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
	struct mw_pages fence = { .count = 1 };

	for (size_t i = 0; i < n; i++) {
		struct mw_pages want = { .count = 1 + dice() % (1u << dice() % 7) };

		count[i] = want.count;
		at[i] = mw_pages_alloc_as(&want);
		if (!at[i] || !mw_pages_alloc_as(&fence))
			exit(2);
	}
	for (size_t i = n; i-- > 0;) {
		size_t j = dice() % (i + 1);

		mw_pages_free(at[j], count[j]);
		at[j] = at[i];
		count[j] = count[i];
	}
	mw_page_cpu_stop();
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

	heap((n < 200000 ? 32 : 48) * GIB);
	make_runs(n);
	for (size_t i = 0; i < 1024; i++)
		counts[i] = 17 + dice() % (1u << dice() % 9); /* not from stocks */
	measured_mixed(counts, pairs);
}

/* ---- fragmentation, beside best fit by exhaustive search ---- */

#define MOST_RUNS 100000
#define LIVE 4000

/* Free runs in order of address; memory is taken as mm/page takes it. */
static struct {
	size_t start, n;
} best[MOST_RUNS];
static size_t nr_best, best_taken;

static void best_give(size_t start, size_t n)
{
	size_t i = 0, hi = nr_best;

	while (i < hi) {
		size_t mid = (i + hi) / 2;

		if (best[mid].start < start)
			i = mid + 1;
		else
			hi = mid;
	}
	if (i && best[i - 1].start + best[i - 1].n == start) {
		best[--i].n += n;
	} else {
		memmove(&best[i + 1], &best[i], (nr_best++ - i) * sizeof(best[0]));
		best[i].start = start;
		best[i].n = n;
	}
	if (i + 1 < nr_best && best[i].start + best[i].n == best[i + 1].start) {
		best[i].n += best[i + 1].n;
		memmove(&best[i + 1], &best[i + 2], (--nr_best - i - 1) * sizeof(best[0]));
	}
}

static size_t best_take(size_t n)
{
	size_t at = nr_best, start;

	for (size_t i = 0; i < nr_best; i++) {
		if (best[i].n >= n && (at == nr_best || best[i].n < best[at].n))
			at = i;
	}
	if (at == nr_best) {
		size_t tail = nr_best && best[nr_best - 1].start + best[nr_best - 1].n == best_taken
				      ? best[nr_best - 1].n
				      : 0;
		size_t more = (n - tail + 15) / 16 * 16;

		more = more < 256 ? 256 : more;
		best_taken += more;
		best_give(best_taken - more, more);
		return best_take(n);
	}
	start = best[at].start;
	best[at].start += n;
	best[at].n -= n;
	if (!best[at].n)
		memmove(&best[at], &best[at + 1], (--nr_best - at) * sizeof(best[0]));
	return start;
}

/* Lognormal: median 8 pages, one in six over 40, one in forty over 180. */
static size_t draw(void)
{
	double z = sqrt(-2 * log(((double)(dice() >> 11) + 1) / 9007199254740993.0)) *
		   cos(6.283185307179586 * (double)(dice() >> 11) / 9007199254740992.0);
	size_t n = (size_t)exp(log(8) + 1.6 * z);

	return n < 1 ? 1 : n > 8192 ? 8192 : n;
}

static size_t taken_now(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return (stats.bytes - stats.untouched - stats.metadata) / PAGE;
}

static void run_fragment(size_t ops)
{
	static struct {
		void *ours;
		size_t best, n;
	} live[LIVE];
	size_t used = 0, peak = 0;

	heap(16 * GIB);
	for (size_t op = 0; op < ops; op++) {
		size_t i = dice() % LIVE;

		if (live[i].n) {
			mw_pages_free(live[i].ours, live[i].n);
			best_give(live[i].best, live[i].n);
			used -= live[i].n;
			live[i].n = 0;
		} else {
			live[i].n = draw();
			live[i].ours = mw_pages_alloc(live[i].n, MW_ATOMIC);
			live[i].best = best_take(live[i].n);
			used += live[i].n;
			peak = used > peak ? used : peak;
		}
	}
	printf("peak used %zu pages; taken: ours %zu (%.4f), best fit %zu (%.4f); worse by %.2f "
	       "%%\n",
	       peak, taken_now(), (double)peak / (double)taken_now(), best_taken,
	       (double)peak / (double)best_taken,
	       100 * ((double)taken_now() / (double)best_taken - 1));
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
	} else if (!strcmp(load, "fragment")) {
		seed = a;
		run_fragment(b);
	} else if (!strcmp(load, "runs")) {
		run_runs(a, b);
	} else {
		fprintf(stderr,
			"bench_page pair ORDER [PAIRS] | batch ORDER [N] | runs N [PAIRS] | "
			"fragment SEED [OPS]\n");
		return 2;
	}
	return 0;
}
