// SPDX-License-Identifier: MIT
/* Records on sampled objects, so that their ends are heard of; and what the collector knows by now. */
#include "profile.h"

#if MW_WATCH && MW_GC

#define MOST_OWN ((1u << 28) - 1)

static bool attach_as(enum mw_record_kind kind, struct mw_bucket *bucket, void *object,
		      uint64_t objects)
{
	struct mw_sample *sample = mw_record_new(kind);

	if (!sample)
		return false;
	sample->record.own = (uint32_t)objects & MOST_OWN;
	sample->bucket = bucket;
	if (mw_record_attach(object, &sample->record, false))
		return true;
	mw_record_free(kind, sample);
	return false;
}

/*
 * While the world is stopped records are walked: what interrupts allocate then is counted without one.
 * Not inline, so that the stack of who allocates does not grow by what attaching takes.
 */
MW_NOINLINE bool mw_sample_attach(struct mw_bucket *bucket, void *object, uint64_t objects)
{
	const struct mw_span *span = mw_span_of(object);

	if (mw_up_marking() || atomic_load_explicit(&mw_profile.still, memory_order_relaxed) ||
	    objects > MOST_OWN || !span)
		return false;
	/* If every allocation is a sample, every free is to be told anyway. */
	if (span->cache && !(span->flags & MW_SPAN_COLLECTED) && mw_word(&mw_profile_every) > 1 &&
	    attach_as(MW_RECORD_QUIET, bucket, object, objects))
		return true;
	return attach_as(MW_RECORD_SAMPLE, bucket, object, objects);
}

void mw_profile_look(void)
{
	mw_samples_look();
}

unsigned long mw_profile_cycle(bool *swept)
{
	unsigned long cycle = mw_word(&mw_gc.cycles);

	*swept = mw_word(&mw_gc.swept_cycle) == cycle;
	return cycle;
}

#endif
