// SPDX-License-Identifier: MIT
/* The page heap against a byte for each page: who has it. */
#include <string.h>
#include "fuzz.h"
#include "../mm/page/span.h"

#define BYTES ((size_t)8 << 20)
#define PAGES (BYTES / MW_PAGE_SIZE)
#define RUNS 96

static struct run {
	char *at;
	size_t n;
	unsigned int stack; /* 1 + order, if it is one */
} runs[RUNS];

static unsigned char owner[PAGES]; /* 1 + index of the run; 0: nobody */
static char *base;

static void paint(size_t i, bool on)
{
	size_t first = (size_t)(runs[i].at - base) / MW_PAGE_SIZE;

	FUZZ_NEED(runs[i].at >= base && first + runs[i].n <= PAGES);
	for (size_t page = first; page < first + runs[i].n; page++) {
		FUZZ_NEED(owner[page] == (on ? 0 : i + 1));
		owner[page] = on ? (unsigned char)(i + 1) : 0;
	}
}

static void take(size_t i, void *at, size_t n, mw_flags_t flags)
{
	runs[i].at = at;
	runs[i].n = n;
	if (!at)
		return;
	FUZZ_NEED(!((uintptr_t)at & (MW_PAGE_SIZE - 1)));
	paint(i, true);
	for (size_t page = 0; page < n; page++) {
		char *word = (char *)at + page * MW_PAGE_SIZE;

		FUZZ_NEED(!(flags & MW_ZERO) || (!word[0] && !word[MW_PAGE_SIZE - 1]));
		word[0] = word[MW_PAGE_SIZE - 1] = (char)(i + 1);
	}
}

static void alloc_plain(struct fuzz *fuzz, size_t i)
{
	mw_flags_t flags = fuzz_byte(fuzz) & 1 ? MW_ZERO : 0;
	size_t n = 1 + fuzz_size(fuzz, 9);

	take(i, mw_pages_alloc(n, flags), n, flags);
}

static void alloc_special(struct fuzz *fuzz, size_t i)
{
	struct mw_pages want = { .count = 1 + fuzz_size(fuzz, 7) };
	unsigned int kind = fuzz_byte(fuzz);
	char *at;

	want.flags = kind & 1 ? MW_ZERO : 0;
	want.align = MW_PAGE_SIZE << (kind >> 1 & 7);
	if (kind & 16)
		want.boundary = MW_PAGE_SIZE << (kind >> 5);
	else if (kind & 32)
		want.at = base + ((size_t)fuzz_below(fuzz, PAGES) * MW_PAGE_SIZE & ~(want.align - 1));
	at = mw_pages_alloc_as(&want);
	FUZZ_NEED(!at || !((uintptr_t)at & (want.align - 1)));
	FUZZ_NEED(!at || !want.at || at == want.at);
	FUZZ_NEED(!at || !want.boundary ||
		  !((mw_phys(at) ^ (mw_phys(at) + want.count * MW_PAGE_SIZE - 1)) &
		    ~(want.boundary - 1)));
	take(i, at, want.count, want.flags);
}

static void alloc_stack(struct fuzz *fuzz, size_t i)
{
	unsigned int order = fuzz_below(fuzz, 6);
	char *at = mw_stack_alloc(order, MW_NORMAL);

	FUZZ_NEED(!((uintptr_t)at & ((MW_PAGE_SIZE << order) - 1)));
	take(i, at, (size_t)1 << order, 0);
	runs[i].stack = at ? 1 + order : 0;
}

static void give(size_t i)
{
	struct run *run = &runs[i];

	for (size_t page = 0; page < run->n; page++)
		FUZZ_NEED(run->at[page * MW_PAGE_SIZE] == (char)(i + 1));
	paint(i, false);
	if (run->stack)
		mw_stack_free(run->at, run->stack - 1);
	else
		mw_pages_free(run->at, run->n);
	run->at = NULL;
	run->stack = 0;
}

/* Frees that are none: nothing may change, and each is reported. */
static void give_wrong(struct fuzz *fuzz, size_t i)
{
	struct run *run = &runs[i];
	size_t n = run->n;

	switch (fuzz_below(fuzz, 4)) {
	case 0:
		fuzz_expect(MW_WRONG_SIZE);
		mw_pages_free(run->at, n + 1 + fuzz_byte(fuzz));
		break;
	case 1:
		fuzz_expect(MW_INNER_FREE);
		mw_pages_free(run->at + 1 + fuzz_below(fuzz, MW_PAGE_SIZE - 1), n);
		break;
	case 2:
		if (n < 2)
			return;
		fuzz_expect(MW_INNER_FREE);
		mw_pages_free(run->at + MW_PAGE_SIZE * (1 + fuzz_below(fuzz, (unsigned int)n - 1)),
			      1);
		break;
	default:
		fuzz_expect(MW_FOREIGN_FREE);
		mw_pages_free(base + BYTES + MW_PAGE_SIZE * fuzz_byte(fuzz), n);
		break;
	}
	fuzz_came();
}

static void free_twice(size_t i)
{
	char *at = runs[i].at;
	size_t n = runs[i].n;

	give(i);
	fuzz_expect(MW_DOUBLE_FREE);
	mw_pages_free(at, n);
	fuzz_came();
}

static void one(struct fuzz *fuzz)
{
	unsigned int op = fuzz_below(fuzz, 16);
	size_t i = fuzz_below(fuzz, RUNS);

	if (op == 15)
		(void)mw_scavenge(0, fuzz_size(fuzz, 20));
	else if (op == 14)
		(void)mw_reserve(fuzz_size(fuzz, 20));
	else if (!runs[i].at && op < 6)
		alloc_plain(fuzz, i);
	else if (!runs[i].at && op < 10)
		alloc_special(fuzz, i);
	else if (!runs[i].at)
		alloc_stack(fuzz, i);
	else if (op == 13)
		give_wrong(fuzz, i);
	else if (op == 12)
		free_twice(i);
	else
		give(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size, 0 };
	struct mw_page_stats stats;

	memset(runs, 0, sizeof(runs));
	memset(owner, 0, sizeof(owner));
	base = fuzz_heap(BYTES);
	mw_page_poison(fuzz_byte(&fuzz) & 1);
	while (fuzz_more(&fuzz)) {
		one(&fuzz);
		FUZZ_NEED(mw_page_check());
	}
	for (size_t i = 0; i < RUNS; i++)
		if (runs[i].at)
			give(i);
	(void)mw_reserve(0);
	mw_page_stats(&stats);
	FUZZ_NEED(!stats.raw);
	FUZZ_NEED((stats.free + stats.stocked) * MW_PAGE_SIZE + stats.metadata == stats.bytes);
	FUZZ_NEED(mw_heap_check());
	return 0;
}
