/* SPDX-License-Identifier: MIT */
/* Mistakes made on purpose: with the heap (poke_heap.c), with the machine (poke.c). */
#ifndef KERNEL_POKE_H
#define KERNEL_POKE_H

#include <stddef.h>

struct mistake {
	const char *name, *what;
	void (*make)(void *arg);
};

/* The n-th mistake with the heap; NULL: there are not so many. */
const struct mistake *poke_heap_mistake(size_t n);
/* Make a mistake, whose exception is caught and said. */
void poke_try(void (*make)(void *arg), void *arg);
void poke_no_memory(void); /* a line: for those that need something to make them with */

#endif
