/* SPDX-License-Identifier: MIT */
/*
 * Large objects that a CPU keeps when they are freed, by length; inline, for the calls of this room and for
 * a library that has its own names for them. Entered pinned.
 */
#ifndef MW_OBJECT_KEPT_H
#define MW_OBJECT_KEPT_H

#include "inside.h"

/* Longer ones are not kept; nor more than this by one CPU, in all. */
#define MW_STOCK_LONGEST ((size_t)1 << 20 >> MW_PAGE_SHIFT)
#define MW_STOCK_PAGES ((size_t)2 << 20 >> MW_PAGE_SHIFT)

/* From 8 on, eight bins for each doubling: lengths in one bin differ by less than an eighth. */
static inline size_t mw_stock_bin(size_t pages)
{
	size_t log2 = mw_highest_bit(pages);

	return 8 * log2 + (8 * pages >> log2);
}

/* What span->align says: a resize to a small object must keep any alignment that was asked for. */
static inline unsigned char mw_large_noted(size_t align)
{
	return (unsigned char)(align > 8 ? mw_log2_up(align) : 0);
}

/*
 * An object of @size bytes, at most MW_STOCK_LONGEST pages, or NULL. The lists are linked by the first half of
 * their spans' links. A large object's bitmaps are in its descriptor.
 */
static inline void *mw_stock_take(struct mw_cpu *cpu, size_t size, size_t align)
{
	size_t pages = (size + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT;
	struct mw_list **bin = &cpu->stock.bin[mw_stock_bin(pages)], *first = *bin;
	struct mw_span *span;
	void *object;

	if (mw_unlikely(!first))
		return NULL;
	span = mw_container(first, struct mw_span, link);
	if (mw_unlikely(span->pages < pages))
		return NULL;
	*bin = first->next;
	cpu->stock.pages -= span->pages;
	cpu->large_allocs++;
	cpu->large_pages += span->pages;
	span->align = mw_large_noted(align);
	span->asked = size;
	object = mw_keep(span->base);
	mw_set_word(&span->bits[0], ~1ul);
	atomic_store_explicit(&span->holder, MW_HOLDER_CPU(cpu->number), memory_order_relaxed);
	mw_shadow_live(object, span->size);
	/* Callers that ask whether there is one need not ask again. */
	if (!object)
		__builtin_unreachable();
	return object;
}

/* A free one with a bin. Return: false: the CPU has enough. */
static inline bool mw_stock_put(struct mw_cpu *cpu, struct mw_span *span)
{
	size_t pages = cpu->stock.pages + span->pages;
	struct mw_list **bin = &cpu->stock.bin[span->bin];

	if (mw_unlikely(pages > MW_STOCK_PAGES)) /* mw_cpu_none has more */
		return false;
	span->link.next = *bin;
	*bin = &span->link;
	cpu->stock.pages = pages;
	return true;
}

/* The caller has made the holder 0: it alone has the span now. */
static inline void mw_large_freed(struct mw_span *span)
{
	mw_set_word(&span->bits[0], ~0ul);
	mw_shadow_dead(span->base, span->size, MW_SHADOW_FREE);
}

/* Whoever holds it. The span is not given back meanwhile. Return: false: it was free. */
static inline bool mw_large_set_free(struct mw_span *span)
{
	if (!atomic_exchange_explicit(&span->holder, 0, memory_order_acq_rel))
		return false;
	mw_large_freed(span);
	return true;
}

/*
 * The same for the CPU that holds it, which need not say first that it is at the span. It has been pinned
 * since before it looked the span up: if it holds it now, it has all the time, and the object is the
 * one that was looked up. The owner was MW_OWNER_LARGE. Return: false: it does not hold it.
 */
static inline bool mw_large_free_own(struct mw_span *span, const void *object, unsigned int here)
{
	unsigned int holder = MW_HOLDER_CPU(here);

	if (object != span->base ||
	    !atomic_compare_exchange_strong_explicit(&span->holder, &holder, 0,
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	mw_large_freed(span);
	return true;
}

#endif
