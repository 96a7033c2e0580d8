// SPDX-License-Identifier: MIT
/*
 * How much is done while this CPU is pinned once, where a call has much to do: each time it is no longer pinned an
 * interrupt looks how far the call has come. The instructions of ordinary calls are counted by `make pinned`.
 */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/object/inside.h"
#include "../mm/page/page.h"

/* Of the hosted port. */
__attribute__((weak)) void port_interrupt_set(void (*fn)(void *arg), void *arg);
__attribute__((weak)) void port_interrupt_each(bool on);

#define WIDE (sizeof(void *) == 8)
#define HEAP ((WIDE ? 256 : 32) * MIB)
#define LARGE (HEAP / 2)
#define WORDS_AT_ONCE 1024u /* of the page map */

static struct {
	size_t (*progress)(void);
	size_t at, most;
	unsigned long turns;
} seen;

static void look(void *arg)
{
	size_t now = seen.progress();

	(void)arg;
	seen.most = mw_max(seen.most, now > seen.at ? now - seen.at : seen.at - now);
	seen.at = now;
	seen.turns++;
}

static void begin(size_t (*progress)(void))
{
	seen.progress = progress;
	seen.at = progress();
	seen.most = seen.turns = 0;
	port_interrupt_set(look, NULL);
	port_interrupt_each(true);
}

/* Something was done, and no more than @most of it between two looks. */
static void end(const char *what, size_t most)
{
	port_interrupt_each(false);
	look(NULL);
	port_interrupt_set(NULL, NULL);
	test_note("%s: %zu at most, %lu turns", what, seen.most, seen.turns);
	CHECK(seen.most > 0 && seen.most <= most);
}

/* ---- long spans enter the page map, and leave it ---- */

static char *heap;

static size_t words_of_spans(void)
{
	size_t count = 0;

	for (size_t at = 0; at < HEAP; at += PAGE)
		count += mw_span_of(heap + at) != NULL;
	return count;
}

static void sparse_heap(void)
{
	test_heap(PAGE * 4);
	heap = test_memory(HEAP);
	mw_reset();
	NEED(mw_region_add_zeroed(heap, (uint64_t)1 << 30, HEAP));
}

TEST_WITH(a_large_object, TEST_HOSTED)
{
	void *object;

	sparse_heap();
	begin(words_of_spans);
	object = mw_alloc(LARGE, 0);
	end("is shown", WORDS_AT_ONCE);
	NEED(object && mw_usable_size(object) >= LARGE);
	begin(words_of_spans);
	mw_free(object);
	end("is freed", WORDS_AT_ONCE);
	CHECK_EQ(words_of_spans(), 0);
}

TEST_WITH(a_typed_cache_of_large_objects, TEST_HOSTED)
{
	const struct mw_cache_want want = { .name = "long", .size = LARGE / 2 };
	struct mw_cache *cache;
	void *object;

	sparse_heap();
	cache = mw_cache_create(&want);
	NEED(cache);
	begin(words_of_spans);
	object = mw_cache_alloc(cache, 0);
	end("grows", WORDS_AT_ONCE);
	NEED(object);
	mw_cache_free(cache, object);
	begin(words_of_spans);
	CHECK(mw_cache_shrink(cache) >= LARGE / 2 / PAGE);
	end("shrinks", WORDS_AT_ONCE);
	CHECK(mw_object_check());
	CHECK(mw_cache_destroy(cache));
}

#if MW_GC
TEST_WITH(a_large_collected_object, TEST_HOSTED)
{
	void *object;

	sparse_heap();
	begin(words_of_spans);
	object = mw_alloc(LARGE, MW_COLLECTED | MW_NOSCAN);
	end("is shown", WORDS_AT_ONCE);
	NEED(object);
	begin(words_of_spans);
	mw_free(object);
	end("is freed", WORDS_AT_ONCE);
}

/* Returns no pointer to it. */
static __attribute__((noinline)) void leave_garbage(void)
{
	NEED(mw_alloc(LARGE, MW_COLLECTED | MW_NOSCAN));
}

static __attribute__((noinline)) void overwrite_stack(void)
{
	volatile char bytes[16384];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0;
}

TEST_WITH(a_large_object_that_is_swept, TEST_HOSTED)
{
	void *first;

	sparse_heap();
	/* Not the object, as @heap is a root. */
	first = mw_pages_alloc(1, 0);
	NEED(first);
	leave_garbage();
	overwrite_stack();
	test_own_roots(true);
	begin(words_of_spans);
	NEED(mw_gc_collect(MW_COLLECT_SWEPT));
	end("is swept", WORDS_AT_ONCE);
	test_own_roots(false);
	mw_pages_free(first, 1);
}

TEST_WITH(a_large_object_that_is_held_back, TEST_HOSTED)
{
	const struct mw_safe_policy on = { .on = true, .hold = SIZE_MAX / 2 }, off = { 0 };
	void *object;

	sparse_heap();
	NEED(mw_safe_free(NULL, &on));
	object = mw_alloc(LARGE, 0);
	NEED(object);
	mw_free(object);
	CHECK(words_of_spans() >= LARGE / PAGE);
	begin(words_of_spans);
	NEED(mw_safe_free(NULL, &off));
	end("is let go", WORDS_AT_ONCE);
	CHECK_EQ(mw_object_live_bytes(), 0);
}
#endif

/* ---- regions ---- */

#define LONG_REGION ((size_t)8 << 30)
#define TABLES (LONG_REGION >> MW_MAP_TABLE_SHIFT)
#define DISOWN_STEP 16u /* as in remove.c */

static size_t entries(void)
{
	size_t first = mw_pn(heap) / (MW_MAP_LEAVES * MW_LEAF_PAGES), count = 0;

	for (size_t i = 0; i <= TABLES; i++)
		count += atomic_load_explicit(&mw_map_root[first + i], memory_order_relaxed) != NULL;
	return count;
}

/* Its map comes with its frontier, and goes in steps. */
TEST_WITH(a_long_region, TEST_HOSTED)
{
	const struct mw_pages most = { .count = LONG_REGION / PAGE - LONG_REGION / PAGE / 100 };
	size_t tables = TABLES; /* 0 in 32 bits, where the test is skipped */
	size_t before;
	void *pages;

	if (!WIDE)
		test_skip("no room for so long a region");
	test_heap(MIB);
	heap = test_memory(LONG_REGION);
	before = entries(); /* the two heaps may be neighbours, in one table */
	begin(entries);
	NEED(mw_region_add_zeroed(heap, (uint64_t)1 << 40, LONG_REGION));
	end("comes", 2);
	begin(entries);
	pages = mw_pages_alloc_as(&most);
	end("grows", 1);
	NEED(pages);
	CHECK(entries() >= tables - tables / 50);
	mw_pages_free(pages, most.count);
	CHECK(mw_page_check());
	begin(entries);
	NEED(mw_region_remove(heap));
	end("goes", DISOWN_STEP);
	CHECK_EQ(entries(), before);
	CHECK(mw_page_check());
}

/* ---- many records, caches, spans ---- */

static struct mw_fixed fixed;

static size_t records_used(void)
{
	struct mw_fixed_chunk *chunk = atomic_load_explicit(&fixed.chunks, memory_order_relaxed);
	size_t used = 0;

	for (; chunk; chunk = chunk->next)
		used += mw_word(&chunk->used);
	return used;
}

TEST_WITH(fresh_records_that_become_free, TEST_HOSTED)
{
	test_heap(4 * MIB);
	mw_fixed_init(&fixed, 16, MW_USE_OTHER, NULL);
	NEED(mw_fixed_stock(&fixed, 1000));
	begin(records_used);
	NEED(mw_fixed_stock(&fixed, 2000));
	end("become free", 64);
	CHECK(mw_fixed_check(&fixed));
}

static size_t caches_with_aids(void)
{
	size_t count = 0;

	for (unsigned int i = 0; i < MW_NR_BUILTIN; i++)
		count += mw_word(&mw_object.builtin[i].debug) != 0;
	return count;
}

TEST_WITH(rules_for_many_caches, TEST_HOSTED)
{
	test_heap(4 * MIB);
	mw_free(mw_alloc(8, 0));
	begin(caches_with_aids);
	NEED(mw_debug_set("FZPU"));
	end("get aids", 8);
	begin(caches_with_aids);
	NEED(mw_debug_set("-"));
	end("lose them", 8);
}

static size_t spans_here(void)
{
	unsigned long state = mw_port_pin();
	size_t count = mw_cpu_here()->owned_count;

	mw_port_unpin(state);
	return count;
}

TEST_WITH(empty_spans_that_are_drained, TEST_HOSTED)
{
	void **chain = NULL, **next;

	test_heap(16 * MIB);
	for (unsigned int i = 0; i < 4000; i++) {
		NEED((next = mw_alloc(1024, 0)));
		*next = chain;
		chain = next;
	}
	for (; chain; chain = next) {
		next = *chain;
		mw_free(chain);
	}
	begin(spans_here);
	(void)mw_up_reclaim(0, MW_NORMAL, 0);
	end("are drained", MW_DRAIN_STEP);
}

/* ---- spans with debug aids ---- */

#define FULL_SPANS 3000u

static void **fill_spans(struct mw_cache *cache, unsigned int spans)
{
	void **chain = NULL;

	while (cache->spans < spans) {
		void **object = mw_cache_alloc(cache, 0);

		NEED(object);
		*object = chain;
		chain = object;
	}
	return chain;
}

static struct mw_cache *cache_with_aids(void)
{
	const struct mw_cache_want want = { .name = "aided", .size = 512 };
	struct mw_cache *cache;

	test_heap(32 * MIB);
	NEED(mw_debug_set("ZP,aided"));
	cache = mw_cache_create(&want);
	NEED(cache);
	return cache;
}

static void end_with_aids(struct mw_cache *cache, void **chain)
{
	for (void **next; chain; chain = next) {
		next = *chain;
		mw_cache_free(cache, chain);
	}
	CHECK(mw_object_check());
	CHECK(mw_cache_destroy(cache));
	NEED(mw_debug_set("-"));
}

/* What has no free object is in no list, and what is empty is last: nothing is searched for with the lock held. */
TEST(spans_with_aids_have_their_places)
{
	struct mw_cache *cache = cache_with_aids();
	void **chain = fill_spans(cache, 100);
	struct mw_list *at;
	size_t listed = 0;

	mw_list_for_each (at, &cache->debug_spans)
		listed++;
	CHECK(listed <= 1);
	for (void **next; chain; chain = next) {
		next = *chain;
		mw_cache_free(cache, chain);
	}
	CHECK(mw_cache_shrink(cache) >= 100);
	CHECK_EQ(cache->spans, 0);
	end_with_aids(cache, NULL);
}

TEST_WITH(a_shrink_in_vain_among_spans_with_aids, TEST_COUNTED)
{
	uint64_t a = test_instructions(), b = test_instructions();
	struct mw_cache *cache;
	void **chain;
	size_t cost;

	if (!a || b - a > 200)
		test_skip("instructions are not counted here");
	cache = cache_with_aids();
	chain = fill_spans(cache, FULL_SPANS);
	a = test_instructions();
	CHECK_EQ(mw_cache_shrink(cache), 0);
	cost = (size_t)(test_instructions() - a);
	test_note("%zu instructions", cost);
	CHECK(cost <= 4000);
	end_with_aids(cache, chain);
}

/* Spans of other aids are between those that are allocated from now; none is taken that should not be. */
TEST(aids_that_change_among_spans)
{
	static const char *const rules[] = { "-;ZP,aided", "-;GZ,aided", "-;U,aided" };
	const struct mw_cache_want want = { .name = "aided", .size = 512 };
	void *objects[40] = { NULL };
	struct mw_cache *cache;

	test_heap(16 * MIB);
	cache = mw_cache_create(&want);
	NEED(cache);
	for (unsigned long n = test_rounds(3000); n; n--) {
		void **object = &objects[test_below(MW_LEN(objects))];

		if (!test_below(50))
			NEED(mw_debug_set(rules[test_below(MW_LEN(rules))]));
		if (*object)
			mw_cache_free(cache, *object);
		*object = test_below(3) ? mw_cache_alloc(cache, 0) : NULL;
	}
	CHECK(mw_object_check());
	for (size_t i = 0; i < MW_LEN(objects); i++)
		if (objects[i])
			mw_cache_free(cache, objects[i]);
	test_note("%zu spans", cache->spans);
	CHECK(mw_object_check());
	CHECK(mw_cache_destroy(cache));
	NEED(mw_debug_set("-"));
}
