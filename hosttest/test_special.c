/* SPDX-License-Identifier: MIT */
/* Special records: finalizers, cleanups, weak references, weak-keyed tables, tags. */
#include "test.h"
#include "../mm/gc/gc.h"

#if MW_GC

#define NOINLINE __attribute__((noinline))
#define BARE __attribute__((no_sanitize("address"), no_sanitize("undefined")))

struct node {
	struct node *next, *other;
	uintptr_t value;
};

static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTR(struct node, other));

/* Roots of a test lie here; nothing else of it is one. */
static struct node **root;
#define ROOTS (MW_PAGE_SIZE / sizeof(void *))

static void setup(size_t bytes)
{
	test_heap(bytes);
	root = test_memory(MW_PAGE_SIZE);
	NEED(root);
	for (size_t i = 0; i < ROOTS; i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + ROOTS, NULL));
}

BARE NOINLINE static void scribble(void)
{
	volatile char stack[16384];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

BARE NOINLINE static void collect(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}

static size_t records(void)
{
	size_t n = 0;

	for (unsigned int i = 0; i < MW_NR_RECORDS; i++)
		n += atomic_load(&mw_special.pool[i].in_use);
	return n;
}

static size_t live_objects(void)
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

static void saw(const void *object, uintptr_t value)
{
	unsigned long i = atomic_fetch_add(&calls.n, 1);

	if (i < MOST_CALLS) {
		calls.object[i] = ~(uintptr_t)object;
		calls.value[i] = value;
	}
}

static void forget_calls(void)
{
	atomic_store(&calls.n, 0);
}

static void see(void *object, void *arg)
{
	(void)arg;
	saw(object, ((struct node *)object)->value);
}

static void see_arg(void *arg)
{
	saw(NULL, arg ? ((struct node *)arg)->value : 0);
}

NOINLINE static size_t run_all(void)
{
	return mw_finalizers_run(SIZE_MAX);
}

NOINLINE static struct node *make(uintptr_t value)
{
	struct node *node = mw_new(&node_type, MW_NORMAL);

	NEED(node);
	node->value = value;
	return node;
}

/* ---- finalizers ---- */

#define PAIRS 250

static struct pair_state {
	unsigned int a, b; /* how often each ran */
	bool early; /* B before A */
} pairs[PAIRS];

static void finalize_a(void *object, void *arg)
{
	(void)arg;
	pairs[((struct node *)object)->value].a++;
}

static void finalize_b(void *object, void *arg)
{
	struct pair_state *pair = &pairs[((struct node *)object)->value];

	(void)arg;
	pair->early |= !pair->a;
	pair->b++;
}

NOINLINE static void make_pairs(void)
{
	for (size_t i = 0; i < PAIRS; i++) {
		struct node *a = make(i), *b = make(i);

		pairs[i] = (struct pair_state){ 0 };
		a->next = b;
		NEED(mw_finalizer_set(a, finalize_a, NULL));
		NEED(mw_finalizer_set(b, finalize_b, NULL));
	}
}

TEST(of_two_objects_the_one_that_points_is_finalized_first)
{
	size_t ran = 0;

	setup(16 << 20);
	make_pairs();
	collect();
	CHECK(run_all() <= PAIRS);
	for (size_t i = 0; i < PAIRS; i++)
		CHECK(!pairs[i].b);
	for (unsigned int i = 0; i < 4; i++) {
		collect();
		run_all();
	}
	for (size_t i = 0; i < PAIRS; i++) {
		ran += pairs[i].a + pairs[i].b;
		CHECK(pairs[i].a <= 1 && pairs[i].b <= 1 && !pairs[i].early);
	}
	CHECK(ran >= 2 * PAIRS * 9 / 10);
	collect();
	CHECK(live_objects() <= 10);
	CHECK(records() <= 5);
}

#define TINY 100

static unsigned int tiny_seen[TINY];

static void see_tiny(void *object, void *arg)
{
	uint32_t value = *(uint32_t *)object;

	CHECK((uintptr_t)arg == value);
	if (value < TINY)
		tiny_seen[value]++;
}

NOINLINE static void make_tiny(void)
{
	for (uint32_t i = 0; i < TINY; i++) {
		uint32_t *tiny = mw_alloc(4, MW_NOSCAN);

		NEED(tiny);
		tiny_seen[i] = 0;
		*tiny = i;
		NEED(mw_finalizer_set(tiny, see_tiny, (void *)(uintptr_t)i));
		CHECK(!mw_finalizer_set(tiny, see_tiny, NULL));
	}
}

TEST(parts_of_a_tiny_block_have_finalizers_of_their_own)
{
	size_t ran = 0;

	setup(16 << 20);
	make_tiny();
	collect();
	collect();
	run_all();
	for (size_t i = 0; i < TINY; i++) {
		CHECK(tiny_seen[i] <= 1);
		ran += tiny_seen[i];
	}
	CHECK(ran >= TINY * 3 / 4);
}

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

TEST(a_finalized_object_lives_one_cycle_more)
{
	setup(16 << 20);
	forget_calls();
	make_one(5, see, NULL);
	collect();
	CHECK_EQ(live_objects(), 1);
	CHECK_EQ(calls.n, 0);
	/* Due calls are roots: nothing changes until it ran. */
	collect();
	CHECK_EQ(live_objects(), 1);
	CHECK_EQ(run_all(), 1);
	CHECK_EQ(calls.n, 1);
	CHECK_EQ(calls.value[0], 5);
	collect();
	CHECK_EQ(live_objects(), 0);
	CHECK_EQ(run_all(), 0);
	CHECK_EQ(records(), 0);
}

TEST(a_finalizer_may_keep_its_object)
{
	setup(16 << 20);
	forget_calls();
	make_one(0, resurrect, NULL);
	collect();
	CHECK_EQ(run_all(), 1);
	collect();
	collect();
	CHECK_EQ(live_objects(), 1);
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
	make_one(3, see, arg);
	make_one(4, see, make(5));
	make(6)->next = NULL;
}

TEST(arguments_and_what_objects_point_to_live)
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

TEST(rings_of_finalized_objects_stay)
{
	setup(16 << 20);
	make_ring();
	collect();
	collect();
	CHECK_EQ(run_all(), 0);
	CHECK_EQ(live_objects(), 3);
}

TEST(what_is_refused)
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

TEST(freeing_an_object_with_a_finalizer_is_reported)
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

TEST(large_objects_are_finalized)
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

TEST(cleanups_run_in_order_after_the_object)
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

TEST(a_cleanup_waits_for_the_finalizer)
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

TEST(a_free_by_hand_runs_cleanups)
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

TEST(weak_references_do_not_keep)
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

TEST(weak_references_are_gone_before_a_finalizer_runs)
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

TEST(weak_references_of_objects_freed_by_hand)
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

TEST(values_live_as_long_as_their_keys)
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

TEST(a_value_does_not_keep_its_own_key)
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

TEST(a_key_freed_by_hand_leaves_its_tables)
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

TEST(tags_are_on_objects_of_all_kinds)
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

TEST(a_tag_goes_with_its_object)
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
TEST(records_are_seen_whoever_owns_the_span)
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

TEST(a_dead_object_that_is_not_swept_gets_no_records)
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

TEST(interrupts_get_weak_references_during_a_mark)
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

TEST(what_was_got_during_a_mark_lives_through_it)
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
