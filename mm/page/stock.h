/* SPDX-License-Identifier: MIT */
/*
 * What a CPU keeps to itself, a shelf for each of these lengths: single pages, for page tables and the
 * like; 2, 4 and 8 pages, mostly kernel stacks, up to 32 KiB of each; and one run each of 16 and
 * of 512 pages, buffers and large pages, on machines where that is little.
 *
 * Each stock has a lock of its own that is nearly always its CPU's, so that any CPU may empty all
 * stocks when memory runs out. A stocked run's first word in the page map is that of a run in use
 * with MW_RAW_STOCKED. The heap counts it as raw.
 *
 * A free sets that bit by one compare and swap of the word of a run in use, whether a stock takes the run or
 * the heap. So of two CPUs that free it at once one has done so, whatever locks they hold, and the other one
 * reports. A stocked run's word is changed by whoever holds the stock's lock, took the run out under it, or
 * has set the bit and not passed the run on yet.
 *
 * A stock that its CPU never wanted is all 0, which is closed and empty, and is not touched by anybody
 * else: of many CPUs' stocks those exist that are used.
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

/* Runs of one length, in [bottom, top); the fields are written under the stock's lock. */
struct mw_shelf {
	struct mw_stocked *_Atomic top;
	struct mw_stocked *bottom;
	struct mw_stocked *limit; /* of @top; where it is @bottom, the shelf is closed */
};

struct mw_page_stock {
	_Alignas(16 * MW_CACHE_LINE) struct mw_lock lock; /* MW_RANK_STOCK */
	mw_atomic_t allocs; /* written under the lock, as is the next */
	mw_atomic_t moved; /* runs from the heap, less those given back: allocs - frees + what is here */
	struct mw_shelf shelf[MW_SHELVES];
	struct mw_stocked slots[MW_STOCK_SINGLES + MW_STOCK_PAGES + 2];
};

extern struct mw_page_stock mw_page_stocks[MW_MAX_CPUS];

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

static inline struct mw_stocked *mw_shelf_top(const struct mw_shelf *shelf)
{
	return atomic_load_explicit(&((struct mw_shelf *)shelf)->top, memory_order_relaxed);
}

static inline size_t mw_shelf_count(const struct mw_shelf *shelf)
{
	return (size_t)(mw_shelf_top(shelf) - shelf->bottom);
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
static inline __attribute__((always_inline)) struct mw_page_stock *mw_stock_enter(unsigned long *state)
{
	struct mw_page_stock *stock;

	*state = mw_port_pin();
	stock = &mw_page_stocks[mw_port_cpu()];
	if (mw_unlikely(atomic_exchange_explicit(&stock->lock.word, 1, memory_order_acquire))) {
		mw_port_unpin(*state);
		return NULL;
	}
	mw_rank_push(&stock->lock);
	return stock;
}

/* A run from this CPU's stock, on a multiple of @align bytes. Return: false: not now. */
static inline __attribute__((always_inline)) bool mw_stock_take(unsigned int which, size_t align,
								void **pages)
{
	unsigned long state;
	struct mw_page_stock *stock = mw_stock_enter(&state);
	struct mw_stocked *top;
	uintptr_t word;

	if (mw_unlikely(!stock))
		return false;
	top = mw_shelf_top(&stock->shelf[which]);
	if (mw_unlikely(top == stock->shelf[which].bottom || (uintptr_t)top[-1].pages & (align - 1))) {
		mw_unlock(&stock->lock, state);
		return false;
	}
	word = atomic_load_explicit((--top)->word, memory_order_relaxed);
	atomic_store_explicit(top->word, word & ~MW_RAW_STOCKED, memory_order_relaxed);
	atomic_store_explicit(&stock->shelf[which].top, top, memory_order_relaxed);
	mw_stock_event(&stock->allocs);
	*pages = top->pages;
	mw_unlock(&stock->lock, state);
	mw_shadow_live(*pages, MW_PAGE_SIZE << mw_shelf_order(which));
	return true;
}

/* Is this the word of a run in use of @count pages that may be stocked? */
static inline bool mw_stock_fits(uintptr_t word, size_t count)
{
	return (word & atomic_load_explicit(&mw_page.stock_mask, memory_order_relaxed)) ==
	       mw_map_word_of(MW_TAG_RAW, 0, count);
}

/* There is room, the run is the stock's already, and the stock's lock is held. */
static inline __attribute__((always_inline)) void mw_shelf_push(struct mw_shelf *shelf, void *pages,
								mw_map_word *word)
{
	struct mw_stocked *top = mw_shelf_top(shelf);

	*top = (struct mw_stocked){ pages, word };
	atomic_store_explicit(&shelf->top, top + 1, memory_order_relaxed);
}

static inline bool mw_shelf_full(const struct mw_shelf *shelf)
{
	return mw_shelf_top(shelf) >= shelf->limit;
}

/*
 * Put a run in use into this CPU's stock. Return: false, and nothing happened, if the stock is full
 * or this is no such run.
 */
static inline __attribute__((always_inline)) bool mw_stock_put(void *pages, unsigned int which,
							       size_t count)
{
	unsigned long state;
	struct mw_page_stock *stock = mw_stock_enter(&state);
	mw_map_word *word;
	uintptr_t value;

	if (mw_unlikely(!stock))
		return false;
	word = mw_map_find(pages);
	if (mw_unlikely((uintptr_t)pages & (MW_PAGE_SIZE - 1)))
		goto out;
	value = atomic_load_explicit(word, memory_order_relaxed);
	if (mw_unlikely(!mw_stock_fits(value, count)) ||
	    mw_unlikely(mw_shelf_full(&stock->shelf[which])))
		goto out;
	/* Relaxed: only that one of two is first matters; what is in the page goes by the stock's lock. */
	if (mw_unlikely(!atomic_compare_exchange_strong_explicit(
		    word, &value, value | MW_RAW_STOCKED, memory_order_relaxed, memory_order_relaxed)))
		goto out;
	mw_shelf_push(&stock->shelf[which], pages, word);
	mw_shadow_dead(pages, count << MW_PAGE_SHIFT, MW_SHADOW_PAGES);
	mw_unlock(&stock->lock, state);
	return true;
out:
	mw_unlock(&stock->lock, state);
	return false;
}

/* This CPU's stock is wanted. Return: true: for the first time, and now it is set up. */
bool mw_stock_begin(void);
/* Was it ever? */
bool mw_stock_begun(unsigned int cpu);
/* Fill this CPU's stock of single pages from the heap, and take one. NULL: there is none. */
void *mw_stock_refill(mw_flags_t flags);
/* Half of this CPU's single pages go to the heap. */
void mw_stock_spill(void);
/* All stocks of all CPUs. Return: pages given back. */
size_t mw_stock_drain_all(void);
/* Only what is as long as stacks are. */
void mw_stock_drain_stacks(void);
size_t mw_stock_pages(void);
/* Calls that stocks served. */
void mw_stock_events(unsigned long *allocs, unsigned long *frees);
/* Until mw_stocks_open() stocks stay empty: every raw page's word changes under the heap lock. */
void mw_stocks_close(void);
void mw_stocks_open(void);
void mw_stocks_reset(void);

#endif
