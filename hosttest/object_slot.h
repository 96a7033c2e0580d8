/* SPDX-License-Identifier: MIT */
/* What test files of the short ways share: a typed cache, its slot on this CPU, and what was taken from it. */
#ifndef HOSTTEST_OBJECT_SLOT_H
#define HOSTTEST_OBJECT_SLOT_H

#include "test.h"
#include "../mm/object/inside.h"

#define HEAP ((size_t)16 << 20)
#define MOST 4000u
#define SIZE 16u

static void *objects[MOST];
static struct mw_cache *cache;

/* This CPU's slot of the cache, with one object taken. */
static struct mw_slot *begin(size_t size)
{
	const struct mw_cache_want want = { .name = "more", .size = size };
	unsigned long state;
	struct mw_slot *slot;

	NEED(test_heap(HEAP));
	cache = mw_cache_create(&want);
	NEED(cache);
	objects[0] = mw_cache_alloc(cache, 0);
	NEED(objects[0]);
	state = mw_port_pin();
	slot = mw_cpu_here()->slot[cache->id];
	mw_port_unpin(state);
	NEED(slot->span && slot->spans == 1);
	return slot;
}

static void end(size_t n)
{
	CHECK(mw_object_check());
	for (size_t i = 0; i < n; i++)
		mw_cache_free(cache, objects[i]);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
	CHECK(mw_cache_destroy(cache));
}

static size_t twice(size_t n)
{
	size_t wrong = 0;

	for (size_t i = 0; i < n; i++)
		*(size_t *)objects[i] = i;
	for (size_t i = 0; i < n; i++)
		wrong += *(size_t *)objects[i] != i;
	return wrong;
}

static void wrong_free(void *object, struct mw_cache *of, enum mw_misuse what)
{
	size_t live = mw_object_live_bytes();

	test_expect_misuse(what);
	if (of)
		mw_cache_free(of, object);
	else
		mw_free(object);
	CHECK_PTR(test_misuse_came()->address, object);
	CHECK_EQ(mw_object_live_bytes(), live);
}

#endif
