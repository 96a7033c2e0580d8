// SPDX-License-Identifier: MIT
/* What calls for objects cost at most, in instructions, where these can be counted exactly. */
#include "test.h"
#include "../mm/object/inside.h"

#define MIB ((size_t)1 << 20)
#define TRIES 200

static void need_counting(void)
{
	uint64_t a = test_instructions(), b = test_instructions();

	if (!a || b - a > 200)
		test_skip("instructions are not counted here");
	if (MW_DEBUG)
		test_skip("a debug build");
}

static struct mw_cache *typed; /* NULL: a size class */

static void *request(size_t size)
{
	return typed ? mw_cache_alloc(typed, MW_ATOMIC) : mw_alloc(size, MW_ATOMIC);
}

/* All memory, in a chain. */
static void **fill(size_t size)
{
	void **chain = NULL, **next;

	while ((next = request(size))) {
		*next = chain;
		chain = next;
	}
	return chain;
}

static void drop(void **chain)
{
	while (chain) {
		void **next = *chain;

		mw_free(chain);
		chain = next;
	}
}

/* The most that one of many requests costs, of which none can be met. */
static size_t worst(size_t size)
{
	size_t most = 0;

	for (unsigned int i = 0; i < TRIES; i++) {
		uint64_t begin = test_instructions();
		void *object = request(size);
		size_t cost = (size_t)(test_instructions() - begin);

		CHECK(!object);
		most = mw_max(most, cost);
	}
	return most;
}

/* docs/PORTING.md states the bound. */
#define MOST_IN_VAIN 22000

TEST_WITH(a_request_in_vain_that_cannot_wait, TEST_COUNTED)
{
	static const size_t sizes[] = { 64, 1024, 8192, 40000 };
	size_t most = 0;

	need_counting();
	for (unsigned int i = 0; i < MW_LEN(sizes); i++) {
		void **chain;

		test_heap(240 * MIB);
		chain = fill(sizes[i]);
		for (unsigned int k = 0; k < MW_LEN(sizes); k++) {
			size_t cost;

			drop(fill(sizes[k]));
			cost = worst(sizes[i]);
			test_note("%zu bytes, after all for %zu: %zu instructions", sizes[i],
				  sizes[k], cost);
			most = mw_max(most, cost);
		}
		drop(chain);
	}
	CHECK(most <= MOST_IN_VAIN);
}

static bool is_last(const void *object)
{
	const struct mw_span *span = mw_span_of(object);

	return mw_span_index(span, object) + 1 == span->count;
}

/* Spans in which one object lives, the last that is looked at. */
TEST_WITH(a_request_in_vain_among_long_spans, TEST_COUNTED)
{
	void **chain, **kept = NULL, **next;
	size_t cost;

	need_counting();
	test_heap(32 * MIB);
	chain = fill(16);
	for (; chain; chain = next) {
		next = *chain;
		if (is_last(chain)) {
			*chain = kept;
			kept = chain;
		} else {
			mw_free(chain);
		}
	}
	drop(fill(1024));
	cost = worst(1024);
	test_note("%zu instructions", cost);
	CHECK(cost <= MOST_IN_VAIN);
	drop(kept);
}

TEST_WITH(a_typed_request_in_vain, TEST_COUNTED)
{
	size_t cost;
	void **chain;

	need_counting();
	test_heap(240 * MIB);
	typed = mw_cache_create(&(const struct mw_cache_want){ .name = "typed", .size = 1000 });
	NEED(typed);
	chain = fill(0);
	cost = worst(0);
	test_note("%zu instructions", cost);
	CHECK(cost <= MOST_IN_VAIN);
	drop(chain);
	CHECK(mw_cache_destroy(typed));
	typed = NULL;
}

/* What is empty is found, a few requests later at the latest. */
TEST(requests_that_cannot_wait_find_what_is_empty)
{
	struct mw_span *span;
	size_t tries, spans;
	void **chain, **rest, **at, **next;
	unsigned long state;

	test_heap(16 * MIB);
	typed = NULL;
	chain = fill(1024);
	/* What was too short for one of those spans. */
	rest = fill(64);
	CHECK(!mw_alloc(64, MW_ATOMIC));
	state = mw_port_pin();
	spans = mw_cpu_here()->owned_count;
	mw_port_unpin(state);
	CHECK(spans > 200);
	/* All objects of one span. */
	span = mw_span_of(*chain);
	for (at = (void **)&chain; *at; at = next) {
		next = *at;
		if (mw_span_of(next) != span)
			continue;
		*at = *next;
		mw_free(next);
		next = at;
	}
	for (tries = 0; tries < spans; tries++) {
		void *object = mw_alloc(64, MW_ATOMIC);

		mw_free(object);
		if (object)
			break;
	}
	test_note("after %zu of %zu requests", tries, spans);
	CHECK(tries <= spans / 32);
	drop(rest);
	drop(chain);
}
