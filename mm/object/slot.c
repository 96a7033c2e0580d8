// SPDX-License-Identifier: MIT
/*
 * What a CPU owns: for each cache a current span, spans that may have free objects, and spans that
 * had none when they were looked at. Everything here runs pinned, on the CPU that owns.
 *
 * A local free sets a bit and tells nobody. Spans that became empty are found when this CPU is about
 * to take more pages: each time it first looks at a few of all its spans, in turn. So memory does
 * not grow past empty spans, and neither frees nor allocations pay for counting. Those of caches that keep
 * their memory stay: see mw_cache_create().
 */
#include "../base/event.h"
#include "inside.h"

/* Owned spans that are looked at before a new one is taken. */
#define MW_REAP_STEP 8

static struct mw_span *mw_span_from_link(struct mw_list *link)
{
	return mw_container(link, struct mw_span, link);
}

static void mw_slot_unlink(struct mw_span *span)
{
	if (span->where == MW_WHERE_AVAIL || span->where == MW_WHERE_FULL)
		mw_list_remove(&span->link);
	span->where = MW_WHERE_NOWHERE;
}

static inline unsigned int mw_span_sampled(const struct mw_span *span)
{
	return atomic_load_explicit(&((struct mw_span *)span)->sampled, memory_order_relaxed);
}

/* The bits of a word that may be handed out as long as it is not looked at again. */
static inline unsigned long mw_slot_mask(struct mw_span *span, size_t w)
{
	unsigned long mask = mw_span_mask(span, w);
	unsigned int sampled = mw_span_sampled(span);

	if (mw_likely(!sampled || (sampled != w + 1 && sampled != MW_SAMPLED_MANY)))
		return mask;
	return mask & ~mw_up_samples_look(span, w);
}

bool mw_slot_leave_out(struct mw_span *span, size_t index)
{
	struct mw_slot *slot;

	if ((mw_owner(span) & ~MW_OWNER_FULL) != mw_port_cpu() || !span->cache ||
	    span->flags & (MW_SPAN_COLLECTED | MW_SPAN_SAFE))
		return false;
	slot = mw_cpu_here()->slot[span->cache->id];
	if (slot->span == span && slot->word == &span->free[index / MW_WORD_BITS]) {
		slot->mask &= ~mw_bit(index);
		slot->behind &= ~mw_bit(index);
	}
	return true;
}

/*
 * While there is a profile no more is handed out than is ready now: what is freed into the word
 * must not let a sample's turn pass unseen.
 */
static inline void mw_slot_hold(struct mw_slot *slot)
{
	slot->behind = slot->mask;
	slot->mask = 0;
	if (mw_unlikely(!mw_slot_far(slot, MW_WORD_BITS)))
		mw_up_profile_word(slot);
}

/* Note what of the slot's word, which is @w of the span, is ready. */
static inline void mw_slot_load(struct mw_slot *slot, struct mw_span *span, size_t w)
{
	unsigned long mask = mw_slot_mask(span, w);

	slot->ready = mw_word(slot->word) & mask & ~mw_word(slot->remote);
	slot->ahead = 0;
	slot->mask = mask;
	slot->behind = 0;
	if (mw_profiling())
		mw_slot_hold(slot);
}

static inline void mw_slot_set_word(struct mw_slot *slot, struct mw_span *span, size_t w)
{
	slot->word = &span->free[w];
	slot->remote = &span->remote[w];
	slot->base = mw_span_object(span, w * MW_WORD_BITS);
	mw_slot_load(slot, span, w);
	if (MW_GC && mw_unlikely(span->flags & MW_SPAN_COLLECTED))
		mw_up_allocated(mw_count_bits(mw_word(slot->word) & (slot->mask | slot->behind)) *
				span->stride);
}

/* What the profile held back can be had again, up to the next sample. An object of it, or NULL. */
static void *mw_slot_unhold(struct mw_slot *slot)
{
	mw_slot_load(slot, slot->span, (size_t)(slot->word - slot->span->free));
	return mw_slot_take(slot);
}

/* The same if the next sample is far: as if there were none, but for the way here. */
static inline void *mw_slot_again(struct mw_slot *slot)
{
	unsigned long some = mw_word(slot->word) & slot->behind & ~mw_word(slot->remote);

	if (!some || !mw_profiling() || !mw_slot_far(slot, MW_WORD_BITS))
		return NULL;
	slot->ready = some;
	return mw_slot_take(slot);
}

/* The next word with a free object, from the one after the current word around to that. */
static inline bool mw_slot_next_word(struct mw_slot *slot)
{
	struct mw_span *span = slot->span;
	const mw_atomic_t *free = span->free, *remote = span->remote;
	size_t words = span->words, w = (size_t)(slot->word - free);

	for (size_t left = words; left; left--) {
		unsigned long some;

		if (++w >= words)
			w = 0;
		some = mw_word(&free[w]) & ~mw_word(&remote[w]);
		/* Only the last word has bits that are no objects. */
		if (some && (w + 1 < words || (some & mw_span_mask(span, w)))) {
			mw_slot_set_word(slot, span, w);
			return true;
		}
	}
	return false;
}

void mw_slot_forget_current(struct mw_slot *slot)
{
	slot->span = NULL;
	slot->word = mw_slot_none.word;
	slot->remote = mw_slot_none.word;
	slot->ready = slot->ahead = slot->mask = slot->behind = 0;
}

static void mw_slot_set_current(struct mw_slot *slot, struct mw_span *span)
{
	mw_slot_unlink(span);
	span->where = MW_WHERE_CURRENT;
	slot->span = span;
	slot->word = &span->free[span->words - 1];
}

static void mw_slot_retire_current(struct mw_slot *slot)
{
	struct mw_span *span = slot->span;

	mw_set_owner(span, mw_port_cpu() | MW_OWNER_FULL);
	span->where = MW_WHERE_FULL;
	mw_list_push_front(&slot->full, &span->link);
	mw_slot_forget_current(slot);
}

void mw_slot_unfull(struct mw_cpu *cpu, struct mw_span *span)
{
	struct mw_slot *slot = cpu->slot[span->cache->id];

	mw_set_owner(span, cpu->number);
	mw_slot_unlink(span);
	span->where = MW_WHERE_AVAIL;
	mw_list_push_back(&slot->avail, &span->link);
}

void mw_slot_adopt(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span)
{
	mw_set_owner(span, cpu->number);
	span->where = MW_WHERE_AVAIL;
	mw_list_push_front(&slot->avail, &span->link);
	mw_list_push_back(&cpu->owned, &span->owned);
	cpu->owned_count++;
	slot->spans++;
}

static void mw_slot_let_go(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span)
{
	if (slot->span == span)
		mw_slot_forget_current(slot);
	mw_slot_unlink(span);
	mw_list_remove(&span->owned);
	cpu->owned_count--;
	slot->spans--;
}

size_t mw_slot_release(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span)
{
	size_t pages = span->pages;

	mw_slot_let_go(cpu, slot, span);
	mw_span_unmake(span);
	return pages;
}

void mw_slot_disown(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span)
{
	mw_slot_let_go(cpu, slot, span);
	mw_central_give(span);
}

/* An owned span with free objects, to be the current one; NULL: take a new one. */
static struct mw_span *mw_slot_find(struct mw_cpu *cpu, struct mw_slot *slot)
{
	struct mw_span *span;

	for (;;) {
		if (!mw_list_empty(&slot->avail))
			return mw_span_from_link(slot->avail.next);
		if (!mw_cpu_gather(cpu, MW_GATHER_STEP))
			break;
	}
	span = mw_central_take(slot->cache, cpu->number);
	if (span)
		mw_slot_adopt(cpu, slot, span);
	return span;
}

/* The same, or else a word of what others freed in the span. */
static bool mw_slot_any_word(struct mw_slot *slot)
{
	if (mw_slot_next_word(slot))
		return true;
	if (!mw_span_pending(slot->span))
		return false;
	slot->remote_frees += mw_span_gather(slot->span);
	return mw_slot_next_word(slot);
}

void *mw_slot_refill(struct mw_cpu *cpu, struct mw_slot *slot)
{
	if (mw_unlikely(slot->behind)) {
		void *object = mw_slot_unhold(slot);

		if (object)
			return object;
	}
	mw_event(MW_EVENT_REFILL, slot->cache->id, 0);
	if (slot->span) {
		if (mw_slot_any_word(slot))
			return mw_slot_take(slot);
		mw_slot_retire_current(slot);
	}
	for (;;) {
		struct mw_span *span = mw_slot_find(cpu, slot);

		if (!span) {
			mw_cpu_reap(cpu, MW_REAP_STEP, false);
			return NULL;
		}
		mw_slot_set_current(slot, span);
		if (mw_slot_any_word(slot))
			return mw_slot_take(slot);
		mw_slot_retire_current(slot);
	}
}

/* Nothing is to be done before an object of the slot is handed out but to find one. */
static inline bool mw_slot_is_plain(const struct mw_slot *slot)
{
	return slot->span && mw_slot_far(slot, 1) && !mw_word(&slot->cache->debug) &&
	       (!MW_GC || !(slot->cache->span_flags & (MW_SPAN_COLLECTED | MW_SPAN_SAFE)));
}

__attribute__((noinline)) void *mw_slot_more(struct mw_slot *slot)
{
	void *object = slot->behind ? mw_slot_again(slot) : NULL;

	if (mw_unlikely(object))
		return object;
	if (mw_unlikely(!mw_slot_is_plain(slot)))
		return NULL;
	if (!mw_slot_next_word(slot)) {
		if (mw_list_empty(&slot->avail) || mw_span_pending(slot->span))
			return NULL;
		mw_slot_retire_current(slot);
		mw_slot_set_current(slot, mw_span_from_link(slot->avail.next));
		if (!mw_slot_next_word(slot))
			return NULL;
	}
	mw_event(MW_EVENT_REFILL, slot->cache->id, 0);
	return mw_slot_take(slot);
}

bool mw_slot_reapable(struct mw_span *span, bool current_too)
{
	if (span->where != MW_WHERE_AVAIL && !(current_too && span->where == MW_WHERE_CURRENT))
		return false;
	if (!mw_span_all_free(span) || mw_span_held(span))
		return false;
	if (mw_span_sampled(span))
		(void)mw_up_samples_look(span, SIZE_MAX);
	return !__atomic_load_n(&span->records, __ATOMIC_RELAXED);
}

size_t mw_cpu_reap(struct mw_cpu *cpu, size_t looks, bool current_too)
{
	size_t pages = 0;

	for (looks = mw_min(looks, cpu->owned_count); looks; looks--) {
		struct mw_span *span = mw_container(cpu->owned.next, struct mw_span, owned);

		mw_list_remove(&span->owned);
		mw_list_push_back(&cpu->owned, &span->owned);
		if (span->cache->keeps || !mw_slot_reapable(span, current_too))
			continue;
		pages += mw_slot_release(cpu, cpu->slot[span->cache->id], span);
	}
	return pages;
}
