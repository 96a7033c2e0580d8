// SPDX-License-Identifier: MIT
/* Raw pages: the calls, and what is wrong with a free. */
#include "../base/fail.h"
#include "runs.h"
#include "stock.h"
#include "up.h"

/* Largest alignment that can be asked for: 1 GiB. */
#define ALIGN_MOST ((size_t)1 << 30)

static bool understand(const struct mw_pages *want, struct mw_want *out)
{
	size_t align = want->align ? want->align : MW_PAGE_SIZE;

	if (!mw_is_pow2(align) || align > ALIGN_MOST)
		return false;
	if (want->boundary && (!mw_is_pow2(want->boundary) || want->boundary < MW_PAGE_SIZE))
		return false;
	if ((uintptr_t)want->at & (mw_max(align, MW_PAGE_SIZE) - 1))
		return false;
	out->n = want->count;
	out->align = mw_max(align >> MW_PAGE_SHIFT, 1);
	out->boundary = want->boundary >> MW_PAGE_SHIFT;
	out->flags = want->flags;
	return true;
}

/* Return: false: there is none; true with *@region NULL: the heap grew towards it, ask again. */
static MW_QUICK bool take_step(const struct mw_want *want, const void *at,
			       struct mw_region **region, size_t *start)
{
	unsigned long state = mw_lock(&mw_page.heap);
	bool grew;

	*start = at ? mw_pn(at) : 0;
	*region = at ? mw_heap_take_at(*start, want, &grew) : mw_heap_take(want, start, &grew);
	if (*region) {
		mw_map_write(*start, mw_map_word_of(MW_TAG_RAW, (*region)->id, want->n));
		mw_page.raw += want->n;
		mw_page.allocs++;
	}
	mw_unlock(&mw_page.heap, state);
	return *region || grew;
}

static MW_APART void lose(size_t start, size_t n)
{
	unsigned long state = mw_lock(&mw_page.heap);

	mw_heap_lose(start, n, &mw_page.raw);
	mw_unlock(&mw_page.heap, state);
}

static void *take_raw(const struct mw_want *want, const void *at)
{
	struct mw_region *region;
	size_t start;

	while (take_step(want, at, &region, &start)) {
		if (!region)
			continue;
		if (mw_likely(!(want->flags & MW_ZERO) && !mw_region_flag(&region->some_released) &&
			      !mw_region_flag(&region->some_poison)) ||
		    mw_heap_prepare(region, start, want->n, want->flags & MW_ZERO, NULL)) {
			mw_shadow_live(mw_pn_address(start), want->n << MW_PAGE_SHIFT);
			return mw_pn_address(start);
		}
		lose(start, want->n);
	}
	return NULL;
}

static MW_NOINLINE void *take_hard(const struct mw_want *want, const void *at)
{
	unsigned int step = 0;
	unsigned long state;
	void *pages = NULL;

	while (!pages && mw_page_reclaim_for(want, at, &step))
		pages = take_raw(want, at);
	if (pages)
		return pages;
	state = mw_lock(&mw_page.heap);
	mw_page.failures++;
	mw_unlock(&mw_page.heap, state);
	return NULL;
}

static void *understand_and_take(const struct mw_pages *request, uintptr_t site)
{
	struct mw_want want;
	struct mw_report report = { .what = MW_BAD_REQUEST,
				    .given = request->count,
				    .here.pcs[0] = site };
	void *pages;

	if (!request->count || request->count > MW_PN_MASK >> 1 || !mw_page.ready)
		return NULL;
	if (!understand(request, &want)) {
		report.text = "pages: alignment, boundary or place is not possible";
		mw_misuse(&report);
		return NULL;
	}
	pages = take_raw(&want, request->at);
	return mw_likely(pages) ? pages : take_hard(&want, request->at);
}

static void *alloc_as(const struct mw_pages *request, uintptr_t site)
{
	if (mw_should_fail(request->count << MW_PAGE_SHIFT, MW_FAIL_PAGES, site))
		return NULL;
	return understand_and_take(request, site);
}

void *mw_pages_alloc_as(const struct mw_pages *request)
{
	return alloc_as(request, MW_SITE);
}

/* Flags that do not ask for a page of a kind that stocks have not. */
#define STOCK_FLAGS (MW_HOW_FLAGS | MW_ZERO)

/* No stock has it. */
static MW_APART void *alloc_hard(size_t count, mw_flags_t flags)
{
	const struct mw_want want = { count, 1, 0, flags };
	void *pages;

	if (!count || count > MW_PN_MASK >> 1 || !mw_page.ready)
		return NULL;
	pages = count == 1 && !(flags & ~(STOCK_FLAGS ^ MW_ZERO)) ? mw_stock_refill(flags)
								  : take_raw(&want, NULL);
	return mw_likely(pages) ? pages : take_hard(&want, NULL);
}

/* What the quickest way does not do: other lengths, clearing, zones, failing on purpose. */
static MW_APART void *alloc_other(size_t count, mw_flags_t flags, uintptr_t site)
{
	unsigned int shelf = mw_shelf_for(count);
	void *pages;

	if (mw_should_fail(count << MW_PAGE_SHIFT, MW_FAIL_PAGES, site))
		return NULL;
	if (shelf == MW_SHELF_NONE || flags & ~STOCK_FLAGS)
		return alloc_hard(count, flags);
	if (!mw_stock_take(shelf, 1, &pages))
		return alloc_hard(count, flags);
	if (flags & MW_ZERO)
		__builtin_memset(pages, 0, count << MW_PAGE_SHIFT);
	return pages;
}

void *mw_pages_alloc(size_t count, mw_flags_t flags)
{
	if (mw_likely(count == 1 && !(flags & ~(STOCK_FLAGS ^ MW_ZERO)) &&
		      !atomic_load_explicit(&mw_fail_on, memory_order_relaxed))) {
		void *page;

		if (mw_likely(mw_stock_take(0, 1, &page)))
			return page;
	}
	return alloc_other(count, flags, MW_SITE);
}

/* What is wrong with freeing @count pages at @pages; no lock is held, the heap may go on. */
static MW_NOINLINE void report_free(const void *pages, size_t count, uintptr_t site)
{
	struct mw_report report = { .address = pages, .given = count, .here.pcs[0] = site };

	if (mw_span_of(pages)) {
		report.what = MW_WRONG_KIND;
		report.text = "memory of objects freed as pages";
		mw_misuse(&report);
		return;
	}
	mw_page_stray(pages, &report);
	if (report.what == MW_FREED_SPAN) {
		report.what = MW_DOUBLE_FREE;
	} else if (report.what == MW_WRONG_KIND && report.object == pages) {
		report.what = MW_WRONG_SIZE;
		report.text = "pages freed with another count than they were allocated with";
	} else if (report.what == MW_WRONG_KIND) {
		report.what = MW_INNER_FREE;
		report.text = "an address inside a run of pages";
	}
	mw_misuse(&report);
}

/* The stock did not take it, for it was never wanted yet, or it is full. Return: now it did. */
static MW_NOINLINE bool put_again(void *pages, unsigned int shelf, size_t count)
{
	bool again = mw_stock_begin();

	if (!shelf && mw_stock_fits(mw_map_get((uintptr_t)pages), 1)) {
		mw_stock_spill();
		again = true;
	}
	return again && mw_stock_put(pages, shelf, count);
}

/* What takes a while, without a lock: the run's word says that it is no longer in use. */
static MW_NOINLINE void free_long(struct mw_region *region, size_t start, size_t n)
{
	if (mw_region_flag(&mw_page.poison))
		mw_poison_fill(region, start, n);
	mw_heap_dirty(region, start, n);
}

/* No stock took it: there is none for it, none with room, or the run is a special one, or none of ours. */
static MW_APART bool free_hard(void *pages, size_t count, uintptr_t site)
{
	unsigned int shelf = mw_shelf_for(count);
	unsigned long state;
	mw_map_word *at;
	uintptr_t word;
	bool ours;

	if (shelf != MW_SHELF_NONE && put_again(pages, shelf, count))
		return true;
	state = mw_lock(&mw_page.heap);
	at = mw_map_find(pages);
	word = atomic_load_explicit(at, memory_order_relaxed);
	/* The exchange: another CPU may put it into its stock at this moment, see stock.h. */
	ours = !((uintptr_t)pages & (MW_PAGE_SIZE - 1)) && count && count <= MW_PN_MASK &&
	       (word & ~(MW_ID_MASK << MW_ID_SHIFT)) == mw_map_word_of(MW_TAG_RAW, 0, count) &&
	       atomic_compare_exchange_strong_explicit(at, &word, word | MW_RAW_STOCKED,
						       memory_order_relaxed, memory_order_relaxed);

	if (mw_likely(ours)) {
		if (mw_unlikely(count > MW_BITS_ONCE || mw_region_flag(&mw_page.poison))) {
			mw_unlock(&mw_page.heap, state);
			free_long(mw_region_by_id(mw_map_id(word)), mw_pn(pages), count);
			state = mw_lock(&mw_page.heap);
		}
		atomic_store_explicit(at, 0, memory_order_relaxed);
		mw_page.raw -= count;
		mw_page.frees++;
		mw_shadow_dead(pages, count << MW_PAGE_SHIFT, MW_SHADOW_PAGES);
		mw_heap_return(mw_region_by_id(mw_map_id(word)), mw_pn(pages), count);
	}
	mw_unlock(&mw_page.heap, state);
	if (mw_unlikely(!ours))
		report_free(pages, count, site);
	return ours;
}

/* Return: whether there were pages to be freed. */
static MW_APART bool free_other(void *pages, size_t count, uintptr_t site)
{
	unsigned int shelf = mw_shelf_for(count);

	if (!pages)
		return false;
	return (shelf != MW_SHELF_NONE && mw_stock_put(pages, shelf, count)) ||
	       free_hard(pages, count, site);
}

void mw_pages_free(void *pages, size_t count)
{
	if (mw_unlikely(count != 1 || !mw_stock_put(pages, 0, 1)))
		(void)free_other(pages, count, MW_SITE);
}

/* Stacks in use, for mw_page_stats() alone. */
static void count_stack(size_t pages)
{
	atomic_fetch_add_explicit(&mw_page.stacks, pages, memory_order_relaxed);
}

static void *stack_alloc(unsigned int order, mw_flags_t flags, uintptr_t site)
{
	struct mw_pages want = { .flags = flags };
	void *stack;

	if (order > 30 - MW_PAGE_SHIFT)
		return NULL;
	want.count = (size_t)1 << order;
	want.align = MW_PAGE_SIZE << order;
	if (order >= MW_STACK_SHELVES || flags & ~STOCK_FLAGS)
		return alloc_as(&want, site);
	if (mw_should_fail(want.align, MW_FAIL_PAGES, site))
		return NULL;
	if (mw_unlikely(!mw_stock_take(order, want.align, &stack)))
		return understand_and_take(&want, site);
	if (flags & MW_ZERO)
		__builtin_memset(stack, 0, want.align);
	return stack;
}

void *mw_stack_alloc(unsigned int order, mw_flags_t flags)
{
	void *stack = stack_alloc(order, flags, MW_SITE);

	if (mw_likely(stack))
		count_stack((size_t)1 << order);
	return stack;
}

void mw_stack_free(void *stack, unsigned int order)
{
	/* No stack is of a higher order: then it is none, as with another wrong one. */
	size_t count = order <= 30 - MW_PAGE_SHIFT ? (size_t)1 << order : 0;

	if ((count == 1 && mw_stock_put(stack, 0, 1)) || free_other(stack, count, MW_SITE))
		count_stack(0 - count);
}
