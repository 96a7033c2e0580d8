/* SPDX-License-Identifier: MIT */
/* What the tests of safe free share: things that dangle, and whether their memory comes again. */
#ifndef HOSTTEST_SAFE_H
#define HOSTTEST_SAFE_H

#include <marrow/watch.h>
#include "special.h"

#if MW_GC

struct thing {
	struct thing *next, *other;
	uintptr_t stamp[6];
};

#define OLD 0x01du
#define NEW 0x3e3u
#define MANY 3000

UNUSED static uintptr_t hidden[4]; /* complemented */

UNUSED static void on(struct mw_cache *cache, bool wipe)
{
	struct mw_safe_policy policy = { .on = true, .wipe = wipe };

	CHECK(mw_safe_free(cache, &policy));
}

UNUSED static void off(void)
{
	struct mw_safe_policy policy = { .on = false };
	struct mw_safe_stats stats;

	CHECK(mw_safe_free(NULL, &policy));
	mw_safe_stats(&stats);
	CHECK_EQ(stats.held_objects, 0);
	CHECK(mw_heap_check());
}

UNUSED static size_t held(void)
{
	struct mw_safe_stats stats;

	mw_safe_stats(&stats);
	return stats.held_objects;
}

/*
 * So many objects are held. With 32 bits one more may be: arguments of calls stay in their callers' frames, and a
 * number may happen to be the address of what is large.
 */
#define CHECK_HELD(n)                                                                              \
	do {                                                                                       \
		size_t held_ = held();                                                             \
		if (MW_WORD_BITS < 64 && held_ == (n) + 1)                                         \
			held_--;                                                                   \
		CHECK_EQ(held_, (n));                                                              \
	} while (0)

UNUSED static void begin(size_t bytes)
{
	setup(bytes);
	on(NULL, false);
}

UNUSED NOINLINE static struct thing *thing_new(void)
{
	struct thing *thing = mw_alloc(sizeof(*thing), MW_ZERO);

	NEED(thing);
	for (size_t i = 0; i < MW_LEN(thing->stamp); i++)
		thing->stamp[i] = OLD;
	return thing;
}

/* Each new object of the size is filled; none may be what @old was, which is complemented. */
UNUSED NOINLINE static bool comes_again(uintptr_t old, size_t size)
{
	void **list = NULL, *next;
	bool came = false;

	for (size_t i = 0; i < MANY * 64 / size + 4; i++) {
		uintptr_t *object = mw_alloc(size, MW_NORMAL);

		if (!object)
			break;
		came |= ~(uintptr_t)object == old;
		for (size_t w = 1; w < size / sizeof(*object); w++)
			object[w] = NEW;
		*(void **)object = list;
		list = (void **)object;
	}
	for (; list; list = next) {
		next = *list;
		*list = NULL;
		mw_free(list);
	}
	return came;
}

/* Free it, leaving the pointer to it in root[slot]. */
UNUSED NOINLINE static void dangle(size_t slot)
{
	struct thing *thing = thing_new();

	root[slot] = (struct node *)thing;
	hidden[0] = ~(uintptr_t)thing;
	mw_free(thing);
}

UNUSED static struct thing *dangling(size_t slot)
{
	return (struct thing *)root[slot];
}

/* What is left of it, looked at from a frame that is gone afterwards. */
UNUSED NOINLINE static uintptr_t stamp_at(size_t slot, size_t i)
{
	return dangling(slot)->stamp[i];
}

UNUSED NOINLINE static uintptr_t stamp_behind(size_t slot)
{
	return dangling(slot)->next->next->stamp[5];
}

/* A freed object leads to another one that was freed after it, to which nothing else points. */
UNUSED NOINLINE static void free_a_list(void)
{
	struct thing *first = thing_new(), *second = thing_new(), *third = thing_new();

	first->next = second;
	second->next = third;
	hidden[0] = ~(uintptr_t)first;
	hidden[1] = ~(uintptr_t)second;
	hidden[2] = ~(uintptr_t)third;
	root[0] = (struct node *)first;
	mw_free(first);
	mw_free(third);
	mw_free(second);
}

/* For test_parallel(). */
UNUSED static void free_elsewhere(unsigned int i, void *arg)
{
	if (i)
		mw_free(arg);
}

UNUSED NOINLINE static void churn_bytes(size_t bytes)
{
	for (size_t done = 0; done < bytes; done += 256)
		mw_free(mw_alloc(256, MW_NORMAL));
}

#endif
#endif
