// SPDX-License-Identifier: MIT
/*
 * Which site the profile names: ten mixes of sites, in which the allocations of one can hide those
 * of another. For each site and rate, what was allocated and what lives is held against what the
 * test itself counted. An estimate of n objects, of which each stands for m, has a standard error
 * of at most sqrt(n m).
 */
#include "special.h"
#include <marrow/watch.h>
#include "../mm/watch/profile.h"

#if MW_WATCH

#ifndef NOINLINE /* without a collector */
#define NOINLINE __attribute__((noinline))
#endif

/* Functions that differ in nothing but their addresses, by which the profile tells them apart. */
#define SITE(n)                                                                                    \
	NOINLINE static void *site_##n(struct mw_cache *cache, size_t size, mw_flags_t flags)      \
	{                                                                                          \
		void *object = cache ? mw_cache_alloc(cache, flags) : mw_alloc(size, flags);       \
                                                                                                   \
		__asm__ volatile("/* site " #n " */" : "+r"(object));                              \
		return object;                                                                     \
	}
SITE(0)
SITE(1)
SITE(2)

#define MOST 4096u /* objects of a site that live */

static struct site {
	void *(*alloc)(struct mw_cache *cache, size_t size, mw_flags_t flags);
	struct mw_cache *cache; /* or else */
	size_t size;
	mw_flags_t flags;
	uintptr_t pc; /* where the profile says that it is */
	uint64_t made, live; /* in truth */
	void **held;
} sites[] = { { .alloc = site_0 }, { .alloc = site_1 }, { .alloc = site_2 } };

#define SITES MW_LEN(sites)

static void *get(struct site *s)
{
	void *object = s->alloc(s->cache, s->size, s->flags);

	NEED(object);
	s->made++;
	return object;
}

/* n times, nothing stays. */
static void loop(unsigned int i, unsigned long n)
{
	while (n--)
		mw_free(get(&sites[i]));
}

static void hold(unsigned int i, unsigned long n)
{
	struct site *s = &sites[i];

	for (; n; n--) {
		NEED(s->live < MOST);
		s->held[s->live] = get(s);
		s->live++;
	}
}

/* The last ones, or any. */
static void drop(unsigned int i, unsigned long n, bool any)
{
	struct site *s = &sites[i];

	for (n = mw_min(n, s->live); n; n--) {
		size_t at = any ? (size_t)test_below(s->live) : s->live - 1;

		mw_free(s->held[at]);
		s->held[at] = s->held[--s->live];
	}
}

/* ---- what the profile says ---- */

struct estimate {
	uint64_t made, live;
	uint64_t stands; /* objects for each sample, at most */
};

static struct estimate estimate_of(const struct site *s, size_t rate)
{
	struct mw_profile_cursor cursor = { 0 };
	struct estimate e = { .stands = 1 };
	struct mw_bucket bucket;

	while (mw_profile_next(&cursor, &bucket)) {
		if (bucket.pcs[0] != s->pc)
			continue;
		e.made += bucket.objects;
		e.live += mw_bucket_live(&bucket);
		e.stands = mw_max(e.stands, rate / bucket.size);
	}
	return e;
}

/* |a - b| <= 5 sqrt(n m) + m, and nothing at all where each object is seen. */
static bool within(uint64_t got, uint64_t truth, uint64_t stands)
{
	uint64_t off = got > truth ? got - truth : truth - got;

	if (stands <= 1)
		return !off;
	off -= mw_min(off, stands);
	return off * off <= 25 * truth * stands;
}

static void check_site(unsigned int i, size_t rate)
{
	const struct site *s = &sites[i];
	struct estimate e = estimate_of(s, rate);
	bool ok = within(e.made, s->made, e.stands) && (!MW_GC || within(e.live, s->live, e.stands));

	CHECK(ok);
	if (!ok)
		test_note("rate %zu, site %u: made %llu, in truth %llu; live %llu, in truth %llu",
			  rate, i, (unsigned long long)e.made, (unsigned long long)s->made,
			  (unsigned long long)e.live, (unsigned long long)s->live);
}

static bool is_known(uintptr_t pc)
{
	bool known = false;

	for (unsigned int i = 0; i < SITES; i++)
		known |= pc == sites[i].pc;
	return known;
}

/* Where the site's buckets will be, from one call that is seen in any case. */
static void learn(struct site *s)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket bucket;
	uintptr_t pc = 0;

	CHECK(mw_profile_rate(1));
	mw_free(get(s));
	CHECK(mw_profile_rate(0));
	while (mw_profile_next(&cursor, &bucket))
		pc = is_known(bucket.pcs[0]) ? pc : bucket.pcs[0];
	NEED(pc);
	s->pc = pc;
}

static void begin(const size_t sizes_of[SITES], struct mw_cache *const *caches)
{
	for (unsigned int i = 0; i < SITES; i++) {
		struct site *s = &sites[i];

		*s = (struct site){ .alloc = s->alloc, .size = sizes_of[i] };
		s->cache = caches ? caches[i] : NULL;
		s->held = test_memory(MOST * sizeof(void *));
		NEED(s->held);
	}
	for (unsigned int i = 0; i < SITES; i++)
		learn(&sites[i]);
	/* Unseen: so that the slots have words open when the rate is set. */
	for (unsigned int i = 0; i < SITES * 200; i++) {
		const struct site *s = &sites[i / 200];

		mw_free(s->alloc(s->cache, s->size, s->flags));
	}
}

static void end(size_t rate)
{
	for (unsigned int i = 0; i < SITES; i++)
		check_site(i, rate);
	for (unsigned int i = 0; i < SITES; i++) {
		drop(i, SIZE_MAX, false);
		CHECK_EQ(estimate_of(&sites[i], rate).live, 0);
	}
	CHECK(mw_profile_rate(0));
	CHECK(mw_heap_check());
}

/*
 * The mix, at each of some rates: @sizes of the three sites, @n rounds but few where each object is
 * seen.
 */
static void try_mix(void (*mix)(unsigned long n), size_t a, size_t b, size_t c, unsigned long n)
{
	static const size_t rates[] = { 1, 2000, 32 << 10, MW_PROFILE_DEFAULT };

	for (unsigned int r = 0; r < MW_LEN(rates); r++) {
		test_heap(64 << 20);
		begin((const size_t[]){ a, b, c }, NULL);
		CHECK(mw_profile_rate(rates[r]));
		mix(test_rounds(rates[r] == 1 ? n / 20 : n));
		end(rates[r]);
	}
}

/* ---- the mixes ---- */

static void loop_then_hold(unsigned long n)
{
	loop(0, n);
	hold(1, 200);
}

TEST(loop_then_hold)
{
	try_mix(loop_then_hold, 3000, 3000, 3000, 200000);
}

static void hold_around_loop(unsigned long n)
{
	hold(1, 100);
	loop(0, n);
	hold(2, 300);
	loop(0, n);
	drop(1, 50, true);
}

TEST(hold_around_loop)
{
	try_mix(hold_around_loop, 64, 64, 64, 200000);
}

static void three_to_one(unsigned long n)
{
	for (; n; n -= mw_min(n, 4)) {
		loop(0, 3);
		loop(1, 1);
	}
}

TEST(three_to_one)
{
	try_mix(three_to_one, 200, 200, 200, 200000);
}

/* As long as a word of bits, or as a sampling gap. */
static void in_step(unsigned long n)
{
	for (; n; n -= mw_min(n, 64)) {
		loop(0, 62);
		loop(1, 1);
		loop(2, 1);
	}
}

TEST(in_step_with_words)
{
	try_mix(in_step, 512, 512, 512, 200000);
}

static void some_stay(unsigned long n)
{
	while (n--) {
		loop(0, 1);
		if (sites[1].live == MOST)
			drop(1, MOST / 2, true);
		hold(1, 1);
		if (n % 16 == 0) {
			drop(2, test_below(2), true);
			hold(2, sites[2].live < MOST);
		}
	}
}

TEST(some_stay)
{
	try_mix(some_stay, 96, 96, 96, 100000);
}

/* One site's objects come and go on top of another's, in the order of a stack. */
static void stack(unsigned long n)
{
	for (; n; n -= mw_min(n, 8)) {
		hold(0, 6);
		hold(1, 2);
		drop(1, 1, false);
		drop(0, 6, false);
		if (sites[1].live > 1000)
			drop(1, 900, false);
	}
}

TEST(in_the_order_of_a_stack)
{
	try_mix(stack, 48, 48, 48, 200000);
}

/* Holes all over: each word has few places. */
static void replace(unsigned long n)
{
	hold(0, 3000);
	hold(1, 1000);
	hold(2, 100);
	while (n--) {
		unsigned int i = (unsigned int)test_below(3);

		drop(i, 1, true);
		hold(i, 1);
	}
}

TEST(any_is_replaced)
{
	try_mix(replace, 128, 128, 128, 150000);
}

TEST(any_is_replaced_in_three_sizes)
{
	try_mix(replace, 16, 400, 2500, 150000);
}

/* Above and below the rate, which draw from one line. */
TEST(large_ones)
{
	try_mix(in_step, 40000, 100000, 700000, 40000);
}

/* Two sizes that are cut from one stock, some of which stay. */
static void large_stay(unsigned long n)
{
	while (n--) {
		loop(0, 1);
		if (sites[1].live > 100)
			drop(1, 90, true);
		hold(1, 1);
	}
}

TEST(large_ones_stay)
{
	try_mix(large_stay, 70000, 40000, 64, 40000);
}

/*
 * Caches of one's own, and many objects at once, which come out of one word without looking at it.
 */
TEST(caches_and_many_at_once)
{
	static const size_t rates[] = { 1, 4096, MW_PROFILE_DEFAULT };
	void *many[40];

	for (unsigned int r = 0; r < MW_LEN(rates); r++) {
		unsigned long n = test_rounds(rates[r] == 1 ? 300 : 6000);
		struct mw_cache *caches[SITES], *cache;

		test_heap(64 << 20);
		cache = mw_cache_create(&(const struct mw_cache_want){ .name = "own", .size = 320 });
		NEED(cache);
		for (unsigned int i = 0; i < SITES; i++)
			caches[i] = cache;
		begin((const size_t[]){ 320, 320, 320 }, caches);
		CHECK(mw_profile_rate(rates[r]));
		for (; n; n--) {
			NEED(mw_cache_alloc_bulk(cache, MW_NORMAL, MW_LEN(many), many));
			loop(0, 10);
			hold(1, sites[1].live < 1000);
			mw_cache_free_bulk(cache, MW_LEN(many), many);
		}
		end(rates[r]);
		CHECK(mw_cache_destroy(cache));
	}
}

/* They come by the ways of the debug aids, out of no slot. */
TEST(with_debug_aids)
{
	for (unsigned int r = 0; r < 2; r++) {
		size_t rate = r ? 4096 : 1;

		test_heap(64 << 20);
		begin((const size_t[]){ 200, 200, 200 }, NULL);
		NEED(mw_debug_set("P"));
		CHECK(mw_profile_rate(rate));
		some_stay(test_rounds(r ? 20000 : 1000));
		end(rate);
		NEED(mw_debug_set("-"));
	}
}

/* ---- CPUs side by side, each with a site; what they hold is freed by another one ---- */

static void on_cpu(unsigned int i, void *arg)
{
	unsigned long n = *(unsigned long *)arg;

	test_barrier();
	for (; n; n--) {
		loop(i, 2);
		if (sites[i].live < 1000)
			hold(i, 1);
		else
			drop(i, 500, true);
	}
}

static void on_cpus(unsigned long n)
{
	test_parallel(test_cpus() < SITES ? test_cpus() : SITES, on_cpu, &n);
}

TEST(one_on_each_cpu)
{
	try_mix(on_cpus, 160, 160, 160, 50000);
}

#if MW_GC

/* ---- the collector's ---- */

BARE NOINLINE static void keep(struct site *s, unsigned long n)
{
	for (; n; n--) {
		void **object = get(s);

		object[0] = root[0];
		root[0] = (struct node *)object;
		object = NULL;
	}
}

BARE NOINLINE static void waste(struct site *s, unsigned long n)
{
	while (n--)
		(void)get(s);
}

BARE_TEST(garbage_and_what_is_kept)
{
	static const size_t rates[] = { 1, 2000, 32 << 10 };

	for (unsigned int r = 0; r < MW_LEN(rates); r++) {
		unsigned long n = test_rounds(rates[r] == 1 ? 20 : 400);

		setup(64 << 20);
		test_heap_may_leak();
		begin((const size_t[]){ 80, 80, 80 }, NULL);
		for (unsigned int i = 0; i < SITES; i++)
			sites[i].flags = MW_COLLECTED;
		CHECK(mw_profile_rate(rates[r]));
		for (sites[1].live = 40 * n; n; n--) {
			waste(&sites[0], 400);
			keep(&sites[1], 40);
		}
		scribble();
		collect();
		collect();
		check_site(1, rates[r]);
		/* What a stack may hold by chance. */
		CHECK(within(estimate_of(&sites[0], rates[r]).made, sites[0].made, rates[r] / 80));
		CHECK(estimate_of(&sites[0], rates[r]).live <= 5 * (rates[r] / 80 + 1));
		CHECK(mw_profile_rate(0));
		CHECK(mw_gc_root_remove(root));
	}
}

/* Two parts share a block, which the first of them made. */
BARE_TEST(parts_of_tiny_blocks)
{
	static const size_t rates[] = { 1, 640, 32 << 10 };

	for (unsigned int r = 0; r < MW_LEN(rates); r++) {
		setup(64 << 20);
		test_heap_may_leak();
		begin((const size_t[]){ 8, 5, 3 }, NULL);
		for (unsigned int i = 0; i < SITES; i++)
			sites[i].flags = MW_NOSCAN;
		CHECK(mw_profile_rate(rates[r]));
		for (unsigned long n = test_rounds(rates[r] == 1 ? 100 : 100000); n; n--) {
			for (unsigned int i = 0; i < SITES; i++)
				waste(&sites[i], 1);
		}
		for (unsigned int i = 0; i < SITES; i++)
			check_site(i, rates[r]);
		CHECK(mw_profile_rate(0));
		CHECK(mw_gc_root_remove(root));
	}
}

#endif
#endif
