/* SPDX-License-Identifier: MIT */
/* The collector: what lives, what dies, by every kind of root and of type. */
#include "test.h"
#include "../mm/gc/gc.h"

#if MW_GC

#define NOINLINE __attribute__((noinline))
/* Without a sanitizer's gaps in its frame, in which old pointers would stay. */
#define BARE __attribute__((no_sanitize("address"), no_sanitize("undefined")))

struct node {
	struct node *next, *other;
	uintptr_t value;
};

static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTR(struct node, other));

/* Not seen by the port: the hosted one scans data and bss. So roots here live in test memory. */
static struct node **root;

static void setup(size_t bytes)
{
	test_heap(bytes);
	root = test_memory(MW_PAGE_SIZE);
	NEED(root);
	for (size_t i = 0; i < MW_PAGE_SIZE / sizeof(*root); i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + MW_PAGE_SIZE / sizeof(*root), NULL));
}

/* Overwrite what calls left behind on this stack. */
BARE NOINLINE static void scribble(void)
{
	volatile char stack[16384];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
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

BARE NOINLINE static void collect(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}

NOINLINE static struct node *make_list(size_t n)
{
	struct node *list = NULL;

	while (n--) {
		struct node *node = mw_new(&node_type, MW_NORMAL);

		NEED(node);
		node->next = list;
		node->value = n;
		list = node;
	}
	return list;
}

NOINLINE static void keep_list(size_t slot, size_t n)
{
	root[slot] = make_list(n);
}

NOINLINE static void check_list(size_t slot, size_t n)
{
	struct node *node = root[slot];

	for (size_t i = 0; i < n; i++, node = node->next) {
		NEED(node);
		if (node->value != i)
			CHECK_EQ(node->value, i);
	}
	CHECK_PTR(node, NULL);
}

TEST(unreached_objects_die_reached_ones_live)
{
	setup(16 << 20);
	keep_list(0, 1000);
	keep_list(1, 2000);
	collect();
	CHECK_EQ(live_objects(), 3000);
	root[1] = NULL;
	collect();
	CHECK(live_objects() >= 1000 && live_objects() <= 1010);
	check_list(0, 1000);
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

NOINLINE static void make_cycle(void)
{
	keep_list(0, 1000);
	root[0]->other = root[0];
	root[0]->next->next->other = root[0];
}

TEST(cycles_of_garbage_die)
{
	setup(16 << 20);
	make_cycle();
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

NOINLINE static void *plain_garbage(size_t n, size_t size, mw_flags_t flags)
{
	void *last = NULL;

	for (size_t i = 0; i < n; i++) {
		last = mw_alloc(size, flags);
		NEED(last);
	}
	return last;
}

TEST(all_sizes_are_swept)
{
	static const size_t sizes[] = { 1, 8, 16, 24, 48, 64, 200, 1024, 5000, 32768, 40000, 1 << 20 };

	setup(64 << 20);
	for (size_t i = 0; i < MW_LEN(sizes); i++) {
		(void)plain_garbage(20, sizes[i], MW_COLLECTED);
		(void)plain_garbage(20, sizes[i], MW_NOSCAN);
		collect();
		collect();
		CHECK(live_objects() <= 4);
	}
}

NOINLINE static void make_noscan_holder(void)
{
	void **holder = mw_alloc(64, MW_NOSCAN);

	NEED(holder);
	root[0] = (struct node *)holder;
	*holder = make_list(100);
}

TEST(noscan_objects_keep_nothing)
{
	setup(16 << 20);
	make_noscan_holder();
	collect();
	collect();
	CHECK(live_objects() <= 5);
	CHECK(mw_gc_is_object(root[0]));
}

TEST(interior_pointers_keep_objects)
{
	setup(16 << 20);
	root[0] = (struct node *)((char *)mw_alloc(4000, MW_COLLECTED) + 3999);
	root[1] = (struct node *)((char *)mw_alloc(300000, MW_COLLECTED) + 299999);
	collect();
	CHECK(mw_gc_is_object(root[0]));
	CHECK(mw_gc_is_object(root[1]));
	CHECK_EQ(live_objects(), 2);
}

TEST(ends_are_not_interior)
{
	struct mw_place place;

	setup(16 << 20);
	root[0] = mw_alloc(64, MW_COLLECTED);
	NEED(mw_lookup(root[0], &place));
	root[0] = (struct node *)((char *)place.base + place.size);
	collect();
	collect();
	CHECK(live_objects() <= 1);
}

TEST(collected_memory_is_born_zero)
{
	setup(16 << 20);
	for (unsigned int round = 0; round < 4; round++) {
		for (size_t i = 0; i < 500; i++) {
			unsigned char *p = mw_alloc(100, MW_COLLECTED);

			NEED(p);
			for (size_t b = 0; b < 100; b++)
				if (p[b])
					CHECK_EQ(p[b], 0);
			for (size_t b = 0; b < 100; b++)
				p[b] = 0xee;
		}
		collect();
	}
	CHECK(live_objects() < 20);
}

/* The way of a list through a heap of any size is one entry at a time: no stack grows with it. */
static void deep(size_t n)
{
	setup(n * 48 + (16 << 20));
	keep_list(0, n);
	collect();
	CHECK_EQ(live_objects(), n);
	check_list(0, n);
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

TEST(deep_list)
{
	deep(300000);
}

TEST_WITH(deep_list_of_ten_million, TEST_HOSTED | TEST_LONG)
{
	deep(10000000);
}

NOINLINE static void fill_array(size_t n)
{
	struct node **array = mw_alloc(n * sizeof(*array), MW_COLLECTED);

	NEED(array);
	root[0] = (struct node *)array;
	for (size_t i = 0; i < n; i++)
		array[i] = make_list(1);
}

NOINLINE static void forget_one(size_t i)
{
	((struct node **)root[0])[i] = NULL;
}

TEST(one_array_of_many)
{
	size_t n = 200000;

	setup(64 << 20);
	fill_array(n);
	collect();
	CHECK_EQ(live_objects(), n + 1);
	forget_one(n / 2);
	collect();
	CHECK_EQ(live_objects(), n);
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

struct one_pointer {
	struct one_pointer *next;
	uintptr_t rest[7];
};

static struct mw_type one_pointer_type =
	MW_TYPE(struct one_pointer, MW_PTR(struct one_pointer, next));

NOINLINE static void keep_one_pointers(size_t n)
{
	while (n--) {
		struct one_pointer *one = mw_new(&one_pointer_type, MW_NORMAL);

		NEED(one);
		one->next = (struct one_pointer *)root[0];
		root[0] = (struct node *)one;
	}
}

/* Of a chain, the worst shape for marks by spans. The difference of two heaps is what an object costs. */
TEST(instructions_per_live_object)
{
	size_t few = 1000, many = 50000;
	uint64_t cost[2];

	setup(16 << 20);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t before;

		keep_one_pointers(i ? many : few);
		collect();
		before = test_instructions();
		collect();
		cost[i] = test_instructions() - before;
	}
	CHECK_EQ(live_objects(), few + many);
	test_note("%u instructions an object", (unsigned int)((cost[1] - cost[0]) / many));
	CHECK(cost[1] - cost[0] <= 250 * many);
}

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

/* ---- explicit frees, debugging, policies ---- */

TEST(freed_by_hand)
{
	struct node *list;

	setup(16 << 20);
	keep_list(0, 100);
	list = root[0];
	root[0] = list->next;
	mw_free(list);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(list);
	test_misuse_came();
	collect();
	CHECK(live_objects() >= 99 && live_objects() <= 100);
	/* Unswept: the free has to sweep the span first. */
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	list = root[0];
	root[0] = list->next;
	mw_free(list);
	collect();
	CHECK(live_objects() >= 98 && live_objects() <= 100);
}

TEST(second_mark_agrees)
{
	setup(16 << 20);
	keep_list(0, 5000);
	fill_array(5000);
	make_holder();
	CHECK(mw_gc_check());
	collect();
	CHECK(mw_gc_check());
}

TEST(second_mark_finds_a_wrong_first_one)
{
	struct mw_span *span;
	size_t index;

	setup(16 << 20);
	keep_list(0, 50);
	span = mw_span_of(root[0]);
	NEED(span);
	index = mw_span_index(span, root[0]);
	mw_free(root[0]);
	root[0] = NULL;
	/* As if the first mark had kept an object that nothing reaches. */
	mw_set_word(&span->mark[index / MW_WORD_BITS], mw_bit(index));
	CHECK(!mw_gc_check());
	CHECK(mw_gc_check());
}

TEST(bad_pointers_are_reported)
{
	const struct mw_report *report;

	setup(16 << 20);
	keep_list(0, 10);
	root[0]->next->other = root[0]->next->next;
	root[0]->next->next = root[0]->next->next->next;
	mw_free(root[0]->next->other);
	mw_gc_debug(MW_GC_DEBUG_POINTERS, 0);
	test_expect_misuse(MW_BAD_POINTER);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	report = test_misuse_came();
	NEED(report);
	CHECK_PTR(report->object, root[0]->next);
	CHECK_EQ(report->given, offsetof(struct node, other));
	mw_gc_debug(0, 0);
}

TEST(collects_at_every_nth_allocation)
{
	setup(16 << 20);
	mw_gc_debug(MW_GC_DEBUG_CHECK | MW_GC_DEBUG_POISON, 10);
	keep_list(0, 200);
	mw_gc_debug(0, 0);
	CHECK(mw_word(&mw_gc.cycles) >= 15);
	check_list(0, 200);
}

TEST(pacing_keeps_the_heap_small)
{
	struct mw_gc_policy policy;

	setup(64 << 20);
	mw_gc_policy_get(&policy);
	CHECK_EQ(policy.percent, 100);
	policy.least = 1 << 20;
	CHECK(mw_gc_policy_set(&policy));
	policy.percent = -7;
	CHECK(!mw_gc_policy_set(&policy));
	for (unsigned int i = 0; i < 200; i++)
		(void)plain_garbage(1000, 100, MW_COLLECTED);
	CHECK(mw_word(&mw_gc.cycles) >= 5);
	collect();
	CHECK(live_objects() < 5000);
}

TEST(out_of_memory_collects_first)
{
	struct mw_gc_policy policy;

	setup(8 << 20);
	mw_gc_policy_get(&policy);
	policy.percent = MW_GC_OFF;
	CHECK(mw_gc_policy_set(&policy));
	for (unsigned int i = 0; i < 100; i++)
		(void)plain_garbage(100, 4096, MW_NOSCAN);
	CHECK(mw_word(&mw_gc.cycles) >= 2);
}

/* ---- events ---- */

struct heard {
	struct mw_gc_listener listener;
	enum mw_gc_moment moments[32];
	unsigned int n;
};

static void hear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	struct heard *heard = (struct heard *)self;

	CHECK(cycle->number > 0);
	if (heard->n < MW_LEN(heard->moments))
		heard->moments[heard->n++] = moment;
}

TEST(events_come_in_order)
{
	static struct heard heard;

	setup(16 << 20);
	heard = (struct heard){ .listener.moment = hear };
	mw_gc_listen(&heard.listener);
	collect();
	CHECK_EQ(heard.n, MW_NR_GC_MOMENTS);
	for (unsigned int i = 0; i < heard.n; i++)
		CHECK_EQ(heard.moments[i], i);
	mw_gc_unlisten(&heard.listener);
	collect();
	CHECK_EQ(heard.n, MW_NR_GC_MOMENTS);
}

#endif
