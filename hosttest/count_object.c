// SPDX-License-Identifier: MIT
/*
 * Instructions of mw_alloc() and its kin themselves, without a malloc() around them: run by
 * scripts/count-object.sh under callgrind. Pinning costs nothing here, so that is to be added.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <valgrind/callgrind.h>
#include <marrow/mm.h>
#include <marrow/port.h>

#define LIVE 1000u
#define HEAP ((size_t)1 << 30)

__thread unsigned int count_cpu;
static char *objects[LIVE];
static struct mw_cache *cache;

void mw_port_panic(const char *why)
{
	puts(why);
	abort();
}

void mw_port_write(const char *text, size_t len)
{
	fwrite(text, 1, len, stdout);
}

static void pair(size_t n, size_t size, mw_flags_t flags)
{
	for (size_t i = 0; i < n; i++) {
		char *p = mw_alloc(size, flags);

		*p = 1;
		mw_free(p);
	}
}

static void typed(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *p = mw_cache_alloc(cache, 0);

		*p = 1;
		mw_cache_free(cache, p);
	}
}

static void bulk(size_t n)
{
	void *some[16];

	for (size_t i = 0; i < n; i += 16) {
		mw_cache_alloc_bulk(cache, 0, 16, some);
		mw_cache_free_bulk(cache, 16, some);
	}
}

/* @free_cpu: who frees; @lifo: newest first. */
static void batch(size_t n, size_t size, unsigned int free_cpu, bool lifo)
{
	for (size_t i = 0; i < n; i += LIVE) {
		for (unsigned int j = 0; j < LIVE; j++) {
			objects[j] = mw_alloc(size, 0);
			*objects[j] = 1;
		}
		count_cpu = free_cpu;
		for (unsigned int j = 0; j < LIVE; j++)
			mw_free(objects[lifo ? LIVE - 1 - j : j]);
		count_cpu = 0;
	}
}

static void at_random(size_t n)
{
	static unsigned long seed = 7;
	static char *live[LIVE];

	for (size_t i = 0; i < n; i++) {
		char **slot;

		seed = seed * 6364136223846793005ul + 1;
		slot = &live[(seed >> 40) % LIVE];
		mw_free(*slot);
		*slot = mw_alloc(16 + (unsigned int)(seed >> 33) % 1009, 0);
		**slot = 1;
	}
}

static void run(const char *load, size_t n, size_t size)
{
	if (!strcmp(load, "pair"))
		pair(n, size, 0);
	else if (!strcmp(load, "zero"))
		pair(n, size, MW_ZERO);
	else if (!strcmp(load, "typed"))
		typed(n);
	else if (!strcmp(load, "bulk"))
		bulk(n);
	else if (!strcmp(load, "random"))
		at_random(n);
	else
		batch(n, size, !strcmp(load, "xthread"), !strcmp(load, "lifo"));
}

int main(int argc, char **argv)
{
	const struct mw_cache_want want = { .name = "counted", .size = 64 };
	char *heap = mmap((void *)((uintptr_t)1 << 40), HEAP, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t n, size;

	if (argc < 4 || !mw_region_add(heap, UINT64_C(1) << 33, HEAP))
		return 1;
	n = strtoul(argv[2], NULL, 0);
	size = strtoul(argv[3], NULL, 0);
	if (argc > 4 && !mw_debug_set(argv[4]))
		return 1;
	cache = mw_cache_create(&want);
	run(argv[1], n, size);
	CALLGRIND_START_INSTRUMENTATION;
	run(argv[1], n, size);
	CALLGRIND_STOP_INSTRUMENTATION;
	return 0;
}
