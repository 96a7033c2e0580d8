/* SPDX-License-Identifier: MIT */
/* What the tests of the leak scan share: lists that are kept, and things that are lost. */
#ifndef HOSTTEST_LEAK_H
#define HOSTTEST_LEAK_H

#include <marrow/watch.h>
#include "special.h"

#if MW_GC

struct thing {
	struct thing *next, *other;
	uintptr_t rest[6];
};

#define LEAKS 64
UNUSED static uintptr_t leaked[LEAKS]; /* complemented */

UNUSED NOINLINE static struct thing *thing_new(mw_flags_t flags)
{
	struct thing *thing = mw_alloc(sizeof(*thing), flags | MW_ZERO);

	NEED(thing);
	return thing;
}

UNUSED BARE NOINLINE static size_t scan_deeper(const struct mw_leak_want *want)
{
	size_t found;

	scribble();
	test_capture();
	found = mw_leak_scan(want);
	(void)test_captured();
	return found;
}

__attribute__((always_inline)) UNUSED static inline size_t scan(const struct mw_leak_want *want)
{
	forget();
	return scan_deeper(want);
}

/* What the next scan prints is read by the test. */
UNUSED BARE NOINLINE static const char *scan_text_deeper(const struct mw_leak_want *want,
							 size_t expected)
{
	size_t found;

	const char *text;

	scribble();
	test_capture();
	found = mw_leak_scan(want);
	text = test_captured();
	CHECK_EQ(found, expected);
	return text;
}

__attribute__((always_inline)) UNUSED static inline const char *
scan_text(const struct mw_leak_want *want, size_t expected)
{
	forget();
	return scan_text_deeper(want, expected);
}

UNUSED static const struct mw_leak_want quiet = { .most = 0 };

/* A list of @n things from root[slot]. */
UNUSED NOINLINE static void keep(size_t slot, size_t n)
{
	while (n--) {
		struct thing *thing = thing_new(MW_NORMAL);

		thing->next = (struct thing *)root[slot];
		root[slot] = (struct node *)thing;
	}
}

UNUSED NOINLINE static void leak(size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++) {
		void *object = mw_alloc(size, MW_ZERO);

		NEED(object);
		leaked[i % LEAKS] = ~(uintptr_t)object;
	}
}

UNUSED NOINLINE static void free_leaks(size_t n)
{
	for (size_t i = 0; i < n; i++)
		mw_free((void *)~leaked[i]);
}

UNUSED NOINLINE static void free_list(size_t slot)
{
	while (root[slot]) {
		struct thing *thing = (struct thing *)root[slot];

		root[slot] = (struct node *)thing->next;
		mw_free(thing);
	}
}

#endif
#endif
