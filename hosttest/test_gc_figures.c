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

/*
 * A list of typed nodes; loose objects, one of them large; plain ones; and some that nothing leads
 * to.
 */
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
		/*
		 * What was allocated since the last mark is counted in words of a span's objects.
		 */
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
	struct mw_stats stats;
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
	mw_stats(&stats);
	mw_format(line, sizeof(line),
		  "%lu steals, %lu yields, %lu handed over; %lu objects ever, %lu freed\n",
		  c->steals, c->yields, c->handovers, stats.allocs, stats.frees);
	CHECK(test_has(text, line));
}

/* What has been set aside is not below what is found, however little it is. */
TEST(a_cycle_begins_with_no_less_than_it_finds)
{
	struct mw_gc_listener listener = { .moment = see_moment };
	const struct mw_gc_cycle *c = &seen[MW_NR_GC_MOMENTS - 1];

	setup(32 << 20);
	test_own_roots(true);
	mw_gc_listen(&listener);
	for (size_t i = 0; i < 30; i++) {
		NEED(root[i] = mw_alloc(100 + 20 * i, MW_COLLECTED));
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
		CHECK(c->heap_marked && c->heap_before >= c->heap_marked);
		CHECK(c->heap_before <= c->heap_marked + 64 * 1024);
	}
	mw_gc_unlisten(&listener);
	CHECK(mw_gc_root_remove(root));
}

/* ---- the beginning of a cycle ---- */

static void *pool;

static void empty_pool(struct mw_gc_listener *self, enum mw_gc_moment moment,
		       const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment == MW_GC_STOPPING)
		root[0] = NULL;
}

/* What the kernel keeps for later goes in the very cycle that begins. */
TEST(pools_are_emptied_as_a_cycle_begins)
{
	struct mw_gc_listener empties = { .moment = empty_pool };

	setup(16 << 20);
	test_own_roots(true);
	NEED(pool = mw_alloc(100, MW_COLLECTED));
	root[0] = pool;
	pool = NULL;
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK_EQ(live_objects(), 1);
	mw_gc_listen(&empties);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK_EQ(live_objects(), 0);
	mw_gc_unlisten(&empties);
	CHECK(mw_gc_root_remove(root));
}

static size_t in_stocks(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.stocked;
}

TEST(stacks_in_stocks_go_back_at_a_collection)
{
	void *stacks[3], *page;
	size_t before;

	setup(16 << 20);
	for (unsigned int order = 1; order <= 3; order++)
		NEED(stacks[order - 1] = mw_stack_alloc(order, MW_NORMAL));
	NEED(page = mw_pages_alloc(1, MW_NORMAL));
	for (unsigned int order = 1; order <= 3; order++)
		mw_stack_free(stacks[order - 1], order);
	if (in_stocks() < 14)
		test_skip("no stocks of stacks");
	mw_pages_free(page, 1);
	before = in_stocks();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	/* Single pages are not of stacks alone, and stay. */
	CHECK_EQ(in_stocks(), before - 14);
	CHECK(mw_gc_root_remove(root));
}

/* ---- the scavenger's line ---- */

TEST(the_scavenger_has_a_line)
{
	struct mw_page_stats stats;
	size_t bytes, released = 0;
	const char *text;
	char line[200];

	setup(16 << 20);
	mw_free(mw_alloc(500000, MW_NORMAL));
	test_capture();
	mw_gc_trace(true);
	bytes = mw_scavenge(0, SIZE_MAX);
	mw_gc_trace(false);
	(void)mw_scavenge(0, SIZE_MAX);
	text = test_captured();
	mw_page_stats(&stats);
	if (!bytes)
		test_skip("nobody to give it to");
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		released += stats.zone[z].released;
	mw_format(line,
		  sizeof(line), "scavenger: %zu KiB released, %zu in all; %zu in use, %zu idle, %zu of the machine's %zu\n",
		  bytes >> 10, released << MW_PAGE_SHIFT >> 10,
		  (stats.raw + stats.objects) << MW_PAGE_SHIFT >> 10,
		  (stats.free + stats.stocked) << MW_PAGE_SHIFT >> 10,
		  (stats.bytes - stats.untouched - (released << MW_PAGE_SHIFT)) >> 10,
		  stats.bytes >> 10);
	CHECK(test_has(text, line));
	CHECK(!test_has(test_has(text, "scavenger:") + 1, "scavenger:"));
	CHECK(mw_gc_root_remove(root));
}

/* ---- finalizers that are set ---- */

static void some_finalizer(void *object, void *arg)
{
	(void)object, (void)arg;
}

TEST(a_finalizer_can_be_asked_for)
{
	void (*fn)(void *object, void *arg) = NULL;
	int here = 0;
	void *object, *arg = NULL;

	setup(16 << 20);
	test_heap_may_leak();
	NEED(object = mw_alloc(100, MW_COLLECTED));
	CHECK(!mw_finalizer_get(object, &fn, &arg));
	CHECK(!fn && !arg);
	NEED(mw_finalizer_set(object, some_finalizer, &here));
	CHECK(mw_finalizer_get(object, &fn, &arg));
	CHECK(fn == some_finalizer && arg == &here);
	CHECK(mw_finalizer_get(object, NULL, NULL));
	CHECK(!mw_finalizer_get((char *)object + 8, &fn, &arg));
	CHECK(mw_finalizer_clear(object));
	CHECK(!mw_finalizer_get(object, &fn, &arg));
	CHECK(mw_gc_root_remove(root));
}

#endif
