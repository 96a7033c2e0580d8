// SPDX-License-Identifier: MIT
/*
 * Debugging: freed pages are filled with a pattern, and looked at when they are taken again.
 *
 * A bit a page says that it was filled. It is set when the page becomes free and cleared when it is
 * taken or released, so that filling may begin and end at any moment. While it is on, stocks are
 * closed: every page goes through the heap.
 */
#include "stock.h"

#define POISON ((unsigned long)0x6b6b6b6b6b6b6b6bull)
#define WORDS_A_PAGE (MW_PAGE_SIZE / sizeof(unsigned long))

void mw_page_poison(bool on)
{
	mw_stocks_close();
	atomic_store_explicit(&mw_page.poison, on, memory_order_relaxed);
	mw_stocks_open();
}

/* The caller owns the pages, and no word of the page map says so any more. */
void mw_poison_fill(struct mw_region *region, size_t start, size_t n)
{
	unsigned long *word = mw_pn_address(start);

	for (size_t i = 0; i < n * WORDS_A_PAGE; i++)
		word[i] = POISON;
	atomic_store_explicit(&region->some_poison, true, memory_order_relaxed);
	mw_heap_bits(region->poison_bits, start - mw_region_first(region), n, true);
}

static const unsigned long *damage_in(const void *page)
{
	const unsigned long *word = page;

	for (size_t i = 0; i < WORDS_A_PAGE; i++) {
		if (word[i] != POISON)
			return &word[i];
	}
	return NULL;
}

static void report_damage(const void *page, const unsigned long *at)
{
	struct mw_report report = {
		.what = MW_USE_AFTER_FREE,
		.text = "a free page was written to",
		.address = at,
		.object = page,
		.size = MW_PAGE_SIZE,
		.span = page,
		.span_pages = 1,
	};

	mw_misuse(&report);
}

/* The caller has just taken the pages. No lock is held. */
void mw_poison_check(struct mw_region *region, size_t start, size_t n)
{
	size_t first = mw_region_first(region), at = start - first, end = at + n, lo, hi;

	while (mw_bits_run(region->poison_bits, at, end, true, &lo, &hi)) {
		mw_heap_bits(region->poison_bits, lo, hi - lo, false);
		for (at = lo; at < hi; at++) {
			const void *page = mw_pn_address(first + at);
			const unsigned long *damage = damage_in(page);

			if (damage)
				report_damage(page, damage);
		}
	}
}
