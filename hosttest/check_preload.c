// SPDX-License-Identifier: MIT
/*
 * What programs expect of malloc, checked from outside: run with any malloc preloaded. Says TAP.
 * With the argument "misuse" it also checks that wrong frees are found, which is ours alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check_preload.h"

unsigned int checks, failures;

bool all_zero(const unsigned char *p, size_t n)
{
	while (n && !*p)
		p++, n--;
	return !n;
}

unsigned long resident_kib(void)
{
	unsigned long total, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &total, &pages) != 2)
		abort();
	fclose(f);
	return pages * 4;
}

static void t_alignment(void)
{
	for (size_t size = 0; size < 3000; size++) {
		void *p = malloc(size), *q = calloc(1, size), *r = malloc(size);

		CHECK(p && q && r && p != q && q != r);
		CHECK((uintptr_t)p % 16 == 0 && (uintptr_t)q % 16 == 0);
		CHECK(malloc_usable_size(p) >= size);
		memset(p, 0xee, malloc_usable_size(p));
		CHECK(all_zero(q, size));
		free(p);
		free(q);
		free(r);
	}
	CHECK(malloc_usable_size(NULL) == 0);
}

static void t_limits(void)
{
	volatile size_t huge = SIZE_MAX, half = (size_t)1 << 32, over = (size_t)PTRDIFF_MAX + 1;
	void *p = malloc(10), *same;

	errno = 0;
	CHECK(!malloc(huge) && errno == ENOMEM);
	errno = 0;
	CHECK(!malloc(over) && errno == ENOMEM);
	errno = 0;
	CHECK(!malloc(huge - 4096) && errno == ENOMEM);
	errno = 0;
	CHECK(!calloc(half, half) && errno == ENOMEM);
	errno = 0;
	same = realloc(p, over);
	CHECK(!same && errno == ENOMEM);
	errno = 0;
	CHECK(!reallocarray(NULL, half, half) && errno == ENOMEM);
	errno = 0;
	CHECK(!memalign(64, over) && errno == ENOMEM);
	errno = 0;
	CHECK(!pvalloc(huge) && errno == ENOMEM);
	errno = E2BIG;
	if (!same)
		free(p);
	free(NULL);
	free(malloc(1u << 20));
	free(malloc(64u << 20));
	CHECK(errno == E2BIG);
}

static void t_realloc(void)
{
	unsigned char *p = NULL;
	size_t before = 0;

	for (size_t size = 1; size < 5000000; before = size, size = size * 3 / 2 + 1) {
		p = realloc(p, size);
		CHECK(p);
		for (size_t i = 0; i < before; i += 97)
			CHECK(p[i] == (unsigned char)(i * 7));
		for (size_t i = 0; i < size; i++)
			p[i] = (unsigned char)(i * 7);
	}
	for (size_t size = before; size; size /= 3) {
		p = realloc(p, size);
		CHECK(p && p[size - 1] == (unsigned char)((size - 1) * 7));
	}
	CHECK(!realloc(p, 0));
	p = reallocarray(NULL, 10, 10);
	CHECK(p);
	free(p);
}

static void t_aligned(void)
{
	volatile size_t odd = 24;
	void *p = &p;

	for (size_t align = 1; align <= (size_t)1 << 22; align *= 2)
		for (size_t size = 0; size < 200000; size = size * 9 + 1) {
			void *q = memalign(align, size), *r = aligned_alloc(align, size);

			CHECK(q && (uintptr_t)q % align == 0 && malloc_usable_size(q) >= size);
			CHECK(r && (uintptr_t)r % align == 0 && r != q);
			memset(q, 1, size);
			memset(r, 2, size);
			q = realloc(q, size + 100);
			CHECK(q && (!size || *(char *)q == 1));
			free(q);
			free(r);
		}
	errno = E2BIG;
	CHECK(posix_memalign(&p, 3, 10) == EINVAL && posix_memalign(&p, 4, 10) == EINVAL &&
	      posix_memalign(&p, 0, 10) == EINVAL && p == &p && errno == E2BIG);
	CHECK(posix_memalign(&p, 64, (size_t)PTRDIFF_MAX) == ENOMEM && p == &p);
	CHECK(!posix_memalign(&p, 4096, 1) && (uintptr_t)p % 4096 == 0);
	free(p);
	p = memalign(odd, 10);
	CHECK((uintptr_t)p % 32 == 0);
	free(p);
	p = valloc(1);
	CHECK((uintptr_t)p % 4096 == 0);
	free(p);
	p = pvalloc(4097);
	CHECK((uintptr_t)p % 4096 == 0 && malloc_usable_size(p) >= 8192);
	free(p);
}

/* ---- the rest ---- */

static void t_dlopen(void)
{
	for (unsigned int i = 0; i < 200; i++) {
		void *lib = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
		const char *(*version)(void);

		if (!lib)
			lib = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
		CHECK(lib);
		*(void **)&version = dlsym(lib, "sqlite3_libversion");
		CHECK(!version || strlen(version()) > 2);
		dlclose(lib);
	}
}

static void t_trim(void)
{
	static void *objects[2000];
	unsigned long full;

	for (unsigned int i = 0; i < 2000; i++) {
		objects[i] = malloc(20000);
		memset(objects[i], 1, 20000);
	}
	full = resident_kib();
	for (unsigned int i = 0; i < 2000; i++)
		free(objects[i]);
	malloc_trim(0);
	CHECK(resident_kib() < full - 30000);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "alignment", t_alignment },
	{ "limits", t_limits },
	{ "realloc", t_realloc },
	{ "aligned", t_aligned },
	{ "threads_come_and_go", t_threads_come_and_go },
	{ "crowd", t_crowd },
	{ "one_way", t_one_way },
	{ "fork_among_threads", t_fork_among_threads },
	{ "fork_chain", t_fork_chain },
	{ "fork_while_threads_end", t_fork_while_threads_end },
	{ "dlopen", t_dlopen },
	{ "out_of_memory", t_out_of_memory },
	{ "little_address_space", t_little_address_space },
	{ "old_layout", t_old_layout },
	{ "wide_alignments", t_wide_alignments },
	{ "trim", t_trim },
	{ "misuse", t_misuse },
};

int main(int argc, char **argv)
{
	unsigned int n = sizeof(tests) / sizeof(tests[0]), bad = 0;

	if (argc > 2 && !strcmp(argv[1], "until-the-end"))
		return until_the_end(strtoul(argv[2], NULL, 0));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || strcmp(argv[1], "misuse"))
		n--;
	printf("1..%u\n", n);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int before = failures, did = checks;

		if (argc > 2 && strcmp(argv[2], tests[i].name))
			continue;
		tests[i].run();
		bad += failures != before || checks == did;
		printf("%sok %u %s\n", failures != before || checks == did ? "not " : "", i + 1,
		       tests[i].name);
	}
	return bad != 0;
}
