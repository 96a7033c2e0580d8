// SPDX-License-Identifier: MIT
/* Objects on many CPUs: random work, objects that change hands, interrupts. */
#include <stdatomic.h>
#include <marrow/watch.h>
#include "test.h"
#include "../mm/base/level.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)64 << 20)
#define MOST_CPUS 8
#define SLOTS 512

static unsigned int cpus(void)
{
	unsigned int n = test_cpus();

	return n < MOST_CPUS ? n : MOST_CPUS;
}

/* A word at either end of an object says whose it is. */
static void sign(void *object, size_t size, uintptr_t id)
{
	((uintptr_t *)object)[0] = id;
	((uintptr_t *)object)[size / sizeof(id) - 1] = id;
}

static bool signed_by(const void *object, size_t size, uintptr_t id)
{
	return ((const uintptr_t *)object)[0] == id &&
	       ((const uintptr_t *)object)[size / sizeof(id) - 1] == id;
}

static size_t random_size(void)
{
	size_t size = (size_t)16 << test_below(8);

	if (!test_below(64))
		size = (size_t)4096 << test_below(5);
	return size + 8 * test_below(size / 8);
}

/* Objects in transit between CPUs; each is freed by whoever takes it. */
static _Atomic(void *) transit[MOST_CPUS * 64];

static void work(unsigned int i, void *arg)
{
	size_t rounds = *(size_t *)arg, sizes[SLOTS], wrong = 0;
	void *objects[SLOTS] = { NULL };

	for (size_t r = 0; r < rounds; r++) {
		size_t s = test_below(SLOTS);

		if (objects[s]) {
			wrong += !signed_by(objects[s], sizes[s], (uintptr_t)objects[s] + i);
			if (test_below(3)) {
				mw_free_sized(objects[s], sizes[s]);
			} else {
				size_t t = test_below(sizeof(transit) / sizeof(transit[0]));

				mw_free(atomic_exchange(&transit[t], objects[s]));
			}
			objects[s] = NULL;
			continue;
		}
		sizes[s] = random_size();
		objects[s] = mw_alloc(sizes[s], test_below(8) ? 0 : MW_ZERO | MW_ATOMIC);
		if (objects[s])
			sign(objects[s], sizes[s], (uintptr_t)objects[s] + i);
	}
	for (size_t s = 0; s < SLOTS; s++) {
		if (objects[s])
			wrong += !signed_by(objects[s], sizes[s], (uintptr_t)objects[s] + i);
		mw_free(objects[s]);
	}
	CHECK_EQ(wrong, 0);
}

static void empty_transit(void)
{
	for (size_t t = 0; t < sizeof(transit) / sizeof(transit[0]); t++)
		mw_free(atomic_exchange(&transit[t], NULL));
}

TEST(random_on_all_cpus)
{
	size_t rounds = test_rounds(60000);

	NEED(test_heap(HEAP));
	test_parallel(cpus(), work, &rounds);
	empty_transit();
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
}

/* ---- a producer and a consumer: the heap must not grow ---- */

#define RING 256
static _Atomic(void *) ring[RING];
static atomic_size_t ring_in, ring_out;

static void pass_along(unsigned int i, void *arg)
{
	size_t total = *(size_t *)arg;

	for (size_t n = 0; n < total; n++) {
		if (i == 0) {
			void *object = mw_alloc(64, 0);

			NEED(object);
			while (n - atomic_load(&ring_out) >= RING)
				mw_port_relax();
			atomic_store(&ring[n % RING], object);
			atomic_store(&ring_in, n + 1);
		} else {
			while (atomic_load(&ring_in) <= n)
				mw_port_relax();
			mw_free(atomic_load(&ring[n % RING]));
			atomic_store(&ring_out, n + 1);
		}
	}
}

TEST(producer_and_consumer)
{
	size_t total = test_rounds(200000);
	struct mw_page_stats stats;

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	atomic_store(&ring_in, 0);
	atomic_store(&ring_out, 0);
	test_parallel(2, pass_along, &total);
	mw_page_stats(&stats);
	/* 256 in the ring are 4 pages; without gathering it would be 3,000. */
	CHECK(stats.objects <= 64);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
}

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

/* ---- CPUs that stop and start while others free what they allocated ---- */

static void come_and_go(unsigned int i, void *arg)
{
	size_t rounds = *(size_t *)arg;

	for (size_t r = 0; r < rounds; r++) {
		for (unsigned int k = 0; k < 64; k++) {
			void *object = mw_alloc(16 + 16 * test_below(20), 0);
			size_t t = test_below(sizeof(transit) / sizeof(transit[0]));

			mw_free(atomic_exchange(&transit[t], object));
		}
		if ((r + i) % 4 == 0)
			mw_cpu_stop();
	}
	mw_cpu_stop();
}

TEST(cpus_stop_and_start)
{
	struct mw_page_stats stats;
	size_t rounds = test_rounds(2000);

	NEED(test_heap(HEAP));
	test_parallel(cpus(), come_and_go, &rounds);
	empty_transit();
	mw_cpu_stop();
	CHECK_EQ(mw_object_live_bytes(), 0);
	/* Every free was gathered: no span is left. */
	mw_page_stats(&stats);
	CHECK_EQ(stats.objects, 0);
	CHECK(mw_object_check());
}

/* ---- memory is out for all at once, and comes back from other CPUs ---- */

static void take_all(unsigned int i, void *arg)
{
	void **chain = NULL, **next;

	(void)arg;
	for (unsigned long round = test_rounds(4); round; round--) {
		while ((next = mw_alloc(100 + 1000 * i, 0))) {
			*next = chain;
			chain = next;
		}
		test_barrier();
		for (; chain; chain = next) {
			next = *chain;
			mw_free(chain);
		}
		test_barrier();
		/* What the others hold empty must be had: a quarter of the heap in one piece. */
		if (i == round % cpus()) {
			void *object = mw_alloc((size_t)1 << 20, 0);

			CHECK(object);
			mw_free(object);
		}
		test_barrier();
	}
}

TEST(out_of_memory_on_all_cpus)
{
	NEED(test_heap((size_t)8 << 20));
	test_parallel(cpus(), take_all, NULL);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
}

/* ---- interrupts ---- */

static void *held[64];
static unsigned long wrong_in_interrupt;

static void interrupt(void *arg)
{
	unsigned int i = (unsigned int)(test_random() % 64);

	(void)arg;
	if (held[i]) {
		wrong_in_interrupt += !signed_by(held[i], 64, (uintptr_t)held[i]);
		mw_free(held[i]);
		held[i] = NULL;
	} else {
		held[i] = mw_alloc(i % 4 ? 64 : 3000, MW_ATOMIC);
		if (held[i])
			sign(held[i], 64, (uintptr_t)held[i]);
	}
	mw_free_sized(mw_alloc(40000, MW_ATOMIC), 40000);
}

TEST(interrupts)
{
	size_t rounds = test_rounds(100000);

	NEED(test_heap(HEAP));
	wrong_in_interrupt = 0;
	if (!test_interrupts_on(interrupt, NULL))
		test_skip("no interrupts here");
	work(0, &rounds);
	CHECK(test_interrupts_off() > 0);
	for (unsigned int i = 0; i < 64; i++) {
		mw_free(held[i]);
		held[i] = NULL;
	}
	empty_transit();
	CHECK_EQ(wrong_in_interrupt, 0);
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

	if (cpus() < 2)
		test_skip("needs two CPUs");
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

	if (cpus() < 2)
		test_skip("needs two CPUs");
	NEED(test_heap(HEAP));
	close_cache = mw_cache_create(&want);
	NEED(close_cache);
	test_parallel(2, free_close_together, &rounds);
	CHECK(mw_cache_destroy(close_cache));
}
