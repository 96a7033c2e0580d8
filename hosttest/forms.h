/* SPDX-License-Identifier: MIT */
/*
 * What the engines that try calls beside each other (pairs.h, crowd.h) have of api.def: the things that its forms
 * name, and the forms as a table, which forms_table.h makes in one file of each engine.
 */
#ifndef HOSTTEST_FORMS_H
#define HOSTTEST_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/fast.h>
#include <marrow/gc.h>
#include <marrow/mempool.h>
#include <marrow/mm.h>
#include <marrow/sites.h>
#include <marrow/watch.h>

/* What sizes the forms ask for; an engine may have others, and not the same all the time. */
#ifndef OBJECT_SIZE
#define OBJECT_SIZE ((size_t)64)
#define WIDE_SIZE ((size_t)2000)
#define LARGE_SIZE ((size_t)40000)
#define CACHE_SIZE ((size_t)192)
#endif
#define RUN_PAGES ((size_t)5)
#define SPARE_BYTES ((size_t)1 << 20)
#define BULK 6u

/* ---- things ---- */

/* What a form ends, moves or adds: a field of struct things, of the caller's own or, with shared_, of us. */
#define PAIRS_THINGS(T)                                                                            \
	T(object), T(aligned), T(large), T(of_cache), T(bulk), T(collected), T(key), T(referred),  \
		T(ignored), T(page), T(run), T(stack), T(cache), T(empty), T(old_root),            \
		T(new_root), T(to_pin), T(pinned), T(listener), T(new_listener), T(shrinker),      \
		T(new_shrinker), T(cleanup), T(weak), T(table), T(pool), T(element), T(region)
#define PAIRS_OWN(thing_) THING_##thing_
#define PAIRS_SHARED(thing_) THING_shared_##thing_
enum thing {
	PAIRS_THINGS(PAIRS_OWN),
	NR_THINGS,
	THING_none = NR_THINGS,
	PAIRS_THINGS(PAIRS_SHARED)
};

struct node {
	struct node *next, *other;
	uintptr_t value;
};

struct flex {
	uintptr_t value;
	struct node *nodes[];
};

/* Of each caller, and of all of them; what a form of api.def may name. */
struct things {
	mw_flags_t flags; /* of an allocation here and now */
	void *object, *aligned, *large, *of_cache, *ignored;
	void *collected, *key, *value, *referred, *finalized, *tagged, *pinned, *to_pin, *cleaned;
	void *page, *run, *stack;
	void *bulk[BULK], *got[BULK];
	struct mw_cache *cache, *empty; /* own, without objects; shared: for hand-managed objects */
	struct mw_cache *live, *fresh; /* shared: of collected objects; the second has no span yet */
	struct mw_cache *idle; /* shared: each CPU has a span of it, in which all is free again */
	struct mw_weak *weak, *weak_dead;
	struct mw_weak_table *table;
	struct mw_cleanup *cleanup;
	struct mw_mempool *pool;
	void *element;
	struct mw_shrinker shrinker, new_shrinker;
	struct mw_gc_listener listener, new_listener;
	void **roots, **old_root, **new_root; /* words in memory that is no region's */
	struct mw_type type; /* not used yet */
	struct mw_type *node, *flex;
	char *region, *inside, *spare;
	uint64_t inside_phys, spare_phys;
	uintptr_t dead; /* an object that nothing reaches, inverted */

	/* What calls read, */
	struct mw_memrange map[2];
	struct mw_cache_want hand, gathered;
	struct mw_report report;
	mw_misuse_fn *on_misuse;
	struct mw_fail rarely;
	struct mw_gc_policy policy;
	struct mw_leak_want leaks;
	struct mw_safe_policy safe, not_safe;
	struct mw_profile_mapping mapping;
#if MW_SITES
	struct mw_site site;
#endif
	/* and what they fill. */
	struct mw_memrange range;
	struct mw_safe_stats safe_stats;
	struct mw_region_stats region_stats;
	struct mw_page_stats page_stats;
	struct mw_stats stats;
	struct mw_pause pauses[4];
	struct mw_cache_stats cache_stats;
	size_t taken;

	bool done; /* this one's call has returned, */
	uintptr_t result; /* with this */
	unsigned char fate[NR_THINGS]; /* FATE_* */
};
#define FATE_GONE 1
#define FATE_ADDED 2

/* ---- forms ---- */

enum effect {
	NOTHING,
	MAKES,
	GETS,
	MOVES,
	ENDS,
	ADDS
};
enum made {
	NO_KIND,
	OBJECT,
	COLLECTED,
	BULK_OF,
	PAGE,
	RUN,
	STACK,
	CACHE,
	WEAK,
	TABLE,
	CLEANUP,
	POOL,
	REGION
};
enum words {
	EARLY = 1,
	IRQ = 2,
	ATOMIC = 4,
	WAITS = 8
};

struct form {
	const char *call, *tag, *text; /* @text: the expression */
	unsigned int words;
	bool exact;
	enum effect effect;
	enum made kind;
	enum thing thing;
	uintptr_t (*run)(struct things *me, struct things *us);
};

extern const struct form forms[];
extern const unsigned int nr_forms;

/* What an engine gives to forms_table.h: who hears that a finalizer or cleanup ran, that a region is gone. */
void forms_finalized(void *object, void *arg);
void forms_cleaned(void *arg);
void forms_region_gone(const struct things *us);

#endif
