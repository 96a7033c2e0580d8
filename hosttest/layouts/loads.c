// SPDX-License-Identifier: MIT
/* What is counted. A row's name and size stand in docs/design/layout.md. */
#include "layouts.h"

#define LIVE 500u

static char *objects[LIVE], *burst[LIVE];
static struct lay_cache *cache;

static char *take(size_t size)
{
	char *object = lay_alloc(size);

	*object = 1;
	return object;
}

static void pair(unsigned long n, size_t size)
{
	while (n--)
		lay_free(take(size));
}

static void cached(unsigned long n, size_t size)
{
	(void)size;
	while (n--) {
		char *object = lay_cache_alloc(cache);

		*object = 1;
		lay_cache_free(cache, object);
	}
}

static void fill(size_t size)
{
	for (unsigned int i = 0; i < LIVE; i++)
		objects[i] = take(size);
}

static void drain(void)
{
	for (unsigned int i = 0; i < LIVE; i++)
		lay_free(objects[i]);
}

static void fifo(unsigned long n, size_t size)
{
	for (; n; n -= LIVE) {
		fill(size);
		drain();
	}
}

static void lifo(unsigned long n, size_t size)
{
	for (; n; n -= LIVE) {
		fill(size);
		for (unsigned int i = LIVE; i--;)
			lay_free(objects[i]);
	}
}

static void afar(unsigned long n, size_t size)
{
	for (; n; n -= LIVE) {
		fill(size);
		lay_be_cpu(1);
		drain();
		lay_be_cpu(0);
	}
}

static unsigned long seed = 7;

static unsigned int next_random(void)
{
	seed = seed * 6364136223846793005ul + 1;
	return (unsigned int)(seed >> 33);
}

/* @size 0: of 16 to 1024 bytes. What is live stays so for the next call: begin with fill(), end with drain(). */
static void at_random(unsigned long n, size_t size)
{
	while (n--) {
		unsigned int r = next_random();
		char **at = &objects[(r >> 10) % LIVE];

		lay_free(*at);
		*at = take(size ? size : 16 + r % 1009);
	}
}

static void usable(unsigned long n, size_t size)
{
	(void)size;
	while (n--)
		*(volatile size_t *)objects[0] = lay_usable(objects[0]);
}

static void stays(unsigned long n, size_t size)
{
	while (n--)
		objects[0] = lay_realloc(objects[0], size - (n & 7));
}

static void aligned(unsigned long n, size_t size)
{
	while (n--) {
		char *object = lay_aligned(size, 64);

		*object = 1;
		lay_free(object);
	}
}

static void count(void (*load)(unsigned long n, size_t size), unsigned long n, size_t size,
		  const char *row)
{
	load(n, size);
	lay_count_begin();
	load(n, size);
	lay_count_end(row, n);
}

static void count_random(unsigned long n, size_t size, const char *row)
{
	/* As after a burst: there is room for twice as much as lives. */
	fill(size ? size : 64);
	for (unsigned int i = 0; i < LIVE; i++)
		burst[i] = take(size ? size : 64);
	for (unsigned int i = 0; i < LIVE; i++)
		lay_free(burst[i]);
	count(at_random, n, size, row);
	drain();
}

static void count_one(void (*load)(unsigned long n, size_t size), unsigned long n, size_t size,
		      const char *row)
{
	objects[0] = take(size);
	count(load, n, size, row);
	lay_free(objects[0]);
}

/* Allocating in order with nothing freed meanwhile: each word is used up once. */
static void count_halves(size_t size, const char *alloc, const char *release)
{
	fill(size);
	drain();
	lay_count_begin();
	fill(size);
	lay_count_end(alloc, LIVE);
	lay_count_begin();
	drain();
	lay_count_end(release, LIVE);
}

/* ---- marks ---- */

struct node {
	struct node *link[2];
	unsigned long data[6];
};

static struct node *tree(unsigned int depth)
{
	struct node *node = lay_collected(sizeof(*node));

	for (unsigned int i = 0; i < 2; i++)
		node->link[i] = depth ? tree(depth - 1) : NULL;
	for (unsigned int i = 0; i < 6; i++)
		node->data[i] = i;
	return node;
}

static struct node *nodes[1 << 15];
static struct node *root;

static void count_mark_tree(unsigned int depth)
{
	root = tree(depth);
	(void)lay_mark((void **)&root, 1, "mark tree");
	root = NULL;
}

/* Every object once in a list, so that all are reached, and a second link anywhere. @inner: into the middle. */
static void count_mark_random(unsigned int n, size_t inner, const char *row)
{
	for (unsigned int i = 0; i < n; i++) {
		nodes[i] = lay_collected(sizeof(struct node));
		for (unsigned int j = 0; j < 6; j++)
			nodes[i]->data[j] = j;
	}
	for (unsigned int i = n; i-- > 1;) {
		unsigned int j = next_random() % (i + 1);
		struct node *other = nodes[i];

		nodes[i] = nodes[j];
		nodes[j] = other;
	}
	for (unsigned int i = 0; i < n; i++) {
		nodes[i]->link[0] = i + 1 < n ? (struct node *)((char *)nodes[i + 1] + inner) : NULL;
		nodes[i]->link[1] = nodes[next_random() % n];
	}
	root = nodes[0];
	(void)lay_mark((void **)&root, 1, row);
	root = NULL;
}

/* ---- metadata ---- */

/* 4 MiB of objects of one size, which stay live: parts in ten thousand of what is said about them. */
static void metadata(size_t size, const char *what)
{
	size_t before = lay_metadata(), n = ((size_t)4 << 20) / size;
	char *last = NULL;

	for (size_t i = 0; i < n; i++) {
		char *object = lay_alloc(size);

		*(char **)object = last;
		last = object;
	}
	lay_say(what, (lay_metadata() - before) * 10000 / (n * size));
}

void lay_loads(unsigned long n, unsigned int trees)
{
	cache = lay_cache_make(64);
	count(pair, n, 16, "pair 16");
	count(pair, n, 64, "pair 64");
	count(pair, n, 256, "pair 256");
	count(pair, n, 1024, "pair 1024");
	count(fifo, n, 16, "fifo 16");
	count(fifo, n, 64, "fifo 64");
	count(fifo, n, 256, "fifo 256");
	count(fifo, n, 1024, "fifo 1024");
	count(lifo, n, 16, "lifo 16");
	count(lifo, n, 64, "lifo 64");
	count(lifo, n, 256, "lifo 256");
	count(lifo, n, 1024, "lifo 1024");
	count_random(n, 16, "random 16");
	count_random(n, 64, "random 64");
	count_random(n, 256, "random 256");
	count_random(n, 1024, "random 1024");
	count_random(n, 0, "random 16 to 1024");
	count_halves(16, "alloc in order 16", "free in order 16");
	count_halves(64, "alloc in order 64", "free in order 64");
	count_halves(256, "alloc in order 256", "free in order 256");
	count_halves(1024, "alloc in order 1024", "free in order 1024");
	count(cached, n, 64, "cache pair 64");
	count(afar, n, 16, "freed afar 16");
	count(afar, n, 64, "freed afar 64");
	count(afar, n, 256, "freed afar 256");
	count(afar, n, 1024, "freed afar 1024");
	count(pair, n, 65536, "pair 64 KiB");
	count(aligned, n, 64, "aligned pair 64");
	count_one(usable, n, 64, "usable size 64");
	count_one(usable, n, 1024, "usable size 1024");
	count_one(stays, n, 64, "realloc stays 64");
	count_mark_tree(trees);
	count_mark_random(1u << trees, 0, "mark random");
	count_mark_random(1u << trees, 24, "mark random, inner");
}

void lay_loads_metadata(void)
{
	metadata(16, "metadata 16");
	metadata(32, "metadata 32");
	metadata(64, "metadata 64");
	metadata(256, "metadata 256");
	metadata(1024, "metadata 1024");
	metadata(65536, "metadata 64 KiB");
}
