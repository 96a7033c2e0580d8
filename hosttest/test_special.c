/* SPDX-License-Identifier: MIT */
/* Finalizers and cleanups: each rule. */
#include "special.h"

#if MW_GC

/* ---- finalizers ---- */

NOINLINE static void make_one(uintptr_t value, void (*fn)(void *, void *), void *arg)
{
	NEED(mw_finalizer_set(make(value), fn, arg));
}

static void resurrect(void *object, void *arg)
{
	(void)arg;
	root[7] = object;
	saw(object, 0);
}

/* What follows them lies where nothing lay before: no stale word leads there. */
NOINLINE static void make_decoys(void)
{
	for (unsigned int i = 0; i < 1000; i++)
		(void)make(i);
}

BARE_TEST(a_finalized_object_lives_one_cycle_more)
{
	setup(16 << 20);
	forget_calls();
	make_decoys();
	make_one(5, see, NULL);
	collect();
	CHECK(live_objects() >= 1 && live_objects() <= 3);
	CHECK_EQ(calls.n, 0);
	/* Due calls are roots: nothing changes until it ran. */
	collect();
	CHECK(live_objects() >= 1 && live_objects() <= 3);
	CHECK_EQ(run_all(), 1);
	CHECK_EQ(calls.n, 1);
	CHECK_EQ(calls.value[0], 5);
	collect();
	CHECK(live_objects() <= 2);
	CHECK_EQ(run_all(), 0);
	CHECK_EQ(records(), 0);
}

BARE_TEST(a_finalizer_may_keep_its_object)
{
	setup(16 << 20);
	forget_calls();
	make_decoys();
	make_one(0, resurrect, NULL);
	collect();
	CHECK_EQ(run_all(), 1);
	collect();
	collect();
	CHECK(live_objects() >= 1 && live_objects() <= 3);
	CHECK_PTR(root[7], (void *)~calls.object[0]);
	CHECK_EQ(run_all(), 0);
	/* And it may have another one. */
	CHECK(mw_finalizer_set(root[7], see, NULL));
	root[7] = NULL;
	collect();
	CHECK_EQ(run_all(), 1);
	CHECK_EQ(calls.n, 2);
}

NOINLINE static void make_with_arg(void)
{
	struct node *arg = make(1);

	arg->next = make(2);
	make_decoys();
	make_one(3, see, arg);
	make_decoys();
	make_one(4, see, make(5));
	make(6)->next = NULL;
}

BARE_TEST(arguments_and_what_objects_point_to_live)
{
	setup(16 << 20);
	forget_calls();
	make_with_arg();
	root[0] = make(7);
	NEED(mw_finalizer_set(root[0], see, make(8)));
	collect();
	CHECK_EQ(live_objects(), 7);
	CHECK_EQ(run_all(), 2);
	collect();
	CHECK_EQ(live_objects(), 2);
}

NOINLINE static void make_ring(void)
{
	struct node *a = make(1), *b = make(2), *c = make(3);

	a->next = b;
	b->next = a;
	c->next = c;
	NEED(mw_finalizer_set(a, see, NULL));
	NEED(mw_finalizer_set(b, see, NULL));
	NEED(mw_finalizer_set(c, see, NULL));
}

BARE_TEST(rings_of_finalized_objects_stay)
{
	setup(16 << 20);
	make_ring();
	collect();
	collect();
	CHECK_EQ(run_all(), 0);
	CHECK_EQ(live_objects(), 3);
}

BARE_TEST(what_is_refused)
{
	char *many;
	void *hand;

	setup(16 << 20);
	root[0] = make(0);
	many = mw_alloc(100, MW_COLLECTED);
	hand = mw_alloc(100, MW_NORMAL);
	NEED(many && hand);
	CHECK(mw_finalizer_set(root[0], see, NULL));
	CHECK(!mw_finalizer_set(root[0], see, NULL));
	CHECK(!mw_finalizer_set(many + 8, see, NULL));
	CHECK(!mw_finalizer_set(mw_alloc(0, MW_COLLECTED), see, NULL));
	CHECK(!mw_finalizer_set(hand, see, NULL));
	CHECK(!mw_finalizer_set(&many, see, NULL));
	CHECK(!mw_finalizer_set(NULL, see, NULL));
	CHECK(!mw_cleanup_add(hand, see_arg, NULL));
	CHECK(!mw_weak_new(hand));
	CHECK(!mw_weak_new(many + 8));
	CHECK(!mw_finalizer_clear(many));
	CHECK(!mw_finalizer_clear(hand));
	CHECK(!mw_finalizer_clear(many + 8));
	CHECK(mw_finalizer_clear(root[0]));
	CHECK(!mw_finalizer_clear(root[0]));
	CHECK_EQ(records(), 0);
	CHECK(!mw_span_of(root[0])->records);
	mw_free(hand);
}

BARE_TEST(freeing_an_object_with_a_finalizer_is_reported)
{
	setup(16 << 20);
	root[0] = make(0);
	NEED(mw_finalizer_set(root[0], see, NULL));
	test_expect_misuse(MW_HAS_FINALIZER);
	mw_free(root[0]);
	CHECK_PTR(test_misuse_came()->object, root[0]);
	CHECK(mw_gc_is_object(root[0]));
	CHECK(mw_finalizer_clear(root[0]));
	mw_free(root[0]);
	CHECK(!mw_gc_is_object(root[0]));
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(root[0]);
	test_misuse_came();
}

NOINLINE static void make_large(void)
{
	struct node *large = mw_alloc(300000, MW_COLLECTED);

	NEED(large);
	large->value = 9;
	large->next = make(10);
	NEED(mw_finalizer_set(large, see, NULL));
}

BARE_TEST(large_objects_are_finalized)
{
	setup(16 << 20);
	forget_calls();
	make_large();
	collect();
	CHECK_EQ(live_objects(), 2);
	CHECK_EQ(run_all(), 1);
	CHECK_EQ(calls.value[0], 9);
	collect();
	CHECK_EQ(live_objects(), 0);
}

/* ---- cleanups ---- */

static struct mw_cleanup *handles[4];

NOINLINE static void make_cleanups(void)
{
	struct node *object = make(0);

	for (uintptr_t i = 0; i < 4; i++) {
		handles[i] = mw_cleanup_add(object, see_arg, make(i));
		NEED(handles[i]);
	}
	CHECK(mw_cleanup_cancel(handles[2]));
	CHECK(!mw_cleanup_cancel(handles[2]));
}

BARE_TEST(cleanups_run_in_order_after_the_object)
{
	setup(16 << 20);
	forget_calls();
	make_cleanups();
	CHECK_EQ(live_objects(), 5);
	collect();
	CHECK_EQ(live_objects(), 3);
	CHECK(!mw_cleanup_cancel(handles[3]));
	CHECK_EQ(run_all(), 3);
	CHECK_EQ(calls.value[0], 0);
	CHECK_EQ(calls.value[1], 1);
	CHECK_EQ(calls.value[2], 3);
	/* Their records are used again; old handles are of no other cleanup. */
	root[0] = make(0);
	for (unsigned int i = 0; i < 4; i++)
		NEED(mw_cleanup_add(root[0], see_arg, NULL));
	for (unsigned int i = 0; i < 4; i++)
		CHECK(!mw_cleanup_cancel(handles[i]));
	CHECK_EQ(records(), 4);
}

NOINLINE static void make_both(void)
{
	struct node *object = make(77);

	NEED(mw_cleanup_add(object, see_arg, make(78)));
	NEED(mw_finalizer_set(object, see, NULL));
}

BARE_TEST(a_cleanup_waits_for_the_finalizer)
{
	setup(16 << 20);
	forget_calls();
	make_both();
	collect();
	CHECK_EQ(run_all(), 1);
	CHECK_EQ(calls.value[0], 77);
	collect();
	CHECK_EQ(run_all(), 1);
	CHECK_EQ(calls.value[1], 78);
	CHECK_EQ(records(), 0);
}

BARE_TEST(a_free_by_hand_runs_cleanups)
{
	setup(16 << 20);
	forget_calls();
	root[0] = make(1);
	NEED(mw_cleanup_add(root[0], see_arg, make(2)));
	NEED(mw_tag_set(root[0], 3));
	mw_free(root[0]);
	CHECK_EQ(run_all(), 1);
	CHECK_EQ(calls.value[0], 2);
	CHECK_EQ(records(), 0);
}

/* ---- what can never run ---- */

static uintptr_t stuck_by_cleanup, stuck_by_finalizer; /* complemented */

NOINLINE static void make_stuck(void)
{
	struct node *a = make(1), *b = make(2), *c = make(3), *d = make(4), *e = make(5);

	/* a's cleanup holds a, by way of b; c and d hold each other; e is as it should be. */
	b->next = a;
	c->next = d;
	d->next = c;
	e->next = make(6);
	stuck_by_cleanup = ~(uintptr_t)a;
	stuck_by_finalizer = ~(uintptr_t)c;
	NEED(mw_cleanup_add(a, see_arg, b));
	NEED(mw_finalizer_set(c, see, NULL));
	NEED(mw_finalizer_set(e, see, make(7)));
	NEED(mw_cleanup_add(e->next, see_arg, make(8)));
}

/* Is there a line that names the kind, the function and the object? */
static bool is_named(const char *text, const char *kind, uintptr_t fn, uintptr_t hidden)
{
	char name[64], line[200];

	if (!mw_port_symbol(fn, name, sizeof(name)))
		mw_format(name, sizeof(name), "%p", (void *)fn);
	mw_format(line, sizeof(line),
		  "marrow: %s %s of object %p never runs: it keeps its own object\n", kind, name,
		  (void *)~hidden);
	return test_has(text, line);
}

BARE_TEST(cleanups_that_keep_their_own_object_are_named)
{
	const char *text;

	setup(16 << 20);
	forget_calls();
	root[0] = make(9);
	NEED(mw_cleanup_add(root[0], see_arg, NULL));
	make_stuck();
	scribble();
	test_capture();
	CHECK_EQ(mw_cleanups_stuck(), 2);
	text = test_captured();
	CHECK(is_named(text, "cleanup", (uintptr_t)see_arg, stuck_by_cleanup));
	CHECK(is_named(text, "finalizer", (uintptr_t)see, stuck_by_finalizer));
	/* And it was a cycle like any other. */
	CHECK_EQ(run_all(), 1);
	collect();
	CHECK_EQ(run_all(), 1);
	CHECK(mw_gc_is_object(root[0]));
	CHECK(mw_finalizer_clear(root[0]) == false);
}

#endif
