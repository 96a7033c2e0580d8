// SPDX-License-Identifier: MIT
/* Something to look at for those who watch: a tree of typed objects that the collector owns. */
#include <marrow/gc.h>
#include "kernel.h"
#include "text.h"

#if MW_GC

struct graph_node {
	struct graph_node *parent, *left, *right;
	unsigned long number; /* from 1, as in a heap: n's are 2n and 2n + 1 */
};

static struct mw_type graph_node_type =
	MW_TYPE(struct graph_node, MW_PTR(struct graph_node, parent),
		MW_PTR(struct graph_node, left), MW_PTR(struct graph_node, right));
static struct graph_node *graph_root;

/* The node with that number, by the bits of the number below its highest. */
static struct graph_node *graph_find(unsigned long number)
{
	struct graph_node *node = graph_root;

	for (int bit = 62 - __builtin_clzl(number); node && bit >= 0; bit--)
		node = number >> bit & 1 ? node->right : node->left;
	return node;
}

static bool graph_add(unsigned long number)
{
	struct graph_node *node = mw_new(&graph_node_type, MW_NORMAL), *parent;

	if (!node)
		return false;
	node->number = number;
	if (number == 1) {
		graph_root = node;
		return true;
	}
	parent = node->parent = graph_find(number / 2);
	if (number & 1)
		parent->right = node;
	else
		parent->left = node;
	return true;
}

void graph(size_t argc, char **argv)
{
	uint64_t nodes = 1000;
	unsigned long n = 0;

	if (argc > 1 && !text_number(argv[1], &nodes)) {
		mw_print("graph [NODES]\n");
		return;
	}
	graph_root = NULL;
	while (n < nodes && graph_add(n + 1))
		n++;
	(void)mw_gc_collect(MW_COLLECT_SWEPT);
	mw_print("A tree of %lu typed objects; the one before is collected.\n", n);
}

#endif
