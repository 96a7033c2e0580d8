// SPDX-License-Identifier: MIT
/*
 * The tests that the lineage had of its own allocator and collector, by their names:
 * docs/lineage.md says what each has to show. Those that end in _full are as long as they were
 * there.
 */
#include "special.h"
#include <marrow/watch.h>

#define MOST 10000

static void **objects; /* in test memory: what stands there holds nothing alive */

static void begin(size_t bytes)
{
	NEED(test_heap(bytes));
	objects = test_memory(MOST * sizeof(void *));
	NEED(objects);
}

/* Bytes that the heap has ever had of its memory. */
static size_t taken(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.bytes - stats.untouched;
}

static void fill(void *object, size_t size, size_t number)
{
	__builtin_memset(object, (int)(number * 31 + 7) & 255, size);
}

/* Does each byte of the object stand as it was filled? */
static bool is_filled(const void *object, size_t size, size_t number)
{
	const unsigned char *at = object, byte = (number * 31 + 7) & 255;
	uint64_t all = byte * 0x0101010101010101ull, word, wrong = 0;

	for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
		__builtin_memcpy(&word, at, sizeof(word));
		wrong |= word ^ all;
	}
	while (size--)
		wrong |= *at++ ^ byte;
	return !wrong;
}

/* ---- mallocrep: what is allocated and freed again and again takes no more than once ---- */

TEST(mallocrep)
{
	size_t first = 0;

	NEED(test_heap(32 << 20));
	for (unsigned int round = 0; round < 128; round++) {
		for (size_t size = 1; size <= (size_t)4 << 20; size *= 2) {
			char *object = mw_alloc(size, MW_NORMAL);

			NEED(object);
			object[0] = object[size - 1] = 1;
			mw_free(object);
			if (mw_object_live_bytes()) {
				CHECK_EQ(mw_object_live_bytes(), 0);
				return;
			}
		}
		if (!round)
			first = taken();
	}
	CHECK_EQ(taken(), first);
	CHECK(mw_heap_check());
}

/* ---- mallocrep1: growing counts, each looked up, freed in both orders ---- */

struct counts {
	size_t most_size, most_bytes;
	size_t look_each; /* the live figure is looked at after each so many frees */
};

static void make_many(size_t size, size_t n)
{
	size_t wrong = 0;

	for (size_t i = 0; i < n; i++) {
		struct mw_place place;

		objects[i] = mw_alloc(size, MW_NORMAL);
		NEED(objects[i]);
		wrong += !mw_lookup(objects[i], &place) || place.base != objects[i] ||
			 place.kind != MW_KIND_OBJECT || place.size < size ||
			 (place.size > size + size / 4 && place.size > size + 16);
		fill(objects[i], mw_usable_size(objects[i]), i);
	}
	CHECK_EQ(wrong, 0);
}

static void free_many(size_t n, bool backwards, size_t look_each)
{
	size_t wrong = 0, spoilt = 0;

	for (size_t i = 0; i < n; i++) {
		bool look = i % look_each == 0;
		size_t before = look ? mw_object_live_bytes() : 0, at = backwards ? n - 1 - i : i;
		size_t size = mw_usable_size(objects[at]);

		spoilt += !is_filled(objects[at], size, at);
		mw_free(objects[at]);
		wrong += look && before - mw_object_live_bytes() != size;
		wrong += mw_usable_size(objects[at]) != 0;
	}
	CHECK_EQ(spoilt, 0);
	CHECK_EQ(wrong, 0);
}

static void all_counts(const struct counts *counts)
{
	for (size_t size = 1; size <= counts->most_size; size *= 2) {
		for (size_t n = 1; n <= MOST && n * size <= counts->most_bytes; n *= 10) {
			for (unsigned int backwards = 0; backwards < 2; backwards++) {
				make_many(size, n);
				free_many(n, backwards, n <= 100 ? 1 : counts->look_each);
				CHECK_EQ(mw_object_live_bytes(), 0);
			}
		}
	}
	CHECK(mw_heap_check());
}

TEST(mallocrep1)
{
	begin(32 << 20);
	all_counts(&(const struct counts){ (size_t)512 << 10, (size_t)8 << 20, 97 });
}

TEST_WITH(mallocrep1_full, TEST_HOSTED | TEST_LONG)
{
	begin((size_t)1 << 30);
	all_counts(&(const struct counts){ (size_t)4 << 20, (size_t)512 << 20, 1 });
}

/* ---- mallocrand: sizes over many magnitudes, in any order ---- */

struct chances {
	size_t most_size, most_live; /* bytes */
	unsigned long rounds;
	size_t slots;
	size_t most_taken;
};

static size_t any_size(size_t most)
{
	size_t size = (size_t)1 << test_below(mw_log2_up(most) + 1);

	return mw_min(size + (size_t)test_below(size), most);
}

static void at_random(const struct chances *chances)
{
	size_t sizes_bytes = chances->slots * sizeof(size_t), live = 0, peak = 0, spoilt = 0;
	size_t *sizes = test_memory(sizes_bytes);

	NEED(sizes && chances->slots <= MOST);
	__builtin_memset(sizes, 0, sizes_bytes);
	for (unsigned long round = 0; round < chances->rounds; round++) {
		size_t i = (size_t)test_below(chances->slots);

		if (!sizes[i] && live < chances->most_live) {
			sizes[i] = any_size(chances->most_size);
			objects[i] = mw_alloc(sizes[i], MW_NORMAL);
			NEED(objects[i]);
			fill(objects[i], sizes[i], i);
			live += sizes[i];
			peak = mw_max(peak, live);
		} else if (sizes[i]) {
			spoilt += !is_filled(objects[i], sizes[i], i);
			mw_free(objects[i]);
			live -= sizes[i];
			sizes[i] = 0;
		}
	}
	test_note("%zu KiB lived at most, %zu KiB were taken", peak >> 10, taken() >> 10);
	CHECK_EQ(spoilt, 0);
	CHECK(taken() <= chances->most_taken);
	for (size_t i = 0; i < chances->slots; i++) {
		spoilt += sizes[i] && !is_filled(objects[i], sizes[i], i);
		mw_free(sizes[i] ? objects[i] : NULL);
	}
	CHECK_EQ(spoilt, 0);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_heap_check());
}

TEST(mallocrand)
{
	begin(64 << 20);
	at_random(&(const struct chances){
		.most_size = (size_t)256 << 10,
		.most_live = (size_t)8 << 20,
		.rounds = test_rounds(20000),
		.slots = 1000,
		.most_taken = (size_t)16 << 20,
	});
}

TEST_WITH(mallocrand_full, TEST_HOSTED | TEST_LONG)
{
	begin((size_t)2 << 30);
	at_random(&(const struct chances){
		.most_size = (size_t)4 << 20,
		.most_live = (size_t)512 << 20,
		.rounds = 60000,
		.slots = MOST,
		.most_taken = 1000000000,
	});
}

#if MW_GC

/* ---- mallocfin: A -> B, both finalized ---- */

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

BARE_TEST(mallocfin)
{
	size_t a = 0, b = 0;

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
		a += pairs[i].a;
		b += pairs[i].b;
		CHECK(pairs[i].a <= 1 && pairs[i].b <= 1 && !pairs[i].early);
	}
	CHECK(a >= PAIRS * 9 / 10 && b >= PAIRS * 9 / 10);
	collect();
	CHECK(live_objects() <= 10);
	CHECK(records() <= 5);
}

/* ---- tinyfin: parts of tiny blocks have finalizers of their own ---- */

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

BARE_TEST(tinyfin)
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

/* ---- gc: what is dropped is had again ---- */

NOINLINE static void drop_one(void)
{
	volatile char *bytes = mw_alloc(10000, MW_COLLECTED);

	NEED(bytes);
	bytes[0] = bytes[9999] = 1;
}

BARE_TEST(gc)
{
	struct mw_page_stats first = { 0 }, last;

	setup(16 << 20);
	for (unsigned int i = 0; i < 10; i++) {
		drop_one();
		collect();
		mw_page_stats(&last);
		if (!i)
			first = last;
	}
	CHECK_EQ(last.untouched, first.untouched);
	CHECK(last.objects <= first.objects);
	CHECK(live_objects() <= 1);
}

/* ---- deferfin: finalizers set by many at once ---- */

#define EACH 20

static mw_atomic_t deferred;

static void defer(void *object, void *arg)
{
	CHECK(((struct node *)object)->next->value == (uintptr_t)arg);
	atomic_fetch_add(&deferred, 1);
}

static void set_many(unsigned int cpu, void *arg)
{
	(void)arg;
	test_barrier();
	for (unsigned int i = 0; i < EACH; i++) {
		uintptr_t value = cpu * EACH + i;
		struct node *node = make(value);

		node->next = make(value);
		NEED(mw_finalizer_set(node, defer, (void *)value));
	}
	scribble();
}

BARE_TEST(deferfin)
{
	unsigned int cpus = test_cpus() < 8 ? test_cpus() : 8;

	setup(16 << 20);
	atomic_store(&deferred, 0);
	test_parallel(cpus, set_many, NULL);
	for (unsigned int i = 0; i < 4 && atomic_load(&deferred) < cpus * EACH; i++) {
		collect();
		run_all();
	}
	CHECK_EQ(atomic_load(&deferred), cpus * EACH);
	collect();
	CHECK_EQ(records(), 0);
}

#endif
