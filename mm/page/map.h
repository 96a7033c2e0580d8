/* SPDX-License-Identifier: MIT */
/*
 * What the page map says of memory that is in no span: the second of its two words a page, which
 * nobody but the page heap needs. Frees of objects and marks read the first one alone, see span.h.
 *
 * A page is known by its number, counted from MW_ADDR_BASE. A word is a tag of 3 bits, mostly the id of
 * the region, and a payload. Free runs need no records of their own: all that is known of a run
 * stands in the words of its pages, its links at the end and its length at the beginning.
 *
 *   pages   words, first to last
 *   raw     RAW count | anything that is none of SINGLE, PAIR, HEAD, END ...
 *   1 free  SINGLE age
 *   2 free  PAIR prev, age | PAIR next
 *   3 free  HEAD length | INNER prev, age | END next
 *   n free  HEAD length | 0 or INNER ... | INNER length | INNER prev, age | END next
 *
 * So a free page next to a run that is being freed is known by one look: SINGLE, PAIR or END on the
 * left, SINGLE, PAIR or HEAD on the right. HEAD, END, PAIR and SINGLE stand nowhere else; pages of
 * a span have words that are none of these, nor RAW. Words change under MW_RANK_HEAP, except RAW
 * ones as they become stocked and are handed out again: see stock.h.
 */
#ifndef MW_PAGE_MAP_H
#define MW_PAGE_MAP_H

#include "span.h"

enum mw_map_tag {
	MW_TAG_NONE,
	MW_TAG_RAW,
	MW_TAG_SINGLE,
	MW_TAG_PAIR,
	MW_TAG_HEAD,
	MW_TAG_END,
	MW_TAG_INNER,
};

#define MW_PN_BITS (MW_ADDR_BITS - MW_PAGE_SHIFT)
#define MW_PN_MASK (((uintptr_t)1 << MW_PN_BITS) - 1)
#define MW_PN_NONE MW_PN_MASK /* the end of a list */

/* Bit 0 of an id: below 16 MiB. */
#define MW_MAP_TAG 7ul
#define MW_ID_SHIFT 3
#define MW_ID_BITS (MW_WORD_BITS == 64 ? 10 : 8)
#define MW_ID_MASK (((uintptr_t)1 << MW_ID_BITS) - 1)
#define MW_NR_IDS (1u << MW_ID_BITS)
#define MW_ID_LOW 1u
#define MW_PAYLOAD_SHIFT (MW_ID_SHIFT + MW_ID_BITS)
/* The top bit of a RAW word: the page is in a CPU's stock, not handed out. */
#define MW_RAW_STOCKED ((uintptr_t)1 << (MW_WORD_BITS - 1))
/*
 * Ids that no region has, in RAW words with MW_RAW_STOCKED, which no free takes: runs that are out of the heap
 * for good, as the port has lost them or as they became metadata.
 */
#define MW_ID_LOST 0u
#define MW_ID_RECORDS 1u

/* Ages are counted in epochs of the scavenger. INNER words carry one in place of the id. */
#define MW_AGE_MASK 127u
#define MW_AGE_STAYS (~0u)
#define MW_PAIR_AGE (MW_WORD_BITS == 64) /* there is room for one */
#define MW_PAIR_AGE_SHIFT ((MW_PAYLOAD_SHIFT + MW_PN_BITS) % MW_WORD_BITS)

struct mw_region;

static inline uintptr_t mw_map_word_of(enum mw_map_tag tag, unsigned int id, uintptr_t payload)
{
	return (uintptr_t)tag | (uintptr_t)id << MW_ID_SHIFT | payload << MW_PAYLOAD_SHIFT;
}

/* Of the first page of a run that is out of the heap for good. */
static inline uintptr_t mw_map_kept(unsigned int id, size_t n)
{
	return mw_map_word_of(MW_TAG_RAW, id, n) | MW_RAW_STOCKED;
}

static inline enum mw_map_tag mw_map_tag(uintptr_t word)
{
	return (enum mw_map_tag)(word & MW_MAP_TAG);
}

static inline unsigned int mw_map_id(uintptr_t word)
{
	return (unsigned int)(word >> MW_ID_SHIFT & MW_ID_MASK);
}

/* @word is a RAW one. */
static inline bool mw_map_is_kept(uintptr_t word)
{
	return (word & MW_RAW_STOCKED) && mw_map_id(word) <= MW_ID_RECORDS;
}

static inline uintptr_t mw_map_payload(uintptr_t word)
{
	return word >> MW_PAYLOAD_SHIFT & MW_PN_MASK;
}

static inline size_t mw_pn(const void *address)
{
	return ((uintptr_t)address - (uintptr_t)MW_ADDR_BASE) >> MW_PAGE_SHIFT;
}

static inline void *mw_pn_address(size_t pn)
{
	return (void *)((uintptr_t)MW_ADDR_BASE + ((uintptr_t)pn << MW_PAGE_SHIFT));
}

/*
 * Of any address; those of pages that nobody has used yet, or that are in no region, are never
 * written. Pinned.
 */
static inline mw_map_word *mw_map_find(const void *address)
{
	const struct mw_map_leaf *leaf = &mw_map_nothing;
	const struct mw_map_table *table;
	mw_map_word *runs;
	size_t n = mw_map_flat_number((uintptr_t)address);

	MW_ASSERT_READER();
	if (mw_likely(n != MW_MAP_NOT_FLAT))
		return atomic_load_explicit(&mw_map_flat.runs, memory_order_relaxed) + n;
	table = mw_map_table((uintptr_t)address);
	if (mw_likely(table))
		leaf = mw_map_leaf_in(table, (uintptr_t)address);
	runs = atomic_load_explicit(&((struct mw_map_leaf *)leaf)->runs, memory_order_acquire);
	return runs + mw_map_leaf_number((uintptr_t)address);
}

/* Of a page that is in a region, below its frontier. */
static inline mw_map_word *mw_map_at(size_t pn)
{
	size_t pages = atomic_load_explicit(&mw_map_flat.pages, memory_order_acquire);
	size_t n = pn - atomic_load_explicit(&mw_map_flat.first, memory_order_relaxed);
	const struct mw_map_table *table;
	const struct mw_map_leaf *leaf;

	if (mw_likely(n < pages))
		return atomic_load_explicit(&mw_map_flat.runs, memory_order_relaxed) + n;
	table = atomic_load_explicit(&mw_map_root[pn / (MW_MAP_LEAVES * MW_LEAF_PAGES)],
				     memory_order_relaxed);
	leaf = &table->leaf[pn / MW_LEAF_PAGES % MW_MAP_LEAVES];
	return atomic_load_explicit(&((struct mw_map_leaf *)leaf)->runs, memory_order_relaxed) +
	       pn % MW_LEAF_PAGES;
}

/* The word for any address; 0 where there is none. */
static inline uintptr_t mw_map_get_pinned(uintptr_t address)
{
	return atomic_load_explicit(mw_map_find((const void *)address), memory_order_relaxed);
}

uintptr_t mw_map_get(uintptr_t address);

static inline uintptr_t mw_map_read(size_t pn)
{
	return atomic_load_explicit(mw_map_at(pn), memory_order_relaxed);
}

static inline void mw_map_write(size_t pn, uintptr_t word)
{
	atomic_store_explicit(mw_map_at(pn), word, memory_order_relaxed);
}

/*
 * What a region brings of the page map, out of its own memory. Its first and its last leaf, which
 * it may share with other regions, are there when it comes, unless they were there before; those
 * between when the frontier reaches them, as nobody else has a part in them. So it is with tables.
 */
struct mw_map_part {
	size_t slot, leaf; /* numbers of the first table and the first leaf that it brings */
	size_t slots, leaves; /* how many */
	struct mw_map_table *tables;
	mw_span_word *spans;
	mw_map_word *runs;
};

/*
 * Bytes that a region of [@first, @end) needs for its part. As long as nobody else changes regions.
 */
size_t mw_map_bytes(size_t first, size_t end);
/* It is laid out from @at on, for [@first, @end). Heap lock held. */
void mw_map_come(struct mw_map_part *part, size_t first, size_t end, char *at);
/*
 * [@first, @end) is about to be used; @clear: the part's memory is not known to be zero. Heap lock
 * held.
 */
void mw_map_wake(const struct mw_map_part *part, size_t first, size_t end, bool clear);
/*
 * What of the map lies in [@lo, @hi), a region's own memory, goes out of it, as far as it serves
 * pages of [@first, @end). mw_map_lends(): other regions' pages, too, are served by it.
 */
bool mw_map_lends(const struct mw_region *region, const char *lo, const char *hi);
void mw_map_disown(size_t first, size_t end, const char *lo, const char *hi);
/* Who was looking up words when that was done has come out since. Heap lock held. */
void mw_map_readers_gone(const char *lo, const char *hi);
bool mw_map_check(void);
/* For mw_reset(): as if nothing had ever been there. */
void mw_map_forget(size_t first, size_t end);

#endif
