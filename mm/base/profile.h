/* SPDX-License-Identifier: MIT */
/* The switch of the allocation profile of mm/watch; its calls are in mm/object/up.h. */
#ifndef MW_BASE_PROFILE_H
#define MW_BASE_PROFILE_H

#include "base.h"

#if MW_WATCH
/* Bytes from one sample to the next on average; 0: off. */
extern mw_atomic_t mw_profile_every;
/*
 * Counts changes of that: once before it is set and once after, so that who saw the old rate, or
 * none, is never taken for somebody of the era that begins with the new one.
 */
extern mw_atomic_t mw_profile_era;

static inline bool mw_profiling(void)
{
	return mw_unlikely(atomic_load_explicit(&mw_profile_every, memory_order_relaxed));
}

static inline unsigned long mw_profile_now(void)
{
	return atomic_load_explicit(&mw_profile_era, memory_order_relaxed);
}
#else
static inline bool mw_profiling(void)
{
	return false;
}

static inline unsigned long mw_profile_now(void)
{
	return 0;
}
#endif

#endif
