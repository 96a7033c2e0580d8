/* SPDX-License-Identifier: MIT */
/*
 * Layout P, and what layout Q has for objects above FLAT_MAX: a page map of 32-bit numbers of spans. 0 is a span that
 * there is not: nobody owns it, so that no free need ask. Bitmaps are in the descriptor: live, remote, marks.
 */
#ifndef LAYOUTS_SPAN_H
#define LAYOUTS_SPAN_H

#include "heap.h"

#ifdef LAYOUT_Q
/* What the fast paths need not know of a page of small objects. */
struct flat_page {
	uint32_t next, next_pending;
	uint16_t cache;
	uint8_t granules; /* of an object; 0: none such are here */
	bool collected;
};
#endif

struct span {
	char *base;
	unsigned long magic; /* 2^64 / stride, rounded up */
	_Atomic(unsigned int) owner;
	unsigned int count;
	struct lay_cache *cache; /* NULL: large */
	size_t size;
	unsigned short words, remote_at, mark_at; /* of bitmaps; mark_at 0: no marks */
	bool listed;
	_Atomic(unsigned int) holder; /* large: 1 + the CPU that has it live, 0: free */
	unsigned int pages;
	struct span *next, *next_pending;
	word_t live[];
};

/*
 * A word of the page map: a span's number, or with LAYOUT_WIDE its address, as a machine wants whose descriptors lie
 * further apart than numbers of 32 bits reach. Then all words are made that of the span that there is not.
 */
#ifdef LAYOUT_WIDE
typedef struct span *_Atomic map_word;
#define MAP_SPAN(word) (word)
#define MAP_WORD(span) (span)
#else
typedef _Atomic(uint32_t) map_word;
#define MAP_SPAN(word) ((struct span *)(lay_region + 8ul * (word)))
#define MAP_WORD(span) ((uint32_t)(((char *)(span)-lay_region) / 8))
#endif

/*
 * What metadata begins with. Numbers are words from here, so the span that there is not is here too. In the real
 * thing it is the beginning of the largest region, with a guard page at its end.
 */
struct lay_home {
#ifndef LAYOUT_WIDE
	_Alignas(64) union {
		struct span none;
		char none_bytes[128];
	};
#endif
#ifdef LAYOUT_Q
	/* Q looks at these first. */
	_Atomic(uint32_t) owner[PAGES];
	word_t live[LAY_ARENA / 1024], remote[LAY_ARENA / 1024], mark[LAY_ARENA / 1024];
	struct flat_page page[PAGES];
#endif
	map_word map[PAGES];
#ifdef LAYOUT_WIDE
	_Alignas(64) union {
		struct span none;
		char none_bytes[128];
	};
#endif
	char rest[(size_t)16 << 20];
};
/* Where it and the region begin, from where pages are counted, and how many there are; variables, as in a kernel. */
extern char *lay_region;
extern size_t lay_region_pages, lay_region_granules;

static inline struct lay_home *home(void)
{
	return (struct lay_home *)lay_region;
}

struct lay_leaf {
#ifdef LAYOUT_Q
	_Atomic(uint32_t) owner[LEAF_PAGES];
	word_t live[LEAF_PAGES * 4], remote[LEAF_PAGES * 4], mark[LEAF_PAGES * 4];
	struct flat_page page[LEAF_PAGES];
#endif
	map_word map[LEAF_PAGES];
};
extern struct lay_leaf *_Atomic lay_root[ROOTS];
extern struct lay_leaf lay_no_leaf;

#ifdef LAYOUT_LEAVES
static inline map_word *map_entry(const void *address)
{
	uintptr_t at = (uintptr_t)address;
	struct lay_leaf *leaf =
		atomic_load_explicit(&lay_root[at >> LEAF_SHIFT], memory_order_acquire);

	return &leaf->map[at / PAGE % LEAF_PAGES];
}

static inline struct span *span_of(const void *address)
{
	if (mw_unlikely((uintptr_t)address >> LEAF_SHIFT >= ROOTS))
		return &home()->none;
	return MAP_SPAN(atomic_load_explicit(map_entry(address), memory_order_acquire));
}
#else
static inline map_word *map_entry(const void *address)
{
	return &home()->map[((uintptr_t)address - (uintptr_t)lay_region) / PAGE];
}

static inline struct span *span_of(const void *address)
{
	size_t n = ((uintptr_t)address - (uintptr_t)lay_region) / PAGE;

	if (mw_unlikely(n >= lay_region_pages))
		return &home()->none;
	return MAP_SPAN(atomic_load_explicit(&home()->map[n], memory_order_acquire));
}
#endif

static inline unsigned int span_owner(const struct span *span)
{
	return atomic_load_explicit(&((struct span *)span)->owner, memory_order_relaxed);
}

/* The index of an object from its exact address. Return: false: it is not one. */
static inline bool span_index(const struct span *span, const void *object, size_t *index)
{
	unsigned long inside;

	*index = mw_multiply((uintptr_t)object - (uintptr_t)span->base, &span->magic, &inside);
	return inside < span->magic;
}

/* Return: it was set. As mw_set_bit() of mm/base/word.h. */
static inline bool clear_bit(unsigned long *word, size_t bit)
{
#if MW_WORD_ASM
	bool was;

	__asm__("btrq %2, %0" : "+r"(*word), "=@ccc"(was) : "r"(bit));
	return was;
#else
	unsigned long had = *word;

	*word &= ~bit_of(bit);
	return *word != had;
#endif
}

/* In a span of this CPU. Return: false: no live object is there. */
static inline bool span_free_exact(struct span *span, const void *object)
{
	unsigned long bits;
	size_t index;

	if (mw_unlikely(!span_index(span, object, &index)))
		return false;
	bits = word_get(&span->live[index / 64]);
	if (mw_unlikely(!clear_bit(&bits, index)))
		return false;
	word_set(&span->live[index / 64], bits);
	return true;
}

struct lay_slot {
	word_t *word, *remote; /* the live and remote bits that are allocated from */
	unsigned long ready, mask; /* @mask: bits that are objects */
	char *base;
	size_t unit; /* bytes a bit stands for: an object, or 16 with flat bits */
	struct lay_cache *cache;
	unsigned long refills;
	/* Descriptors: */
	struct span *span, *avail, *avail_last;
	/* Flat bits: pages by number, 0: none. */
	uint32_t page, avail_page, avail_last_page;
	unsigned int granules, w;
};

static inline unsigned long with_bit(unsigned long word, unsigned int bit)
{
#if MW_WORD_ASM
	__asm__("btsq %q1, %0" : "+r"(word) : "r"(bit) : "cc");
	return word;
#else
	return word | bit_of(bit);
#endif
}

/* An object of the word, or NULL. */
static inline void *slot_take(struct lay_slot *slot)
{
	unsigned long ready = slot->ready;
	unsigned int i;
	char *object;

	if (mw_unlikely(!ready)) {
		ready = slot->mask & ~(word_get(slot->word) | word_get(slot->remote));
		if (mw_unlikely(!ready))
			return NULL;
	}
	i = mw_lowest_bit(ready);
	word_set(slot->word, with_bit(word_get(slot->word), i));
	slot->ready = mw_without_bit(ready, i);
	object = slot->base + i * (uint32_t)slot->unit;
	__asm__("" : "+r"(object));
	/* Callers that ask whether there is one need not ask again. */
	if (!object)
		__builtin_unreachable();
	return object;
}

void span_slot_start(struct lay_slot *slot);
void *span_slot_more(struct lay_slot *slot);
void *span_alloc_large(size_t size);
/* The fast path did not free it: @owner says what is to be done. */
void span_free_other(void *object, struct span *span, unsigned int owner);
/* The same; it shall be an object of @cache. */
void span_free_cached(void *object, struct span *span, struct lay_cache *cache);
size_t span_usable(const void *object);
bool span_live(const struct span *span, size_t index);

#endif
