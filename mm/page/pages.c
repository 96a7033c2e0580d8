// SPDX-License-Identifier: MIT
/* Raw pages: the calls, and what is wrong with a free. */
#include "page.h"

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

static void *take_raw(const struct mw_want *want, const void *at)
{
	for (;;) {
		unsigned long state = mw_lock(&mw_page.heap);
		size_t start = at ? mw_pn(at) : 0;
		struct mw_region *region = at ? mw_heap_take_at(start, want->n, want->flags)
					      : mw_heap_take(want, &start);

		if (region) {
			mw_map_write(start, mw_map_word_of(MW_TAG_RAW, region->id, want->n));
			mw_page.raw += want->n;
			mw_page.allocs++;
		} else {
			mw_page.failures++;
		}
		mw_unlock(&mw_page.heap, state);
		if (!region)
			return NULL;
		if (mw_heap_prepare(region, start, want->n, want->flags & MW_ZERO, NULL))
			return mw_pn_address(start);
	}
}

void *mw_pages_alloc_as(const struct mw_pages *request)
{
	struct mw_want want;
	struct mw_report report = { .what = MW_BAD_REQUEST, .given = request->count };

	if (!request->count || request->count > MW_PN_MASK >> 1 || !mw_page.ready)
		return NULL;
	if (!understand(request, &want)) {
		report.text = "pages: alignment, boundary or place is not possible";
		mw_misuse(&report);
		return NULL;
	}
	return take_raw(&want, request->at);
}

void *mw_pages_alloc(size_t count, mw_flags_t flags)
{
	struct mw_pages want = { .count = count, .flags = flags };

	return mw_pages_alloc_as(&want);
}

/* The raw run in use that begins at or before @pn and reaches it. Return: its length, or 0. */
static size_t raw_around(struct mw_region *region, size_t pn, size_t *start)
{
	size_t first = mw_region_first(region);

	for (size_t at = pn; at >= first && pn - at < 1u << 20; at--) {
		uintptr_t word = mw_map_get((uintptr_t)mw_pn_address(at));
		enum mw_map_tag tag = mw_map_tag(word);

		*start = at;
		if (tag == MW_TAG_RAW)
			return mw_map_payload(word) > pn - at ? mw_map_payload(word) : 0;
		if (tag != MW_TAG_NONE && tag != MW_TAG_INNER)
			break;
	}
	return 0;
}

/* What is wrong with freeing @count pages at @pages; no lock is held, the heap may go on. */
static MW_NOINLINE void report_free(const void *pages, size_t count)
{
	uintptr_t word = mw_map_get((uintptr_t)pages);
	struct mw_report report = { .address = pages, .given = count };
	struct mw_region *region = mw_region_of(mw_pn(pages));
	size_t start, n;

	if (mw_map_tag(word) == MW_TAG_SPAN) {
		report.what = MW_WRONG_KIND;
		report.text = "memory of objects freed as pages";
	} else if (!region) {
		report.what = MW_FOREIGN_FREE;
		report.text = "pages that are in no region";
	} else if (mw_map_tag(word) == MW_TAG_RAW && !(word & MW_RAW_STOCKED) &&
		   !((uintptr_t)pages & (MW_PAGE_SIZE - 1))) {
		report.what = MW_WRONG_SIZE;
		report.text = "pages freed with another count than they were allocated with";
		report.span = report.object = pages;
		report.span_pages = mw_map_payload(word);
	} else if ((n = raw_around(region, mw_pn(pages), &start)) && !(word & MW_RAW_STOCKED)) {
		report.what = MW_INNER_FREE;
		report.text = "an address inside a run of pages";
		report.span = report.object = mw_pn_address(start);
		report.span_pages = n;
	} else {
		report.what = MW_DOUBLE_FREE;
		report.text = "pages that are free, or were never handed out";
	}
	report.size = report.span_pages << MW_PAGE_SHIFT;
	mw_misuse(&report);
}

void mw_pages_free(void *pages, size_t count)
{
	unsigned long state;
	uintptr_t word;
	bool ours;

	if (!pages)
		return;
	state = mw_lock(&mw_page.heap);
	word = mw_map_get((uintptr_t)pages);
	ours = !((uintptr_t)pages & (MW_PAGE_SIZE - 1)) &&
	       (word & ~(MW_ID_MASK << MW_ID_SHIFT)) == mw_map_word_of(MW_TAG_RAW, 0, count) &&
	       count;
	if (mw_likely(ours)) {
		mw_map_write(mw_pn(pages), 0);
		mw_page.raw -= count;
		mw_page.frees++;
		mw_heap_return(mw_region_by_id(mw_map_id(word)), mw_pn(pages), count);
	}
	mw_unlock(&mw_page.heap, state);
	if (mw_unlikely(!ours))
		report_free(pages, count);
}

void *mw_stack_alloc(unsigned int order, mw_flags_t flags)
{
	struct mw_pages want = { .flags = flags };

	if (order > 30 - MW_PAGE_SHIFT)
		return NULL;
	want.count = (size_t)1 << order;
	want.align = MW_PAGE_SIZE << order;
	return mw_pages_alloc_as(&want);
}

void mw_stack_free(void *stack, unsigned int order)
{
	if (order <= 30 - MW_PAGE_SHIFT)
		mw_pages_free(stack, (size_t)1 << order);
}
