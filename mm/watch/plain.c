// SPDX-License-Identifier: MIT
/*
 * Without a collector. A profile knows what was made, not what lives: records are the collector's. A
 * dump has all objects, with the words that lead from one to another; but nobody knows types, stacks
 * or data. Where the port cannot stop the world, the caller sees to it that nobody else is inside
 * Marrow.
 */
#include "../base/grace.h"
#include "dump.h"
#include "profile.h"

#if MW_WATCH && !MW_GC

bool mw_sample_attach(struct mw_bucket *bucket, void *object, uint64_t objects)
{
	(void)bucket, (void)object, (void)objects;
	return false;
}

void mw_profile_look(void)
{
}

unsigned long mw_profile_cycle(bool *swept)
{
	*swept = true;
	return 0;
}

bool mw_dump_hold(void)
{
	return MW_PORT_LEVEL < 2 || mw_stop_world() < 0;
}

void mw_dump_release(void)
{
	mw_start_world();
}

void mw_dump_types(struct mw_dump *d)
{
	(void)d;
}

void mw_dump_typed(struct mw_dump *d, const struct mw_span *span, char *object)
{
	(void)span, (void)object;
	mw_stream_varint(&d->s, MW_DUMP_LAST);
}

void mw_dump_roots(struct mw_dump *d)
{
	/* The format has exactly one of each. */
	for (unsigned int kind = MW_DUMP_DATA; kind <= MW_DUMP_BSS; kind++) {
		mw_stream_varint(&d->s, kind);
		for (unsigned int i = 0; i < 3; i++)
			mw_stream_varint(&d->s, 0);
	}
}

void mw_dump_finalizers(struct mw_dump *d)
{
	(void)d;
}

void mw_dump_pauses(struct mw_dump *d)
{
	for (unsigned int i = 0; i < 2 + MW_PAUSES + 1; i++)
		mw_stream_varint(&d->s, 0);
}

void mw_dump_samples(struct mw_dump *d)
{
	(void)d;
}

void mw_dump_more_types(struct mw_dump *d)
{
	(void)d;
}

void mw_dump_more_records(struct mw_dump *d)
{
	(void)d;
}

#endif
