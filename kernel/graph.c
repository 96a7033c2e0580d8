// SPDX-License-Identifier: MIT
/* Something to look at for those who watch: a tree of typed objects that the collector owns. */
#include <marrow/gc.h>
#include "commands.h"
#include "keys.h"
#include "text.h"

#if MW_GC

#define ASK_EVERY 1024u /* steps between two looks for control-C */

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
	const uint64_t thousand = 1000;
	unsigned long n = 0;
	uint64_t nodes;

	if (!number_of(argc, argv, 1, "a number of nodes", &thousand, &nodes))
		return;
	graph_root = NULL;
	while (n < nodes && !(n % ASK_EVERY == 0 && keys_stop()) && graph_add(n + 1))
		n++;
	(void)mw_gc_collect(MW_COLLECT_SWEPT);
	if (!nodes)
		mw_print("The tree is dropped, and collected.\n");
	else
		mw_print("A tree of %lu typed objects%s; the one before is collected.\n", n,
			 n == nodes || keys_stop() ? "" : ", for more there is no memory");
}

/* ---- a load ---- */

#define PLACES 3000u
#define NODES_A_STEP 40u

/* What is allocated by hand now. */
static struct {
	void *at;
	size_t pages; /* 0: an object */
} held[PLACES];

static uint32_t dice(void)
{
	static uint32_t state = 0x9e3779b9u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void let_go(unsigned int place)
{
	if (held[place].pages)
		mw_pages_free(held[place].at, held[place].pages);
	else
		mw_free(held[place].at);
	held[place].at = NULL;
	held[place].pages = 0;
}

/* Small ones more often than large ones: as often from 8 to 15 bytes as from 16K to 32K. */
static void take(unsigned int place)
{
	uint32_t chance = dice() % 1000;

	if (chance < 40) {
		held[place].pages = 1 + dice() % 8;
		held[place].at = mw_pages_alloc(held[place].pages, MW_NORMAL);
	} else if (chance < 50) {
		held[place].at = mw_alloc(32768 + dice() % (256 << 10), MW_NORMAL);
	} else {
		uint32_t low = 8u << dice() % 12;

		held[place].at = mw_alloc(low + dice() % low, MW_NORMAL);
	}
	if (!held[place].at)
		held[place].pages = 0;
}

/* A list of typed objects in front of what there was, dropped every now and then. */
static bool add_nodes(unsigned int step)
{
	if (!(step % (2000 + step / 20 % 4000)))
		graph_root = NULL;
	for (unsigned int i = 0; i < NODES_A_STEP; i++) {
		struct graph_node *node = mw_new(&graph_node_type, MW_NORMAL);

		if (!node)
			return false;
		node->left = graph_root;
		graph_root = node;
	}
	return true;
}

void graph_forget(void)
{
	graph_root = NULL;
	memset(held, 0, sizeof(held));
}

static void let_all_go(void)
{
	unsigned int n = 0;

	for (unsigned int place = 0; place < PLACES; place++) {
		n += held[place].at != NULL;
		let_go(place);
	}
	mw_print("%u objects and runs of pages were freed.\n", n);
}

void graph_churn(size_t argc, char **argv)
{
	const uint64_t many = 20000;
	unsigned int step = 0;
	uint64_t steps;

	if (!number_of(argc, argv, 1, "a number of steps", &many, &steps))
		return;
	if (!steps) {
		let_all_go();
		return;
	}
	for (; step < steps && !(step % ASK_EVERY == 0 && keys_stop()) && add_nodes(step); step++) {
		unsigned int place = dice() % PLACES;

		if (held[place].at)
			let_go(place);
		else
			take(place);
	}
	mw_print("%u steps%s; churn 0 frees what is left of them.\n", step,
		 step == steps || keys_stop() ? "" : ", then there was no memory");
}

#endif
