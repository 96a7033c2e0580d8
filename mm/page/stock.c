// SPDX-License-Identifier: MIT
/* Filling and emptying stocks: see stock.h. */
#include "stock.h"
#include "up.h"

struct mw_stock mw_stocks[MW_MAX_CPUS] = {
	[0 ... MW_MAX_CPUS - 1] = { .lock = MW_LOCK_INIT(MW_RANK_STOCK) },
};

/* Up to @most runs as from mw_pages_alloc(), in one go. */
static size_t take_batch(unsigned int order, mw_flags_t flags, size_t *pns, size_t most)
{
	struct mw_want want = { (size_t)1 << order, (size_t)1 << order, 0, flags };
	struct mw_region *regions[MW_STOCK_BATCH];
	unsigned long state = mw_lock(&mw_page.heap);
	size_t n = 0, ready = 0;

	while (n < most) {
		regions[n] = mw_heap_take(&want, &pns[n]);
		if (!regions[n])
			break;
		mw_map_write(pns[n], mw_map_word_of(MW_TAG_RAW, regions[n]->id, want.n));
		mw_page.raw += want.n;
		n++;
	}
	mw_unlock(&mw_page.heap, state);
	for (size_t i = 0; i < n; i++) {
		if (mw_heap_prepare(regions[i], pns[i], want.n, false, NULL))
			pns[ready++] = pns[i];
	}
	return ready;
}

static void give_batch(unsigned int order, const size_t *pns, size_t n)
{
	unsigned long state;

	if (!n)
		return;
	state = mw_lock(&mw_page.heap);
	for (size_t i = 0; i < n; i++) {
		unsigned int id = mw_map_id(mw_map_read(pns[i]));

		mw_map_write(pns[i], 0);
		mw_page.raw -= (size_t)1 << order;
		mw_heap_return(mw_region_by_id(id), pns[i], (size_t)1 << order);
	}
	mw_unlock(&mw_page.heap, state);
}

/* The last @n runs leave @stock; its lock is held. */
static void pop(struct mw_stock *stock, unsigned int order, size_t *pns, size_t n)
{
	size_t left = mw_stock_count(stock, order) - n;

	for (size_t i = 0; i < n; i++)
		pns[i] = mw_stock_slots(stock, order)[left + i];
	atomic_store_explicit(&stock->n[order], left, memory_order_relaxed);
}

MW_NOINLINE void *mw_stock_refill(unsigned int order, mw_flags_t flags)
{
	size_t pns[MW_STOCK_BATCH], kept = 1;
	size_t n = take_batch(order, flags, pns, order ? 1 : MW_STOCK_BATCH);
	struct mw_stock *stock;
	unsigned long state;

	if (!n)
		return NULL;
	state = mw_port_pin();
	stock = &mw_stocks[mw_port_cpu()];
	mw_lock_pinned(&stock->lock);
	mw_stock_count_event(&stock->allocs);
	for (size_t have = mw_stock_count(stock, order); kept < n && !stock->closed; kept++, have++) {
		uintptr_t word = mw_map_read(pns[kept]);

		if (have == mw_stock_room(order) || !mw_stock_fits(word, order))
			break;
		mw_map_write(pns[kept], word | MW_RAW_STOCKED);
		mw_stock_slots(stock, order)[have] = pns[kept];
		atomic_store_explicit(&stock->n[order], have + 1, memory_order_relaxed);
	}
	mw_unlock(&stock->lock, state);
	give_batch(order, pns + kept, n - kept);
	return mw_pn_address(pns[0]);
}

MW_NOINLINE void mw_stock_spill(unsigned int order)
{
	size_t pns[MW_STOCK_SINGLES], n;
	unsigned long state = mw_port_pin();
	struct mw_stock *stock = &mw_stocks[mw_port_cpu()];

	mw_lock_pinned(&stock->lock);
	n = mw_min(mw_stock_count(stock, order), order ? 1 : MW_STOCK_BATCH);
	pop(stock, order, pns, n);
	mw_unlock(&stock->lock, state);
	give_batch(order, pns, n);
}

size_t mw_stock_drain(struct mw_stock *stock, bool close)
{
	size_t pns[MW_STOCK_SINGLES], pages = 0;

	for (unsigned int order = 0; order < MW_STOCK_ORDERS; order++) {
		unsigned long state = mw_lock(&stock->lock);
		size_t n = mw_stock_count(stock, order);

		stock->closed = close;
		pop(stock, order, pns, n);
		mw_unlock(&stock->lock, state);
		give_batch(order, pns, n);
		pages += n << order;
	}
	return pages;
}

static size_t stocked(const struct mw_stock *stock)
{
	size_t pages = 0;

	for (unsigned int order = 0; order < MW_STOCK_ORDERS; order++)
		pages += mw_stock_count(stock, order) << order;
	return pages;
}

size_t mw_stock_drain_all(void)
{
	size_t pages = 0;

	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		if (stocked(&mw_stocks[cpu]))
			pages += mw_stock_drain(&mw_stocks[cpu], mw_stocks[cpu].closed);
	}
	return pages;
}

size_t mw_stock_pages(void)
{
	size_t pages = 0;

	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++)
		pages += stocked(&mw_stocks[cpu]);
	return pages;
}

void mw_stock_reset(struct mw_stock *stock)
{
	__builtin_memset((void *)stock, 0, sizeof(*stock));
	mw_lock_init(&stock->lock, MW_RANK_STOCK);
}

void mw_page_cpu_stop(void)
{
	unsigned long state = mw_port_pin();
	struct mw_stock *stock = &mw_stocks[mw_port_cpu()];

	mw_port_unpin(state);
	(void)mw_stock_drain(stock, false);
}
