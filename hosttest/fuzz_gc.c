// SPDX-License-Identifier: MIT
/*
 * A graph of collected objects, changed at random, against a model of its edges: what the roots reach must
 * live with its contents, whatever was collected; and what hangs on objects (finalizers, cleanups,
 * weak references, tags) must say so at the right time. Addresses in the model are complemented, and lie where
 * no root is shown, so that the model keeps nothing alive. What dies is not asked for: the fuzzer's
 * own stack may hold any address.
 */
#include <string.h>
#include "fuzz.h"
#include "../mm/gc/gc.h"

#define BYTES ((size_t)32 << 20)
#define NODES 64
#define EDGES 3
#define ROOTS 8

struct node {
	struct node *edge[EDGES];
	uintptr_t id, junk;
	struct node *more[];
};

static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTRS(struct node, edge), MW_FLEX_PTRS(struct node, more));

struct shadow {
	uintptr_t hidden; /* ~address; 0: there is none */
	uintptr_t id;
	signed char edge[EDGES]; /* index, or -1 */
	bool noscan, reached, finalizer, pinned;
	uintptr_t weak; /* ~struct mw_weak *, or 0 */
	uintptr_t cleanup; /* ~struct mw_cleanup *, or 0 */
	uintptr_t tag;
};

struct model {
	struct shadow node[NODES];
	signed char root[ROOTS];
	uintptr_t next_id;
	unsigned char ran[65536]; /* calls, by id */
};

static struct model *model;
static struct node **root;

static struct node *address(const struct shadow *shadow)
{
	return (struct node *)~shadow->hidden;
}

static void mark(size_t i)
{
	unsigned char stack[NODES];
	size_t n = 0;

	if (model->node[i].reached)
		return;
	model->node[i].reached = true;
	stack[n++] = (unsigned char)i;
	while (n) {
		struct shadow *shadow = &model->node[stack[--n]];

		for (size_t e = 0; e < EDGES && !shadow->noscan; e++) {
			int to = shadow->edge[e];

			if (to < 0 || model->node[to].reached)
				continue;
			model->node[to].reached = true;
			stack[n++] = (unsigned char)to;
		}
	}
}

static void forget(struct shadow *shadow)
{
	if (shadow->weak)
		mw_weak_free((struct mw_weak *)~shadow->weak);
	memset(shadow, 0, sizeof(*shadow));
	for (size_t e = 0; e < EDGES; e++)
		shadow->edge[e] = -1;
}

/* What nothing reaches is no longer in the model; edges to it come from its like only. */
static void reach(void)
{
	for (size_t i = 0; i < NODES; i++)
		model->node[i].reached = false;
	for (size_t i = 0; i < ROOTS; i++)
		if (model->root[i] >= 0)
			mark((size_t)model->root[i]);
	for (size_t i = 0; i < NODES; i++)
		if (model->node[i].hidden && model->node[i].pinned)
			mark(i);
	for (size_t i = 0; i < NODES; i++)
		if (model->node[i].hidden && !model->node[i].reached)
			forget(&model->node[i]);
}

static void look(void)
{
	for (size_t i = 0; i < NODES; i++) {
		const struct shadow *shadow = &model->node[i];
		const struct node *node = address(shadow);

		if (!shadow->hidden)
			continue;
		FUZZ_NEED(mw_gc_is_object(node));
		FUZZ_NEED(node->id == shadow->id && node->junk == ~shadow->id);
		for (size_t e = 0; e < EDGES && !shadow->noscan; e++)
			FUZZ_NEED(node->edge[e] ==
				  (shadow->edge[e] < 0 ? NULL
						       : address(&model->node[shadow->edge[e]])));
		FUZZ_NEED(!shadow->weak || mw_weak_get((struct mw_weak *)~shadow->weak) == node);
		FUZZ_NEED(mw_tag_get(node) == shadow->tag);
		FUZZ_NEED(!model->ran[shadow->id % sizeof(model->ran)]);
	}
}

static void on_death(void *object, void *arg)
{
	(void)object;
	FUZZ_NEED(model->ran[(uintptr_t)arg % sizeof(model->ran)]++ == 0);
}

static void on_cleanup(void *arg)
{
	on_death(NULL, arg);
}

static void make(struct fuzz *fuzz, size_t i)
{
	struct shadow *shadow = &model->node[i];
	unsigned int kind = fuzz_byte(fuzz), r = fuzz_below(fuzz, ROOTS);
	size_t more = fuzz_size(fuzz, 12);
	struct node *node;

	if (kind & 1)
		node = mw_new_flex(&node_type, more / 8 * 8, MW_NORMAL);
	else if (kind & 2)
		node = mw_alloc(sizeof(*node) + more, MW_NOSCAN | MW_ZERO);
	else
		node = mw_alloc(sizeof(*node) + more * (kind & 4 ? 64 : 1), MW_COLLECTED | MW_ZERO);
	if (!node)
		return;
	FUZZ_NEED(!node->edge[0] && !node->junk);
	shadow->hidden = ~(uintptr_t)node;
	shadow->id = node->id = ++model->next_id;
	node->junk = ~node->id;
	shadow->noscan = !(kind & 1) && kind & 2;
	model->root[r] = (signed char)i;
	root[r] = node;
}

static void link_(struct fuzz *fuzz, size_t i)
{
	unsigned int e = fuzz_below(fuzz, EDGES);
	int to = (int)fuzz_below(fuzz, NODES + 16);

	if (model->node[i].noscan)
		return;
	if (to >= NODES || !model->node[to].hidden)
		to = -1;
	model->node[i].edge[e] = (signed char)to;
	address(&model->node[i])->edge[e] = to < 0 ? NULL : address(&model->node[to]);
}

static void hang(struct fuzz *fuzz, size_t i)
{
	struct shadow *shadow = &model->node[i];
	struct node *node = address(shadow);
	void *id = (void *)(shadow->id % sizeof(model->ran));

	switch (fuzz_below(fuzz, 7)) {
	case 0: /* one call an object: the model counts by object */
		if (!shadow->cleanup && mw_finalizer_set(node, on_death, id))
			shadow->finalizer = true;
		break;
	case 1:
		FUZZ_NEED(mw_finalizer_clear(node) == shadow->finalizer);
		shadow->finalizer = false;
		break;
	case 2:
		if (!shadow->finalizer && !shadow->cleanup)
			shadow->cleanup = ~(uintptr_t)mw_cleanup_add(node, on_cleanup, id);
		break;
	case 3:
		if (shadow->cleanup)
			FUZZ_NEED(mw_cleanup_cancel((struct mw_cleanup *)~shadow->cleanup));
		shadow->cleanup = 0;
		break;
	case 4:
		if (!shadow->weak)
			shadow->weak = ~(uintptr_t)mw_weak_new(node);
		break;
	case 5:
		shadow->tag = fuzz_byte(fuzz);
		FUZZ_NEED(mw_tag_set(node, shadow->tag));
		break;
	default:
		FUZZ_NEED(shadow->pinned ? mw_unpin(node) : mw_pin(node, "fuzz"));
		shadow->pinned = !shadow->pinned;
	}
}

static void collect(struct fuzz *fuzz)
{
	unsigned int how = fuzz_byte(fuzz);

	reach();
	FUZZ_NEED(mw_gc_collect(how & 1 ? MW_COLLECT_SWEPT : MW_COLLECT_MARKED));
	look();
	if (how & 2)
		(void)mw_finalizers_run(how >> 4);
	if (how & 4)
		FUZZ_NEED(mw_gc_check());
	if (how & 8)
		FUZZ_NEED(mw_heap_check());
}

static void one(struct fuzz *fuzz)
{
	unsigned int op = fuzz_below(fuzz, 16);
	size_t i = fuzz_below(fuzz, NODES);
	unsigned int r = (unsigned int)i % ROOTS;

	if (op == 15) {
		collect(fuzz);
	} else if (op == 14) {
		model->root[r] = -1;
		root[r] = NULL;
		reach();
	} else if (!model->node[i].hidden) {
		make(fuzz, i);
		reach();
	} else if (op < 9) {
		link_(fuzz, i);
		reach();
	} else {
		hang(fuzz, i);
		reach();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size, 0 };

	if (!model) {
		model = fuzz_memory(sizeof(*model));
		root = fuzz_memory(MW_PAGE_SIZE);
	}
	fuzz_heap(BYTES);
	memset(model, 0, sizeof(*model));
	memset(root, 0, MW_PAGE_SIZE);
	for (size_t i = 0; i < NODES; i++)
		forget(&model->node[i]);
	memset(model->root, -1, sizeof(model->root));
	FUZZ_NEED(mw_gc_root_add("fuzz", root, root + ROOTS, NULL));
	mw_gc_debug(MW_GC_DEBUG_POISON | MW_GC_DEBUG_POINTERS, fuzz_byte(&fuzz) & 1 ? 7 : 0);
	while (fuzz_more(&fuzz))
		one(&fuzz);
	collect(&fuzz);
	FUZZ_NEED(mw_heap_check());
	return 0;
}
