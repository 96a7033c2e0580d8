// SPDX-License-Identifier: MIT
/*
 * Frees of two CPUs that meet: of one object, of what its span has become, and with the owner's gathering. Nothing
 * may be lost, nothing freed twice unseen.
 */
#include <stdatomic.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)64 << 20)

/* ---- frees of one object by two CPUs at the same moment ---- */

static void *contended[2];
static atomic_uint misuses;

static void count_misuse(const struct mw_report *report)
{
	if (report->what == MW_DOUBLE_FREE)
		atomic_fetch_add(&misuses, 1);
}

static void free_together(unsigned int i, void *arg)
{
	size_t rounds = *(size_t *)arg;

	for (size_t r = 0; r < rounds; r++) {
		if (!i)
			contended[0] = mw_alloc(64, 0);
		test_barrier();
		mw_free(contended[0]);
		test_barrier();
		/* Too close together to tell: then the owner's next gather tells. */
		if (!i) {
			mw_cpu_stop();
			mw_free(mw_alloc(64, 0));
		}
	}
}

TEST(two_frees_at_once)
{
	size_t rounds = test_rounds(2000);
	mw_misuse_fn *before;

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	atomic_store(&misuses, 0);
	before = mw_on_misuse(count_misuse);
	test_parallel(2, free_together, &rounds);
	for (unsigned int i = 0; i < 200; i++)
		mw_free(mw_alloc(64, 0));
	mw_on_misuse(before);
	CHECK_EQ(atomic_load(&misuses), rounds);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
}

/* ---- a second free that meets the span's end, and what its memory becomes ---- */

#define NEXT 32
static _Atomic(void *) twice;

/*
 * CPU 0 frees an object of a span without others, and gives all spans back; what it then allocates is of
 * other sizes, so the second free, by CPU 1, is of none of that, whatever the span has become.
 */
static void free_twice(unsigned int i, void *arg)
{
	size_t rounds = *(size_t *)arg, size;
	void *next[NEXT];

	for (size_t r = 0; r < rounds; r++) {
		size = r % 2 ? 40000 : 48;
		if (!i) {
			void *object = mw_alloc(size, 0), *page;

			/* Not at the beginning of its page, where any size could have an object. */
			while (size == 48 && object && !((uintptr_t)object & (MW_PAGE_SIZE - 1))) {
				page = object;
				object = mw_alloc(size, 0);
				mw_free(page);
			}
			NEED(object);
			atomic_store(&twice, object);
		}
		test_barrier();
		if (i) {
			for (size_t wait = test_below(400); wait; wait--)
				atomic_signal_fence(memory_order_seq_cst);
			mw_free(atomic_load(&twice));
		} else {
			mw_free(atomic_load(&twice));
			mw_cpu_stop();
			for (size_t n = 0; n < NEXT; n++)
				next[n] = mw_alloc(r % 2 ? 16 : 512, 0);
		}
		test_barrier();
		for (size_t n = 0; !i && n < NEXT; n++)
			mw_free(next[n]);
		if (!i)
			mw_cpu_stop();
	}
}

static void count_any(const struct mw_report *report)
{
	(void)report;
	atomic_fetch_add(&misuses, 1);
}

TEST(second_free_of_what_is_gone)
{
	size_t rounds = 800;
	mw_misuse_fn *before;

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	atomic_store(&misuses, 0);
	before = mw_on_misuse(count_any);
	test_parallel(2, free_twice, &rounds);
	mw_free(mw_alloc(64, 0));
	mw_on_misuse(before);
	test_note("%u reports", atomic_load(&misuses));
	CHECK(atomic_load(&misuses) <= rounds);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
}

/* ---- what another CPU frees is had again, all of it ---- */

#define AFAR 4000

static struct {
	struct mw_cache *cache;
	void *object[AFAR];
} afar;

/* Objects that lie side by side are far apart in the order of frees: many spans are pending at once. */
static void free_from_afar(void)
{
	for (size_t step = 0; step < 64; step++)
		for (size_t n = step; n < AFAR; n += 64)
			mw_cache_free(afar.cache, afar.object[n]);
}

static void fill_afar(void)
{
	for (size_t n = 0; n < AFAR; n++) {
		afar.object[n] = mw_cache_alloc(afar.cache, 0);
		NEED(afar.object[n]);
	}
}

static void here_and_afar(unsigned int i, void *arg)
{
	size_t spans = 0;

	(void)arg;
	for (unsigned int round = 0; round < 20; round++) {
		if (!i)
			fill_afar();
		if (!i && round < 2)
			spans = afar.cache->spans;
		test_barrier();
		if (i)
			free_from_afar();
		test_barrier();
	}
	if (!i)
		CHECK_EQ(afar.cache->spans, spans);
	test_barrier();
	/* And while their owner frees in the same spans. */
	for (unsigned int round = 0; round < 50; round++) {
		if (!i)
			fill_afar();
		test_barrier();
		for (size_t n = i; n < AFAR; n += 2)
			mw_cache_free(afar.cache, afar.object[n]);
		test_barrier();
		if (!i)
			CHECK(mw_object_check());
		test_barrier();
	}
	if (!i)
		fill_afar();
	if (!i)
		CHECK(afar.cache->spans <= spans + 1);
	test_barrier();
	if (i)
		free_from_afar();
}

TEST(frees_from_afar_come_back)
{
	const struct mw_cache_want want = { .name = "afar", .size = 96 };

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	afar.cache = mw_cache_create(&want);
	NEED(afar.cache);
	test_parallel(2, here_and_afar, NULL);
	CHECK(mw_cache_destroy(afar.cache));
}

/* ---- two frees from afar, the second when the owner may just be gathering the first ---- */

static struct mw_cache *close_cache;
static void *close_pair[2];
static atomic_bool pair_freed;

static bool told_of_remote_frees(struct mw_span *span)
{
	for (size_t w = 0; w < span->words; w++)
		if (mw_word(&span->remote[w]))
			return atomic_load(&span->owner) & MW_OWNER_PENDING;
	return true;
}

static void free_close_together(unsigned int i, void *arg)
{
	size_t rounds = *(size_t *)arg, lost = 0;

	for (size_t round = 0; round < rounds; round++) {
		struct mw_span *span = NULL;

		if (!i) {
			close_pair[0] = mw_cache_alloc(close_cache, 0);
			close_pair[1] = mw_cache_alloc(close_cache, 0);
			NEED(close_pair[0] && close_pair[1]);
			span = mw_span_of(close_pair[1]);
			atomic_store(&pair_freed, false);
		}
		test_barrier();
		if (i) {
			mw_cache_free(close_cache, close_pair[0]);
			for (size_t wait = test_below(64); wait; wait--)
				atomic_signal_fence(memory_order_seq_cst);
			mw_cache_free(close_cache, close_pair[1]);
			atomic_store(&pair_freed, true);
		}
		/* Its own frees are what makes the owner look. */
		while (!i && !atomic_load(&pair_freed))
			mw_cache_free(close_cache, mw_cache_alloc(close_cache, 0));
		test_barrier();
		lost += span && !told_of_remote_frees(span);
	}
	CHECK_EQ(lost, 0);
}

TEST(frees_while_the_owner_gathers)
{
	const struct mw_cache_want want = { .name = "close", .size = 96 };
	size_t rounds = 2000;

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	close_cache = mw_cache_create(&want);
	NEED(close_cache);
	test_parallel(2, free_close_together, &rounds);
	CHECK(mw_cache_destroy(close_cache));
}
