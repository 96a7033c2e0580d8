/* SPDX-License-Identifier: MIT */
/*
 * What a CPU keeps to itself: single pages for page tables and the like, and kernel stacks of a few
 * orders, naturally aligned, up to 32 KiB an order.
 *
 * Each stock has a lock of its own that is nearly always its CPU's, so that any CPU may empty all
 * stocks when memory runs out. A stocked run's first word in the page map is that of a run in use
 * with MW_RAW_STOCKED; it changes under the stock's lock. The heap counts it as raw.
 */
#ifndef MW_PAGE_STOCK_H
#define MW_PAGE_STOCK_H

#include "page.h"

#define MW_STOCK_ORDERS 4
#define MW_STOCK_SINGLES (((size_t)128 << 10) >> MW_PAGE_SHIFT)
#define MW_STOCK_BATCH (MW_STOCK_SINGLES / 2)
#define MW_STOCK_PAGES (((size_t)32 << 10) >> MW_PAGE_SHIFT) /* of a stack order, at most */

struct mw_stocked {
	void *pages;
	mw_map_word *word;
};

/* Runs of one order; the fields are written under the stock's lock. */
struct mw_shelf {
	mw_atomic_t n;
	unsigned long room; /* 0: closed */
	struct mw_stocked *slots;
};

struct mw_stock {
	_Alignas(16 * MW_CACHE_LINE) struct mw_lock lock; /* MW_RANK_STOCK */
	mw_atomic_t allocs, frees; /* written under the lock */
	struct mw_shelf shelf[MW_STOCK_ORDERS];
	struct mw_stocked slots[MW_STOCK_SINGLES + 3 * MW_STOCK_PAGES];
};

extern struct mw_stock mw_stocks[MW_MAX_CPUS];

static inline size_t mw_shelf_count(const struct mw_shelf *shelf)
{
	return atomic_load_explicit(&((struct mw_shelf *)shelf)->n, memory_order_relaxed);
}

static inline void mw_stock_event(mw_atomic_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* A run from this CPU's stock; NULL: it has none. */
static inline __attribute__((always_inline)) void *mw_stock_take(unsigned int order)
{
	unsigned long state = mw_port_pin();
	struct mw_stock *stock = &mw_stocks[mw_port_cpu()];
	struct mw_shelf *shelf = &stock->shelf[order];
	void *pages = NULL;
	size_t n;

	mw_lock_pinned(&stock->lock);
	n = mw_shelf_count(shelf);
	if (mw_likely(n)) {
		const struct mw_stocked *slot = &shelf->slots[--n];
		uintptr_t word = atomic_load_explicit(slot->word, memory_order_relaxed);

		atomic_store_explicit(slot->word, word & ~MW_RAW_STOCKED, memory_order_relaxed);
		atomic_store_explicit(&shelf->n, n, memory_order_relaxed);
		mw_stock_event(&stock->allocs);
		pages = slot->pages;
	}
	mw_unlock(&stock->lock, state);
	return pages;
}

/* Is this the word of a run in use of 1 << @order pages that may be stocked? */
static inline bool mw_stock_fits(uintptr_t word, unsigned int order)
{
	uintptr_t any = (MW_ID_MASK & ~(uintptr_t)MW_ID_LOW) << MW_ID_SHIFT;

	return (word & ~any) == mw_map_word_of(MW_TAG_RAW, 0, (uintptr_t)1 << order);
}

/* @pages fits; the stock's lock is held. Return: false if there is no room. */
static inline __attribute__((always_inline)) bool mw_shelf_push(struct mw_shelf *shelf, void *pages,
								mw_map_word *word, uintptr_t value)
{
	size_t n = mw_shelf_count(shelf);

	if (mw_unlikely(n >= shelf->room))
		return false;
	atomic_store_explicit(word, value | MW_RAW_STOCKED, memory_order_relaxed);
	shelf->slots[n] = (struct mw_stocked){ pages, word };
	atomic_store_explicit(&shelf->n, n + 1, memory_order_relaxed);
	return true;
}

/*
 * Put a run in use into this CPU's stock. Return: false, and nothing happened, if the stock is full
 * or this is no such run.
 */
static inline __attribute__((always_inline)) bool mw_stock_put(void *pages, unsigned int order)
{
	mw_map_word *word = mw_map_find(pages);
	unsigned long state;
	struct mw_stock *stock;
	uintptr_t value;
	bool done;

	if (mw_unlikely(!word || (uintptr_t)pages & ((MW_PAGE_SIZE << order) - 1)))
		return false;
	state = mw_port_pin();
	stock = &mw_stocks[mw_port_cpu()];
	mw_lock_pinned(&stock->lock);
	value = atomic_load_explicit(word, memory_order_relaxed);
	done = mw_likely(mw_stock_fits(value, order)) &&
	       mw_shelf_push(&stock->shelf[order], pages, word, value);
	if (mw_likely(done))
		mw_stock_event(&stock->frees);
	mw_unlock(&stock->lock, state);
	return done;
}

/* Fill this CPU's stock from the heap, and take one run. NULL: there is none. */
void *mw_stock_refill(unsigned int order, mw_flags_t flags);
/* Half of this CPU's stock goes to the heap. */
void mw_stock_spill(unsigned int order);
/* All stocks of all CPUs. Return: pages given back. */
size_t mw_stock_drain_all(void);
size_t mw_stock_pages(void);
/* Until mw_stocks_open() stocks stay empty: every raw page's word changes under the heap lock. */
void mw_stocks_close(void);
void mw_stocks_open(void);
void mw_stocks_reset(void);

#endif
