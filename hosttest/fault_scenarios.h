/* SPDX-License-Identifier: MIT */
/* What test_faults.c runs with requests failing. Each gives back all that it took, and says whether all went well. */
#ifndef HOSTTEST_FAULT_SCENARIOS_H
#define HOSTTEST_FAULT_SCENARIOS_H

#include <marrow/watch.h>
#include "test.h"
#include "../mm/gc/gc.h"
#include "../mm/page/up.h"

#define PAGE MW_PAGE_SIZE
#define MIB ((size_t)1 << 20)
#define NOINLINE __attribute__((noinline))

static char *more; /* for a region of the scenario's own */
static void **root;

static bool filled(const unsigned char *at, size_t n, unsigned char with)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] != with)
			return false;
	return true;
}

/* Return: the object, with the first @had bytes as they were, or NULL and the old one is freed. */
static unsigned char *resize(unsigned char *object, size_t had, size_t size)
{
	unsigned char *moved;

	if (!object)
		return NULL;
	__builtin_memset(object, (int)had & 0x7f, had);
	moved = mw_realloc(object, size, 0);
	if (!moved) {
		CHECK(filled(object, had, had & 0x7f));
		mw_free(object);
		return NULL;
	}
	CHECK(filled(moved, had < size ? had : size, had & 0x7f));
	return moved;
}

static bool objects(void)
{
	static const size_t sizes[] = { 8, 24, 200, 3000, 40000, 300000, 5000, 64, 16 };
	unsigned char *object[sizeof(sizes) / sizeof(sizes[0])];
	unsigned char *moved = mw_alloc(16, 0);
	bool ok = moved != NULL;
	size_t had = 16;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		object[i] = mw_alloc(sizes[i], i % 2 ? MW_ZERO : 0);
		ok &= object[i] != NULL;
		if (object[i] && i % 2)
			CHECK(filled(object[i], sizes[i], 0));
		moved = resize(moved, had, sizes[i]);
		ok &= moved != NULL;
		had = sizes[i];
	}
	mw_free(moved);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		mw_free(object[i]);
	for (size_t align = 16; align <= 4 * PAGE; align *= 4) {
		void *aligned = mw_alloc_aligned(100, align, 0);

		ok &= aligned != NULL;
		CHECK_EQ((uintptr_t)aligned % align, 0);
		mw_free(aligned);
	}
	return ok;
}

static void construct(void *object)
{
	*(uintptr_t *)object = 77;
}

static bool caches(void)
{
	const struct mw_cache_want plain = { .name = "plain", .size = 40 },
				   made = { .name = "made", .size = 2000, .construct = construct };
	struct mw_cache *a = mw_cache_create(&plain), *b = mw_cache_create(&made);
	void *bulk[150], *one[5] = { 0 };
	bool ok = a && b, all = false;

	if (a)
		all = mw_cache_alloc_bulk(a, 0, 150, bulk);
	for (size_t i = 0; b && i < 5; i++) {
		one[i] = mw_cache_alloc(b, 0);
		ok &= one[i] != NULL;
		if (one[i])
			CHECK_EQ(*(uintptr_t *)one[i], 77);
	}
	for (size_t i = 0; i < 5; i++)
		if (one[i])
			mw_cache_free(b, one[i]);
	if (all)
		mw_cache_free_bulk(a, 150, bulk);
	if (a)
		(void)mw_cache_shrink(a);
	if (a)
		CHECK(mw_cache_destroy(a));
	if (b)
		CHECK(mw_cache_destroy(b));
	return ok && all;
}

static bool pages(void)
{
	const struct mw_pages block = { .count = 16, .align = 16 * PAGE },
			      dma = { .count = 5, .boundary = 64 << 10 };
	void *one[40], *run[12], *stack = mw_stack_alloc(2, 0);
	void *aligned = mw_pages_alloc_as(&block), *close = mw_pages_alloc_as(&dma);
	struct mw_pages there = { .count = 4, .at = aligned };
	bool ok = stack && aligned && close;

	for (size_t i = 0; i < 40; i++)
		ok &= (one[i] = mw_pages_alloc(1, i % 2 ? MW_ZERO : 0)) != NULL;
	for (size_t i = 0; i < 12; i++)
		ok &= (run[i] = mw_pages_alloc(1 + 10 * i, 0)) != NULL;
	mw_stack_free(stack, 2);
	if (aligned) {
		mw_pages_free(aligned, 16);
		there.at = mw_pages_alloc_as(&there);
		mw_pages_free(there.at, 4);
	}
	mw_pages_free(close, 5);
	for (size_t i = 0; i < 40; i++)
		mw_pages_free(one[i], 1);
	for (size_t i = 0; i < 12; i++)
		mw_pages_free(run[i], 1 + 10 * i);
	return ok;
}

/* A region comes, is used, and goes: it may only stay if records lie in it, and then it is not added again. */
static bool regions(void)
{
	struct mw_pages there = { .count = 64, .at = more + MIB };
	bool ok = mw_phys(more) != UINT64_MAX || mw_region_add(more, (uint64_t)1 << 33, 2 * MIB);
	void *run = NULL, *other = mw_pages_alloc(300, 0);

	if (ok) {
		run = mw_pages_alloc_as(&there);
		CHECK(!run || run == there.at);
		ok = run != NULL;
	}
	mw_pages_free(run, 64);
	mw_pages_free(other, 300);
	mw_page_cpu_stop();
	if (mw_phys(more) != UINT64_MAX && mw_region_remove(more))
		CHECK(mw_phys(more) == UINT64_MAX);
	return ok && other;
}

#if MW_GC

struct node {
	struct node *next, *other;
	uintptr_t value;
};

struct many {
	uintptr_t n;
	struct node *node[];
};

static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTR(struct node, other));
static struct mw_type many_type = MW_TYPE(struct many, MW_FLEX_PTRS(struct many, node));

/* A list in root[@slot]. */
static NOINLINE bool list(size_t slot, size_t n)
{
	for (uintptr_t i = 0; i < n; i++) {
		struct node *node = mw_new(&node_type, 0);

		if (!node)
			return false;
		node->value = i;
		node->next = root[slot];
		root[slot] = node;
	}
	return true;
}

static NOINLINE size_t length(size_t slot)
{
	size_t n = 0;

	for (struct node *node = root[slot]; node; node = node->next)
		n++;
	return n;
}

static NOINLINE bool others(void)
{
	struct many *flex = mw_new_flex(&many_type, 40 * sizeof(void *), 0);
	bool ok = flex != NULL;

	root[1] = flex;
	if (flex)
		flex->node[39] = root[0];
	ok &= (root[2] = mw_new_array(&node_type, 7, 0)) != NULL;
	ok &= (root[3] = mw_new_array(&node_type, 5000, 0)) != NULL;
	ok &= (root[4] = mw_alloc(100, MW_NOSCAN)) != NULL;
	ok &= (root[5] = mw_alloc(5, MW_NOSCAN)) != NULL;
	ok &= (root[6] = mw_alloc(500, MW_COLLECTED)) != NULL;
	if (root[4])
		ok &= mw_pin(root[4], "test");
	return ok;
}

static void forget(void)
{
	for (size_t i = 0; i < 8; i++)
		root[i] = NULL;
}

static bool collected(void)
{
	bool rooted = mw_gc_root_add("faults", root + 8, root + 16, NULL), ok = rooted;
	size_t n;

	ok &= list(0, 100);
	ok &= others();
	n = length(0);
	ok &= mw_gc_collect(MW_COLLECT_SWEPT);
	CHECK_EQ(length(0), n);
	if (root[4])
		(void)mw_unpin(root[4]);
	forget();
	if (rooted)
		CHECK(mw_gc_root_remove(root + 8));
	return ok;
}

static size_t ended;

static void note_end(void *object, void *arg)
{
	(void)object, (void)arg;
	ended++;
}

static void note_gone(void *arg)
{
	(void)arg;
	ended++;
}

static NOINLINE bool hang_on(struct mw_weak_table *table, struct mw_weak **weak, size_t *due)
{
	bool ok = true;
	size_t i = 0;

	for (struct node *node = root[0]; node; node = node->next, i++) {
		bool finalizer = i % 3 == 0 && mw_finalizer_set(node, note_end, NULL);
		bool cleanup = i % 3 == 1 && mw_cleanup_add(node, note_gone, NULL);
		bool entry = table && mw_weak_table_put(table, node, node->next);

		*due += finalizer + cleanup;
		ok &= (finalizer || i % 3) && (cleanup || i % 3 != 1) && (entry || !table);
		ok &= i % 4 != 0 || mw_tag_set(node, i + 1);
		if (entry)
			CHECK_PTR(mw_weak_table_get(table, node), node->next);
		if (i == 5)
			*weak = mw_weak_new(node);
	}
	return ok;
}

static bool specials(void)
{
	struct mw_weak_table *table = mw_weak_table_new("faults");
	struct mw_weak *weak = NULL;
	size_t due = 0;
	bool ok = table != NULL;

	ended = 0;
	ok &= list(0, 60);
	ok &= hang_on(table, &weak, &due);
	ok &= weak != NULL;
	ok &= mw_gc_collect(MW_COLLECT_SWEPT);
	if (weak)
		CHECK(mw_weak_get(weak) != NULL);
	CHECK_EQ(mw_finalizers_run(SIZE_MAX), 0);
	forget();
	mw_weak_free(weak);
	mw_weak_table_free(table);
	return ok;
}

#endif
#if MW_WATCH

static bool count_bytes(void *ctx, const void *bytes, size_t len)
{
	(void)bytes;
	*(size_t *)ctx += len;
	return true;
}

/* Refuses after a while: a dump has all data of the program, which is much. */
static bool take_some(void *ctx, const void *bytes, size_t len)
{
	(void)bytes;
	*(size_t *)ctx += len;
	return *(size_t *)ctx < 64 << 10;
}

/* What looks at a heap, while there is no memory to do it. What is not to be had is left out. */
static bool watched(void)
{
	bool ok = mw_trace_on(true);
	size_t bytes = 0;
	void *object[20];

	ok &= mw_profile_rate(1);
	for (size_t i = 0; i < 20; i++)
		ok &= (object[i] = mw_alloc(100 + 1000 * i, 0)) != NULL;
#if MW_GC
	ok &= list(0, 20);
#endif
	ok &= mw_profile_write(MW_PROFILE_TEXT, count_bytes, &bytes);
	ok &= mw_profile_write(MW_PROFILE_PPROF, count_bytes, &bytes);
	bytes = 0;
	(void)mw_dump_write(take_some, &bytes);
	CHECK(bytes > 0);
	ok &= mw_trace_write(count_bytes, &bytes);
	for (size_t i = 0; i < 20; i++)
		mw_free(object[i]);
#if MW_GC
	forget();
#endif
	(void)mw_profile_rate(0);
	(void)mw_trace_on(false);
	return ok;
}

#endif

/* Objects with all debug aids. */
static bool aided(void)
{
	bool ok = true;

	CHECK(mw_debug_set("FZPU,aided"));
	for (unsigned int round = 0; round < 2; round++) {
		const struct mw_cache_want want = { .name = "aided", .size = 100 };
		struct mw_cache *cache = mw_cache_create(&want);
		void *object[60];

		ok &= cache != NULL;
		for (size_t i = 0; cache && i < 60; i++)
			ok &= (object[i] = mw_cache_alloc(cache, 0)) != NULL;
		for (size_t i = 0; cache && i < 60; i++)
			mw_cache_free(cache, object[i]);
		if (cache)
			CHECK(mw_cache_destroy(cache));
	}
	CHECK(mw_debug_set("-"));
	return ok;
}

#if MW_GC && MW_PORT_LEVEL >= 2

static bool held_back(void)
{
	const struct mw_safe_policy on = { .on = true, .wipe = true, .hold = 1 << 20 }, off = { 0 };
	bool ok = mw_safe_free(NULL, &on);
	void *object[30];

	for (size_t i = 0; i < 30; i++)
		ok &= (object[i] = mw_alloc(10 + 100 * i, 0)) != NULL;
	for (size_t i = 0; i < 30; i++) {
		mw_free(object[i]);
		object[i] = NULL;
	}
	(void)mw_gc_collect(MW_COLLECT_SWEPT);
	ok &= mw_safe_free(NULL, &off);
	return ok;
}

#endif

#endif
