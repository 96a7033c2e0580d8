/* SPDX-License-Identifier: MIT */
/*
 * The leak scan. What is to be found must not be pointed to by accident: leaks are made in functions
 * of their own, their frames are overwritten, and their addresses are kept complemented.
 */
#include "leak.h"

#if MW_GC

TEST(finds_what_nothing_points_to_and_nothing_else)
{
	setup(32 << 20);
	keep(0, 5000);
	CHECK_EQ(scan(&quiet), 0);
	leak(40, 64);
	CHECK_EQ(scan(&quiet), 40);
	CHECK_EQ(scan(&quiet), 40);
	CHECK(mw_heap_check());
	free_leaks(40);
	CHECK_EQ(scan(&quiet), 0);
	free_list(0);
	CHECK_EQ(scan(NULL), 0);
	CHECK(mw_heap_check());
}

TEST(sizes_of_all_kinds)
{
	static const size_t sizes[] = { 1,    8,     16,    100,       1000,	4096,
					9000, 32768, 32769, 300 << 10, 3 << 20, 5 << 20 };

	setup(64 << 20);
	for (size_t i = 0; i < MW_LEN(sizes); i++) {
		size_t found;

		leak(4, sizes[i]);
		/* With 32 bits some number or other is the address of what is so large. */
		test_own_roots(true);
		found = scan(&quiet);
		CHECK_EQ(found, 4);
		free_leaks(4);
		CHECK_EQ(scan(&quiet), 0);
		test_own_roots(false);
	}
}

/* Objects that only each other point to are leaks, all of them; and so is what only they point to. */
NOINLINE static void make_ring(size_t n)
{
	struct thing *first = thing_new(MW_NORMAL), *last = first;

	for (size_t i = 1; i < n; i++, last = last->next)
		last->next = thing_new(MW_NORMAL);
	last->next = first;
	first->other = thing_new(MW_NORMAL);
	leaked[0] = ~(uintptr_t)first;
}

NOINLINE static void free_ring(void)
{
	struct thing *first = (struct thing *)~leaked[0], *thing = first->next;

	mw_free(first->other);
	while (thing != first) {
		struct thing *next = thing->next;

		mw_free(thing);
		thing = next;
	}
	mw_free(first);
}

TEST(a_ring_is_a_leak)
{
	setup(16 << 20);
	make_ring(100);
	CHECK_EQ(scan(&quiet), 101);
	free_ring();
	CHECK_EQ(scan(&quiet), 0);
}

/* Any address inside counts, the first one behind does not. */
NOINLINE static void point_into(size_t slot, size_t offset)
{
	char *object = mw_alloc(64, MW_ZERO);

	NEED(object);
	root[slot] = (struct node *)(object + offset);
	leaked[slot] = ~(uintptr_t)object;
}

TEST(any_address_inside_counts)
{
	setup(16 << 20);
	point_into(0, 0);
	point_into(1, 1);
	point_into(2, 63);
	CHECK_EQ(scan(&quiet), 0);
	root[1] = NULL;
	CHECK_EQ(scan(&quiet), 1);
	root[2] = NULL;
	CHECK_EQ(scan(&quiet), 2);
	free_leaks(3);
}

/* ---- ways from roots to objects ---- */

NOINLINE static void reach_by_all_ways(void)
{
	struct thing *pointers = thing_new(MW_POINTERS);
	struct node *collected = mw_new(&node_type, MW_NORMAL);
	char **large = mw_alloc(200 << 10, MW_ZERO);
	struct mw_weak_table *table = mw_weak_table_new("ways");

	NEED(collected && large && table);
	root[0] = (struct node *)pointers;
	pointers->next = thing_new(MW_NORMAL);
	root[1] = collected;
	collected->next = (struct node *)thing_new(MW_NORMAL);
	root[2] = (struct node *)large;
	large[25000] = (char *)thing_new(MW_NORMAL) + 8;
	((struct thing *)(large[25000] - 8))->other = thing_new(MW_POINTERS);
	/* A value lives in a table of Marrow's, whose memory is an object too. */
	NEED(mw_weak_table_put(table, collected, thing_new(MW_NORMAL)));
	NEED(mw_cleanup_add(collected, see_arg, thing_new(MW_NORMAL)));
	leaked[0] = ~(uintptr_t)table;
}

TEST(all_ways_from_roots)
{
	setup(16 << 20);
	test_heap_may_leak();
	reach_by_all_ways();
	test_own_roots(true);
	CHECK_EQ(scan(NULL), 0);
	CHECK_EQ(scan(NULL), 0);
	root[0] = NULL;
	CHECK_EQ(scan(&quiet), 2);
	root[2] = NULL;
	CHECK_EQ(scan(&quiet), 5);
	root[1] = NULL;
	/* The collected one goes, and its table entry; its cleanup is due and keeps the argument. */
	CHECK_EQ(scan(&quiet), 7);
	CHECK_EQ(scan(&quiet), 7);
	mw_finalizers_run(SIZE_MAX);
	CHECK_EQ(scan(&quiet), 8);
	mw_weak_table_free((void *)~leaked[0]);
}

/* What only a leak points to is not collected: somebody may still come and free the leak. */
NOINLINE static void leak_a_holder(void)
{
	struct thing *holder = thing_new(MW_POINTERS);
	struct node *node = mw_new(&node_type, MW_NORMAL);

	NEED(node);
	node->value = 4711;
	holder->next = (struct thing *)node;
	leaked[0] = ~(uintptr_t)holder;
}

/* Apart, so that the address is not left in the test's own frame. */
NOINLINE static uintptr_t value_behind_the_leak(void)
{
	return (uintptr_t)((struct node *)((struct thing *)~leaked[0])->next)->value;
}

TEST(a_leak_keeps_what_it_points_to)
{
	setup(16 << 20);
	leak_a_holder();
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(scan(&quiet), 1);
	CHECK_EQ(value_behind_the_leak(), 4711);
	CHECK_EQ(live_objects(), 1);
	CHECK(mw_gc_check());
	free_leaks(1);
	collect();
	CHECK_EQ(live_objects(), 0);
}

/* What is free points to nothing, whoever freed it, and whatever is still in it. */
NOINLINE static void free_a_holder(void)
{
	struct thing *kept = thing_new(MW_NORMAL), *holder = thing_new(MW_NORMAL);

	root[0] = (struct node *)kept;
	kept->next = holder;
	holder->next = thing_new(MW_NORMAL);
	leaked[0] = ~(uintptr_t)holder->next;
	leaked[1] = ~(uintptr_t)holder;
}

static void free_holder_on(unsigned int i, void *arg)
{
	(void)arg;
	if (i)
		mw_free((void *)~leaked[1]);
}

TEST(freed_objects_hide_nothing)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), 2);

	setup(16 << 20);
	for (unsigned int remote = 0; remote < 2; remote++) {
		free_a_holder();
		CHECK_EQ(scan(&quiet), 0);
		if (remote && cpus > 1)
			test_parallel(cpus, free_holder_on, NULL);
		else
			mw_free((void *)~leaked[1]);
		CHECK_EQ(scan(&quiet), 1);
		free_leaks(1);
		mw_free(root[0]);
		root[0] = NULL;
	}
	CHECK_EQ(scan(&quiet), 0);
}

static struct mw_type plain_type = MW_TYPE_PLAIN(struct thing);
static struct mw_type thing_type = MW_TYPE(struct thing, MW_PTR(struct thing, next));

NOINLINE static void point_from(struct mw_cache *cache, size_t slot)
{
	struct thing *thing = mw_cache_alloc(cache, MW_ZERO);

	NEED(thing);
	root[slot] = (struct node *)thing;
	thing->next = thing_new(MW_NORMAL);
	thing->other = thing_new(MW_NORMAL);
	leaked[2 * slot] = ~(uintptr_t)thing->next;
	leaked[2 * slot + 1] = ~(uintptr_t)thing->other;
}

TEST(types_say_where_pointers_are)
{
	struct mw_cache_want want = { .name = "typed", .size = sizeof(struct thing) };
	struct mw_cache *cache[2];

	setup(16 << 20);
	NEED(mw_type_ready(&plain_type) && mw_type_ready(&thing_type));
	want.type = &plain_type;
	cache[0] = mw_cache_create(&want);
	want.type = &thing_type;
	cache[1] = mw_cache_create(&want);
	NEED(cache[0] && cache[1]);
	point_from(cache[0], 0);
	point_from(cache[1], 1);
	CHECK_EQ(scan(&quiet), 3);
	for (size_t i = 0; i < 2; i++)
		mw_cache_free(cache[i], root[i]);
	free_leaks(4);
	CHECK(mw_cache_destroy(cache[0]) && mw_cache_destroy(cache[1]));
}

/* ---- what is reported ---- */

TEST(ignored_objects_are_none_and_lead_to_none)
{
	setup(16 << 20);
	make_ring(10);
	leak(0, 0);
	CHECK_EQ(scan(&quiet), 11);
	CHECK(mw_leak_ignore((void *)~leaked[0]));
	CHECK(mw_leak_ignore((void *)~leaked[0]));
	CHECK_EQ(scan(&quiet), 0);
	CHECK(!mw_leak_ignore(NULL));
	CHECK(!mw_leak_ignore((char *)~leaked[0] + 8));
	free_ring();
	CHECK_EQ(records(), 0);
	leak(3, 64);
	CHECK_EQ(scan(&quiet), 3);
	free_leaks(3);
}

NOINLINE static void leak_here(size_t n)
{
	leak(n, 100);
}

NOINLINE static void leak_there(size_t n)
{
	leak(n, 64);
	__asm__ volatile("");
}

static void wait_ns(uint64_t ns)
{
	uint64_t start = test_now();

	while (test_now() - start < ns)
		mw_port_relax();
}

TEST(oldest_first_by_place_with_age)
{
	const struct mw_leak_want want = { .most = 8 }, aged = { .min_age_ns = 1000000, .most = 1 };
	const struct mw_leak_want older = { .min_age_ns = 3600ull * 1000000000 };
	const char *text;

	setup(32 << 20);
	test_heap_may_leak();
	NEED(mw_debug_set("U"));
	leak_here(5);
	wait_ns(1000000);
	leak_there(7);
	text = scan_text(&want, 12);
	CHECK(test_has(text, "nothing points to 12 objects of 1008 bytes"));
	CHECK(test_has(text, "  5 objects, 560 bytes, alloc-112, "));
	CHECK(test_has(text, "  7 objects, 448 bytes, alloc-64, "));
	CHECK(test_has(text, " s old"));
	CHECK(test_has(text, "4 of them were not named"));
	/* The older place comes first: the younger one is behind it. */
	text = test_has(text, "5 objects");
	CHECK(text && test_has(text, "7 objects"));
	CHECK_EQ(scan(&older), 0);
	wait_ns(1000000);
	CHECK_EQ(scan(&aged), 12);
	mw_debug_set("-");
}

/* Born in another order than they lie in: sizes change from one to the next. */
#define AGES 60
#define NAMED 11

NOINLINE static void leak_in_turn(void)
{
	for (size_t i = 0; i < AGES; i++) {
		void *object = mw_alloc(16 << i % 6, MW_ZERO);

		NEED(object);
		leaked[i] = ~(uintptr_t)object;
		wait_ns(2000);
	}
}

TEST(the_oldest_are_named)
{
	const struct mw_leak_want want = { .most = NAMED };
	const char *text;
	char line[64];

	setup(32 << 20);
	test_heap_may_leak();
	NEED(mw_debug_set("U"));
	leak_in_turn();
	text = scan_text(&want, AGES);
	for (size_t i = 0; i < AGES; i++) {
		mw_format(line, sizeof(line), "    %p, %zu bytes, ", (void *)~leaked[i],
			  (size_t)16 << i % 6);
		CHECK(!test_has(text, line) == (i >= NAMED));
	}
	CHECK(test_has(text, "49 of them were not named"));
	mw_debug_set("-");
}

/* One more than there is room for, and then some. */
#define PLACES 130
#define TOLD_APART 127

TEST(more_places_than_are_told_apart)
{
	static struct mw_cache *caches[PLACES];
	struct mw_cache_want want = { .size = 64 };
	const char *text;
	char name[32];
	size_t named = 0;

	setup(32 << 20);
	want.name = name;
	for (size_t i = 0; i < PLACES; i++) {
		mw_format(name, sizeof(name), "p%zu", i);
		caches[i] = mw_cache_create(&want);
		NEED(caches[i]);
		leaked[i % LEAKS] = ~(uintptr_t)mw_cache_alloc(caches[i], MW_ZERO);
	}
	text = scan_text(&quiet, PLACES);
	for (size_t i = 0; i < PLACES; i++) {
		mw_format(name, sizeof(name), " 64 bytes, p%zu\n", i);
		named += test_has(text, name) != NULL;
	}
	CHECK_EQ(named, TOLD_APART);
	CHECK(test_has(text, "  3 objects, 192 bytes, other places\n"));
	test_heap_may_leak();
}

TEST(without_tracks_by_cache)
{
	const struct mw_leak_want want = { .most = 3 };
	const char *text;

	setup(16 << 20);
	leak(9, 64);
	text = scan_text(&want, 9);
	CHECK(test_has(text, "  9 objects, 576 bytes, alloc-64\n"));
	CHECK(test_has(text, "6 of them were not named"));
	free_leaks(9);
}

TEST(debug_aids_are_no_hindrance)
{
	static const char *const aids[] = { "F", "P", "FZPU", "G", "FZPUG" };

	for (size_t i = 0; i < MW_LEN(aids); i++) {
		setup(32 << 20);
		test_heap_may_leak();
		NEED(mw_debug_set(aids[i]));
		keep(0, 50);
		keep(1, 50);
		free_list(1);
		leak(10, 64);
		CHECK_EQ(scan(&quiet), 10);
		CHECK(mw_heap_check());
		free_leaks(10);
		CHECK_EQ(scan(&quiet), 0);
		free_list(0);
		NEED(mw_debug_set("-"));
	}
}

TEST(no_memory_for_it)
{
	struct mw_fail fail = { .every = 1, .pages = true };

	setup(16 << 20);
	leak(3, 64);
	CHECK_EQ(scan(&quiet), 3);
	mw_fail_set(&fail);
	CHECK_EQ(mw_leak_scan(&quiet), SIZE_MAX);
	mw_fail_set(NULL);
	CHECK_EQ(scan(&quiet), 3);
	free_leaks(3);
}

#endif
