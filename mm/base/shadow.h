/* SPDX-License-Identifier: MIT */
/*
 * What of the heap's memory may be touched now, for a kernel that checks addresses (gcc's
 * -fsanitize=kernel-address, or what you have). Without MW_SHADOW_H all of this is nothing.
 *
 * MW_SHADOW_H names a header that defines MW_SHADOW_GIVEN and the two functions. They are called
 * from any context, with any lock held, and must not call back. The same bytes are never declared
 * by two CPUs at once: who declares is about to hand them out, or has just got them back.
 *
 * mm/ itself is built without checks: it reads and fills memory that nobody else may touch.
 */
#ifndef MW_BASE_SHADOW_H
#define MW_BASE_SHADOW_H

#include "base.h"

enum mw_shadow {
	MW_SHADOW_FREE, /* a free object, or what is left over in a span */
	MW_SHADOW_ZONE, /* a red zone, or an object's bytes behind those that were asked for */
	MW_SHADOW_PAGES, /* free pages */
};

#ifdef MW_SHADOW_GIVEN
#define MW_SHADOW 1
#else
#define MW_SHADOW 0

/* [@at, @at + @size) is somebody's; @at is a multiple of 8. */
static inline void mw_shadow_live(const void *at, size_t size)
{
	(void)at, (void)size;
}

/* Nobody may touch it. @at and @size are multiples of 8, or @at + @size is. */
static inline void mw_shadow_dead(const void *at, size_t size, enum mw_shadow why)
{
	(void)at, (void)size, (void)why;
}
#endif

#endif
