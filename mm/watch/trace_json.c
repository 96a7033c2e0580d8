// SPDX-License-Identifier: MIT
/*
 * The event trace as Chrome trace JSON: a track for each CPU, slices for what took time, instants for
 * what did not, counters for bytes. Each event stands for itself, so that a ring which forgot the
 * older ones still reads well. Times are microseconds with three decimals.
 */
#include "stream.h"
#include "trace.h"

#if MW_WATCH

enum shape {
	SLICE,
	INSTANT,
	COUNTER,
};

static const struct form {
	const char *name, *category;
	enum shape shape;
	const char *a, *b; /* names of the numbers; NULL: says nothing */
} forms[MW_NR_EVENTS] = {
	[MW_EVENT_STOP] = { "stop", "gc", SLICE, "cycle", NULL },
	[MW_EVENT_ROOTS] = { "roots", "gc", SLICE, "cycle", NULL },
	[MW_EVENT_MARK] = { "mark", "gc", SLICE, "objects", NULL },
	[MW_EVENT_START] = { "start", "gc", SLICE, "cycle", NULL },
	[MW_EVENT_SWEEP] = { "sweep", "gc", SLICE, "spans", NULL },
	[MW_EVENT_SCAVENGE] = { "scavenge", "page", SLICE, "pages", NULL },
	[MW_EVENT_HEAP] = { "collected heap", "gc", COUNTER, "bytes", NULL },
	[MW_EVENT_REFILL] = { "refill", "object", INSTANT, NULL, NULL },
	[MW_EVENT_SPAN] = { "span", "page", INSTANT, "pages", "all" },
	[MW_EVENT_SPAN_BACK] = { "span back", "page", INSTANT, "pages", "all" },
	[MW_EVENT_RECLAIM] = { "reclaim", "page", INSTANT, "pages", "step" },
	[MW_EVENT_FAILED] = { "out of memory", "page", INSTANT, "pages", "steps" },
};

/* @ns as microseconds: no division of 64 bits, some machines have none. */
static void put_us(struct mw_stream *s, const char *name, uint64_t ns)
{
	char digits[24];
	size_t len = mw_format(digits, sizeof(digits), "%04llu", (unsigned long long)ns);

	mw_stream_text(s, ",\"%s\":", name);
	mw_stream_bytes(s, digits, len - 3);
	mw_stream_bytes(s, ".", 1);
	mw_stream_bytes(s, digits + len - 3, 3);
}

/* The name of the cache that has the number now. */
static void put_cache(struct mw_stream *s, unsigned long id)
{
	struct mw_cache_cursor cursor = { .next = (unsigned int)mw_min(id, MW_MAX_CACHES) };
	const struct mw_cache *cache = mw_cache_next(&cursor);

	if (cache && mw_cache_id(cache) == id) {
		mw_stream_text(s, "\"cache\":");
		mw_stream_quoted(s, cache->name);
	}
	mw_cache_leave(&cursor);
}

static void put_args(struct mw_stream *s, const struct form *form, const struct mw_event_seen *e)
{
	mw_stream_text(s, ",\"args\":{");
	if (e->what == MW_EVENT_REFILL)
		put_cache(s, e->a);
	if (form->a)
		mw_stream_text(s, "\"%s\":%lu", form->a, e->a);
	if (form->b)
		mw_stream_text(s, ",\"%s\":%lu", form->b, e->b);
	mw_stream_text(s, "}}");
}

static void put_event(struct mw_stream *s, unsigned int cpu, const struct mw_event_seen *e)
{
	static const char phases[] = { [SLICE] = 'X', [INSTANT] = 'i', [COUNTER] = 'C' };
	const struct form *form = &forms[e->what];
	uint64_t ns = form->shape != SLICE ? 0 : e->b < e->when ? e->b : e->when;

	mw_stream_text(s, ",\n{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"%c\",\"pid\":1,\"tid\":%u",
		       form->name, form->category, phases[form->shape], cpu);
	put_us(s, "ts", e->when - ns);
	if (form->shape == SLICE)
		put_us(s, "dur", ns);
	if (form->shape == INSTANT)
		mw_stream_text(s, ",\"s\":\"t\"");
	put_args(s, form, e);
}

/* What spans hold together, over time: each of their events says it. */
static void put_pages(struct mw_stream *s, unsigned int cpu, const struct mw_event_seen *e)
{
	mw_stream_text(
		s, ",\n{\"name\":\"object pages\",\"cat\":\"page\",\"ph\":\"C\",\"pid\":1,\"tid\":%u",
		cpu);
	put_us(s, "ts", e->when);
	mw_stream_text(s, ",\"args\":{\"bytes\":%llu}}", (unsigned long long)e->b << MW_PAGE_SHIFT);
}

static void put_ring(struct mw_stream *s, unsigned int cpu, struct mw_ring *ring)
{
	unsigned long last = atomic_load_explicit(&ring->written, memory_order_acquire);
	unsigned long turn = last - mw_min(last, MW_RING);

	mw_stream_text(s,
		       ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%u,"
		       "\"args\":{\"name\":\"CPU %u\"}}",
		       cpu, cpu);
	while (turn++ != last && !s->stopped) {
		struct mw_event_seen event;

		if (!mw_ring_read(ring, turn, &event) || event.what >= MW_NR_EVENTS)
			continue;
		put_event(s, cpu, &event);
		if (event.what == MW_EVENT_SPAN || event.what == MW_EVENT_SPAN_BACK)
			put_pages(s, cpu, &event);
	}
}

bool mw_trace_write(mw_sink_fn *sink, void *ctx)
{
	struct mw_stream s;

	mw_stream_begin(&s, sink, ctx);
	mw_stream_text(&s, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
			   "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,"
			   "\"args\":{\"name\":\"Marrow\"}}");
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		struct mw_ring *ring =
			atomic_load_explicit(&mw_trace_state.ring[cpu], memory_order_acquire);

		if (ring)
			put_ring(&s, cpu, ring);
	}
	mw_stream_text(&s, "\n]}\n");
	return mw_stream_end(&s);
}

#endif
