/* SPDX-License-Identifier: MIT */
/* Lists in a collected heap, for the test files that need no other nodes. */
#ifndef HOSTTEST_GC_LISTS_H
#define HOSTTEST_GC_LISTS_H

#include "gc_heap.h"

#if MW_GC

struct node {
	struct node *next, *other;
	uintptr_t value;
};

static UNUSED struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTR(struct node, other));

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

/* An array of lists of one, in root[0]. */
NOINLINE static UNUSED void fill_array(size_t n)
{
	struct node **array = mw_alloc(n * sizeof(*array), MW_COLLECTED);

	NEED(array);
	root[0] = (struct node *)array;
	for (size_t i = 0; i < n; i++)
		array[i] = make_list(1);
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
