/* SPDX-License-Identifier: MIT */
/*
 * The fast paths, inline, for the calls of this room and for a library that has its own names for
 * them. Each is entered pinned and either does all that was asked, or nothing at all.
 */
#ifndef MW_OBJECT_FAST_H
#define MW_OBJECT_FAST_H

#include "object.h"

static inline struct mw_cpu *mw_cpu_fast(void)
{
	return atomic_load_explicit(&mw_cpus[mw_port_cpu()], memory_order_relaxed);
}

/*
 * What may be handed out of the slot's current word. The bits of objects that do not exist are masked
 * here, so that a free finds them set. An object that is free and has its remote bit was freed twice
 * at the same moment: it waits for the gather that says so.
 */
static inline unsigned long mw_slot_some(const struct mw_slot *slot)
{
	return mw_word(slot->word) & slot->mask & ~mw_word(slot->remote);
}

/*
 * An object of the slot's current word; NULL if it has none. Its bit of @ready is that of the word, set in both.
 *
 * What is handed out was noted in @ready when there was nothing left of what was noted before, and is
 * not asked of the word each time: else every allocation would wait for the page map, the span and the
 * index of the object freed last, and so would all that is done with it.
 */
static inline void *mw_slot_take(struct mw_slot *slot)
{
	unsigned long ready = slot->ready;
	uint32_t offset, i;
	char *object;

	if (mw_unlikely(!ready)) {
		if (slot->ahead)
			slot->ahead = 0;
		ready = mw_slot_some(slot);
		if (mw_unlikely(!ready))
			return NULL;
	}
	i = mw_lowest_bit(ready);
	mw_set_word(slot->word, mw_without_bit(mw_word(slot->word), i));
	slot->ready = mw_without_bit(ready, i);
	/* 32 bits hold the product, and there is no sign to extend. */
	offset = i * (uint32_t)slot->stride;
	slot->allocs++;
	object = mw_keep(slot->base + offset);
	mw_shadow_live(object, slot->stride);
	/* Callers that ask whether there is one need not ask again. */
	if (!object)
		__builtin_unreachable();
	return object;
}

/*
 * After mw_slot_take() found nothing: an object of another word, or span, that the slot has, if nothing else has
 * to be done first. NULL: go the general way. Pinned.
 */
void *mw_slot_more(struct mw_slot *slot);

/*
 * A live object of a size class, in a span of this CPU, gets another size, if the CPU has an object of it at hand.
 * NULL, and nothing done: go the general way. @size from 1 to MW_SMALL_MAX.
 */
void *mw_realloc_near(void *object, size_t size);

/*
 * @size is that of an object. A call costs more than small sizes do, which are multiples of 16, but for some of
 * typed caches: what is none of 16, 32 ... 256 has another bit set when it is less by 16.
 */
static inline void mw_zero(void *object, size_t size)
{
	uint64_t *at = object, *end = (uint64_t *)((char *)object + size);

	if (mw_unlikely((size - 16) & ~(size_t)0xf0)) {
		__builtin_memset(object, 0, size);
		return;
	}
	if (size & 16) {
		at[0] = at[1] = 0;
		at += 2;
		if (at == end)
			return;
	}
	do {
		at[0] = at[1] = at[2] = at[3] = 0;
		at += 4;
	} while (at != end);
}

/* It is the number of the CPU that may free into the span by setting a bit, or another number. */
static inline unsigned int mw_span_owner(const struct mw_span *span)
{
	return atomic_load_explicit(&((struct mw_span *)span)->owner, memory_order_relaxed);
}

static inline bool mw_span_owned_by(const struct mw_span *span, unsigned int cpu)
{
	return mw_span_owner(span) == cpu;
}

/* @object is the beginning of one in a span of this CPU, and live: free it. */
static inline bool mw_span_free_exact(struct mw_span *span, const void *object)
{
	unsigned long inside, bits;
	size_t index = mw_multiply((uintptr_t)object - (uintptr_t)span->base, &span->magic, &inside);
	mw_atomic_t *word;

	if (mw_unlikely(inside >= span->magic))
		return false;
	word = &span->free[index / MW_WORD_BITS];
	bits = mw_word(word);
	if (mw_unlikely(mw_set_bit(&bits, index)))
		return false;
	mw_shadow_dead(object, span->size, MW_SHADOW_FREE);
	mw_set_word(word, bits);
	return true;
}

/*
 * The span is another CPU's, or a large object's, by @owner as it was a moment ago; or this CPU has to look
 * twice. Pinned, by @state; not any more when it returns. @site: who frees, for reports.
 */
void mw_free_elsewhere(void *object, struct mw_span *span, struct mw_cache *cache,
		       unsigned long state, unsigned int owner, uintptr_t site);

#endif
