// SPDX-License-Identifier: MIT
/* The arena, runs of pages, and what there is once: see heap.h. */
#include "flat.h"
#include "span.h"

char lay_arena[LAY_ARENA] __attribute__((aligned(1 << 21)));
char *lay_region;
size_t lay_region_pages, lay_region_granules;
struct lay_leaf *_Atomic lay_root[ROOTS];
struct lay_leaf lay_no_leaf;
__thread struct lay_self lay_self;
struct lay_cpu lay_cpus[LAY_CPUS];
struct lay_cache lay_caches[MAX_CACHES];
struct mw_class_tables lay_classes;
struct lay_hazard lay_hazards[LAY_CPUS];
size_t lay_described_bytes, lay_used_pages;
unsigned long lay_wrongs[LAY_NR_WRONG];

static char *next_page, *next_meta;
static void *free_runs[LARGEST_RUN + 1];
static bool in_pieces;
static unsigned int caches;

void lay_report(enum lay_wrong what, const void *object)
{
	(void)object;
	lay_wrongs[what]++;
}

_Noreturn MW_NOINLINE void mw_assert_failed(const char *what, const char *file, int line)
{
	(void)file;
	lay_say(what, (unsigned long)line);
	for (;;)
		__builtin_trap();
}

void lay_copy(void *to, const void *from, size_t bytes)
{
	__builtin_memcpy(to, from, bytes);
}

static bool piece_end(const char *page)
{
	return in_pieces && ((size_t)(page - lay_arena) & LAY_PIECE);
}

void *lay_pages_take(size_t pages)
{
	char *run = free_runs[pages];

	lay_used_pages += pages;
	if (run) {
		free_runs[pages] = *(void **)run;
		return run;
	}
	/* A run lies in one piece. */
	if (piece_end(next_page) || piece_end(next_page + pages * PAGE - 1))
		next_page = lay_arena + (((size_t)(next_page - lay_arena) | (2 * LAY_PIECE - 1)) + 1);
	run = next_page;
	next_page += pages * PAGE;
	return next_page <= lay_arena + LAY_ARENA ? run : NULL;
}

void lay_pages_give(void *run, size_t pages)
{
	lay_used_pages -= pages;
	*(void **)run = free_runs[pages];
	free_runs[pages] = run;
}

void *lay_meta(size_t bytes, size_t align)
{
	char *at = next_meta + (-(uintptr_t)next_meta & (align - 1));

	next_meta = at + bytes;
	lay_described_bytes += bytes;
	return at;
}

void lay_slots_make(struct lay_cache *cache)
{
	for (unsigned int i = 0; i < LAY_CPUS; i++) {
		struct lay_slot *slot = lay_meta(sizeof(*slot), 64);

		slot->cache = cache;
		slot->unit = cache->size;
		span_slot_start(slot);
#ifdef LAYOUT_Q
		if (cache->size <= FLAT_MAX)
			flat_slot_start(slot);
#endif
		lay_cpus[i].slot[cache->id] = slot;
	}
}

static struct lay_cache *cache_add(size_t size, bool collected)
{
	struct lay_cache *cache = &lay_caches[caches];

	cache->id = caches++;
	cache->size = size;
	cache->collected = collected;
	lay_slots_make(cache);
	return cache;
}

struct lay_cache *lay_cache_make(size_t size)
{
	return cache_add(size, false);
}

unsigned int lay_collected_id(size_t size)
{
	for (unsigned int i = 0; i < caches; i++) {
		if (lay_caches[i].collected && lay_caches[i].size == size)
			return i;
	}
	return cache_add(size, true)->id;
}

void *lay_collected(size_t size)
{
	return lay_cache_alloc(&lay_caches[lay_collected_id(size)]);
}

/* A class for each size; that of 8 bytes is left to 16, so that both layouts have the same ones. */
static void make_classes(void)
{
	mw_class_fill(&lay_classes);
	for (unsigned int i = 0; i < lay_classes.count; i++)
		(void)cache_add(i < 2 ? 16 : lay_classes.sizes[i], false);
	for (unsigned int cpu = 0; cpu < LAY_CPUS; cpu++) {
		lay_cpus[cpu].number = cpu;
		for (size_t i = 0; i < MW_FINE_STEPS; i++)
			lay_cpus[cpu].fine[i] =
				lay_cpus[cpu].slot[mw_max(2u, (unsigned int)lay_classes.fine[i])];
	}
}

#ifdef LAYOUT_LEAVES
static struct lay_leaf *leaf_new(void)
{
	struct lay_leaf *leaf = lay_meta(sizeof(*leaf), 64);

#ifdef LAYOUT_WIDE
	for (size_t i = 0; i < LEAF_PAGES; i++)
		leaf->map[i] = &home()->none;
#endif
#ifdef LAYOUT_Q
	for (size_t i = 0; i < LEAF_PAGES; i++)
		leaf->owner[i] = OWNER_NONE;
#endif
	return leaf;
}
#endif

void lay_start(bool pieces)
{
	lay_region = lay_arena;
	lay_region_pages = PAGES;
	lay_region_granules = PAGES * (PAGE / 16);
	in_pieces = pieces;
	next_meta = home()->rest;
	home()->none.owner = OWNER_NONE;
	/* Its product says that nothing in it is exact. */
	home()->none.magic = 0;
#ifdef LAYOUT_WIDE
	for (size_t i = 0; i < PAGES; i++)
		home()->map[i] = &home()->none;
	for (size_t i = 0; i < LEAF_PAGES; i++)
		lay_no_leaf.map[i] = &home()->none;
#endif
#ifdef LAYOUT_Q
	for (size_t i = 0; i < PAGES; i++)
		home()->owner[i] = OWNER_NONE;
	for (size_t i = 0; i < LEAF_PAGES; i++)
		lay_no_leaf.owner[i] = OWNER_NONE;
#endif
#ifdef LAYOUT_LEAVES
	for (size_t i = 0; i < ROOTS; i++)
		lay_root[i] = &lay_no_leaf;
	for (uintptr_t at = (uintptr_t)lay_arena; at < (uintptr_t)lay_arena + LAY_ARENA; at += PAGE) {
		if (lay_root[at >> LEAF_SHIFT] == &lay_no_leaf)
			lay_root[at >> LEAF_SHIFT] = leaf_new();
	}
#endif
	next_page = lay_arena + ((sizeof(struct lay_home) + PAGE) | (LAY_PIECE * 2 - 1)) + 1;
	make_classes();
	lay_be_cpu(0);
	lay_described_bytes = 0;
}

void lay_be_cpu(unsigned int cpu)
{
	lay_self.cpu = &lay_cpus[cpu];
	lay_self.number = cpu;
}
