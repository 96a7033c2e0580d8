// SPDX-License-Identifier: MIT
/*
 * The heap dump: a known graph comes back out of it, whole, with sums that are the statistics'. The
 * reader is that of dump_reader.h.
 */
#include "dump_reader.h"

#if MW_WATCH && MW_GC

#define NOINLINE __attribute__((noinline))
/* ---- a known graph ---- */

struct leaf {
	uintptr_t value;
	void *inner;
};

struct node {
	uintptr_t value;
	struct node *next;
	struct leaf leaf[2];
	void *odd;
};

static struct mw_type leaf_type = MW_TYPE(struct leaf, MW_PTR(struct leaf, inner));
/* Not in the order of their offsets, on purpose. */
static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, odd), MW_STRUCTS(struct node, leaf, leaf_type),
		MW_PTR(struct node, next));

static void **root;

static void setup(size_t bytes)
{
	test_heap(bytes);
	root = test_memory(MW_PAGE_SIZE);
	NEED(root);
	for (size_t i = 0; i < MW_PAGE_SIZE / sizeof(void *); i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + MW_PAGE_SIZE / sizeof(void *), NULL));
}

static void teardown(void)
{
	CHECK(mw_gc_root_remove(root));
	test_heap_may_leak();
}

static void check_fields(const struct item *item, const size_t *offsets, unsigned int n)
{
	CHECK_EQ(item->kind, 1);
	CHECK_EQ(item->fields, n);
	for (unsigned int i = 0; i < n && i < item->fields; i++)
		CHECK_EQ(item->field[i], offsets[i]);
}

static void check_contents(const struct item *item, const void *object)
{
	CHECK_EQ(item->text[0].len, mw_usable_size(object));
	CHECK(!__builtin_memcmp(item->text[0].at, object, item->text[0].len));
}

TEST(typed_objects)
{
	static const size_t all[] = { offsetof(struct node, next),
				      offsetof(struct node, leaf[0].inner),
				      offsetof(struct node, leaf[1].inner),
				      offsetof(struct node, odd) };
	struct node *a, *b;
	struct item item;
	struct kept kept;

	setup(16 << 20);
	root[3] = a = mw_new(&node_type, MW_NORMAL);
	root[4] = b = mw_new(&node_type, MW_NORMAL);
	NEED(a && b);
	a->value = 0x1234;
	a->next = b;
	b->leaf[1].inner = a;
	kept = dump();
	item = find_object(&kept, a);
	check_contents(&item, a);
	check_fields(&item, all, 4);
	item = find_object(&kept, b);
	check_contents(&item, b);
	CHECK_EQ(records_of(&kept, 3, &node_type), 1);
	CHECK(!sum_up(&kept).bad);
	teardown();
}

TEST(arrays_and_tails)
{
	struct leaf *many;
	struct item item;
	struct kept kept;

	setup(16 << 20);
	root[0] = many = mw_new_array(&leaf_type, 100, MW_NORMAL);
	NEED(many);
	many[99].inner = many;
	kept = dump();
	item = find_object(&kept, many);
	check_contents(&item, many);
	CHECK(item.fields >= 100);
	for (unsigned int i = 0; i < 16; i++)
		CHECK_EQ(item.field[i], i * sizeof(struct leaf) + offsetof(struct leaf, inner));
	teardown();
}

/* Words that lead to an object are edges; what may not keep a collected one has none to it. */
TEST(untyped_objects)
{
	void **scanned, **noscan, **hand, **holder, **gone;
	struct kept kept;
	struct item item;

	setup(16 << 20);
	root[0] = scanned = mw_alloc(64, MW_COLLECTED);
	root[1] = noscan = mw_alloc(64, MW_COLLECTED | MW_NOSCAN);
	hand = mw_alloc(64, MW_ZERO);
	holder = mw_alloc(64, MW_ZERO | MW_POINTERS);
	gone = mw_alloc(64, MW_ZERO);
	NEED(scanned && noscan && hand && holder && gone);
	scanned[2] = (char *)noscan + 8;
	scanned[3] = (void *)(uintptr_t)12345;
	noscan[1] = scanned;
	hand[0] = holder;
	hand[1] = scanned;
	holder[5] = scanned;
	holder[6] = hand;
	hand[2] = holder[7] = gone;
	mw_free(gone);
	kept = dump();
	item = find_object(&kept, scanned);
	check_fields(&item, (const size_t[]){ 2 * sizeof(void *) }, 1);
	item = find_object(&kept, noscan);
	check_fields(&item, NULL, 0);
	check_contents(&item, noscan);
	item = find_object(&kept, hand);
	check_fields(&item, (const size_t[]){ 0 }, 1);
	item = find_object(&kept, holder);
	check_fields(&item, (const size_t[]){ 5 * sizeof(void *), 6 * sizeof(void *) }, 2);
	CHECK_EQ(roots_of(&kept, "hand-managed", hand), 1);
	CHECK_EQ(roots_of(&kept, "hand-managed", holder), 1);
	CHECK_EQ(roots_of(&kept, "hand-managed", scanned), 0);
	mw_free(hand);
	mw_free(holder);
	teardown();
}

static void never(void *object, void *arg)
{
	(void)object, (void)arg;
}

TEST(roots)
{
	struct node *node, *arg, *dead;
	struct kept kept;
	struct sums sums;

	setup(16 << 20);
	root[7] = node = mw_new(&node_type, MW_NORMAL);
	arg = mw_new(&node_type, MW_NORMAL);
	dead = mw_alloc(5000, MW_COLLECTED);
	NEED(node && arg && dead && mw_pin(arg, "a device") && mw_finalizer_set(node, never, arg));
	kept = dump();
	CHECK_EQ(roots_of(&kept, sizeof(void *) == 8 ? "test+56" : "test+28", node), 1);
	CHECK_EQ(roots_of(&kept, "a device", arg), 1);
	CHECK_EQ(roots_of(&kept, "finalizer", arg), 1);
	CHECK_EQ(records_of(&kept, 7, node), 1);
	CHECK_EQ(records_of(&kept, 11, node), 0);
	sums = sum_up(&kept);
	CHECK(!sums.bad);
	CHECK_EQ(sums.kinds[6], 1);
	CHECK_EQ(sums.kinds[10], 1);
	CHECK_EQ(sums.kinds[12], 1);
	CHECK_EQ(sums.kinds[13], 1);
	CHECK(sums.kinds[4] >= 1 && sums.kinds[4] == sums.kinds[5]);
	CHECK(sums.kinds[9] >= 1);
	CHECK_EQ(sums.pointer_size, sizeof(void *));
	CHECK(mw_unpin(arg));
	CHECK(mw_finalizer_clear(node));
	teardown();
}

/* More in one list of a span's records than are written at a time. */
TEST(many_finalizers_side_by_side)
{
	struct kept kept;
	struct sums sums;

	setup(16 << 20);
	for (unsigned int i = 0; i < 30; i++) {
		root[i] = mw_alloc(16, MW_COLLECTED);
		NEED(root[i] && mw_finalizer_set(root[i], never, NULL));
	}
	kept = dump();
	sums = sum_up(&kept);
	CHECK(!sums.bad);
	CHECK_EQ(sums.kinds[7], 30);
	for (unsigned int i = 0; i < 30; i++)
		CHECK(mw_finalizer_clear(root[i]));
	teardown();
}

NOINLINE static void hold_here(void **slot)
{
	__asm__ volatile("" : : "r"(slot) : "memory");
}

TEST(stacks)
{
	void *volatile held[1];
	struct reader r;
	struct kept kept;
	struct item item;
	bool found = false;

	setup(16 << 20);
	held[0] = mw_alloc(48, MW_COLLECTED);
	hold_here((void **)held);
	kept = dump();
	r = open_dump(&kept);
	while (next(&r, &item)) {
		uintptr_t at = (uintptr_t)held - (uintptr_t)item.n[0];

		if (item.kind != 5 || at >= item.text[0].len)
			continue;
		found = true;
		CHECK(!__builtin_memcmp(item.text[0].at + at, (void *)held, sizeof(void *)));
		CHECK(item.fields > 0);
	}
	CHECK(found);
	hold_here((void **)held);
	teardown();
}

static void check_sums(const struct kept *kept)
{
	struct sums sums = sum_up(kept);

	CHECK(!sums.bad);
	CHECK_EQ(sums.objects, sums.said_objects);
	CHECK_EQ(sums.bytes, sums.said_bytes);
	CHECK_EQ(sums.said_allocs - sums.said_frees, sums.said_objects);
}

TEST(sums_are_the_statistics)
{
	struct mw_stats stats;
	struct kept kept;
	struct sums sums;
	void *large;

	setup(32 << 20);
	for (unsigned int i = 0; i < 500; i++)
		root[i % 100] = mw_alloc(16 + i % 700, MW_COLLECTED);
	large = mw_alloc(300000, MW_NORMAL);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	kept = dump();
	mw_stats(&stats);
	sums = sum_up(&kept);
	CHECK_EQ(sums.said_objects, stats.live_objects);
	CHECK_EQ(sums.said_bytes, stats.live_bytes);
	CHECK_EQ(sums.said_allocs, stats.allocs);
	check_sums(&kept);
	mw_free(large);
	teardown();
}

/* ---- a sink that has enough ---- */

TEST(the_sink_may_stop)
{
	struct kept kept = { .bytes = test_memory(ROOM), .room = ROOM }, whole;

	setup(16 << 20);
	NEED(kept.bytes);
	for (unsigned int i = 0; i < 100; i++)
		root[i] = mw_new(&node_type, MW_NORMAL);
	whole = dump();
	for (unsigned int part = 0; part < 16; part++) {
		kept.most = 1 + whole.len / 16 * part;
		kept.len = 0;
		CHECK(!mw_dump_write(keep, &kept));
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT)); /* the world runs */
	}
	CHECK(mw_heap_check());
	teardown();
}

/* ---- many objects ---- */

struct counted {
	size_t bytes, pieces, longest;
};

static bool count(void *ctx, const void *bytes, size_t len)
{
	struct counted *counted = ctx;

	(void)bytes;
	counted->bytes += len;
	counted->pieces++;
	if (len > counted->longest)
		counted->longest = len;
	return true;
}

/* What a dump needs does not depend on how much there is: a buffer on the stack, no metadata. */
static void stream(size_t n)
{
	struct counted counted = { 0 };
	struct mw_stats before, after;
	struct node *chain = NULL;

	for (size_t i = 0; i < n; i++) {
		struct node *node = mw_new(&node_type, MW_NORMAL);

		NEED(node);
		node->next = chain;
		root[0] = chain = node;
	}
	mw_stats(&before);
	CHECK(mw_dump_write(count, &counted));
	mw_stats(&after);
	CHECK_EQ(after.live_objects, before.live_objects);
	CHECK_EQ(after.page.metadata, before.page.metadata);
	CHECK_EQ(after.metadata_spare, before.metadata_spare);
	CHECK(counted.bytes > n * sizeof(struct node));
	CHECK(counted.longest <= 512);
	test_note("%zu objects: %zu bytes in %zu pieces", n, counted.bytes, counted.pieces);
}

TEST(many_objects)
{
	setup(32 << 20);
	stream(50000);
	teardown();
}

TEST_WITH(a_million_objects, TEST_HOSTED | TEST_LONG)
{
	setup((size_t)512 << 20);
	stream(1000000);
	teardown();
}

/* ---- others meanwhile ---- */

static void others(unsigned int i, void *arg)
{
	struct kept *kept = arg;
	void *mine[32] = { 0 };

	test_barrier();
	for (unsigned int n = 0; n < (i ? 3000u : ROUNDS); n++) {
		size_t at = (size_t)test_below(32);

		if (!i) {
			kept->len = 0;
			CHECK(mw_dump_write(keep, kept));
			check_sums(kept);
			continue;
		}
		mw_free(mine[at]);
		mine[at] = mw_alloc((size_t)test_below(3000), MW_NORMAL);
		(void)mw_alloc((size_t)test_below(300), MW_COLLECTED);
	}
	for (unsigned int n = 0; n < 32; n++)
		mw_free(mine[n]);
}

TEST(others_meanwhile)
{
	struct kept kept = { .bytes = test_memory(ROOM), .room = ROOM };

	setup(32 << 20);
	NEED(kept.bytes);
	test_parallel(test_cpus() < 4 ? test_cpus() : 4, others, &kept);
	CHECK(mw_heap_check());
	teardown();
}

#endif
