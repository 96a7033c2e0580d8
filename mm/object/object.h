/* SPDX-License-Identifier: MIT */
/*
 * Objects: what the rooms above may know of caches, their spans, and what CPUs hold.
 *
 * The way of an allocation. mw_alloc() finds the cache of the size; the CPU, pinned, has a slot for
 * each cache with the free word that it allocates from: lowest set bit, cleared, is the object. A
 * word that is empty is replaced (slot.c; mw_slot_more() in the usual case) by the next one of the
 * span; a span that is, by another one that the CPU owns, by what other CPUs freed in its spans, by
 * one of the cache's central list, by one from the page heap; and if there is none, by what drain.c
 * can find.
 *
 * The way of a free. The page map leads from the address to the span, a multiplication by the span's
 * magic to the object's index and to whether it is exact, the free bit says whether it is live. If
 * this CPU owns the span, setting the bit is all. If another one does, the bit in the span's remote
 * word is set instead (remote.c), and the owner gathers. If none does, the cache's lock is taken.
 * All of it happens pinned, and into a span that cannot go back meanwhile: see mw_freer_begin().
 * Large objects have a span each, which a CPU keeps for a while when they are freed (kept.h).
 *
 * State of an object, exactly one of:
 *
 *	free bit 0, remote bit 0	live
 *	free bit 0, remote bit 1	freed by another CPU
 *	free bit 1, remote bit 0	free
 *
 * (for a moment both are 0, while an owner gathers: who frees the object then is found out by the next
 * gather; both are 1 if two freed it at once, see remote.c). Bits of objects that do not
 * exist are 1 in the free word, so that a free of them is caught; who allocates masks them.
 *
 * A span is owned by a CPU, which then alone writes its free words, or by its cache, whose lock
 * guards them then. Nobody waits for another CPU on any of these ways.
 */
#ifndef MW_OBJECT_OBJECT_H
#define MW_OBJECT_OBJECT_H

#include "../base/meta.h"
#include "../base/report.h"
#include "../base/shadow.h"
#include "../page/span.h"
#include "class.h"

/*
 * What the size classes exist once for; the last three only with a collector. Objects that were asked
 * for with an alignment are apart, so that the size given with the free of any other one can be
 * held against its class, and a resize knows whether there is an alignment to keep.
 */
enum mw_policy {
	MW_POLICY_HAND,
	MW_POLICY_ALIGNED,
	MW_POLICY_HAND_POINTERS,
	MW_POLICY_COLLECTED,
	MW_POLICY_NOSCAN,
	MW_NR_POLICIES = MW_GC ? 5 : 2,
};

#define MW_POLICY_FLAGS (MW_POINTERS | MW_COLLECTED | MW_NOSCAN)
#define MW_ZONE_FLAGS (MW_BELOW_4G | MW_BELOW_16M)

#define MW_NR_BUILTIN (MW_NR_POLICIES * MW_MAX_CLASSES)
#define MW_MAX_CACHES (MW_NR_BUILTIN + 448)
#define MW_NO_CACHE_ID MW_MAX_CACHES /* of a dead cache; its slot is mw_slot_none on every CPU */

/* ---- spans ---- */

/*
 * span->owner: the number of a CPU, or one of MW_OWNER_*, and flags. It is exactly the number of a
 * CPU when that CPU may free by setting a bit and look at nothing else.
 */
#define MW_OWNER_PENDING 0x80000000u /* others freed: the span is in the owner's list */
#define MW_OWNER_NO_FREE                                                                           \
	0x40000000u /* any free is to be looked at: mw_span_always_slow(), or records */
#define MW_OWNER_FULL 0x10000u /* nothing was free when the CPU looked last */
#define MW_OWNER_NONE                                                                              \
	0x20000u /* the cache, under its lock; a bit of all that follow, and of no CPU's */
#define MW_OWNER_LARGE 0x20001u /* a large object: see span->holder */
#define MW_OWNER_DEBUG 0x20002u /* the cache, with debug aids */
#define MW_OWNER_GONE                                                                              \
	MW_SPAN_NO_OWNER /* between the page heap and the first of the above, or there; nobody's */

/*
 * span->holder, of large objects: 0 unless it is live; 1 + the number of the CPU that took it from what it
 * keeps; or that of no CPU. Who makes it 0 has freed the object; only that CPU makes it its own, pinned.
 */
#define MW_HOLDER_CPU(cpu) ((cpu) + 1)
#define MW_HOLDER_NO_CPU MW_HOLDER_CPU(MW_MAX_CPUS)

/* span->where */
enum mw_where {
	MW_WHERE_NOWHERE, /* in nobody's list: in the hands of the code that moves it */
	MW_WHERE_CURRENT, /* a slot allocates from it */
	MW_WHERE_AVAIL, /* slot->avail */
	MW_WHERE_FULL, /* slot->full */
	MW_WHERE_CENTRAL_SOME, /* cache->some */
	MW_WHERE_CENTRAL_FULL, /* cache->full */
	MW_WHERE_DEBUG, /* cache->debug_spans; without free objects in no list */
};

/* span->flags: what the collector asks without looking at the cache */
#define MW_SPAN_COLLECTED 0x01 /* owned by the collector */
#define MW_SPAN_POINTERS 0x02 /* may hold pointers: scanned if collected, else a root */
#define MW_SPAN_DEBUG 0x04
#define MW_SPAN_TINY 0x08 /* objects are packed blocks, not freed by hand */
#define MW_SPAN_SAFE 0x10 /* freed objects are held back until no pointer to them is found */
#define MW_SPAN_WIPE 0x20 /* and overwritten */

/* span->sampled: in which words of the free bits objects have quiet samples; else: the one word + 1 */
#define MW_SAMPLED_NONE 0u
#define MW_SAMPLED_MANY 255u /* more than a span has words */

/* Blocks of the tiny allocator have a class that nothing else asks for: that of 8 bytes. */
#define MW_TINY_CLASS 1u
#define MW_TINY_BLOCK 16u

/* magic * offset: the upper word is the index, the lower one tells how far inside. */
static inline mw_wide_t mw_span_product(const struct mw_span *span, const void *address)
{
	return (mw_wide_t)((uintptr_t)address - (uintptr_t)span->base) * span->magic;
}

/*
 * The index of the object that @address, anywhere in the span, lies in; span->count or more: in
 * none. Addresses below span->base (a red zone) give a large number too.
 */
static inline size_t mw_span_index(const struct mw_span *span, const void *address)
{
	return (size_t)(mw_span_product(span, address) >> MW_WORD_BITS);
}

static inline char *mw_span_object(const struct mw_span *span, size_t index)
{
	return span->base + index * span->stride;
}

static inline unsigned long mw_bit(size_t index)
{
	return 1ul << index % MW_WORD_BITS;
}

/* The bits of bitmap word @w that stand for objects. */
static inline unsigned long mw_span_mask(const struct mw_span *span, size_t w)
{
	size_t first = w * MW_WORD_BITS;

	if (span->count >= first + MW_WORD_BITS)
		return ~0ul;
	return span->count > first ? mw_bit(span->count) - 1 : 0;
}

static inline unsigned long mw_word(const mw_atomic_t *word)
{
	return atomic_load_explicit((mw_atomic_t *)word, memory_order_relaxed);
}

static inline void mw_set_word(mw_atomic_t *word, unsigned long value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Objects of word @w that are live at this moment. */
static inline unsigned long mw_span_live_word(const struct mw_span *span, size_t w)
{
	return ~(mw_word(&span->free[w]) | mw_word(&span->remote[w]));
}

static inline bool mw_span_live(const struct mw_span *span, size_t index)
{
	return mw_span_live_word(span, index / MW_WORD_BITS) & mw_bit(index);
}

size_t mw_span_live_count(const struct mw_span *span);
/* Is the descriptor a span of objects that may be read: not on its way in or out? */
bool mw_span_readable(const struct mw_span *span);
/* The walk over all spans: those that are readable when it comes to them. Start with a zeroed cursor. */
struct mw_span *mw_span_next(struct mw_span_cursor *cursor);

/* A CPU's number with or without MW_OWNER_FULL, or one of the other MW_OWNER_*. */
static inline unsigned int mw_owner(const struct mw_span *span)
{
	return atomic_load_explicit(&((struct mw_span *)span)->owner, memory_order_acquire) &
	       ~(MW_OWNER_PENDING | MW_OWNER_NO_FREE);
}

/* Whether any free into the span is to be looked at. Of who fills it, or has its records' lock. */
static inline void mw_span_slow_frees(struct mw_span *span, bool on)
{
	unsigned int now = atomic_load_explicit(&span->owner, memory_order_relaxed);

	if (!(now & MW_OWNER_NO_FREE) == !on)
		return;
	if (on)
		atomic_fetch_or_explicit(&span->owner, MW_OWNER_NO_FREE, memory_order_seq_cst);
	else
		atomic_fetch_and_explicit(&span->owner, ~MW_OWNER_NO_FREE, memory_order_seq_cst);
}

/* Whether that is so whatever records there are. */
static inline bool mw_span_always_slow(const struct mw_span *span)
{
	return span->flags & (MW_SPAN_TINY | MW_SPAN_SAFE);
}

/* For who may hold a span that has become another one meanwhile. */
static inline struct mw_cache *mw_span_cache(const struct mw_span *span)
{
	return __atomic_load_n(&span->cache, __ATOMIC_RELAXED);
}

/*
 * The address is computed here and not later: once the CPU is not pinned any more, a collector looks
 * for it in registers and on stacks, and does not know what could still be made of its parts.
 */
static inline void *mw_keep(void *object)
{
	__asm__ volatile("" : "+r"(object));
	return object;
}

/* ---- caches ---- */

#define MW_CACHE_NAME 40 /* bytes with the end; what is longer is cut */

struct mw_cache {
	struct mw_lock lock; /* MW_RANK_CENTRAL; guards what follows up to the blank line */
	struct mw_list some; /* spans of no CPU with a free object */
	struct mw_list full; /* and without; of a collected cache, unswept ones first */
	struct mw_list debug_spans; /* with debug aids and free objects; empty ones behind all others */
	size_t spans, pages; /* in all, with those of CPUs */
	unsigned long allocs, frees; /* by way of the lock */
	unsigned long remote_frees; /* gathered by way of the lock */

	/* Guarded by mw_object.lock. */
	unsigned int uses; /* walks that are at it: see mw_cache_next() */
	bool ending; /* mw_cache_destroy() is at it */
	struct mw_list dead; /* see caches.c */

	/* Set when the cache is made. */
	unsigned int id; /* index of its slots; that and @live change when it ends */
	unsigned char policy;
	_Atomic(unsigned char) span_flags; /* MW_SPAN_SAFE comes and goes, others do not */
	bool builtin, live;
	bool keeps; /* memory that was the cache's once stays so: see mw_cache_create() */
	mw_flags_t flags; /* MW_BELOW_* for its spans */
	size_t size, stride, asked;
	unsigned short lengths[MW_SPAN_LENGTHS]; /* pages of a span */
	const char *name; /* @own_name: who reads it may be later than the cache's end */
	char own_name[MW_CACHE_NAME];
	const struct mw_type *type;
	void (*construct)(void *object);

	mw_atomic_t debug; /* MW_DEBUG_* for spans taken from now on */
};

/*
 * Whose turn it is to be a sample of the profile, of allocations that somebody counts: see
 * mm/watch/sample.c.
 */
struct mw_draw {
	unsigned long due; /* the count, when the next sample is in it */
	unsigned long stands; /* how many allocations that sample stands for */
	unsigned long rest; /* how many of them come behind it */
	unsigned long era; /* mw_profile_era, when these were chosen */
};

/* One cache on one CPU. That CPU alone uses it, pinned; or anyone, while the world is stopped. */
struct mw_slot {
	mw_atomic_t *word; /* the free word that is allocated from now */
	const mw_atomic_t *remote; /* the remote word beside it */
	unsigned long ready; /* its objects that are handed out next; all of them are free */
	unsigned long mask; /* its bits that are objects */
	char *base; /* of its first object */
	size_t stride;
	unsigned long allocs; /* ever */
	unsigned long ahead; /* objects that are zeroed, for ahead.h alone; then @ready is 0 */
	struct mw_span *span; /* that it belongs to; NULL: none */
	struct mw_cache *cache;
	unsigned long remote_frees; /* gathered here */
	size_t spans; /* owned: the current one and those in the lists */
	struct mw_list avail; /* spans that may have free objects */
	struct mw_list full; /* spans that had none */
	/* The profile's: see mm/watch/sample.c. */
	unsigned long behind; /* what @mask would be, which is 0: what follows @ready takes the slow way */
	struct mw_draw draw; /* of @allocs */
};

/* Free spans of large objects that a CPU keeps. */
#define MW_STOCK_BINS 80 /* more than mw_stock_bin() of 256 pages */

struct mw_stock {
	struct mw_list *bin[MW_STOCK_BINS]; /* see mw_stock_take() */
	size_t pages;
	unsigned long misses; /* large objects that had to be made */
	unsigned long used; /* and those that had not, when pages were last taken: see mw_stock_yield() */
};

struct mw_cpu {
	struct mw_slot *fine[MW_FINE_STEPS]; /* policy 0, by size */
	struct mw_slot *slot[MW_MAX_CACHES + 1]; /* by id; see MW_NO_CACHE_ID */
	struct mw_list owned; /* all its spans, of all caches, longest not looked at first */
	size_t owned_count;
	struct mw_span *gather; /* taken off @pending, not looked at yet */
	struct mw_span *_Atomic pending; /* spans with remote frees; anyone pushes */
	unsigned int number;
	_Atomic(bool) running; /* between mw_cpu_start(), said or not, and mw_cpu_stop(); mw_object.lock */
	struct mw_stock stock;
	struct mw_tiny {
		char *block; /* 16 bytes of the NOSCAN policy, or NULL */
		unsigned int used;
		unsigned long packed; /* ever: parts of a block that was open */
		unsigned long opened; /* ever: blocks, by the first part of each */
		struct mw_draw draw; /* of @packed + @opened */
	} tiny;
	unsigned long large_allocs, lookups;
	unsigned long large_pages; /* that came with them, and by which they grew where they lie */
	mw_atomic_t era; /* mw_profile_era that all slots follow: see mw_cpu_follow(); its own, pinned */
};

/* What fast paths use: the CPU, or mw_cpu_none, whose slots are all empty. Written under mw_object.lock. */
extern struct mw_cpu *_Atomic mw_cpus[MW_MAX_CPUS];
extern struct mw_cpu mw_cpu_none;
extern struct mw_slot mw_slot_none;
extern char mw_zero_object[16]; /* the address of all objects without bytes */

/* What a CPU is freeing into that it does not own: see mw_freer_begin(). NULL: it never was. */
#define MW_FREER_IDLE ((struct mw_span *)1)
extern struct mw_freer {
	_Alignas(MW_CACHE_LINE) struct mw_span *_Atomic span;
	/* Bytes that it held back, not told to mw_up_safe_held() yet; its own, pinned, and made 0 at the end of a mark. */
	mw_atomic_t held;
} mw_freers[MW_MAX_CPUS];

struct mw_object {
	struct mw_lock lock; /* MW_RANK_REGISTRY; guards setting up, and the list of caches */
	_Atomic(bool) ready;
	unsigned int started; /* caches of size classes that are made; lock */
	/* mw_cpus_each(): the last turn, of who has stopped the world; the last one that each CPU had part in. */
	unsigned long last_turn;
	mw_atomic_t turns[MW_MAX_CPUS];
	_Atomic(bool) slowly; /* the same, for the collector's debugging */
	_Atomic(bool) failing; /* mw_cpus[] are mw_cpu_none, so that each request is seen */
	unsigned char large_flags; /* MW_SPAN_SAFE, MW_SPAN_WIPE: of large objects */
	struct mw_class_tables classes;
	struct mw_cpu *_Atomic cpu[MW_MAX_CPUS]; /* NULL: not started yet */
	struct mw_cache builtin[MW_NR_BUILTIN];
	struct mw_fixed slots, caches;
	struct mw_debug_rule {
		unsigned int flags;
		char name[28]; /* may end in '*' */
	} rules[8]; /* the last one that names a cache holds */
	unsigned int rule_count;
	/* What caches that have ended had counted; lock. */
	unsigned long gone_allocs, gone_remote;
	uint64_t gone_bytes;
	struct mw_fixed bitmaps[8]; /* of 8 << i words */
	mw_atomic_t late_doubles; /* double frees found when it was too late to say by whom */
	_Atomic(uintptr_t) late_double; /* an object of these; 0: said */
	mw_atomic_t drain_at; /* where the next drain for an atomic request looks: see drain.c */
	_Atomic(unsigned int) freer_count; /* above the numbers of all CPUs that ever had a mw_freer */
};

extern struct mw_object mw_object;

/* Set up what the first use needs. Not with a lock of MW_RANK_REGISTRY or after held. */
MW_NOINLINE void mw_object_start(void);

static inline void mw_object_ready(void)
{
	if (mw_unlikely(!atomic_load_explicit(&mw_object.ready, memory_order_acquire)))
		mw_object_start();
}

/* This CPU's; pinned. NULL: it has none, and cannot get one. */
struct mw_cpu *mw_cpu_here(void);

/* The size class's cache. @size from 1 to MW_SMALL_MAX; the room is set up. */
static inline struct mw_cache *mw_class_cache(enum mw_policy policy, size_t size)
{
	return &mw_object.builtin[policy * MW_MAX_CLASSES + mw_class_of(&mw_object.classes, size)];
}

static inline enum mw_policy mw_policy_of(mw_flags_t flags)
{
	if (!MW_GC || mw_likely(!(flags & MW_POLICY_FLAGS)))
		return MW_POLICY_HAND;
	if (flags & MW_NOSCAN)
		return MW_POLICY_NOSCAN;
	return flags & MW_COLLECTED ? MW_POLICY_COLLECTED : MW_POLICY_HAND_POINTERS;
}

/* ---- the caches that there are ---- */

/*
 * A walk over all caches, by id; start with it zeroed, or with @next as the first id that is wanted. The
 * cache that mw_cache_next() returns is held until the next call with the cursor, or until
 * mw_cache_leave(), which ends a walk early. It may be dead by the time it is looked at: its lists are empty
 * then. No lock held; not pinned, if the walk is to be.
 */
struct mw_cache_cursor {
	struct mw_cache *at;
	unsigned int next;
};
struct mw_cache *mw_cache_next(struct mw_cache_cursor *cursor);
/* mw_cache_create(), for @site; without @keeps spans that are empty go back as those of size classes do. */
struct mw_cache *mw_cache_make(const struct mw_cache_want *want, bool keeps, uintptr_t site);
void mw_cache_leave(struct mw_cache_cursor *cursor);
/* mw_alloc_aligned(), and mw_cache_alloc() of a cache without a constructor, for @site. */
void *mw_alloc_at(size_t size, size_t align, mw_flags_t flags, uintptr_t site);
void *mw_cache_alloc_from(struct mw_cache *cache, mw_flags_t flags, uintptr_t site);
/* Records of dead caches. */
size_t mw_caches_buried(void);

/* For who looks while the cache may be ending. */
static inline unsigned int mw_cache_id(const struct mw_cache *cache)
{
	return __atomic_load_n(&cache->id, __ATOMIC_RELAXED);
}

/* ---- for the collector, the checker, statistics ---- */

/* The figures of a cache that a walk is at. */
struct mw_cache_stats;
void mw_cache_describe(const struct mw_cache *cache, struct mw_cache_stats *stats);

/* A call with a dead cache, or NULL, is reported. Return: whether it is one. Not pinned. */
MW_NOINLINE bool mw_cache_refuses_dead(const struct mw_cache *cache, uintptr_t site);

/*
 * Take from this CPU all spans of collected caches, and of such that hold back what is freed, so that none
 * is owned, with what was freed in them from elsewhere; a few at a time, so that interrupts go on.
 * mw_object_flush(), with the world stopped, lets every CPU do that. Return: how many did it themselves.
 */
void mw_object_flush_here(void);
unsigned int mw_object_flush(void);
/* Ahead of that, while the world runs: those in which nothing is free, which are most. Not pinned. */
void mw_object_flush_full(void);

/*
 * After a sweep freed @dead objects of a span of @cache: if no CPU owns it, put it where it belongs now,
 * or give it back if it is empty. It may be anything by now, and is not to be touched afterwards.
 */
void mw_object_swept(struct mw_cache *cache, struct mw_span *span, size_t dead);
/* Let each allocation take the long way, where mw_up_count() is asked. */
void mw_object_slowly(bool on);
/* A profile began, or has another rate: each CPU takes the long way until it follows. */
void mw_object_sample(void);

/* A large span whose object the sweep found dead. Return: mw_span_free() is to follow, not pinned. */
bool mw_object_end_large(struct mw_span *span);
/* A span that mw_up_span_left() took: it goes back to the page heap now. */
void mw_object_end_span(struct mw_span *span);
/*
 * Let a live object's place not be handed out, once it is free, before mw_up_samples_look() was asked.
 * Pinned, the span's records locked. Return: false: the span is not this CPU's, or of another kind.
 */
bool mw_slot_leave_out(struct mw_span *span, size_t index);

/*
 * World stopped. Frees of a cache's objects, or with NULL of all hand-managed ones, hold back from now on;
 * or do not, and what was held back is free.
 */
void mw_object_safe_set(struct mw_cache *cache, bool on, bool wipe);
/*
 * World stopped: what is in @held and not in @marked, bitmaps as the span's, is free. Not if a CPU
 * has the span again. The span may be anything afterwards. Return: objects.
 */
size_t mw_span_let_go(struct mw_span *span, const mw_atomic_t *held, const mw_atomic_t *marked);
/* sites.c: an object of the place ends, or is not to be followed. */
void mw_site_end(void *site, size_t bytes);
/* What is held back now. */
void mw_object_held(size_t *objects, size_t *bytes);

/* Do free objects of the span fault? */
bool mw_span_faults(const struct mw_span *span);
/* Who allocated the object, if that is tracked; else NULL. */
const struct mw_trace *mw_span_allocated(const struct mw_span *span, size_t index);

bool mw_object_check(void);
void mw_object_reset(void);

struct mw_object_totals {
	size_t live_bytes, live_objects, cached_bytes;
	size_t collected_bytes, collected_objects; /* of the live ones */
	uint64_t alloc_bytes; /* ever */
	unsigned long allocs, frees, remote_frees, lookups, packed;
};
void mw_object_totals(struct mw_object_totals *totals);
size_t mw_object_live_bytes(void);
/* Bytes of records in use: caches, slots, CPUs; and the bitmaps of spans. */
size_t mw_object_records(void);
size_t mw_object_bitmaps(void);
/* Allocations ever of one cache: by each CPU, and by way of the lock. */
unsigned long mw_cache_allocs(const struct mw_cache *cache, unsigned long *remote);

#endif
