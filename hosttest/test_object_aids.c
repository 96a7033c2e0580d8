// SPDX-License-Identifier: MIT
/*
 * Debug aids in all their combinations: each finds what it is for, and nothing is found that no aid
 * is for.
 */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/object/object.h"

#define HEAP ((size_t)16 << 20)
#define ZONE 16
#define AIDS 4

static struct {
	unsigned int aids; /* MW_DEBUG_* */
	struct mw_cache *cache;
	size_t size;
	char *before, *object, *after; /* neighbours, live but where it is said */
} now;

static bool is_on(unsigned int aid)
{
	return now.aids & aid;
}

/* Not inlined: it is named by tracks. */
static __attribute__((noinline)) char *take(mw_flags_t flags)
{
	char *object = mw_cache_alloc(now.cache, flags);

	NEED(object);
	return object;
}

static __attribute__((noinline)) void give(char *object)
{
	mw_cache_free(now.cache, object);
	__asm__ volatile("");
}

#define CODE 600 /* more bytes than these two have */

static void construct(void *object)
{
	(void)object;
}

static void begin(unsigned int aids, size_t size, bool constructed)
{
	static const char letters[AIDS + 1] = "FZPU";
	struct mw_cache_want want = { .name = "aided", .size = size, .align = 8 };
	char spec[16] = "", *end = spec;

	for (unsigned int i = 0; i < AIDS; i++)
		if (aids >> i & 1)
			*end++ = letters[i];
	if (end == spec)
		*end++ = '-';
	__builtin_memcpy(end, ",aided", 7);
	want.construct = constructed ? construct : NULL;
	NEED(mw_debug_set(spec));
	now.aids = aids;
	NEED(now.cache = mw_cache_create(&want));
	now.before = take(0);
	now.object = take(0);
	now.after = take(0);
	now.size = mw_usable_size(now.object);
}

static void end(void)
{
	give(now.before);
	give(now.object);
	give(now.after);
	CHECK(mw_cache_destroy(now.cache));
	CHECK(mw_debug_set("-"));
}

static bool all_are(const char *at, size_t n, int byte)
{
	while (n--)
		if (*at++ != (char)byte)
			return false;
	return true;
}

/* ---- what each is for ---- */

/* Frames of Marrow's own may come first. */
static bool leads_to(const struct mw_trace *trace, void *by)
{
	for (unsigned int i = 0; i < trace->depth; i++)
		if (trace->pcs[i] >= (uintptr_t)by && trace->pcs[i] < (uintptr_t)by + CODE)
			return true;
	return false;
}

static void check_trace(const struct mw_trace *trace, void *by)
{
	CHECK_EQ(trace != NULL, is_on(MW_DEBUG_TRACK));
	if (trace)
		CHECK(trace->when && trace->cpu == mw_port_cpu() && leads_to(trace, by));
}

static const struct mw_report *came(enum mw_misuse what, const void *address, const void *object)
{
	const struct mw_report *report = test_misuse_came();

	CHECK_EQ(report->what, what);
	CHECK_PTR(report->address, address);
	CHECK_PTR(report->object, object);
	check_trace(report->allocated, take);
	/* Of one that lives the last free is that of the one before it. */
	if (report->allocated && what != MW_OVERRUN)
		CHECK(report->freed->when >= report->allocated->when);
	return report;
}

/* A byte of the zones, just outside and at their far ends. */
static void spoil_zones(void)
{
	const long at[] = { -1, -ZONE, (long)now.size, (long)now.size + ZONE - 1 };

	for (size_t i = 0; is_on(MW_DEBUG_REDZONE) && i < MW_LEN(at); i++) {
		test_spoil(now.object + at[i], 1);
		test_expect_misuse(MW_OVERRUN);
		give(now.object);
		came(MW_OVERRUN, now.object + at[i], now.object);
		CHECK_PTR(take(0), now.object);
	}
}

/* Of a neighbour: found when its own turn comes; with checks, at once. */
static void spoil_neighbours(void)
{
	for (unsigned int i = 0; is_on(MW_DEBUG_REDZONE) && i < 2; i++) {
		char *neighbour = i ? now.after : now.before;
		char *bad = i ? neighbour - 1 : neighbour + now.size;

		test_spoil(bad, 1);
		if (is_on(MW_DEBUG_CHECKS))
			test_expect_misuse(MW_OVERRUN);
		give(now.object);
		if (is_on(MW_DEBUG_CHECKS))
			came(MW_OVERRUN, bad, neighbour);
		CHECK_PTR(take(0), now.object);
		if (is_on(MW_DEBUG_CHECKS))
			continue;
		test_expect_misuse(MW_OVERRUN);
		give(neighbour);
		came(MW_OVERRUN, bad, neighbour);
		CHECK_PTR(take(0), neighbour);
	}
}

static void use_after_free(void)
{
	const struct mw_report *report;

	for (size_t at = 0; at<now.size; at += now.size> 64 ? 37 : 1) {
		give(now.object);
		test_spoil(now.object + at, 1);
		/* It says so. */
		test_capture();
		CHECK_EQ(mw_object_check(), !is_on(MW_DEBUG_POISON));
		(void)test_captured();
		if (is_on(MW_DEBUG_POISON))
			test_expect_misuse(MW_USE_AFTER_FREE);
		CHECK_PTR(take(0), now.object);
		if (!is_on(MW_DEBUG_POISON))
			continue;
		report = came(MW_USE_AFTER_FREE, now.object + at, now.object);
		check_trace(report->freed, give);
	}
}

static void free_twice(void)
{
	const struct mw_report *report;

	give(now.object);
	test_expect_misuse(MW_DOUBLE_FREE);
	give(now.object);
	report = came(MW_DOUBLE_FREE, now.object, now.object);
	check_trace(report->freed, give);
	CHECK_PTR(take(0), now.object);
}

/* What is new is neither what it was nor zero, unless that is asked for. */
static void look_inside(void)
{
	__builtin_memset(now.object, 0x77, now.size);
	give(now.object);
	CHECK_PTR(take(0), now.object);
	if (is_on(MW_DEBUG_POISON))
		CHECK(all_are(now.object, now.size, 0x5a));
	__builtin_memset(now.object, 0x77, now.size);
	give(now.object);
	CHECK_PTR(take(MW_ZERO), now.object);
	CHECK(all_are(now.object, now.size, 0));
}

TEST(every_combination)
{
	static const size_t sizes[] = { 8, 16, 24, 64, 104, 1000, 5000 };

	NEED(test_heap(HEAP));
	for (unsigned int aids = 1; aids < 1u << AIDS; aids++) {
		for (size_t i = 0; i < MW_LEN(sizes); i++) {
			begin(aids, sizes[i], false);
			look_inside();
			spoil_zones();
			spoil_neighbours();
			use_after_free();
			free_twice();
			CHECK(mw_object_check());
			end();
		}
	}
}

/* What was constructed stays as it is: nothing fills it. */
TEST(every_combination_with_a_constructor)
{
	NEED(test_heap(HEAP));
	for (unsigned int aids = 1; aids < 1u << AIDS; aids++) {
		if (aids & MW_DEBUG_POISON)
			continue;
		begin(aids, 64, true);
		__builtin_memset(now.object, 0x77, now.size);
		give(now.object);
		CHECK_PTR(take(0), now.object);
		CHECK(all_are(now.object, now.size, 0x77));
		spoil_zones();
		spoil_neighbours();
		free_twice();
		end();
	}
}
