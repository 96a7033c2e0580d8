/* SPDX-License-Identifier: MIT */
/* Made maps, one question each, and at the end all of them at once. */
#ifndef MAPS_MADE_H
#define MAPS_MADE_H

#include "map.h"

/* clang-format off */

/* Nothing is listed, nothing is there. */

/* Entries of no length, at all kinds of places */
static const struct mw_memrange only_empty[] = {
	{ 0, 0, F }, { 0x5000, 0, F }, { 0xffffffffffffffff, 0, R }, { 0x1800, 0, A },
};

static const struct mw_memrange one_page[] = {
	{ 0x7000, 0x1000, F },
};
static const struct mw_memrange one_page_runs[] = {
	{ 0x7000, 0x1000, F },
};

static const struct mw_memrange byte_short_of_a_page[] = {
	{ 0x7000, 0xfff, F },
};

/* A page long, one byte late: no whole page inside */
static const struct mw_memrange page_too_late[] = {
	{ 0x7001, 0x1000, F },
};

static const struct mw_memrange two_pages_one_inside[] = {
	{ 0x7001, 0x1fff, F },
};
static const struct mw_memrange two_pages_one_inside_runs[] = {
	{ 0x8000, 0x1000, F },
};

/* Two free entries fill a page together, the later one first */
static const struct mw_memrange halves[] = {
	{ 0x7800, 0x800, F }, { 0x7000, 0x800, F },
};
static const struct mw_memrange halves_runs[] = {
	{ 0x7000, 0x1000, F },
};

/* A byte between them is not listed */
static const struct mw_memrange halves_with_a_gap[] = {
	{ 0x7000, 0x7ff, F }, { 0x7800, 0x800, F },
};

/* The page is as its worse half */
static const struct mw_memrange halves_of_two_types[] = {
	{ 0x6000, 0x1800, F }, { 0x7800, 0x1800, A },
};
static const struct mw_memrange halves_of_two_types_runs[] = {
	{ 0x6000, 0x1000, F }, { 0x7000, 0x2000, A },
};

static const struct mw_memrange thirds_of_three_types[] = {
	{ 0x7000, 0x500, F }, { 0x7500, 0x500, A }, { 0x7a00, 0x600, R }, { 0x8000, 0x1000, A },
};
static const struct mw_memrange thirds_of_three_types_runs[] = {
	{ 0x8000, 0x1000, A },
};

/* One byte takes its page out of the middle */
static const struct mw_memrange byte_reserved[] = {
	{ 0x10000, 0x10000, F }, { 0x18abc, 1, R },
};
static const struct mw_memrange byte_reserved_runs[] = {
	{ 0x10000, 0x8000, F }, { 0x19000, 0x7000, F },
};

static const struct mw_memrange byte_reclaimable[] = {
	{ 0x10000, 0x10000, F }, { 0x18abc, 1, A },
};
static const struct mw_memrange byte_reclaimable_runs[] = {
	{ 0x10000, 0x8000, F }, { 0x18000, 0x1000, A }, { 0x19000, 0x7000, F },
};

static const struct mw_memrange last_byte_reserved[] = {
	{ 0x10000, 0x10000, F }, { 0x1ffff, 1, R },
};
static const struct mw_memrange last_byte_reserved_runs[] = {
	{ 0x10000, 0xf000, F },
};

static const struct mw_memrange first_byte_reserved[] = {
	{ 0x10000, 0x10000, F }, { 0x10000, 1, R },
};
static const struct mw_memrange first_byte_reserved_runs[] = {
	{ 0x11000, 0xf000, F },
};

/* Takes two pages */
static const struct mw_memrange two_bytes_across_a_border[] = {
	{ 0x10000, 0x10000, F }, { 0x17fff, 2, R },
};
static const struct mw_memrange two_bytes_across_a_border_runs[] = {
	{ 0x10000, 0x7000, F }, { 0x19000, 0x7000, F },
};

static const struct mw_memrange duplicates[] = {
	{ 0x10000, 0x4000, F }, { 0x10000, 0x4000, F }, { 0x10000, 0x4000, F },
	{ 0x20000, 0x1000, A }, { 0x20000, 0x1000, A },
};
static const struct mw_memrange duplicates_runs[] = {
	{ 0x10000, 0x4000, F }, { 0x20000, 0x1000, A },
};

static const struct mw_memrange same_place_all_types[] = {
	{ 0x10000, 0x4000, F }, { 0x10000, 0x4000, R }, { 0x10000, 0x4000, A },
};

/* Each inside the one before */
static const struct mw_memrange nested[] = {
	{ 0x10000, 0x40000, F }, { 0x14000, 0x20000, A }, { 0x18000, 0x10000, R },
	{ 0x1a000, 0x2000, F },
};
static const struct mw_memrange nested_runs[] = {
	{ 0x10000, 0x4000, F }, { 0x14000, 0x4000, A }, { 0x28000, 0xc000, A },
	{ 0x34000, 0x1c000, F },
};

/* What a reserved entry covers stays covered */
static const struct mw_memrange free_inside_reserved[] = {
	{ 0x10000, 0x40000, R }, { 0x20000, 0x1000, F }, { 0x30000, 0x1000, A },
};

/* Each begins in the one before */
static const struct mw_memrange staircase[] = {
	{ 0x10000, 0x4000, F }, { 0x13000, 0x4000, A }, { 0x16000, 0x4000, F },
	{ 0x19000, 0x4000, R }, { 0x1c000, 0x4000, F },
};
static const struct mw_memrange staircase_runs[] = {
	{ 0x10000, 0x3000, F }, { 0x13000, 0x4000, A }, { 0x17000, 0x2000, F },
	{ 0x1d000, 0x3000, F },
};

/* Sorted the wrong way round, touching, so one run */
static const struct mw_memrange backwards[] = {
	{ 0x2b000, 0x3000, F }, { 0x28000, 0x3000, F }, { 0x25000, 0x3000, F },
	{ 0x22000, 0x3000, F }, { 0x1f000, 0x3000, F }, { 0x1c000, 0x3000, F },
	{ 0x19000, 0x3000, F }, { 0x16000, 0x3000, F }, { 0x13000, 0x3000, F },
	{ 0x10000, 0x3000, F },
};
static const struct mw_memrange backwards_runs[] = {
	{ 0x10000, 0x1e000, F },
};

/* Every other page */
static const struct mw_memrange comb[] = {
	{ 0x40000, 0x1000, F }, { 0x4e000, 0x1000, F }, { 0x5c000, 0x1000, F },
	{ 0x4a000, 0x1000, F }, { 0x58000, 0x1000, F }, { 0x46000, 0x1000, F },
	{ 0x54000, 0x1000, F }, { 0x42000, 0x1000, F }, { 0x50000, 0x1000, F },
	{ 0x5e000, 0x1000, F }, { 0x4c000, 0x1000, F }, { 0x5a000, 0x1000, F },
	{ 0x48000, 0x1000, F }, { 0x56000, 0x1000, F }, { 0x44000, 0x1000, F },
	{ 0x52000, 0x1000, F },
};
static const struct mw_memrange comb_runs[] = {
	{ 0x40000, 0x1000, F }, { 0x42000, 0x1000, F }, { 0x44000, 0x1000, F },
	{ 0x46000, 0x1000, F }, { 0x48000, 0x1000, F }, { 0x4a000, 0x1000, F },
	{ 0x4c000, 0x1000, F }, { 0x4e000, 0x1000, F }, { 0x50000, 0x1000, F },
	{ 0x52000, 0x1000, F }, { 0x54000, 0x1000, F }, { 0x56000, 0x1000, F },
	{ 0x58000, 0x1000, F }, { 0x5a000, 0x1000, F }, { 0x5c000, 0x1000, F },
	{ 0x5e000, 0x1000, F },
};

/* Free, reclaimable and free again without a gap */
static const struct mw_memrange comb_of_three[] = {
	{ 0x40000, 0x1000, F }, { 0x41000, 0x1000, A }, { 0x42000, 0x1000, F },
	{ 0x43000, 0x1000, F }, { 0x44000, 0x1000, A }, { 0x45000, 0x1000, F },
	{ 0x46000, 0x1000, F }, { 0x47000, 0x1000, A }, { 0x48000, 0x1000, F },
	{ 0x49000, 0x1000, F }, { 0x4a000, 0x1000, A }, { 0x4b000, 0x1000, F },
};
static const struct mw_memrange comb_of_three_runs[] = {
	{ 0x40000, 0x1000, F }, { 0x41000, 0x1000, A }, { 0x42000, 0x2000, F },
	{ 0x44000, 0x1000, A }, { 0x45000, 0x2000, F }, { 0x47000, 0x1000, A },
	{ 0x48000, 0x2000, F }, { 0x4a000, 0x1000, A }, { 0x4b000, 0x1000, F },
};

/* Entries of a page, half a page off: all join into one run, rounded at the ends */
static const struct mw_memrange shifted_comb[] = {
	{ 0x40800, 0x1000, F }, { 0x41800, 0x1000, F }, { 0x42800, 0x1000, F },
	{ 0x43800, 0x1000, F }, { 0x44800, 0x1000, F }, { 0x45800, 0x1000, F },
	{ 0x46800, 0x1000, F }, { 0x47800, 0x1000, F }, { 0x48800, 0x1000, F },
	{ 0x49800, 0x1000, F }, { 0x4a800, 0x1000, F }, { 0x4b800, 0x1000, F },
};
static const struct mw_memrange shifted_comb_runs[] = {
	{ 0x41000, 0xb000, F },
};

/* A page of sixteen pieces in no order, and one that misses a piece */
static const struct mw_memrange dust[] = {
	{ 0x9000, 0x100, F }, { 0x9500, 0x100, F }, { 0x9a00, 0x100, F }, { 0x9f00, 0x100, F },
	{ 0x9400, 0x100, F }, { 0x9900, 0x100, F }, { 0x9e00, 0x100, F }, { 0x9300, 0x100, F },
	{ 0x9800, 0x100, F }, { 0x9d00, 0x100, F }, { 0x9200, 0x100, F }, { 0x9700, 0x100, F },
	{ 0x9c00, 0x100, F }, { 0x9100, 0x100, F }, { 0x9600, 0x100, F }, { 0x9b00, 0x100, F },
	{ 0xa000, 0x100, F }, { 0xa100, 0x100, F }, { 0xa200, 0x100, F }, { 0xa300, 0x100, F },
	{ 0xa400, 0x100, F }, { 0xa500, 0x100, F }, { 0xa600, 0x100, F }, { 0xa700, 0x100, F },
	{ 0xa800, 0x100, F }, { 0xa900, 0x100, F }, { 0xaa00, 0x100, F }, { 0xac00, 0x100, F },
	{ 0xad00, 0x100, F }, { 0xae00, 0x100, F }, { 0xaf00, 0x100, F },
};
static const struct mw_memrange dust_runs[] = {
	{ 0x9000, 0x1000, F },
};

/* The page at address 0 is a page like others */
static const struct mw_memrange from_zero[] = {
	{ 0, 0x1000, F }, { 0x1000, 0x1000, A },
};
static const struct mw_memrange from_zero_runs[] = {
	{ 0, 0x1000, F }, { 0x1000, 0x1000, A },
};

/* A 32-bit sum would wrap in each of these */
static const struct mw_memrange below_4g_and_across[] = {
	{ 0xfffff000, 0x1000, F }, { 0x100000000, 0x1000, F }, { 0xffffe800, 0x800, A },
	{ 0xffffffff, 1, A },
};
static const struct mw_memrange below_4g_and_across_runs[] = {
	{ 0xfffff000, 0x1000, A }, { 0x100000000, 0x1000, F },
};

static const struct mw_memrange terabytes[] = {
	{ 0, 0x10000000000000, F }, { 0x100000000000, 1, R }, { 0x8000000000000, 0x1000, A },
};
static const struct mw_memrange terabytes_runs[] = {
	{ 0, 0x100000000000, F }, { 0x100000001000, 0x7effffffff000, F },
	{ 0x8000000000000, 0x1000, A }, { 0x8000000001000, 0x7fffffffff000, F },
};

/* All addresses; the last page is left out so that a run's end can be said */
static const struct mw_memrange whole_space[] = {
	{ 0, 0xffffffffffffffff, F }, { 0xffffffffffffffff, 1, F },
};
static const struct mw_memrange whole_space_runs[] = {
	{ 0, 0xfffffffffffff000, F },
};

static const struct mw_memrange whole_space_reserved[] = {
	{ 0, 0x8000, F }, { 0, 0xffffffffffffffff, R },
};

/* Ends exactly at the end of the address space */
static const struct mw_memrange up_to_the_top[] = {
	{ 0xffffffffffff0000, 0x10000, F },
};
static const struct mw_memrange up_to_the_top_runs[] = {
	{ 0xffffffffffff0000, 0xf000, F },
};

static const struct mw_memrange last_page_only[] = {
	{ 0xfffffffffffff000, 0x1000, F },
};

/* Start and length wrap around */
static const struct mw_memrange past_the_top[] = {
	{ 0xffffffffffff0000, 0x20000, F }, { 0, 0x4000, F },
};
static const struct mw_memrange past_the_top_runs[] = {
	{ 0, 0x4000, F }, { 0xffffffffffff0000, 0xf000, F },
};

/* A wrapping reserved entry must not lose its effect, nor gain one at 0 */
static const struct mw_memrange reserved_past_the_top[] = {
	{ 0xffffffffffff0000, 0xf000, F }, { 0xffffffffffff8000, 0xffffffffffffffff, R },
	{ 0, 0x4000, F },
};
static const struct mw_memrange reserved_past_the_top_runs[] = {
	{ 0, 0x4000, F }, { 0xffffffffffff0000, 0x8000, F },
};

static const struct mw_memrange longest_length[] = {
	{ 1, 0xffffffffffffffff, F },
};
static const struct mw_memrange longest_length_runs[] = {
	{ 0x1000, 0xffffffffffffe000, F },
};

/* All of them count as reserved */
static const struct mw_memrange unknown_types[] = {
	{ 0x10000, 0x40000, F }, { 0x12000, 0x1000, T(0) }, { 0x14000, 0x1000, T(4) },
	{ 0x16000, 0x1000, T(5) }, { 0x18000, 0x1000, T(12) }, { 0x1a000, 0x1000, T(20) },
	{ 0x1c000, 0x1000, T(0x7fffffff) }, { 0x1e000, 0x1000, T(-1) },
};
static const struct mw_memrange unknown_types_runs[] = {
	{ 0x10000, 0x2000, F }, { 0x13000, 0x1000, F }, { 0x15000, 0x1000, F },
	{ 0x17000, 0x1000, F }, { 0x19000, 0x1000, F }, { 0x1b000, 0x1000, F },
	{ 0x1d000, 0x1000, F }, { 0x1f000, 0x31000, F },
};

static const struct mw_memrange unknown_only[] = {
	{ 0x10000, 0x40000, T(0) }, { 0x80000, 0x40000, T(7) },
};

/* They touch in the middle of a page, from both sides */
static const struct mw_memrange reclaim_meets_free[] = {
	{ 0x10000, 0x2345, A }, { 0x12345, 0x4000, F }, { 0x16345, 0x3cbb, A },
};
static const struct mw_memrange reclaim_meets_free_runs[] = {
	{ 0x10000, 0x3000, A }, { 0x13000, 0x3000, F }, { 0x16000, 0x4000, A },
};

/* A page half reclaimable, half not listed, is nobody's */
static const struct mw_memrange reclaim_in_pieces[] = {
	{ 0x10000, 0x800, A }, { 0x11000, 0x1000, A }, { 0x12000, 0x7ff, A },
	{ 0x127ff, 0x801, F },
};
static const struct mw_memrange reclaim_in_pieces_runs[] = {
	{ 0x11000, 0x2000, A },
};

static const struct mw_memrange everything_at_once[] = {
	{ 0x100000000, 1, A }, { 0xfffffffffffff000, 0, F }, { 0xffffffffffffd000, 0x800, A },
	{ 0x9fbff, 1, T(-1) }, { 0x4000000, 0x1000, A },
	{ 0xffffffffffffe7ff, 0xffffffffffffffff, R }, { 0x500, 0x7b00, A }, { 0x7c00, 0x200, R },
	{ 0x3fff000, 0x801000, F }, { 0, 0x9fc01, F }, { 0x8000000, 0, R },
	{ 0xffffffffffffc001, 0x2801, F }, { 0x2fff800, 0x1801, F }, { 0xfffff7ff, 0x1802, F },
	{ 0x3000fff, 1, T(9) }, { 0x100000, 0x4000000, F }, { 0x323456, 0x2bad, A },
	{ 0x3ffffff, 2, F }, { 0x200000, 0x123456, R }, { 0x47fffff, 2, A },
	{ 0x200000, 0x123456, R }, { 0x9e000, 0x3000, F },
};
static const struct mw_memrange everything_at_once_runs[] = {
	{ 0, 0x7000, A }, { 0x8000, 0x97000, F }, { 0xa0000, 0x1000, F },
	{ 0x100000, 0x100000, F }, { 0x324000, 0x3000, A }, { 0x327000, 0x2cd9000, F },
	{ 0x3001000, 0xfff000, F }, { 0x4000000, 0x1000, A }, { 0x4001000, 0x7fe000, F },
	{ 0x47ff000, 0x1000, A }, { 0x100000000, 0x1000, A }, { 0xffffffffffffd000, 0x1000, A },
};

static const struct map_case made_maps[] = {
	MAP_EMPTY(no_entries),
	MAP_NOTHING(only_empty),
	MAP(one_page),
	MAP_NOTHING(byte_short_of_a_page),
	MAP_NOTHING(page_too_late),
	MAP(two_pages_one_inside),
	MAP(halves),
	MAP_NOTHING(halves_with_a_gap),
	MAP(halves_of_two_types),
	MAP(thirds_of_three_types),
	MAP(byte_reserved),
	MAP(byte_reclaimable),
	MAP(last_byte_reserved),
	MAP(first_byte_reserved),
	MAP(two_bytes_across_a_border),
	MAP(duplicates),
	MAP_NOTHING(same_place_all_types),
	MAP(nested),
	MAP_NOTHING(free_inside_reserved),
	MAP(staircase),
	MAP(backwards),
	MAP(comb),
	MAP(comb_of_three),
	MAP(shifted_comb),
	MAP(dust),
	MAP(from_zero),
	MAP(below_4g_and_across),
	MAP(terabytes),
	MAP(whole_space),
	MAP_NOTHING(whole_space_reserved),
	MAP(up_to_the_top),
	MAP_NOTHING(last_page_only),
	MAP(past_the_top),
	MAP(reserved_past_the_top),
	MAP(longest_length),
	MAP(unknown_types),
	MAP_NOTHING(unknown_only),
	MAP(reclaim_meets_free),
	MAP(reclaim_in_pieces),
	MAP(everything_at_once),
};
/* clang-format on */

#endif
