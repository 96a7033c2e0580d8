// SPDX-License-Identifier: MIT
/*
 * Objects with a span of their own. A CPU keeps a few that were freed, by length, so that the page
 * heap is not asked each time.
 *
 * Nobody owns the span of a live large object, any CPU may free it: its one free bit is changed by
 * an atomic exchange, which also settles who was first of two.
 */
#include "inside.h"

/* Longer ones are not kept; nor more than this by one CPU, in all. */
#define MW_STOCK_LONGEST ((size_t)1 << 20 >> MW_PAGE_SHIFT)
#define MW_STOCK_PAGES ((size_t)2 << 20 >> MW_PAGE_SHIFT)

/* Eight bins for each doubling; lengths in one bin differ by less than an eighth. */
static unsigned int mw_stock_bin(size_t pages)
{
	unsigned int log2 = mw_highest_bit(pages);

	if (log2 < 3)
		return (unsigned int)pages;
	return 8 * (log2 - 2) + (unsigned int)(pages >> (log2 - 3) & 7);
}

static struct mw_span *mw_stock_take(size_t pages)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_fast();
	struct mw_span *span = NULL;

	if (mw_likely(cpu->stock.pages)) {
		struct mw_list *bin = &cpu->stock.bin[mw_stock_bin(pages)];

		span = mw_container(bin->next, struct mw_span, link);
		if (&span->link == bin || span->pages < pages) {
			span = NULL;
		} else {
			bin->next = span->link.next;
			bin->next->prev = bin;
			cpu->stock.pages -= span->pages;
			cpu->large_allocs++;
		}
	}
	mw_port_unpin(state);
	return span;
}

/* Return: false: the CPU has enough, or the span is not of the kind that is kept. */
static bool mw_stock_put(struct mw_span *span)
{
	unsigned long state;
	struct mw_cpu *cpu;
	bool kept;

	if (span->pages > MW_STOCK_LONGEST || span->flags || span->align)
		return false;
	state = mw_port_pin();
	cpu = mw_cpu_fast();
	kept = cpu != &mw_cpu_none && cpu->stock.pages + span->pages <= MW_STOCK_PAGES;
	if (kept) {
		mw_list_push_front(&cpu->stock.bin[mw_stock_bin(span->pages)], &span->link);
		cpu->stock.pages += span->pages;
		span->dirty = true;
	}
	mw_port_unpin(state);
	return kept;
}

static void mw_large_release(struct mw_span *span)
{
	mw_set_owner(span, MW_OWNER_GONE);
	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_gone(span);
	mw_span_free(span);
}

/* Give up to @most pages' worth of kept spans back. Pinned, or the CPU stopped. Return: pages. */
size_t mw_stock_drop(struct mw_cpu *cpu, size_t most)
{
	size_t pages = 0;

	for (unsigned int i = 0; i < MW_STOCK_BINS && cpu->stock.pages; i++) {
		struct mw_list *it;

		while (pages < most && (it = mw_list_pop_front(&cpu->stock.bin[i]))) {
			struct mw_span *span = mw_container(it, struct mw_span, link);

			cpu->stock.pages -= span->pages;
			pages += span->pages;
			mw_large_release(span);
		}
	}
	return pages;
}

static void mw_large_fill(struct mw_span *span, enum mw_policy policy, size_t align)
{
	static const unsigned char flags[] = { 0, 0, MW_SPAN_POINTERS,
					       MW_SPAN_COLLECTED | MW_SPAN_POINTERS,
					       MW_SPAN_COLLECTED };

	__atomic_store_n(&span->cache, NULL, __ATOMIC_RELAXED);
	span->type = NULL;
	span->size = span->stride = span->pages << MW_PAGE_SHIFT;
	span->count = 1;
	span->magic = 1;
	span->flags = flags[policy];
	span->where = MW_WHERE_NOWHERE;
	span->align = align > MW_PAGE_SIZE ? mw_log2_up(align) : 0;
	span->debug = NULL;
	span->records = NULL;
	mw_lock_init(&span->records_lock, MW_RANK_RECORDS);
	mw_list_init(&span->link);
	mw_list_init(&span->owned);
	(void)mw_span_bitmaps(span, mw_span_bitmap_count(span->flags));
	mw_set_word(&span->free[0], ~1ul);
	mw_set_owner(span, MW_OWNER_LARGE);
}

static void *mw_large_new(size_t pages, size_t align, mw_flags_t flags)
{
	mw_flags_t for_pages = flags & (MW_ZERO | MW_RESERVE | MW_ZONE_FLAGS);
	struct mw_span *span;
	unsigned int step = 0;

	if (mw_policy_of(flags) == MW_POLICY_COLLECTED)
		for_pages |= MW_ZERO;
	if (MW_GC && mw_policy_of(flags) >= MW_POLICY_COLLECTED && !(flags & MW_ATOMIC))
		mw_up_grow();
	while (!(span = mw_span_alloc(pages, align, for_pages))) {
		if (!mw_meta_refill() && !mw_page_reclaim(pages, flags, &step))
			return NULL;
	}
	mw_large_fill(span, mw_policy_of(flags), align);
	if (span->flags & MW_SPAN_COLLECTED) {
		unsigned long state = mw_port_pin();

		mw_up_allocated(span->size);
		mw_port_unpin(state);
		mw_up_span_born(span);
	}
	mw_span_publish(span);
	return span->base;
}

static void mw_large_count(void)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_here();

	if (cpu)
		cpu->large_allocs++;
	mw_port_unpin(state);
}

void *mw_large_again(size_t size)
{
	size_t pages = (size + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT;
	struct mw_span *span;

	if (size > MW_STOCK_LONGEST << MW_PAGE_SHIFT)
		return NULL;
	span = mw_stock_take(pages);
	if (mw_unlikely(!span))
		return NULL;
	mw_set_word(&span->free[0], ~1ul);
	return span->base;
}

void *mw_large_alloc(size_t size, size_t align, mw_flags_t flags)
{
	size_t pages = (size + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT;
	void *object = NULL;

	if (mw_unlikely(size > SIZE_MAX - MW_PAGE_SIZE))
		return NULL;
	if (align <= MW_PAGE_SIZE && !(flags & (MW_ZONE_FLAGS | MW_POLICY_FLAGS)))
		object = mw_large_again(mw_max(size, 1));
	if (object) {
		if (flags & MW_ZERO)
			__builtin_memset(object, 0, pages << MW_PAGE_SHIFT);
		return object;
	}
	object = mw_large_new(mw_max(pages, 1), align, flags);
	if (object)
		mw_large_count();
	return object;
}

bool mw_large_free(struct mw_span *span)
{
	if (atomic_fetch_or_explicit(&span->free[0], 1, memory_order_acq_rel) & 1)
		return false;
	if (!mw_stock_put(span))
		mw_large_release(span);
	return true;
}

void mw_object_free_large(struct mw_span *span)
{
	(void)mw_large_free(span);
}
