/* SPDX-License-Identifier: MIT */
/*
 * Marrow: what can be seen of the heap.
 *
 * Unless stated, a call here is early: yes, interrupt: no, waits: no. Text goes to mw_port_write(),
 * streams to a function of the caller's; nothing here allocates from the heap that it looks at.
 */
#ifndef MARROW_WATCH_H
#define MARROW_WATCH_H

#include <marrow/mm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- statistics ---- */

#define MW_ORDERS 32
#define MW_NR_ZONES 3

/** struct mw_zone_stats - the free runs of one zone */
struct mw_zone_stats {
	size_t pages; /* given to the zone by regions */
	size_t free; /* pages */
	size_t low_water; /* fewest free pages ever */
	size_t released; /* of the free ones, given to mw_port_release() */
	size_t runs; /* free runs */
	size_t largest; /* pages of the longest; where many are nearly as long, a sixteenth less at most */
	/* How much of the free memory is not in the longest run, in thousandths: 0 is one run. */
	unsigned int fragmentation;
	unsigned int by_order[MW_ORDERS]; /* runs of [2^i, 2^(i+1)) pages */
};

/** struct mw_region_stats - one region, or the part of it that lies in one zone; pages */
struct mw_region_stats {
	const void *base; /* first page */
	uint64_t phys;
	unsigned int zone; /* 0: below 16 MiB, 1: below 4 GiB, 2: the rest */
	size_t pages; /* == used + free + untouched + metadata */
	size_t used; /* handed out, or in stocks */
	size_t free; /* in free runs */
	size_t released; /* of the free ones, given to mw_port_release() */
	size_t untouched; /* never handed out yet */
	size_t metadata;
};

/** mw_region_stats - of the @index-th region by address. Return: false: there is none. */
bool mw_region_stats(size_t index, struct mw_region_stats *stats);

/** struct mw_page_stats - all of the page heap, at one moment */
struct mw_page_stats {
	size_t regions;
	size_t bytes; /* in all regions */
	size_t metadata; /* bytes carved for Marrow's records; of these: */
	size_t map; /* bytes of the page map that lie in regions */
	size_t index; /* of what is known of free runs: bitmaps */
	size_t edges; /* guard pages, what rounding up to pages leaves, and pages for records yet to come */
	size_t stacks; /* pages, of @raw and @stocked, that mw_stack_alloc() gave and mw_stack_free() did not get back */
	size_t untouched; /* bytes never handed out yet */
	size_t free, raw, objects, stocked; /* pages; with @lost and metadata they add up to bytes */
	size_t lost; /* pages that mw_port_reclaim() did not give back: nobody gets them */
	size_t reserve; /* pages, of those that are free */
	struct mw_zone_stats zone[MW_NR_ZONES]; /* below 16 MiB, below 4 GiB, the rest */
	unsigned long allocs, frees, failures;
};

/** mw_page_stats - interrupt: no. Takes the page heap's lock for a bounded time. */
void mw_page_stats(struct mw_page_stats *stats);

/**
 * struct mw_stats - everything
 *
 * The page heap's figures belong to one moment, and so do those of objects when nobody allocates
 * meanwhile: with the world stopped, or on the only CPU. Else each is right for some moment of the call.
 */
struct mw_stats {
	struct mw_page_stats page;
	size_t live_bytes, live_objects; /* of objects, all caches and large ones */
	size_t collected_bytes, collected_objects; /* of these, the collector's; garbage too */
	size_t cached_bytes; /* free places in their spans */
	unsigned long allocs, frees, lookups; /* ever */
	uint64_t alloc_bytes; /* ever, with what large objects grew by where they lie; the freed ones: less @live_bytes */
	unsigned long remote_frees; /* of the frees, by a CPU that did not own the span */
	unsigned long packed; /* tiny objects that share a block; a block is one object above */
	/*
	 * Bytes; enum mw_use. With @metadata_spare and @page.edges they add up to @page.metadata.
	 */
	size_t metadata_by_use[8];
	size_t metadata_spare; /* bytes carved for records, and not one yet */
	size_t span_records, cache_records; /* bytes, of those of that use: in use now */
	unsigned long misuses;
	size_t goal; /* of the collector; 0 without */
	/*
	 * What lives of the collector's as it counts on the way, without looking: what the last
	 * mark found, and all that was set aside since. It is what the next cycle is timed by. When
	 * nothing is left to be swept it is no less than @collected_bytes, but for what interrupts
	 * allocated during the mark; how much more, is its skew. 0 without.
	 */
	size_t collected_about;
	unsigned long cycles;
	size_t pauses; /* that mw_pauses() knows */
	uint64_t pause_total_ns, pause_max_ns;
};

/** mw_stats - takes time for each span there is */
void mw_stats(struct mw_stats *stats);

#define MW_PAUSES 256

/** struct mw_pause - the world stood still */
struct mw_pause {
	uint64_t end; /* mw_port_now() */
	uint64_t ns;
};

/**
 * mw_pauses - the last of the collector's, up to MW_PAUSES, oldest first
 * @last: gets up to @most of them
 *
 * Return: how many are known. 0 without a collector.
 */
size_t mw_pauses(struct mw_pause *last, size_t most);

/** struct mw_cache_stats - one cache; size classes are caches named "alloc-N" */
struct mw_cache_stats {
	unsigned int id; /* of the cache: the same as long as it lives */
	const char *name;
	size_t size; /* of an object's place */
	size_t asked; /* size it was created with */
	size_t live, capacity; /* objects */
	size_t spans, pages;
	unsigned long allocs, frees, remote_frees;
};

/**
 * mw_cache_stats - of the @index-th cache
 *
 * Exact when nobody allocates meanwhile. Return: false: there is none with that number.
 */
bool mw_cache_stats(size_t index, struct mw_cache_stats *stats);

/* Tables for people, in the manner of meminfo, buddyinfo, slabinfo, allocinfo. */
void mw_print_meminfo(void);
void mw_print_buddyinfo(void);
void mw_print_slabinfo(void);
void mw_print_sites(void); /* needs MW_SITES */
/* A map of a region's pages, @columns wide, a letter for the state; ANSI colours if asked. */
void mw_print_map(unsigned int columns, bool colour);

/* ---- checks ---- */

/**
 * mw_heap_check - run every structure's own checker
 *
 * interrupt: no. Nobody else may be inside Marrow: one CPU, or the world stopped.
 * Return: true; or false after a line that names the first invariant that does not hold.
 */
bool mw_heap_check(void);

#if MW_WATCH

/* ---- streams ---- */

/** mw_sink_fn - takes bytes of a stream. Return: false to stop it. */
typedef bool mw_sink_fn(void *ctx, const void *bytes, size_t len);

/** mw_trace_on - the event ring of each CPU. Of callers at once, the last one counts. Return: false: no memory for the rings. */
bool mw_trace_on(bool on);
/** mw_trace_write - as Chrome trace JSON. Return: false: the sink stopped it. */
bool mw_trace_write(mw_sink_fn *sink, void *ctx);

/** MW_PROFILE_DEFAULT - a rate that may stay on: one allocation in 512 KiB */
#define MW_PROFILE_DEFAULT ((size_t)512 << 10)

/** mw_picture_write - every run of pages, and every cache, as JSON. Return: false: the sink stopped it. */
bool mw_picture_write(mw_sink_fn *sink, void *ctx);

/**
 * mw_profile_rate - sample one allocation in about @bytes bytes; 1: all; 0: off
 *
 * Each allocation has the same chance for its bytes to be the sample, whoever else allocates and
 * whatever is freed when; so what the profile says of a site, of allocations and of what lives, is
 * right on average at every rate. With n objects of a site, of which a sample stands for m, the
 * standard error is sqrt(n m) objects at most. The parts of tiny blocks count with the bytes that
 * were asked for. What was counted before stays, and frees of objects that were sampled are counted
 * on. Return: true.
 */
bool mw_profile_rate(size_t bytes);

enum mw_profile_form {
	MW_PROFILE_PPROF, /* profile.proto, not compressed */
	MW_PROFILE_TEXT, /* the older "heap profile:" form */
	MW_PROFILE_FOLDED, /* collapsed stacks, bytes allocated */
	MW_PROFILE_FOLDED_LIVE, /* and bytes that live */
};

/**
 * mw_profile_write - what was allocated since the profile began, and what of it lives
 *
 * By size and chain of callers, objects and bytes. Of objects managed by hand, all frees are in it. Of
 * the collector's, what lives is what the last mark found whose sweep has ended. Without a collector
 * nothing is known of frees, and nothing lives. Return: false: the sink stopped it.
 */
bool mw_profile_write(enum mw_profile_form form, mw_sink_fn *sink, void *ctx);

/** struct mw_profile_site - all objects of one size that were allocated by one chain of callers; estimated */
struct mw_profile_site {
	size_t size;
	uint64_t allocs, live; /* objects; what lives is known as in mw_profile_write() */
	unsigned int depth;
	uintptr_t pcs[16]; /* return addresses, innermost first */
};

/** struct mw_profile_cursor - where a walk is; zeroed at its start */
struct mw_profile_cursor {
	unsigned int head;
	struct mw_bucket *at; /* Marrow's */
};

/**
 * mw_profile_site_next - the sites of the profile, one after the other, in no order
 *
 * early: yes. interrupt: no. waits: no. A site that comes meanwhile may be left out. Return: false:
 * that was the last.
 */
bool mw_profile_site_next(struct mw_profile_cursor *cursor, struct mw_profile_site *site);

/** struct mw_profile_mapping - the code that the profile's addresses are in, for pprof */
struct mw_profile_mapping {
	uintptr_t start, limit, offset; /* addresses; where @start is in the file */
	const char *file, *build_id; /* of the image; NULL: not known. Kept, not copied */
};

/**
 * mw_profile_mapping - name the kernel's image. early: yes
 *
 * Without it one mapping spans all addresses, which suits an image that runs where it is linked.
 */
void mw_profile_mapping(const struct mw_profile_mapping *mapping);

/**
 * mw_dump_write - the whole heap, as a "go1.4 heap dump"; waits: yes
 *
 * The world is stopped while @sink takes it; it gets up to 512 bytes at a time and must not call
 * Marrow. What interrupts allocate or free meanwhile is in the dump or not. Objects managed by hand
 * have each word as a pointer that leads to a live object. docs/design/watch.md has what stands where.
 * Return: false: the sink stopped it, or a CPU did not stop, which is reported.
 */
bool mw_dump_write(mw_sink_fn *sink, void *ctx);

#endif

#ifdef __cplusplus
}
#endif

#endif
