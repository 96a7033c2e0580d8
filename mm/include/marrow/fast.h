/* SPDX-License-Identifier: MIT */
/* Allocations whose size is known when compiling: no look at the size, none at the flags. GNU C. */
#ifndef MARROW_FAST_H
#define MARROW_FAST_H

#include <marrow/mm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest size, and the flags, that mw_alloc_fine() is for. */
#define MW_FAST_MAX 1024u
#define MW_FAST_FLAGS (MW_ATOMIC | MW_RESERVE)

/* mw_alloc() of @step times 8 bytes, from 1 to MW_FAST_MAX / 8; @flags: some of MW_FAST_FLAGS */
void *mw_alloc_fine(size_t step, mw_flags_t flags);

/** mw_alloc_fast - mw_alloc(), in fewer instructions if @size and @flags are constants */
static inline __attribute__((always_inline)) void *mw_alloc_fast(size_t size, mw_flags_t flags)
{
	if (__builtin_constant_p(size) && __builtin_constant_p(flags) && size &&
	    size <= MW_FAST_MAX && !(flags & ~MW_FAST_FLAGS))
		return mw_alloc_fine((size + 7) / 8, flags);
	return mw_alloc(size, flags);
}

#ifdef __cplusplus
}
#endif

#endif
