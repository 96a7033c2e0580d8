/* SPDX-License-Identifier: MIT */
/* What test files of the page heap share: sizes, a heap over a region of the test's own, what is resident. */
#ifndef HOSTTEST_PAGE_HEAP_H
#define HOSTTEST_PAGE_HEAP_H

#include "test.h"

#define UNUSED __attribute__((unused))
#define PAGE MW_PAGE_SIZE
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Of the hosted port: bytes of this process that are really there. */
__attribute__((weak)) size_t port_resident(void);

/* Shadow memory counts as resident too. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW 8
#else
#define SHADOW 1
#endif

static UNUSED struct mw_page_stats stats_now(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats;
}

/* A heap over a region of the test's own. */
static UNUSED char *own_heap(size_t bytes, uint64_t phys)
{
	char *memory;

	test_heap(PAGE * 4);
	memory = test_memory(bytes);
	mw_reset();
	NEED(mw_region_add(memory, phys, bytes));
	return memory;
}

#endif
