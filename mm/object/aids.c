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

#define MW_AID_ALL(byte) (UINT64_C(0x0101010101010101) * (byte))
/* The last 8 bytes of a free object. */
#define MW_AID_LAST_SHIFT (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 56 : 0)
#define MW_AID_LAST                                                                                \
	(MW_AID_ALL(MW_AID_FREE_BYTE) ^ (uint64_t)(MW_AID_FREE_BYTE ^ MW_AID_LAST_BYTE)            \
						<< MW_AID_LAST_SHIFT)

/*
 * Objects and zones are so aligned, and of so many bytes, that all is looked at 8 bytes at a time. In line:
 * for most of them a call would be most of the cost.
 */
static inline bool mw_aid_are(const void *at, size_t n, uint64_t want)
{
	const uint64_t *words = at, *end = words + n / 32 * 4;

	for (; words < end; words += 4) {
		if (words[0] != want || words[1] != want || words[2] != want || words[3] != want)
			return false;
	}
	if (n & 16) {
		if (words[0] != want || words[1] != want)
			return false;
		words += 2;
	}
	return !(n & 8) || words[0] == want;
}

static inline void mw_aid_fill(void *at, size_t n, uint64_t value)
{
	uint64_t *words = at, *end = words + n / 32 * 4;

	for (; words < end; words += 4)
		words[0] = words[1] = words[2] = words[3] = value;
	if (n & 16) {
		words[0] = words[1] = value;
		words += 2;
	}
	if (n & 8)
		words[0] = value;
}

/* The first of @n bytes at @at that is not @byte. */
static const void *mw_aid_differs(const unsigned char *at, size_t n, unsigned char byte)
{
	const unsigned char *end = at + n;

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
		mw_aid_fill(object - MW_AID_ZONE, MW_AID_ZONE, MW_AID_ALL(MW_AID_ZONE_BYTE));
	mw_aid_fill(object + span->size, MW_AID_ZONE, MW_AID_ALL(MW_AID_ZONE_BYTE));
}

static inline bool mw_aid_zone_is_whole(const void *at)
{
	const uint64_t *words = at;

	return words[0] == MW_AID_ALL(MW_AID_ZONE_BYTE) && words[1] == MW_AID_ALL(MW_AID_ZONE_BYTE);
}

static inline bool mw_aid_zones_are_whole(const struct mw_span *span, size_t index, const char *object)
{
	return (!mw_aid_has_left(span, index) || mw_aid_zone_is_whole(object - MW_AID_ZONE)) &&
	       mw_aid_zone_is_whole(object + span->size);
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
static inline bool mw_aid_poisons(const struct mw_span *span)
{
	return (mw_aid_flags(span) & MW_DEBUG_POISON) && !span->cache->construct;
}

static inline void mw_aid_poison(char *object, size_t size)
{
	mw_aid_fill(object, size - sizeof(uint64_t), MW_AID_ALL(MW_AID_FREE_BYTE));
	*(uint64_t *)(object + size - sizeof(uint64_t)) = MW_AID_LAST;
}

static inline bool mw_aid_poison_is_whole(const char *object, size_t size)
{
	return mw_aid_are(object, size - sizeof(uint64_t), MW_AID_ALL(MW_AID_FREE_BYTE)) &&
	       *(const uint64_t *)(object + size - sizeof(uint64_t)) == MW_AID_LAST;
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

static MW_NOINLINE void mw_aid_overrun(const struct mw_span *span, size_t index)
{
	mw_aid_report(MW_OVERRUN, span, index, mw_aid_bad_zone(span, index));
	mw_aid_fill_zones(span, index);
}

static inline void mw_aid_check_zone(const struct mw_span *span, size_t index, const char *object)
{
	if (mw_unlikely(!mw_aid_zones_are_whole(span, index, object)))
		mw_aid_overrun(span, index);
}

/* The object's own surroundings, and with MW_DEBUG_CHECKS the neighbours' too. */
static inline void mw_aid_check_zones(const struct mw_span *span, size_t index, const char *object,
				      unsigned int flags)
{
	if (!(flags & MW_DEBUG_REDZONE))
		return;
	mw_aid_check_zone(span, index, object);
	if (!(flags & MW_DEBUG_CHECKS))
		return;
	if (index)
		mw_aid_check_zone(span, index - 1, object - span->stride);
	if (index + 1 < span->count)
		mw_aid_check_zone(span, index + 1, object + span->stride);
}

void mw_aid_born(struct mw_span *span, size_t index)
{
	mw_aid_fill_zones(span, index);
	if (mw_aid_poisons(span))
		mw_aid_poison(mw_span_object(span, index), span->size);
}

void mw_aid_begin(struct mw_span *span, size_t index, bool zero)
{
	unsigned int flags = mw_aid_flags(span);
	char *object = mw_span_object(span, index);
	bool poisons = mw_aid_poisons(span);

	if (mw_unlikely(poisons && !mw_aid_poison_is_whole(object, span->size)))
		mw_aid_report(MW_USE_AFTER_FREE, span, index, mw_aid_bad_poison(span, index));
	mw_aid_check_zones(span, index, object, flags);
	if (zero)
		mw_zero(object, span->size);
	else if (poisons)
		mw_aid_fill(object, span->size, MW_AID_ALL(MW_AID_NEW_BYTE));
	if (flags & MW_DEBUG_TRACK)
		mw_trace_here(&span->debug->track[index].allocated);
}

void mw_aid_end(struct mw_span *span, size_t index)
{
	unsigned int flags = mw_aid_flags(span);
	char *object = mw_span_object(span, index);

	mw_aid_check_zones(span, index, object, flags);
	if (flags & MW_DEBUG_TRACK)
		mw_trace_here(&span->debug->track[index].freed);
	if (mw_aid_poisons(span))
		mw_aid_poison(object, span->size);
}
