// SPDX-License-Identifier: MIT
/* Filling and emptying stocks: see stock.h. */
#include "stock.h"
#include "up.h"

struct mw_stock mw_stocks[MW_MAX_CPUS] = {
	[0 ... MW_MAX_CPUS - 1] = { .lock = MW_LOCK_INIT(MW_RANK_STOCK) },
};

static size_t room_of(unsigned int order)
{
	return order ? MW_STOCK_PAGES >> order : MW_STOCK_SINGLES;
}

static void set_up(struct mw_stock *stock, bool open)
{
	struct mw_stocked *slots = stock->slots;

	for (unsigned int order = 0; order < MW_STOCK_ORDERS; order++) {
		stock->shelf[order].slots = slots;
		stock->shelf[order].room = open ? room_of(order) : 0;
		slots += room_of(order);
	}
}

/* Up to @most runs as from mw_pages_alloc(), in one go. */
static size_t take_batch(unsigned int order, mw_flags_t flags, struct mw_stocked *out, size_t most)
{
	struct mw_want want = { (size_t)1 << order, (size_t)1 << order, 0, flags };
	struct mw_region *regions[MW_STOCK_BATCH];
	size_t pns[MW_STOCK_BATCH], n = 0, ready = 0;
	unsigned long state = mw_lock(&mw_page.heap);

	while (n < most && (regions[n] = mw_heap_take(&want, &pns[n]))) {
		mw_map_write(pns[n], mw_map_word_of(MW_TAG_RAW, regions[n]->id, want.n));
		n++;
	}
	mw_page.raw += n << order;
	mw_unlock(&mw_page.heap, state);
	for (size_t i = 0; i < n; i++) {
		if (mw_heap_prepare(regions[i], pns[i], want.n, false, NULL))
			out[ready++] =
				(struct mw_stocked){ mw_pn_address(pns[i]), mw_map_at(pns[i]) };
	}
	return ready;
}

static void give_batch(unsigned int order, const struct mw_stocked *runs, size_t n)
{
	unsigned long state;

	if (!n)
		return;
	state = mw_lock(&mw_page.heap);
	for (size_t i = 0; i < n; i++) {
		size_t pn = mw_pn(runs[i].pages);
		unsigned int id = mw_map_id(mw_map_read(pn));

		mw_map_write(pn, 0);
		mw_heap_return(mw_region_by_id(id), pn, (size_t)1 << order);
	}
	mw_page.raw -= n << order;
	mw_unlock(&mw_page.heap, state);
}

/* The last @n runs leave @shelf; the stock's lock is held. */
static void pop(struct mw_shelf *shelf, struct mw_stocked *out, size_t n)
{
	size_t left = mw_shelf_count(shelf) - n;

	for (size_t i = 0; i < n; i++)
		out[i] = shelf->slots[left + i];
	atomic_store_explicit(&shelf->n, left, memory_order_relaxed);
}

MW_NOINLINE void *mw_stock_refill(unsigned int order, mw_flags_t flags)
{
	struct mw_stocked runs[MW_STOCK_BATCH];
	size_t kept = 1, n = take_batch(order, flags, runs, order ? 1 : MW_STOCK_BATCH);
	struct mw_stock *stock;
	unsigned long state;

	if (!n)
		return NULL;
	state = mw_port_pin();
	stock = &mw_stocks[mw_port_cpu()];
	mw_lock_pinned(&stock->lock);
	mw_stock_event(&stock->allocs);
	for (; kept < n; kept++) {
		uintptr_t value = atomic_load_explicit(runs[kept].word, memory_order_relaxed);

		if (!mw_stock_fits(value, order) ||
		    !mw_shelf_push(&stock->shelf[order], runs[kept].pages, runs[kept].word, value))
			break;
	}
	mw_unlock(&stock->lock, state);
	give_batch(order, runs + kept, n - kept);
	return runs[0].pages;
}

MW_NOINLINE void mw_stock_spill(unsigned int order)
{
	struct mw_stocked runs[MW_STOCK_BATCH];
	unsigned long state = mw_port_pin();
	struct mw_stock *stock = &mw_stocks[mw_port_cpu()];
	struct mw_shelf *shelf = &stock->shelf[order];
	size_t n;

	mw_lock_pinned(&stock->lock);
	n = mw_min(mw_shelf_count(shelf), order ? 1 : MW_STOCK_BATCH);
	pop(shelf, runs, n);
	mw_unlock(&stock->lock, state);
	give_batch(order, runs, n);
}

static size_t drain(struct mw_stock *stock)
{
	struct mw_stocked runs[MW_STOCK_SINGLES > MW_STOCK_PAGES ? MW_STOCK_SINGLES : MW_STOCK_PAGES];
	size_t pages = 0;

	for (unsigned int order = 0; order < MW_STOCK_ORDERS; order++) {
		unsigned long state = mw_lock(&stock->lock);
		size_t n = mw_shelf_count(&stock->shelf[order]);

		pop(&stock->shelf[order], runs, n);
		mw_unlock(&stock->lock, state);
		give_batch(order, runs, n);
		pages += n << order;
	}
	return pages;
}

static size_t stocked(const struct mw_stock *stock)
{
	size_t pages = 0;

	for (unsigned int order = 0; order < MW_STOCK_ORDERS; order++)
		pages += mw_shelf_count(&stock->shelf[order]) << order;
	return pages;
}

size_t mw_stock_drain_all(void)
{
	size_t pages = 0;

	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		if (stocked(&mw_stocks[cpu]))
			pages += drain(&mw_stocks[cpu]);
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

static void set_all(bool open)
{
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		unsigned long state = mw_lock(&mw_stocks[cpu].lock);

		set_up(&mw_stocks[cpu], open);
		mw_unlock(&mw_stocks[cpu].lock, state);
	}
}

void mw_stocks_close(void)
{
	set_all(false);
	mw_stock_drain_all();
}

void mw_stocks_open(void)
{
	set_all(true);
}

void mw_stocks_reset(void)
{
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		__builtin_memset((void *)&mw_stocks[cpu], 0, sizeof(mw_stocks[cpu]));
		mw_lock_init(&mw_stocks[cpu].lock, MW_RANK_STOCK);
	}
}

void mw_page_cpu_stop(void)
{
	unsigned long state = mw_port_pin();
	struct mw_stock *stock = &mw_stocks[mw_port_cpu()];

	mw_port_unpin(state);
	(void)drain(stock);
}
