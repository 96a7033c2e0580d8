/* SPDX-License-Identifier: MIT */
/*
 * What a CPU keeps to itself: single pages for page tables and the like, and kernel stacks of a few
 * orders, naturally aligned, up to 32 KiB an order.
 *
 * Each stock has a lock of its own that is nearly always its CPU's, so that any CPU may empty all
 * stocks when memory runs out. A stocked run's first word in the page map is that of a run in use
 * with MW_RAW_STOCKED; it changes under the stock's lock. Counted as raw pages by the heap.
 */
#ifndef MW_PAGE_STOCK_H
#define MW_PAGE_STOCK_H

#include "page.h"

#define MW_STOCK_ORDERS 4
#define MW_STOCK_SINGLES (((size_t)128 << 10) >> MW_PAGE_SHIFT)
#define MW_STOCK_BATCH (MW_STOCK_SINGLES / 2)
#define MW_STOCK_PAGES (((size_t)32 << 10) >> MW_PAGE_SHIFT) /* of a stack order, at most */

struct mw_stock {
	_Alignas(MW_CACHE_LINE) struct mw_lock lock; /* MW_RANK_STOCK */
	bool closed; /* takes nothing in */
	mw_atomic_t n[MW_STOCK_ORDERS]; /* written under the lock */
	mw_atomic_t allocs, frees; /* the same */
	size_t singles[MW_STOCK_SINGLES]; /* page numbers */
	size_t stacks[MW_STOCK_ORDERS - 1][4];
};

extern struct mw_stock mw_stocks[MW_MAX_CPUS];

/* How many runs of @order a stock holds. */
static inline size_t mw_stock_room(unsigned int order)
{
	return order ? MW_STOCK_PAGES >> order : MW_STOCK_SINGLES;
}

static inline size_t *mw_stock_slots(struct mw_stock *stock, unsigned int order)
{
	return order ? stock->stacks[order - 1] : stock->singles;
}

static inline size_t mw_stock_count(const struct mw_stock *stock, unsigned int order)
{
	return atomic_load_explicit(&((struct mw_stock *)stock)->n[order], memory_order_relaxed);
}

static inline void mw_stock_count_event(mw_atomic_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* A run from this CPU's stock; NULL: it has none. */
static inline void *mw_stock_take(unsigned int order)
{
	unsigned long state = mw_port_pin();
	struct mw_stock *stock = &mw_stocks[mw_port_cpu()];
	void *pages = NULL;
	size_t n;

	mw_lock_pinned(&stock->lock);
	n = mw_stock_count(stock, order);
	if (mw_likely(n)) {
		size_t pn = mw_stock_slots(stock, order)[--n];
		mw_map_word *word = mw_map_at(pn);

		atomic_store_explicit(&stock->n[order], n, memory_order_relaxed);
		atomic_store_explicit(
			word, atomic_load_explicit(word, memory_order_relaxed) & ~MW_RAW_STOCKED,
			memory_order_relaxed);
		mw_stock_count_event(&stock->allocs);
		pages = mw_pn_address(pn);
	}
	mw_unlock(&stock->lock, state);
	return pages;
}

/* May a run with this word, said to be of 1 << @order pages, be stocked? */
static inline bool mw_stock_fits(uintptr_t word, unsigned int order)
{
	uintptr_t any = (MW_ID_MASK & ~(uintptr_t)MW_ID_LOW) << MW_ID_SHIFT;

	return (word & ~any) == mw_map_word_of(MW_TAG_RAW, 0, (uintptr_t)1 << order);
}

/*
 * Put a run in use into this CPU's stock. Return: false, and nothing happened, if the stock is full
 * or this is no such run.
 */
static inline bool mw_stock_put(void *pages, unsigned int order)
{
	unsigned long state = mw_port_pin();
	struct mw_stock *stock = &mw_stocks[mw_port_cpu()];
	uintptr_t word;
	bool done = false;
	size_t n;

	mw_lock_pinned(&stock->lock);
	n = mw_stock_count(stock, order);
	word = mw_map_get((uintptr_t)pages);
	if (mw_likely(n < mw_stock_room(order) && mw_stock_fits(word, order) && !stock->closed &&
		      !((uintptr_t)pages & ((MW_PAGE_SIZE << order) - 1)))) {
		mw_map_write(mw_pn(pages), word | MW_RAW_STOCKED);
		mw_stock_slots(stock, order)[n] = mw_pn(pages);
		atomic_store_explicit(&stock->n[order], n + 1, memory_order_relaxed);
		mw_stock_count_event(&stock->frees);
		done = true;
	}
	mw_unlock(&stock->lock, state);
	return done;
}

/* Fill this CPU's stock from the heap, and take one run. NULL: there is none. */
void *mw_stock_refill(unsigned int order, mw_flags_t flags);
/* Half of this CPU's stock goes to the heap. */
void mw_stock_spill(unsigned int order);
/* All stocks of all CPUs. Return: pages given back. */
size_t mw_stock_drain_all(void);
size_t mw_stock_drain(struct mw_stock *stock, bool close);
size_t mw_stock_pages(void);
void mw_stock_reset(struct mw_stock *stock);

#endif
