// SPDX-License-Identifier: MIT
// Public headers in C++: types are defined, and objects of them made, as in C. scripts/check/headers.py compiles it.
#include <marrow/fast.h>
#include <marrow/gc.h>
#include <marrow/linux.h>
#include <marrow/mempool.h>
#include <marrow/watch.h>

struct leaf {
	long value;
};

struct node {
	struct node *next;
	struct leaf *leaves[4];
	uintptr_t words[2];
	uintptr_t tag;
	void *tagged;
};

static struct mw_type leaf_type = MW_TYPE_PLAIN(struct leaf);
static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTRS(struct node, leaves), MW_WORDS(struct node, words),
		MW_TAGGED(struct node, tag, 1, 1));

void use(void)
{
	struct node *node = static_cast<struct node *>(mw_new(&node_type, MW_ZERO));
	struct leaf *leaf = static_cast<struct leaf *>(mw_new(&leaf_type, 0));

	if (!node || !leaf)
		mw_port_panic("no memory");
	node->leaves[0] = leaf;
	mw_free(node);
}
