/* SPDX-License-Identifier: MIT */
/*
 * The page heap's structures and what its files ask of each other: see docs/design/page.md.
 *
 *	pages.c, span.c            the calls, and what they check
 *	stock.c                    single pages, stacks and buffers that a CPU keeps
 *	heap.c                     allocating, freeing, joining, growing
 *	runs.c, tree.c             the index of free runs
 *	region.c, add.c, remove.c  regions, as they come and go
 *	map.c                      the page map
 *	oom.c, scavenge.c          giving memory back, to callers and to the port
 *	memmap.c                   memory maps as firmware leaves them
 *	check.c, poison.c, guard.c, what.c, stat.c   looking for faults; figures
 */
#ifndef MW_PAGE_PAGE_H
#define MW_PAGE_PAGE_H

#include "../base/meta.h"
#include "../base/report.h"
#include "../base/shadow.h"
#include "map.h"
#include "tree.h"

enum mw_zone_index {
	MW_ZONE_16M,
	MW_ZONE_4G,
	MW_ZONE_REST,
	MW_ZONES
};

/*
 * Lists of free runs: one for each length below 128 pages, then 16 for each doubling, the last
 * without end. Each is two: a run of n pages is good if it contains a naturally aligned block of the
 * largest power of two up to n, else poor, and then it contains one of half that size. So an
 * aligned block is found as fast as any run: in a good list of its own length up to the double, or
 * in any list from there on. Singles are not in lists, but in the trees of their regions.
 */
#define MW_EXACT_SHIFT 7
#define MW_EXACT ((size_t)1 << MW_EXACT_SHIFT)
#define MW_SUB_SHIFT 4
#define MW_BIN_DOUBLINGS (MW_PN_BITS > 28 ? 28 - MW_EXACT_SHIFT : MW_PN_BITS - MW_EXACT_SHIFT)
#define MW_BINS (MW_EXACT + ((size_t)MW_BIN_DOUBLINGS << MW_SUB_SHIFT))
#define MW_LISTS (2 * MW_BINS)
#define MW_LIST_WORDS ((MW_LISTS + MW_WORD_BITS - 1) / MW_WORD_BITS)

/* All under the heap lock. */
struct mw_zone {
	unsigned long summary; /* words of @lists that are not 0 */
	unsigned long lists[MW_LIST_WORDS]; /* lists that are not empty */
	uintptr_t head[MW_LISTS]; /* last page of the first run, or MW_PN_NONE */
	unsigned long singles[MW_NR_IDS / MW_WORD_BITS]; /* ids of regions that have singles */
	size_t pages; /* in regions, without their own metadata */
	size_t by_order[MW_PN_BITS]; /* free runs of [2^i, 2^(i+1)) pages */
	size_t grown; /* of these, up to the frontiers */
	size_t used, most_used; /* of these, not in free runs */
	size_t released;
	struct mw_list growing; /* regions with a gap */
	bool ready; /* it had a region: @head is set up */
};

/*
 * A run of page frames in one zone:
 *
 *   first       frontier       ceiling       end
 *     | heap    |    gap       |  metadata    |
 *
 * The heap grows up into the gap, metadata grows down. Both first take what they want from @gap, by
 * compare and swap, so that neither needs the other's lock; frontier - ceiling is never less
 * than what they took. The page at the ceiling is never used: once the gap is gone it is a guard page between
 * the last page of the heap and the first of the records.
 */
struct mw_region {
	mw_atomic_t first, end; /* page numbers; constant while the region is known */
	mw_atomic_t frame; /* physical page of @first */
	size_t frontier; /* heap lock */
	mw_atomic_t ceiling;
	mw_atomic_t gap;
	unsigned int id;
	enum mw_zone_index zone;
	struct mw_zone *index; /* that zone: where its free runs are */
	bool zeroed; /* memory that was never used reads as zero */
	bool live;
	bool shut; /* the gap is gone, and the page at the frontier guarded; heap lock */
	/* Bits were ever set below; whoever owns a page with one sees it, by the heap lock. */
	_Atomic(bool) some_zero, some_released, some_poison;
	struct mw_map_part map; /* heap lock */
	size_t own; /* pages of metadata that it cannot be without, with the guard page */
	size_t map_bytes; /* of them: set aside for the page map */
	size_t used; /* pages below the frontier that are in no free run; heap lock */
	size_t released; /* of them, with the port; heap lock */
	struct mw_tree ends; /* last pages of free runs, relative to @first; heap lock */
	struct mw_tree singles; /* free runs of one page; heap lock */
	/*
	 * A bit a page. Zero: known to read as zero, as long as it is free, and still when it has just
	 * been taken. Released: free, and with the port. Bits change under the heap lock; who owns
	 * a page may read its bits without.
	 */
	mw_atomic_t *zero_bits, *released_bits, *poison_bits;
	struct mw_list growing; /* in its zone */
	const void *base; /* as it was added; the same for all parts of it */
};

/* A run of free pages in the index. */
struct mw_run {
	struct mw_region *region;
	size_t first, n;
	size_t list; /* where it is, or would be if it is a single */
};

/* What mw_region_add() is given, in pages. */
struct mw_frames {
	size_t first, n, frame;
	bool zeroed;
};

#define MW_MAX_REGIONS MW_NR_IDS
#define MW_CAN_RELEASE (MW_PORT_LEVEL >= 3)

/* See heap.c for what the fields under the lock mean together. */
struct mw_page {
	struct mw_lock add; /* MW_RANK_REGISTRY: guards @leaving, and the shrinkers */
	struct mw_lock heap; /* MW_RANK_HEAP */
	struct mw_zone zone[MW_ZONES];
	struct mw_region *_Atomic by_id[MW_NR_IDS];
	/* Sorted; read pinned, without a lock: unchanged, if @seq was even and is the same afterwards. */
	mw_atomic_t seq;
	mw_atomic_t nr_regions;
	struct mw_region *_Atomic by_address[MW_MAX_REGIONS];
	struct mw_region *_Atomic by_frame[MW_MAX_REGIONS];
	struct mw_region early[4]; /* the first ones, before there is memory for more */
	struct mw_fixed regions, spans;
	struct mw_list leaving; /* regions whose readers may not be gone, by @growing; @add */
	bool ready;
	/*
	 * Bits of a RAW word that count when it may be stocked: not the id, except that memory below
	 * 16 MiB is too good for it where there is other. All bits, so that nothing may, while pages of
	 * the reserve are in use. Written under the heap lock.
	 */
	_Atomic(uintptr_t) stock_mask;
	/* One bit a CPU: its stock is set up. How often they were opened and closed; odd: they are open. */
	mw_atomic_t stocks_begun[(MW_MAX_CPUS + MW_WORD_BITS - 1) / MW_WORD_BITS];
	mw_atomic_t stocks_turn;
	size_t reserve; /* pages that only MW_RESERVE requests may take; heap lock */
	bool reserve_short; /* some of them are in use; heap lock */
	unsigned int epoch; /* of the scavenger; heap lock */
	uint64_t epoch_at[MW_AGE_MASK + 1]; /* when each began; heap lock */
	mw_atomic_t scavenging; /* somebody is */
	_Atomic(bool) scavenge_trace; /* a line for each mw_scavenge() */
	mw_atomic_t changing; /* somebody adds or removes regions, who alone does, see mw_regions_change() */
	mw_atomic_t lifted; /* pages that the scavenger has taken out of the heap now */
	_Atomic(bool) poison; /* fill what is freed, see poison.c */
	size_t raw, objects; /* pages; heap lock */
	unsigned long allocs, frees, failures;
	mw_atomic_t metadata; /* pages */
	struct mw_shrinker *shrinkers; /* @add guards the list */
	struct mw_shrinker *next_shrinker, *shrinking; /* to be asked; that is asked; @add */
	mw_atomic_t asking; /* somebody asks */
	struct mw_lock pool_lock; /* MW_RANK_LEAF: pages for metadata once the gaps are used up */
	size_t pool_at, pool_n;
	mw_atomic_t pool_rest; /* pages taken for it, with guards, that are not handed out as records */
	mw_atomic_t stacks; /* pages of stacks that are in use */
	mw_atomic_t pool_wanted; /* pages that could not be had; 0: none */
	size_t lent; /* pages of the heap that became metadata; heap lock */
	size_t lost; /* pages that the port did not give back; heap lock */
};

extern struct mw_page mw_page;

/* What is looked for. All in pages. */
struct mw_want {
	size_t n;
	size_t align; /* power of two, from 1 */
	size_t boundary; /* power of two, or 0 */
	mw_flags_t flags;
};

/* runs.c; heap lock held */
struct mw_run mw_run_ending_at(size_t last);
struct mw_run mw_run_starting_at(size_t first);
void mw_run_insert(struct mw_region *region, size_t first, size_t n, unsigned int age);
void mw_run_remove(const struct mw_run *run);
/* For mw_run_move_front(): what is a matter for lists no longer, or not yet. */
MW_NOINLINE void mw_run_insert_again(const struct mw_run *run, size_t first, unsigned int age);
unsigned int mw_run_age(const struct mw_run *run);
/* A run with room for @want, still in the index, and where in it. */
bool mw_run_find(const struct mw_zone *zone, const struct mw_want *want, struct mw_run *run,
		 size_t *start);
/* The first page in @run where @want fits, or MW_PN_NONE. */
size_t mw_run_fit(const struct mw_run *run, const struct mw_want *want);
size_t mw_run_largest(enum mw_zone_index zone);
size_t mw_run_count(const struct mw_zone *zone);
bool mw_run_listed(const struct mw_run *run);
bool mw_run_check_lists(enum mw_zone_index zone);

/* heap.c */
/* Pages by which a region grows, at most, and whose bits change, with the heap lock held in one go. */
#define MW_GROW_MOST (16 * MW_LEAF_PAGES)
#define MW_BITS_ONCE ((size_t)4096)

/*
 * [start, start + n) is the caller's; no word says so yet. NULL: no such run; but with *@grew not yet: the
 * heap has grown a step towards one. Then give the lock back and ask again. Heap lock held.
 */
struct mw_region *mw_heap_take(const struct mw_want *want, size_t *start, bool *grew);
/* The same from page @start on; NULL too where @want crosses its boundary there. */
struct mw_region *mw_heap_take_at(size_t start, const struct mw_want *want, bool *grew);
/* Pages that are free, in gaps too. Heap lock held. */
size_t mw_heap_left(void);
/* May there be such a run, at @at or anywhere for NULL, once all that is in use is given back? No lock held. */
bool mw_heap_could(const struct mw_want *want, const void *at);
/* While pages of the reserve are in use no stock takes what is freed, so that it is whole again first. Heap lock held. */
void mw_heap_look_at_reserve(void);
/* The free run that @pn is in; false if it is not free. Heap lock held. */
bool mw_run_around(struct mw_region *region, size_t pn, struct mw_run *run);
void mw_heap_give(struct mw_region *region, size_t start, size_t n);
/* For the scavenger: out of its run and back, as if nothing had happened. */
void mw_heap_lift(struct mw_region *region, size_t start, size_t n);
void mw_heap_settle(struct mw_region *region, size_t start, size_t n, unsigned int age);
/* The same for what was handed out: counted, and no longer known to be zero. Heap lock held. */
void mw_heap_return(struct mw_region *region, size_t start, size_t n);
/* Before it, without a lock: the part of it that takes long for a long run. The caller owns the pages. */
void mw_heap_dirty(struct mw_region *region, size_t start, size_t n);
/* mw_bits_set() for any number of pages, which the caller owns. No lock held. */
void mw_heap_bits(mw_atomic_t *bits, size_t from, size_t n, bool value);
/*
 * Make what was taken ready for use, without a lock: back from the port, and zero if asked. @dirty:
 * may not be zero. Return: false if the port has lost pages of it: then mw_heap_lose(), and take another run.
 */
bool mw_heap_prepare(struct mw_region *region, size_t start, size_t n, bool zero, bool *dirty);
/* What mw_heap_prepare() could not get is nobody's from now on, and no longer in @counted. Heap lock held. */
void mw_heap_lose(size_t start, size_t n, size_t *counted);

/* stock.c: which runs may be stocked. Heap lock held. */
void mw_stock_mask_set(void);

/*
 * guard.c: a page that nobody may touch, between the heap's objects and its records. Who writes past the end
 * of an object writes there, and mw_page_check() finds it.
 */
void mw_guard_set(size_t pn);
bool mw_guard_check(size_t pn);

/* poison.c */
void mw_poison_fill(struct mw_region *region, size_t start, size_t n);
void mw_poison_check(struct mw_region *region, size_t start, size_t n);

/* oom.c: mw_page_reclaim() for any request. */
bool mw_page_reclaim_for(const struct mw_want *want, const void *at, unsigned int *step);

/* region.c */
void mw_page_init(void);
bool mw_region_grow(struct mw_region *region, size_t pages);
/* A line for each mw_scavenge(), or none. */
void mw_scavenge_trace(bool on);
/* Bytes that a region of @n pages needs to know its free runs by: part of its own metadata. */
size_t mw_region_index_bytes(size_t n);
/* One adds or removes regions at a time; others wait, turning. Not pinned. */
void mw_regions_change(void);
void mw_regions_changed(void);
/* It is among those that grow, and the gap is gone. Heap lock held. */
void mw_region_shut(struct mw_region *region);
/* Pinned, as long as it is looked at, unless a page of it is the caller's. */
struct mw_region *mw_region_of(size_t pn);
size_t mw_page_gap(void);
void *mw_pool_take(size_t n);
void mw_tables_insert(struct mw_region *region);
void mw_tables_remove(struct mw_region *region);
/* The whole pages of what mw_region_add() is given. Return: NULL, or what is wrong with it. */
const char *mw_region_round(const void *base, uint64_t phys, size_t len, struct mw_frames *out);
/* Is any page of [@first, @end) in a region other than @region? */
bool mw_region_shares(const struct mw_region *region, size_t first, size_t end);

/* Bits of pages, see struct mw_region. */
void mw_bits_set(mw_atomic_t *bits, size_t from, size_t n, bool value);
/* The first run of bits with @value in [@from, @to); false: none. */
bool mw_bits_run(const mw_atomic_t *bits, size_t from, size_t to, bool value, size_t *lo, size_t *hi);

static inline size_t mw_region_first(const struct mw_region *region)
{
	return atomic_load_explicit(&((struct mw_region *)region)->first, memory_order_relaxed);
}

static inline size_t mw_region_gap(const struct mw_region *region)
{
	return atomic_load_explicit(&((struct mw_region *)region)->gap, memory_order_relaxed);
}

static inline bool mw_region_flag(const _Atomic(bool) *flag)
{
	return atomic_load_explicit((_Atomic(bool) *)flag, memory_order_relaxed);
}

static inline struct mw_region *mw_region_by_id(unsigned int id)
{
	return atomic_load_explicit(&mw_page.by_id[id], memory_order_relaxed);
}

#endif
