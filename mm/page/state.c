// SPDX-License-Identifier: MIT
/* The room's state, its beginning and its end; and flat bitmaps. */
#include "stock.h"

struct mw_page mw_page = {
	.add = MW_LOCK_INIT(MW_RANK_REGISTRY),
	.heap = MW_LOCK_INIT(MW_RANK_HEAP),
	.pool_lock = MW_LOCK_INIT(MW_RANK_LEAF),
};

/* Its records belong to a descriptor, whatever span it is: others may look for them at any time. */
static void mw_span_first(void *record)
{
	struct mw_span *span = record;

	span->records = 0;
	span->sampled = 0;
	span->told = span->quiet = 0;
	mw_lock_init(&span->records_lock, MW_RANK_RECORDS);
}

/* With the first region, on one CPU. */
void mw_page_init(void)
{
	if (mw_page.ready)
		return;
	for (unsigned int z = 0; z < MW_ZONES; z++)
		mw_list_init(&mw_page.zone[z].growing);
	mw_list_init(&mw_page.leaving);
	mw_fixed_init(&mw_page.regions, sizeof(struct mw_region), MW_USE_RUNS, NULL);
	mw_fixed_init(&mw_page.spans, sizeof(struct mw_span), MW_USE_SPANS, mw_span_first);
	mw_stocks_open();
	mw_page.ready = true;
}

void mw_page_reset(void)
{
	size_t n = atomic_load_explicit(&mw_page.nr_regions, memory_order_relaxed);

	/* A root of terabytes is large; only what the regions reach is touched. */
	for (size_t i = 0; i < n; i++) {
		struct mw_region *region = mw_page.by_address[i];

		mw_map_forget(mw_region_first(region), region->end);
	}
	mw_stocks_reset();
	__builtin_memset((void *)&mw_page, 0, sizeof(mw_page));
	mw_lock_init(&mw_page.add, MW_RANK_REGISTRY);
	mw_lock_init(&mw_page.heap, MW_RANK_HEAP);
	mw_lock_init(&mw_page.pool_lock, MW_RANK_LEAF);
}

static unsigned long bits_word(const mw_atomic_t *bits, size_t i)
{
	return atomic_load_explicit((mw_atomic_t *)&bits[i], memory_order_relaxed);
}

void mw_bits_set(mw_atomic_t *bits, size_t from, size_t n, bool value)
{
	while (n) {
		size_t shift = from % MW_WORD_BITS, some = mw_min(n, MW_WORD_BITS - shift);
		unsigned long mask = ~0ul >> (MW_WORD_BITS - some) << shift;
		mw_atomic_t *word = &bits[from / MW_WORD_BITS];
		unsigned long now = atomic_load_explicit(word, memory_order_relaxed);

		atomic_store_explicit(word, value ? now | mask : now & ~mask, memory_order_relaxed);
		from += some;
		n -= some;
	}
}

/* The first bit of [@from, @to) that is @value, or @to. */
static size_t bits_find(const mw_atomic_t *bits, size_t from, size_t to, bool value)
{
	while (from < to) {
		unsigned long word = bits_word(bits, from / MW_WORD_BITS);

		word = (value ? word : ~word) >> (from % MW_WORD_BITS);
		if (word)
			return mw_min(from + mw_lowest_bit(word), to);
		from = (from / MW_WORD_BITS + 1) * MW_WORD_BITS;
	}
	return to;
}

bool mw_bits_run(const mw_atomic_t *bits, size_t from, size_t to, bool value, size_t *lo, size_t *hi)
{
	*lo = bits_find(bits, from, to, value);
	if (*lo >= to)
		return false;
	*hi = bits_find(bits, *lo, to, !value);
	return true;
}
