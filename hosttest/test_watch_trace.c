// SPDX-License-Identifier: MIT
/* The event trace: what happened is in it, what it writes is JSON, and a full ring forgets the oldest. */
#include "test.h"
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "../mm/gc/gc.h"
#include "../mm/watch/trace.h"

#if MW_WATCH

/* ---- a sink that keeps what it is given ---- */

#define ROOM ((size_t)1 << 20)

struct kept {
	char *text;
	size_t len;
	size_t stop_at; /* refuse to take more; 0: never */
};

static bool keep(void *ctx, const void *bytes, size_t len)
{
	struct kept *kept = ctx;

	if (kept->len + len >= ROOM || (kept->stop_at && kept->len + len > kept->stop_at))
		return false;
	__builtin_memcpy(kept->text + kept->len, bytes, len);
	kept->len += len;
	kept->text[kept->len] = '\0';
	return true;
}

static struct kept write_trace(void)
{
	static struct kept kept;

	kept = (struct kept){ .text = test_memory(ROOM) };
	NEED(kept.text);
	CHECK(mw_trace_write(keep, &kept));
	return kept;
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (; *text; text++) {
		size_t i = 0;

		while (part[i] && text[i] == part[i])
			i++;
		n += !part[i];
	}
	return n;
}

/* ---- JSON, as its grammar says; nesting is a counter of each kind ---- */

static const char *after_string(const char *at)
{
	for (at++; *at && *at != '"'; at++) {
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at == '\\' && !*++at)
			return NULL;
	}
	return *at ? at + 1 : NULL;
}

static const char *after_number(const char *at)
{
	const char *start = at;

	while ((*at >= '0' && *at <= '9') || *at == '.')
		at++;
	return at == start ? NULL : at;
}

/* Tokens in an order that JSON allows? @stack: '{' or '[' for each level. */
static bool is_json(const char *at)
{
	char stack[8], before = ',';
	size_t depth = 0;

	while (*at) {
		char c = *at;

		if (c == '\n' || c == ' ') {
			at++;
			continue;
		}
		if (c == '{' || c == '[') {
			if (depth == sizeof(stack) || (before != ',' && before != ':'))
				return false;
			stack[depth++] = c;
			before = ',';
			at++;
			if (*at == c + 2) {
				before = 'v';
				depth--;
				at++;
			}
			continue;
		}
		if (c == '}' || c == ']') {
			if (!depth || stack[depth - 1] != c - 2 || before != 'v')
				return false;
			depth--;
			before = 'v';
			at++;
			continue;
		}
		if (c == ',' || c == ':') {
			if (before != 'v' || !depth || (c == ':' && stack[depth - 1] != '{'))
				return false;
			before = c;
			at++;
			continue;
		}
		if (before != ',' && before != ':')
			return false;
		at = c == '"' ? after_string(at) : after_number(at);
		if (!at)
			return false;
		before = 'v';
	}
	return !depth && before == 'v';
}

TEST(reader_refuses_bad_json)
{
	CHECK(is_json("{\"a\":[1,2.5,{\"b\":\"c\\\"d\"}],\"e\":{}}"));
	CHECK(!is_json("{\"a\":[1,2.5,]}"));
	CHECK(!is_json("{\"a\":[1,2}"));
	CHECK(!is_json("{\"a\":\"b}"));
	CHECK(!is_json("[1 2]"));
	CHECK(!is_json("[1"));
}

TEST(off_writes_nothing)
{
	void *object;

	test_heap(8 << 20);
	object = mw_alloc(100, MW_NORMAL);
	CHECK(is_json(write_trace().text));
	CHECK_EQ(count(write_trace().text, "\"ph\":\"i\""), 0);
	mw_free(object);
}

TEST(sees_spans_and_refills)
{
	struct kept kept;
	void *object;

	test_heap(8 << 20);
	NEED(mw_trace_on(true));
	object = mw_alloc(100000, MW_BELOW_4G);
	if (!object)
		object = mw_alloc(1000000, MW_NORMAL);
	NEED(object);
	mw_free(object);
	object = mw_alloc(100, MW_NORMAL);
	mw_free(object);
	kept = write_trace();
	CHECK(is_json(kept.text));
	CHECK(count(kept.text, "\"name\":\"span\"") >= 2);
	CHECK(count(kept.text, "\"name\":\"refill\"") >= 1);
	CHECK(count(kept.text, "\"name\":\"object pages\"") >= 2);
	CHECK(count(kept.text, "{\"cache\":\"alloc-112\"}") >= 1);
	CHECK_EQ(count(kept.text, "thread_name"), 1);
	CHECK(mw_trace_on(false));
	object = mw_alloc(3000, MW_NORMAL);
	mw_free(object);
	CHECK_EQ(count(write_trace().text, "\"ph\""), count(kept.text, "\"ph\""));
}

#if MW_GC
static void switch_on(void *arg)
{
	(void)arg;
	CHECK(mw_trace_on(true));
}

/* A listener that is there already would be reported. */
TEST_WITH(is_switched_on_by_two_at_once, TEST_HOSTED)
{
	unsigned long at = 0;
	bool more;

	test_heap(8 << 20);
	do {
		mw_gc.listeners = NULL; /* as it was before the first time */
		more = test_step(switch_on, switch_on, NULL, at++);
		NEED(mw_gc.listeners);
		CHECK_PTR(mw_gc.listeners->next, NULL);
		CHECK(mw_trace_on(false));
	} while (more && at < 20000);
	CHECK(at > 20 && at < 20000);
	test_note("%lu instructions", at);
}
#endif

TEST(sees_memory_run_out)
{
	struct kept kept;
	void *half;

	test_heap(4 << 20);
	half = mw_pages_alloc((2 << 20) >> MW_PAGE_SHIFT, MW_NORMAL);
	NEED(half);
	NEED(mw_trace_on(true));
	CHECK(!mw_alloc(3 << 20, MW_NORMAL));
	kept = write_trace();
	CHECK(is_json(kept.text));
	CHECK(count(kept.text, "\"name\":\"reclaim\"") >= 1);
	CHECK_EQ(count(kept.text, "\"name\":\"out of memory\""), 1);
	/* And what there cannot be is not looked for. */
	CHECK(!mw_alloc(64 << 20, MW_NORMAL));
	kept = write_trace();
	CHECK_EQ(count(kept.text, "\"name\":\"out of memory\""), 2);
	mw_pages_free(half, (2 << 20) >> MW_PAGE_SHIFT);
}

TEST(sink_can_stop_it)
{
	struct kept kept = { .text = test_memory(ROOM), .stop_at = 600 };

	NEED(kept.text);
	test_heap(8 << 20);
	NEED(mw_trace_on(true));
	for (unsigned int i = 0; i < 100; i++)
		mw_event(MW_EVENT_HEAP, i, 0);
	CHECK(!mw_trace_write(keep, &kept));
	CHECK(kept.len <= 600);
}

TEST(full_ring_keeps_the_newest)
{
	struct kept kept;

	test_heap(8 << 20);
	NEED(mw_trace_on(true));
	for (unsigned int i = 0; i < 3 * MW_RING; i++)
		mw_event(MW_EVENT_HEAP, 1000000 + i, 0);
	kept = write_trace();
	CHECK(is_json(kept.text));
	CHECK_EQ(count(kept.text, "\"ph\":\"C\""), MW_RING);
	CHECK_EQ(count(kept.text, "\"bytes\":1001024}"), 1);
	CHECK_EQ(count(kept.text, "\"bytes\":1001023}"), 0);
	CHECK_EQ(count(kept.text, "\"bytes\":1001535}"), 1);
}

/* Names of caches are the kernel's: they may hold anything. */
TEST(odd_names_are_escaped)
{
	struct mw_cache_want want = { .name = "a\"b\\c\nd\xff", .size = 64 };
	struct mw_cache *cache;
	struct kept kept;
	void *object;

	test_heap(8 << 20);
	NEED(mw_trace_on(true));
	cache = mw_cache_create(&want);
	NEED(cache);
	object = mw_cache_alloc(cache, MW_NORMAL);
	kept = write_trace();
	CHECK(is_json(kept.text));
	CHECK(count(kept.text, "a\\\"b\\\\c\\u000ad\\u00ff") >= 1);
	mw_cache_free(cache, object);
	CHECK(mw_cache_destroy(cache));
}

TEST(events_have_the_time_they_happened_at)
{
	struct mw_event_seen seen;
	uint64_t before, after;
	struct mw_ring *ring;

	test_heap(8 << 20);
	NEED(mw_trace_on(true));
	before = mw_port_now();
	mw_event(MW_EVENT_HEAP, 1, 2);
	after = mw_port_now();
	ring = atomic_load_explicit(&mw_trace_state.ring[mw_port_cpu()], memory_order_acquire);
	NEED(ring && mw_ring_read(ring, mw_word(&ring->written), &seen));
	CHECK(seen.what == MW_EVENT_HEAP && seen.a == 1 && seen.b == 2);
	CHECK(seen.when >= before && seen.when <= after);
}

/* Look at the newest entry, and at the oldest, which is about to be written. */
static bool whole_entries(struct mw_ring *ring, size_t *whole)
{
	struct mw_event_seen seen;

	for (unsigned int i = 0; i < 2; i++) {
		unsigned long turn = mw_word(&ring->written) - i * (MW_RING - 1);

		if (!turn || turn > ~0ul - MW_RING || !mw_ring_read(ring, turn, &seen))
			continue;
		++*whole;
		if (seen.what == MW_EVENT_HEAP && seen.a != ~seen.b)
			return false;
	}
	return true;
}

#define LOOKS test_rounds(20000)

static mw_atomic_t writing;

/* One CPU writes as fast as it can, a whole ring again and again; who reads must see whole entries. */
static void race(unsigned int i, void *arg)
{
	size_t whole = 0;

	(void)arg;
	mw_set_word(&writing, 1);
	test_barrier();
	for (unsigned long n = 0; !i && mw_word(&writing); n++)
		mw_event(MW_EVENT_HEAP, n, ~n);
	while (i && whole < LOOKS) {
		for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
			struct mw_ring *ring = atomic_load_explicit(&mw_trace_state.ring[cpu],
								    memory_order_acquire);

			if (ring && !whole_entries(ring, &whole)) {
				CHECK(!"a torn entry");
				whole = LOOKS;
				break;
			}
		}
	}
	if (i)
		mw_set_word(&writing, 0);
}

TEST(readers_see_whole_entries)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	test_heap(8 << 20);
	NEED(mw_trace_on(true));
	test_parallel(2, race, NULL);
	CHECK(is_json(write_trace().text));
}

#if MW_GC
TEST(sees_cycles)
{
	struct kept kept;

	test_heap(8 << 20);
	NEED(mw_trace_on(true));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	kept = write_trace();
	CHECK(is_json(kept.text));
	CHECK_EQ(count(kept.text, "\"name\":\"stop\""), 2);
	CHECK_EQ(count(kept.text, "\"name\":\"mark\""), 2);
	CHECK_EQ(count(kept.text, "\"name\":\"sweep\""), 2);
	CHECK_EQ(count(kept.text, "\"dur\":"), 10);
	CHECK(mw_trace_on(false));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK_EQ(count(write_trace().text, "\"name\":\"stop\""), 2);
}
#endif

#endif
