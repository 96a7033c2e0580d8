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
#include "inside.h"

#define MW_AID_ZONE 16
#define MW_AID_ZONE_BYTE 0xbb
#define MW_AID_FREE_BYTE 0x6b
#define MW_AID_LAST_BYTE                                                                           \
	0xa5 /* of a free object: a write by one too many is told from a free one */
#define MW_AID_NEW_BYTE 0x5a

/* The first of @n bytes at @at that is not @byte. A word at a time: objects are aligned to 8. */
static const void *mw_aid_differs(const unsigned char *at, size_t n, unsigned char byte)
{
	const unsigned char *end = at + n;
	unsigned long want = ~0ul / 255 * byte;

	while (at + sizeof(want) <= end && *(const unsigned long *)at == want)
		at += sizeof(want);
	while (at < end && *at == byte)
		at++;
	return at < end ? at : NULL;
}

static unsigned int mw_aid_flags(const struct mw_span *span)
{
	return span->debug->flags;
}

/* The first object of a span may begin with its page. */
static bool mw_aid_has_left(const struct mw_span *span, size_t index)
{
	return index || ((uintptr_t)span->base & (MW_PAGE_SIZE - 1));
}

static void mw_aid_fill_zones(const struct mw_span *span, size_t index)
{
	char *object = mw_span_object(span, index);

	if (!(mw_aid_flags(span) & MW_DEBUG_REDZONE))
		return;
	if (mw_aid_has_left(span, index))
		__builtin_memset(object - MW_AID_ZONE, MW_AID_ZONE_BYTE, MW_AID_ZONE);
	__builtin_memset(object + span->size, MW_AID_ZONE_BYTE, MW_AID_ZONE);
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

/* A constructed object is as its user left it: nothing may be written into it. */
static bool mw_aid_poisons(const struct mw_span *span)
{
	return (mw_aid_flags(span) & MW_DEBUG_POISON) && !span->cache->construct;
}

static void mw_aid_poison(const struct mw_span *span, size_t index)
{
	char *object = mw_span_object(span, index);

	if (!mw_aid_poisons(span))
		return;
	__builtin_memset(object, MW_AID_FREE_BYTE, span->size - 1);
	object[span->size - 1] = (char)MW_AID_LAST_BYTE;
}

const void *mw_aid_bad_poison(const struct mw_span *span, size_t index)
{
	const unsigned char *object = (const unsigned char *)mw_span_object(span, index);
	const void *bad;

	if (!mw_aid_poisons(span))
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
				      const void *bad)
{
	struct mw_report report = {
		.what = what,
		.address = bad,
		.object = mw_span_object(span, index),
		.size = span->size,
		.span = (const void *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE),
		.span_pages = span->pages,
		.cache = span->cache->name,
	};

	mw_aid_traces(span, index, &report);
	mw_misuse(&report);
}

static void mw_aid_check_zone(const struct mw_span *span, size_t index)
{
	const void *bad = mw_aid_bad_zone(span, index);

	if (mw_likely(!bad))
		return;
	mw_aid_report(MW_OVERRUN, span, index, bad);
	mw_aid_fill_zones(span, index);
}

/* The object's own surroundings, and with MW_DEBUG_CHECKS the neighbours' too. */
static void mw_aid_check_zones(const struct mw_span *span, size_t index)
{
	mw_aid_check_zone(span, index);
	if (!(mw_aid_flags(span) & MW_DEBUG_CHECKS))
		return;
	if (index)
		mw_aid_check_zone(span, index - 1);
	if (index + 1 < span->count)
		mw_aid_check_zone(span, index + 1);
}

void mw_aid_born(struct mw_span *span, size_t index)
{
	mw_aid_fill_zones(span, index);
	mw_aid_poison(span, index);
}

void mw_aid_begin(struct mw_span *span, size_t index, bool zero)
{
	const void *bad = mw_aid_bad_poison(span, index);
	void *object = mw_span_object(span, index);

	if (mw_unlikely(bad))
		mw_aid_report(MW_USE_AFTER_FREE, span, index, bad);
	mw_aid_check_zones(span, index);
	if (zero)
		__builtin_memset(object, 0, span->size);
	else if (mw_aid_poisons(span))
		__builtin_memset(object, MW_AID_NEW_BYTE, span->size);
	if (mw_aid_flags(span) & MW_DEBUG_TRACK)
		mw_trace_here(&span->debug->track[index].allocated);
}

void mw_aid_end(struct mw_span *span, size_t index)
{
	mw_aid_check_zones(span, index);
	if (mw_aid_flags(span) & MW_DEBUG_TRACK)
		mw_trace_here(&span->debug->track[index].freed);
	mw_aid_poison(span, index);
}
