/* SPDX-License-Identifier: MIT */
/* The switch of the allocation profile of mm/watch; its calls are in mm/object/up.h. */
#ifndef MW_BASE_PROFILE_H
#define MW_BASE_PROFILE_H

#include "base.h"

#if MW_WATCH
/* Bytes from one sample to the next on average; 0: off. */
extern mw_atomic_t mw_profile_every;
/* How often that was set. */
extern mw_atomic_t mw_profile_era;

static inline bool mw_profiling(void)
{
	return mw_unlikely(atomic_load_explicit(&mw_profile_every, memory_order_relaxed));
}
static inline bool mw_profile_used(void)
{
	return atomic_load_explicit(&mw_profile_era, memory_order_relaxed);
}
#else
static inline bool mw_profiling(void)
{
	return false;
}

static inline bool mw_profile_used(void)
{
	return false;
}
#endif

#endif
