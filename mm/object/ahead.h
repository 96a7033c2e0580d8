/* SPDX-License-Identifier: MIT */
/*
 * Objects that are zeroed before they are asked for, many side by side at once: for collected caches,
 * whose objects are always zero and are mostly dropped, not freed, so that free ones lie together.
 *
 * They are free objects as others are, with their free bits set; slot->ahead notes which are zero, as
 * slot->ready notes which are next, and only one of the two has any. Whoever fills the other one, or
 * makes the slot go elsewhere, forgets them.
 */
#ifndef MW_OBJECT_AHEAD_H
#define MW_OBJECT_AHEAD_H

#include "fast.h"

/* Nothing is zeroed ahead. Pinned, by @state; not any more when it returns. NULL: go the long way. */
void *mw_slot_more_ahead(struct mw_slot *slot, unsigned long state);

/* An object of zeroes; NULL: none is zeroed ahead. Pinned. */
static inline void *mw_slot_take_ahead(struct mw_slot *slot)
{
	unsigned long ahead = slot->ahead;
	uint32_t offset, i;
	char *object;

	if (mw_unlikely(!ahead))
		return NULL;
	i = mw_lowest_bit(ahead);
	offset = i * (uint32_t)slot->stride;
	slot->ahead = mw_without_bit(ahead, i);
	mw_set_word(slot->word, mw_without_bit(mw_word(slot->word), i));
	slot->allocs++;
	object = mw_keep(slot->base + offset);
	if (!object)
		__builtin_unreachable();
	return object;
}

#endif
