// SPDX-License-Identifier: MIT
/* Caches that end: beside walks over all of them, twice, and with calls that come later; and what stays theirs. */
#include <stdatomic.h>
#include <marrow/watch.h>
#include "gc_heap.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)16 << 20)
#define MANY 24
#define MOST 20000u /* instructions: more than there are */

static const struct mw_cache_want small = { .name = "small", .size = 64 };
static const struct mw_cache_want large = { .name = "large", .size = 3000 };

/* ---- walks ---- */

static bool among(struct mw_cache *cache, struct mw_cache *const *caches)
{
	for (unsigned int i = 0; i < MANY; i++)
		if (caches[i] == cache)
			return true;
	return false;
}

static void make_many(struct mw_cache **caches)
{
	for (unsigned int i = 0; i < MANY; i++)
		NEED(caches[i] = mw_cache_create(&large));
}

static void end_many(struct mw_cache *const *caches)
{
	for (unsigned int i = 0; i < MANY; i++)
		NEED(mw_cache_destroy(caches[i]));
}

TEST(what_a_walk_is_at_is_not_used_again)
{
	struct mw_cache *caches[MANY], *held;
	struct mw_cache_cursor cursor;

	NEED(test_heap(HEAP));
	held = mw_cache_create(&small);
	NEED(held);
	cursor = (struct mw_cache_cursor){ .next = held->id };
	CHECK_PTR(mw_cache_next(&cursor), held);
	CHECK(mw_cache_destroy(held));
	for (unsigned int round = 0; round < 3; round++) {
		make_many(caches);
		CHECK(!among(held, caches));
		end_many(caches);
		CHECK(!held->live && test_has(held->name, "small"));
	}
	mw_cache_leave(&cursor);
	make_many(caches);
	CHECK(among(held, caches));
	end_many(caches);
	CHECK(mw_object_check());
}

static struct {
	struct mw_cache *one, *two;
	unsigned int id; /* of @two */
	unsigned long seen;
} ending;

static void walk_from_two(void *arg)
{
	struct mw_cache_cursor cursor = { .next = ending.id };
	struct mw_cache *cache;
	unsigned long remote;

	(void)arg;
	while ((cache = mw_cache_next(&cursor))) {
		ending.seen += !mw_cache_allocs(cache, &remote) && test_has(cache->name, "l");
		CHECK(mw_list_empty(&cache->some) && !cache->spans);
	}
}

static void replace_both(void *arg)
{
	(void)arg;
	CHECK(mw_cache_destroy(ending.one) && mw_cache_destroy(ending.two));
	ending.one = mw_cache_create(&large);
	ending.two = mw_cache_create(&large);
}

TEST(a_walk_meets_the_end_of_a_cache)
{
	unsigned long at = 0;
	bool more;

	NEED(test_heap(HEAP));
	do {
		ending.one = mw_cache_create(&small);
		ending.two = mw_cache_create(&small);
		NEED(ending.one && ending.two);
		ending.id = ending.two->id;
		more = test_step(walk_from_two, replace_both, NULL, at++);
		NEED(ending.one && ending.two && ending.one != ending.two);
		NEED(mw_cache_destroy(ending.one) && mw_cache_destroy(ending.two));
		NEED(mw_fixed_check(&mw_object.caches));
	} while (more && at < MOST);
	CHECK(at > 50 && at < MOST);
	CHECK(ending.seen >= at);
}

static void walk_or_churn(unsigned int cpu, void *arg)
{
	struct mw_cache_cursor cursor = { 0 };
	_Atomic(unsigned int) *churning = arg;
	struct mw_cache *caches[4], *cache;

	test_barrier();
	while (!cpu && atomic_load(churning)) {
		for (unsigned int i = 0; i < 50; i++)
			(void)mw_scavenge(UINT64_MAX, 0);
		while ((cache = mw_cache_next(&cursor)))
			CHECK(cache->name[0] && cache->size);
		CHECK(mw_debug_set("-"));
	}
	if (!cpu)
		return;
	for (unsigned long n = test_rounds(50000); n; n--) {
		for (unsigned int i = 0; i < MW_LEN(caches); i++) {
			NEED(caches[i] = mw_cache_create(i % 2 ? &small : &large));
			if (n % 64 == 0)
				mw_cache_free(caches[i], mw_cache_alloc(caches[i], 0));
		}
		for (unsigned int i = 0; i < MW_LEN(caches); i++)
			NEED(mw_cache_destroy(caches[i]));
	}
	atomic_fetch_sub(churning, 1);
}

TEST(walks_beside_caches_that_come_and_go)
{
	unsigned int cpus = test_cpus() < 3 ? test_cpus() : 3;
	_Atomic(unsigned int) churning = cpus - 1;

	if (cpus < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	test_parallel(cpus, walk_or_churn, &churning);
	CHECK(mw_fixed_check(&mw_object.caches));
	CHECK(mw_object_check());
}

/* ---- calls that come too late ---- */

static void is_refused(bool refused)
{
	const struct mw_report *report = test_misuse_came();

	CHECK(refused);
	CHECK(test_has(report->text, "destroyed"));
	CHECK(test_has(report->given_cache, "small"));
}

static void call_dead(struct mw_cache *dead, void *object)
{
	void *objects[3] = { NULL };

	test_expect_misuse(MW_BAD_REQUEST);
	is_refused(!mw_cache_destroy(dead));
	test_expect_misuse(MW_BAD_REQUEST);
	is_refused(!mw_cache_alloc(dead, 0));
	test_expect_misuse(MW_BAD_REQUEST);
	is_refused(!mw_cache_alloc(dead, MW_ZERO | MW_ATOMIC));
	test_expect_misuse(MW_BAD_REQUEST);
	is_refused(!mw_cache_alloc_bulk(dead, 0, 3, objects));
	test_expect_misuse(MW_BAD_REQUEST);
	is_refused(!mw_cache_shrink(dead));
	test_expect_misuse(MW_WRONG_CACHE);
	mw_cache_free(dead, object);
	CHECK(test_has(test_misuse_came()->given_cache, "small"));
	objects[0] = object;
	test_expect_misuse(MW_WRONG_CACHE);
	mw_cache_free_bulk(dead, 1, objects);
	CHECK(test_has(test_misuse_came()->given_cache, "small"));
}

/* The number of the dead cache is the next one's: nothing of that may change. */
TEST(a_destroyed_cache_is_recognised)
{
	struct mw_cache *dead, *next;
	unsigned int id;
	void *object;

	NEED(test_heap(HEAP));
	dead = mw_cache_create(&small);
	NEED(dead);
	id = dead->id;
	mw_cache_free(dead, mw_cache_alloc(dead, 0));
	CHECK(mw_cache_destroy(dead));
	next = mw_cache_create(&large);
	NEED(next && next != dead);
	CHECK_EQ(next->id, id);
	object = mw_cache_alloc(next, 0);
	NEED(object);
	for (unsigned int i = 0; i < 3; i++)
		call_dead(dead, object);
	CHECK_EQ(mw_object_live_bytes(), next->size);
	CHECK(mw_heap_check());
	mw_cache_free(next, object);
	CHECK(mw_cache_destroy(next));
}

TEST(a_size_class_cannot_be_destroyed)
{
	struct mw_place place;
	void *object;

	NEED(test_heap(HEAP));
	object = mw_alloc(64, 0);
	NEED(object && mw_lookup(object, &place));
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK(!mw_cache_destroy((struct mw_cache *)place.cache));
	CHECK(test_has(test_misuse_came()->text, "size class"));
	mw_free(object);
	CHECK(mw_heap_check());
}

static struct mw_cache *twice;
static unsigned int destroyed;

static void destroy_it(void *arg)
{
	(void)arg;
	destroyed += mw_cache_destroy(twice);
}

static mw_misuse_fn *handler_before;
static unsigned int told;

static void tell(const struct mw_report *report)
{
	told += report->what == MW_BAD_REQUEST && test_has(report->text, "destroyed");
}

/* Two calls at once: one does it, the other one is told. */
TEST(two_destroy_one_cache)
{
	unsigned long at = 0;
	bool more;

	NEED(test_heap(HEAP));
	handler_before = mw_on_misuse(tell);
	do {
		twice = mw_cache_create(&small);
		NEED(twice);
		destroyed = told = 0;
		more = test_step(destroy_it, destroy_it, NULL, at++);
		NEED(destroyed == 1 && told == 1);
	} while (more && at < MOST);
	mw_on_misuse(handler_before);
	CHECK(at > 50 && at < MOST);
	CHECK(mw_object_check());
}

/* Two CPUs that want records at once make more than are taken: those have been in a free list. */
TEST(records_that_were_in_a_free_list)
{
	struct mw_cache *caches[20];

	NEED(test_heap((size_t)4 << 20));
	NEED(mw_cache_create(&(const struct mw_cache_want){ .name = "first", .size = 64 }));
	for (unsigned int i = 0; i < MW_LEN(caches); i++) {
		NEED(mw_fixed_stock(&mw_object.caches, 8 + 4 * i));
		caches[i] =
			mw_cache_create(&(const struct mw_cache_want){ .name = "more", .size = 64 });
		NEED(caches[i]);
		mw_cache_free(caches[i], mw_cache_alloc(caches[i], 0));
	}
	CHECK(mw_object_check());
	for (unsigned int i = 0; i < MW_LEN(caches); i++)
		CHECK(mw_cache_destroy(caches[i]));
}

/* ---- what is a cache's stays so ---- */

#define OBJECTS 2000

static char *object_of[OBJECTS];

static void fill_and_free(struct mw_cache *cache)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		NEED(object_of[i] = mw_cache_alloc(cache, 0));
	for (unsigned int i = 0; i < OBJECTS; i++)
		mw_cache_free(cache, object_of[i]);
}

static size_t not_of(const struct mw_cache *cache)
{
	struct mw_place place;
	size_t wrong = 0;

	for (unsigned int i = 0; i < OBJECTS; i++)
		wrong += !mw_lookup(object_of[i], &place) || place.cache != cache;
	return wrong;
}

/* All that may be had without the collector's help, in small pieces and large ones. */
static void take_all_memory(mw_flags_t flags)
{
	void **chain = NULL, **next;

	for (size_t size = (size_t)1 << 16; size >= 256; size /= 4) {
		while ((next = mw_alloc(size, flags))) {
			*next = chain;
			chain = next;
		}
	}
	for (; chain; chain = next) {
		next = *chain;
		mw_free(chain);
	}
}

static void keeps_its_memory(const struct mw_cache_want *want)
{
	struct mw_page_stats empty, stats;
	struct mw_cache *cache;

	NEED(test_heap((size_t)4 << 20));
	mw_cpu_stop();
	mw_page_stats(&empty);
	cache = mw_cache_create(want);
	NEED(cache);
	fill_and_free(cache);
	take_all_memory(MW_ATOMIC);
	CHECK_EQ(not_of(cache), 0);
	take_all_memory(MW_NORMAL);
	CHECK_EQ(not_of(cache), 0);
	(void)mw_scavenge(0, SIZE_MAX);
	mw_cpu_stop();
	CHECK_EQ(not_of(cache), 0);
	take_all_memory(MW_NORMAL);
	CHECK(mw_debug_set("-"));
	CHECK_EQ(not_of(cache), 0);
	CHECK(mw_object_check());
	CHECK(mw_cache_shrink(cache) > 0);
	mw_cpu_stop();
	mw_page_stats(&stats);
	CHECK_EQ(stats.objects, empty.objects);
	fill_and_free(cache);
	CHECK(mw_cache_destroy(cache));
	mw_cpu_stop();
	mw_page_stats(&stats);
	CHECK_EQ(stats.objects, empty.objects);
}

TEST(memory_stays_with_its_cache)
{
	const struct mw_cache_want wants[] = {
		{ .name = "typed", .size = 192 },
		{ .name = "whole pages", .size = 1024, .align = 1024 },
#if MW_GC
		{ .name = "pointers", .size = 192, .flags = MW_POINTERS },
#endif
	};

	for (unsigned int i = 0; i < MW_LEN(wants); i++)
		keeps_its_memory(&wants[i]);
}

static void free_all(void *arg)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		mw_cache_free(arg, object_of[i]);
}

/* What other CPUs freed, and what the cache itself had then. */
TEST(memory_stays_when_others_free)
{
	struct mw_cache *cache;

	NEED(test_heap((size_t)4 << 20));
	cache = mw_cache_create(&(const struct mw_cache_want){ .name = "typed", .size = 192 });
	NEED(cache);
	for (unsigned int i = 0; i < OBJECTS; i++)
		NEED(object_of[i] = mw_cache_alloc(cache, 0));
	mw_cpu_stop();
	free_all(cache);
	CHECK_EQ(not_of(cache), 0);
	take_all_memory(MW_NORMAL);
	CHECK_EQ(not_of(cache), 0);
	CHECK(mw_cache_shrink(cache) > 0);
	CHECK_EQ(not_of(cache), OBJECTS);
	CHECK(mw_cache_destroy(cache));
}

#if MW_GC
static uintptr_t hidden_of[OBJECTS]; /* complemented: nothing points to them */

static NOINLINE void make_hidden(struct mw_cache *cache)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		hidden_of[i] = ~(uintptr_t)mw_cache_alloc(cache, 0);
		NEED(~hidden_of[i]);
	}
}

static size_t hidden_not_of(const struct mw_cache *cache)
{
	struct mw_place place;
	size_t wrong = 0;

	for (unsigned int i = 0; i < OBJECTS; i++)
		wrong += !mw_lookup((void *)~hidden_of[i], &place) || place.cache != cache;
	return wrong;
}

/* A span that a sweep empties is the cache's as before. */
TEST(memory_stays_when_it_is_swept)
{
	const struct mw_cache_want want = { .name = "swept", .size = 192, .flags = MW_COLLECTED };
	struct mw_cache *cache;

	NEED(test_heap((size_t)4 << 20));
	test_heap_may_leak(); /* a word on the stack may look like one of them */
	cache = mw_cache_create(&want);
	NEED(cache);
	make_hidden(cache);
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK(mw_object_live_bytes() < OBJECTS * want.size / 4);
	CHECK_EQ(hidden_not_of(cache), 0);
	take_all_memory(MW_NORMAL);
	CHECK_EQ(hidden_not_of(cache), 0);
	CHECK(mw_object_check());
	CHECK(mw_cache_shrink(cache) > 0);
	CHECK(hidden_not_of(cache) > OBJECTS / 2);
}

struct linked {
	struct linked *next;
	char more[184];
};
static struct mw_type linked_type = MW_TYPE(struct linked, MW_PTR(struct linked, next));

static NOINLINE void make_of_type(void)
{
	for (unsigned int i = 0; i < 4 * OBJECTS; i++)
		NEED(mw_new(&linked_type, MW_NORMAL));
}

/* A type's caches are Marrow's own: a collection gives to others what no object is in. */
TEST(memory_of_a_type_goes_back)
{
	struct mw_page_stats stats;
	size_t most;

	NEED(test_heap((size_t)16 << 20));
	test_heap_may_leak();
	make_of_type();
	mw_page_stats(&stats);
	most = stats.objects;
	CHECK(most > 4 * OBJECTS * sizeof(struct linked) / MW_PAGE_SIZE);
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	mw_cpu_stop();
	mw_page_stats(&stats);
	CHECK(stats.objects < most / 4);
}
#endif
