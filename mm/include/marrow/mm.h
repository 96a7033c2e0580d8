/* SPDX-License-Identifier: MIT */
/*
 * Marrow: page frames and kernel objects.
 *
 * The contract of each call is said in four words after its description:
 *
 *   early      may be called before the second CPU runs, as soon as there is a region
 *   interrupt  may be called from an interrupt handler (given a mw_port_pin() that keeps them out)
 *   waits      may stop the world, sweep, collect, ask shrinkers: never with a spin lock held
 *   NULL       what an answer of NULL (false, 0) means
 *
 * Every call may be made from any CPU. None recurses; docs/PORTING.md states stack use and the
 * longest time with a CPU pinned. Memory is not zeroed unless MW_ZERO is given.
 */
#ifndef MARROW_MM_H
#define MARROW_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/config.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MW_PAGE_SIZE ((size_t)1 << MW_PAGE_SHIFT)

/* ---- flags of an allocation ---- */

typedef unsigned int mw_flags_t;

#define MW_NORMAL 0u
#define MW_ZERO 0x0001u /* every byte reads as zero */
/*
 * Do not wait, collect or ask shrinkers; right in interrupts. A request that cannot be met looks at a part of what
 * could be given back, so that NULL comes soon (docs/PORTING.md says how soon); the next one goes on behind it.
 */
#define MW_ATOMIC 0x0002u
#define MW_NO_SHRINK 0x0008u /* do not ask shrinkers; right with locks held that they take */
#define MW_RESERVE 0x0004u /* may use the emergency reserve */
#define MW_BELOW_4G 0x0010u /* physical addresses below 4 GiB */
#define MW_BELOW_16M 0x0020u /* physical addresses below 16 MiB */
#define MW_POINTERS 0x0040u /* freed by hand, but the collector looks inside */
#define MW_COLLECTED 0x0100u /* owned by the collector, scanned conservatively */
/*
 * Owned by the collector, holds no pointers. One of less than 16 bytes, rounded up to its alignment, is tiny: it
 * shares a block with others, and is neither freed nor resized by hand. A tiny object is aligned to the largest
 * power of two that divides its size, or to what it was asked with, if that is more.
 */
#define MW_NOSCAN 0x0200u

/* ---- memory maps: what firmware says, in any order and state ---- */

/** enum mw_memtype - ordered: where two entries overlap, the larger number wins */
enum mw_memtype {
	MW_MEM_FREE = 1, /* usable at once */
	MW_MEM_RECLAIM, /* usable once the kernel has read what is in it: ACPI tables, boot data */
	MW_MEM_RESERVED, /* never, and so is everything that no entry names */
};

struct mw_memrange {
	uint64_t start; /* physical; nothing need be aligned, sorted or apart */
	uint64_t len;
	enum mw_memtype type;
};

/**
 * mw_memmap_next - the next run of whole pages with one type
 * @map: entries as the firmware gave them, and the kernel's own (its image, modules: reserved)
 * @n: how many
 * @type: MW_MEM_FREE or MW_MEM_RECLAIM
 * @from: no page before this address
 * @out: the run, rounded inward to pages; as long as it can be
 *
 * A page has the most restrictive type of its bytes: one that free and reclaimable memory share is
 * reclaimable, one that two free entries fill together is free. Unknown types count as reserved;
 * an entry that runs past the end of the address space ends there, and the last page of the 64-bit
 * space is never in a run, so @out->start + @out->len cannot wrap.
 * Needs no memory and does not change @map, so any number of entries will do.
 * early: yes. interrupt: yes. waits: no. Return: false when there is no further run.
 */
bool mw_memmap_next(const struct mw_memrange *map, size_t n, enum mw_memtype type, uint64_t from,
		    struct mw_memrange *out);

/* ---- setting up ---- */

/**
 * mw_region_add - give the heap a run of page frames
 * @base: where they are mapped now and for ever
 * @phys: physical address of @base
 * @len: bytes; @base and @phys + @len are rounded inward to pages
 *
 * It may end where the address space does. The page at address 0 and the last one of the range that
 * MW_ADDR_BASE and MW_ADDR_BITS give are left out.
 * The first call sets the heap up; its bookkeeping is carved from the region itself. More may
 * come at any time: boot memory that has been read, hot-added memory.
 * early: yes, it is the beginning. interrupt: no. waits: for another call that adds or removes a region, no longer.
 *
 * Return: bytes that became usable; 0 if the region is too small, overlaps another, or lies outside
 * MW_ADDR_BASE and MW_ADDR_BITS, after a report that says which; 0 without a report if there is no memory for
 * its record.
 */
size_t mw_region_add(void *base, uint64_t phys, size_t len);
/** mw_region_add_zeroed - the same, for memory that reads as zero: it is not cleared again */
size_t mw_region_add_zeroed(void *base, uint64_t phys, size_t len);

/**
 * mw_region_remove - take a region back
 * @base: as it was added
 *
 * Memory of a typed cache is not free as long as the cache lives: mw_cache_shrink() comes first.
 * Its own bookkeeping stays valid to look at, and must not be reused before it is gone. Where a CPU does not
 * answer a stop of the world in time, nothing is allocated from the region any more, but it is not gone: the
 * same call, later, goes on with that.
 * early: no. interrupt: no. waits: yes, but not for ever. Return: true if it is gone; false if it was in use, or
 * not yet, or another CPU's call did it.
 */
bool mw_region_remove(void *base);

/**
 * mw_phys - physical address of an address in a region
 *
 * interrupt: yes, an NMI too; it never waits, for whatever that has interrupted. Return: UINT64_MAX if the
 * address is in no region.
 */
uint64_t mw_phys(const void *address);
/** mw_virt - the opposite, from the same contexts. Return: NULL if no region has that frame. */
void *mw_virt(uint64_t phys);

/**
 * mw_cpu_start - this CPU (or thread slot) begins to allocate
 *
 * Optional: the first allocation of a CPU does it. early: yes. interrupt: no. Return: false if its
 * cache cannot be allocated.
 */
bool mw_cpu_start(void);

/**
 * mw_cpu_stop - this CPU goes away: all that its caches hold goes back
 *
 * Called on that CPU, the last of Marrow's calls on it until mw_cpu_start(). Interrupt handlers may go on
 * calling: one that comes before the end is waited for, one that comes later starts the CPU again. interrupt: no.
 */
void mw_cpu_stop(void);

/* ---- pages ---- */

/** struct mw_pages - a request that needs more than a count */
struct mw_pages {
	size_t count;
	mw_flags_t flags;
	size_t align; /* bytes, a power of two up to 1 GiB; 0: a page */
	size_t boundary; /* bytes, a power of two that the run must not cross; 0: none */
	void *at; /* exactly there, if it is free and keeps to the boundary; NULL: anywhere */
};

/**
 * mw_pages_alloc - a run of page frames, contiguous in physical memory
 * @count: pages, from 1
 * @flags: MW_ZERO, MW_ATOMIC, MW_RESERVE, MW_BELOW_*
 *
 * early: yes. interrupt: yes, with MW_ATOMIC. waits: yes, without it. NULL: no such run, or
 * @count is 0; at once if there were none even if all memory were free. A very long run is made of steps, each with
 * interrupts off for a bounded time.
 */
void *mw_pages_alloc(size_t count, mw_flags_t flags);
/** mw_pages_alloc_as - the same with alignment, boundary, or place */
void *mw_pages_alloc_as(const struct mw_pages *want);

/**
 * mw_pages_free - give back a run
 * @pages: what mw_pages_alloc() returned; NULL does nothing
 * @count: as it was asked for
 *
 * A wrong count, a part of a run, a second free (two at the same moment too), a page that was never handed
 * out: reported as misuse, with what is there now, and nothing changes. early: yes. interrupt: yes. waits: no.
 */
void mw_pages_free(void *pages, size_t count);

/**
 * mw_stack_alloc - a kernel stack of MW_PAGE_SIZE << @order bytes, aligned to its size
 *
 * As mw_pages_alloc(); small orders come from a cache of this CPU.
 */
void *mw_stack_alloc(unsigned int order, mw_flags_t flags);
/** mw_stack_free - contract of mw_pages_free(); another order is reported */
void mw_stack_free(void *stack, unsigned int order);

/**
 * mw_reserve - set memory aside for requests with MW_RESERVE
 * @bytes: the new size of the reserve, rounded up to pages
 *
 * early: yes. interrupt: no. waits: yes. Return: false if there is not so much; then the reserve is
 * as before. Whatever MW_RESERVE requests take is refilled by later frees, before anybody else has use of them.
 */
bool mw_reserve(size_t bytes);

/**
 * mw_scavenge - give idle free pages to whoever owns the memory underneath
 * @older_than_ns: pages unused for that long; 0: all
 * @max_bytes: stop after so many; SIZE_MAX: no limit
 *
 * Empty spans that this CPU keeps go back first, and count as idle from then on: a kernel does well to call
 * it on each CPU that has run out of work.
 * early: no. interrupt: no. waits: yes. Return: bytes released by this call.
 */
size_t mw_scavenge(uint64_t older_than_ns, size_t max_bytes);

/**
 * mw_give_back - give all that nobody needs to whoever owns the memory underneath
 *
 * Collects, and sweeps to the end; takes from all CPUs what they keep for later, from this one
 * where the world cannot be stopped; then as mw_scavenge() of all. Caches keep what is theirs while
 * they live: see mw_cache_shrink(). Shrinkers are not asked. early: no. interrupt: no. waits: yes.
 * Return: bytes released by this call.
 */
size_t mw_give_back(void);

/** struct mw_shrinker - a cache of the kernel's own that can give memory back */
struct mw_shrinker {
	/* Free up to @pages pages' worth; return how many. May free, must not wait for memory. */
	size_t (*shrink)(struct mw_shrinker *self, size_t pages);
	struct mw_shrinker *next; /* Marrow's */
};

/**
 * mw_shrinker_add - ask it before an allocation that may wait fails
 *
 * One at a time is asked, and none for a request with MW_NO_SHRINK. One that is there already is reported, and
 * stays there once. early: yes. interrupt: no. waits: no.
 */
void mw_shrinker_add(struct mw_shrinker *shrinker);
/**
 * mw_shrinker_remove - do not ask it any more
 *
 * A shrinker may call it of itself. early: yes. interrupt: no. waits: no. Return: true: it is the caller's
 * again; false: it is being asked at this moment, perhaps by the caller: it must stay until that call has
 * returned, which the same question will tell.
 */
bool mw_shrinker_remove(struct mw_shrinker *shrinker);

/* ---- objects ---- */

/**
 * mw_alloc - memory for an object
 * @size: bytes; 0 gives one shared valid address
 * @flags: any
 *
 * Aligned to 8 bytes, from 16 bytes on to 16; a power of two up to a page is aligned to itself. Tiny objects are
 * aligned to less: see MW_NOSCAN. early: yes. interrupt: yes, with MW_ATOMIC. waits: yes, without it. NULL: out of memory, or a
 * size that no machine has.
 */
void *mw_alloc(size_t size, mw_flags_t flags);
/** mw_alloc_aligned - the same on a multiple of @align, a power of two up to 1 GiB. NULL also: not one. */
void *mw_alloc_aligned(size_t size, size_t align, mw_flags_t flags);
/** mw_alloc_array - @count times @size; NULL also: the product overflows */
void *mw_alloc_array(size_t count, size_t size, mw_flags_t flags);

/**
 * mw_realloc - the object with another size
 * @object: NULL allocates
 * @size: 0 frees, and gives the shared zero-size address
 * @flags: as for mw_alloc(). MW_BELOW_* moves an object that is not there. MW_ZERO zeroes what is added, if the
 * allocation and each resize before had MW_ZERO too: else bytes that were usable before, see
 * mw_usable_size(), stay as they are.
 *
 * Keeps the contents, the alignment it was asked with, whose the object is (@flags do not say that), and, if it
 * can, the place.
 * Contract of mw_alloc(). NULL: @object is as before. What is no live object is reported as by mw_free().
 */
void *mw_realloc(void *object, size_t size, mw_flags_t flags);
void *mw_realloc_array(void *object, size_t count, size_t size, mw_flags_t flags);

/**
 * mw_free - end of an object
 * @object: what an allocation returned; NULL and the zero-size address do nothing
 *
 * A second free, an address that is not an object or inside one: reported as misuse, and nothing
 * changes. early: yes. interrupt: yes. waits: no.
 */
void mw_free(void *object);
/**
 * mw_free_sized - the same, after a look at the size
 * @size: what the object was asked for with, or resized to, last
 *
 * Any size is right that would have given as large an object, see mw_size_roundup(). An object that was asked for
 * with an alignment, with MW_POINTERS, or collected: with some alignment, as nobody notes which. Of a typed cache:
 * what the cache was made for, or what its objects have. Without bytes: 0. All others are reported as misuse, and
 * nothing changes.
 */
void mw_free_sized(void *object, size_t size);

/** mw_usable_size - bytes that may be used. interrupt: yes. Return: 0 for what is not an object, or tiny. */
size_t mw_usable_size(const void *object);
/** mw_size_roundup - what mw_alloc(@size) would really give. interrupt: yes. */
size_t mw_size_roundup(size_t size);

/** enum mw_kind - what an address turned out to be */
enum mw_kind {
	MW_KIND_NONE, /* not ours, free, or behind the last object of a span */
	MW_KIND_OBJECT, /* in a live object */
	MW_KIND_FREE, /* in an object's place that holds none now */
	MW_KIND_PAGES, /* the first page of a run from mw_pages_alloc() */
};

struct mw_cache;

/** struct mw_place - the answer of mw_lookup() */
struct mw_place {
	enum mw_kind kind;
	void *base;
	size_t size; /* usable bytes */
	const struct mw_cache *cache; /* NULL for pages and large objects */
};

/**
 * mw_lookup - what any word points to
 *
 * Constant time, no lock. interrupt: yes. Return: false for MW_KIND_NONE. Without the world
 * stopped the answer is of the moment.
 */
bool mw_lookup(const void *address, struct mw_place *place);

/* ---- typed caches ---- */

struct mw_type; /* <marrow/gc.h> */

/** struct mw_cache_want - what a cache is for; only @name and @size are needed */
struct mw_cache_want {
	const char *name; /* the first 39 characters are copied */
	size_t size;
	size_t align; /* power of two; 0: as mw_alloc() */
	mw_flags_t flags; /* MW_COLLECTED, MW_NOSCAN, MW_POINTERS, MW_BELOW_* hold for all its objects */
	const struct mw_type *type; /* layout, for precise scanning; NULL: conservative */
	/*
	 * Runs once for each object when its memory joins the cache; a freed object must be as after
	 * it. Not with MW_ZERO, nor for collected objects.
	 */
	void (*construct)(void *object);
};

/**
 * mw_cache_create - a cache of objects of one kind
 *
 * Its memory is never reused as anything else while the cache lives, but for what mw_cache_shrink() gives back,
 * and for pages of the aid MW_DEBUG_FAULT. So who reads an object that was freed meanwhile reads an object of
 * the cache, whatever memory is short of; and memory that the cache needed once is not there for others, if it is
 * collected not even after a collection.
 * early: yes. interrupt: no. waits: yes. NULL: no memory, or a request that contradicts itself (reported).
 */
struct mw_cache *mw_cache_create(const struct mw_cache_want *want);
/** mw_cache_alloc - contract of mw_alloc(); @flags: MW_ZERO, MW_ATOMIC, MW_RESERVE */
void *mw_cache_alloc(struct mw_cache *cache, mw_flags_t flags);
/** mw_cache_free - contract of mw_free(); an object of another cache is reported. @cache: NULL: of any */
void mw_cache_free(struct mw_cache *cache, void *object);
/** mw_cache_alloc_bulk - all of @n, or none and false */
bool mw_cache_alloc_bulk(struct mw_cache *cache, mw_flags_t flags, size_t n, void **objects);
void mw_cache_free_bulk(struct mw_cache *cache, size_t n, void **objects);
/**
 * mw_cache_shrink - give spans without objects back, of all CPUs where the world can be stopped, else of this one
 *
 * For the cache's owner: no reader may rely on what lay in them. Nothing else but mw_cache_destroy() gives memory of
 * a typed cache back. interrupt: no. waits: yes. Return: pages given back.
 */
size_t mw_cache_shrink(struct mw_cache *cache);
/**
 * mw_cache_destroy - end of a cache, whose memory goes back
 *
 * Nobody may use the cache from the call on. A later use of @cache is reported, and nothing changes, until its
 * record is another cache's: not before eight further caches were destroyed, unless records are out of memory. What
 * comes after that, or at the same moment as the call, cannot be told.
 * interrupt: no. waits: yes. Return: true; or false and the cache lives on: after a report of what is still live,
 * or a line that says that another CPU has a part of the cache and could not be stopped; or false after a report
 * that it is dead, is being destroyed, or is the cache of a size class.
 */
bool mw_cache_destroy(struct mw_cache *cache);

/* ---- misuse ---- */

/** enum mw_misuse - what a caller did wrong */
enum mw_misuse {
	MW_MISUSE_NONE,
	MW_DOUBLE_FREE,
	MW_FOREIGN_FREE, /* not an address of the heap, or where no object ever was: bookkeeping, unused memory */
	MW_INNER_FREE, /* inside an object or a run, not its beginning */
	MW_FREED_SPAN, /* in free pages: objects that were there went back to the page heap */
	MW_WRONG_SIZE,
	MW_WRONG_CACHE,
	MW_WRONG_KIND, /* pages freed as an object, or the other way round */
	MW_CACHE_LIVE, /* a cache destroyed with live objects */
	MW_OVERRUN, /* red zone written */
	MW_USE_AFTER_FREE, /* poison written */
	MW_BAD_REGION,
	MW_BAD_REQUEST, /* arguments that contradict each other */
	MW_BAD_POINTER, /* a typed pointer to something that is not an object */
	MW_HAS_FINALIZER, /* freed by hand with a finalizer set */
	MW_STUCK_CPU, /* a CPU did not answer a collection's request to stop in time */
	MW_NR_MISUSES,
};

/** struct mw_trace - where and when something happened to an object; depth 0: not known */
struct mw_trace {
	uint64_t when; /* mw_port_now() */
	unsigned int cpu;
	unsigned int depth;
	uintptr_t pcs[12];
};

/** struct mw_report - everything known about a misuse; fields that do not apply are 0 */
struct mw_report {
	enum mw_misuse what;
	const char *text; /* one line for people */
	const void *address; /* what was given */
	const void *object; /* the object it belongs to */
	size_t size; /* of the object */
	size_t given; /* size or count that the caller gave */
	const void *span; /* first page */
	size_t span_pages;
	const char *cache; /* name: "alloc-64", "inode" */
	const char *given_cache;
	struct mw_trace here; /* pcs[0]: who called Marrow, whatever the port's level */
	const struct mw_trace *allocated; /* NULL unless tracked */
	const struct mw_trace *freed;
};

/** mw_misuse_name - "double-free" and so on, as reports and tests print it */
const char *mw_misuse_name(enum mw_misuse what);

/** mw_report_print - the report as text through mw_port_write(). interrupt: yes. */
void mw_report_print(const struct mw_report *report);

/**
 * mw_on_misuse - who decides what happens after a misuse
 * @handler: NULL (the default) prints the report and panics, except for MW_STUCK_CPU: then the call goes on,
 * without what it wanted to stop the world for. If it returns, the misuse is ignored: the call that caused
 * it does nothing and the heap is as before.
 *
 * The handler may run in an interrupt, pinned, but never with a lock of Marrow's held.
 * Return: the handler before.
 */
typedef void mw_misuse_fn(const struct mw_report *report);
mw_misuse_fn *mw_on_misuse(mw_misuse_fn *handler);
/** mw_ignore_misuse - a handler that prints the report and goes on */
mw_misuse_fn mw_ignore_misuse;

/* ---- debug aids of objects: compiled in, off, per cache ---- */

#define MW_DEBUG_CHECKS 0x01u /* F: check an object's surroundings at each alloc and free */
#define MW_DEBUG_REDZONE 0x02u /* Z */
#define MW_DEBUG_POISON 0x04u /* P */
#define MW_DEBUG_TRACK 0x08u /* U: last allocator and freer with backtrace, CPU and time */
#define MW_DEBUG_FAULT 0x10u /* G: one object a page, faults after free; needs mw_port_protect() */

/**
 * mw_debug_set - debug aids by name
 * @spec: "FZPU" for all caches, "FZPU,name" or "P,alloc-*" for those, "-" for none; several with ';'
 *
 * Holds for spans that a cache takes from now on. early: yes, even before the first region.
 * interrupt: no. Return: false for a spec that cannot be read.
 */
bool mw_debug_set(const char *spec);

/** struct mw_fail - make allocations fail on purpose; a request that matches all fields counts */
struct mw_fail {
	unsigned long every; /* each N-th; 0: only @after */
	unsigned long after; /* the first that fails, counted from 1; 0: @every */
	unsigned int permille; /* by chance, instead */
	uint64_t seed;
	size_t min_size, max_size; /* bytes; 0, 0: all */
	uintptr_t site_lo, site_hi; /* caller's address; 0, 0: all */
	bool pages; /* the page heap's too */
	bool own; /* what Marrow takes for itself too: pages for objects, records, the growth of regions */
};

/** mw_fail_set - begin, or with NULL end. interrupt: no. Return: how many failed on purpose since the last call. */
unsigned long mw_fail_set(const struct mw_fail *fail);

/**
 * mw_reset - forget everything: as before the first mw_region_add()
 *
 * For tests, on one CPU, with no memory of Marrow's in use.
 */
void mw_reset(void);

#ifdef __cplusplus
}
#endif

#endif
