/* SPDX-License-Identifier: MIT */
/*
 * What debug aids do with the bytes of one object, inline: for most objects a call would be most of the cost.
 * See aids.c for what lies where.
 */
#ifndef MW_OBJECT_AID_H
#define MW_OBJECT_AID_H

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
 * Objects and zones are so aligned, and of so many bytes, that all is looked at 8 bytes at a time: @n is a multiple
 * of that, and not 0.
 */
static inline void mw_aid_fill(void *at, size_t n, uint64_t value)
{
	uint64_t *words = at, *end = (uint64_t *)((char *)at + n);

	if (mw_unlikely(n & 8))
		*words++ = value;
	if (n & 16) {
		words[0] = words[1] = value;
		words += 2;
	}
	for (; words != end; words += 4)
		words[0] = words[1] = words[2] = words[3] = value;
}

/* The first object of a span may begin with its page. */
static inline bool mw_aid_has_left(const struct mw_span *span, size_t index)
{
	return index || ((uintptr_t)span->base & (MW_PAGE_SIZE - 1));
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

static inline void mw_aid_poison(char *object, size_t size)
{
	mw_aid_fill(object, size, MW_AID_ALL(MW_AID_FREE_BYTE));
	*(uint64_t *)(object + size - sizeof(uint64_t)) = MW_AID_LAST;
}

static inline bool mw_aid_poison_is_whole(const char *object, size_t size)
{
	const uint64_t *words = (const uint64_t *)object;
	const uint64_t *last = (const uint64_t *)(object + size) - 1;

	while (words != last) {
		if (*words++ != MW_AID_ALL(MW_AID_FREE_BYTE))
			return false;
	}
	return *last == MW_AID_LAST;
}

#endif
