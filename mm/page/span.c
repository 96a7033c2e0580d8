// SPDX-License-Identifier: MIT
/* Spans: runs with a descriptor, found from every one of their pages. */
#include "../base/event.h"
#include "page.h"
#include "up.h"

/* Words of the page map written in one go, pinned. */
#define WORDS_AT_ONCE 1024

/* Pages of one leaf, below their region's frontier, are @span's from now on. Heap lock held. */
static void write_in_leaf(size_t first, size_t n, struct mw_span *span)
{
	uintptr_t address = (uintptr_t)mw_pn_address(first);
	const struct mw_map_leaf *leaf = mw_map_leaf_in(mw_map_table(address), address);
	mw_span_word *at =
		atomic_load_explicit(&((struct mw_map_leaf *)leaf)->spans, memory_order_relaxed);

	MW_DASSERT(mw_lock_held(&mw_page.heap) && at != mw_map_nothing.spans);
	at += first % MW_LEAF_PAGES;
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&at[i], span, memory_order_release);
}

static void write_words(size_t first, size_t n, struct mw_span *span)
{
	while (n) {
		size_t left = mw_min(n, WORDS_AT_ONCE);
		unsigned long state = mw_lock(&mw_page.heap);

		n -= left;
		while (left) {
			size_t some = mw_min(left, MW_LEAF_PAGES - first % MW_LEAF_PAGES);

			write_in_leaf(first, some, span);
			first += some;
			left -= some;
		}
		mw_unlock(&mw_page.heap, state);
	}
}

/* One step: *@first is where @span begins, or its region is NULL. Return: false: there is no such run. */
static bool take_step(const struct mw_want *want, struct mw_span *span, size_t *first)
{
	unsigned long state = mw_lock(&mw_page.heap);
	struct mw_region *region;
	size_t all = 0;
	bool grew;

	region = mw_heap_take(want, first, &grew);
	if (region) {
		all = mw_page.objects += want->n;
		/* Who looks at all descriptors may take this one for what it was: mw_span_readable(). */
		__atomic_store_n(&span->base, mw_pn_address(*first), __ATOMIC_RELAXED);
		__atomic_store_n(&span->pages, want->n, __ATOMIC_RELAXED);
		atomic_store_explicit(&span->in_use, true, memory_order_release);
	} else if (!grew) {
		mw_page.failures++;
	}
	span->region = region;
	mw_unlock(&mw_page.heap, state);
	if (region)
		mw_event(MW_EVENT_SPAN, want->n, all);
	return region || grew;
}

/* The port has lost pages of what was taken for @span; @in_use: it has others. */
static void lose(struct mw_span *span, size_t first, size_t n, bool in_use)
{
	unsigned long state = mw_lock(&mw_page.heap);

	atomic_store_explicit(&span->in_use, in_use, memory_order_relaxed);
	mw_heap_lose(first, n, &mw_page.objects);
	mw_unlock(&mw_page.heap, state);
}

struct mw_span *mw_span_alloc(size_t pages, size_t align, mw_flags_t flags)
{
	struct mw_want want = { .n = pages, .flags = flags };
	struct mw_span *span;
	size_t first;

	want.align = mw_max(align >> MW_PAGE_SHIFT, 1);
	if (!pages || !mw_page.ready)
		return NULL;
	do
		span = mw_fixed_alloc(&mw_page.spans);
	while (!span && mw_meta_refill());
	if (!span)
		return NULL;
	while (take_step(&want, span, &first)) {
		if (!span->region)
			continue;
		if (mw_heap_prepare(span->region, first, pages, flags & MW_ZERO, &span->dirty)) {
			mw_shadow_live(span->base, pages << MW_PAGE_SHIFT);
			return span;
		}
		lose(span, first, pages, false);
	}
	mw_fixed_free(&mw_page.spans, span);
	return NULL;
}

void mw_span_publish(struct mw_span *span)
{
	write_words(mw_pn(span->base), span->pages, span);
}

/* @n pages of the span from @first on go back; @in_use: others stay. */
static void give_back(struct mw_span *span, size_t first, size_t n, bool in_use)
{
	unsigned long state;
	size_t all;

	write_words(first, n, (struct mw_span *)&mw_span_none);
	if (mw_unlikely(mw_region_flag(&mw_page.poison)))
		mw_poison_fill(span->region, first, n);
	mw_heap_dirty(span->region, first, n);
	mw_shadow_dead(mw_pn_address(first), n << MW_PAGE_SHIFT, MW_SHADOW_PAGES);
	state = mw_lock(&mw_page.heap);
	atomic_store_explicit(&span->in_use, in_use, memory_order_relaxed);
	all = mw_page.objects -= n;
	mw_heap_return(span->region, first, n);
	mw_unlock(&mw_page.heap, state);
	mw_event(MW_EVENT_SPAN_BACK, n, all);
}

bool mw_span_extend(struct mw_span *span, size_t more, bool zero)
{
	const struct mw_want want = { .n = more, .align = 1, .flags = MW_NORMAL };
	size_t first = mw_pn(span->base) + span->pages, all = 0;
	bool taken, grew;

	do {
		unsigned long state = mw_lock(&mw_page.heap);

		grew = false;
		taken = mw_region_of(first) == span->region && mw_heap_take_at(first, &want, &grew);
		if (taken)
			all = mw_page.objects += more;
		mw_unlock(&mw_page.heap, state);
	} while (!taken && grew);
	if (!taken)
		return false;
	mw_event(MW_EVENT_SPAN, more, all);
	if (!mw_heap_prepare(span->region, first, more, zero, NULL)) {
		lose(span, first, more, true);
		return false;
	}
	mw_shadow_live(mw_pn_address(first), more << MW_PAGE_SHIFT);
	write_words(first, more, span);
	return true;
}

void mw_span_trim(struct mw_span *span, size_t less)
{
	give_back(span, mw_pn(span->base) + span->pages, less, true);
}

void mw_span_free(struct mw_span *span)
{
	MW_DASSERT(atomic_load_explicit(&span->in_use, memory_order_relaxed));
	give_back(span, mw_pn(span->base), span->pages, false);
	mw_fixed_free(&mw_page.spans, span);
}

struct mw_span *mw_span_next_raw(struct mw_span_cursor *cursor)
{
	return mw_page.ready ? mw_fixed_next(&mw_page.spans, &cursor->at) : NULL;
}
