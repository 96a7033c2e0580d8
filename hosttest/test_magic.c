// SPDX-License-Identifier: MIT
/*
 * The index of an object by multiplication, for every stride of a class and every offset of the longest
 * span; proofs/magic.smt2 says why it is exact.
 */
#include "../mm/object/inside.h"
#include "test.h"

#define LONGEST ((size_t)128 << 10)

/* Offsets from 0 up, quotient and remainder counted along. Return: the first that is wrong, or LONGEST. */
static size_t first_wrong(const struct mw_span *span)
{
	size_t index = 0, inside = 0;

	for (size_t offset = 0; offset < LONGEST; offset++) {
		mw_wide_t product = mw_span_product(span, span->base + offset);

		if ((size_t)(product >> MW_WORD_BITS) != index ||
		    ((unsigned long)product < span->magic) != !inside)
			return offset;
		if (++inside == span->stride) {
			inside = 0;
			index++;
		}
	}
	return LONGEST;
}

static void check_stride(size_t stride)
{
	struct mw_span span = { .stride = stride, .count = (unsigned int)(LONGEST / stride) };

	span.base = (char *)(uintptr_t)MW_PAGE_SIZE;
	mw_span_set_magic(&span);
	NEED(first_wrong(&span) == LONGEST);
}

TEST(every_offset_of_every_class)
{
	struct mw_class_tables tables;

	mw_class_fill(&tables);
	for (unsigned int i = 1; i < tables.count; i++)
		check_stride(tables.sizes[i]);
}

/* Typed caches and red zones make others. */
TEST(every_offset_of_other_strides)
{
	for (unsigned int i = 0; i < 50; i++)
		check_stride(8 + 8 * test_below(4095));
}

/* Every multiple of 8 up to the largest small object. */
TEST_WITH(every_offset_of_every_stride, TEST_LONG)
{
	for (size_t stride = 8; stride <= MW_SMALL_MAX; stride += 8)
		check_stride(stride);
}

/* With a magic of one more, inner addresses pass for the beginnings of objects, or indexes are wrong. */
TEST(a_wrong_magic_is_seen)
{
	struct mw_span span = { .stride = 48, .count = (unsigned int)(LONGEST / 48) };

	span.base = (char *)(uintptr_t)MW_PAGE_SIZE;
	mw_span_set_magic(&span);
	span.magic -= 1;
	CHECK(first_wrong(&span) < LONGEST);
}

/* A single object: only its first byte is its beginning, and every one of its bytes has index 0. */
TEST(one_object_in_a_span)
{
	struct mw_span span = { .stride = MW_PAGE_SIZE, .count = 1 };

	span.base = (char *)(uintptr_t)MW_PAGE_SIZE;
	mw_span_set_magic(&span);
	for (size_t offset = 0; offset < LONGEST; offset++) {
		mw_wide_t product = mw_span_product(&span, span.base + offset);

		NEED(!(size_t)(product >> MW_WORD_BITS));
		NEED(((unsigned long)product < span.magic) == !offset);
	}
}

TEST(classes_hold_their_sizes_and_no_more)
{
	struct mw_class_tables tables;

	mw_class_fill(&tables);
	for (size_t size = 1; size <= MW_SMALL_MAX; size++) {
		unsigned int class = mw_class_of(&tables, size);

		NEED(class && class < tables.count && tables.sizes[class] >= size);
		NEED(tables.sizes[class - 1] < size);
	}
	CHECK(true);
}
