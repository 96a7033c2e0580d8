// SPDX-License-Identifier: MIT
/*
 * bench_profile RATE LOAD N: what the allocation profile costs. N allocations and their frees, while
 * one in RATE bytes is sampled (0: off). Instructions are counted from outside, as the difference of
 * two lengths: scripts/profile_cost.py.
 *
 *	pair	64 bytes, freed at once
 *	fifo	64 bytes, the oldest of 1000 freed
 *	random	16 to 1024 bytes, any of 10000 freed: 5 MB live
 *	large	up to 64 KiB, any of 500 freed: 16 MB live
 *	collected	64 bytes of the collector's, none kept
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <marrow/gc.h>
#include <marrow/mm.h>
#include <marrow/watch.h>

#define BYTES ((size_t)256 << 20)
#define MOST 10000

static void *live[MOST];

static uint32_t dice(void)
{
	static uint32_t x = 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* Replace any of @n objects, or the oldest, by one of @least to @most bytes. */
static void churn(unsigned long count, unsigned int n, bool any, uint32_t least, uint32_t most)
{
	for (unsigned long i = 0; i < count; i++) {
		unsigned int at = any ? dice() % n : (unsigned int)(i % n);
		size_t size = most > least ? least + dice() % (most - least + 1) : least;

		mw_free(live[at]);
		live[at] = mw_alloc(size, MW_NORMAL);
		if (!live[at])
			abort();
	}
}

static bool run(const char *load, unsigned long count)
{
	if (!strcmp(load, "pair"))
		churn(count, 1, false, 64, 64);
	else if (!strcmp(load, "fifo"))
		churn(count, 1000, false, 64, 64);
	else if (!strcmp(load, "random"))
		churn(count, MOST, true, 16, 1024);
	else if (!strcmp(load, "large"))
		churn(count, 500, true, 16, 65536);
	else if (!strcmp(load, "collected"))
		while (count--)
			*(void *volatile *)mw_alloc(64, MW_COLLECTED) = NULL;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (argc != 4 || memory == MAP_FAILED || !mw_region_add(memory, (uint64_t)1 << 32, BYTES))
		return 2;
	if (!mw_cpu_start() || !mw_profile_rate(strtoul(argv[1], NULL, 0)))
		return 2;
	return run(argv[2], strtoul(argv[3], NULL, 0)) ? 0 : 2;
}
