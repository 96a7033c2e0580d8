// SPDX-License-Identifier: MIT
/*
 * Properties of the arithmetic that everything trusts, for all values there are: scripts/prove.py
 * translates each function below, as compiled with what it calls inline, to bit-vectors, and z3 says
 * whether it can return false. A wrong shift is a false of its own. The refuted_ ones are wrong on
 * purpose: each must be found to be.
 */
#include "../mm/object/object.h"
#include "../mm/page/map.h"

#define PROPERTY(name, ...)                                                                        \
	bool proved_##name(__VA_ARGS__);                                                           \
	bool proved_##name(__VA_ARGS__)
#define WRONG(name, ...)                                                                           \
	bool refuted_##name(__VA_ARGS__);                                                          \
	bool refuted_##name(__VA_ARGS__)
#define IMPLIES(a, b) (!(a) || (b))

typedef unsigned long word;

/* ---- bits ---- */

/* Counted as one would by hand. */
static inline unsigned int bits_by_hand(word w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MW_WORD_BITS; i++)
		n += w >> i & 1;
	return n;
}

PROPERTY(count_bits, word w)
{
	return mw_count_bits(w) == bits_by_hand(w);
}

PROPERTY(lowest_bit, word w)
{
	return IMPLIES(w, mw_lowest_bit(w) < MW_WORD_BITS && w >> mw_lowest_bit(w) & 1 &&
				  !(w & ((1ul << mw_lowest_bit(w)) - 1)));
}

PROPERTY(highest_bit, word w)
{
	return IMPLIES(w, mw_highest_bit(w) < MW_WORD_BITS && w >> mw_highest_bit(w) == 1);
}

PROPERTY(log2_up, word n)
{
	unsigned int log2 = mw_log2_up(n);

	return IMPLIES(n && n <= 1ul << (MW_WORD_BITS - 1),
		       log2 < MW_WORD_BITS && 1ul << log2 >= n && (!log2 || 1ul << (log2 - 1) < n));
}

PROPERTY(is_pow2, word n)
{
	return mw_is_pow2(n) == (bits_by_hand(n) == 1);
}

/* ---- rounding and overflow ---- */

PROPERTY(round_up, word n, word align)
{
	word up = mw_round_up(n, align);

	return IMPLIES(mw_is_pow2(align) && n <= ~0ul - (align - 1),
		       up >= n && up - n < align && !(up & (align - 1)));
}

PROPERTY(round_down, word n, word align)
{
	word down = mw_round_down(n, align);

	return IMPLIES(mw_is_pow2(align), down <= n && n - down < align && !(down & (align - 1)));
}

/* Pages of a large request, after the check that mw_large_alloc() makes. */
PROPERTY(large_pages, word size)
{
	word pages = (size + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT;

	return IMPLIES(size <= SIZE_MAX - MW_PAGE_SIZE,
		       pages <= SIZE_MAX >> MW_PAGE_SHIFT && pages << MW_PAGE_SHIFT >= size &&
			       (pages << MW_PAGE_SHIFT) - size < MW_PAGE_SIZE);
}

PROPERTY(mul_overflows, word a, word b)
{
	mw_wide_t exact = (mw_wide_t)a * b;
	size_t product;
	bool over = mw_mul_overflows(a, b, &product);

	return over == (exact >> MW_WORD_BITS != 0) && IMPLIES(!over, product == (word)exact);
}

/* ---- size classes: the index is in the table, and names its size ---- */

PROPERTY(fine_index, word size)
{
	word i = (size + 7) / 8;

	return IMPLIES(size && size <= MW_FINE_MAX,
		       i < MW_FINE_STEPS && 8 * i >= size && 8 * i - size < 8);
}

PROPERTY(coarse_index, word size)
{
	word i = (size - MW_FINE_MAX + 127) / 128;

	return IMPLIES(size > MW_FINE_MAX && size <= MW_SMALL_MAX,
		       i < MW_COARSE_STEPS && MW_FINE_MAX + 128 * i >= size &&
			       MW_FINE_MAX + 128 * i - size < 128);
}

/* ---- bitmaps of a span ---- */

static inline word mask_of(unsigned int count, word w)
{
	struct mw_span span = { .count = count };

	return mw_span_mask(&span, w);
}

/* Object @index has a bit in its word's mask exactly if it exists. Spans have fewer than 2^15. */
PROPERTY(span_mask, unsigned int count, unsigned int index)
{
	bool there = mask_of(count, index / MW_WORD_BITS) & mw_bit(index);

	return IMPLIES(index < 1u << 31, there == (index < count));
}

/* ---- the page map ---- */

PROPERTY(page_number_and_back, word address)
{
	word at = address - (word)MW_ADDR_BASE;

	return IMPLIES(!((uint64_t)at >> MW_ADDR_BITS),
		       (word)mw_pn_address(mw_pn((void *)address)) ==
				       mw_round_down(address, MW_PAGE_SIZE) &&
			       mw_pn((void *)address) <= MW_PN_MASK);
}

/*
 * What is in the window is in the root, and in a leaf of a table of it; addresses and numbers agree
 * on which.
 */
PROPERTY(map_index, word address)
{
	word at = address - (word)MW_ADDR_BASE, pn = mw_pn((void *)address);
	word slot = at >> MW_MAP_TABLE_SHIFT, leaf = at >> MW_MAP_LEAF_SHIFT & (MW_MAP_LEAVES - 1);
	word in_leaf = mw_map_leaf_number(address);

	return IMPLIES(!((uint64_t)at >> MW_ADDR_BITS),
		       slot < MW_LEN(mw_map_root) && in_leaf < MW_LEAF_PAGES &&
			       slot == pn / (MW_MAP_LEAVES * MW_LEAF_PAGES) &&
			       leaf == pn / MW_LEAF_PAGES % MW_MAP_LEAVES &&
			       in_leaf == pn % MW_LEAF_PAGES &&
			       pn == (slot * MW_MAP_LEAVES + leaf) * MW_LEAF_PAGES + in_leaf);
}

/* The root's bound is the window's: what is not in it is found nowhere. */
PROPERTY(map_bounds_agree, word address)
{
	word at = address - (word)MW_ADDR_BASE;

	return (at >> MW_MAP_TABLE_SHIFT >= MW_LEN(mw_map_root)) ==
	       ((uint64_t)at >> MW_ADDR_BITS != 0);
}

/* A word gives back what it was made of. */
PROPERTY(map_word_round_trip, unsigned int tag, unsigned int id, word payload)
{
	word packed = mw_map_word_of((enum mw_map_tag)tag, id, payload);

	return IMPLIES(tag <= MW_MAP_TAG && id < MW_NR_IDS && payload <= MW_PN_MASK,
		       mw_map_tag(packed) == tag && mw_map_id(packed) == id &&
			       mw_map_payload(packed) == payload);
}

/* A stocked page's mark is outside of all that, so it can be added and taken off. */
PROPERTY(map_word_stocked, unsigned int id, word payload)
{
	word packed = mw_map_word_of(MW_TAG_RAW, id, payload);

	return IMPLIES(id < MW_NR_IDS && payload <= MW_PN_MASK,
		       !(packed & MW_RAW_STOCKED) &&
			       mw_map_payload(packed | MW_RAW_STOCKED) == payload &&
			       mw_map_id(packed | MW_RAW_STOCKED) == id);
}

/* ---- wrong on purpose ---- */

WRONG(round_up_without_a_limit, word n, word align)
{
	return IMPLIES(mw_is_pow2(align), mw_round_up(n, align) >= n);
}

WRONG(zero_is_a_power, word n)
{
	return mw_is_pow2(n) == (bits_by_hand(n) <= 1);
}

WRONG(payload_of_any_size, unsigned int id, word payload)
{
	return mw_map_payload(mw_map_word_of(MW_TAG_RAW, id % MW_NR_IDS, payload)) == payload;
}

WRONG(mask_one_too_long, unsigned int count, unsigned int index)
{
	bool there = mask_of(count, index / MW_WORD_BITS) & mw_bit(index);

	return there == (index <= count);
}

WRONG(shift_by_the_width, word w, unsigned int n)
{
	return IMPLIES(n <= MW_WORD_BITS, w << n == w << n % MW_WORD_BITS || n == MW_WORD_BITS);
}

WRONG(coarse_index_off_by_one, word size)
{
	word i = (size - MW_FINE_MAX + 128) / 128;

	return IMPLIES(size > MW_FINE_MAX && size <= MW_SMALL_MAX, i < MW_COARSE_STEPS);
}
