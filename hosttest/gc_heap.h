/* SPDX-License-Identifier: MIT */
/* What all test files of the collector share: a heap with roots in test memory, and who lives in it. */
#ifndef HOSTTEST_GC_HEAP_H
#define HOSTTEST_GC_HEAP_H

#include "test.h"
#include "../mm/gc/gc.h"

#if MW_GC

#define NOINLINE __attribute__((noinline))
#define UNUSED __attribute__((unused))
/* Without a sanitizer's gaps in its frame, in which old pointers would stay. */
#define BARE                                                                                       \
	__attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

/* Not in the test's data, which ports show as roots as they like: so roots here live in test memory. */
struct node;
#define ROOTS (MW_PAGE_SIZE / sizeof(struct node *))
static UNUSED struct node **root;

static UNUSED void setup(size_t bytes)
{
	test_heap(bytes);
	root = test_memory(MW_PAGE_SIZE);
	NEED(root);
	for (size_t i = 0; i < ROOTS; i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + ROOTS, NULL));
}

/* Overwrite what calls left behind on this stack. */
BARE NOINLINE static UNUSED void scribble(void)
{
	volatile char stack[16384];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

BARE NOINLINE static UNUSED void collect(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}

static UNUSED size_t live_objects(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	size_t live = 0;

	while ((span = mw_span_next(&cursor)))
		if (span->in_use && (mw_span_flags(span) & MW_SPAN_COLLECTED))
			live += mw_span_live_count(span);
	return live;
}

#endif
#endif
