/* SPDX-License-Identifier: MIT */
/* The collector: what it costs in instructions, metadata, and time that allocations wait for it. */
#include "gc_lists.h"

#if MW_GC

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
TEST_WITH(instructions_per_live_object, TEST_COUNTED)
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
	CHECK(cost[1] - cost[0] <= 40 * many);
}

/* ---- metadata ---- */

/* What the collector wants of a span: its bitmaps and its part of the descriptor. Bytes. */
static size_t collectors_part(const struct mw_span *span)
{
	size_t words = (span->mark != NULL) + (span->scanned != NULL);

	return words * span->words * sizeof(span->mark[0]) + sizeof(span->mark) +
	       sizeof(span->scanned) + sizeof(span->queued) + sizeof(span->generation) +
	       sizeof(span->type) + sizeof(span->gc_next) + sizeof(span->gc_scanned);
}

/* At most @most hundredths of a percent of the heap is the collector's. */
static void metadata_of(size_t size, size_t most)
{
	struct mw_span_cursor cursor = { 0 };
	size_t bytes = 0, collector = 0, all = 0, begun = 0;
	struct mw_span *span;

	setup(24 << 20);
	root[0] = mw_alloc(8 << 20, MW_COLLECTED);
	NEED(root[0]);
	for (void **at = (void **)root[0]; begun < 1 << 20; begun += size) {
		*at = mw_alloc(size, MW_COLLECTED);
		NEED(*at++);
	}
	while ((span = mw_span_next(&cursor))) {
		if (span->size != size || !(span->flags & MW_SPAN_COLLECTED))
			continue;
		bytes += span->pages << MW_PAGE_SHIFT;
		collector += collectors_part(span);
		all += sizeof(*span) + span->words * 4 * sizeof(span->mark[0]);
	}
	test_note("%zu-byte objects: %zu hundredths of a percent, with the allocator's %zu", size,
		  collector * 10000 / bytes, all * 10000 / bytes);
	CHECK(bytes >= 1 << 20);
	CHECK(collector > 0);
	CHECK(collector * 10000 <= most * bytes);
}

/* Of the heap: at most 3.2 %, and 0.5 % where objects are larger. */
TEST(metadata_of_the_collector)
{
	metadata_of(16, 320);
	metadata_of(256, 50);
}

/* ---- a limit ---- */

/* The time that the world was stopped, all in all and the longest. */
struct clock {
	struct mw_gc_listener listener;
	uint64_t began, total, longest;
	unsigned long cycles;
};

static void tick(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	struct clock *clock = (struct clock *)self;
	uint64_t ns;

	(void)cycle;
	if (moment == MW_GC_STOPPING)
		clock->began = test_now();
	if (moment != MW_GC_STARTED)
		return;
	ns = test_now() - clock->began;
	clock->total += ns;
	clock->longest = mw_max(clock->longest, ns);
	clock->cycles++;
}

NOINLINE static void garbage_for(uint64_t ns)
{
	uint64_t end = test_now() + ns;

	while (test_now() < end)
		for (unsigned int i = 0; i < 100; i++)
			(void)mw_alloc(64, MW_COLLECTED);
}

NOINLINE static size_t most_of_garbage(size_t bytes)
{
	struct mw_stats stats;
	size_t most = 0;

	for (size_t made = 0; made < bytes; made += 64 * 1024) {
		for (unsigned int i = 0; i < 1024; i++)
			(void)mw_alloc(64, MW_COLLECTED);
		mw_stats(&stats);
		most = mw_max(most, stats.collected_bytes);
	}
	return most;
}

/* Whatever the other figures would allow. */
TEST(limit_is_kept)
{
	struct mw_gc_policy policy;
	size_t most;

	setup(64 << 20);
	mw_gc_policy_get(&policy);
	policy.percent = 1000;
	policy.least = 32 << 20;
	policy.limit = 4 << 20;
	policy.cpu_permille = 1000;
	CHECK(mw_gc_policy_set(&policy));
	most = most_of_garbage(40 << 20);
	CHECK(most > (1 << 20) && most <= (5 << 20));
}

/* What lives is more than the limit: cycles are no use, and get their share of the time and no more. */
TEST(limit_does_not_thrash)
{
	static struct clock clock;
	struct mw_gc_policy policy;
	uint64_t begin, ns;

	setup(64 << 20);
	keep_list(0, 100000);
	mw_gc_policy_get(&policy);
	policy.limit = 1 << 20;
	policy.cpu_permille = 100;
	CHECK(mw_gc_policy_set(&policy));
	clock = (struct clock){ .listener.moment = tick };
	mw_gc_listen(&clock.listener);
	begin = test_now();
	garbage_for(500000000);
	ns = test_now() - begin;
	mw_gc_unlisten(&clock.listener);
	test_note("%lu cycles, %lu of %lu us", clock.cycles, (unsigned long)(clock.total / 1000),
		  (unsigned long)(ns / 1000));
	CHECK(clock.cycles > 0);
	/* A tenth of a second may be saved up. */
	CHECK(clock.total <= 100000000 + ns / 10 + 2 * clock.longest);
}

NOINLINE static size_t keep_until_null(void)
{
	size_t n = 0;

	for (;;) {
		struct node *node = mw_new(&node_type, MW_NORMAL);

		if (!node)
			return n;
		node->next = root[0];
		root[0] = node;
		n++;
	}
}

/* All of memory lives: NULL, and mostly at once. When it does not any more, there is memory again. */
TEST(end_of_memory_does_not_thrash)
{
	static struct clock clock;
	struct mw_gc_policy policy;
	uint64_t begin, ns;
	unsigned long asked = 0;
	size_t n;

	setup(8 << 20);
	mw_gc_policy_get(&policy);
	policy.cpu_permille = 100;
	CHECK(mw_gc_policy_set(&policy));
	clock = (struct clock){ .listener.moment = tick };
	mw_gc_listen(&clock.listener);
	n = keep_until_null();
	begin = test_now();
	clock.total = clock.longest = 0;
	do {
		for (unsigned int i = 0; i < 20; i++, asked++)
			(void)keep_until_null();
		ns = test_now() - begin;
	} while (ns < 500000000);
	test_note("%zu objects, %lu requests refused, %lu cycles, %lu of %lu us", n, asked,
		  clock.cycles, (unsigned long)(clock.total / 1000), (unsigned long)(ns / 1000));
	CHECK(n > 10000);
	CHECK(asked >= 20);
	/* What was saved, a tenth of a second, and a quarter of a tenth of the time. */
	CHECK(clock.total <= 100000000 + ns / 30 + 2 * clock.longest);
	root[0] = NULL;
	policy.cpu_permille = 500;
	CHECK(mw_gc_policy_set(&policy));
	begin = test_now();
	while (!mw_new(&node_type, MW_NORMAL) && test_now() - begin < 5000000000)
		;
	CHECK(mw_new(&node_type, MW_NORMAL) != NULL);
	mw_gc_unlisten(&clock.listener);
}

#endif
