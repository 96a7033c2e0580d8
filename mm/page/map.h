/* SPDX-License-Identifier: MIT */
/*
 * What the page map's words say of memory that is in no span.
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
 * left, SINGLE, PAIR or HEAD on the right. HEAD, END, PAIR and SINGLE stand nowhere else.
 * Words change under MW_RANK_HEAP, except RAW ones as they become stocked and are handed out again: see
 * stock.h.
 */
#ifndef MW_PAGE_MAP_H
#define MW_PAGE_MAP_H

#include "span.h"

enum mw_map_tag {
	MW_TAG_NONE,
	MW_TAG_SPAN = MW_MAP_SPAN,
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

#define MW_LEAF_PAGE_SHIFT (MW_MAP_LEAF_SHIFT - MW_PAGE_SHIFT)
#define MW_LEAF_PAGES ((size_t)1 << MW_LEAF_PAGE_SHIFT)

/* Words of pages in the same MiB stand beside each other, whatever the leaf. */
#define MW_TWIG_SHIFT 20
#define MW_TWIG_PAGE_SHIFT (MW_TWIG_SHIFT - MW_PAGE_SHIFT)
#define MW_TWIG_PAGES ((size_t)1 << MW_TWIG_PAGE_SHIFT)

MW_NOINLINE mw_map_word *mw_map_at_small(uintptr_t entry, size_t pn);

/* The word of a page that is in a region and whose leaf is awake. */
static inline mw_map_word *mw_map_at(size_t pn)
{
	uintptr_t entry =
		atomic_load_explicit(&mw_map_root[pn >> MW_LEAF_PAGE_SHIFT], memory_order_relaxed);

	if (mw_unlikely(!(entry & MW_MAP_LEAF)))
		return mw_map_at_small(entry, pn);
	return (mw_map_word *)(entry - MW_MAP_LEAF) + (pn & (MW_LEAF_PAGES - 1));
}

MW_NOINLINE mw_map_word *mw_map_find_small(uintptr_t entry, size_t pn);

/* The word of any address, or NULL. Pinned, as long as the word is looked at. */
static inline mw_map_word *mw_map_find(const void *address)
{
	uintptr_t at = (uintptr_t)address - (uintptr_t)MW_ADDR_BASE, entry;

	MW_ASSERT_READER();
	if (mw_unlikely((uint64_t)at >> MW_ADDR_BITS))
		return NULL;
	at >>= MW_PAGE_SHIFT;
	entry = atomic_load_explicit(&mw_map_root[at >> MW_LEAF_PAGE_SHIFT], memory_order_acquire);
	if (mw_unlikely(!(entry & MW_MAP_LEAF)))
		return mw_map_find_small(entry, at);
	return (mw_map_word *)(entry - MW_MAP_LEAF) + (at & (MW_LEAF_PAGES - 1));
}

/* The same, but NULL also where it is not in a leaf. */
static inline mw_map_word *mw_map_find_leaf(const void *address)
{
	uintptr_t at = (uintptr_t)address - (uintptr_t)MW_ADDR_BASE, entry;

	MW_ASSERT_READER();
	if (mw_unlikely((uint64_t)at >> MW_ADDR_BITS))
		return NULL;
	at >>= MW_PAGE_SHIFT;
	entry = atomic_load_explicit(&mw_map_root[at >> MW_LEAF_PAGE_SHIFT], memory_order_acquire);
	if (mw_unlikely(!(entry & MW_MAP_LEAF)))
		return NULL;
	return (mw_map_word *)(entry - MW_MAP_LEAF) + (at & (MW_LEAF_PAGES - 1));
}

static inline uintptr_t mw_map_read(size_t pn)
{
	return atomic_load_explicit(mw_map_at(pn), memory_order_relaxed);
}

static inline void mw_map_write(size_t pn, uintptr_t word)
{
	atomic_store_explicit(mw_map_at(pn), word, memory_order_relaxed);
}

/*
 * For who adds a region, alone. mw_map_bytes() says what [@first, @end) lacks, at most. mw_map_claim() carves it
 * from @at on, a step with the heap lock held at a time: with @slot that of @first, until it returns false. Large
 * leaves stay asleep, untouched, until mw_map_wake().
 */
#define MW_MAP_STEP 64u /* leaves */
struct mw_map_claim {
	size_t first, end, slot;
	char *at, *leaf; /* where the next one would be; where those in a row begin */
	size_t leaves; /* that are in a row, up to @slot */
	size_t done; /* steps or twigs of @slot */
};
size_t mw_map_bytes(size_t first, size_t end);
bool mw_map_claim(struct mw_map_claim *claim);
void mw_map_wake(size_t first, size_t end, bool clear);
/*
 * Leaves, tables and twigs in [@lo, @hi) leave the map, as far as they serve pages of [@first, @end).
 * mw_map_lends(): other pages, too, are served by them.
 */
bool mw_map_lends(const struct mw_region *region, size_t first, size_t end, const char *lo,
		  const char *hi);
void mw_map_disown(size_t first, size_t end, const char *lo, const char *hi);
/* Who was looking up words when that was done has come out since. Heap lock held. */
void mw_map_readers_gone(const char *lo, const char *hi);
bool mw_map_check(void);
/* For mw_reset(): as if nothing had ever been there. */
void mw_map_forget(size_t first, size_t end);

#endif
