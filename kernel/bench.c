// SPDX-License-Identifier: MIT
/*
 * The loads of docs/bench/kernel.md, each timed without the loop around it: the same loop with nothing
 * in it is timed too. Under -icount the time stamp counter counts instructions; the least of three
 * rounds has no interrupt in it.
 */
#include <marrow/linux.h>
#include "bench.h"
#include "keys.h"
#include "settings.h"
#include "../hosttest/harness.h"

#define ROUNDS 3u
#define COUNT 10000u

static char scratch[64];
static void *live[BENCH_LIVE];
static struct mw_cache *cache;

atomic_bool bench_short;

static inline void *hide(void *p)
{
	__asm__ volatile("" : "+r"(p));
	return p;
}

/* ---- loads, and their loops ---- */

void bench_pairs(size_t n, size_t size, void **unused)
{
	(void)unused;
	while (n--) {
		void *p = mw_alloc(size, MW_NORMAL);

		if (!bench_touch(p))
			return;
		mw_free(p);
	}
}

/* As drivers do: the size is known when compiling. */
static void constant_pairs(size_t n, size_t unused, void **too)
{
	(void)unused, (void)too;
	while (n--) {
		void *p = kmalloc(64, GFP_KERNEL);

		if (!bench_touch(p))
			return;
		kfree(p);
	}
}

static void zeroed_pairs(size_t n, size_t size, void **unused)
{
	(void)unused;
	while (n--) {
		void *p = mw_alloc(size, MW_ZERO);

		if (!bench_touch(p))
			return;
		mw_free(p);
	}
}

static void cache_pairs(size_t n, size_t size, void **unused)
{
	(void)size, (void)unused;
	while (n--) {
		void *p = mw_cache_alloc(cache, MW_NORMAL);

		if (!bench_touch(p))
			return;
		mw_cache_free(cache, p);
	}
}

void bench_pages(size_t n, size_t order, void **unused)
{
	(void)unused;
	while (n--) {
		void *p = mw_pages_alloc((size_t)1 << order, MW_NORMAL);

		if (!bench_touch(p))
			return;
		mw_pages_free(p, (size_t)1 << order);
	}
}

static void no_pairs(size_t n, size_t size, void **unused)
{
	(void)size, (void)unused;
	while (n--)
		if (!bench_touch(hide(scratch)))
			return;
}

static void bulks(size_t n, size_t size, void **objects)
{
	(void)size;
	for (; n >= 16; n -= 16) {
		if (!mw_cache_alloc_bulk(cache, MW_NORMAL, 16, objects)) {
			(void)bench_touch(NULL);
			return;
		}
		mw_cache_free_bulk(cache, 16, objects);
	}
}

static void no_bulks(size_t n, size_t size, void **objects)
{
	(void)size;
	for (; n >= 16; n -= 16)
		if (!hide(objects))
			return;
}

/* Where there is no memory for more the rest is NULL. */
bool bench_fill(size_t n, size_t size, void **objects)
{
	for (size_t i = 0; i < n; i++) {
		objects[i] = mw_alloc(size, MW_NORMAL);
		if (bench_touch(objects[i]))
			continue;
		memset(objects + i, 0, (n - i) * sizeof(*objects));
		return false;
	}
	return true;
}

void bench_drop(size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		mw_free(objects[i]);
}

static void batches(size_t n, size_t size, void **objects)
{
	for (; n >= BENCH_LIVE; n -= BENCH_LIVE) {
		bool whole = bench_fill(BENCH_LIVE, size, objects);

		bench_drop(BENCH_LIVE, objects);
		if (!whole)
			return;
	}
}

static void no_batches(size_t n, size_t size, void **objects)
{
	(void)size;
	for (; n >= BENCH_LIVE; n -= BENCH_LIVE) {
		for (size_t i = 0; i < BENCH_LIVE; i++) {
			objects[i] = hide(scratch);
			if (!bench_touch(objects[i]))
				return;
		}
		for (size_t i = 0; i < BENCH_LIVE; i++)
			(void)hide(objects[i]);
	}
}

static inline size_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1;
	return (size_t)(*seed >> 33);
}

/* A thousand live objects of 16 to 1024 bytes; one at random is replaced each time. */
void bench_random(size_t n, size_t unused, void **objects)
{
	uint64_t seed = 7 + mw_port_cpu();

	(void)unused;
	memset(objects, 0, BENCH_LIVE * sizeof(*objects));
	while (n--) {
		size_t r = next_random(&seed);
		void **slot = &objects[r % BENCH_LIVE];

		mw_free(*slot);
		*slot = mw_alloc(16 + (r >> 10) % 1009, MW_NORMAL);
		if (!bench_touch(*slot))
			break;
	}
	bench_drop(BENCH_LIVE, objects);
}

static void no_random(size_t n, size_t unused, void **objects)
{
	uint64_t seed = 7;

	(void)unused;
	memset(objects, 0, BENCH_LIVE * sizeof(*objects));
	while (n--) {
		size_t r = next_random(&seed);
		void **slot = &objects[r % BENCH_LIVE];

		(void)hide(*slot);
		*slot = hide((void *)(scratch + ((r >> 10) % 1009 & 7)));
		if (!bench_touch(*slot))
			break;
	}
	for (size_t i = 0; i < BENCH_LIVE; i++)
		(void)hide(objects[i]);
}

/* ---- the table ---- */

static const struct load {
	const char *name;
	bench_fn *run, *loop;
	size_t arg;
	const char *aids; /* of the cache, if it has any */
	unsigned int goal; /* 0: none */
	const char *slub; /* Linux 6.1: Debian's / without zeroing / lean */
} loads[] = {
	{ "kmalloc(64) pair", constant_pairs, no_pairs, 0, NULL, 57, "305 / 274 / 195" },
	{ "pair 64", bench_pairs, no_pairs, 64, NULL, 57, "305 / 274 / 195" },
	{ "pair 1024", bench_pairs, no_pairs, 1024, NULL, 60, "426 / 276 / 194" },
	{ "pair 8192", bench_pairs, no_pairs, 8192, NULL, 75, "1322 / 277 / 194" },
	{ "pair 64 KiB", bench_pairs, no_pairs, 65536, NULL, 0, "" },
	{ "pair of a cache 64", cache_pairs, no_pairs, 64, "-", 50, "261 / 230 / 152" },
	{ "bulk of 16, an object", bulks, no_bulks, 64, "-", 25, "178 / 147 / 92" },
	{ "batch 64", batches, no_batches, 64, NULL, 65, "433 / 402 / 278" },
	{ "batch 1024", batches, no_batches, 1024, NULL, 100, "862 / 590 / 389" },
	{ "batch 8192", batches, no_batches, 8192, NULL, 150, "2905 / 837 / 658" },
	{ "random 16 to 1024", bench_random, no_random, 0, NULL, 80, "615 / 506 / 372" },
	{ "zeroed pair 64", zeroed_pairs, no_pairs, 64, NULL, 70, "299" },
	{ "pages, order 0", bench_pages, no_pairs, 0, NULL, 100, "1241 / 706 / 425" },
	{ "pages, order 4", bench_pages, no_pairs, 4, NULL, 200, "9863 / 1446 / 1138" },
	{ "pages, order 9", bench_pages, no_pairs, 9, NULL, 250, "- / 9986 / -" },
	{ "aids F, 64", cache_pairs, no_pairs, 64, "F", 0, "- / 1890 / -" },
	{ "aids P, 64", cache_pairs, no_pairs, 64, "P", 0, "- / 733 / -" },
	{ "aids U, 64", cache_pairs, no_pairs, 64, "U", 0, "- / 11922 / -" },
	{ "aids Z and P, 64", cache_pairs, no_pairs, 64, "ZP", 300, "" },
	{ "all aids, 64", cache_pairs, no_pairs, 64, "FZPU", 900, "- / 13432 / -" },
};

/* Tenths of instructions or of nanoseconds for one operation; the first round warms up. */
static uint64_t tenths(bench_fn *fn, size_t arg)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int round = 0; round <= ROUNDS && !bench_short; round++) {
		bool exact = backend_instructions() != 0;
		uint64_t start = exact ? arch_cycles() : arch_now(), taken;

		fn(COUNT, arg, live);
		taken = (exact ? arch_cycles() : arch_now()) - start;
		if (round && taken < best)
			best = taken;
	}
	return best * 10 / COUNT;
}

/* Return: false: no memory. */
static bool cache_begin(const char *aids)
{
	const struct mw_cache_want want = { .name = "bench", .size = 64 };
	char spec[16];

	mw_format(spec, sizeof(spec), "%s,bench", aids);
	if (mw_debug_set(spec))
		cache = mw_cache_create(&want);
	return cache;
}

static void cache_end(void)
{
	settings_apply();
	if (cache)
		(void)mw_cache_destroy(cache);
	cache = NULL;
}

static void print_cost(const struct load *load, uint64_t cost)
{
	mw_print("%-24s %6llu.%llu", load->name, (unsigned long long)cost / 10,
		 (unsigned long long)cost % 10);
	if (load->goal)
		mw_print("  %6u", load->goal);
	else
		mw_print("  %6s", "-");
	mw_print("   %s\n", load->slub[0] ? load->slub : "-");
}

static void run_load(const struct load *load)
{
	uint64_t with = 0, loop = 0;

	bench_short = load->aids && !cache_begin(load->aids);
	with = tenths(load->run, load->arg);
	loop = tenths(load->loop, load->arg);
	if (bench_short)
		mw_print("%-24s there is not so much memory\n", load->name);
	else
		print_cost(load, with > loop ? with - loop : 0);
	if (load->aids)
		cache_end();
}

void bench_table(void)
{
	mw_print("%-24s %8s  %6s   %s\n", "One operation", backend_instructions() ? "instr." : "ns",
		 "goal", "Linux 6.1, instructions: Debian's / no zeroing / lean");
	for (size_t i = 0; i < LEN(loads) && !keys_stop(); i++)
		run_load(&loads[i]);
}
