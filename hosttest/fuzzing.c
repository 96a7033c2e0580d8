// SPDX-License-Identifier: MIT
/* The fuzzers' common half: see fuzz.h. Linked with each, and with no test. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "fuzz.h"
#include "port_hosted.h"

#define HEAP_AT ((void *)0x200000000000)

static struct {
	bool on, came;
	enum mw_misuse what, other;
} expected;

size_t fuzz_size(struct fuzz *fuzz, unsigned int bits)
{
	unsigned int magnitude = fuzz_below(fuzz, bits + 1);
	size_t digits = fuzz_byte(fuzz) | fuzz_byte(fuzz) << 8 | (size_t)fuzz_byte(fuzz) << 16;

	return digits & (((size_t)1 << magnitude) - 1);
}

_Noreturn void fuzz_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static void on_misuse(const struct mw_report *report)
{
	if (expected.on && !expected.came &&
	    (report->what == expected.what || report->what == expected.other)) {
		expected.came = true;
		return;
	}
	mw_report_print(report);
	fuzz_failed(__FILE__, __LINE__, "a misuse that was none");
}

void fuzz_expect(enum mw_misuse what)
{
	fuzz_expect_either(what, what);
}

void fuzz_expect_either(enum mw_misuse what, enum mw_misuse other)
{
	expected.on = true;
	expected.came = false;
	expected.what = what;
	expected.other = other;
}

void fuzz_came(void)
{
	FUZZ_NEED(expected.came);
	expected.on = false;
}

void *fuzz_memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	FUZZ_NEED(at != MAP_FAILED);
	return at;
}

char *fuzz_heap(size_t bytes)
{
	static char *heap;

	port_thread_begin();
	if (!heap) {
		heap = mmap(HEAP_AT, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		FUZZ_NEED(heap == HEAP_AT);
	}
	mw_reset();
	mw_on_misuse(on_misuse);
	expected.on = false;
	FUZZ_NEED(mw_region_add(heap, (uintptr_t)heap & 0xffffffff, bytes));
	return heap;
}
