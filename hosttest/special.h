/* SPDX-License-Identifier: MIT */
/* What the tests of special records share: objects, a place for roots, calls and what they saw. */
#ifndef HOSTTEST_SPECIAL_H
#define HOSTTEST_SPECIAL_H

#include "gc_heap.h"

#if MW_GC

/* A test whose own frame has no gaps in which a sanitizer leaves what was there before. */
#define BARE_TEST(name_)                                                                           \
	BARE NOINLINE static void bare_##name_(void);                                              \
	TEST(name_)                                                                                \
	{                                                                                          \
		bare_##name_();                                                                    \
	}                                                                                          \
	BARE NOINLINE static void bare_##name_(void)

struct node {
	struct node *next, *other;
	uintptr_t value;
};

UNUSED static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTR(struct node, other));

UNUSED static size_t records(void)
{
	size_t n = 0;

	for (unsigned int i = 0; i < MW_NR_RECORDS; i++)
		n += atomic_load(&mw_special.pool[i].in_use);
	return n;
}

/* ---- what calls saw: hidden from the collector ---- */

#define MOST_CALLS 1000 /* more is data that every mark in the kernel looks at */

static struct {
	mw_atomic_t n;
	uintptr_t object[MOST_CALLS]; /* complemented */
	uintptr_t value[MOST_CALLS];
} calls;

UNUSED static void saw(const void *object, uintptr_t value)
{
	unsigned long i = atomic_fetch_add(&calls.n, 1);

	if (i < MOST_CALLS) {
		calls.object[i] = ~(uintptr_t)object;
		calls.value[i] = value;
	}
}

UNUSED static void forget_calls(void)
{
	atomic_store(&calls.n, 0);
}

UNUSED static void see(void *object, void *arg)
{
	(void)arg;
	saw(object, ((struct node *)object)->value);
}

UNUSED static void see_arg(void *arg)
{
	saw(NULL, arg ? ((struct node *)arg)->value : 0);
}

UNUSED NOINLINE static size_t run_all(void)
{
	return mw_finalizers_run(SIZE_MAX);
}

UNUSED NOINLINE static struct node *make(uintptr_t value)
{
	struct node *node = mw_new(&node_type, MW_NORMAL);

	NEED(node);
	node->value = value;
	return node;
}

#endif
#endif
