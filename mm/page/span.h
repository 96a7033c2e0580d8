/* SPDX-License-Identifier: MIT */
/*
 * A span: a run of pages that holds objects, and the page map that leads to it.
 *
 * The page map has two words a page: the span that the page is in, here; and what is known of the
 * free or raw run that it is in, which mm/page alone reads (map.h). Any address at all may be
 * looked up, at any moment, without a lock: whoever gets a span gets one that was in use at that
 * moment, and descriptors never become anything else.
 */
#ifndef MW_PAGE_SPAN_H
#define MW_PAGE_SPAN_H

#include <marrow/mm.h>
#include "../base/grace.h"
#include "../base/list.h"
#include "../base/lock.h"
#include "../base/meta.h"

#define MW_SPAN_BITS 4

/*
 * What pages of no span lead to: no CPU's, nothing in it is an object, and it never changes. So who
 * frees need not ask whether there is a span.
 */
extern const struct mw_span mw_span_none;
#define MW_SPAN_NO_OWNER                                                                           \
	0x20003u /* its owner, and that of spans between two lives; see mm/object/object.h */
#define MW_CLASS_NONE 255u /* span->class: more than there are */

/* Flags that say how memory is looked for, not of which kind it is. */
#define MW_HOW_FLAGS (MW_ATOMIC | MW_NO_SHRINK | MW_RESERVE)

struct mw_cache;
struct mw_type;
struct mw_record;

struct mw_span {
	struct mw_region *region; /* mm/page's; its place is used for another link when free */
	/* What every free reads. Written before the span is in the page map. */
	char *base; /* first byte; mm/object may move it up to the first object; see mw_span_readable() */
	unsigned long magic; /* mm/object: 2^WORD_BITS / stride, rounded up; 1 for a single object */
	mw_atomic_t *free; /* mm/object: a bit for each object, 1: free or not there */
	/*
	 * mm/object: a CPU's number, with flags; see mm/object/object.h. It and pending_next outlive
	 * the span: mm/page does not write them when it uses a descriptor again.
	 */
	_Atomic(unsigned int) owner;
	unsigned int count; /* mm/object: objects */
	struct mw_cache *cache; /* mm/object: NULL for a large object */
	size_t size; /* of an object; what may be used of it */
	size_t pages;
	bool dirty; /* not known to be zero; set by mm/page */
	_Atomic(bool) in_use; /* between mw_span_alloc() and mw_span_free(); written under MW_RANK_HEAP */
	unsigned char where; /* mm/object: which list @link is in */
	_Atomic(unsigned char) flags; /* mm/object: MW_SPAN_* */
	unsigned char bin; /* mm/object: of a CPU's stock, for large ones; 0: not kept */
	_Atomic(unsigned char) sampled; /* mm/special: MW_SAMPLED_*; written under records_lock */
	unsigned char align; /* log2 of what a large object was asked with */
	unsigned char class; /* mm/object: of a size class's objects; MW_CLASS_NONE: of others */
	_Atomic(unsigned int) queued; /* mm/gc: in a marker's queue; exchanged, so not smaller */
	_Atomic(unsigned int) generation; /* mm/gc: of the sweep */

	struct mw_list link; /* in a list of its owner's; guarded as that list is */
	/* The rest is mm/object's, see there, and mm/gc's. */
	struct mw_list owned; /* all spans of a CPU */
	mw_atomic_t *remote; /* 1: freed by another CPU, not gathered yet */
	mw_atomic_t *mark; /* mm/gc: collected spans only, else NULL */
	mw_atomic_t *scanned; /* mm/gc: those with pointers only, else NULL */
	struct mw_span *pending_next; /* in a CPU's list of spans freed from elsewhere */
	struct mw_debug_span *debug; /* NULL unless a debug aid is on */
	size_t stride; /* from one object to the next */
	unsigned int words; /* of each bitmap */
	/* mm/object: who may free a large object without more ado; outlives the span, as owner does */
	_Atomic(unsigned int) holder;
	/* mm/gc and mm/special */
	const struct mw_type *type; /* NULL: objects are scanned conservatively */
	/* The bitmaps of a span of few objects: the owner's half, and from a cache line on the others'. */
	mw_atomic_t bits[MW_SPAN_BITS];
	struct mw_span *gc_next;
	/* How far a large object has been handed out to scanners, bytes; in a second mark, see check.c, its record. */
	mw_atomic_t gc_scanned;
	/* mm/special: written under records_lock; 0 before and after each life */
	union {
		uintptr_t records; /* odd: an index */
		struct mw_record *record; /* else the first of a few */
	};
	struct mw_lock records_lock; /* of the descriptor, not of one life of the span */
	unsigned int told,
		quiet; /* records: those whose objects' frees are told, and the others; records_lock */
	size_t asked; /* mm/object: what a large object was asked with last, bytes */
};

/*
 * The page map: a root in bss with an entry for each 64 MiB, NULL where there is no memory; tables;
 * and leaves of 1 MiB, the words of whose pages stand beside each other. A leaf that nobody has
 * used yet has mw_map_nothing's words, which are never written.
 */
#define MW_MAP_TABLE_SHIFT 26
#define MW_MAP_LEAF_SHIFT 20
#define MW_MAP_LEAVES ((size_t)1 << (MW_MAP_TABLE_SHIFT - MW_MAP_LEAF_SHIFT))
#define MW_LEAF_PAGES ((size_t)1 << (MW_MAP_LEAF_SHIFT - MW_PAGE_SHIFT))

typedef struct mw_span *_Atomic mw_span_word;
typedef _Atomic(uintptr_t) mw_map_word; /* known to mm/page */

struct mw_map_leaf {
	mw_span_word *_Atomic spans;
	mw_map_word *_Atomic runs;
};

struct mw_map_table {
	struct mw_map_leaf leaf[MW_MAP_LEAVES];
};

extern struct mw_map_table *_Atomic mw_map_root[(size_t)1 << (MW_ADDR_BITS - MW_MAP_TABLE_SHIFT)];
extern const struct mw_map_leaf mw_map_nothing;

/*
 * Leaves that lie one behind the other, mostly those of the largest region, are also reached in one
 * step. @pages is read first: the others only change while it is 0, and nobody who saw it as
 * something else is still reading.
 */
extern struct mw_map_flat {
	_Alignas(MW_CACHE_LINE) mw_atomic_t pages;
	_Atomic(uintptr_t) bias; /* address + bias: bytes from the first page */
	mw_atomic_t first; /* number of the first page */
	mw_span_word *_Atomic spans;
	mw_map_word *_Atomic runs;
	size_t most; /* what @pages may grow to; 0: no leaves yet; heap lock */
	bool shut; /* its region was removed: closed until all readers are gone; heap lock */
} mw_map_flat;

#define MW_MAP_NOT_FLAT SIZE_MAX

/* The number in mw_map_flat of the page of any address. */
static inline size_t mw_map_flat_number(uintptr_t address)
{
	size_t pages = atomic_load_explicit(&mw_map_flat.pages, memory_order_acquire);
	uintptr_t bias = atomic_load_explicit(&mw_map_flat.bias, memory_order_relaxed);
	size_t n = (address + bias) >> MW_PAGE_SHIFT;

	return mw_likely(n < pages) ? n : MW_MAP_NOT_FLAT;
}

/*
 * The table that has the leaf of any address, or NULL. What is found goes when its region does, a
 * grace period later.
 */
static inline const struct mw_map_table *mw_map_table(uintptr_t address)
{
	uintptr_t slot = (address - (uintptr_t)MW_ADDR_BASE) >> MW_MAP_TABLE_SHIFT;

	if (mw_unlikely(slot >= MW_LEN(mw_map_root)))
		return NULL;
	return atomic_load_explicit(&mw_map_root[slot], memory_order_acquire);
}

static inline const struct mw_map_leaf *mw_map_leaf_in(const struct mw_map_table *table,
						       uintptr_t address)
{
	uintptr_t at = address - (uintptr_t)MW_ADDR_BASE;

	return &table->leaf[at >> MW_MAP_LEAF_SHIFT & (MW_MAP_LEAVES - 1)];
}

/* The number in its leaf of the page of any address. */
static inline size_t mw_map_leaf_number(uintptr_t address)
{
	return (address - (uintptr_t)MW_ADDR_BASE) >> MW_PAGE_SHIFT & (MW_LEAF_PAGES - 1);
}

/* As mw_span_fast(), where mw_map_flat does not reach. Pinned. */
static inline struct mw_span *mw_span_far(uintptr_t address)
{
	const struct mw_map_table *table = mw_map_table(address);
	const struct mw_map_leaf *leaf;
	mw_span_word *spans;

	if (mw_unlikely(!table))
		return (struct mw_span *)&mw_span_none;
	leaf = mw_map_leaf_in(table, address);
	spans = atomic_load_explicit(&((struct mw_map_leaf *)leaf)->spans, memory_order_acquire);
	return atomic_load_explicit(&spans[mw_map_leaf_number(address)], memory_order_acquire);
}

/*
 * The span in use that @address lies in, or mw_span_none. Says nothing of objects. The map is read
 * pinned, or with the world stopped.
 */
static inline struct mw_span *mw_span_fast(const void *address)
{
	size_t n = mw_map_flat_number((uintptr_t)address);
	mw_span_word *spans;

	MW_ASSERT_READER();
	if (mw_unlikely(n == MW_MAP_NOT_FLAT))
		return mw_span_far((uintptr_t)address);
	spans = atomic_load_explicit(&mw_map_flat.spans, memory_order_relaxed);
	return atomic_load_explicit(&spans[n], memory_order_acquire);
}

/* The same, or NULL. Pinned, too. */
static inline struct mw_span *mw_span_of_pinned(const void *address)
{
	struct mw_span *span = mw_span_fast(address);

	return span == &mw_span_none ? NULL : span;
}

/* And for who is not pinned, or need not be quick. Descriptors stay descriptors. */
struct mw_span *mw_span_of(const void *address);

/*
 * Pages for objects, with a descriptor. @align in bytes, 0: a page. With MW_ZERO the pages are zero;
 * without, span->dirty says whether they may not be. The span is not in the page map until
 * mw_span_publish(), so that its owner can fill it first. Locks: none at or behind MW_RANK_STOCK.
 * Draining and waiting is the caller's business: NULL at once if there is no run.
 */
struct mw_span *mw_span_alloc(size_t pages, size_t align, mw_flags_t flags);
void mw_span_publish(struct mw_span *span);
/*
 * Make a span in use longer by the @more pages behind it, or give its last @less ones back. The caller
 * alone decides about it. mw_span_extend(): false if those pages are not free; with @zero they are
 * zero. Its pages are in the page map before, and leave it after, span->pages says so. Same locks.
 */
bool mw_span_extend(struct mw_span *span, size_t more, bool zero);
void mw_span_trim(struct mw_span *span, size_t less);
/* The owner has taken it off its lists. Same locks. */
void mw_span_free(struct mw_span *span);

/*
 * All descriptors ever used, whatever they are now: a span, one on its way in or out with fields of the one
 * before it, or none. Who wants spans takes mw_span_next() of mm/object. Without a lock. Start with a zeroed cursor.
 */
struct mw_span_cursor {
	struct mw_fixed_cursor at;
};
struct mw_span *mw_span_next_raw(struct mw_span_cursor *cursor);

/* No span lies outside of [@lo, @hi), until a region is added. World stopped. */
void mw_page_bounds(uintptr_t *lo, uintptr_t *hi);

/* Fill freed pages, and check that they are untouched when they are taken. Locks: none. */
void mw_page_poison(bool on);

/* Every structure of the page heap. Nobody else may be inside. */
bool mw_page_check(void);
void mw_page_reset(void);

#endif
