/* SPDX-License-Identifier: MIT */
/* What the tests of special records share: objects, a place for roots, calls and what they saw. */
#ifndef HOSTTEST_SPECIAL_H
#define HOSTTEST_SPECIAL_H

#include "test.h"
#include "../mm/gc/gc.h"

#if MW_GC

#define NOINLINE __attribute__((noinline))
#define UNUSED __attribute__((unused))
#define BARE                                                                                       \
	__attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

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

/* Roots of a test lie here; nothing else of it is one. */
UNUSED static struct node **root;
#define ROOTS (MW_PAGE_SIZE / sizeof(void *))

UNUSED static void setup(size_t bytes)
{
	test_heap(bytes);
	root = test_memory(MW_PAGE_SIZE);
	NEED(root);
	for (size_t i = 0; i < ROOTS; i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + ROOTS, NULL));
}

UNUSED BARE NOINLINE static void scribble(void)
{
	volatile char stack[16384];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

UNUSED BARE NOINLINE static void collect(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}

UNUSED static size_t records(void)
{
	size_t n = 0;

	for (unsigned int i = 0; i < MW_NR_RECORDS; i++)
		n += atomic_load(&mw_special.pool[i].in_use);
	return n;
}

UNUSED static size_t live_objects(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	size_t live = 0;

	while ((span = mw_span_next(&cursor)))
		if (span->in_use && (mw_span_flags(span) & MW_SPAN_COLLECTED))
			live += mw_span_live_count(span);
	return live;
}

/* ---- what calls saw: hidden from the collector ---- */

#define MOST_CALLS 40000

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
