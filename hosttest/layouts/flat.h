/* SPDX-License-Identifier: MIT */
/*
 * Layout Q, objects up to FLAT_MAX: a live, a remote and a mark bit for each 16 bytes, and an owner for each page.
 * Rotating the distance from the region's beginning by 4 makes what is no multiple of 16 too large a number.
 */
#ifndef LAYOUTS_FLAT_H
#define LAYOUTS_FLAT_H

#include "mark.h"
#include "span.h"

#ifdef LAYOUT_Q

#ifdef LAYOUT_LEAVES
typedef struct lay_leaf flat_t;

static inline uintptr_t flat_granule(uintptr_t at)
{
	return at >> 4 | at << 60;
}

static inline bool flat_is(uintptr_t g)
{
	return g >> (LEAF_SHIFT - 4) < ROOTS;
}

static inline flat_t *flat_of(uintptr_t g)
{
	return atomic_load_explicit(&lay_root[g >> (LEAF_SHIFT - 4)], memory_order_acquire);
}

static inline size_t flat_nr_page(uintptr_t g)
{
	return g >> 8 & (LEAF_PAGES - 1);
}

static inline size_t flat_nr_word(uintptr_t g)
{
	return g >> 6 & (4 * LEAF_PAGES - 1);
}
#else
typedef struct lay_home flat_t;

static inline uintptr_t flat_granule(uintptr_t at)
{
	at -= (uintptr_t)lay_region;
	return at >> 4 | at << 60;
}

static inline bool flat_is(uintptr_t g)
{
	return g < lay_region_granules;
}

static inline flat_t *flat_of(uintptr_t g)
{
	(void)g;
	return home();
}

static inline size_t flat_nr_page(uintptr_t g)
{
	return g >> 8;
}

static inline size_t flat_nr_word(uintptr_t g)
{
	return g >> 6;
}
#endif

static inline unsigned int flat_owner(flat_t *flat, uintptr_t g)
{
	return atomic_load_explicit(&flat->owner[flat_nr_page(g)], memory_order_relaxed);
}

/* In a page of this CPU. Return: false: no live object begins there. */
static inline bool flat_free_exact(flat_t *flat, uintptr_t g)
{
	word_t *word = &flat->live[flat_nr_word(g)];
	unsigned long bits = word_get(word);

	if (mw_unlikely(!clear_bit(&bits, g)))
		return false;
	word_set(word, bits);
	return true;
}

/* 65536 / granules, rounded up: an object's index in its page is the upper part of a product. */
extern const uint32_t flat_inverse[17];

/*
 * As mark_described(), for a word that leads into a page of small objects; @is: that is where. A granule with its
 * live bit is the beginning of an object; any other one is looked for.
 */
static inline bool flat_mark_word(uintptr_t word, bool *is)
{
	uintptr_t g = flat_granule(word & ~15ul);
	struct flat_page *page;
	unsigned long bits;
	flat_t *flat;
	word_t *mark;

	if (!flat_is(g))
		return false;
	flat = flat_of(g);
	page = &flat->page[flat_nr_page(g)];
	if (!page->granules)
		return false;
	*is = true;
	if (!page->collected)
		return false;
	bits = word_get(&flat->live[flat_nr_word(g)]);
	if (!(bits & bit_of(g))) {
		size_t in_page = g & 255;

		g = g - in_page + (in_page * flat_inverse[page->granules] >> 16) * page->granules;
		bits = word_get(&flat->live[flat_nr_word(g)]);
	}
	bits &= ~word_get(&flat->remote[flat_nr_word(g)]);
	mark = &flat->mark[flat_nr_word(g)];
	if (!(bits & ~word_get(mark) & bit_of(g)))
		return false;
	word_set(mark, word_get(mark) | bit_of(g));
#ifdef LAYOUT_LEAVES
	mark_push((void *)(g << 4), page->granules * 16ul);
#else
	mark_push(lay_region + (g << 4), page->granules * 16ul);
#endif
	return true;
}

void flat_slot_start(struct lay_slot *slot);
void *flat_slot_more(struct lay_slot *slot);
void flat_owner_set(const void *page, unsigned int kind);

#endif
#endif
