// SPDX-License-Identifier: MIT
#include "sleep.h"
#include <stddef.h>

/* Neither has siblings; both may be NULL. */
static struct sleeper *meld(struct sleeper *a, struct sleeper *b)
{
	struct sleeper *top = a, *below = b;

	if (!a || !b)
		return a ? a : b;
	if (b->due < a->due) {
		top = b;
		below = a;
	}
	below->prev = top;
	below->next = top->child;
	if (below->next)
		below->next->prev = below;
	top->child = below;
	return top;
}

static struct sleeper *take_first(struct sleeper **list)
{
	struct sleeper *first = *list;

	if (first) {
		*list = first->next;
		first->next = first->prev = NULL;
	}
	return first;
}

/* All of a list of siblings: in pairs from the first to the last, then those from the last one on. */
static struct sleeper *meld_all(struct sleeper *list)
{
	struct sleeper *pairs = NULL, *all = NULL, *pair;

	while (list) {
		struct sleeper *a = take_first(&list), *b = take_first(&list);

		pair = meld(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	while ((pair = take_first(&pairs)))
		all = meld(all, pair);
	return all;
}

void sleep_insert(struct sleeper **root, struct sleeper *sleeper)
{
	sleeper->child = sleeper->next = sleeper->prev = NULL;
	*root = meld(*root, sleeper);
}

static void unlink_sibling(struct sleeper *sleeper)
{
	if (sleeper->prev->child == sleeper)
		sleeper->prev->child = sleeper->next;
	else
		sleeper->prev->next = sleeper->next;
	if (sleeper->next)
		sleeper->next->prev = sleeper->prev;
}

/* Its links are no references any more: a thread, which is a root, would lead to others that ended since. */
void sleep_remove(struct sleeper **root, struct sleeper *sleeper)
{
	struct sleeper *children = meld_all(sleeper->child);

	if (sleeper == *root) {
		*root = children;
	} else {
		unlink_sibling(sleeper);
		*root = meld(*root, children);
	}
	sleeper->child = sleeper->next = sleeper->prev = NULL;
}
