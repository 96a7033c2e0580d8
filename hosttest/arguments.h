/* SPDX-License-Identifier: MIT */
/* What test_arguments.c calls with: one of each kind, right and wrong; and how they are made and end. */
#ifndef HOSTTEST_ARGUMENTS_H
#define HOSTTEST_ARGUMENTS_H

#include <marrow/fast.h>
#include <marrow/gc.h>
#include <marrow/mempool.h>
#include <marrow/sites.h>
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"
#include "../mm/page/page.h"

/* Some of it must never have been used. */
#define HEAP ((size_t)24 << 20)
#define PAGE MW_PAGE_SIZE
#define SPARE (16 * PAGE)
#define SPARE_PHYS (UINT64_C(1) << 36)
#define SIZE ((size_t)112)
#define LARGE (10 * PAGE)
#define HUGE ((size_t)5 << 18) /* more than a CPU keeps */
#define TOP ((void *)UINTPTR_MAX)
#define NONE MW_MISUSE_NONE

enum mode {
	PLAIN,
	AIDS,
	SAFE,
	MODES
};

static const char *const mode_names[] = { "plain", "aids", "safe" };

/* What there is to call with. In memory of the test's own, which is a root. */
struct things {
	enum mode mode;
	const void *wrong; /* the argument that the report is to name; see IT() */
	char *heap, *spare;
	uint64_t heap_phys;
	char *object, *page_object, *large, *huge, *aligned, *of_cache, *of_other, *constructed;
	char *freed, *freed_page, *freed_large, *freed_huge, *freed_aligned, *freed_of_cache,
		*never, *tail, *before_tail;
	char *run, *aligned_run, *page, *stack, *freed_run, *freed_one;
	void *record, *untouched;
	struct mw_cache *cache, *other, *constructing, *dead;
	struct mw_mempool *pool;
	struct mw_shrinker shrinker, no_shrinker;
	void *got[4];
	struct mw_memrange map[2], range;
	struct mw_place place;
	struct mw_region_stats region_stats;
	struct mw_cache_stats cache_stats;
#if MW_GC
	char *collected, *noscan, *pointers, *tiny, *tiny_second, *finalized;
	char *freed_collected, *freed_noscan, *freed_pointers;
	struct mw_cache *collecting;
	struct mw_weak *weak, *freed_weak;
	struct mw_weak_table *table, *freed_table;
	struct mw_cleanup *cancelled;
	struct mw_gc_listener listener, no_listener;
	struct mw_type type, flex, field_behind, misaligned;
	void *words[6];
#endif
};

static char foreign[64];

#define IT(address_) ((void *)(uintptr_t)(at->wrong = (address_)))
#define PTR(call_) ((uintptr_t)(call_))
#define DO(call_) ((call_), 0)

/* ---- what calls are given ---- */

static void *page_of(const void *address)
{
	return (void *)mw_round_down((uintptr_t)address, PAGE);
}

static bool freed(void *object)
{
	mw_free(object);
	return object;
}

/* In the lower one of two zones, or not to be had there. */
static bool is_low(void *object)
{
	bool low = !object || mw_phys(object) < UINT64_C(1) << 24;

	mw_free(object);
	return low;
}

static void construct(void *object)
{
	__builtin_memset(object, 0x77, SIZE);
}

static size_t shrink_nothing(struct mw_shrinker *self, size_t pages)
{
	(void)self, (void)pages;
	return 0;
}

static void *pool_alloc(mw_flags_t flags, void *data)
{
	(void)data;
	return mw_alloc(SIZE, flags);
}

static void pool_free(void *element, void *data)
{
	(void)data;
	mw_free(element);
}

#if MW_WATCH
static bool stop_at_once(void *ctx, const void *bytes, size_t len)
{
	(void)ctx, (void)bytes, (void)len;
	return false;
}

static bool take_all(void *ctx, const void *bytes, size_t len)
{
	(void)ctx, (void)bytes, (void)len;
	return true;
}
#endif

#if MW_GC
struct node {
	struct node *next;
	uintptr_t value;
};

struct flex {
	uintptr_t n;
	struct node *nodes[];
};

static const struct mw_field behind[] = { { "behind", MW_FIELD_POINTER, 4 * sizeof(void *), 1, NULL,
					    0, 0 } };
static const struct mw_field odd[] = { { "odd", MW_FIELD_POINTER, 1, 1, NULL, 0, 0 } };

static const struct mw_type node_type = MW_TYPE(struct node, MW_PTR(struct node, next));
static const struct mw_type flex_type = MW_TYPE(struct flex, MW_FLEX_PTRS(struct flex, nodes));

static void see_object(void *object, void *arg)
{
	(void)object, (void)arg;
}

static void see_value(void *arg)
{
	(void)arg;
}

static void hear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	(void)self, (void)moment, (void)cycle;
}

static bool table_freed(struct mw_weak_table *table)
{
	mw_weak_table_free(table);
	return table;
}
#endif

/* ---- before and behind a call ---- */

static void fill(void *object, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)object)[i] = (unsigned char)(i * 5 + 1);
}

static bool is_full(const void *object, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)object)[i] != (unsigned char)(i * 5 + 1))
			return false;
	return true;
}

static void *filled(void *object, size_t size)
{
	NEED(object);
	fill(object, size);
	return object;
}

static void make_caches(struct things *at)
{
	const struct mw_cache_want own = { .name = "own", .size = SIZE };
	const struct mw_cache_want other = { .name = "other", .size = SIZE };
	const struct mw_cache_want made = { .name = "made", .size = SIZE, .construct = construct };

	NEED(at->cache = mw_cache_create(&own));
	NEED(at->other = mw_cache_create(&other));
	NEED(at->constructing = mw_cache_create(&made));
	NEED(at->dead = mw_cache_create(&other));
	CHECK(mw_cache_destroy(at->dead));
	NEED(at->pool = mw_mempool_create(2, pool_alloc, pool_free, NULL));
	at->of_cache = filled(mw_cache_alloc(at->cache, 0), SIZE);
	at->of_other = filled(mw_cache_alloc(at->other, 0), SIZE);
	NEED(at->constructed = mw_cache_alloc(at->constructing, 0));
	NEED(at->freed_of_cache = mw_cache_alloc(at->cache, 0));
}

/* Behind the last object of some span: a size whose spans have room there. */
static char *make_tail(struct things *at)
{
	for (size_t size = 416; size < 4096; size += 96) {
		struct mw_span *span;
		char *tail;

		NEED(at->before_tail = mw_alloc(size, 0));
		span = mw_span_of(at->before_tail);
		tail = span->base + span->count * span->stride;
		if (tail + 16 <= (char *)page_of(span->base) + span->pages * PAGE)
			return tail;
		mw_free(at->before_tail);
	}
	return NULL;
}

/* Pinned while it looks: regions come and go. */
static struct mw_region *region_of(const void *address)
{
	unsigned long state = mw_port_pin();
	struct mw_region *region = mw_region_of(mw_pn(address));

	mw_port_unpin(state);
	return region;
}

static void make_objects(struct things *at)
{
	at->object = filled(mw_alloc(SIZE, 0), SIZE);
	NEED(at->tail = make_tail(at));
	at->page_object = filled(mw_alloc(PAGE, 0), PAGE);
	at->large = filled(mw_alloc(LARGE, 0), LARGE);
	at->huge = filled(mw_alloc(HUGE, 0), SIZE);
	at->aligned = filled(mw_alloc_aligned(SIZE, 256, 0), SIZE);
	NEED(at->freed = mw_alloc(SIZE, 0));
	NEED(at->freed_page = mw_alloc(PAGE, 0));
	NEED(at->freed_large = mw_alloc(LARGE, 0));
	NEED(at->freed_aligned = mw_alloc_aligned(SIZE, 256, 0));
	NEED(at->freed_huge = mw_alloc(HUGE, 0));
	at->record = mw_span_of(at->object);
}

static void make_pages(struct things *at)
{
	struct mw_region_stats region;

	NEED(at->run = filled(mw_pages_alloc(4, 0), PAGE));
	NEED(at->aligned_run =
		     mw_pages_alloc_as(&(struct mw_pages){ .count = 2, .align = 2 * PAGE }));
	NEED(at->page = mw_pages_alloc(1, 0));
	NEED(at->stack = mw_stack_alloc(2, 0));
	NEED(at->freed_run = mw_pages_alloc(40, 0));
	NEED(at->freed_one = mw_pages_alloc(1, 0));
	NEED(mw_region_stats(0, &region));
	at->heap_phys = region.phys;
}

#if MW_GC
static void make_collected(struct things *at)
{
	const struct mw_cache_want want = { .name = "gathered", .size = SIZE, .flags = MW_COLLECTED };

	__builtin_memcpy((void *)&at->type, &node_type, sizeof(at->type));
	__builtin_memcpy((void *)&at->flex, &flex_type, sizeof(at->flex));
	at->field_behind = at->misaligned =
		(struct mw_type){ .name = "wrong", .size = 16, .field_count = 1 };
	at->field_behind.fields = behind;
	at->misaligned.fields = odd;
	NEED(at->collecting = mw_cache_create(&want));
	at->collected = filled(mw_alloc(SIZE, MW_COLLECTED), SIZE);
	at->noscan = filled(mw_alloc(SIZE, MW_NOSCAN), SIZE);
	at->pointers = filled(mw_alloc(SIZE, MW_POINTERS), SIZE);
	NEED(at->tiny = mw_alloc(5, MW_NOSCAN));
	NEED(at->tiny_second = mw_alloc(4, MW_NOSCAN));
	NEED(at->finalized = mw_alloc(SIZE, MW_COLLECTED));
	NEED(at->freed_collected = mw_alloc(SIZE, MW_COLLECTED));
	NEED(at->freed_noscan = mw_alloc(SIZE, MW_NOSCAN));
	NEED(at->freed_pointers = mw_alloc(SIZE, MW_POINTERS));
	NEED(at->weak = mw_weak_new(at->collected));
	NEED(at->freed_weak = mw_weak_new(at->noscan));
	mw_weak_free(at->freed_weak);
	NEED(at->table = mw_weak_table_new("table"));
	NEED(at->freed_table = mw_weak_table_new("freed"));
	mw_weak_table_free(at->freed_table);
	NEED(at->cancelled = mw_cleanup_add(at->collected, see_value, NULL));
	CHECK(mw_cleanup_cancel(at->cancelled));
	CHECK(mw_finalizer_set(at->finalized, see_object, NULL));
	at->listener.moment = at->no_listener.moment = hear;
	mw_gc_listen(&at->listener);
}
#endif

/* Last, so that nothing has these places again. */
static void spend(struct things *at)
{
#if MW_GC
	mw_free(at->freed_collected);
	mw_free(at->freed_noscan);
	mw_free(at->freed_pointers);
#endif
	mw_cache_free(at->cache, at->freed_of_cache);
	mw_free(at->freed);
	mw_free(at->freed_page);
	mw_free(at->freed_large);
	mw_free(at->freed_aligned);
	mw_free(at->freed_huge);
	mw_pages_free(at->freed_run, 40);
	mw_pages_free(at->freed_one, 1);
	at->never = at->of_cache + mw_span_of(at->of_cache)->stride * 3;
	at->untouched = mw_pn_address(region_of(at->object)->frontier);
}

static struct things *make(enum mode mode)
{
	struct things *at;

	NEED(test_heap(HEAP));
	at = test_memory(mw_round_up(sizeof(*at), PAGE));
	*at = (struct things){ .mode = mode };
	at->map[0] = (struct mw_memrange){ 0, 16 * PAGE, MW_MEM_FREE };
	at->spare = test_memory(SPARE);
	NEED(at->spare);
	if (mode == AIDS)
		CHECK(mw_debug_set("FZPU"));
#if MW_GC
	NEED(mw_gc_root_add("things", at, at + 1, NULL));
	if (mode == SAFE)
		CHECK(mw_safe_free(NULL, &(struct mw_safe_policy){ .on = true, .wipe = true }));
#endif
	make_objects(at);
	make_pages(at);
	make_caches(at);
#if MW_GC
	make_collected(at);
#endif
	at->heap = page_of((void *)(uintptr_t)region_of(at->object)->base);
	at->shrinker.shrink = at->no_shrinker.shrink = shrink_nothing;
	mw_shrinker_add(&at->shrinker);
	spend(at);
	return at;
}

/* All of it goes as it should, and what is needed next is there. */
static void end(struct things *at)
{
	void *again;

	mw_shrinker_remove(&at->shrinker);
#if MW_GC
	mw_gc_unlisten(&at->listener);
	mw_weak_free(at->weak);
	mw_weak_table_free(at->table);
	CHECK(mw_finalizer_clear(at->finalized));
	mw_free(at->collected);
	mw_free(at->noscan);
	mw_free_sized(at->pointers, SIZE);
	mw_free(at->finalized);
	CHECK(mw_cache_destroy(at->collecting));
	CHECK(mw_gc_root_remove(at));
#endif
	mw_mempool_destroy(at->pool);
	mw_free_sized(at->object, SIZE);
	mw_free(at->before_tail);
	mw_free_sized(at->page_object, PAGE);
	mw_free_sized(at->large, LARGE);
	mw_free_sized(at->huge, HUGE);
	mw_free_sized(at->aligned, SIZE);
	mw_cache_free(at->cache, at->of_cache);
	mw_cache_free(at->other, at->of_other);
	mw_cache_free(at->constructing, at->constructed);
	mw_pages_free(at->run, 4);
	mw_pages_free(at->aligned_run, 2);
	mw_pages_free(at->page, 1);
	mw_stack_free(at->stack, 2);
#if MW_GC
	if (at->mode == SAFE)
		CHECK(mw_safe_free(NULL, &(struct mw_safe_policy){ .on = false }));
#endif
	CHECK(mw_cache_destroy(at->cache));
	CHECK(mw_cache_destroy(at->other));
	CHECK(mw_cache_destroy(at->constructing));
	for (size_t size = 8; size < LARGE; size *= 2) {
		NEED(again = mw_alloc(size, 0));
		mw_free(again);
	}
	CHECK(mw_debug_set("-"));
	CHECK(mw_heap_check());
}

static bool are_whole(const struct things *at)
{
	return is_full(at->object, SIZE) && is_full(at->page_object, PAGE) &&
	       is_full(at->large, LARGE) && is_full(at->huge, SIZE) && is_full(at->aligned, SIZE) &&
	       is_full(at->of_cache, SIZE) && is_full(at->of_other, SIZE) && is_full(at->run, PAGE) &&
#if MW_GC
	       is_full(at->collected, SIZE) && is_full(at->noscan, SIZE) &&
	       is_full(at->pointers, SIZE) &&
#endif
	       at->constructed[0] == 0x77 && at->constructed[SIZE - 1] == 0x77;
}

/* What a call must not change. */
static struct picture {
	size_t live, bytes, raw, regions;
} picture_of(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return (struct picture){ stats.live_objects, stats.live_bytes, stats.page.raw,
				 stats.page.regions };
}

#endif
