/* SPDX-License-Identifier: MIT */
/* The collector: types tell pointers from words, and each kind of root keeps what it reaches. */
#include "gc_lists.h"

#if MW_GC

/* ---- types ---- */

struct holder {
	uintptr_t not_a_pointer;
	void *pointer;
	uintptr_t tag;
	uintptr_t tagged;
	uintptr_t maybe;
	void *tail[];
};

static struct mw_type holder_type =
	MW_TYPE(struct holder, MW_PTR(struct holder, pointer), MW_TAGGED(struct holder, tag, 1, 1),
		MW_WORDS(struct holder, maybe), MW_FLEX_PTRS(struct holder, tail));

NOINLINE static void make_holder(void)
{
	struct holder *h = mw_new_flex(&holder_type, 3 * sizeof(void *), MW_NORMAL);

	NEED(h);
	root[0] = (struct node *)h;
	h->not_a_pointer = (uintptr_t)mw_alloc(16, MW_COLLECTED);
	h->pointer = mw_alloc(32, MW_COLLECTED);
	h->tagged = (uintptr_t)mw_alloc(48, MW_COLLECTED);
	h->maybe = (uintptr_t)mw_alloc(64, MW_COLLECTED);
	h->tail[2] = mw_alloc(80, MW_COLLECTED);
}

TEST(types_tell_pointers_from_words)
{
	struct holder *h;

	setup(16 << 20);
	make_holder();
	h = (struct holder *)root[0];
	h->tag = 1;
	collect();
	CHECK_EQ(live_objects(), 5);
	CHECK(mw_gc_check());
	CHECK(!mw_gc_is_object((void *)h->not_a_pointer));
	h->tag = 2;
	collect();
	CHECK_EQ(live_objects(), 4);
	CHECK(!mw_gc_is_object((void *)h->tagged));
	CHECK(mw_gc_is_object(h->tail[2]));
	h->tail[2] = NULL;
	h->maybe = 0;
	collect();
	CHECK_EQ(live_objects(), 2);
}

NOINLINE static void make_arrays(void)
{
	static const size_t counts[] = { 3, 100, 3000, 100000 };

	for (size_t i = 0; i < MW_LEN(counts); i++) {
		struct node *array = mw_new_array(&node_type, counts[i], MW_NORMAL);

		NEED(array);
		root[i] = array;
		array[counts[i] - 1].other = make_list(1);
		array[counts[i] - 1].value = (uintptr_t)make_list(1);
	}
}

TEST(arrays_of_a_type_are_precise)
{
	setup(16 << 20);
	make_arrays();
	collect();
	CHECK_EQ(live_objects(), 8);
	CHECK(mw_gc_check());
}

/* ---- words of objects without a type ---- */

#define HOLDERS 128

/*
 * Objects of @words words, all zero but for one each: that leads to an object of @child bytes, or, first of all, if
 * that is 0, to one that lies beside it. Those that nothing leads to are in between.
 */
NOINLINE static void make_holders(size_t words, size_t child)
{
	uintptr_t **table = mw_alloc(HOLDERS * sizeof(*table), MW_COLLECTED);

	NEED(table);
	root[0] = (struct node *)table;
	for (size_t i = 0; i < HOLDERS; i++) {
		table[i] = mw_alloc(words * sizeof(uintptr_t), MW_COLLECTED);
		NEED(table[i]);
		if (!child)
			table[i][i % words] =
				(uintptr_t)mw_alloc(words * sizeof(uintptr_t), MW_COLLECTED);
	}
	for (size_t i = 0; child && i < HOLDERS; i++) {
		table[i][i % words] = (uintptr_t)mw_alloc(child, MW_COLLECTED);
		NEED(mw_alloc(child, MW_COLLECTED));
	}
}

/* Gaps of 0 to 49 zeros, beginning at each of sixteen places. Return: pointers. */
NOINLINE static size_t make_gaps(void)
{
	size_t n = 0, most = 16 * 50 * 25 + 16, at = 0;
	uintptr_t *words = mw_alloc(most * sizeof(*words), MW_COLLECTED);

	NEED(words);
	root[0] = (struct node *)words;
	for (size_t gap = 0; gap < 50; gap++)
		for (size_t i = 0; i < 16 && at < most; i++, n++) {
			words[at] = (uintptr_t)mw_alloc(16, MW_COLLECTED);
			NEED(words[at]);
			at += gap + 1;
		}
	return n;
}

TEST(a_pointer_in_any_word)
{
	setup(16 << 20);
	test_own_roots(true); /* what is made is in root[] before anything is collected */
	for (size_t words = 2; words <= 64; words += words < 16 ? 2 : 8) {
		make_holders(words, 0);
		collect();
		CHECK_EQ(live_objects(), 1 + 2 * HOLDERS);
		make_holders(words, 16);
		collect();
		CHECK(live_objects() >= 1 + 2 * HOLDERS && live_objects() <= 10 + 2 * HOLDERS);
	}
	for (unsigned int i = 0; i < 2; i++) {
		size_t n = make_gaps();

		collect();
		CHECK(live_objects() > n && live_objects() <= n + 10);
	}
}

/* ---- roots ---- */

TEST(typed_roots)
{
	static struct mw_type pair = MW_TYPE_PLAIN(struct node);
	struct node *table;

	setup(16 << 20);
	table = test_memory(MW_PAGE_SIZE);
	NEED(table);
	table[0] = (struct node){ .next = make_list(5), .value = (uintptr_t)make_list(7) };
	table[1] = (struct node){ .other = make_list(11) };
	NEED(mw_gc_root_add("table", table, table + 2, &node_type));
	collect();
	CHECK_EQ(live_objects(), 16);
	CHECK(mw_gc_root_remove(table));
	CHECK(!mw_gc_root_remove(table));
	collect();
	collect();
	CHECK(live_objects() <= 10);
	NEED(mw_gc_root_add("plain", table, table + 2, &pair));
}

struct tail {
	struct node *first, *second;
	struct node *rest[];
};

static struct mw_type tail_type =
	MW_TYPE(struct tail, MW_PTR(struct tail, first), MW_PTR(struct tail, second),
		MW_FLEX_PTRS(struct tail, rest));
static struct mw_type links_type =
	MW_TYPE(struct tail, MW_PTR(struct tail, second), MW_FLEX(struct tail, rest, node_type));

static bool refused(struct node **from, size_t words, struct mw_type *type)
{
	bool added;

	test_expect_misuse(MW_BAD_REQUEST);
	added = mw_gc_root_add("short", from, from + words, type);
	return !added && test_misuse_came() != NULL;
}

/* A range with a piece of an object is no root: a scan would miss it, or run past the end. */
TEST(roots_are_whole_objects_of_their_type)
{
	struct node **table;

	setup(16 << 20);
	table = test_memory(MW_PAGE_SIZE);
	NEED(table);
	table[0] = make_list(3);
	table[1] = make_list(4);
	table[2] = make_list(5);
	for (size_t words = 0; words < 2; words++)
		CHECK(refused(table, words, &tail_type) && refused(table, words, &links_type));
	CHECK(refused(table, 4, &node_type) && refused(table, 1, &node_type));
	collect();
	collect();
	CHECK(live_objects() <= 2);
	table[0] = make_list(3);
	table[1] = make_list(4);
	CHECK(mw_gc_root_add("fixed part", table, table + 2, &tail_type));
	collect();
	CHECK_EQ(live_objects(), 7);
	CHECK(mw_gc_root_remove(table));
	table[2] = make_list(5);
	CHECK(mw_gc_root_add("with a tail", table, table + 3, &tail_type));
	collect();
	CHECK_EQ(live_objects(), 12);
	CHECK(mw_gc_check());
}

/* The same of a cache: each of its objects would be scanned past its end. */
TEST(objects_of_a_cache_hold_their_type)
{
	struct mw_cache_want want = { .name = "short",
				      .size = sizeof(struct tail) - 8,
				      .flags = MW_COLLECTED,
				      .type = &tail_type };

	setup(16 << 20);
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK(!mw_cache_create(&want));
	CHECK(test_misuse_came());
	want.size = sizeof(struct tail);
	CHECK(mw_cache_create(&want));
}

NOINLINE static uintptr_t pin_one(void)
{
	void *p = mw_alloc(64, MW_COLLECTED);

	NEED(p);
	CHECK(mw_pin(p, "device"));
	CHECK(mw_pin(p, "device"));
	return ~(uintptr_t)p;
}

TEST(pins_keep_objects)
{
	uintptr_t hidden;
	int local = 0;

	setup(16 << 20);
	hidden = pin_one();
	collect();
	CHECK(mw_gc_is_object((void *)~hidden));
	CHECK(mw_unpin((void *)~hidden));
	collect();
	CHECK(mw_gc_is_object((void *)~hidden));
	CHECK(mw_unpin((void *)~hidden));
	CHECK(!mw_unpin((void *)~hidden));
	collect();
	collect();
	CHECK(live_objects() <= 1);
	CHECK(!mw_pin(&local, "stack"));
}

#define MANY_PINS 300

NOINLINE static void pin_many(uintptr_t *hidden)
{
	for (size_t i = 0; i < MANY_PINS; i++) {
		void *object = mw_alloc(16 + i, MW_COLLECTED);

		NEED(object && mw_pin(object, "many"));
		hidden[i] = ~(uintptr_t)object;
	}
}

TEST(all_pins_keep_objects)
{
	static uintptr_t hidden[MANY_PINS];

	setup(16 << 20);
	pin_many(hidden);
	collect();
	CHECK(live_objects() >= MANY_PINS);
	for (size_t i = 0; i < MANY_PINS; i++)
		CHECK(mw_gc_is_object((void *)~hidden[i]) && mw_unpin((void *)~hidden[i]));
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

NOINLINE static void fill_hand(void **hand, void **blind)
{
	hand[3] = make_list(50);
	blind[3] = make_list(500);
}

TEST(hand_managed_objects_with_pointers_are_roots)
{
	void **hand, **blind;

	setup(16 << 20);
	hand = mw_alloc(64, MW_POINTERS | MW_ZERO);
	blind = mw_alloc(64, MW_ZERO);
	NEED(hand && blind);
	fill_hand(hand, blind);
	collect();
	collect();
	CHECK(live_objects() >= 50 && live_objects() <= 60);
	mw_free(hand);
	mw_free(blind);
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

TEST(stacks_and_registers_are_roots)
{
	struct node *mine;

	setup(16 << 20);
	mine = make_list(100);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK(live_objects() >= 100);
	CHECK_EQ(mine->value, 0);
}

/* ---- tiny objects ---- */

static bool filled_with(const unsigned char *object, size_t size, unsigned char what)
{
	for (size_t i = 0; i < size; i++)
		if (object[i] != what)
			return false;
	return true;
}

/* Each size after each other one, so that the parts begin wherever they can. */
TEST(tiny_objects_are_as_aligned_as_said)
{
	NEED(test_heap(4 << 20));
	for (size_t before = 1; before < 16; before++) {
		for (size_t size = 1; size < 16; size++) {
			size_t least = size & -size;

			NEED(mw_alloc(before, MW_NOSCAN));
			CHECK_EQ((uintptr_t)mw_alloc(size, MW_NOSCAN) % least, 0);
			for (size_t align = 1; align <= 4096; align *= 2) {
				char *p;

				NEED(mw_alloc(before, MW_NOSCAN));
				p = mw_alloc_aligned(size, align, MW_NOSCAN | MW_ZERO);
				NEED(p);
				CHECK_EQ((uintptr_t)p % align, 0);
			}
		}
	}
}

TEST(tiny_parts_are_aligned_and_apart)
{
	size_t size[200];

	setup(16 << 20);
	for (size_t i = 0; i < 200; i++) {
		unsigned char *object;

		size[i] = 1 + (size_t)test_below(15);
		root[i] = mw_alloc(size[i], MW_COLLECTED | MW_NOSCAN);
		NEED(root[i]);
		CHECK_EQ((uintptr_t)root[i] % (size[i] & -size[i]), 0);
		object = (unsigned char *)root[i];
		CHECK(filled_with(object, size[i], 0));
		__builtin_memset(object, (int)i + 1, size[i]);
	}
	collect();
	for (size_t i = 0; i < 200; i++)
		CHECK(filled_with((unsigned char *)root[i], size[i], (unsigned char)(i + 1)));
}

#endif
