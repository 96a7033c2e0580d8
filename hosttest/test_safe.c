/* SPDX-License-Identifier: MIT */
/*
 * Safe free. A catalogue of uses after free, each of which must come to nothing; what no pointer is
 * left to must be had again. Pointers that a test does not want to count are kept complemented.
 */
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

static uintptr_t hidden[4]; /* complemented */

static void on(struct mw_cache *cache, bool wipe)
{
	struct mw_safe_policy policy = { .on = true, .wipe = wipe };

	CHECK(mw_safe_free(cache, &policy));
}

static void off(void)
{
	struct mw_safe_policy policy = { .on = false };
	struct mw_safe_stats stats;

	CHECK(mw_safe_free(NULL, &policy));
	mw_safe_stats(&stats);
	CHECK_EQ(stats.held_objects, 0);
	CHECK(mw_heap_check());
}

static size_t held(void)
{
	struct mw_safe_stats stats;

	mw_safe_stats(&stats);
	return stats.held_objects;
}

static void begin(size_t bytes)
{
	setup(bytes);
	on(NULL, false);
}

NOINLINE static struct thing *thing_new(void)
{
	struct thing *thing = mw_alloc(sizeof(*thing), MW_ZERO);

	NEED(thing);
	for (size_t i = 0; i < MW_LEN(thing->stamp); i++)
		thing->stamp[i] = OLD;
	return thing;
}

/* Each new object of the size is filled; none may be what @old was, which is complemented. */
NOINLINE static bool comes_again(uintptr_t old, size_t size)
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
NOINLINE static void dangle(size_t slot)
{
	struct thing *thing = thing_new();

	root[slot] = (struct node *)thing;
	hidden[0] = ~(uintptr_t)thing;
	mw_free(thing);
}

static struct thing *dangling(size_t slot)
{
	return (struct thing *)root[slot];
}

/* What is left of it, looked at from a frame that is gone afterwards. */
NOINLINE static uintptr_t stamp_at(size_t slot, size_t i)
{
	return dangling(slot)->stamp[i];
}

NOINLINE static uintptr_t stamp_behind(size_t slot)
{
	return dangling(slot)->next->next->stamp[5];
}

/* ---- the catalogue ---- */

BARE_TEST(a_dangling_read_finds_what_was_there)
{
	begin(16 << 20);
	dangle(0);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(!comes_again(hidden[0], sizeof(struct thing)));
		collect();
		for (size_t w = 0; w < MW_LEN(dangling(0)->stamp); w++)
			CHECK_EQ(stamp_at(0, w), OLD);
	}
	root[0] = NULL;
	collect();
	CHECK(comes_again(hidden[0], sizeof(struct thing)));
	off();
}

TEST(or_a_byte_that_is_no_pointer)
{
	setup(16 << 20);
	on(NULL, true);
	dangle(0);
	collect();
	for (size_t i = 0; i < sizeof(struct thing); i++)
		CHECK_EQ(((unsigned char *)root[0])[i], 0x6b);
	off();
}

TEST(a_dangling_write_hurts_nobody)
{
	enum {
		N = 500
	};
	struct thing **table;

	begin(16 << 20);
	dangle(0);
	collect();
	table = mw_alloc(N * sizeof(*table), MW_ZERO);
	NEED(table);
	for (size_t i = 0; i < N; i++)
		table[i] = thing_new();
	for (size_t i = 0; i < MW_LEN(dangling(0)->stamp); i++)
		dangling(0)->stamp[i] = NEW;
	for (size_t i = 0; i < N; i++) {
		for (size_t w = 0; w < MW_LEN(table[i]->stamp); w++)
			if (table[i]->stamp[w] != OLD)
				CHECK_EQ(table[i]->stamp[w], OLD);
		mw_free(table[i]);
	}
	mw_free(table);
	off();
}

static void free_elsewhere(unsigned int i, void *arg)
{
	if (i)
		mw_free(arg);
}

TEST(a_second_free_is_reported_at_once)
{
	struct mw_cache_want want = { .name = "twice", .size = 48 };
	struct mw_cache *cache;
	void *object;

	begin(16 << 20);
	dangle(0);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(root[0]);
	CHECK_PTR(test_misuse_came()->object, root[0]);
	collect();
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(root[0]);
	(void)test_misuse_came();
	if (test_cpus() > 1) {
		test_expect_misuse(MW_DOUBLE_FREE);
		test_parallel(2, free_elsewhere, root[0]);
		(void)test_misuse_came();
	}
	test_expect_misuse(MW_INNER_FREE);
	mw_free((char *)root[0] + 8);
	(void)test_misuse_came();
	CHECK_EQ(mw_usable_size(root[0]), 0);
	cache = mw_cache_create(&want);
	NEED(cache);
	object = mw_cache_alloc(cache, MW_NORMAL);
	mw_cache_free(cache, object);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_cache_free(cache, object);
	(void)test_misuse_came();
	object = NULL;
	scribble();
	off();
	CHECK(mw_cache_destroy(cache));
}

/* A freed object leads to another one that was freed after it, to which nothing else points. */
NOINLINE static void free_a_list(void)
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

BARE_TEST(a_list_that_is_still_linked)
{
	begin(16 << 20);
	free_a_list();
	for (unsigned int i = 0; i < 2; i++) {
		collect();
		CHECK_EQ(held(), 3);
		CHECK_EQ(stamp_behind(0), OLD);
		for (size_t k = 0; k < 3; k++)
			CHECK(!comes_again(hidden[k], sizeof(struct thing)));
	}
	root[0] = NULL;
	collect();
	CHECK_EQ(held(), 0);
	off();
}

NOINLINE static void free_a_ring(void)
{
	struct thing *a = thing_new(), *b = thing_new();

	a->next = b;
	b->next = a;
	a->other = a;
	mw_free(a);
	mw_free(b);
}

BARE_TEST(what_only_freed_objects_point_to_goes)
{
	begin(16 << 20);
	free_a_ring();
	CHECK_EQ(held(), 2);
	collect();
	CHECK_EQ(held(), 0);
	off();
}

TEST(a_pointer_in_a_register_or_on_the_stack)
{
	struct thing *thing;

	begin(16 << 20);
	thing = thing_new();
	mw_free(thing);
	for (unsigned int i = 0; i < 3; i++) {
		__asm__ volatile("" : "+r"(thing));
		collect();
		CHECK_EQ(held(), 1);
		CHECK(!comes_again(~(uintptr_t)thing, sizeof(*thing)));
		collect();
	}
	CHECK_EQ(thing->stamp[0], OLD);
	thing = NULL;
	__asm__ volatile("" : "+r"(thing));
	off();
}

/* ---- pointers in objects of all kinds ---- */

NOINLINE static void dangle_from(void *holder, size_t slot, size_t offset)
{
	struct thing *thing = thing_new();

	NEED(holder);
	root[slot] = holder;
	*(char **)holder = (char *)thing + offset;
	mw_free(thing);
}

BARE_TEST(a_pointer_in_another_object)
{
	begin(16 << 20);
	dangle_from(mw_alloc(64, MW_ZERO), 0, 0);
	dangle_from(mw_alloc(100 << 10, MW_ZERO), 1, 63);
	dangle_from(mw_alloc(64, MW_POINTERS | MW_ZERO), 2, 8);
	dangle_from(mw_alloc(64, MW_COLLECTED), 3, 17);
	collect();
	CHECK_EQ(held(), 4);
	/* What lives keeps, whether something points to it or not. */
	hidden[0] = ~(uintptr_t)root[0];
	root[0] = NULL;
	collect();
	CHECK_EQ(held(), 4);
	mw_free((void *)~hidden[0]);
	collect();
	collect();
	CHECK_EQ(held(), 3);
	*(void **)root[1] = NULL;
	*(void **)root[2] = NULL;
	root[3] = NULL;
	collect();
	CHECK_EQ(held(), 0);
	mw_free(root[1]);
	mw_free(root[2]);
	root[1] = root[2] = NULL;
	off();
}

NOINLINE static void dangle_size(size_t size)
{
	char *object = mw_alloc(size, MW_ZERO);

	NEED(object);
	root[0] = (struct node *)(object + size - 1);
	hidden[0] = ~(uintptr_t)object;
	mw_free(object);
}

BARE_TEST(objects_of_all_sizes)
{
	static const size_t sizes[] = { 8, 100, 4096, 32768, 40000, 1 << 20, 3 << 20 };

	begin(64 << 20);
	for (size_t i = 0; i < MW_LEN(sizes); i++) {
		dangle_size(sizes[i]);
		CHECK(!comes_again(hidden[0], sizes[i]));
		collect();
		CHECK(!comes_again(hidden[0], sizes[i]));
		test_expect_misuse(MW_DOUBLE_FREE);
		mw_free((void *)~hidden[0]);
		(void)test_misuse_came();
		root[0] = NULL;
		collect();
		CHECK(held() <= 2);
		CHECK(mw_heap_check());
	}
	off();
}

/* ---- caches ---- */

static void construct(void *object)
{
	*(uintptr_t *)object = 4711;
}

NOINLINE static uintptr_t first_word(size_t slot)
{
	return *(uintptr_t *)root[slot];
}

NOINLINE static void dangle_in(struct mw_cache *cache, size_t slot)
{
	root[slot] = mw_cache_alloc(cache, MW_NORMAL);
	NEED(root[slot]);
	mw_cache_free(cache, root[slot]);
}

BARE_TEST(one_cache_alone)
{
	struct mw_cache_want want = { .name = "safe", .size = 80, .construct = construct };
	struct mw_cache_want collected = { .name = "collected", .size = 80, .flags = MW_COLLECTED };
	struct mw_safe_policy policy = { .on = true };
	struct mw_cache *cache, *other;
	const char *text;

	setup(16 << 20);
	cache = mw_cache_create(&want);
	other = mw_cache_create(&collected);
	NEED(cache && other);
	CHECK(!mw_safe_free(other, &policy));
	dangle_in(cache, 1);
	on(cache, true);
	dangle_in(cache, 0);
	dangle(2);
	CHECK_EQ(held(), 1);
	collect();
	CHECK_EQ(held(), 1);
	/* What was constructed is as it was. */
	CHECK_EQ(first_word(0), 4711);
	root[2] = NULL;
	test_capture();
	CHECK(!mw_cache_destroy(cache));
	text = test_captured();
	CHECK(text[0]);
	root[0] = NULL;
	root[1] = NULL;
	scribble();
	CHECK(mw_cache_destroy(cache));
	CHECK(mw_cache_destroy(other));
	off();
}

TEST(caches_made_later_are_safe_too)
{
	struct mw_cache_want want = { .name = "later", .size = 80 };
	struct mw_cache *cache;

	begin(16 << 20);
	cache = mw_cache_create(&want);
	NEED(cache);
	dangle_in(cache, 0);
	CHECK_EQ(held(), 1);
	off();
	dangle_in(cache, 0);
	CHECK_EQ(held(), 0);
	root[0] = NULL;
	CHECK(mw_cache_destroy(cache));
}

TEST(debug_aids_have_their_own_ways)
{
	begin(16 << 20);
	NEED(mw_debug_set("FZP"));
	dangle(0);
	CHECK_EQ(held(), 0);
	CHECK(mw_heap_check());
	collect();
	NEED(mw_debug_set("-"));
	root[0] = NULL;
	off();
}

/* Bits of frees that nobody gathered yet are there when the mode begins, and when it ends. */
TEST(frees_from_elsewhere_before_and_after)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), 2);
	size_t live;
	struct mw_stats stats;

	setup(16 << 20);
	mw_stats(&stats);
	live = stats.live_objects;
	for (unsigned int i = 0; i < 4; i++) {
		struct thing *thing = thing_new();

		if (cpus > 1)
			test_parallel(cpus, free_elsewhere, thing);
		else
			mw_free(thing);
		if (i % 2)
			off();
		else
			on(NULL, false);
		CHECK(mw_heap_check());
	}
	collect();
	off();
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, live);
	CHECK(!comes_again(0, 64));
}

TEST(records_end_at_the_free)
{
	struct thing *thing;

	begin(16 << 20);
	thing = thing_new();
	root[0] = (struct node *)thing;
	CHECK(mw_tag_set(thing, 7));
	mw_free(thing);
	CHECK_EQ(records(), 0);
	CHECK_EQ(mw_tag_get(thing), 0);
	CHECK(!mw_tag_set(thing, 8));
	CHECK_EQ(held(), 1);
	/* With its records gone the span still lets no free pass by. */
	thing = thing_new();
	mw_free(thing);
	CHECK_EQ(held(), 2);
	root[0] = NULL;
	thing = NULL;
	off();
}

/* ---- bounds ---- */

NOINLINE static void churn_bytes(size_t bytes)
{
	for (size_t done = 0; done < bytes; done += 256)
		mw_free(mw_alloc(256, MW_NORMAL));
}

TEST(what_is_held_is_bounded)
{
	struct mw_safe_stats stats;
	struct mw_page_stats page;

	begin(32 << 20);
	churn_bytes(200 << 20);
	mw_safe_stats(&stats);
	mw_page_stats(&page);
	test_note("%lu marks, %zu bytes held, %zu pages of objects", stats.marks, stats.held_bytes,
		  page.objects);
	CHECK(stats.marks >= 90 && stats.marks <= 250);
	CHECK(stats.held_bytes <= 5 * stats.due / 2);
	CHECK(page.objects << MW_PAGE_SHIFT <= (4 << 20));
	CHECK(stats.released >= 700000);
	off();
}

NOINLINE static size_t fill(size_t slot, size_t size)
{
	size_t n = 0;
	void *object;

	while ((object = mw_alloc(size, MW_NORMAL))) {
		*(void **)object = root[slot];
		root[slot] = object;
		n++;
	}
	return n;
}

NOINLINE static void empty(size_t slot)
{
	while (root[slot]) {
		void *object = root[slot];

		root[slot] = *(void **)object;
		*(void **)object = NULL;
		mw_free(object);
	}
}

TEST(out_of_memory_marks_first)
{
	struct mw_safe_policy policy = { .on = true, .hold = (size_t)1 << 30 };
	size_t n, again;

	setup(8 << 20);
	CHECK(mw_safe_free(NULL, &policy));
	n = fill(0, 1000);
	CHECK(n > 4000);
	empty(0);
	CHECK_EQ(held(), n);
	again = fill(0, 2000);
	CHECK(again >= n * 9 / 20);
	empty(0);
	/* What is pointed to is not to be had. */
	dangle(1);
	n = fill(0, 64);
	CHECK(n > 10000);
	CHECK_EQ(stamp_at(1, 3), OLD);
	empty(0);
	root[1] = NULL;
	off();
}

BARE_TEST(without_memory_for_the_mark)
{
	struct mw_fail fail = { .every = 1, .pages = true };

	begin(32 << 20);
	for (size_t i = 0; i < 20000; i++)
		root[0] = (struct node *)thing_new()->next;
	test_heap_may_leak();
	free_a_list();
	mw_fail_set(&fail);
	for (unsigned int i = 0; i < 3; i++) {
		collect();
		CHECK_EQ(held(), 3);
		CHECK_EQ(stamp_behind(0), OLD);
	}
	mw_fail_set(NULL);
	root[0] = NULL;
	collect();
	CHECK_EQ(held(), 0);
	off();
}

/* ---- among CPUs and interrupts ---- */

#define MOST_CPUS 4
#define MINE 32

static struct {
	mw_atomic_t bad, frees;
} race;

/*
 * Objects are freed and the pointers stay, in roots: what they point to must stay as it was until
 * they go. Every object of the other CPUs is filled with something else.
 */
static void use(unsigned int cpu, size_t slot)
{
	struct thing *thing = dangling(slot);
	uintptr_t mine = 0xdead00u + cpu;

	if (thing) {
		for (size_t w = 0; w < MW_LEN(thing->stamp); w++)
			if (thing->stamp[w] != mine)
				atomic_fetch_add(&race.bad, 1);
		if (test_below(3))
			return;
		root[slot] = NULL;
	}
	thing = mw_alloc(sizeof(*thing), MW_ZERO);
	if (!thing)
		return;
	for (size_t w = 0; w < MW_LEN(thing->stamp); w++)
		thing->stamp[w] = mine;
	root[slot] = (struct node *)thing;
	mw_free(thing);
	atomic_fetch_add(&race.frees, 1);
}

/* And ordinary ones, of several sizes, some freed by another CPU. */
static struct thing *_Atomic trade[MW_MAX_CPUS];

static void trade_one(unsigned int cpu)
{
	struct thing *thing = mw_alloc(64u << test_below(3), MW_ZERO);

	if (!thing)
		return;
	for (size_t w = 0; w < MW_LEN(thing->stamp); w++)
		thing->stamp[w] = NEW + cpu;
	mw_free(atomic_exchange(&trade[test_below(MOST_CPUS)], thing));
}

static void race_body(unsigned int cpu, void *arg)
{
	(void)arg;
	test_barrier();
	for (size_t i = 0; i < 6000; i++) {
		use(cpu, cpu * MINE + test_below(MINE));
		trade_one(cpu);
		if (i % 1500 == 300 * cpu + 200)
			(void)mw_gc_collect(MW_COLLECT_MARKED);
	}
}

NOINLINE static void drop_trade(void)
{
	for (size_t i = 0; i < MW_LEN(trade); i++)
		mw_free(atomic_exchange(&trade[i], NULL));
}

TEST(nothing_dangling_is_used_again)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);
	struct mw_safe_stats stats;
	struct mw_safe_policy policy = { .on = true, .hold = 128 << 10 };

	setup(32 << 20);
	CHECK(mw_safe_free(NULL, &policy));
	atomic_store(&race.bad, 0);
	test_parallel(cpus, race_body, NULL);
	drop_trade();
	mw_safe_stats(&stats);
	test_note("%lu marks, %lu released", stats.marks, stats.released);
	CHECK_EQ(race.bad, 0);
	CHECK(stats.marks >= cpus && stats.released > 1000);
	CHECK(mw_heap_check());
	for (size_t i = 0; i < ROOTS; i++)
		root[i] = NULL;
	off();
}

/* The mode comes and goes meanwhile, for all or for one cache. */
static void switch_body(unsigned int cpu, void *arg)
{
	struct mw_safe_policy policy = { .hold = 64 << 10 };
	struct mw_leak_want want = { .most = 0 };

	(void)arg;
	test_barrier();
	for (size_t i = 0; i < 3000; i++) {
		trade_one(cpu);
		if (i % 300 == 60 * cpu + 10) {
			policy.on = test_below(2);
			policy.wipe = test_below(2);
			(void)mw_safe_free(NULL, &policy);
		}
		if (cpu == 1 && i % 700 == 100)
			(void)mw_leak_scan(&want);
	}
}

TEST(the_mode_comes_and_goes)
{
	unsigned int cpus = (unsigned int)mw_min(test_cpus(), MOST_CPUS);
	struct mw_stats stats;

	setup(32 << 20);
	test_capture();
	test_parallel(cpus, switch_body, NULL);
	(void)test_captured();
	drop_trade();
	off();
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, 0);
}

static struct thing *_Atomic from_interrupt[64];
static mw_atomic_t struck;

static void strike(void *arg)
{
	unsigned long n = atomic_fetch_add(&struck, 1);

	(void)arg;
	if (n > 20000)
		return;
	for (size_t i = 0; i < 8; i++) {
		struct thing *thing = mw_alloc(64, MW_ATOMIC);

		mw_free(atomic_exchange(&from_interrupt[(8 * n + i) % MW_LEN(from_interrupt)], thing));
	}
}

static void strike_at(struct mw_gc_listener *self, enum mw_gc_moment moment,
		      const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment >= MW_GC_STOPPED && moment <= MW_GC_STARTED)
		strike(NULL);
}

NOINLINE static void drop_struck(void)
{
	for (size_t i = 0; i < MW_LEN(from_interrupt); i++)
		mw_free(atomic_exchange(&from_interrupt[i], NULL));
}

TEST(frees_from_interrupts)
{
	static struct mw_gc_listener listener = { .moment = strike_at };
	struct mw_stats stats;
	bool came;

	begin(32 << 20);
	atomic_store(&struck, 0);
	mw_gc_listen(&listener);
	for (unsigned int i = 0; i < 20; i++) {
		dangle(0);
		collect();
		CHECK_EQ(stamp_at(0, 0), OLD);
		CHECK(mw_heap_check());
	}
	mw_gc_unlisten(&listener);
	came = test_interrupts_on(strike, NULL);
	for (unsigned int i = 0; came && i < 20; i++) {
		dangle(0);
		collect();
		CHECK_EQ(stamp_at(0, 0), OLD);
	}
	if (came)
		CHECK(test_interrupts_off() > 0);
	drop_struck();
	root[0] = NULL;
	off();
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, 0);
}

TEST(the_worker_marks_when_it_is_due)
{
	struct mw_safe_stats stats;

	begin(32 << 20);
	if (!test_workers(true))
		test_skip("there are no workers");
	for (unsigned int i = 0; i < 200; i++) {
		churn_bytes(1 << 20);
		mw_safe_stats(&stats);
		if (stats.marks > 3)
			break;
		mw_port_relax();
	}
	test_workers(false);
	mw_safe_stats(&stats);
	CHECK(stats.marks > 3);
	off();
}

#endif
