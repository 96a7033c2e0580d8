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

_Static_assert(sizeof(void *) != 8 ||
		       offsetof(struct mw_span, bits) % MW_CACHE_LINE == MW_CACHE_LINE - 16,
	       "the halves of span->bits are in two cache lines");

#define MW_LINE_WORDS (MW_CACHE_LINE / sizeof(unsigned long))

/*
 * Remote words have cache lines of their own: else every free from elsewhere would take away the line
 * that the owner allocates from. Return: words before them.
 */
static size_t mw_bitmap_own_words(size_t words, unsigned int bitmaps)
{
	if (words * bitmaps <= MW_SPAN_BITS)
		return MW_SPAN_BITS / 2;
	return mw_round_up(words * (bitmaps - 1), MW_LINE_WORDS);
}

static unsigned int mw_bitmap_pool(size_t words)
{
	return words <= 8 ? 0 : mw_log2_up(words) - 3;
}

bool mw_span_bitmaps(struct mw_span *span, unsigned int bitmaps)
{
	bool tail = (char *)span->base + span->count * span->stride <
		    (char *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE) +
			    (span->pages << MW_PAGE_SHIFT);
	size_t words = (span->count + tail + MW_WORD_BITS - 1) / MW_WORD_BITS;
	size_t own = mw_bitmap_own_words(words, bitmaps);
	mw_atomic_t *bits = span->bits;

	if (words * bitmaps > MW_SPAN_BITS) {
		unsigned int pool = mw_bitmap_pool(own + words);

		MW_DASSERT(pool < MW_LEN(mw_object.bitmaps));
		bits = mw_fixed_alloc(&mw_object.bitmaps[pool]);
		if (!bits)
			return false;
	}
	span->words = (unsigned int)words;
	span->free = bits;
	span->remote = bits + own;
	span->mark = bitmaps > 2 ? bits + words : NULL;
	span->scanned = NULL;
	if (bitmaps > 3)
		span->scanned = bits == span->bits ? &bits[MW_SPAN_BITS - 1] : bits + 2 * words;
	for (size_t w = 0; w < words; w++) {
		mw_set_word(&span->free[w], ~0ul);
		mw_set_word(&span->remote[w], 0);
		if (span->mark)
			mw_set_word(&span->mark[w], 0);
		if (span->scanned)
			mw_set_word(&span->scanned[w], 0);
	}
	return true;
}

void mw_span_drop_bitmaps(struct mw_span *span)
{
	size_t own = (size_t)(span->remote - span->free);

	if (span->free == span->bits)
		return;
	mw_fixed_free(&mw_object.bitmaps[mw_bitmap_pool(own + span->words)], span->free);
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
	__atomic_store_n(&span->debug, NULL, __ATOMIC_RELAXED);
	span->align = 0;
	span->class = (unsigned char)(cache->builtin ? cache->id % MW_MAX_CLASSES : MW_CLASS_NONE);
	mw_span_set_magic(span);
	mw_list_init(&span->link);
	mw_list_init(&span->owned);
	mw_span_slow_frees(span, mw_span_always_slow(span));
	mw_set_owner(span, MW_OWNER_GONE);
}

struct mw_span *mw_span_make(struct mw_cache *cache, size_t pages, mw_flags_t flags)
{
	struct mw_span *span;

	mw_stock_yield(pages);
	span = mw_span_alloc(pages, 0, cache->flags | (flags & MW_RESERVE));
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
	mw_shadow_dead(span->base, span->pages << MW_PAGE_SHIFT, MW_SHADOW_FREE);
	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_born(span);
	return span;
}

void mw_span_unmake(struct mw_span *span)
{
	unsigned long state;

	MW_DASSERT(span->where == MW_WHERE_NOWHERE);
	mw_set_owner(span, MW_OWNER_GONE);
	mw_freers_gone(span);
	/* Pinned, whoever the caller is: it takes locks that interrupt handlers take. */
	state = mw_port_pin();
	if (mw_unlikely(atomic_load_explicit(&span->sampled, memory_order_relaxed)))
		(void)mw_up_samples_look(span, SIZE_MAX);
	mw_port_unpin(state);
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
