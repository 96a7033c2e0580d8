// SPDX-License-Identifier: MIT
/* Each event of the trace: that it comes, in its turn, with what numbers, and in what form. */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "text_sink.h"
#include "../mm/base/event.h"
#include "../mm/base/report.h"
#include "../mm/object/object.h"

#if MW_WATCH

#define PAGE MW_PAGE_SIZE
static struct {
	struct text_sink sink;
	const char *at; /* behind the last event that was read */
} trace;

static void write_all(void)
{
	text_sink_begin(&trace.sink);
	CHECK(mw_trace_write(text_sink_keep, &trace.sink));
	trace.at = trace.sink.text;
}

static bool begins(const char *at, const char *with)
{
	while (*with && *at == *with)
		at++, with++;
	return !*with;
}

/* The next line with an event, behind its comma. NULL: there is none. */
static const char *next_line(void)
{
	const char *at = trace.at;

	for (; *at; at++)
		if (begins(at, "\n{\"name\":\"") && !begins(at, "\n{\"name\":\"thread_name\"") &&
		    !begins(at, "\n{\"name\":\"process_name\"")) {
			trace.at = at + 1;
			return at + 1;
		}
	return NULL;
}

/* Is it in this line? */
static bool line_has(const char *line, const char *part)
{
	for (; *line && *line != '\n'; line++)
		if (begins(line, part))
			return true;
	return false;
}

/*
 * The next event is this one. @ns: how long it took; UINT64_MAX: it is a moment; 0: whatever it
 * was.
 */
static void comes(const char *name, const char *category, char phase, const char *args, uint64_t ns)
{
	const char *line = next_line();
	char head[96], duration[48] = "\"dur\":";
	bool ok;

	mw_format(head, sizeof(head),
		  "{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"%c\",\"pid\":1,\"tid\":%u,", name,
		  category, phase, mw_port_cpu());
	if (ns && ns != UINT64_MAX)
		mw_format(duration, sizeof(duration), "\"dur\":%llu.%03u,",
			  (unsigned long long)(ns / 1000), (unsigned int)(ns % 1000));
	ok = line && begins(line, head) && line_has(line, args) && line_has(line, "\"ts\":") &&
	     line_has(line, "\"s\":\"t\"") == (phase == 'i') &&
	     line_has(line, duration) == (phase == 'X');
	if (!ok)
		test_note("not %s, %s, but %s", head, args, line ? line : "the end");
	CHECK(ok);
}

/* A span that comes or goes, and what all hold then. */
static void span_comes(const char *name, size_t pages)
{
	struct mw_page_stats stats;
	char args[64];

	mw_page_stats(&stats);
	mw_format(args, sizeof(args), "\"args\":{\"pages\":%zu,\"all\":%zu}}", pages, stats.objects);
	comes(name, "page", 'i', args, UINT64_MAX);
	mw_format(args, sizeof(args), "\"args\":{\"bytes\":%zu}}", stats.objects * PAGE);
	comes("object pages", "page", 'C', args, UINT64_MAX);
}

static void begin(void)
{
	trace.sink.text = NULL;
	test_heap(16 << 20);
	CHECK(mw_cpu_start());
	NEED(mw_trace_on(true));
}

/* Events so far, and only these, were read. */
static void ends(void)
{
	const char *line = next_line();

	if (line)
		test_note("%s", line);
	CHECK(!line);
}

/* Reading begins behind what was read before. */
static void go_on(void)
{
	size_t read = (size_t)(trace.at - trace.sink.text);

	write_all();
	trace.at = trace.sink.text + read;
}

TEST(spans_come_and_go)
{
	char *large, *small;
	size_t pages;

	begin();
	NEED(large = mw_alloc(100000, MW_NORMAL));
	write_all();
	span_comes("span", mw_usable_size(large) / PAGE);
	NEED(mw_realloc(large, 100000 + 3 * PAGE, MW_NORMAL) == large);
	go_on();
	span_comes("span", 3);
	pages = mw_usable_size(large) / PAGE;
	NEED(mw_realloc(large, 60000, MW_NORMAL) == large);
	go_on();
	span_comes("span back", pages - mw_usable_size(large) / PAGE);
	pages = mw_usable_size(large) / PAGE;
	mw_free(large);
	mw_cpu_stop();
	go_on();
	span_comes("span back", pages);
	CHECK(mw_cpu_start());
	NEED(small = mw_alloc(100, MW_NORMAL));
	go_on();
	/* It looks for one, takes a span, and looks again. */
	comes("refill", "object", 'i', "\"args\":{\"cache\":\"alloc-112\"}}", UINT64_MAX);
	span_comes("span", mw_span_of(small)->pages);
	comes("refill", "object", 'i', "\"args\":{\"cache\":\"alloc-112\"}}", UINT64_MAX);
	go_on();
	ends();
	mw_free(small);
	CHECK(mw_trace_on(false));
}

static size_t longest_region(void)
{
	struct mw_region_stats region;
	size_t longest = 0;

	for (size_t i = 0; mw_region_stats(i, &region); i++)
		longest = mw_max(longest, region.pages - region.metadata);
	return longest;
}

TEST(memory_runs_out)
{
	char args[64];
	struct mw_page_stats stats;
	size_t all, n, runs = 0, steps = 0;
	void *run[16];

	begin();
	/* More than there is if all is free: nothing is tried. */
	mw_page_stats(&stats);
	all = stats.bytes / PAGE;
	CHECK(!mw_pages_alloc(all, MW_NORMAL));
	write_all();
	mw_format(args, sizeof(args), "\"args\":{\"pages\":%zu,\"steps\":0}}", all);
	comes("out of memory", "page", 'i', args, UINT64_MAX);
	/* What a region could have: each step is told, in order. */
	n = longest_region() / 2;
	while (runs < MW_LEN(run) && (run[runs] = mw_pages_alloc(n, MW_NORMAL)))
		runs++;
	NEED(runs && runs < MW_LEN(run));
	go_on();
	for (;; steps++) {
		const char *line, *before = trace.at;

		line = next_line();
		NEED(line);
		trace.at = before;
		if (!begins(line, "{\"name\":\"reclaim\""))
			break;
		mw_format(args, sizeof(args), "\"args\":{\"pages\":%zu,\"step\":", n);
		comes("reclaim", "page", 'i', args, UINT64_MAX);
	}
	CHECK(steps >= 1);
	mw_format(args, sizeof(args), "\"args\":{\"pages\":%zu,\"steps\":", n);
	comes("out of memory", "page", 'i', args, UINT64_MAX);
	ends();
	while (runs--)
		mw_pages_free(run[runs], n);
	CHECK(mw_trace_on(false));
}

TEST(pages_go_to_the_port)
{
	size_t bytes;
	char args[64];
	void *run;

	begin();
	NEED(run = mw_pages_alloc(77, MW_NORMAL));
	mw_pages_free(run, 77);
	bytes = mw_scavenge(0, 50 * PAGE);
	if (!bytes)
		test_skip("the port takes none");
	write_all();
	mw_format(args, sizeof(args), "\"args\":{\"pages\":%zu}}", bytes / PAGE);
	comes("scavenge", "page", 'X', args, 0);
	ends();
	CHECK(mw_trace_on(false));
}

#if MW_GC
static struct mw_gc_cycle last;
static size_t before; /* as it was known when the roots were */

static void see(struct mw_gc_listener *self, enum mw_gc_moment moment, const struct mw_gc_cycle *cycle)
{
	(void)self;
	if (moment == MW_GC_ROOTS_DONE)
		before = cycle->heap_before;
	last = *cycle;
}

static void stage_comes(const char *name, const char *what, unsigned long number, uint64_t ns)
{
	char args[64];

	mw_format(args, sizeof(args), "\"args\":{\"%s\":%lu}}", what, number);
	comes(name, "gc", ns == UINT64_MAX ? 'C' : 'X', args, ns);
}

TEST(stages_of_a_cycle)
{
	struct mw_gc_listener listener = { .moment = see };
	void **root = test_memory(PAGE);

	begin();
	root = test_memory(PAGE);
	NEED(mw_gc_root_add("events", root, root + 100, NULL));
	test_own_roots(true);
	for (size_t i = 0; i < 100; i++)
		NEED(root[i] = mw_alloc(100, MW_COLLECTED));
	mw_gc_listen(&listener);
	for (unsigned long cycle = 1; cycle <= 2; cycle++) {
		/* What came before, of spans, is of no interest. */
		write_all();
		while (next_line())
			;
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
		go_on();
		stage_comes("stop", "cycle", cycle, last.stop_ns);
		stage_comes("roots", "cycle", cycle, last.roots_ns);
		stage_comes("collected heap", "bytes", before, UINT64_MAX);
		stage_comes("mark", "objects", 100, last.mark_ns);
		stage_comes("collected heap", "bytes", last.heap_marked, UINT64_MAX);
		stage_comes("start", "cycle", cycle, last.start_ns);
		stage_comes("sweep", "spans", last.spans, last.sweep_ns);
		ends();
	}
	mw_gc_unlisten(&listener);
	CHECK(mw_trace_on(false));
}
#endif
#endif
