// SPDX-License-Identifier: MIT
/*
 * Objects on many CPUs: random work, objects that change hands, interrupts. Frees that meet are in
 * test_object_frees.c.
 */
#include <stdatomic.h>
#include <marrow/watch.h>
#include "test.h"
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

/* ---- spans that come and go while somebody looks at all of them; the thread sanitizer is the judge ---- */

static atomic_uint churning;

static void look_or_churn(unsigned int cpu, void *arg)
{
	void *object[40];
	size_t *readable = arg;

	test_barrier();
	while (!cpu) {
		struct mw_span_cursor cursor = { 0 };
		const struct mw_span *span;

		while ((span = mw_span_next_raw(&cursor)))
			*readable += mw_span_readable(span);
		(void)mw_object_live_bytes();
		if (!atomic_load(&churning))
			return;
	}
	for (size_t n = test_rounds(3000); n; n--) {
		for (size_t i = 0; i < MW_LEN(object); i++)
			object[i] = mw_alloc(i % 8 ? 3000 : 40000, MW_NORMAL);
		for (size_t i = 0; i < MW_LEN(object); i++)
			mw_free(object[i]);
	}
	atomic_fetch_sub(&churning, 1);
}

TEST(look_at_spans_that_come_and_go)
{
	size_t readable = 0;
	void *object;

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	object = mw_alloc(64, MW_NORMAL);
	CHECK(object);
	atomic_store(&churning, cpus() - 1);
	test_parallel(cpus(), look_or_churn, &readable);
	CHECK(readable > 0);
	mw_free(object);
	CHECK_EQ(mw_object_live_bytes(), 0);
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
