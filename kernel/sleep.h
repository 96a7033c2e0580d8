/* SPDX-License-Identifier: MIT */
/*
 * Who wants to be woken when: a pairing heap. Going to sleep costs a comparison, being woken before
 * the time or at it the logarithm of how many sleep, on average.
 *
 *	first child ← prev of its parent's; siblings are linked by next and prev
 *	nobody below is due before the one above
 */
#ifndef KERNEL_SLEEP_H
#define KERNEL_SLEEP_H

#include <stdint.h>

struct sleeper {
	uint64_t due;
	struct sleeper *child, *next;
	struct sleeper *prev; /* the sibling before, or the parent of a first child */
};

void sleep_insert(struct sleeper **root, struct sleeper *sleeper);
void sleep_remove(struct sleeper **root, struct sleeper *sleeper);

#endif
