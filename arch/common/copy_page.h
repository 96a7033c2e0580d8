/* SPDX-License-Identifier: MIT */
/* For regs.h of a machine that has no shorter way. */
#ifndef ARCH_COMMON_COPY_PAGE_H
#define ARCH_COMMON_COPY_PAGE_H

#include <stdint.h>

/* ARCH_PAGE_SIZE bytes. */
static inline void arch_copy_page(void *to, const void *from)
{
	const uint64_t *source = from;
	uint64_t *target = to;

	for (unsigned int i = 0; i < 512; i += 4) {
		target[i] = source[i];
		target[i + 1] = source[i + 1];
		target[i + 2] = source[i + 2];
		target[i + 3] = source[i + 3];
	}
}

#endif
