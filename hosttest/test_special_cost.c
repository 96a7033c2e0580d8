/* SPDX-License-Identifier: MIT */
/* Special records in numbers: what they cost, crowded spans, a million objects. */
#include <marrow/watch.h>
#include "gc_heap.h"

#if MW_GC

static mw_atomic_t ran;

static void count_call(void *object, void *arg)
{
	(void)object, (void)arg;
	atomic_fetch_add(&ran, 1);
}

/* ---- how records lie in spans ---- */

struct shape {
	size_t records, longest, index_bytes;
	bool sorted;
};

static void look_at(struct mw_span *span, struct shape *shape)
{
	const struct mw_records *index = mw_records_index(span->records);
	const struct mw_record *before = NULL;
	size_t sum = 0;

	for (size_t i = 0; i < mw_record_lists(span); i++) {
		size_t length = 0;

		for (const struct mw_record *r = *mw_record_list(span, i); r; r = r->next, length++) {
			shape->sorted &= !index || r->offset >> index->shift == i;
			shape->sorted &= !before || before->offset < r->offset ||
					 (before->offset == r->offset && before->kind <= r->kind);
			before = r;
		}
		sum += length;
		shape->longest = mw_max(shape->longest, length);
	}
	shape->records += sum;
	shape->sorted &= !index || sum == index->count;
	shape->sorted &= !sum == !span->records;
	if (index)
		shape->index_bytes +=
			sizeof(*index) + mw_records_buckets(index) * sizeof(index->bucket[0]);
}

static struct shape look(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct shape shape = { .sorted = true };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor)))
		look_at(span, &shape);
	return shape;
}

/* Objects of 16 bytes, n of them, held by an array; no two of one order are neighbours in another. */
NOINLINE static char **make_objects(size_t n)
{
	char **objects = mw_alloc(n * sizeof(*objects), MW_COLLECTED);

	NEED(objects);
	root[0] = (struct node *)objects;
	for (size_t i = 0; i < n; i++) {
		objects[i] = mw_alloc(16, MW_NOSCAN);
		NEED(objects[i]);
	}
	return objects;
}

static void shuffle(char **objects, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = test_below(i);
		char *p = objects[i - 1];

		objects[i - 1] = objects[j];
		objects[j] = p;
	}
}

static uint64_t set_all(char **objects, size_t n)
{
	uint64_t start = test_now();

	for (size_t i = 0; i < n; i++)
		if (!mw_finalizer_set(objects[i], count_call, NULL))
			CHECK(false);
	return (test_now() - start) / n;
}

static void clear_all(char **objects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!mw_finalizer_clear(objects[i]))
			CHECK(false);
}

/* Return: ns to set one. */
static uint64_t fill_in_order(char **objects, size_t n)
{
	uint64_t ns = set_all(objects, n);
	struct shape shape = look();

	CHECK(shape.sorted);
	CHECK_EQ(shape.records, n);
	CHECK(shape.longest <= 128);
	/* With the index, and what its older and smaller ones took: at most 48 bytes an object. */
	CHECK(shape.records * sizeof(struct mw_finalizer) + shape.index_bytes <= 40 * n);
	CHECK(!mw_finalizer_set(objects[n / 2], count_call, NULL));
	return ns;
}

static void orders(size_t n)
{
	uint64_t in_order, backwards, random;
	char **objects;

	setup(n * 128 + (32 << 20));
	objects = make_objects(n);
	in_order = fill_in_order(objects, n);
	clear_all(objects, n);
	CHECK_EQ(look().records, 0);
	for (size_t i = 0; i < n / 2; i++) {
		char *p = objects[i];

		objects[i] = objects[n - 1 - i];
		objects[n - 1 - i] = p;
	}
	backwards = fill_in_order(objects, n);
	clear_all(objects, n);
	shuffle(objects, n);
	random = fill_in_order(objects, n);
	test_note(
		"%zu finalizers: set in address order %llu ns each, backwards %llu, at random %llu",
		n, (unsigned long long)in_order, (unsigned long long)backwards,
		(unsigned long long)random);
	test_note("%zu bytes of records, %zu of indexes in use",
		  mw_persist_bytes(MW_USE_RECORDS) / n, look().index_bytes / n);
	shuffle(objects, n);
	clear_all(objects, n);
	CHECK_EQ(look().index_bytes, 0);
}

/* ---- what they cost, by what Marrow's own accounting says it took for records ---- */

static void set_samples(char **objects, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct mw_sample *sample = mw_record_new(MW_RECORD_SAMPLE);

		NEED(sample);
		sample->bucket = NULL;
		NEED(mw_record_attach(objects[i], &sample->record, false));
	}
}

static size_t record_bytes(void)
{
	return mw_persist_bytes(MW_USE_RECORDS);
}

/* Bytes taken for each of n records, in hundredths; with the chunks' heads and what is ahead of need. */
static size_t bytes_each(void (*set)(char **objects, size_t n), size_t n)
{
	size_t before;
	char **objects;

	setup(n * 128 + (32 << 20));
	objects = make_objects(n);
	CHECK_EQ(record_bytes(), 0);
	before = record_bytes();
	set(objects, n);
	return (record_bytes() - before) * 100 / n;
}

static void set_finalizers(char **objects, size_t n)
{
	(void)set_all(objects, n);
}

TEST(bytes_of_a_finalizer)
{
	size_t each = bytes_each(set_finalizers, 50000);

	test_note("%zu hundredths of a byte for each finalizer", each);
	CHECK(sizeof(void *) < 8 || each >= 3200);
	CHECK(each <= 4000);
	CHECK(look().records * sizeof(struct mw_finalizer) + look().index_bytes <= 50000 * 40);
}

/* As the profile sets them: one here and there. Then in all objects, which only a rate of 1 does. */
TEST(bytes_of_a_profile_record)
{
	struct mw_span *last = NULL;
	size_t n = 0, before, each;
	char **objects;

	CHECK(sizeof(struct mw_sample) <= 24);
	setup(32 << 20);
	objects = make_objects(200000);
	before = record_bytes();
	for (size_t i = 0; i < 200000; i++) {
		struct mw_span *span = mw_span_of(objects[i]);

		if (span == last)
			continue;
		set_samples(&objects[i], 1);
		last = span;
		n++;
	}
	CHECK(n >= 20);
	CHECK_EQ(look().records, n);
	CHECK_EQ(look().index_bytes, 0);
	/* A chunk's head, and up to three that it has ahead. */
	CHECK(atomic_load(&mw_special.pool[MW_RECORD_SAMPLE].in_use) == n);
	CHECK(record_bytes() - before <= 24 * (n + n / 4 + 8) + 64 * 8);
	each = bytes_each(set_samples, 50000);
	test_note(
		"%zu samples in as many spans: no index; in all objects: %zu hundredths of a byte",
		n, each);
	CHECK(each <= 24 * 100 + 800 + 400);
}

/* What is of no record takes nothing: not an object, and of a span two words of its descriptor. */
TEST(objects_without_records_pay_nothing)
{
	const struct mw_span *span = NULL;
	size_t spans, bytes;
	char **objects;

	setup(32 << 20);
	objects = make_objects(100000);
	spans = mw_persist_bytes(MW_USE_SPANS);
	CHECK_EQ(record_bytes(), 0);
	CHECK(sizeof(span->records) + sizeof(span->records_lock) <= 16);
	set_finalizers(objects, 100000);
	/* Nothing of it came from what spans take. */
	CHECK_EQ(mw_persist_bytes(MW_USE_SPANS), spans);
	clear_all(objects, 100000);
	bytes = record_bytes();
	CHECK_EQ(look().index_bytes, 0);
	CHECK_EQ(look().records, 0);
	/* And what was taken is used again. */
	set_finalizers(objects, 100000);
	CHECK_EQ(record_bytes(), bytes);
}

TEST(records_in_any_order)
{
	orders(100000);
}

TEST_WITH(a_million_records_in_any_order, TEST_HOSTED)
{
#ifdef __SANITIZE_THREAD__
	test_skip("one thread, for a quarter of a minute");
#endif
	orders(1000000);
}

/* All of them in the first of many objects of one span, which is the worst for its buckets. */
TEST(records_that_crowd_together)
{
	size_t n = 0, worst = 0;
	struct mw_span *span;
	char **objects;

	setup(32 << 20);
	objects = make_objects(20000);
	span = mw_span_of(objects[10000]);
	for (size_t i = 0; i < 20000; i++) {
		if (mw_span_of(objects[i]) != span)
			continue;
		NEED(mw_finalizer_set(objects[i], count_call, NULL));
		n++;
		worst = mw_max(worst, look().longest);
	}
	test_note("%zu objects in one span, longest list while they came: %zu", n, worst);
	CHECK(worst * worst <= 2 * span->count);
	CHECK(look().longest <= 8);
}

/*
 * The array is emptied as well: where addresses are narrow a number that looks like a pointer into
 * its megabytes is not rare, and would keep all of them.
 */
NOINLINE static void make_million(size_t n)
{
	char **objects = make_objects(n);

	atomic_store(&ran, 0);
	set_all(objects, n);
	__builtin_memset(objects, 0, n * sizeof(*objects));
	root[0] = NULL;
}

static void die(size_t n)
{
	uint64_t start, mark, sweep, run;

	setup(n * 128 + (32 << 20));
	make_million(n);
	scribble();
	start = test_now();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	mark = test_now() - start;
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	sweep = test_now() - start - mark;
	start = test_now();
	mw_finalizers_run(SIZE_MAX);
	run = test_now() - start;
	test_note("%zu die: mark %llu us, sweep and mark again %llu us, run %llu us", n,
		  (unsigned long long)mark / 1000, (unsigned long long)sweep / 1000,
		  (unsigned long long)run / 1000);
	CHECK(atomic_load(&ran) >= n - 10 && atomic_load(&ran) <= n);
	CHECK(look().records <= 10);
}

TEST(all_die_at_once)
{
	die(100000);
}

TEST_WITH(a_million_die_at_once, TEST_HOSTED)
{
	die(1000000);
}

#endif
