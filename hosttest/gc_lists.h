/* SPDX-License-Identifier: MIT */
/* What the collector's test files share: a heap with roots in test memory, and lists in it. */
#ifndef HOSTTEST_GC_LISTS_H
#define HOSTTEST_GC_LISTS_H

#include "test.h"
#include "../mm/gc/gc.h"

#if MW_GC

#define NOINLINE __attribute__((noinline))
#define UNUSED __attribute__((unused))
/* Without a sanitizer's gaps in its frame, in which old pointers would stay. */
#define BARE __attribute__((no_sanitize("address"), no_sanitize("undefined")))

struct node {
	struct node *next, *other;
	uintptr_t value;
};

static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTR(struct node, other));

/* Not seen by the port: the hosted one scans data and bss. So roots here live in test memory. */
static struct node **root;

static UNUSED void setup(size_t bytes)
{
	test_heap(bytes);
	root = test_memory(MW_PAGE_SIZE);
	NEED(root);
	for (size_t i = 0; i < MW_PAGE_SIZE / sizeof(*root); i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + MW_PAGE_SIZE / sizeof(*root), NULL));
}

/* Overwrite what calls left behind on this stack. */
BARE NOINLINE static UNUSED void scribble(void)
{
	volatile char stack[16384];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
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

BARE NOINLINE static UNUSED void collect(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}

NOINLINE static UNUSED struct node *make_list(size_t n)
{
	struct node *list = NULL;

	while (n--) {
		struct node *node = mw_new(&node_type, MW_NORMAL);

		NEED(node);
		node->next = list;
		node->value = n;
		list = node;
	}
	return list;
}

NOINLINE static UNUSED void keep_list(size_t slot, size_t n)
{
	root[slot] = make_list(n);
}

NOINLINE static UNUSED void check_list(size_t slot, size_t n)
{
	struct node *node = root[slot];

	for (size_t i = 0; i < n; i++, node = node->next) {
		NEED(node);
		if (node->value != i)
			CHECK_EQ(node->value, i);
	}
	CHECK_PTR(node, NULL);
}

#endif
#endif
