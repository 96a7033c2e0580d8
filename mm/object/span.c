// SPDX-License-Identifier: MIT
/* Spans of a cache: pages with bitmaps, from the page heap and back. */
#include "inside.h"

/*
 * With M = ceil(2^W / stride), offset * M has the quotient in its upper word, and a lower word below M
 * exactly if the remainder is 0, as long as offset * stride does not exceed 2^W: true of spans of
 * 128 KiB and strides of 32 KiB even if W is 32. A single object has M = 1: only offset 0 is exact.
 */
void mw_span_set_magic(struct mw_span *span)
{
	if (span->count == 1)
		span->magic = 1;
	else
		span->magic = ~0ul / span->stride + 1;
}

static size_t mw_bitmap_pool(size_t words)
{
	return words <= 8 ? 0 : mw_log2_up(words) - 3;
}

bool mw_span_bitmaps(struct mw_span *span, unsigned int bitmaps)
{
	bool tail = (char *)span->base + span->count * span->stride <
		    (char *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE) +
			    (span->pages << MW_PAGE_SHIFT);
	size_t words = (span->count + tail + MW_WORD_BITS - 1) / MW_WORD_BITS;
	mw_atomic_t *bits = span->bits;

	if (words * bitmaps > MW_LEN(span->bits)) {
		size_t pool = mw_bitmap_pool(words * bitmaps);

		MW_DASSERT(pool < MW_LEN(mw_object.bitmaps));
		bits = mw_fixed_alloc(&mw_object.bitmaps[pool]);
		if (!bits)
			return false;
	}
	span->words = (unsigned int)words;
	span->free = bits;
	span->remote = bits + words;
	span->mark = bitmaps > 2 ? bits + 2 * words : NULL;
	span->scanned = bitmaps > 3 ? bits + 3 * words : NULL;
	for (size_t w = 0; w < words * bitmaps; w++)
		mw_set_word(&bits[w], w < words ? ~0ul : 0);
	return true;
}

void mw_span_drop_bitmaps(struct mw_span *span)
{
	size_t bitmaps = span->scanned ? 4 : span->mark ? 3 : 2;

	if (span->free == span->bits)
		return;
	mw_fixed_free(&mw_object.bitmaps[mw_bitmap_pool(span->words * bitmaps)], span->free);
}

void mw_span_fill(struct mw_span *span, struct mw_cache *cache, size_t stride)
{
	__atomic_store_n(&span->cache, cache, __ATOMIC_RELAXED);
	span->size = cache->size;
	span->stride = stride;
	span->count = (unsigned int)((span->pages << MW_PAGE_SHIFT) / stride);
	span->flags = cache->span_flags;
	span->type = cache->type;
	span->where = MW_WHERE_NOWHERE;
	span->debug = NULL;
	span->align = 0;
	mw_span_set_magic(span);
	mw_list_init(&span->link);
	mw_list_init(&span->owned);
	mw_span_slow_frees(span, mw_span_always_slow(span));
	mw_set_owner(span, MW_OWNER_GONE);
}

struct mw_span *mw_span_make(struct mw_cache *cache, size_t pages, mw_flags_t flags)
{
	struct mw_span *span = mw_span_alloc(pages, 0, cache->flags | (flags & MW_RESERVE));

	if (!span)
		return NULL;
	mw_span_fill(span, cache, cache->stride);
	if (!mw_span_bitmaps(span, mw_span_bitmap_count(span->flags))) {
		mw_set_owner(span, MW_OWNER_GONE);
		mw_span_free(span);
		return NULL;
	}
	mw_cache_count_span(cache, span, true);
	if (cache->construct) {
		for (size_t i = 0; i < span->count; i++)
			cache->construct(mw_span_object(span, i));
	}
	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_born(span);
	return span;
}

void mw_span_unmake(struct mw_span *span)
{
	MW_DASSERT(span->where == MW_WHERE_NOWHERE);
	mw_set_owner(span, MW_OWNER_GONE);
	if (mw_unlikely(mw_up_span_left(span)))
		return;
	if (span->cache)
		mw_cache_count_span(span->cache, span, false);
	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_gone(span);
	mw_span_drop_bitmaps(span);
	mw_span_free(span);
}

bool mw_span_all_free(const struct mw_span *span)
{
	for (size_t w = 0; w < span->words; w++) {
		if (mw_word(&span->free[w]) != ~0ul)
			return false;
	}
	return true;
}

bool mw_span_some_free(const struct mw_span *span)
{
	for (size_t w = 0; w < span->words; w++) {
		if (mw_word(&span->free[w]) & mw_span_mask(span, w))
			return true;
	}
	return false;
}

size_t mw_span_live_count(const struct mw_span *span)
{
	size_t live = 0;

	for (size_t w = 0; w < span->words; w++)
		live += mw_count_bits(mw_span_live_word(span, w));
	return live;
}
