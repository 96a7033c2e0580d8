// SPDX-License-Identifier: MIT
/* The room's structures against what object.h says of them. Nobody else is inside. */
#include "inside.h"

static bool mw_check_bitmaps(const struct mw_span *span)
{
	for (size_t w = 0; w < span->words; w++) {
		unsigned long free = mw_word(&span->free[w]), remote = mw_word(&span->remote[w]);

		MW_CHECK(span, !(~free & ~mw_span_mask(span, w)));
		MW_CHECK(span, !(free & remote));
	}
	return true;
}

static unsigned int mw_span_holder(const struct mw_span *span)
{
	return atomic_load_explicit(&((struct mw_span *)span)->holder, memory_order_relaxed);
}

bool mw_span_check(const struct mw_span *span)
{
	unsigned int owner = mw_owner(span);
	size_t last = span->count - 1;

	MW_CHECK(span, span->count && span->words);
	MW_CHECK(span, span->base + span->count * span->stride <=
			       (char *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE) +
				       (span->pages << MW_PAGE_SHIFT));
	MW_CHECK(span, mw_span_index(span, mw_span_object(span, last)) == last);
	MW_CHECK(span, mw_check_bitmaps(span));
	if (!span->cache) {
		MW_CHECK(span, owner == MW_OWNER_LARGE && span->count == 1);
		MW_CHECK(span, (mw_span_holder(span) != 0) == !(mw_word(&span->free[0]) & 1));
		return true;
	}
	MW_CHECK(span, span->cache->live && span->cache->size == span->size);
	/* A remote free that nobody was told of would never be gathered. */
	for (size_t w = 0; w < span->words && !span->debug && !(span->flags & MW_SPAN_SAFE); w++)
		MW_CHECK(span, !mw_word(&span->remote[w]) || mw_span_pending((struct mw_span *)span));
	if (span->debug) {
		MW_CHECK(span, owner == MW_OWNER_DEBUG && span->where == MW_WHERE_DEBUG);
		return mw_debug_check_span(span);
	}
	switch (span->where) {
	case MW_WHERE_CURRENT:
	case MW_WHERE_AVAIL:
		MW_CHECK(span, owner < MW_MAX_CPUS);
		break;
	case MW_WHERE_FULL:
		MW_CHECK(span, (owner & MW_OWNER_FULL) && (owner & ~MW_OWNER_FULL) < MW_MAX_CPUS);
		break;
	case MW_WHERE_CENTRAL_SOME:
		MW_CHECK(span, owner == MW_OWNER_NONE && mw_span_some_free(span));
		break;
	default:
		MW_CHECK(span, span->where == MW_WHERE_CENTRAL_FULL && owner == MW_OWNER_NONE);
	}
	return true;
}

static bool mw_check_list(const struct mw_list *list, enum mw_where where, size_t *count)
{
	struct mw_list *it;

	mw_list_for_each (it, list) {
		struct mw_span *span = mw_container(it, struct mw_span, link);

		MW_CHECK(span, it->next->prev == it && it->prev->next == it);
		MW_CHECK(span, span->where == where);
		++*count;
	}
	return true;
}

/* What the profile leaves out stays so until the word is loaded again, whatever became of the sample. */
static bool mw_mask_ok(const struct mw_slot *slot, unsigned long all)
{
	if (mw_profile_now())
		return !(slot->mask && slot->behind) && !((slot->mask | slot->behind) & ~all);
	return slot->mask == all && !slot->behind;
}

static bool mw_slot_check(const struct mw_slot *slot)
{
	size_t count = slot->span != NULL;

	if (!mw_check_list(&slot->avail, MW_WHERE_AVAIL, &count) ||
	    !mw_check_list(&slot->full, MW_WHERE_FULL, &count))
		return false;
	MW_CHECK(slot, count == slot->spans);
	if (slot->span) {
		size_t w = (size_t)(slot->word - slot->span->free);

		MW_CHECK(slot, slot->span->where == MW_WHERE_CURRENT);
		MW_CHECK(slot,
			 w < slot->span->words && mw_mask_ok(slot, mw_span_mask(slot->span, w)));
		MW_CHECK(slot, !((slot->ready | slot->ahead) &
				 ~(mw_word(slot->word) & mw_span_mask(slot->span, w))));
		MW_CHECK(slot, !(slot->ready && slot->ahead));
		MW_CHECK(slot, slot->base == mw_span_object(slot->span, w * MW_WORD_BITS));
	} else {
		MW_CHECK(slot, !slot->mask && !slot->behind && !slot->ready && !slot->ahead);
	}
	return true;
}

static bool mw_cpu_check(const struct mw_cpu *cpu)
{
	size_t owned = 0, stock = 0, spans = 0;
	struct mw_list *it;

	mw_list_for_each (it, &cpu->owned)
		owned++;
	MW_CHECK(cpu, owned == cpu->owned_count);
	for (unsigned int id = 0; id < MW_MAX_CACHES; id++) {
		if (cpu->slot[id] == &mw_slot_none)
			continue;
		if (!mw_slot_check(cpu->slot[id]))
			return false;
		spans += cpu->slot[id]->spans;
	}
	MW_CHECK(cpu, spans == owned);
	for (unsigned int i = 0; i < MW_STOCK_BINS; i++) {
		for (it = cpu->stock.bin[i]; it; it = it->next)
			stock += mw_container(it, struct mw_span, link)->pages;
	}
	MW_CHECK(cpu, stock == cpu->stock.pages);
	return true;
}

static bool mw_cache_check(const struct mw_cache *cache)
{
	size_t count = 0;

	return mw_check_list(&cache->some, MW_WHERE_CENTRAL_SOME, &count) &&
	       mw_check_list(&cache->full, MW_WHERE_CENTRAL_FULL, &count);
}

static bool mw_caches_check(void)
{
	struct mw_cache_cursor cursor = { 0 };
	const struct mw_cache *cache;
	bool ok = true;

	while (ok && (cache = mw_cache_next(&cursor)))
		ok = mw_cache_check(cache);
	mw_cache_leave(&cursor);
	return ok;
}

bool mw_object_check(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		if (!mw_span_check(span))
			return false;
	}
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire);

		if (cpu && !mw_cpu_check(cpu))
			return false;
	}
	return mw_caches_check();
}
