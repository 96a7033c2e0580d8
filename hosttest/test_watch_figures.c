// SPDX-License-Identifier: MIT
/*
 * Every figure of objects and caches against a count by hand, while objects of every kind come, are
 * resized and go, in any order.
 */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define THINGS 400
#define TYPED 3
#define KIB ((size_t)1 << 10)

static struct thing {
	char *at;
	size_t size, align, usable;
	const struct mw_cache *cache; /* NULL: large */
	char byte;
} things[THINGS];

static const struct mw_cache_want want[TYPED] = {
	{ .name = "first", .size = 50 },
	{ .name = "second", .size = 51, .align = 64 },
	{ .name = "third", .size = 5000 },
};
static struct mw_cache *typed[TYPED];

static struct {
	struct mw_stats first;
	unsigned long allocs, frees, lookups, misuses, remote;
	struct {
		unsigned long allocs, remote;
	} cache[MW_MAX_CACHES];
} count;

/* ---- what is done ---- */

static size_t some_size(void)
{
	static const size_t most[] = { 8, 64, 512, 4096, 40 * KIB, 200 * KIB };

	return 1 + test_below(most[test_below(test_below(2) ? 3 : 6)]);
}

static void born(struct thing *thing, void *at, size_t size, size_t align, mw_flags_t flags)
{
	struct mw_place place;

	*thing = (struct thing){ .at = at, .size = size, .align = align };
	if (!at)
		return;
	NEED(mw_lookup((char *)at + test_below(size), &place));
	count.lookups++;
	CHECK_PTR(place.base, at);
	CHECK_EQ(place.kind, MW_KIND_OBJECT);
	CHECK_EQ(place.size, mw_usable_size(at));
	NEED(place.size >= size && !((uintptr_t)at & ((align ? align : size < 16 ? 8 : 16) - 1)));
	for (size_t i = 0; flags & MW_ZERO && i < place.size; i++)
		NEED(!thing->at[i]);
	thing->cache = place.cache;
	thing->usable = place.size;
	thing->byte = (char)(1 + test_below(100));
	__builtin_memset(at, thing->byte, place.size);
	count.allocs++;
	if (place.cache)
		count.cache[mw_cache_id(place.cache)].allocs++;
}

static bool is_whole(const struct thing *thing, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (thing->at[i] != thing->byte)
			return false;
	return true;
}

static void make(struct thing *thing)
{
	static const mw_flags_t some[] = { 0,		MW_ZERO,
					   MW_ATOMIC,	MW_RESERVE,
					   MW_POINTERS, MW_ZERO | MW_ATOMIC,
					   MW_BELOW_4G, MW_ZERO | MW_POINTERS | MW_NO_SHRINK };
	mw_flags_t flags = some[test_below(MW_LEN(some))];
	size_t size = some_size(), align = (size_t)1 << test_below(14), way = test_below(6);
	size_t kind = test_below(TYPED);

	if (way == 0)
		born(thing, mw_alloc_aligned(size, align, flags), size, align, flags);
	else if (way == 1)
		born(thing, mw_alloc_array(size, 3, flags), 3 * size, 0, flags);
	else if (way == 2)
		born(thing, mw_cache_alloc(typed[kind], flags & MW_ZERO), want[kind].size,
		     want[kind].align, flags & MW_ZERO);
	else
		born(thing, mw_alloc(size, flags), size, 0, flags);
}

static void make_many(void)
{
	void *at[20];
	size_t n = test_below(20), done = 0, kind = test_below(TYPED);
	struct mw_cache *cache = typed[kind];

	NEED(mw_cache_alloc_bulk(cache, 0, n, at));
	for (size_t i = 0; i < THINGS && done < n; i++)
		if (!things[i].at)
			born(&things[i], at[done++], want[kind].size, want[kind].align, 0);
	mw_cache_free_bulk(cache, n - done, at + done);
	count.allocs += n - done;
	count.frees += n - done;
	count.cache[mw_cache_id(cache)].allocs += n - done;
}

/* The second time it is none. */
static void free_again(void *at)
{
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(at);
	test_misuse_came();
	count.misuses++;
}

static void end(struct thing *thing)
{
	size_t way = test_below(4);
	void *at = thing->at;

	NEED(is_whole(thing, thing->usable));
	if (way == 0 && (!thing->align || (thing->cache && !thing->cache->builtin)))
		mw_free_sized(at, thing->size);
	else if (way == 1 && thing->cache)
		mw_cache_free((struct mw_cache *)thing->cache, at);
	else
		mw_free(at);
	CHECK_EQ(mw_usable_size(at), 0);
	if (thing->cache && !test_below(16))
		free_again(at);
	thing->at = NULL;
	count.frees++;
}

/* Where it moves one object is freed and another one is made. */
static void resize(struct thing *thing)
{
	size_t size = thing->cache && !thing->cache->builtin ? thing->size : some_size(),
	       kept = size < thing->usable ? size : thing->usable;
	mw_flags_t flags = test_below(3) ? 0 : MW_ZERO;
	char *at = mw_realloc(thing->at, size, flags);
	bool moved = at != thing->at;
	size_t align = thing->align;

	NEED(at);
	thing->at = at;
	NEED(is_whole(thing, kept));
	for (size_t i = size; flags & MW_ZERO && i < mw_usable_size(at); i++)
		NEED(!at[i]);
	count.allocs -= !moved;
	if (!moved && thing->cache)
		count.cache[mw_cache_id(thing->cache)].allocs--;
	count.frees += moved;
	born(thing, at, size, align, 0);
}

/* ---- what must be told ---- */

static void check_cache(const struct mw_cache_stats *stats, size_t live, size_t size)
{
	CHECK_EQ(stats->live, live);
	CHECK_EQ(stats->allocs, count.cache[stats->id].allocs);
	CHECK_EQ(stats->frees, stats->allocs - live);
	CHECK_EQ(stats->remote_frees, count.cache[stats->id].remote);
	CHECK(stats->capacity >= live && stats->size >= stats->asked);
	CHECK(stats->capacity * stats->size <= stats->pages << MW_PAGE_SHIFT);
	CHECK(stats->pages >= stats->spans && !stats->capacity == !stats->spans);
	CHECK(!live || stats->size >= size);
}

static void check_caches(const struct mw_stats *all, size_t large_pages)
{
	static size_t live[MW_MAX_CACHES], size[MW_MAX_CACHES];
	struct mw_cache_stats stats;
	size_t places = 0, pages = 0, remote = 0, n = 0;

	__builtin_memset(live, 0, sizeof(live));
	for (size_t i = 0; i < THINGS; i++) {
		if (!things[i].at || !things[i].cache)
			continue;
		live[mw_cache_id(things[i].cache)]++;
		size[mw_cache_id(things[i].cache)] = things[i].usable;
	}
	for (; mw_cache_stats(n, &stats); n++) {
		NEED(stats.id < MW_MAX_CACHES);
		check_cache(&stats, live[stats.id], size[stats.id]);
		live[stats.id] = 0;
		places += (stats.capacity - stats.live) * stats.size;
		pages += stats.pages;
		remote += stats.remote_frees;
	}
	for (size_t i = 0; i < MW_MAX_CACHES; i++)
		CHECK_EQ(live[i], 0);
	CHECK_EQ(all->remote_frees, remote);
	/* Of large objects that ended some are kept: they are places, and pages too. */
	CHECK(all->cached_bytes >= places);
	CHECK_EQ(all->page.objects << MW_PAGE_SHIFT,
		 (pages + large_pages) * MW_PAGE_SIZE + all->cached_bytes - places);
}

static void check_figures(void)
{
	size_t live = 0, bytes = 0, large = 0;
	struct mw_stats stats;

	mw_stats(&stats);
	for (size_t i = 0; i < THINGS; i++) {
		live += things[i].at != NULL;
		bytes += things[i].at ? things[i].usable : 0;
		large += things[i].at && !things[i].cache ? things[i].usable : 0;
	}
	CHECK_EQ(stats.live_objects, live);
	CHECK_EQ(stats.live_bytes, bytes);
	CHECK_EQ(stats.collected_objects, 0);
	CHECK_EQ(stats.collected_bytes, 0);
	CHECK_EQ(stats.packed, 0);
	CHECK_EQ(stats.allocs - count.first.allocs, count.allocs);
	CHECK_EQ(stats.frees - count.first.frees, count.frees);
	CHECK_EQ(stats.lookups - count.first.lookups, count.lookups);
	CHECK_EQ(stats.misuses - count.first.misuses, count.misuses);
	CHECK_EQ(stats.remote_frees, count.remote);
	check_caches(&stats, large / MW_PAGE_SIZE);
}

static void begin(void)
{
	test_heap(64 << 20);
	__builtin_memset(things, 0, sizeof(things));
	__builtin_memset(&count, 0, sizeof(count));
	for (size_t i = 0; i < TYPED; i++)
		NEED(typed[i] = mw_cache_create(&want[i]));
	mw_stats(&count.first);
}

static void end_all(void)
{
	for (size_t i = 0; i < THINGS; i++)
		if (things[i].at)
			end(&things[i]);
	check_figures();
	for (size_t i = 0; i < TYPED; i++)
		CHECK(mw_cache_destroy(typed[i]));
}

TEST(objects_of_every_kind)
{
	begin();
	for (unsigned long i = test_rounds(8000); i--;) {
		struct thing *thing = &things[test_below(THINGS)];

		if (!thing->at)
			make(thing);
		else if (test_below(3))
			end(thing);
		else
			resize(thing);
		if (!test_below(50))
			make_many();
		if (!test_below(16))
			check_figures();
	}
	check_figures();
	CHECK(mw_heap_check());
	end_all();
}

/* ---- other CPUs ---- */

static void end_elsewhere(unsigned int i, void *arg)
{
	(void)arg;
	for (size_t n = 0; i && n < THINGS; n++)
		if (things[n].at)
			mw_free(things[n].at);
}

/* Of large objects nobody asks who frees them. */
TEST(objects_that_another_cpu_freed)
{
	begin();
	if (test_cpus() < 2)
		test_skip("one CPU");
	for (size_t i = 0; i < THINGS; i++)
		make(&things[i]);
	test_parallel(2, end_elsewhere, NULL);
	for (size_t i = 0; i < THINGS; i++) {
		if (!things[i].at)
			continue;
		count.frees++;
		if (things[i].cache) {
			count.remote++;
			count.cache[mw_cache_id(things[i].cache)].remote++;
		}
		things[i].at = NULL;
	}
	CHECK(count.remote > THINGS / 2);
	/* Then it has looked at all its spans. */
	mw_cpu_stop();
	check_figures();
	end_all();
}

/* ---- the collector ---- */

#if MW_GC
#define PARTS 1000
#define ROOTS (MW_PAGE_SIZE / sizeof(void *))

TEST(collected_objects)
{
	struct mw_stats before, after;
	size_t blocks = 0, bytes = 0;
	void **root;

	test_heap(16 << 20);
	root = test_memory(MW_PAGE_SIZE);
	NEED(mw_gc_root_add("figures", root, root + ROOTS, NULL));
	test_own_roots(true);
	mw_stats(&before);
	/* Parts of 5 bytes: three in a block. */
	for (size_t i = 0; i < PARTS; i++)
		NEED(mw_alloc(5, MW_NOSCAN));
	for (size_t i = 0; i < 100; i++) {
		NEED(root[i] = mw_alloc(100 + i * 100, i & 1 ? MW_COLLECTED : MW_NOSCAN));
		bytes += mw_usable_size(root[i]);
	}
	NEED(root[100] = mw_alloc(100, MW_NORMAL));
	mw_stats(&after);
	blocks = after.collected_objects - 100;
	CHECK_EQ(blocks, (PARTS + 2) / 3);
	CHECK_EQ(after.packed - before.packed, PARTS - blocks);
	CHECK_EQ(after.allocs - before.allocs, blocks + 101);
	CHECK_EQ(after.live_objects, blocks + 101);
	CHECK_EQ(after.collected_bytes, blocks * 16 + bytes);
	CHECK_EQ(after.live_bytes, blocks * 16 + bytes + mw_usable_size(root[100]));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	mw_stats(&after);
	CHECK_EQ(after.collected_objects, 100);
	CHECK_EQ(after.collected_bytes, bytes);
	CHECK_EQ(after.frees - before.frees, blocks);
	CHECK_EQ(after.cycles, before.cycles + 1);
	CHECK_EQ(after.pauses, before.pauses + 1);
	CHECK(after.pause_max_ns == after.pause_total_ns && after.goal >= bytes);
	mw_free(root[100]);
}
#endif
