// SPDX-License-Identifier: MIT
/*
 * Two CPUs at one cache with debug aids, with a switch at each instruction in turn: what both take is different,
 * what both free is freed once and reported once, with who freed it first, and all aids are as they should be.
 */
#include "test.h"
#include "../mm/object/inside.h"

#define HEAP ((size_t)16 << 20)
#define MOST 20000u /* instructions: more than there are */
#define LEAST 20u
#define SIZE 64u

static struct {
	struct mw_cache *cache;
	char *object, *first, *second;
	unsigned int doubles, overruns, others, nameless;
	bool tracked;
} aids;

static void count_report(const struct mw_report *report)
{
	aids.doubles += report->what == MW_DOUBLE_FREE;
	aids.overruns += report->what == MW_OVERRUN;
	aids.others += report->what != MW_DOUBLE_FREE && report->what != MW_OVERRUN;
	aids.nameless += aids.tracked &&
			 (!report->allocated || (report->what == MW_DOUBLE_FREE && !report->freed));
}

static void begin(const char *spec)
{
	const struct mw_cache_want want = { .name = "stepped", .size = SIZE };

	NEED(test_heap(HEAP));
	NEED(mw_debug_set(spec));
	NEED(aids.cache = mw_cache_create(&want));
	for (const char *at = spec; *at != ','; at++)
		aids.tracked |= *at == 'U';
}

static void end(unsigned long at)
{
	CHECK(at > LEAST && at < MOST);
	CHECK(mw_object_check());
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_cache_destroy(aids.cache));
	CHECK(mw_debug_set("-"));
	__builtin_memset(&aids, 0, sizeof(aids));
	test_note("%lu instructions", at);
}

static void free_object(void *arg)
{
	(void)arg;
	mw_cache_free(aids.cache, aids.object);
}

static void free_any(void *arg)
{
	(void)arg;
	mw_free(aids.object);
}

static void free_first(void *arg)
{
	(void)arg;
	mw_cache_free(aids.cache, aids.first);
}

static void take_first(void *arg)
{
	(void)arg;
	aids.first = mw_cache_alloc(aids.cache, 0);
}

static void take_second(void *arg)
{
	(void)arg;
	aids.second = mw_cache_alloc(aids.cache, MW_ZERO);
}

/* Does each byte say so? What is not poisoned may have any. */
static bool all_are(const char *object, unsigned char byte)
{
	for (size_t i = 0; i < SIZE; i++) {
		if ((unsigned char)object[i] != byte)
			return false;
	}
	return true;
}

/* ---- one object, freed by both ---- */

/* @spoil: what is behind it was written, so that it goes the general way, and is between live and free for long. */
static void free_twice(const char *spec, bool spoil, void (*a)(void *arg), void (*b)(void *arg))
{
	unsigned long at = 0, wrong = 0;
	mw_misuse_fn *before;
	bool more;

	begin(spec);
	NEED(aids.first = mw_cache_alloc(aids.cache, 0));
	before = mw_on_misuse(count_report);
	do {
		aids.object = mw_cache_alloc(aids.cache, 0);
		NEED(aids.object);
		aids.doubles = aids.overruns = 0;
		if (spoil)
			test_spoil(aids.object + SIZE, 1);
		more = test_step(a, b, NULL, at++);
		wrong += aids.doubles != 1 || aids.overruns != spoil || aids.others || aids.nameless;
	} while (more && !wrong && at < MOST);
	(void)mw_on_misuse(before);
	CHECK_EQ(wrong, 0);
	free_first(NULL);
	end(at);
}

TEST_WITH(an_object_is_freed_once, TEST_HOSTED)
{
	free_twice("ZP,stepped", false, free_object, free_object);
}

TEST_WITH(an_object_is_freed_once_with_neighbours, TEST_HOSTED)
{
	free_twice("FZ,stepped", false, free_object, free_any);
}

TEST_WITH(an_object_is_freed_once_by_who_is_noted, TEST_HOSTED)
{
	free_twice("FZPU,stepped", false, free_any, free_object);
}

TEST_WITH(an_object_that_is_looked_at_is_not_freed, TEST_HOSTED)
{
	free_twice("ZP,stepped", true, free_object, free_object);
}

/* ---- what is taken at once ---- */

static void take_two(const char *spec)
{
	unsigned long at = 0, wrong = 0;
	bool more;

	begin(spec);
	do {
		more = test_step(take_first, take_second, NULL, at++);
		NEED(aids.first && aids.second);
		wrong += aids.first == aids.second || !all_are(aids.second, 0) ||
			 !all_are(aids.first, 0x5a);
		wrong += !mw_object_check();
		mw_cache_free(aids.cache, aids.first);
		mw_cache_free(aids.cache, aids.second);
	} while (more && !wrong && at < MOST);
	CHECK_EQ(wrong, 0);
	end(at);
}

TEST_WITH(two_take_different_objects, TEST_HOSTED)
{
	take_two("ZP,stepped");
}

TEST_WITH(two_take_different_objects_and_are_noted, TEST_HOSTED)
{
	take_two("FZPU,stepped");
}

/* ---- the last one is taken while another one is freed, and the other way round ---- */

static void fill(void *objects[], size_t *n)
{
	struct mw_span *span;

	NEED(objects[0] = mw_cache_alloc(aids.cache, 0));
	span = mw_span_of(objects[0]);
	for (*n = 1; *n < span->count; ++*n)
		NEED(objects[*n] = mw_cache_alloc(aids.cache, 0));
	CHECK_EQ(span->debug->some, 0);
}

static void full_span(const char *spec, void (*a)(void *arg), void (*b)(void *arg))
{
	static void *objects[128];
	unsigned long at = 0, wrong = 0;
	size_t n;
	bool more;

	begin(spec);
	fill(objects, &n);
	do {
		mw_cache_free(aids.cache, objects[0]);
		aids.object = objects[1];
		aids.first = NULL;
		more = test_step(a, b, NULL, at++);
		wrong += !aids.first || !all_are(aids.first, 0x5a) || !mw_object_check();
		NEED(aids.second = mw_cache_alloc(aids.cache, 0));
		wrong += aids.first == aids.second;
		objects[0] = aids.first;
		objects[1] = aids.second;
	} while (more && !wrong && at < MOST);
	CHECK_EQ(wrong, 0);
	for (size_t i = 0; i < n; i++)
		mw_cache_free(aids.cache, objects[i]);
	__builtin_memset(objects, 0, sizeof(objects));
	end(at);
}

TEST_WITH(the_last_one_is_taken_while_one_is_freed, TEST_HOSTED)
{
	full_span("ZP,stepped", take_first, free_object);
}

TEST_WITH(one_is_freed_while_the_last_one_is_taken, TEST_HOSTED)
{
	full_span("ZP,stepped", free_object, take_first);
}
