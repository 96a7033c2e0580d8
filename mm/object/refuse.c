// SPDX-License-Identifier: MIT
/* Frees that are refused: what is wrong with one, and the report, which names what is there now. */
#include "inside.h"

/*
 * Is it a size that an object of the span may have been asked with? Objects that may have an alignment, which nobody
 * noted, may have been asked with any size that some alignment makes the span's.
 */
static bool mw_size_fits(const struct mw_span *span, size_t size)
{
	if (size > span->size)
		return false;
	if (!span->cache)
		return mw_large_pages(size) == mw_large_pages(span->asked);
	if (!span->cache->builtin)
		return size == span->cache->asked || size == span->cache->size;
	if (span->cache->policy == MW_POLICY_HAND)
		return mw_size_roundup(size) == span->size;
	for (size_t align = 8; align <= MW_PAGE_SIZE; align *= 2) {
		if (mw_aligned_size(mw_max(size, 1), align) == span->size)
			return true;
	}
	return false;
}

/* What is wrong with freeing @object. What is no live object has no cache, and no size, that could be wrong. */
static enum mw_misuse mw_free_judge(const struct mw_span *span, const void *object, bool live,
				    const struct mw_said *said)
{
	mw_wide_t product = mw_span_product(span, object);

	if ((size_t)(product >> MW_WORD_BITS) >= span->count)
		return MW_FOREIGN_FREE;
	if (span->flags & MW_SPAN_TINY)
		return MW_BAD_REQUEST;
	if ((unsigned long)product >= span->magic)
		return MW_INNER_FREE;
	if (!live)
		return MW_DOUBLE_FREE;
	if (said->cache && span->cache != said->cache)
		return MW_WRONG_CACHE;
	if (said->sized && !mw_size_fits(span, said->size))
		return MW_WRONG_SIZE;
	return MW_MISUSE_NONE;
}

/* @seen: what @span was when it was looked at. */
static void mw_report_span(struct mw_report *report, const struct mw_span *span,
			   const struct mw_span *seen)
{
	size_t index = mw_span_index(seen, report->address);

	report->size = seen->size;
	report->span = (const void *)mw_round_down((uintptr_t)seen->base, MW_PAGE_SIZE);
	report->span_pages = seen->pages;
	report->cache = seen->cache ? seen->cache->name : "large";
	if (index < seen->count) {
		report->object = mw_span_object(seen, index);
		mw_aid_traces(span, index, report);
		if (seen->flags & MW_SPAN_TINY)
			report->text = "tiny objects of the collector share a block: none is freed "
				       "or resized by hand";
	} else if ((uintptr_t)report->address < (uintptr_t)seen->base) {
		report->text = "the address is before the first object of a span";
	} else {
		report->text = "the address is behind the last object of a span";
	}
}

/* @seen: NULL: there is no span any more, or was none. */
static MW_NOINLINE void mw_free_report(enum mw_misuse what, const struct mw_span *span,
				       const struct mw_span *seen, const void *object,
				       const struct mw_said *said)
{
	struct mw_report report = {
		.what = what,
		.address = object,
		.given = said->sized ? said->size : 0,
		.given_cache = said->cache ? said->cache->name : NULL,
		.here.pcs[0] = said->site,
	};

	if (seen)
		mw_report_span(&report, span, seen);
	else if (object == mw_zero_object)
		report.text = "an object without bytes was given a size";
	else
		mw_page_stray(object, &report);
	mw_misuse(&report);
}

/* Note what the span is before anything is done, and whether @object is live. Return: false: it is gone. */
static bool mw_free_look(struct mw_span *span, struct mw_span *seen, const void *object, bool *live)
{
	size_t index;
	unsigned long state = mw_port_pin();
	unsigned int here = mw_port_cpu();
	bool there = mw_freer_begin(span, here) != MW_OWNER_GONE;

	if (there) {
		seen->base = span->base;
		seen->magic = span->magic;
		seen->count = span->count;
		seen->cache = mw_span_cache(span);
		seen->size = span->size;
		seen->pages = span->pages;
		seen->stride = span->stride;
		seen->flags = span->flags;
		seen->align = span->align;
		seen->asked = span->asked;
		*live = mw_span_has(span, object, &index) && mw_span_live(span, index);
	}
	mw_freer_end(here);
	mw_port_unpin(state);
	return there;
}

MW_NOINLINE bool mw_free_allowed(struct mw_span *span, const void *object, const struct mw_said *said)
{
	enum mw_misuse wrong = object == mw_zero_object ? MW_WRONG_SIZE : MW_FREED_SPAN;
	bool there, live = false;
	struct mw_span seen;

	there = span && mw_free_look(span, &seen, object, &live);
	if (there)
		wrong = mw_free_judge(&seen, object, live, said);
	if (wrong != MW_MISUSE_NONE)
		mw_free_report(wrong, span, there ? &seen : NULL, object, said);
	return wrong == MW_MISUSE_NONE;
}

MW_NOINLINE void mw_free_refused(enum mw_misuse wrong, struct mw_span *span, const void *object,
				 const struct mw_said *said)
{
	struct mw_span seen;
	size_t index;
	bool live;
	bool there = mw_free_look(span, &seen, object, &live) && mw_span_has(&seen, object, &index);

	mw_free_report(wrong, span, there ? &seen : NULL, object, said);
}
