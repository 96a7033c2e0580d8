// SPDX-License-Identifier: MIT
/* The page heap at its limits: nothing left, everything at once, the smallest and the largest. */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/span.h"
#include "../mm/page/up.h"

#define GIB ((uint64_t)1 << 30)

/* Pages in a list through themselves. */
struct chain {
	struct chain *next;
};

static size_t take_all(struct chain **chain, mw_flags_t flags)
{
	struct chain *page;
	size_t n = 0;

	while ((page = mw_pages_alloc(1, flags))) {
		page->next = *chain;
		*chain = page;
		n++;
	}
	return n;
}

static void give_all(struct chain *chain)
{
	while (chain) {
		struct chain *next = chain->next;

		mw_pages_free(chain, 1);
		chain = next;
	}
}

TEST(every_page_of_the_machine)
{
	size_t usable = test_heap(8 * MIB) / PAGE;

	for (unsigned int round = 0; round < 3; round++) {
		struct chain *chain = NULL;
		size_t n = take_all(&chain, MW_ATOMIC);

		CHECK_EQ(stats_now().free + stats_now().stocked, 0);
		CHECK(n + 16 >= usable && n <= usable);
		CHECK(mw_page_check());
		give_all(chain);
		CHECK_EQ(stats_now().raw, 0);
	}
}

static void fill_stock_and_take(unsigned int i, void *arg)
{
	void *pages[24];
	struct chain *chain = NULL;

	(void)arg;
	for (size_t n = 0; n < 24; n++)
		pages[n] = mw_pages_alloc(1, MW_ATOMIC);
	mw_stack_free(mw_stack_alloc(1 + i % 3, MW_ATOMIC), 1 + i % 3);
	for (size_t n = 0; n < 24; n++)
		mw_pages_free(pages[n], 1);
	test_barrier();
	if (i == 0) {
		CHECK(stats_now().stocked >= 24);
		take_all(&chain, MW_ATOMIC);
		CHECK_EQ(stats_now().stocked + stats_now().free, 0);
		give_all(chain);
	}
	test_barrier();
}

TEST(stocks_of_others_are_found)
{
	test_heap(4 * MIB);
	test_parallel(test_cpus(), fill_stock_and_take, NULL);
	CHECK(mw_page_check());
}

static void exhaust(unsigned int i, void *arg)
{
	size_t *taken = arg;
	struct chain *chain = NULL;

	for (unsigned long round = test_rounds(4); round; round--) {
		chain = NULL;
		test_barrier();
		taken[i] = take_all(&chain, MW_ATOMIC);
		test_barrier();
		if (i == 0)
			CHECK_EQ(stats_now().free + stats_now().stocked, 0);
		test_barrier();
		give_all(chain);
	}
}

TEST(all_cpus_exhaust_at_once)
{
	size_t taken[8] = { 0 };

	test_heap(8 * MIB);
	test_parallel(test_cpus() < 8 ? test_cpus() : 8, exhaust, taken);
	CHECK(mw_page_check());
	CHECK_EQ(stats_now().raw, 0);
}

struct hoard {
	struct mw_shrinker shrinker;
	void *pages;
	unsigned int asked;
};

static size_t give_up_hoard(struct mw_shrinker *self, size_t pages)
{
	struct hoard *hoard = (struct hoard *)self;

	hoard->asked++;
	CHECK(pages >= 1);
	if (!hoard->pages)
		return 0;
	mw_pages_free(hoard->pages, 64);
	hoard->pages = NULL;
	return 64;
}

TEST(shrinkers_are_asked)
{
	struct hoard hoard = { .shrinker = { .shrink = give_up_hoard } };
	struct chain *chain = NULL;
	void *pages;

	test_heap(2 * MIB);
	hoard.pages = mw_pages_alloc(64, 0);
	NEED(hoard.pages);
	mw_shrinker_add(&hoard.shrinker);
	take_all(&chain, MW_ATOMIC);
	CHECK_EQ(hoard.asked, 0); /* such requests do not wait */
	pages = mw_pages_alloc(60, 0);
	CHECK(pages != NULL);
	CHECK_EQ(hoard.asked, 1);
	CHECK(!mw_pages_alloc(60, 0));
	CHECK(!mw_pages_alloc(60, MW_NO_SHRINK));
	CHECK(!mw_alloc(60 * PAGE, MW_NO_SHRINK));
	CHECK_EQ(hoard.asked, 2);
	CHECK(mw_shrinker_remove(&hoard.shrinker));
	CHECK(!mw_pages_alloc(60, 0));
	CHECK_EQ(hoard.asked, 2);
	mw_pages_free(pages, 60);
	give_all(chain);
}

/* Records that go while they are asked, and take the one with them that would be the next. */
static struct leavers {
	struct mw_shrinker first, next, last;
	unsigned int asked;
	bool own, others;
} leavers;

static size_t count_only(struct mw_shrinker *self, size_t pages)
{
	(void)self, (void)pages;
	leavers.asked++;
	return 0;
}

static size_t leave(struct mw_shrinker *self, size_t pages)
{
	(void)pages;
	leavers.asked++;
	leavers.own |= mw_shrinker_remove(self);
	leavers.others = mw_shrinker_remove(&leavers.next);
	leavers.next.next = self; /* whoever still follows it goes round in circles */
	leavers.next.shrink = NULL;
	return 0;
}

/* A run that could be had if what is held were free: so shrinkers are asked for it. */
#define HELD 300u
#define WANTED 350u

TEST(shrinkers_leave_while_they_are_asked)
{
	void *held;

	test_heap(2 * MIB);
	NEED(held = mw_pages_alloc(HELD, 0));
	leavers = (struct leavers){ .first.shrink = leave,
				    .next.shrink = count_only,
				    .last.shrink = count_only };
	mw_shrinker_add(&leavers.last);
	mw_shrinker_add(&leavers.next);
	mw_shrinker_add(&leavers.first);
	CHECK(!mw_pages_alloc(WANTED, 0));
	CHECK_EQ(leavers.asked, 2);
	CHECK(!leavers.own && leavers.others);
	CHECK(mw_shrinker_remove(&leavers.first)); /* its call has returned */
	CHECK(!mw_pages_alloc(WANTED, 0));
	CHECK_EQ(leavers.asked, 3);
	CHECK(mw_shrinker_remove(&leavers.last));
	CHECK(mw_shrinker_remove(&leavers.last));
	mw_pages_free(held, HELD);
}

TEST(shrinkers_are_added_once)
{
	struct mw_shrinker one = { .shrink = count_only }, two = { .shrink = count_only };
	void *held;

	test_heap(2 * MIB);
	NEED(held = mw_pages_alloc(HELD, 0));
	leavers.asked = 0;
	mw_shrinker_add(&one);
	mw_shrinker_add(&two);
	test_expect_misuse(MW_BAD_REQUEST);
	mw_shrinker_add(&one);
	test_misuse_came();
	CHECK(!mw_pages_alloc(WANTED, 0));
	CHECK_EQ(leavers.asked, 2);
	CHECK(mw_shrinker_remove(&one));
	CHECK(mw_shrinker_remove(&two));
	CHECK(!mw_pages_alloc(WANTED, 0));
	CHECK_EQ(leavers.asked, 2);
	mw_pages_free(held, HELD);
}

TEST(reserve_is_kept)
{
	struct chain *chain = NULL, *critical = NULL;
	size_t usable = test_heap(2 * MIB) / PAGE, n;

	/* Records, those of the first request that fails too, come from the gap at any time. */
	(void)mw_up_reclaim(0, MW_ATOMIC, 0);
	CHECK(!mw_reserve(4 * MIB));
	CHECK(mw_reserve(64 * KIB));
	n = take_all(&chain, MW_ATOMIC);
	CHECK(n + 64 * KIB / PAGE <= usable);
	CHECK(take_all(&critical, MW_ATOMIC | MW_RESERVE) >= 64 * KIB / PAGE);
	CHECK(!mw_pages_alloc(1, MW_ATOMIC));
	give_all(critical);
	mw_page_cpu_stop();
	/* It is full again before anyone else gets a page. */
	CHECK(!mw_pages_alloc(2, MW_ATOMIC));
	CHECK(mw_reserve(0));
	critical = NULL;
	CHECK(take_all(&critical, MW_ATOMIC) >= 64 * KIB / PAGE);
	give_all(critical);
	give_all(chain);
}

/* Not even as the rest of a batch, nor by way of a stock once it was freed. */
TEST(reserve_is_for_those_who_ask)
{
	struct chain *chain = NULL, *critical = NULL;
	void *page;

	test_heap(8 * MIB);
	(void)mw_up_reclaim(0, MW_ATOMIC, 0);
	CHECK(mw_reserve(256 * KIB));
	take_all(&chain, MW_ATOMIC);
	for (size_t i = 0; i < 20; i++) {
		page = mw_pages_alloc(1, MW_ATOMIC | MW_RESERVE);
		NEED(page);
		CHECK(!mw_pages_alloc(1, MW_ATOMIC));
		if (i & 1) {
			mw_pages_free(page, 1);
			CHECK(!mw_pages_alloc(1, MW_ATOMIC));
		} else {
			((struct chain *)page)->next = critical;
			critical = page;
		}
	}
	CHECK(mw_page_check());
	give_all(critical);
	/* Whole again: stocks are used as before. */
	page = chain;
	chain = chain->next;
	mw_pages_free(page, 1);
	CHECK_EQ(stats_now().stocked, 1);
	give_all(chain);
}

TEST(failing_on_purpose)
{
	struct mw_fail fail = { .every = 2, .pages = true };
	size_t got = 0;

	test_heap(4 * MIB);
	mw_fail_set(&fail);
	for (size_t i = 0; i < 100; i++) {
		size_t count = 1 + i % 3;
		void *page = mw_pages_alloc(count, 0);

		got += page != NULL;
		mw_pages_free(page, count);
	}
	CHECK_EQ(mw_fail_set(NULL), 50);
	CHECK_EQ(got, 50);
}

TEST(descriptors_when_all_is_taken)
{
	static struct mw_span *spans[4096];
	struct chain *chain = NULL;
	size_t n = 0;

	test_heap(4 * MIB);
	/* The gap is gone, all is free again: descriptors must come from free pages. */
	take_all(&chain, MW_ATOMIC);
	give_all(chain);
	mw_page_cpu_stop();
	CHECK_EQ(stats_now().untouched, 0);
	while (n < 4096 && (spans[n] = mw_span_alloc(1, 0, 0)))
		mw_span_publish(spans[n++]);
	CHECK(n > 900);
	CHECK(stats_now().free < 16);
	CHECK(mw_page_check());
	while (n--)
		mw_span_free(spans[n]);
	CHECK(mw_page_check());
}

/* Is there an aligned block of @n pages in the bytes @used (0: free)? */
static bool model_has(const unsigned char *used, size_t pages, size_t offset, size_t n)
{
	for (size_t at = (n - offset % n) % n; at + n <= pages; at += n) {
		size_t i = 0;

		while (i < n && !used[at + i])
			i++;
		if (i == n)
			return true;
	}
	return false;
}

TEST(aligned_blocks_are_always_found)
{
	static unsigned char used[2048];
	static void *page[2048];
	size_t pages = test_heap(4 * MIB) / PAGE, found = 0, none = 0, first;
	struct chain *chain = NULL;
	char *base = (char *)UINTPTR_MAX;

	pages = take_all(&chain, MW_ATOMIC);
	NEED(pages <= 2048);
	for (struct chain *at = chain; at; at = at->next)
		base = (char *)at < base ? (char *)at : base;
	__builtin_memset(used, 1, sizeof(used));
	while (chain) {
		struct chain *next = chain->next;

		page[((char *)chain - base) / PAGE] = chain;
		chain = next;
	}
	first = (uintptr_t)base / PAGE;
	for (size_t round = 0; round < 3000; round++) {
		size_t i = test_below(pages), n = (size_t)1 << test_below(6);
		struct mw_pages want = { .count = n, .flags = MW_ATOMIC, .align = n * PAGE };
		size_t to = i + test_below(40);
		void *run;

		for (; i < to && i < pages; i++) {
			if (used[i] && page[i]) {
				mw_pages_free(page[i], 1);
				used[i] = 0;
			} else if (!used[i]) {
				struct mw_pages at = { .count = 1, .at = page[i] };

				mw_page_cpu_stop();
				CHECK_PTR(mw_pages_alloc_as(&at), page[i]);
				used[i] = 1;
			}
		}
		mw_page_cpu_stop();
		run = mw_pages_alloc_as(&want);
		CHECK_EQ(run != NULL, model_has(used, pages, first, n));
		CHECK_EQ((uintptr_t)run % (n * PAGE), 0);
		found += run != NULL;
		none += !run;
		mw_pages_free(run, n);
	}
	CHECK(found > 100 && none > 100);
	for (size_t i = 0; i < pages; i++) {
		if (used[i])
			mw_pages_free(page[i], 1);
	}
}

/*
 * What Marrow's records cost when all memory is used as raw pages: 16 bytes a page for the map and
 * 5 bits, 0.41 %; and where there is little, two tables, a leaf more at both ends, and the guard
 * page.
 */
TEST_WITH(metadata_is_small, TEST_HOSTED)
{
	size_t most = sizeof(void *) == 8 ? 1024 * MIB : 256 * MIB;

	for (size_t bytes = MIB; bytes <= most; bytes *= 4) {
		struct mw_page_stats stats;

		test_heap(bytes);
		stats = stats_now();
		CHECK(stats.metadata <= bytes / 10000 * 41 + 5 * PAGE);
	}
}

TEST_WITH(a_terabyte_untouched, TEST_HOSTED)
{
	size_t bytes = (size_t)1 << (sizeof(void *) == 8 ? 40 : 20), n = 0, before = port_resident();
	struct mw_pages gib = { .count = GIB / PAGE, .align = GIB };
	char *run[8];

	if (sizeof(void *) < 8)
		test_skip("needs 64 bits");
	test_heap(bytes);
	CHECK(stats_now().metadata <= bytes / 10000 * 41);
	for (; n < 8; n++) {
		run[n] = mw_pages_alloc_as(&gib);
		NEED(run[n]);
		CHECK_EQ((uintptr_t)run[n] % GIB, 0);
	}
	test_note("%zu KiB resident", (port_resident() - before) / 1024);
	CHECK(port_resident() - before < 64 * MIB * SHADOW);
	while (n--)
		mw_pages_free(run[n], gib.count);
	CHECK(mw_pages_alloc(bytes / PAGE, MW_ATOMIC) == NULL);
	CHECK_PTR(mw_pages_alloc_as(&(struct mw_pages){ .count = 1, .at = run[0] + bytes / 2 }),
		  run[0] + bytes / 2);
	mw_pages_free(run[0] + bytes / 2, 1);
}
