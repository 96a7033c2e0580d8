// SPDX-License-Identifier: MIT
/* Objects in bulk: those that lie side by side are taken and freed as one, and none of them unseen. */
#include "object_slot.h"

static void shuffle(size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = test_below(i);
		void *object = objects[k];

		objects[k] = objects[i - 1];
		objects[i - 1] = object;
	}
}

/* Free places in runs of all lengths: what is taken lies nowhere twice, and goes back in any order. */
static void bulks_of(size_t size)
{
	size_t n = 0, wrong = 0;

	(void)begin(size);
	n = 1;
	for (unsigned int round = 0; round < 200; round++) {
		size_t more = test_below(150), less;

		if (more > 1000 - n)
			more = 1000 - n;
		NEED(mw_cache_alloc_bulk(cache, 0, more, objects + n));
		n += more;
		wrong += mw_object_live_bytes() != n * mw_usable_size(objects[0]);
		wrong += twice(n);
		if (round % 3 == 0)
			shuffle(n);
		less = test_below(n / 2 + 1);
		n -= less;
		mw_cache_free_bulk(cache, less, objects + n);
		wrong += mw_object_live_bytes() != n * mw_usable_size(objects[0]);
	}
	CHECK_EQ(wrong, 0);
	end(n);
}

TEST(bulks_with_gaps)
{
	bulks_of(SIZE);
	bulks_of(48);
	bulks_of(80);
}

/* What is wrong in the middle of a run is said, and the others are freed. */
static void wrong_in_a_run(size_t n, size_t at, void *object, enum mw_misuse what)
{
	void *given[64];

	NEED(n < 64);
	NEED(mw_cache_alloc_bulk(cache, 0, n, objects + 1));
	for (size_t i = 0, k = 1; i <= n; i++)
		given[i] = i == at ? object : objects[k++];
	test_expect_misuse(what);
	mw_cache_free_bulk(cache, n + 1, given);
	CHECK_PTR(test_misuse_came()->address, object);
	CHECK_EQ(mw_object_live_bytes(), mw_usable_size(objects[0]));
	CHECK(mw_object_check());
}

TEST(wrong_frees_in_a_run)
{
	static char strange[64];
	struct mw_slot *slot = begin(48);
	char *behind = mw_span_object(slot->span, slot->span->count);
	void *free;

	NEED(slot->span->count % MW_WORD_BITS);
	NEED(mw_cache_alloc_bulk(cache, 0, 40, objects + 1));
	free = objects[17];
	mw_cache_free_bulk(cache, 40, objects + 1);
	for (size_t at = 0; at < 20; at += 3) {
		/* The first 20 are taken again, and @free is not one of them. */
		NEED(mw_cache_alloc_bulk(cache, 0, 16, objects + 100));
		wrong_free((char *)free + 48, cache, MW_DOUBLE_FREE);
		mw_cache_free_bulk(cache, 16, objects + 100);
		wrong_in_a_run(10, at % 11, (char *)objects[0] + 16, MW_INNER_FREE);
		wrong_in_a_run(10, at % 11, (char *)free + 30 * 48, MW_DOUBLE_FREE);
		wrong_in_a_run(10, at % 11, behind, MW_FOREIGN_FREE);
		wrong_in_a_run(10, at % 11, strange, MW_FOREIGN_FREE);
	}
	end(1);
}

/* The same object twice, as the neighbour of those before it would be: a run does not free it again. */
TEST(a_run_into_free_objects)
{
	struct mw_slot *slot = begin(SIZE);
	char *base = slot->base;

	NEED(mw_cache_alloc_bulk(cache, 0, 20, objects + 1));
	for (size_t i = 0; i < 21; i++)
		NEED(objects[i] == base + i * SIZE);
	mw_cache_free(cache, objects[10]);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_cache_free_bulk(cache, 20, objects + 1);
	CHECK_PTR(test_misuse_came()->address, objects[10]);
	end(1);
}
