// SPDX-License-Identifier: MIT
/*
 * bench_gc LOAD [ARG...]: the collector's benchmarks, the same for Marrow and its peers.
 *
 *	drop SIZE N		allocate N zeroed objects and keep none; of a type: drop-node
 *	array N			N objects of 16 bytes in one array: collect with all live, then with none
 *	tree|random|chain SIZE MB	nodes with two pointers, linked so: a full collection
 *	trees DEPTH		binary trees of many depths, most of them short-lived
 *	pause MB SECONDS	garbage over a live tree: the longest gap that the program sees
 *	finalizers N		N objects with one each: to set, again, to collect with all live, with none
 *
 * MARKERS=n in the environment: so many markers. Prints lines of a name and a figure; times of
 * collections are the least of REPEAT. scripts/bench_gc.py runs it all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "bench_gc.h"

#define REPEAT 7
#define GAP_NS 50000 /* longer ones are not the program's own doing */

static void *volatile root[64];
static size_t finalized;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t dice(void)
{
	static uint64_t seed = 1;
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Overwrite what calls left behind on this stack. */
__attribute__((noinline)) static void scribble(void)
{
	volatile char stack[16384];

	memset((void *)stack, 0, sizeof(stack));
}

static uint64_t least_collect(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < REPEAT; i++) {
		uint64_t start = now(), ns;

		gc_collect();
		ns = now() - start;
		gc_sweep();
		least = ns < least ? ns : least;
	}
	return least;
}

static uint64_t collect_dead(void)
{
	uint64_t start;

	for (size_t i = 0; i < 64; i++)
		root[i] = NULL;
	scribble();
	start = now();
	gc_collect();
	return now() - start;
}

/* ---- allocate and drop; callgrind counts what is in these two ---- */

__attribute__((noinline)) void measured_plain(size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++)
		root[i % 8] = gc_plain(size);
}

__attribute__((noinline)) void measured_node(size_t size, size_t n)
{
	(void)size;
	for (size_t i = 0; i < n; i++)
		root[i % 8] = gc_node();
}

static void drop(size_t size, size_t n, void (*measured)(size_t size, size_t n))
{
	uint64_t begin;

	measured(size, n / 10);
	begin = now();
	measured(size, n);
	printf("ns %.2f\n", (double)(now() - begin) / (double)n);
}

/* ---- live heaps ---- */

__attribute__((noinline)) static void fill_array(size_t n)
{
	void **array = gc_array(n);

	root[0] = array;
	for (size_t i = 0; i < n; i++)
		array[i] = gc_plain(16);
}

static void array(size_t n)
{
	uint64_t live;

	fill_array(n);
	live = least_collect();
	printf("live_ms %.3f\ndead_ms %.3f\n", (double)live / 1e6, (double)collect_dead() / 1e6);
}

/* A parent lies before its children. */
static void link_tree(struct node **all, size_t n)
{
	for (size_t i = 1; i < n; i++)
		*(i % 2 ? &all[(i - 1) / 2]->left : &all[(i - 1) / 2]->right) = all[i];
	root[0] = all[0];
}

static void link_chain(struct node **all, size_t n)
{
	for (size_t i = 1; i < n; i++)
		all[i]->left = all[i - 1];
	root[0] = all[n - 1];
}

/* A chain in random order, and one more link to anywhere. */
static void link_random(struct node **all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		all[i]->right = all[dice() % n];
	for (size_t i = n - 1; i; i--) {
		size_t j = dice() % (i + 1);
		struct node *swap = all[i];

		all[i] = all[j];
		all[j] = swap;
	}
	link_chain(all, n);
}

__attribute__((noinline)) static void make_nodes(size_t n, void (*link)(struct node **all, size_t n))
{
	struct node **all = mmap(NULL, n * sizeof(*all), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		exit(2);
	gc_collect_by_itself(false);
	for (size_t i = 0; i < n; i++)
		all[i] = gc_node();
	link(all, n);
	gc_collect_by_itself(true);
	munmap(all, n * sizeof(*all));
}

static void graph(size_t n, void (*link)(struct node **all, size_t n))
{
	make_nodes(n, link);
	printf("ns %.2f\n", (double)least_collect() / (double)n);
}

/* ---- programs ---- */

static struct node *make_tree(unsigned int depth)
{
	struct node *node = gc_node();

	if (depth) {
		node->left = make_tree(depth - 1);
		node->right = make_tree(depth - 1);
	}
	return node;
}

static void trees(unsigned int depth)
{
	uint64_t begin = now();
	struct rusage usage;

	root[0] = make_tree(depth);
	for (unsigned int d = 4; d <= depth; d += 2)
		for (unsigned int i = 1u << (depth - d + 4); i; i--)
			root[1] = make_tree(d);
	getrusage(RUSAGE_SELF, &usage);
	printf("s %.3f\npeak_mb %.1f\n", (double)(now() - begin) / 1e9,
	       (double)usage.ru_maxrss / 1024);
}

static void pauses(size_t megabytes, unsigned int seconds)
{
	uint64_t begin, last, longest = 0, gaps = 0;
	size_t objects = 0;

	make_nodes((megabytes << 20) / 32, link_tree);
	gc_workers();
	begin = last = now();
	while (last - begin < seconds * UINT64_C(1000000000)) {
		uint64_t t;

		for (unsigned int i = 0; i < 20; i++)
			root[2] = gc_plain(32);
		objects += 20;
		t = now();
		if (t - last > GAP_NS)
			gaps += t - last;
		if (t - last > longest)
			longest = t - last;
		last = t;
	}
	printf("longest_ms %.2f\ngaps_percent %.1f\nmillions_a_second %.2f\n",
	       (double)longest / 1e6, 100.0 * (double)gaps / (double)(last - begin),
	       (double)objects * 1e3 / (double)(last - begin));
}

/* ---- finalizers ---- */

void gc_finalized(void)
{
	finalized++;
}

static size_t resident(void)
{
	unsigned long total, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &total, &pages) != 2)
		exit(2);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

__attribute__((noinline)) static void set_finalizers(void **array, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!gc_set_finalizer(array[i]))
			exit(2);
}

/* In memory that was used before: the first time takes fresh pages, which the system makes one fault each. */
static uint64_t set_again(void **array, size_t n)
{
	uint64_t begin;

	for (size_t i = 0; i < n; i++)
		gc_clear_finalizer(array[i]);
	begin = now();
	set_finalizers(array, n);
	return now() - begin;
}

static void finalizers(size_t n)
{
	uint64_t begin, set, live, dead;
	size_t before;

	gc_collect_by_itself(false);
	fill_array(n);
	before = resident();
	begin = now();
	set_finalizers(root[0], n);
	set = now() - begin;
	printf("bytes %.1f\nset_ns %.1f\n", (double)(resident() - before) / (double)n,
	       (double)set / (double)n);
	printf("again_ns %.1f\n", (double)set_again(root[0], n) / (double)n);
	gc_collect_by_itself(true);
	live = least_collect();
	begin = now();
	dead = collect_dead();
	gc_sweep();
	printf("live_ms %.2f\ndead_ms %.2f\ndead_swept_ms %.2f\n", (double)live / 1e6,
	       (double)dead / 1e6, (double)(now() - begin) / 1e6);
	gc_finalize();
	if (finalized < n - n / 100) {
		fprintf(stderr, "%zu of %zu finalizers ran\n", finalized, n);
		exit(1);
	}
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s LOAD ARG..., see the source\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	const char *load = argc > 1 ? argv[1] : "", *markers = getenv("MARKERS");
	size_t a = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	size_t b = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	bool heap = !strcmp(load, "tree") || !strcmp(load, "random") || !strcmp(load, "chain");

	if (!a || (heap && !b))
		return usage(argv[0]);
	gc_start(markers ? (unsigned int)atoi(markers) : 1, heap || !strcmp(load, "drop-node") ? a
							    : !strcmp(load, "pause")
								    ? 32
								    : sizeof(struct node));
	if (!strcmp(load, "drop"))
		drop(a, b ? b : 10000000, measured_plain);
	else if (!strcmp(load, "drop-node"))
		drop(a, b ? b : 10000000, measured_node);
	else if (!strcmp(load, "array"))
		array(a);
	else if (heap)
		graph((b << 20) / a, *load == 't'   ? link_tree
				     : *load == 'r' ? link_random
						    : link_chain);
	else if (!strcmp(load, "trees"))
		trees((unsigned int)a);
	else if (!strcmp(load, "pause"))
		pauses(a, b ? (unsigned int)b : 10);
	else if (!strcmp(load, "finalizers"))
		finalizers(a);
	else
		return usage(argv[0]);
	return 0;
}
