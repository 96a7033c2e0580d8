// SPDX-License-Identifier: MIT
/* Records on sampled objects, so that their ends are heard of; and what the collector knows by now. */
#include "profile.h"

#if MW_WATCH && MW_GC

#define MOST_OWN ((1u << 28) - 1)

/*
 * While the world is stopped records are walked: what interrupts allocate then is counted without one.
 * Not inline, so that the stack of who allocates does not grow by what attaching takes.
 */
MW_NOINLINE bool mw_sample_attach(struct mw_bucket *bucket, void *object, uint64_t objects)
{
	struct mw_sample *sample;

	if (mw_up_marking() || atomic_load_explicit(&mw_profile.still, memory_order_relaxed) ||
	    objects > MOST_OWN)
		return false;
	sample = mw_record_new(MW_RECORD_SAMPLE);
	if (!sample)
		return false;
	sample->record.own = (uint32_t)objects & MOST_OWN;
	sample->bucket = bucket;
	if (mw_record_attach(object, &sample->record, false))
		return true;
	mw_record_free(MW_RECORD_SAMPLE, sample);
	return false;
}

unsigned long mw_profile_cycle(bool *swept)
{
	unsigned long cycle = mw_word(&mw_gc.cycles);

	*swept = mw_word(&mw_gc.swept_cycle) == cycle;
	return cycle;
}

#endif
