/* SPDX-License-Identifier: MIT */
/*
 * Address checking (make kernel-asan): for MW_SHADOW_H.
 *
 * Every 8 bytes of the direct map and of the image have a shadow byte: 0, all may be touched; 1 to 7, so
 * many from the first one on; ASAN_*, none, and why. gcc calls runtime.c before each access of
 * kernel/, arch/ and the tests, and writes the shadow of their stacks itself. mm/ says what of the
 * heap is live. Where there is no memory the shadow is one page of zeros, that nobody writes.
 */
#ifndef KERNEL_ASAN_SHADOW_H
#define KERNEL_ASAN_SHADOW_H

#include <stddef.h>

#define MW_SHADOW_GIVEN

void mw_shadow_live(const void *at, size_t size);
void mw_shadow_dead(const void *at, size_t size, unsigned int why);

#endif
