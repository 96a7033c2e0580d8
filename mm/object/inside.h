/* SPDX-License-Identifier: MIT */
/* What the files of this room share. The structures are in object.h. */
#ifndef MW_OBJECT_INSIDE_H
#define MW_OBJECT_INSIDE_H

#include "../page/up.h"
#include "fast.h"
#include "up.h"

/* What came of a free that was looked up before it could be sure of the span. */
enum mw_freed {
	MW_FREED, /* done */
	MW_FREED_TWICE, /* the object was not live */
	MW_FREED_MOVED, /* the span has another owner: look once more */
};

/* ---- span.c: spans of a cache, from pages and back ---- */

/* Owned by nobody, in no list, not in the page map, all objects free. NULL: out of memory. */
struct mw_span *mw_span_make(struct mw_cache *cache, size_t pages, mw_flags_t flags);
void mw_span_fill(struct mw_span *span, struct mw_cache *cache, size_t stride);
/* @bitmaps: how many; all bits of the free one set. Return: false, out of memory. */
bool mw_span_bitmaps(struct mw_span *span, unsigned int bitmaps);
void mw_span_drop_bitmaps(struct mw_span *span);
/* The span is in no list, its objects are free; it goes back to the page heap. */
void mw_span_unmake(struct mw_span *span);
void mw_span_set_magic(struct mw_span *span);

static inline unsigned int mw_span_bitmap_count(unsigned int span_flags)
{
	if (!(span_flags & MW_SPAN_COLLECTED))
		return 2;
	return span_flags & MW_SPAN_POINTERS ? 4 : 3;
}

/* A mark is under way, which may have the span in its queues: it stays, even if it is empty. */
static inline bool mw_span_held(const struct mw_span *span)
{
	return (span->flags & MW_SPAN_COLLECTED) && mw_up_marking();
}

/* For who owns it, or holds its cache's lock. */
bool mw_span_all_free(const struct mw_span *span);
bool mw_span_some_free(const struct mw_span *span);

/* ---- cpu.c ---- */

/* As mw_cpu_here(), for who wants to know what the CPU has: NULL if it has not begun, and so has nothing. Pinned. */
static inline struct mw_cpu *mw_cpu_begun(void)
{
	struct mw_cpu *cpu =
		atomic_load_explicit(&mw_object.cpu[mw_port_cpu()], memory_order_relaxed);

	return cpu && cpu->running ? cpu : NULL;
}

/*
 * Let the CPU's slots follow the profile's era, and the fast paths see the CPU again. Pinned; no
 * lock held.
 */
MW_NOINLINE void mw_cpu_follow(struct mw_cpu *cpu);

/* This CPU's slot of @cache, made if need be. NULL: out of memory. Pinned. */
struct mw_slot *mw_slot_make(struct mw_cpu *cpu, struct mw_cache *cache);

static inline struct mw_slot *mw_slot_of(struct mw_cpu *cpu, struct mw_cache *cache)
{
	struct mw_slot *slot = cpu->slot[cache->id];

	return mw_likely(slot != &mw_slot_none) ? slot : mw_slot_make(cpu, cache);
}

void mw_slot_forget_current(struct mw_slot *slot);
/* Registry lock held. */
void mw_cache_init(struct mw_cache *cache, unsigned int id, size_t size);

/* ---- caches.c: which caches there are. _locked: registry lock held ---- */

void mw_caches_begin(void);
/* Once in the life of a record. */
void mw_cache_first(void *record);
struct mw_cache *mw_cache_by_id_locked(unsigned int id);
/* A number that no cache has; MW_MAX_CACHES: there is none. */
unsigned int mw_cache_free_id_locked(void);
void mw_cache_enter_locked(struct mw_cache *cache, unsigned int id);
/* The cache is dead; or the record, which was dug out, became none. */
void mw_cache_bury_locked(struct mw_cache *cache);
/* The record of a cache that nobody holds and that is dead for long; with @any, of any. NULL: there is none. */
struct mw_cache *mw_cache_dig_locked(bool any);

/* ---- slot.c: what a CPU owns ---- */

/* The flags are not the owner's to change. */
static inline void mw_set_owner(struct mw_span *span, unsigned int owner)
{
	unsigned int old = atomic_load_explicit(&span->owner, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
		&span->owner, &old, owner | (old & (MW_OWNER_PENDING | MW_OWNER_NO_FREE)),
		memory_order_seq_cst, memory_order_relaxed))
		;
}

/* The CPU's own spans, what others freed, the central list. NULL: none of them. Pinned. */
void *mw_slot_refill(struct mw_cpu *cpu, struct mw_slot *slot);
/* Take a span that nobody has into the slot's avail list. Pinned. */
void mw_slot_adopt(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span);
/* Make a span that is in a list of the slot, or current, nobody's. Pinned. */
void mw_slot_disown(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span);
/* The first free into a span that the slot had found full. Pinned. */
void mw_slot_unfull(struct mw_cpu *cpu, struct mw_span *span);
/* An owned span without objects goes back to the page heap. Pinned. Return: its pages. */
size_t mw_slot_release(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span);
/* Up to @most of the slot's spans to the cache. Pinned. Return: whether there are more. */
bool mw_slot_flush(struct mw_cpu *cpu, struct mw_slot *slot, unsigned int most);
/* Nothing of the span is in use, not even by a free that has not been gathered. For the owner, pinned. */
bool mw_slot_reapable(struct mw_span *span, bool current_too);
/* Give back empty spans of size classes among the next @looks of the CPU's. Pinned. Return: pages. */
size_t mw_cpu_reap(struct mw_cpu *cpu, size_t looks, bool current_too);

/* ---- drain.c ---- */

/* Spans looked at, given up or given back with the CPU pinned in one go. */
#define MW_DRAIN_STEP 8

/*
 * Stop the world, and run fn(cpu, arg) on every CPU that ever allocated. A CPU that is stopped does its own, so
 * @fn must let its interrupt handlers in between steps that it makes pinned. Return: false: a CPU would not stop.
 */
bool mw_cpus_stopped(void (*fn)(struct mw_cpu *cpu, void *arg), void *arg);
/* The same for who has stopped it. Return: how many CPUs ran something themselves, with or without a part in this. */
unsigned int mw_cpus_each(void (*fn)(struct mw_cpu *cpu, void *arg), void *arg);

/* ---- central.c: spans that no CPU owns ---- */

/* A span with free objects, now owned by @cpu, in no list; or NULL. Pinned. */
struct mw_span *mw_central_take(struct mw_cache *cache, unsigned int cpu);
/* A span in no list becomes the cache's. Pinned. */
void mw_central_give(struct mw_span *span);
/* Clear the flag and gather what was freed from afar. Return: false: not the cache's. Pinned. */
bool mw_central_gather(struct mw_span *span);
/* Free an object of a span that may be the cache's. Pinned. */
enum mw_freed mw_central_free(struct mw_cache *cache, struct mw_span *span, const void *object);
/* Give up to @most empty spans back. Not pinned. Return: pages. */
size_t mw_central_shrink(struct mw_cache *cache, size_t most);
void mw_cache_count_span(struct mw_cache *cache, const struct mw_span *span, bool more);
/* See mw_span_let_go(). */
size_t mw_central_let_go(struct mw_span *span, const mw_atomic_t *held, const mw_atomic_t *marked);

/* ---- remote.c: spans that other CPUs own ---- */

/* Spans with remote frees that a refill, or a free into one of them, looks at. */
#define MW_GATHER_STEP 8

#define MW_PENDING_CLOSED ((struct mw_span *)1)

static inline bool mw_span_pending(struct mw_span *span)
{
	return atomic_load_explicit(&span->owner, memory_order_seq_cst) & MW_OWNER_PENDING;
}

static inline void mw_span_clear_pending(struct mw_span *span)
{
	atomic_fetch_and_explicit(&span->owner, ~MW_OWNER_PENDING, memory_order_seq_cst);
}

/* For the owner, or with the cache's lock. Return: how many. */
size_t mw_span_gather(struct mw_span *span);
/* Look at up to @most spans that others freed into. Pinned. Return: whether there were any. */
bool mw_cpu_gather(struct mw_cpu *cpu, unsigned int most);
/* See to it that somebody gathers. Pinned, no lock held. */
void mw_remote_notify(struct mw_span *span);
/* An object of a span that another CPU may own. Pinned. The span may be anything afterwards. */
enum mw_freed mw_remote_free(struct mw_span *span, const void *object);
/* The first such free of this CPU: others do not know yet that they have to look here. */
MW_NOINLINE void mw_freer_first(struct mw_span *span, unsigned int here);
/*
 * The span's owner is MW_OWNER_GONE: wait for those who read it before, see mw_freer_begin(), and say
 * what they left. No lock held.
 */
void mw_freers_gone(struct mw_span *span);
/* The same for anything else that was changed in the span, with no word of what they left. */
void mw_freers_wait(const struct mw_span *span);

/*
 * Until mw_freer_end() nobody gives the span back, if what the caller reads of it from now on says that
 * it has not been: an owner. It may have become another one than the caller had looked up, so index
 * and liveness are to be found out anew. Who gives a span back changes its owner, then waits in
 * mw_freers_gone(); so the few instructions between the two wait for nothing, and give nothing
 * back. Pinned.
 */
static inline unsigned int mw_freer_begin(struct mw_span *span, unsigned int here)
{
	MW_DASSERT(mw_port_pinned());
	if (mw_unlikely(!atomic_exchange_explicit(&mw_freers[here].span, span, memory_order_seq_cst)))
		mw_freer_first(span, here);
	return atomic_load_explicit(&span->owner, memory_order_seq_cst) &
	       ~(MW_OWNER_PENDING | MW_OWNER_NO_FREE);
}

static inline void mw_freer_leave(struct mw_freer *freer)
{
	atomic_store_explicit(&freer->span, MW_FREER_IDLE, memory_order_release);
}

static inline void mw_freer_end(unsigned int here)
{
	mw_freer_leave(&mw_freers[here]);
}

/*
 * What mw_free_elsewhere() ends with, if it is the CPU's first of its kind; if the owner has freed the object
 * as well, just now; if the owner is to be told. Pinned, by @state; not any more when they return.
 */
void mw_free_first(void *object, struct mw_span *span, struct mw_cache *cache, unsigned long state,
		   uintptr_t site);
void mw_free_undo(void *object, struct mw_span *span, struct mw_cache *cache, unsigned long state,
		  uintptr_t site);
void mw_remote_tell(struct mw_span *span, unsigned long state);

/* Does an object of the span, whichever it is by now, begin at @object? */
static inline bool mw_span_has(const struct mw_span *span, const void *object, size_t *index)
{
	mw_wide_t product = mw_span_product(span, object);

	*index = (size_t)(product >> MW_WORD_BITS);
	return (unsigned long)product < span->magic && *index < span->count;
}

/* A live object, of a span whose free words are the caller's, is free from now on. */
static inline void mw_span_set_free(struct mw_span *span, size_t index)
{
	mw_atomic_t *word = &span->free[index / MW_WORD_BITS];

	mw_shadow_dead(mw_span_object(span, index), span->size, MW_SHADOW_FREE);
	mw_set_word(word, mw_word(word) | mw_bit(index));
}

/* ---- safe.c: what is freed and held back ---- */

#define MW_SAFE_FLAGS (MW_SPAN_SAFE | MW_SPAN_WIPE)

/*
 * Let a span of hand-managed objects that is new, or whose cache's mode has changed, have it. Pinned. Return: it was
 * held back in, and is not any more: mw_span_end_mode() is to follow, if it is of a cache.
 */
bool mw_span_follow(struct mw_span *span);
/* What was held back is as what other CPUs freed. Pinned, no lock held. The span may be anything afterwards. */
void mw_span_end_mode(struct mw_span *span);
/*
 * Free an object of a span that is, or was a moment ago, in the mode. Return: MW_FREED_MOVED: the mode
 * has ended, and nothing was done. Not pinned.
 */
enum mw_freed mw_safe_hold(struct mw_span *span, const void *object);
/*
 * The usual case of it, for mw_free_elsewhere(), which has said mw_freer_begin(): a span in the mode that
 * is not gone. Pinned, by @state; not any more when it returns.
 */
void mw_safe_free_held(void *object, struct mw_span *span, struct mw_cache *cache,
		       unsigned long state, uintptr_t site);

/* ---- stat.c, check.c ---- */

bool mw_span_check(const struct mw_span *span);

/* ---- large.c ---- */

void *mw_large_alloc(size_t size, size_t align, mw_flags_t flags);
/* A plain one that was kept by this CPU, or a new one. */
void *mw_large_plain(size_t size, mw_flags_t flags, uintptr_t site);
/* Not pinned. */
enum mw_freed mw_large_free(struct mw_span *span, const void *object);
/*
 * The rest of mw_free_elsewhere(): mw_freer_begin() has said MW_OWNER_LARGE, and the span has no bin; a free
 * one has one, but the CPU has enough.
 */
void mw_free_large(void *object, struct mw_span *span, struct mw_cache *cache, unsigned long state,
		   uintptr_t site);
void mw_large_unkept(struct mw_span *span, unsigned long state);
/*
 * Let a live large object have @size bytes where it is: pages behind it, or its last ones given back. With
 * MW_ZERO what is added is zero. Not pinned. Return: false: it has to move, and nothing has changed.
 */
bool mw_large_resize(struct mw_span *span, size_t size, mw_flags_t flags);
/* One that was held back. */
void mw_large_let_go(struct mw_span *span);
/*
 * Up to @most pages' worth of kept spans, put before *@chain. Pinned, or the CPU stopped. Return: pages. To be followed
 * by mw_stock_free(), which gives them back and takes as long as they are, so not pinned.
 */
size_t mw_stock_cut(struct mw_cpu *cpu, size_t most, struct mw_list **chain);
void mw_stock_free(struct mw_list *chain);
void mw_stock_yield(size_t pages);

/* ---- debug.c, aids.c ---- */

/* The aids that the rules name for a cache. */
unsigned int mw_debug_flags_of(const char *name);
/* The same, with MW_DEBUG_LONG if allocations and frees cannot take the short ways. */
unsigned int mw_debug_flags_for(const struct mw_cache *cache);
#define MW_DEBUG_LONG 0x8000u

/*
 * The short ways of caches with aids, or else all of it. Pinned, by @state; not any more when they return.
 */
void *mw_debug_alloc_short(struct mw_cache *cache, mw_flags_t flags, unsigned long state,
			   uintptr_t site);
/* @cache: as in mw_free_slow(). */
void mw_debug_free_short(void *object, struct mw_span *span, struct mw_cache *cache,
			 unsigned long state, uintptr_t site);
/*
 * For a cache with aids: its own way of allocating, and back. Not pinned. @here: who does it, if that is known; NULL: to
 * be found out, if it is to be noted.
 */
void *mw_debug_alloc(struct mw_cache *cache, mw_flags_t flags, const struct mw_trace *here,
		     uintptr_t site);
enum mw_freed mw_debug_free(struct mw_span *span, const void *object, uintptr_t site);
size_t mw_debug_shrink(struct mw_cache *cache);
/* Put a span where it belongs: with some free objects, with all, or without. Cache lock held. */
void mw_debug_settle_locked(struct mw_cache *cache, struct mw_span *span);
bool mw_debug_check_span(const struct mw_span *span);

/* aids.c: one object's bytes and traces */
struct mw_debug_track {
	struct mw_trace allocated, freed;
};

struct mw_debug_span {
	unsigned int flags; /* MW_DEBUG_*, as the cache had when it took the span, but what does not apply */
	unsigned int some; /* free objects; under the cache's lock */
	unsigned int own_pages; /* of this structure with its tracks; raw pages */
	struct mw_debug_track track[]; /* with MW_DEBUG_TRACK one for each object */
};

void mw_aid_traces(const struct mw_span *span, size_t index, struct mw_report *report);
void mw_aid_born(struct mw_span *span, size_t index);
/* Look at a live object's red zones, or a free one's poison too. Return: the first bad byte, or NULL. */
const void *mw_aid_bad_zone(const struct mw_span *span, size_t index);
const void *mw_aid_bad_poison(const struct mw_span *span, size_t index);
/* An object begins, or ends: check, report, fill, note. Nobody else has it. @here: as in mw_debug_alloc(). */
void mw_aid_begin(struct mw_span *span, size_t index, bool zero, const struct mw_trace *here,
		  uintptr_t site);
void mw_aid_end(struct mw_span *span, size_t index, uintptr_t site);

/* ---- alloc.c ---- */

/* The rest of it, when this CPU has none at hand. Not pinned. */
MW_NOINLINE void *mw_cache_alloc_rest(struct mw_cache *cache, mw_flags_t flags, uintptr_t site);
/* mw_cache_alloc() with who asks. */
void *mw_cache_alloc_site(struct mw_cache *cache, mw_flags_t flags, uintptr_t site);
/* The caller of @object asked for so many bytes of it; it may be NULL. */
static inline void *mw_asked(void *object, size_t size)
{
	if (MW_SHADOW && object) {
		size_t all = mw_span_of(object)->size;

		mw_shadow_dead((char *)object + size, all - size, MW_SHADOW_ZONE);
		mw_shadow_live(object, size);
	}
	return object;
}

/* The class that @size bytes on a multiple of @align, up to a page, come from; 0: none. */
size_t mw_aligned_size(size_t size, size_t align);

/* ---- free.c ---- */

/*
 * Not a small object of another CPU's, by the first look at it. Pinned, by @state; not any more when it
 * returns.
 */
void mw_free_otherwise(void *object, struct mw_span *span, struct mw_cache *cache,
		       unsigned long state, uintptr_t site);
/*
 * @cache: what the caller says it belongs to; NULL: says nothing. @site: who frees, for reports. Return: false: it was
 * reported, and nothing is done.
 */
MW_NOINLINE bool mw_free_slow(void *object, struct mw_cache *cache, uintptr_t site);

/* How many pages a large object of @size bytes has. */
static inline size_t mw_large_pages(size_t size)
{
	return size ? ((size - 1) >> MW_PAGE_SHIFT) + 1 : 1;
}

/* ---- refuse.c ---- */

/* What the caller of a free says of the object, and where it is. */
struct mw_said {
	struct mw_cache *cache; /* NULL: nothing */
	size_t size; /* if @sized */
	bool sized;
	uintptr_t site;
};

/*
 * Is all right with a free of @object, as far as its address tells? @span: what it is in, or NULL. In frames of their own,
 * so that the free itself has none of it. Return: false: it was reported.
 */
MW_NOINLINE bool mw_free_allowed(struct mw_span *span, const void *object,
				 const struct mw_said *said);
/* Report what the free itself found. The span may be another one by now: then nothing is said of it. */
MW_NOINLINE void mw_free_refused(enum mw_misuse wrong, struct mw_span *span, const void *object,
				 const struct mw_said *said);

/* ---- tiny.c ---- */

static inline bool mw_is_noscan(enum mw_policy policy)
{
	return MW_GC && policy == MW_POLICY_NOSCAN;
}

#define MW_TINY_ID (MW_GC * MW_POLICY_NOSCAN * MW_MAX_CLASSES + MW_TINY_CLASS)

/* @size below 16, policy NOSCAN. Zeroed. */
void *mw_tiny_alloc(size_t size, mw_flags_t flags, uintptr_t site);

#endif
