// SPDX-License-Identifier: MIT
/* The live profile: what was sampled and still lives, exact at rate 1, near the truth when sampling. */
#include "special.h"
#include <marrow/watch.h>
#include "../mm/page/up.h"
#include "../mm/watch/profile.h"

#if MW_WATCH && MW_GC

_Static_assert(sizeof(struct mw_sample) <= 24, "as much as an object that is sampled may cost");

struct figures {
	uint64_t made, live, live_bytes;
};

/* Of one size, or of all if @size is 0. */
static struct figures figures_of(size_t size)
{
	struct mw_profile_cursor cursor = { 0 };
	struct figures figures = { 0 };
	struct mw_bucket bucket;

	while (mw_profile_next(&cursor, &bucket)) {
		if (size && bucket.size != size)
			continue;
		figures.made += bucket.objects;
		figures.live += mw_bucket_live(&bucket);
		figures.live_bytes += mw_bucket_live(&bucket) * bucket.size;
	}
	return figures;
}

static void check_figures(size_t size, uint64_t made, uint64_t live)
{
	struct figures f = figures_of(size);

	CHECK_EQ(f.made, made);
	CHECK_EQ(f.live, live);
}

/* Chains of objects that stay. */
BARE NOINLINE static void keep(void **chain, size_t n, size_t size, mw_flags_t flags)
{
	while (n--) {
		void **object = mw_alloc(size, flags);

		NEED(object);
		*object = *chain;
		*chain = object;
	}
}

/* Free @n of a chain by hand. */
BARE NOINLINE static void drop(void **chain, size_t n)
{
	while (n-- && *chain) {
		void **next = *(void **)*chain;

		mw_free(*chain);
		*chain = next;
	}
}

/* At rate 2 each allocation is sampled as at 1, but quietly: its free is seen when somebody looks. */
static void check_frees_by_hand(size_t rate)
{
	void *chain = NULL, *large;

	test_heap(32 << 20);
	if (rate == 1)
		keep(&chain, 50, 64, MW_NORMAL); /* nobody saw these */
	CHECK(mw_profile_rate(rate));
	keep(&chain, 1000, 64, MW_NORMAL);
	check_figures(64, 1000, 1000);
	drop(&chain, 300);
	check_figures(64, 1000, 700);
	keep(&chain, 300, 64, MW_NORMAL); /* in the same places */
	check_figures(64, 1300, 1000);
	large = mw_alloc(100000, MW_NORMAL);
	check_figures(mw_usable_size(large), 1, 1);
	mw_free(large);
	check_figures(mw_round_up(100000, MW_PAGE_SIZE), 1, 0);
	CHECK(mw_profile_rate(0));
	keep(&chain, 10, 64, MW_NORMAL);
	drop(&chain, 510); /* their ends are heard of although it is off */
	check_figures(64, 1300, 500);
	CHECK(mw_heap_check());
	drop(&chain, 1000);
	check_figures(64, 1300, 0);
}

TEST(frees_by_hand_are_known)
{
	check_frees_by_hand(1);
}

TEST(frees_in_silence_are_known)
{
	check_frees_by_hand(2);
}

/* All there is, at that moment, for the profile and for the statistics. */
static void check_sums(size_t rate)
{
	void *chain[4] = { 0 };
	struct mw_stats stats;
	struct figures f;

	test_heap(64 << 20);
	CHECK(mw_profile_rate(rate));
	for (unsigned int i = 0; i < 4000; i++) {
		size_t size = 8 + (size_t)test_below(i % 50 ? 2000 : 60000);

		keep(&chain[i % 4], 1, size, MW_NORMAL);
		if (test_below(3) == 0)
			drop(&chain[test_below(4)], 1);
	}
	mw_stats(&stats);
	f = figures_of(0);
	CHECK_EQ(f.live, stats.live_objects);
	CHECK_EQ(f.live_bytes, stats.live_bytes);
	CHECK_EQ(f.made, stats.allocs);
	for (unsigned int i = 0; i < 4; i++)
		drop(&chain[i], SIZE_MAX);
	CHECK_EQ(figures_of(0).live, 0);
	CHECK_EQ(records(), 0);
	CHECK(mw_profile_rate(0));
	CHECK(mw_heap_check());
}

TEST(sums_are_the_statistics)
{
	check_sums(1);
}

TEST(sums_of_what_ends_in_silence)
{
	check_sums(2);
}

/* Only what nobody has told of goes the slow way: a free by the owner is one bit, whoever lives beside it. */
TEST(quiet_samples_leave_frees_alone)
{
	void *chain = NULL, *other;
	struct mw_span *span;
	unsigned int slow;

	test_heap(16 << 20);
	CHECK(mw_profile_rate(2));
	keep(&chain, 20, 64, MW_NORMAL);
	other = mw_alloc(64, MW_NORMAL);
	span = mw_span_of(other);
	slow = atomic_load(&span->owner) & MW_OWNER_NO_FREE;
	CHECK(span->records && !slow);
	/* With a record that has to be told they all are, quiet or not. */
	CHECK(mw_tag_set(other, 7));
	slow = atomic_load(&span->owner) & MW_OWNER_NO_FREE;
	CHECK(slow);
	drop(&chain, 1);
	check_figures(64, 21, 20);
	mw_free(other);
	slow = atomic_load(&span->owner) & MW_OWNER_NO_FREE;
	CHECK(!slow);
	check_figures(64, 21, 19);
	drop(&chain, SIZE_MAX);
	CHECK(mw_profile_rate(0));
	check_figures(64, 21, 0);
}

/* What takes an ended sample's place is not taken for it, whichever word it lies in. */
TEST(places_are_not_used_before_a_look)
{
	enum {
		MOST = 4000
	};
	void **objects = test_memory(MOST * sizeof(void *));

	test_heap(16 << 20);
	NEED(objects);
	CHECK(mw_profile_rate(640));
	for (unsigned int i = 0; i < MOST; i++)
		objects[i] = mw_alloc(64, MW_NORMAL);
	CHECK(mw_profile_rate(0));
	CHECK(records() > MOST / 20);
	for (unsigned int i = 0; i < MOST; i++) {
		void **at = &objects[i], **with = &objects[i + test_below(MOST - i)], *object = *with;

		*with = *at;
		mw_free(object);
		*at = mw_alloc(64, MW_NORMAL);
	}
	/* Those of the beginning are gone, and of these nobody took samples. */
	CHECK_EQ(figures_of(0).live, 0);
	CHECK(mw_heap_check());
	for (unsigned int i = 0; i < MOST; i++)
		mw_free(objects[i]);
}

/* Spans of which all objects were freed in silence go back as others do, without anybody reading the profile. */
TEST(quiet_samples_hold_no_pages)
{
	void *chain = NULL;
	struct mw_stats before, stats;

	test_heap(16 << 20);
	mw_stats(&before);
	CHECK(mw_profile_rate(2));
	keep(&chain, 40000, 64, MW_NORMAL);
	keep(&chain, 2000, 1024, MW_NORMAL);
	CHECK(mw_profile_rate(0));
	CHECK_EQ(records(), 42000);
	drop(&chain, SIZE_MAX);
	/* All is given back that can be, as for a request that finds nothing. */
	for (unsigned int step = 0; mw_up_reclaim(1, MW_NORMAL, step); step++)
		;
	mw_stats(&stats);
	CHECK_EQ(stats.page.objects, before.page.objects);
	CHECK_EQ(records(), 0);
	CHECK_EQ(figures_of(0).live, 0);
	CHECK(mw_heap_check());
}

/* What was allocated since the last collection is no leak, and what the sweep has not reached yet neither. */
BARE_TEST(collected_objects_go_through_stages)
{
	setup(32 << 20);
	test_heap_may_leak();
	CHECK(mw_profile_rate(1));
	keep((void **)&root[0], 100, 48, MW_COLLECTED);
	keep((void **)&root[1], 40, 48, MW_COLLECTED);
	check_figures(48, 140, 0);
	collect();
	check_figures(48, 140, 140);
	root[1] = NULL;
	keep((void **)&root[2], 10, 48, MW_COLLECTED);
	check_figures(48, 150, 140);
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	CHECK(figures_of(48).live == 140 || figures_of(48).live == 110);
	collect();
	check_figures(48, 150, 110);
	/* By hand: known with the next mark. */
	drop((void **)&root[2], 4);
	check_figures(48, 150, 110);
	collect();
	check_figures(48, 150, 106);
	/* Two marks pass without anybody looking. */
	keep((void **)&root[3], 7, 48, MW_COLLECTED);
	root[0] = NULL;
	collect();
	collect();
	collect();
	check_figures(48, 157, 13);
	CHECK(mw_profile_rate(0));
	CHECK(mw_gc_root_remove(root));
}

/* A kept object's sample goes with it, not with its finalizer. */
static void note_it(void *object, void *arg)
{
	(void)object;
	++*(unsigned int *)arg;
}

NOINLINE static void make_finalized(unsigned int *ran)
{
	keep((void **)&root[0], 1, 112, MW_COLLECTED);
	CHECK(mw_finalizer_set(root[0], note_it, ran));
}

BARE_TEST(finalizers_keep_samples)
{
	static unsigned int ran;

	setup(16 << 20);
	test_heap_may_leak();
	ran = 0;
	CHECK(mw_profile_rate(1));
	make_finalized(&ran);
	collect();
	check_figures(112, 1, 1);
	root[0] = NULL;
	collect();
	check_figures(112, 1, 1);
	CHECK_EQ(mw_finalizers_run(10), 1);
	collect();
	check_figures(112, 1, 0);
	CHECK_EQ(ran, 1);
	CHECK(mw_profile_rate(0));
	CHECK(mw_gc_root_remove(root));
}

static bool near(uint64_t n, uint64_t truth)
{
	uint64_t off = n > truth ? n - truth : truth - n;

	test_note("%llu, in truth %llu", (unsigned long long)n, (unsigned long long)truth);
	return off * 20 <= truth;
}

/* Three sizes, of which a half, a quarter and nearly all are freed, here and there. */
TEST(estimates_are_near_the_truth)
{
	static const size_t sizes[] = { 64, 320, 1024 };
	static const unsigned int counts[] = { 120000, 30000, 10000 }, of_100[] = { 50, 75, 5 };

	test_heap(128 << 20);
	CHECK(mw_profile_rate(512));
	for (unsigned int s = 0; s < 3; s++) {
		void *stay = NULL, *go = NULL;
		uint64_t live = 0;

		for (unsigned int i = 0; i < counts[s]; i++) {
			bool stays = test_below(100) < of_100[s];

			keep(stays ? &stay : &go, 1, sizes[s], MW_NORMAL);
			live += stays;
		}
		drop(&go, SIZE_MAX);
		CHECK(near(figures_of(sizes[s]).made, counts[s]));
		/* Of the last size too few live for so much. */
		if (of_100[s] > 10)
			CHECK(near(figures_of(sizes[s]).live, live));
		drop(&stay, SIZE_MAX);
		CHECK_EQ(figures_of(sizes[s]).live, 0);
	}
	CHECK(mw_profile_rate(0));
}

/* ---- CPUs and interrupts ---- */

static void *_Atomic handed[64];

static void trade(unsigned int i, void *arg)
{
	unsigned long most = test_rounds(20000);

	(void)arg;
	test_barrier();
	for (unsigned long n = 0; n < most; n++) {
		void *mine = mw_alloc(n % 7 ? 80 : 5000, MW_NORMAL);

		mw_free(atomic_exchange(&handed[(n * 5 + i * 13) % 64], mine));
	}
}

static void check_trade(size_t rate)
{
	struct mw_stats stats;

	CHECK(mw_profile_rate(rate));
	test_parallel(test_cpus() < 4 ? test_cpus() : 4, trade, NULL);
	mw_stats(&stats);
	if (rate == 1)
		CHECK_EQ(figures_of(0).live, stats.live_objects);
	for (unsigned int i = 0; i < 64; i++)
		mw_free(atomic_exchange(&handed[i], NULL));
	CHECK_EQ(figures_of(0).live, 0);
	CHECK(mw_profile_rate(0));
	CHECK(mw_heap_check());
}

TEST(freed_elsewhere)
{
	test_heap(64 << 20);
	check_trade(1);
}

/* Each one quietly, if the CPU is the same when it is noted as when it was allocated. */
TEST(freed_elsewhere_in_silence)
{
	test_heap(64 << 20);
	check_trade(2);
}

TEST(freed_elsewhere_sampled)
{
	test_heap(64 << 20);
	check_trade(2000);
}

static void in_interrupt(void *arg)
{
	static unsigned int n;

	(void)arg;
	mw_free(atomic_exchange(&handed[n % 64], mw_alloc(96, MW_ATOMIC)));
	n++;
}

static bool swallow(void *ctx, const void *bytes, size_t len)
{
	(void)bytes;
	*(size_t *)ctx += len;
	return true;
}

/* Handlers free what was sampled while records are walked, by collections and by dumps. */
BARE_TEST(interrupts_free_samples)
{
	size_t bytes = 0;

	setup(32 << 20);
	test_heap_may_leak();
	CHECK(mw_profile_rate(1));
	if (!test_interrupts_on(in_interrupt, NULL))
		test_skip("no interrupts");
	for (unsigned int i = 0; i < 30; i++) {
		keep((void **)&root[i], 20, 96, MW_COLLECTED);
		CHECK(mw_finalizer_set(root[i], note_it, &bytes));
		CHECK(mw_gc_collect(MW_COLLECT_MARKED));
		if (i % 10 == 0)
			CHECK(mw_dump_write(swallow, &bytes));
	}
	CHECK(test_interrupts_off() > 0);
	for (unsigned int i = 0; i < 64; i++)
		mw_free(atomic_exchange(&handed[i], NULL));
	CHECK(mw_profile_rate(0));
	CHECK(mw_heap_check());
	CHECK(mw_gc_root_remove(root));
}

static void allocate(void *arg)
{
	(void)arg;
	mw_free(mw_alloc(256, MW_ATOMIC));
}

static void destroy(void *arg)
{
	CHECK(mw_cache_destroy(arg));
}

/* A handler that allocates meanwhile takes the profile's lock, as the span's end does. */
TEST_WITH(samples_end_with_their_span_among_interrupts, TEST_HOSTED)
{
	void *objects[20];
	unsigned long at = 0;
	bool more;

	setup(16 << 20);
	CHECK(mw_profile_rate(600));
	do {
		struct mw_cache *cache = mw_cache_create(
			&(const struct mw_cache_want){ .name = "sampled", .size = 1000 });

		NEED(cache && mw_cache_alloc_bulk(cache, MW_NORMAL, 20, objects));
		mw_cache_free_bulk(cache, 20, objects);
		more = test_step_way(TEST_INTERRUPT, destroy, allocate, cache, at++);
	} while (more);
	CHECK(at > 100);
	CHECK(mw_profile_rate(0));
}

#endif
