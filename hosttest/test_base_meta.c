// SPDX-License-Identifier: MIT
/* The metadata allocators: placement, reuse, accounts, walks, exhaustion, and their checkers. */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/base/meta.h"

#define HEAP ((size_t)4 << 20)

static bool all_zero(const void *memory, size_t len)
{
	const unsigned char *bytes = memory;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

static void fill(void *memory, size_t len, unsigned char with)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)memory)[i] = with;
}

TEST(persist_is_zero_aligned_and_charged)
{
	size_t before, charged = 0;

	test_heap(HEAP);
	before = mw_persist_bytes(MW_USE_OTHER);
	for (int i = 0; i < 500; i++) {
		size_t align = (size_t)1 << test_below(10), size = 1 + (size_t)test_below(700);
		unsigned char *p = mw_persist(size, align, MW_USE_OTHER);

		NEED(p);
		CHECK_EQ((uintptr_t)p % align, 0);
		CHECK_EQ((uintptr_t)p % 8, 0);
		CHECK(all_zero(p, size));
		fill(p, size, 0xff); /* an overlap would show as not zero */
		charged += (size + 7) & ~(size_t)7;
	}
	CHECK_EQ(mw_persist_bytes(MW_USE_OTHER) - before, charged);
}

TEST(persist_large_alignment)
{
	test_heap(HEAP);
	CHECK_EQ((uintptr_t)mw_persist(100, 16384, MW_USE_OTHER) % 16384, 0);
	CHECK_EQ((uintptr_t)mw_persist(20000, 65536, MW_USE_OTHER) % 65536, 0);
	CHECK(mw_persist(8, 8, MW_USE_OTHER) != NULL);
}

/* The promise of persist.c: what is carved ahead is a page, then an eighth and some, of what is used. */
TEST(persist_carves_little_ahead)
{
	size_t used = 0, first;

	test_heap(HEAP);
	first = mw_persist_spare();
	for (int i = 0; i < 2000; i++) {
		size_t size = 8 + (size_t)test_below(400);
		size_t spare;

		NEED(mw_persist(size, 8, MW_USE_OTHER));
		used += size;
		spare = mw_persist_spare();
		if (spare > first + used / 8 + 3 * MW_PAGE_SIZE) {
			CHECK_EQ(spare, first + used / 8);
			return;
		}
	}
	CHECK(true);
}

TEST(persist_refuses_what_no_machine_has)
{
	test_heap(HEAP);
	CHECK_PTR(mw_persist(SIZE_MAX, 8, MW_USE_OTHER), NULL);
	CHECK_PTR(mw_persist(SIZE_MAX / 2, 8, MW_USE_OTHER), NULL);
	CHECK_PTR(mw_persist(0, 8, MW_USE_OTHER), NULL);
	CHECK(mw_persist(64, 64, MW_USE_OTHER) != NULL);
}

TEST(persist_runs_out_and_says_so)
{
	size_t got = 0;

	test_heap((size_t)1 << 20);
	while (mw_persist(4000, 8, MW_USE_OTHER))
		got++;
	CHECK(got > 10);
	CHECK_PTR(mw_persist(4000, 8, MW_USE_OTHER), NULL);
	test_note("%zu times 4000 bytes from a megabyte", got);
}

/* When so large a bite as the heap deserves is not to be had, a small one is. */
TEST(persist_takes_the_last_page)
{
	struct mw_page_stats stats;

	test_heap((size_t)1 << 20);
	while (mw_persist(4096, 8, MW_USE_OTHER))
		;
	mw_page_stats(&stats);
	CHECK_EQ(stats.untouched / MW_PAGE_SIZE, 0);
}

/* Memory that was used before it became a region. */
TEST(persist_clears_what_was_there)
{
	unsigned char *memory, *p;

	test_heap(4 * MW_PAGE_SIZE);
	memory = test_memory(HEAP / 4);
	mw_reset();
	fill(memory, HEAP / 4, 0xa5);
	NEED(mw_region_add(memory, (uint64_t)1 << 30, HEAP / 4));
	for (unsigned int i = 0; i < 8; i++) {
		p = mw_persist(6000, 8, MW_USE_OTHER);
		NEED(p);
		CHECK(all_zero(p, 6000));
	}
}

static void persist_worker(unsigned int i, void *arg)
{
	unsigned char *blocks[200];
	size_t sizes[200];

	(void)arg;
	test_barrier();
	for (unsigned int k = 0; k < 200; k++) {
		sizes[k] = 8 + (size_t)test_below(500);
		blocks[k] = mw_persist(sizes[k], 8, MW_USE_OTHER);
		NEED(blocks[k]);
		CHECK(all_zero(blocks[k], sizes[k]));
		fill(blocks[k], sizes[k], (unsigned char)(i + 1));
	}
	for (unsigned int k = 0; k < 200; k++)
		CHECK(blocks[k][0] == i + 1 && blocks[k][sizes[k] - 1] == i + 1);
}

TEST(persist_from_four_cpus)
{
	test_heap(HEAP);
	test_parallel(test_cpus() < 4 ? test_cpus() : 4, persist_worker, NULL);
}

/* ---- records of one size ---- */

struct thing {
	uintptr_t link;
	uintptr_t mark; /* set by first(), kept for ever */
	uintptr_t owner;
};

static void thing_first(void *record)
{
	struct thing *thing = record;

	CHECK(all_zero(thing, sizeof(*thing)));
	thing->mark = 0x7e57;
}

TEST(fixed_alignment)
{
	static const size_t sizes[] = { 1, 8, 16, 24, 64, 72, 128, 192, 1000, 4096, 40000 };

	test_heap(HEAP);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct mw_fixed fixed;

		mw_fixed_init(&fixed, sizes[s], MW_USE_OTHER, NULL);
		for (int i = 0; i < 12; i++) {
			char *p = mw_fixed_alloc(&fixed);

			NEED(p);
			CHECK_EQ((uintptr_t)p % (sizes[s] % 64 == 0   ? 64
						 : sizes[s] % 16 == 0 ? 16
								      : 8),
				 0);
			CHECK(all_zero(p, sizes[s]));
			fill(p, sizes[s], 0xff);
		}
		CHECK_EQ(atomic_load(&fixed.in_use), 12);
		CHECK(mw_fixed_check(&fixed));
	}
}

/* Against a model: what is in use is never handed out again, what was freed comes first. */
TEST(fixed_reuse)
{
	struct thing *live[300] = { 0 };
	struct mw_fixed fixed;
	size_t n = 0, bytes;

	test_heap(HEAP);
	mw_fixed_init(&fixed, sizeof(struct thing), MW_USE_RECORDS, thing_first);
	for (uintptr_t turn = 1; turn < 20000; turn++) {
		size_t i = (size_t)test_below(300);

		if (live[i]) {
			CHECK_EQ(live[i]->owner, i);
			mw_fixed_free(&fixed, live[i]);
			live[i] = NULL;
			n--;
		} else {
			live[i] = mw_fixed_alloc(&fixed);
			NEED(live[i]);
			CHECK_EQ(live[i]->mark, 0x7e57);
			live[i]->owner = i;
			n++;
		}
	}
	CHECK_EQ(atomic_load(&fixed.in_use), n);
	CHECK(mw_fixed_check(&fixed));
	bytes = mw_persist_bytes(MW_USE_RECORDS);
	CHECK(bytes >= 300 * sizeof(struct thing) / 2 && bytes < 300 * 32 * 2);
}

/* A heap of a megabyte must not pay a large chunk for its first record. */
TEST(fixed_begins_small)
{
	struct mw_fixed fixed;

	test_heap(HEAP);
	mw_fixed_init(&fixed, 128, MW_USE_WATCH, NULL);
	NEED(mw_fixed_alloc(&fixed));
	CHECK(mw_persist_bytes(MW_USE_WATCH) <= 5 * 128);
	for (int i = 1; i < 4000; i++)
		NEED(mw_fixed_alloc(&fixed));
	/* In the long run at most a fifth, or one chunk, is ahead. */
	CHECK(mw_persist_bytes(MW_USE_WATCH) <= 4000 * 128 + MW_FIXED_CHUNK + 4096);
	CHECK(mw_fixed_check(&fixed));
}

TEST(fixed_stock_makes_sure)
{
	struct mw_fixed fixed;
	size_t before;

	test_heap(HEAP);
	mw_fixed_init(&fixed, 48, MW_USE_WATCH, thing_first);
	NEED(mw_fixed_alloc(&fixed));
	CHECK(mw_fixed_stock(&fixed, 1000));
	CHECK(mw_fixed_check(&fixed));
	CHECK(atomic_load(&fixed.spare) >= 1000);
	before = mw_persist_bytes(MW_USE_WATCH);
	for (int i = 0; i < 1000; i++)
		NEED(mw_fixed_alloc(&fixed));
	CHECK_EQ(mw_persist_bytes(MW_USE_WATCH), before);
	CHECK(mw_fixed_check(&fixed));
	CHECK(!mw_fixed_stock(&fixed, SIZE_MAX / 4096));
	CHECK(mw_fixed_check(&fixed));
}

/* Where chunks are of one record each, it is exactly as many as were asked for. */
TEST(fixed_stock_is_no_less)
{
	struct mw_fixed fixed;

	test_heap(HEAP);
	mw_fixed_init(&fixed, MW_FIXED_CHUNK, MW_USE_WATCH, NULL);
	CHECK(mw_fixed_stock(&fixed, 5));
	CHECK_EQ(atomic_load(&fixed.spare), 5);
	CHECK(mw_fixed_stock(&fixed, 5));
	CHECK_EQ(atomic_load(&fixed.spare), 5);
}

TEST(fixed_walk_sees_each_once)
{
	struct mw_fixed_cursor cursor = { 0 };
	struct mw_fixed fixed;
	struct thing *thing;
	size_t seen = 0;

	test_heap(HEAP);
	mw_fixed_init(&fixed, sizeof(struct thing), MW_USE_OTHER, NULL);
	CHECK_PTR(mw_fixed_next(&fixed, &cursor), NULL);
	for (uintptr_t i = 0; i < 1000; i++) {
		thing = mw_fixed_alloc(&fixed);
		NEED(thing);
		thing->owner = 1;
		if (i % 3 == 0)
			mw_fixed_free(&fixed, thing);
	}
	cursor = (struct mw_fixed_cursor){ 0 };
	while ((thing = mw_fixed_next(&fixed, &cursor))) {
		CHECK(thing->owner <= 1); /* 2: seen before */
		seen += thing->owner == 1;
		thing->owner = 2;
	}
	CHECK_EQ(seen, 1000 - 333);
}

TEST(fixed_runs_out_and_says_so)
{
	struct mw_fixed fixed;
	void *last = NULL, *p;
	size_t n = 0;

	test_heap((size_t)1 << 20);
	mw_fixed_init(&fixed, 256, MW_USE_OTHER, NULL);
	while ((p = mw_fixed_alloc(&fixed))) {
		last = p;
		n++;
	}
	CHECK(n > 100);
	CHECK(mw_fixed_check(&fixed));
	NEED(last);
	mw_fixed_free(&fixed, last);
	CHECK_PTR(mw_fixed_alloc(&fixed), last);
	CHECK_PTR(mw_fixed_alloc(&fixed), NULL);
	CHECK(mw_fixed_check(&fixed));
}

/* Writers on all CPUs but one, which walks without a lock all the while. */
struct churn {
	struct mw_fixed fixed;
	atomic_uint writers;
	unsigned int n;
};

static void first_marks(void *record)
{
	((struct thing *)record)->mark = 0x7e57;
}

/* Fresh records only: the moment that a walk may see one too early. */
static void churn_fresh(struct mw_fixed *fixed)
{
	struct thing *list = NULL, *thing;

	for (unsigned int turn = 0; turn < 4000; turn++) {
		thing = mw_fixed_alloc(fixed);
		NEED(thing);
		thing->owner = (uintptr_t)list;
		list = thing;
	}
	for (; list; list = thing) {
		thing = (struct thing *)list->owner;
		mw_fixed_free(fixed, list);
	}
}

static void churn_write(struct mw_fixed *fixed, unsigned int i)
{
	struct thing *mine[64] = { 0 };

	for (unsigned int turn = 0; turn < 4000; turn++) {
		struct thing **slot = &mine[test_below(64)];

		if (*slot) {
			CHECK_EQ((*slot)->owner, i);
			mw_fixed_free(fixed, *slot);
			*slot = NULL;
		} else {
			*slot = mw_fixed_alloc(fixed);
			NEED(*slot);
			(*slot)->owner = i;
		}
	}
	for (unsigned int k = 0; k < 64; k++) {
		if (mine[k])
			mw_fixed_free(fixed, mine[k]);
	}
}

static void churn_worker(unsigned int i, void *arg)
{
	struct churn *churn = arg;

	test_barrier();
	if (i) {
		churn_fresh(&churn->fixed);
		churn_write(&churn->fixed, i);
		atomic_fetch_sub(&churn->writers, 1);
		return;
	}
	do {
		struct mw_fixed_cursor cursor = { 0 };
		struct thing *thing;

		while ((thing = mw_fixed_next(&churn->fixed, &cursor))) {
			if (thing->mark != 0x7e57)
				CHECK_EQ(thing->mark, 0x7e57);
		}
		mw_port_relax();
	} while (atomic_load(&churn->writers));
}

TEST(fixed_walk_while_others_allocate)
{
	static struct churn churn;
	unsigned int n = test_cpus() < 4 ? test_cpus() : 4;

	if (n < 2)
		test_skip("one CPU");
	test_heap(HEAP);
	mw_fixed_init(&churn.fixed, sizeof(struct thing), MW_USE_OTHER, first_marks);
	atomic_store(&churn.writers, n - 1);
	test_parallel(n, churn_worker, &churn);
	CHECK_EQ(atomic_load(&churn.fixed.in_use), 0);
	CHECK(mw_fixed_check(&churn.fixed));
}

/* ---- seeded corruptions ---- */

static struct mw_fixed broken;

static void make_broken(void **records)
{
	test_heap(HEAP);
	mw_fixed_init(&broken, 64, MW_USE_OTHER, NULL);
	for (int i = 0; i < 20; i++)
		records[i] = mw_fixed_alloc(&broken);
	for (int i = 0; i < 5; i++)
		mw_fixed_free(&broken, records[i]);
	NEED(mw_fixed_check(&broken));
}

static bool check_quietly(void)
{
	bool ok;

	test_capture();
	ok = mw_fixed_check(&broken);
	(void)test_captured();
	return ok;
}

TEST(fixed_check_finds_corruption)
{
	void *records[20], *outside[8];

	make_broken(records);
	*(void **)records[4] = records[4]; /* a ring */
	CHECK(!check_quietly());
	make_broken(records);
	*(void **)records[4] = (char *)records[6] + 16; /* not at a record's beginning */
	CHECK(!check_quietly());
	make_broken(records);
	*(void **)records[4] = outside; /* in no chunk */
	CHECK(!check_quietly());
	make_broken(records);
	mw_fixed_free(&broken, records[4]); /* twice */
	CHECK(!check_quietly());
	make_broken(records);
	broken.free = NULL; /* lost */
	CHECK(!check_quietly());
	make_broken(records);
	broken.fresh += 64;
	CHECK(!check_quietly());
	make_broken(records);
	atomic_store(&broken.in_use, 16);
	CHECK(!check_quietly());
}
