/* SPDX-License-Identifier: MIT */
/* Weak references, weak-keyed tables, tags, and records in places where they are easily missed. */
#include "special.h"

#if MW_GC

static void resurrect(void *object, void *arg)
{
	(void)arg;
	root[7] = object;
	saw(object, 0);
}

/* ---- weak references ---- */

static struct mw_weak *weak, *weak_too;

NOINLINE static void make_weak(bool finalized)
{
	root[0] = make(11);
	weak = mw_weak_new(root[0]);
	weak_too = mw_weak_new(root[0]);
	NEED(weak && weak_too);
	if (finalized)
		NEED(mw_finalizer_set(root[0], resurrect, NULL));
}

NOINLINE static bool weak_is(const void *object)
{
	return mw_weak_get(weak) == object && mw_weak_get(weak_too) == object;
}

BARE_TEST(weak_references_do_not_keep)
{
	setup(16 << 20);
	make_weak(false);
	collect();
	CHECK(weak_is(root[0]));
	CHECK_EQ(live_objects(), 1);
	root[0] = NULL;
	scribble();
	/* Nothing is swept: the reference has to know better. */
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	CHECK(weak_is(NULL));
	collect();
	CHECK_EQ(live_objects(), 0);
	mw_weak_free(weak);
	CHECK_EQ(records(), 1);
	mw_weak_free(weak_too);
	CHECK_EQ(records(), 0);
}

BARE_TEST(weak_references_are_gone_before_a_finalizer_runs)
{
	setup(16 << 20);
	forget_calls();
	make_weak(true);
	root[0] = NULL;
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	CHECK(weak_is(NULL));
	collect();
	CHECK(weak_is(NULL));
	CHECK_EQ(run_all(), 1);
	CHECK(root[7]);
	CHECK(weak_is(NULL));
	/* Of an object that came back there are new ones. */
	mw_weak_free(weak_too);
	weak_too = mw_weak_new(root[7]);
	CHECK(weak_too != weak);
	CHECK_PTR(mw_weak_get(weak_too), root[7]);
	CHECK_PTR(mw_weak_get(weak), NULL);
	mw_weak_free(weak_too);
	mw_weak_free(weak);
	CHECK_EQ(records(), 0);
}

BARE_TEST(weak_references_of_objects_freed_by_hand)
{
	setup(16 << 20);
	make_weak(false);
	mw_free(root[0]);
	CHECK(weak_is(NULL));
	mw_weak_free(weak);
	mw_weak_free(weak_too);
	CHECK_EQ(records(), 0);
}

/* ---- weak-keyed tables ---- */

NOINLINE static void fill_table(struct mw_weak_table *table, size_t n)
{
	/* Each value is the next one's key: what the last one keeps hangs on the first. */
	struct node *key = make(0);

	root[0] = key;
	for (size_t i = 1; i <= n; i++) {
		struct node *value = make(i);

		NEED(mw_weak_table_put(table, key, value));
		key = value;
	}
}

NOINLINE static size_t follow(struct mw_weak_table *table)
{
	struct node *at = root[0];
	size_t n = 0;

	while ((at = mw_weak_table_get(table, at)))
		CHECK_EQ(at->value, ++n);
	return n;
}

BARE_TEST(values_live_as_long_as_their_keys)
{
	struct mw_weak_table *table;

	setup(16 << 20);
	table = mw_weak_table_new("test");
	NEED(table);
	fill_table(table, 1000);
	collect();
	CHECK_EQ(live_objects(), 1001);
	CHECK_EQ(follow(table), 1000);
	CHECK(mw_gc_check());
	CHECK_EQ(follow(table), 1000);
	CHECK(mw_weak_table_remove(table, mw_weak_table_get(table, root[0])));
	collect();
	collect();
	CHECK(live_objects() >= 2 && live_objects() <= 6);
	CHECK_EQ(follow(table), 1);
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 4);
	mw_weak_table_free(table);
}

NOINLINE static void put_self(struct mw_weak_table *table)
{
	struct node *key = make(0), *value = make(1);

	value->next = key;
	NEED(mw_weak_table_put(table, key, value));
}

BARE_TEST(a_value_does_not_keep_its_own_key)
{
	struct mw_weak_table *table;

	setup(16 << 20);
	table = mw_weak_table_new("test");
	NEED(table);
	for (unsigned int i = 0; i < 100; i++)
		put_self(table);
	collect();
	collect();
	CHECK(live_objects() <= 4);
	mw_weak_table_free(table);
}

BARE_TEST(a_key_freed_by_hand_leaves_its_tables)
{
	struct mw_weak_table *table;

	setup(16 << 20);
	table = mw_weak_table_new("test");
	NEED(table);
	root[0] = make(0);
	root[1] = make(1);
	NEED(mw_weak_table_put(table, root[0], root[1]));
	NEED(mw_weak_table_put(table, root[0], root[0]));
	CHECK_PTR(mw_weak_table_get(table, root[0]), root[0]);
	mw_free(root[0]);
	CHECK_PTR(mw_weak_table_get(table, root[0]), NULL);
	mw_weak_table_free(table);
}

/* ---- tags ---- */

static const mw_flags_t kinds[] = { MW_NORMAL, MW_COLLECTED, MW_NOSCAN };

BARE_TEST(tags_are_on_objects_of_all_kinds)
{
	static const size_t sizes[] = { 16, 40, 500, 20000, 400000 };

	setup(64 << 20);
	for (size_t i = 0; i < MW_LEN(sizes) * MW_LEN(kinds); i++) {
		char *p = mw_alloc(sizes[i / MW_LEN(kinds)], kinds[i % MW_LEN(kinds)]);

		NEED(p);
		root[0] = (struct node *)p;
		CHECK_EQ(mw_tag_get(p), 0);
		CHECK(mw_tag_set(p, 17));
		CHECK_EQ(mw_tag_get(p), 17);
		CHECK(mw_tag_set(p, 18));
		CHECK_EQ(mw_tag_get(p), 18);
		CHECK(!mw_tag_set(p + 8, 19));
		CHECK_EQ(mw_tag_get(p + 8), 0);
		collect();
		CHECK_EQ(mw_tag_get(p), 18);
		CHECK(mw_tag_set(p, 0));
		CHECK_EQ(mw_tag_get(p), 0);
		CHECK(mw_tag_set(p, 20));
		mw_free(p);
		CHECK_EQ(records(), 0);
		CHECK_EQ(mw_tag_get(p), 0);
	}
}

BARE_TEST(a_tag_goes_with_its_object)
{
	setup(16 << 20);
	for (unsigned int i = 0; i < 1000; i++) {
		void *p = mw_alloc(48, MW_NORMAL), *q;

		NEED(p);
		CHECK(mw_tag_set(p, i + 1));
		mw_free(p);
		q = mw_alloc(48, MW_NORMAL);
		CHECK_EQ(mw_tag_get(q), 0);
		mw_free(q);
	}
	CHECK_EQ(records(), 0);
}

/* A span changes hands in many ways; a free of an object with a record must never be the quick one. */
BARE_TEST(records_are_seen_whoever_owns_the_span)
{
	void *object[2000];
	size_t n = MW_LEN(object);

	setup(16 << 20);
	for (size_t i = 0; i < n; i++) {
		object[i] = mw_alloc(64, MW_NORMAL);
		NEED(object[i] && (i % 2 || mw_tag_set(object[i], i + 1)));
	}
	/* The quick free makes a full span one with free objects again. */
	for (size_t i = 1; i < n; i += 2)
		mw_free(object[i]);
	for (size_t i = 1; i < n; i += 2)
		NEED((object[i] = mw_alloc(64, MW_NORMAL)));
	for (size_t i = 0; i < n; i++)
		mw_free(object[i]);
	CHECK_EQ(records(), 0);
}

/* The first of many, so that no register has it any more. */
NOINLINE static uintptr_t make_hidden(void)
{
	uintptr_t first = ~(uintptr_t)make(1);

	for (unsigned int i = 0; i < 50; i++)
		(void)make(2);
	return first;
}

BARE_TEST(a_dead_object_that_is_not_swept_gets_no_records)
{
	volatile uintptr_t hidden; /* or the compiler turns it around before the collection */

	setup(16 << 20);
	hidden = make_hidden();
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	CHECK(!mw_weak_new((void *)~hidden));
	CHECK(!mw_finalizer_set((void *)~hidden, see, NULL));
	CHECK_EQ(records(), 0);
}

/* ---- weak references in interrupts ---- */

static mw_atomic_t got, bad;

BARE static void get_weak(void *arg)
{
	struct node *node = mw_weak_get(weak);

	(void)arg;
	if (!node)
		return;
	atomic_fetch_add(&got, 1);
	if (node->value != 11)
		atomic_fetch_add(&bad, 1);
}

BARE_TEST(interrupts_get_weak_references_during_a_mark)
{
	bool had = false;

	setup(16 << 20);
	atomic_store(&got, 0);
	atomic_store(&bad, 0);
	for (unsigned int round = 0; round < 30; round++) {
		make_weak(false);
		if (!round)
			had = test_interrupts_on(get_weak, NULL);
		root[0] = NULL;
		for (unsigned int i = 0; i < 4; i++)
			collect();
		if (round < 29)
			continue;
		if (had)
			test_interrupts_off();
		/* Nobody gets it any more: it dies. */
		collect();
		collect();
		CHECK_PTR(mw_weak_get(weak), NULL);
	}
	if (!had)
		test_skip("no interrupts");
	CHECK_EQ(bad, 0);
	test_note("%lu objects got", (unsigned long)got);
}

/* The same, with the interrupt in the place where it has to be. */
static struct mw_weak *seen_late;

/* Far down the stack, of which the upper part is a root. */
BARE NOINLINE static bool get_late(void)
{
	volatile char far[8192];
	bool is = mw_weak_get(seen_late) != NULL;

	far[0] = far[sizeof(far) - 1] = 0;
	return is;
}

static void in_mark(struct mw_gc_listener *self, enum mw_gc_moment moment,
		    const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment == MW_GC_ROOTS_DONE && seen_late)
		CHECK(get_late());
}

NOINLINE static void make_late(void)
{
	struct node *node = make(11);

	node->next = make(12);
	seen_late = mw_weak_new(node);
	NEED(seen_late);
}

BARE_TEST(what_was_got_during_a_mark_lives_through_it)
{
	static struct mw_gc_listener listener = { .moment = in_mark };

	setup(16 << 20);
	make_late();
	mw_gc_listen(&listener);
	collect();
	CHECK_EQ(live_objects(), 2);
	CHECK(mw_gc_check());
	CHECK_EQ(live_objects(), 2);
	mw_gc_unlisten(&listener);
	collect();
	CHECK_EQ(live_objects(), 0);
	CHECK_PTR(mw_weak_get(seen_late), NULL);
	mw_weak_free(seen_late);
	seen_late = NULL;
}

#endif
