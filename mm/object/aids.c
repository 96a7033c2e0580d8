// SPDX-License-Identifier: MIT
/*
 * Debug aids of one object: red zones on both sides, poison while it is free, who had it last.
 *
 *	| zone | object, span->size bytes | zone | ... next, span->stride bytes on
 *
 * MW_AID_ZONE bytes on either side are an object's own; a first object that begins with its page has
 * none before it. The bytes are the caller's memory, not ours:
 * no structure lives there, and whatever is found in them is reported and put right.
 */
#include "aid.h"

/* The first of @n bytes at @at that is not @byte. */
static const void *mw_aid_differs(const unsigned char *at, size_t n, unsigned char byte)
{
	const unsigned char *end = at + n;

	while (at < end && *at == byte)
		at++;
	return at < end ? at : NULL;
}

static inline unsigned int mw_aid_flags(const struct mw_span *span)
{
	return span->debug->flags;
}

static void mw_aid_fill_zones(const struct mw_span *span, size_t index)
{
	char *object = mw_span_object(span, index);

	if (!(mw_aid_flags(span) & MW_DEBUG_REDZONE))
		return;
	if (mw_aid_has_left(span, index))
		mw_aid_fill(object - MW_AID_ZONE, MW_AID_ZONE, MW_AID_ALL(MW_AID_ZONE_BYTE));
	mw_aid_fill(object + span->size, MW_AID_ZONE, MW_AID_ALL(MW_AID_ZONE_BYTE));
}

const void *mw_aid_bad_zone(const struct mw_span *span, size_t index)
{
	const unsigned char *object = (const unsigned char *)mw_span_object(span, index);
	const void *bad = NULL;

	if (!(mw_aid_flags(span) & MW_DEBUG_REDZONE))
		return NULL;
	if (mw_aid_has_left(span, index))
		bad = mw_aid_differs(object - MW_AID_ZONE, MW_AID_ZONE, MW_AID_ZONE_BYTE);
	if (bad)
		return bad;
	return mw_aid_differs(object + span->size, MW_AID_ZONE, MW_AID_ZONE_BYTE);
}

const void *mw_aid_bad_poison(const struct mw_span *span, size_t index)
{
	const unsigned char *object = (const unsigned char *)mw_span_object(span, index);
	const void *bad;

	if (!(mw_aid_flags(span) & MW_DEBUG_POISON))
		return NULL;
	bad = mw_aid_differs(object, span->size - 1, MW_AID_FREE_BYTE);
	if (bad)
		return bad;
	return object[span->size - 1] == MW_AID_LAST_BYTE ? NULL : object + span->size - 1;
}

/* Once: a span on its way out loses its aids. */
static const struct mw_debug_span *mw_aid_of(const struct mw_span *span)
{
	return __atomic_load_n(&span->debug, __ATOMIC_RELAXED);
}

void mw_aid_traces(const struct mw_span *span, size_t index, struct mw_report *report)
{
	const struct mw_debug_span *debug = mw_aid_of(span);
	const struct mw_debug_track *track;

	if (!debug || !(debug->flags & MW_DEBUG_TRACK))
		return;
	track = &debug->track[index];
	if (track->allocated.depth || track->allocated.when)
		report->allocated = &track->allocated;
	if (track->freed.depth || track->freed.when)
		report->freed = &track->freed;
}

bool mw_span_faults(const struct mw_span *span)
{
	const struct mw_debug_span *debug = mw_aid_of(span);

	return debug && debug->flags & MW_DEBUG_FAULT;
}

const struct mw_trace *mw_span_allocated(const struct mw_span *span, size_t index)
{
	const struct mw_debug_span *debug = mw_aid_of(span);

	return debug && debug->flags & MW_DEBUG_TRACK ? &debug->track[index].allocated : NULL;
}

static MW_NOINLINE void mw_aid_report(enum mw_misuse what, const struct mw_span *span, size_t index,
				      const void *bad, uintptr_t site)
{
	struct mw_report report = {
		.what = what,
		.address = bad,
		.object = mw_span_object(span, index),
		.size = span->size,
		.span = (const void *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE),
		.span_pages = span->pages,
		.cache = span->cache->name,
		.here.pcs[0] = site,
	};

	if (what == MW_OVERRUN && (uintptr_t)bad < (uintptr_t)report.object)
		report.text = "bytes before the object were written";
	else if (what == MW_OVERRUN)
		report.text = "bytes behind the object were written";

	mw_aid_traces(span, index, &report);
	mw_misuse(&report);
}

static MW_NOINLINE void mw_aid_overrun(const struct mw_span *span, size_t index, uintptr_t site)
{
	mw_aid_report(MW_OVERRUN, span, index, mw_aid_bad_zone(span, index), site);
	mw_aid_fill_zones(span, index);
}

static inline void mw_aid_check_zone(const struct mw_span *span, size_t index, const char *object,
				     uintptr_t site)
{
	if (mw_unlikely(!mw_aid_zones_are_whole(span, index, object)))
		mw_aid_overrun(span, index, site);
}

/* The object's own surroundings, and with MW_DEBUG_CHECKS the neighbours' too. */
static inline void mw_aid_check_zones(const struct mw_span *span, size_t index, const char *object,
				      unsigned int flags, uintptr_t site)
{
	if (!(flags & MW_DEBUG_REDZONE))
		return;
	mw_aid_check_zone(span, index, object, site);
	if (!(flags & MW_DEBUG_CHECKS))
		return;
	if (index)
		mw_aid_check_zone(span, index - 1, object - span->stride, site);
	if (index + 1 < span->count)
		mw_aid_check_zone(span, index + 1, object + span->stride, site);
}

void mw_aid_born(struct mw_span *span, size_t index)
{
	mw_aid_fill_zones(span, index);
	if (mw_aid_flags(span) & MW_DEBUG_POISON)
		mw_aid_poison(mw_span_object(span, index), span->size);
}

void mw_aid_begin(struct mw_span *span, size_t index, bool zero, const struct mw_trace *here,
		  uintptr_t site)
{
	unsigned int flags = mw_aid_flags(span);
	char *object = mw_span_object(span, index);
	bool poisons = flags & MW_DEBUG_POISON;

	if (mw_unlikely(poisons && !mw_aid_poison_is_whole(object, span->size)))
		mw_aid_report(MW_USE_AFTER_FREE, span, index, mw_aid_bad_poison(span, index), site);
	mw_aid_check_zones(span, index, object, flags, site);
	if (zero)
		mw_zero(object, span->size);
	else if (poisons)
		mw_aid_fill(object, span->size, MW_AID_ALL(MW_AID_NEW_BYTE));
	if (!(flags & MW_DEBUG_TRACK))
		return;
	if (here)
		span->debug->track[index].allocated = *here;
	else
		mw_trace_here(&span->debug->track[index].allocated);
}

void mw_aid_end(struct mw_span *span, size_t index, uintptr_t site)
{
	unsigned int flags = mw_aid_flags(span);
	char *object = mw_span_object(span, index);

	mw_aid_check_zones(span, index, object, flags, site);
	if (flags & MW_DEBUG_TRACK)
		mw_trace_here(&span->debug->track[index].freed);
	if (flags & MW_DEBUG_POISON)
		mw_aid_poison(object, span->size);
}
