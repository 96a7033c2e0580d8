/* SPDX-License-Identifier: MIT */
/* A conservative mark, depth first, with a stack of objects: the same for both prototypes but for the bits. */
#ifndef LAYOUTS_MARK_H
#define LAYOUTS_MARK_H

#include "heap.h"

struct mark_item {
	void **from;
	size_t words;
};
extern struct mark_item lay_mark_stack[];
extern size_t lay_mark_top;

static inline void mark_push(void *object, size_t bytes)
{
	lay_mark_stack[lay_mark_top].from = object;
	lay_mark_stack[lay_mark_top++].words = bytes / sizeof(void *);
}

#endif
