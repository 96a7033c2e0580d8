/* SPDX-License-Identifier: MIT */
/*
 * What a CPU keeps to itself, a shelf for each of these lengths: single pages, for page tables and the
 * like; 2, 4 and 8 pages, mostly kernel stacks, up to 32 KiB of each; and one run each of 16 and
 * of 512 pages, buffers and large pages, on machines where that is little.
 *
 * Each stock has a lock of its own that is nearly always its CPU's, so that any CPU may empty all
 * stocks when memory runs out. A stocked run's first word in the page map is that of a run in use
 * with MW_RAW_STOCKED; it changes under the stock's lock. The heap counts it as raw.
 */
#ifndef MW_PAGE_STOCK_H
#define MW_PAGE_STOCK_H

#include "page.h"

#define MW_SHELVES 6
#define MW_STACK_SHELVES 4 /* a shelf's number is the order of its runs up to here */
/* 128 KiB, but also with large pages so many that a batch is one. */
#define MW_STOCK_SINGLES ((size_t)(MW_PAGE_SHIFT < 14 ? (128 << 10) >> MW_PAGE_SHIFT : 8))
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
	mw_atomic_t allocs; /* written under the lock, as is the next */
	mw_atomic_t moved; /* runs from the heap, less those given back: allocs - frees + what is here */
	struct mw_shelf shelf[MW_SHELVES];
	struct mw_stocked slots[MW_STOCK_SINGLES + MW_STOCK_PAGES + 2];
};

extern struct mw_stock mw_stocks[MW_MAX_CPUS];

#define MW_SHELF_NONE MW_SHELVES

/* The shelf for runs of @count pages. */
static inline unsigned int mw_shelf_for(size_t count)
{
	static const unsigned char shelf[17] = { 6, 0, 1, 6, 2, 6, 6, 6, 3, 6, 6, 6, 6, 6, 6, 6, 4 };

	if (mw_likely(count < sizeof(shelf)))
		return shelf[count];
	return count == 512 ? 5 : MW_SHELF_NONE;
}

static inline unsigned int mw_shelf_order(unsigned int shelf)
{
	return shelf < 5 ? shelf : 9;
}

static inline size_t mw_shelf_count(const struct mw_shelf *shelf)
{
	return atomic_load_explicit(&((struct mw_shelf *)shelf)->n, memory_order_relaxed);
}

static inline void mw_stock_event(mw_atomic_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/*
 * This CPU's stock, locked and pinned; NULL, and neither, if another CPU is at it. Nothing on the way
 * is a call, so that the quick paths keep all they know in registers.
 */
static inline __attribute__((always_inline)) struct mw_stock *mw_stock_enter(unsigned long *state)
{
	struct mw_stock *stock;

	*state = mw_port_pin();
	stock = &mw_stocks[mw_port_cpu()];
	if (mw_unlikely(atomic_exchange_explicit(&stock->lock.word, 1, memory_order_acquire))) {
		mw_port_unpin(*state);
		return NULL;
	}
	mw_rank_push(&stock->lock);
	return stock;
}

/* A run from this CPU's stock, on a multiple of @align bytes; NULL: not now. */
static inline __attribute__((always_inline)) void *mw_stock_take(unsigned int which, size_t align)
{
	unsigned long state;
	struct mw_stock *stock = mw_stock_enter(&state);
	struct mw_shelf *shelf;
	void *pages = NULL;
	size_t n;

	if (mw_unlikely(!stock))
		return NULL;
	shelf = &stock->shelf[which];
	n = mw_shelf_count(shelf);
	if (mw_likely(n && !((uintptr_t)shelf->slots[n - 1].pages & (align - 1)))) {
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

/* Is this the word of a run in use of @count pages that may be stocked? */
static inline bool mw_stock_fits(uintptr_t word, size_t count)
{
	return (word & atomic_load_explicit(&mw_page.stock_mask, memory_order_relaxed)) ==
	       mw_map_word_of(MW_TAG_RAW, 0, count);
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
static inline __attribute__((always_inline)) bool mw_stock_put(void *pages, unsigned int which,
							       size_t count)
{
	unsigned long state;
	struct mw_stock *stock = mw_stock_enter(&state);
	mw_map_word *word;
	bool done = false;

	if (mw_unlikely(!stock))
		return false;
	/* Looked up under the lock: words move only while stocks are closed. */
	word = mw_map_find(pages);
	if (mw_likely(word && !((uintptr_t)pages & (MW_PAGE_SIZE - 1)))) {
		uintptr_t value = atomic_load_explicit(word, memory_order_relaxed);

		done = mw_likely(mw_stock_fits(value, count)) &&
		       mw_shelf_push(&stock->shelf[which], pages, word, value);
	}
	mw_unlock(&stock->lock, state);
	return done;
}

/* Fill this CPU's stock of single pages from the heap, and take one. NULL: there is none. */
void *mw_stock_refill(mw_flags_t flags);
/* Half of this CPU's single pages go to the heap. */
void mw_stock_spill(void);
/* All stocks of all CPUs. Return: pages given back. */
size_t mw_stock_drain_all(void);
size_t mw_stock_pages(void);
/* Calls that stocks served. */
void mw_stock_events(unsigned long *allocs, unsigned long *frees);
/* Until mw_stocks_open() stocks stay empty: every raw page's word changes under the heap lock. */
void mw_stocks_close(void);
void mw_stocks_open(void);
void mw_stocks_reset(void);

#endif
