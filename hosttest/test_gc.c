/* SPDX-License-Identifier: MIT */
/* The collector: what lives, what dies, by every kind of root and of type. */
#include "gc_lists.h"

#if MW_GC

TEST(unreached_objects_die_reached_ones_live)
{
	setup(16 << 20);
	keep_list(0, 1000);
	keep_list(1, 2000);
	collect();
	CHECK_EQ(live_objects(), 3000);
	root[1] = NULL;
	collect();
	CHECK(live_objects() >= 1000 && live_objects() <= 1010);
	check_list(0, 1000);
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

NOINLINE static void make_cycle(void)
{
	keep_list(0, 1000);
	root[0]->other = root[0];
	root[0]->next->next->other = root[0];
}

TEST(cycles_of_garbage_die)
{
	setup(16 << 20);
	make_cycle();
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

NOINLINE static void *plain_garbage(size_t n, size_t size, mw_flags_t flags)
{
	void *last = NULL;

	for (size_t i = 0; i < n; i++) {
		last = mw_alloc(size, flags);
		NEED(last);
	}
	return last;
}

TEST(all_sizes_are_swept)
{
	static const size_t sizes[] = { 1, 8, 16, 24, 48, 64, 200, 1024, 5000, 32768, 40000, 1 << 20 };

	setup(64 << 20);
	for (size_t i = 0; i < MW_LEN(sizes); i++) {
		(void)plain_garbage(20, sizes[i], MW_COLLECTED);
		(void)plain_garbage(20, sizes[i], MW_NOSCAN);
		collect();
		collect();
		CHECK(live_objects() <= 4);
	}
}

NOINLINE static void make_noscan_holder(void)
{
	void **holder = mw_alloc(64, MW_NOSCAN);

	NEED(holder);
	root[0] = (struct node *)holder;
	*holder = make_list(100);
}

TEST(noscan_objects_keep_nothing)
{
	setup(16 << 20);
	make_noscan_holder();
	collect();
	collect();
	CHECK(live_objects() <= 5);
	CHECK(mw_gc_is_object(root[0]));
}

TEST(interior_pointers_keep_objects)
{
	setup(16 << 20);
	root[0] = (struct node *)((char *)mw_alloc(4000, MW_COLLECTED) + 3999);
	root[1] = (struct node *)((char *)mw_alloc(300000, MW_COLLECTED) + 299999);
	collect();
	CHECK(mw_gc_is_object(root[0]));
	CHECK(mw_gc_is_object(root[1]));
	CHECK_EQ(live_objects(), 2);
}

TEST(ends_are_not_interior)
{
	struct mw_place place;

	setup(16 << 20);
	root[0] = mw_alloc(64, MW_COLLECTED);
	NEED(mw_lookup(root[0], &place));
	root[0] = (struct node *)((char *)place.base + place.size);
	collect();
	collect();
	CHECK(live_objects() <= 1);
}

TEST(collected_memory_is_born_zero)
{
	setup(16 << 20);
	for (unsigned int round = 0; round < 4; round++) {
		for (size_t i = 0; i < 500; i++) {
			unsigned char *p = mw_alloc(100, MW_COLLECTED);

			NEED(p);
			for (size_t b = 0; b < 100; b++)
				if (p[b])
					CHECK_EQ(p[b], 0);
			for (size_t b = 0; b < 100; b++)
				p[b] = 0xee;
		}
		collect();
	}
	CHECK(live_objects() < 20);
}

/* ---- explicit frees, debugging, policies ---- */

TEST(freed_by_hand)
{
	struct node *list;

	setup(16 << 20);
	keep_list(0, 100);
	list = root[0];
	root[0] = list->next;
	mw_free(list);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_free(list);
	test_misuse_came();
	collect();
	CHECK(live_objects() >= 99 && live_objects() <= 100);
	/* Unswept: the free has to sweep the span first. */
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	list = root[0];
	root[0] = list->next;
	mw_free(list);
	collect();
	CHECK(live_objects() >= 98 && live_objects() <= 100);
}

TEST(second_mark_agrees)
{
	setup(16 << 20);
	keep_list(0, 5000);
	fill_array(5000);
	CHECK(mw_gc_check());
	collect();
	CHECK(mw_gc_check());
}

static struct mw_span *mark_bit_of(const void *object, size_t *index)
{
	struct mw_span *span = mw_span_of(object);

	NEED(span);
	*index = mw_span_index(span, object);
	return span;
}

/* The head of a list looks as if it had been marked: the first mark passes it by, and misses the rest. */
static void mark_the_head(struct mw_gc_listener *self, enum mw_gc_moment moment,
			  const struct mw_gc_cycle *cycle)
{
	struct mw_span *span;
	size_t index;

	(void)self, (void)cycle;
	if (moment != MW_GC_ROOTS_DONE)
		return;
	span = mark_bit_of(root[0], &index);
	mw_set_word(&span->mark[index / MW_WORD_BITS], mw_bit(index));
}

TEST(second_mark_finds_what_the_first_one_missed)
{
	static struct mw_gc_listener listener = { .moment = mark_the_head };

	setup(16 << 20);
	keep_list(0, 50);
	mw_gc_listen(&listener);
	CHECK(!mw_gc_check());
	mw_gc_unlisten(&listener);
	root[0] = NULL; /* its list is gone */
	CHECK(mw_gc_check());
}

TEST(marks_that_are_left_over_are_found)
{
	struct mw_span *span;
	size_t index;

	setup(16 << 20);
	keep_list(0, 50);
	collect();
	span = mark_bit_of(root[0], &index);
	CHECK(mw_heap_check());
	mw_set_word(&span->mark[index / MW_WORD_BITS], mw_bit(index));
	CHECK(!mw_heap_check());
	mw_set_word(&span->mark[index / MW_WORD_BITS], 0);
	CHECK(mw_heap_check());
}

TEST(a_check_without_memory_says_so)
{
	static const struct mw_fail fail = { .every = 1, .pages = true };

	setup(16 << 20);
	keep_list(0, 50);
	(void)mw_fail_set(&fail);
	CHECK(!mw_gc_check());
	CHECK(mw_fail_set(NULL) > 0);
	CHECK(mw_gc_check());
}

TEST(bad_pointers_are_reported)
{
	const struct mw_report *report;

	setup(16 << 20);
	keep_list(0, 10);
	root[0]->next->other = root[0]->next->next;
	root[0]->next->next = root[0]->next->next->next;
	mw_free(root[0]->next->other);
	mw_gc_debug(MW_GC_DEBUG_POINTERS, 0);
	test_expect_misuse(MW_BAD_POINTER);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	report = test_misuse_came();
	NEED(report);
	CHECK_PTR(report->object, root[0]->next);
	CHECK_EQ(report->given, offsetof(struct node, other));
	mw_gc_debug(0, 0);
}

static size_t common(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

/* The text has these parts, in this order. */
static void check_parts(const char *text, const char *const *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = text;

		while (*at && parts[i][common(at, parts[i])])
			at++;
		if (!*at)
			test_note("\"%s\" is missing in \"%s\"", parts[i], text);
		NEED(*at);
		text = at + common(at, parts[i]);
	}
}

/* The last of @n holds what is no object, and one before it is held by the last, too: a cycle. */
BARE NOINLINE static void make_bad_list(char (*address)[24], unsigned int n)
{
	struct node *node, *before;

	/* The first object of a span is where the span is, which is what some register often knows. */
	keep_list(1, 1);
	keep_list(0, n);
	node = before = root[0];
	for (unsigned int i = 0; i < n; i++, node = node->next) {
		mw_format(address[i], sizeof(address[i]), "%p", (void *)node);
		if (node->next) {
			before = node;
			continue;
		}
		node->other = before;
		node->next = mw_alloc(64, MW_COLLECTED);
		mw_free(node->next);
		return;
	}
}

NOINLINE static void mend_list(void)
{
	struct node *node = root[0];

	while (!node->other)
		node = node->next;
	node->next = NULL;
}

/* Old pointers stay in what a sanitizer leaves around variables: there the stack holds the last one. */
#ifdef __SANITIZE_ADDRESS__
#define FRAMES_HAVE_GAPS 1
#else
#define FRAMES_HAVE_GAPS 0
#endif

TEST(bad_pointers_come_with_a_path)
{
	size_t n = 9;
	static char address[4][24];
	const char *parts[] = { "held by",	address[3],	"reached from",
				address[2],	"reached from", address[1],
				"reached from", address[0],	"reached from root test" };
	const char *text;

	setup(16 << 20);
	if (FRAMES_HAVE_GAPS) {
		parts[2] = "reached from root";
		n = 3;
	}
	make_bad_list(address, 4);
	mw_gc_debug(MW_GC_DEBUG_POINTERS, 0);
	test_expect_misuse(MW_BAD_POINTER);
	test_capture();
	collect();
	text = test_captured();
	NEED(test_misuse_came());
	check_parts(text, parts, n);
	mw_gc_debug(0, 0);
	mend_list();
	CHECK(mw_gc_check());
}

#define LONG_PATH 40 /* steps: more than are printed */

TEST(a_path_that_is_too_long_is_cut_off)
{
	static char address[LONG_PATH][24];
	const char *text;

	setup(16 << 20);
	test_own_roots(true);
	make_bad_list(address, LONG_PATH);
	mw_gc_debug(MW_GC_DEBUG_POINTERS, 0);
	test_expect_misuse(MW_BAD_POINTER);
	test_capture();
	collect();
	text = test_captured();
	NEED(test_misuse_came());
	check_parts(text,
		    (const char *[]){ "held by", address[LONG_PATH - 1], "reached from", address[8],
				      "and so on\n" },
		    5);
	CHECK(!test_has(text, address[7]) && !test_has(text, "root"));
	mw_gc_debug(0, 0);
	mend_list();
	CHECK(mw_gc_check());
}

TEST(collects_at_every_nth_allocation)
{
	setup(16 << 20);
	mw_gc_debug(MW_GC_DEBUG_CHECK | MW_GC_DEBUG_POISON, 10);
	keep_list(0, 200);
	mw_gc_debug(0, 0);
	CHECK(mw_word(&mw_gc.cycles) >= 15);
	check_list(0, 200);
}

TEST(pacing_keeps_the_heap_small)
{
	struct mw_gc_policy policy;

	setup(64 << 20);
	mw_gc_policy_get(&policy);
	CHECK_EQ(policy.percent, 100);
	policy.least = 1 << 20;
	CHECK(mw_gc_policy_set(&policy));
	policy.percent = -7;
	CHECK(!mw_gc_policy_set(&policy));
	for (unsigned int i = 0; i < 200; i++)
		(void)plain_garbage(1000, 100, MW_COLLECTED);
	CHECK(mw_word(&mw_gc.cycles) >= 5);
	collect();
	CHECK(live_objects() < 5000);
}

TEST(a_line_for_each_cycle)
{
	const char *text;

	setup(16 << 20);
	CHECK(mw_cpu_start());
	test_capture();
	mw_gc_trace(true);
	collect();
	mw_gc_trace(false);
	collect();
	text = test_captured();
	CHECK(test_has(text, "gc 1: ") && test_has(text, " markers, stop "));
	CHECK(!test_has(text, "gc 2: "));
}

/* A worker that is slow to come does not collect what somebody else has collected meanwhile. */
TEST(a_late_worker_has_nothing_to_do)
{
	struct mw_gc_policy policy;
	unsigned long cycles;

	setup(64 << 20);
	mw_gc_policy_get(&policy);
	policy.least = 1 << 20;
	CHECK(mw_gc_policy_set(&policy));
	for (unsigned int i = 0; i < 3; i++) {
		while (!mw_word(&mw_gc.pace.due))
			(void)plain_garbage(10, 100, MW_COLLECTED);
		collect();
		/* If it never comes, it is told of the next goal all the same. */
		CHECK(!mw_word(&mw_gc.pace.due));
		cycles = mw_word(&mw_gc.cycles);
		CHECK(!mw_worker_run(MW_WORKER_COLLECT, 1000000));
		CHECK_EQ(mw_word(&mw_gc.cycles), cycles);
		while (!mw_word(&mw_gc.pace.due))
			(void)plain_garbage(10, 100, MW_COLLECTED);
		CHECK(!mw_worker_run(MW_WORKER_COLLECT, 1000000));
		CHECK_EQ(mw_word(&mw_gc.cycles), cycles + 1);
	}
}

TEST(out_of_memory_collects_first)
{
	struct mw_gc_policy policy;

	setup(8 << 20);
	mw_gc_policy_get(&policy);
	policy.percent = MW_GC_OFF;
	CHECK(mw_gc_policy_set(&policy));
	for (unsigned int i = 0; i < 100; i++)
		(void)plain_garbage(100, 4096, MW_NOSCAN);
	CHECK(mw_word(&mw_gc.cycles) >= 2);
}

/* ---- events ---- */

struct heard {
	struct mw_gc_listener listener;
	enum mw_gc_moment moments[32];
	unsigned int n;
};

static void hear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	struct heard *heard = (struct heard *)self;

	CHECK(cycle->number > 0);
	if (heard->n < MW_LEN(heard->moments))
		heard->moments[heard->n++] = moment;
}

TEST(events_come_in_order)
{
	static struct heard heard;

	setup(16 << 20);
	heard = (struct heard){ .listener.moment = hear };
	mw_gc_listen(&heard.listener);
	collect();
	CHECK_EQ(heard.n, MW_NR_GC_MOMENTS);
	for (unsigned int i = 0; i < heard.n; i++)
		CHECK_EQ(heard.moments[i], i);
	mw_gc_unlisten(&heard.listener);
	collect();
	CHECK_EQ(heard.n, MW_NR_GC_MOMENTS);
}

#endif
