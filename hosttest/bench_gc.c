// SPDX-License-Identifier: MIT
/*
 * bench_gc LOAD [ARG...]: the collector's benchmarks; with -DPEER_BDW the same work for bdwgc.
 *
 *	drop SIZE [N]		allocate N zeroed objects and keep none
 *	array [N]		N objects of 16 bytes in one array: collect with all live, then with none
 *	tree|random SIZE MB	nodes of two pointers, linked as a tree or at random: a full collection
 *	trees DEPTH		binary trees of many depths, most of them short-lived
 *	pause MB SECONDS	garbage over a live tree: the longest gap that the program sees
 *
 * MARKERS=n in the environment limits the markers. Times are the least of REPEAT collections.
 * docs/bench/gc.md has the commands and what came out.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define REPEAT 7
#define GIB ((size_t)1 << 30)

struct node {
	struct node *left, *right;
	uintptr_t value[]; /* the rest of its size */
};

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

#ifdef PEER_BDW
#include <gc/gc.h>

static void start(size_t size)
{
	(void)size;
	setenv("GC_MARKERS", getenv("MARKERS") ? getenv("MARKERS") : "1", 1);
	GC_INIT();
}

static void *plain_new(size_t size)
{
	return GC_MALLOC(size);
}

#define node_new plain_new
static void *array_new(size_t n)
{
	return GC_MALLOC(n * sizeof(void *));
}

static void collect(void)
{
	GC_gcollect();
}

static void sweep_all(void)
{
}

static unsigned long cycles(void)
{
	return GC_get_gc_no();
}
#else
#include <marrow/gc.h>
#include <marrow/mm.h>

static struct mw_field node_fields[] = { { "links", MW_FIELD_POINTER, 0, 2, NULL, 0, 0 } };
static struct mw_type node_type = { .name = "node", .fields = node_fields, .field_count = 1 };
static struct mw_type pointer_type = { .name = "pointers",
				       .size = sizeof(void *),
				       .fields = (struct mw_field[]){ { "[]", MW_FIELD_POINTER, 0,
									1, NULL, 0, 0 } },
				       .field_count = 1 };
static unsigned int markers(void)
{
	const char *text = getenv("MARKERS");

	return text ? (unsigned int)atoi(text) : 1;
}

static pthread_barrier_t helpers_ready;

/* A thread that is stopped with the world, and marks. */
static void *helper(void *arg)
{
	(void)arg;
	(void)mw_cpu_start();
	pthread_barrier_wait(&helpers_ready);
	for (;;)
		pause();
	return NULL;
}

static void start(size_t size)
{
	size_t bytes = (size_t)4 << 30;
	char *memory = mmap(NULL, bytes + GIB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct mw_gc_policy policy;

	if (memory == MAP_FAILED)
		exit(2);
	memory = (char *)(((uintptr_t)memory + GIB - 1) & ~(GIB - 1));
	if (!mw_region_add_zeroed(memory, (uint64_t)4 << 30, bytes))
		exit(2);
	node_type.size = size;
	mw_gc_policy_get(&policy);
	policy.markers = markers();
	if (!mw_gc_policy_set(&policy))
		exit(2);
	mw_gc_trace(getenv("TRACE") != NULL);
	pthread_barrier_init(&helpers_ready, NULL, markers());
	for (unsigned int i = 1; i < markers(); i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, helper, NULL);
	}
	pthread_barrier_wait(&helpers_ready);
}

static void *plain_new(size_t size)
{
	return mw_alloc(size, MW_COLLECTED);
}

static void *node_new(size_t size)
{
	(void)size;
	return mw_new(&node_type, MW_NORMAL);
}

static void *array_new(size_t n)
{
	return mw_new_array(&pointer_type, n, MW_NORMAL);
}

static void collect(void)
{
	if (!mw_gc_collect(MW_COLLECT_MARKED))
		exit(2);
}

static void sweep_all(void)
{
	while (mw_worker_run(MW_WORKER_SWEEP, UINT64_MAX))
		;
}

static unsigned long cycles(void)
{
	return 0;
}
#endif

static void *volatile root[64];

/* Overwrite what calls left behind on this stack. */
__attribute__((noinline)) static void scribble(void)
{
	volatile char stack[16384];

	memset((void *)stack, 0, sizeof(stack));
}

static uint64_t timed_collect(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < REPEAT; i++) {
		uint64_t start = now(), ns;

		collect();
		ns = now() - start;
		sweep_all();
		least = ns < least ? ns : least;
	}
	return least;
}

/* The part that callgrind counts. */
__attribute__((noinline)) void measured(size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++)
		root[i % 8] = plain_new(size);
}

static void drop(size_t size, size_t n)
{
	uint64_t begin;

	measured(size, n / 10);
	begin = now();
	measured(size, n);
	printf("drop %zu: %.1f ns an object, %lu cycles\n", size,
	       (double)(now() - begin) / (double)n, cycles());
}

__attribute__((noinline)) static void fill_array(size_t n)
{
	void **array = array_new(n);

	root[0] = array;
	for (size_t i = 0; i < n; i++)
		array[i] = plain_new(16);
}

static void array(size_t n)
{
	uint64_t live, dead;

	fill_array(n);
	live = timed_collect();
	for (size_t i = 0; i < 64; i++)
		root[i] = NULL;
	scribble();
	dead = now();
	collect();
	dead = now() - dead;
	printf("array of %zu: all live %.2f ms, all dead %.2f ms\n", n, (double)live / 1e6,
	       (double)dead / 1e6);
}

/* Nodes in a queue's order, so a parent lies before its children; or linked at random afterwards. */
__attribute__((noinline)) static void link_nodes(size_t size, size_t n, int at_random)
{
	struct node **all = mmap(NULL, n * sizeof(*all), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < n; i++) {
		all[i] = node_new(size);
		root[0] = all[i];
		if (i && !at_random) {
			struct node *parent = all[(i - 1) / 2];

			*(i % 2 ? &parent->left : &parent->right) = all[i];
		} else if (i) {
			all[i]->left = all[i - 1];
		}
		root[1] = all[0];
	}
	for (size_t i = 0; at_random && i < n; i++)
		all[i]->right = all[dice() % n];
	if (at_random) {
		/* The chain becomes a random one: i leads to a random permutation's next. */
		for (size_t i = n - 1; i; i--) {
			size_t j = dice() % (i + 1);
			struct node *swap = all[i];

			all[i] = all[j];
			all[j] = swap;
		}
		for (size_t i = 0; i < n; i++)
			all[i]->left = i + 1 < n ? all[i + 1] : NULL;
		root[1] = all[0];
	}
	munmap(all, n * sizeof(*all));
}

static void graph(size_t size, size_t megabytes, int at_random)
{
	size_t n = (megabytes << 20) / size;
	uint64_t ns;

#ifndef PEER_BDW
	struct mw_gc_policy policy;

	mw_gc_policy_get(&policy);
	policy.percent = MW_GC_OFF;
	(void)mw_gc_policy_set(&policy);
#else
	GC_disable();
#endif
	link_nodes(size, n, at_random);
#ifdef PEER_BDW
	GC_enable();
#endif
	root[0] = NULL;
	ns = timed_collect();
	printf("%s of %zu-byte nodes, %zu MB: %.1f ns an object\n", at_random ? "random" : "tree",
	       size, megabytes, (double)ns / (double)n);
}

static struct node *make_tree(unsigned int depth)
{
	struct node *node = node_new(sizeof(*node));

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
	printf("trees %u: %.2f s, peak %ld MB\n", depth, (double)(now() - begin) / 1e9,
	       usage.ru_maxrss / 1024);
}

static void pauses(size_t megabytes, unsigned int seconds)
{
	uint64_t begin, last, longest = 0, gaps = 0;

	link_nodes(32, (megabytes << 20) / 32, 0);
	begin = last = now();
	while (last - begin < seconds * 1000000000ull) {
		uint64_t t;

		for (unsigned int i = 0; i < 20; i++)
			root[2] = plain_new(32);
		t = now();
		if (t - last > 50000)
			gaps += t - last;
		if (t - last > longest)
			longest = t - last;
		last = t;
	}
	printf("pause over %zu MB: longest %.1f ms, %.0f %% of the time in gaps\n", megabytes,
	       (double)longest / 1e6, 100.0 * (double)gaps / (double)(last - begin));
}

int main(int argc, char **argv)
{
	const char *load = argc > 1 ? argv[1] : "";
	size_t first = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	size_t second = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;

	start(!strcmp(load, "tree") || !strcmp(load, "random") ? first
	      : !strcmp(load, "pause")			       ? 32
							       : sizeof(struct node));
	if (!strcmp(load, "drop"))
		drop(first, second ? second : 10000000);
	else if (!strcmp(load, "array"))
		array(first ? first : 1000000);
	else if (!strcmp(load, "tree") || !strcmp(load, "random"))
		graph(first, second, load[0] == 'r');
	else if (!strcmp(load, "trees"))
		trees((unsigned int)first);
	else if (!strcmp(load, "pause"))
		pauses(first, (unsigned int)second);
	else
		return fprintf(stderr, "usage: %s LOAD [ARG...], see the source\n", argv[0]), 2;
	return 0;
}
