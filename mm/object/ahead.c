// SPDX-License-Identifier: MIT
/* See ahead.h. */
#include "ahead.h"
#include "inside.h"

/* Zeroed at once, pinned, at most: so that it is still in the cache when it is handed out. */
#define MW_AHEAD_BYTES ((size_t)4 << 10)

/* Strings of a machine's own begin slowly, or count each byte. @bytes: of whole objects. */
static inline void mw_zero_run(char *from, size_t bytes)
{
	uint64_t *at = (uint64_t *)from, *end = (uint64_t *)(from + bytes);

	for (; end - at >= 16; at += 16) {
		at[0] = at[1] = at[2] = at[3] = at[4] = at[5] = at[6] = at[7] = 0;
		at[8] = at[9] = at[10] = at[11] = at[12] = at[13] = at[14] = at[15] = 0;
	}
	for (; at < end; at++)
		at[0] = 0;
}

static void mw_zero_runs(char *base, size_t stride, unsigned long bits)
{
	while (bits) {
		unsigned int first = mw_lowest_bit(bits);
		unsigned long rest = ~(bits >> first);
		size_t n = rest ? mw_lowest_bit(rest) : MW_WORD_BITS;

		mw_zero_run(base + first * stride, n * stride);
		if (first + n >= MW_WORD_BITS)
			return;
		bits &= ~0ul << (first + n);
	}
}

/* What is next in the slot's word is zeroed, and noted as that. Pinned. */
static void mw_slot_zero_ahead(struct mw_slot *slot)
{
	size_t most = MW_AHEAD_BYTES >> mw_log2_up(slot->stride);
	unsigned long bits = slot->ready;

	if (MW_SHADOW || most < 2)
		return;
	/* That many from the first one, whether they are free or not. */
	if (bits && most < MW_WORD_BITS - mw_lowest_bit(bits))
		bits &= (1ul << (mw_lowest_bit(bits) + most)) - 1;
	mw_zero_runs(slot->base, slot->stride, bits);
	slot->ahead = bits;
	slot->ready = 0;
}

__attribute__((noinline)) void *mw_slot_more_ahead(struct mw_slot *slot, unsigned long state)
{
	void *object = mw_slot_take(slot);

	/* One that is to be sampled takes the long way. */
	if (!object && slot != &mw_slot_none && mw_slot_far(slot, 1))
		object = mw_slot_refill(mw_cpu_here(), slot);
	if (object) {
		mw_zero(object, slot->stride);
		mw_slot_zero_ahead(slot);
	}
	mw_port_unpin(state);
	return object;
}
