// SPDX-License-Identifier: MIT
/* What a cycle tells of itself, against a graph that is known to the word. */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "gc_heap.h"
#include "../mm/base/report.h"

#if MW_GC

struct node {
	struct node *next;
	uintptr_t value;
	struct node *other;
};

static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, next), MW_PTR(struct node, other));

#define TYPED 300
#define LOOSE 50
#define PLAIN 70
#define LOST 90

static struct {
	size_t objects, bytes, words; /* that are to be marked */
	size_t all_bytes, spans; /* of all collected objects */
} known;

static void counted(const void *object, size_t words)
{
	NEED(object);
	known.objects++;
	known.bytes += mw_usable_size(object);
	known.words += words;
}

static void count_spans(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	known.spans = known.all_bytes = 0;
	while ((span = mw_span_next(&cursor))) {
		if (!(mw_span_flags(span) & MW_SPAN_COLLECTED))
			continue;
		known.spans++;
		known.all_bytes += mw_span_live_count(span) * span->size;
	}
}

/* A list of typed nodes; loose objects, one of them large; plain ones; and some that nothing leads to. */
static void make_graph(void)
{
	struct node *node;
	void **large;

	setup(32 << 20);
	test_own_roots(true);
	known.objects = known.bytes = 0;
	known.words = ROOTS;
	for (size_t i = 0; i < TYPED; i++) {
		counted(node = mw_new(&node_type, MW_NORMAL), 2);
		node->next = root[0];
		node->value = (uintptr_t)node;
		root[0] = node;
	}
	for (size_t i = 1; i <= LOOSE; i++)
		counted(root[i] = mw_alloc(64, MW_COLLECTED), 64 / sizeof(void *));
	counted(large = mw_alloc(100000, MW_COLLECTED), 0);
	known.words += mw_usable_size(large) / sizeof(void *);
	root[LOOSE + 1] = (struct node *)large;
	for (size_t i = 0; i < PLAIN; i++)
		counted(large[i * 100] = mw_alloc(200, MW_NOSCAN), 0);
	for (size_t i = 0; i < LOST; i++)
		NEED(mw_alloc(64 + i, i & 1 ? MW_NOSCAN : MW_COLLECTED));
	count_spans();
}

static struct mw_gc_cycle seen[MW_NR_GC_MOMENTS];

static void see_moment(struct mw_gc_listener *self, enum mw_gc_moment moment,
		       const struct mw_gc_cycle *cycle)
{
	(void)self;
	seen[moment] = *cycle;
}

static void check_marked(const struct mw_gc_cycle *c)
{
	struct mw_stats stats;

	mw_stats(&stats);
	CHECK_EQ(c->objects_marked, known.objects);
	CHECK_EQ(c->heap_marked, known.bytes);
	CHECK_EQ(c->words_scanned, known.words);
	CHECK_EQ(c->goal, stats.goal);
	CHECK(c->goal > known.bytes && c->markers >= 1);
}

static void check_times(const struct mw_gc_cycle *c, uint64_t before, uint64_t after)
{
	uint64_t pause = c->stop_ns + c->roots_ns + c->mark_ns + c->start_ns;
	struct mw_pause last;

	CHECK_EQ(mw_pauses(&last, 1), c->number);
	CHECK(c->started >= before && c->started + pause + c->sweep_ns <= after);
	CHECK_EQ(last.ns, pause);
	CHECK_EQ(last.end, c->started + pause);
}

TEST(each_figure_of_a_cycle)
{
	struct mw_gc_listener listener = { .moment = see_moment };
	const struct mw_gc_cycle *end = &seen[MW_NR_GC_MOMENTS - 1];
	uint64_t before;

	make_graph();
	mw_gc_listen(&listener);
	for (unsigned long cycle = 1; cycle <= 3; cycle++) {
		before = mw_port_now();
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
		CHECK_EQ(end->number, cycle);
		/* What was allocated since the last mark is counted in words of a span's objects. */
		CHECK(end->heap_before >= known.all_bytes - known.all_bytes / 8);
		CHECK(end->heap_before <= known.all_bytes + known.all_bytes / 8);
		CHECK(cycle == 1 || end->heap_before == known.bytes);
		CHECK_EQ(end->spans, known.spans);
		CHECK_EQ(end->spans_swept_background + end->spans_swept_on_demand, known.spans);
		check_marked(end);
		check_times(end, before, mw_port_now());
		/* What nothing led to is gone, with spans that had nothing else. */
		CHECK_EQ(live_objects(), known.objects);
		count_spans();
		CHECK_EQ(known.all_bytes, known.bytes);
	}
	mw_gc_unlisten(&listener);
	CHECK(!seen[0].heap_marked && !seen[0].objects_marked && !seen[0].words_scanned);
	CHECK(!seen[0].spans && !seen[0].sweep_ns && !seen[0].mark_ns);
}

/* Some spans are swept because somebody wants objects of them, before the sweeper comes. */
TEST(sweeps_on_demand_are_told)
{
	struct mw_gc_listener listener = { .moment = see_moment };
	const struct mw_gc_cycle *end = &seen[MW_NR_GC_MOMENTS - 1];

	make_graph();
	mw_gc_listen(&listener);
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	for (size_t i = 0; i < LOST; i++)
		NEED(mw_alloc(64, MW_COLLECTED));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK_EQ(end->number, 2);
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	for (size_t i = 0; i < LOST; i++)
		NEED(mw_alloc(64, MW_COLLECTED));
	mw_gc_unlisten(&listener);
	CHECK(mw_word(&mw_gc.sweeping.swept_demand) > 0);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}

TEST(the_line_of_a_cycle)
{
	struct mw_gc_listener listener = { .moment = see_moment };
	const struct mw_gc_cycle *c = &seen[MW_NR_GC_MOMENTS - 1];
	char line[320];
	const char *text;

	make_graph();
	mw_gc_listen(&listener);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	test_capture();
	mw_gc_trace(true);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	text = test_captured();
	mw_gc_trace(false);
	mw_gc_unlisten(&listener);
	mw_format(line, sizeof(line),
		  "gc 2: %u markers, stop %lu us, roots %lu, mark %lu, start %lu, sweep %lu; "
		  "%zu -> %zu KiB, goal %zu; %zu objects, %zu words; %zu + %zu spans swept, ",
		  c->markers, (unsigned long)(c->stop_ns / 1000),
		  (unsigned long)(c->roots_ns / 1000), (unsigned long)(c->mark_ns / 1000),
		  (unsigned long)(c->start_ns / 1000), (unsigned long)(c->sweep_ns / 1000),
		  c->heap_before >> 10, c->heap_marked >> 10, c->goal >> 10, known.objects,
		  known.words, c->spans_swept_background, c->spans_swept_on_demand);
	CHECK(test_has(text, line));
	mw_format(line, sizeof(line), "%lu steals, %lu yields\n", c->steals, c->yields);
	CHECK(test_has(text, line));
}

#endif
