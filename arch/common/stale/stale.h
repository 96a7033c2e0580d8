/* SPDX-License-Identifier: MIT */
/*
 * Faults of pages that the tables allow, for machines that have them. The CPU had an older entry,
 * which it may keep even if that was an empty one; or it leaves the bits accessed and dirty to
 * software: pte_touched() sets those.
 */
#ifndef ARCH_COMMON_STALE_H
#define ARCH_COMMON_STALE_H

#include <stdbool.h>
#include <stdint.h>

/* Of a CPU: the last fault that the tables did not explain. */
struct stale {
	uintptr_t pc, address;
	unsigned int times; /* in a row */
};

/* Return: whether to try again what faulted: not for ever at one place. */
bool stale_again(struct stale *stale, uintptr_t pc, uintptr_t address, unsigned int access);

#endif
