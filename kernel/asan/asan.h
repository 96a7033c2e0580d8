/* SPDX-License-Identifier: MIT */
/* What the files of this folder share; shadow.h tells how it works. */
#ifndef KERNEL_ASAN_ASAN_H
#define KERNEL_ASAN_ASAN_H

#include "../kernel.h"

/* As given to gcc: 0xffff800000000000, where the direct map begins, has its byte at ASAN_START. */
#define ASAN_OFFSET 0xdffffc0000000000ul
#define ASAN_START 0xffffec0000000000ul
#define ASAN_END 0xfffffc0000000000ul

/* enum mw_shadow's, in the same order, then those that gcc writes. */
#define ASAN_FREE 0xfbu
#define ASAN_ZONE 0xfcu
#define ASAN_PAGES 0xfdu
#define ASAN_STACK_LEFT 0xf1u
#define ASAN_STACK_MIDDLE 0xf2u
#define ASAN_STACK_RIGHT 0xf3u
#define ASAN_SCOPE 0xf8u

static inline uint8_t *asan_shadow(uintptr_t at)
{
	return (uint8_t *)((at >> 3) + ASAN_OFFSET);
}

/* map.c */
extern bool asan_on;
bool asan_is_real(uintptr_t at); /* its shadow can be written */

/* report.c: the byte at @bad must not be touched; it is the first such one of the access. */
void asan_report(uintptr_t at, size_t size, bool write, uintptr_t bad);

/* runtime.c */
void asan_clear(uintptr_t lo, uintptr_t hi); /* all of it may be touched */

#endif
