// SPDX-License-Identifier: MIT
#include <marrow/mm.h>
#include "../base/assert.h"
#include "class.h"

const struct mw_class_rules mw_class_rules = {
	.page = MW_PAGE_SIZE,
	.eighths_from = 256,
};

/* From @size, a power of two, up to the next one. */
static size_t mw_class_step(const struct mw_class_rules *rules, size_t size)
{
	if (size < 16)
		return 8;
	if (rules->even_from && size >= rules->even_from)
		return rules->even_step;
	return size >= rules->eighths_from ? size / 8 : 16;
}

size_t mw_class_pages(const struct mw_class_rules *rules, size_t size)
{
	size_t bytes = rules->page;

	while (bytes % size > bytes / 8)
		bytes += rules->page;
	return bytes / rules->page;
}

/* Would objects of either size make spans of as many pages and objects? */
static bool mw_class_same(const struct mw_class_rules *rules, size_t a, size_t b)
{
	size_t pages = mw_class_pages(rules, a);

	return pages == mw_class_pages(rules, b) &&
	       pages * rules->page / a == pages * rules->page / b;
}

size_t mw_class_sizes(const struct mw_class_rules *rules, size_t *sizes, size_t max)
{
	size_t n = 1, step = 8;

	sizes[0] = 0;
	for (size_t size = 8; size <= MW_SMALL_MAX; size += step) {
		if (mw_is_pow2(size))
			step = mw_class_step(rules, size);
		if (rules->merge && n > 1 && mw_class_same(rules, sizes[n - 1], size)) {
			sizes[n - 1] = size;
			continue;
		}
		if (n == max)
			return 0;
		sizes[n++] = size;
	}
	return n;
}

/* No span of small objects is longer: an index by multiplication stays exact with 32-bit words. */
#define MW_LONGEST_SPAN ((size_t)128 << 10)

static size_t mw_class_tail(size_t stride, size_t pages)
{
	return (pages << MW_PAGE_SHIFT) % stride;
}

/* Of the lengths from @want to half as much again, the one that leaves the smallest part unused. */
static size_t mw_class_best_length(size_t stride, size_t want, size_t least)
{
	size_t most = mw_min(want + want / 2, MW_LONGEST_SPAN >> MW_PAGE_SHIFT), best = want;

	for (size_t pages = want; pages <= most; pages++) {
		if (mw_class_tail(stride, pages) * best < mw_class_tail(stride, best) * pages)
			best = pages;
	}
	return mw_class_tail(stride, best) > (best << MW_PAGE_SHIFT) / 8 ? least : best;
}

/*
 * The first spans are short, because a small machine with many CPUs has hundreds of half-empty ones;
 * the last ones take 64 to 96 KiB, so that taking one is rare. Above 1 KiB, where eight objects take less, they
 * hold no more: a span of fewer objects is more often empty.
 */
void mw_class_lengths(size_t stride, unsigned short pages[MW_SPAN_LENGTHS])
{
	static const unsigned char shift[MW_SPAN_LENGTHS] = { 4, 2, 1, 0 };
	size_t eight = mw_max(mw_min(8 * stride, (size_t)64 << 10), (size_t)32 << 10);
	size_t longest = stride > MW_FINE_MAX ? eight : (size_t)64 << 10;
	size_t least = mw_class_pages(&mw_class_rules, stride), first;

	/* The first one holds eight objects, if that takes no more than a quarter of the longest. */
	first = mw_max(least, mw_min(8 * stride, longest / 4) >> MW_PAGE_SHIFT);
	for (unsigned int i = 0; i < MW_SPAN_LENGTHS; i++) {
		size_t want = mw_max(longest >> MW_PAGE_SHIFT >> shift[i], first);

		pages[i] = (unsigned short)mw_class_best_length(stride, want, least);
	}
}

void mw_class_fill(struct mw_class_tables *tables)
{
	size_t n = mw_class_sizes(&mw_class_rules, tables->sizes, MW_MAX_CLASSES);
	unsigned char c = 1;

	MW_ASSERT(n);
	tables->count = (unsigned int)n;
	for (size_t i = 1; i < MW_FINE_STEPS; i++) {
		while (tables->sizes[c] < 8 * i)
			c++;
		tables->fine[i] = c;
	}
	for (size_t i = 0; i < MW_COARSE_STEPS; i++) {
		while (tables->sizes[c] < MW_FINE_MAX + 128 * i)
			c++;
		tables->coarse[i] = c;
	}
}
