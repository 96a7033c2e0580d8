// SPDX-License-Identifier: MIT
/*
 * Two sweepers at one span, and two markers, with a switch at each instruction of one of them in turn. The
 * second CPU waits where it should, and the first one goes on then.
 */
#include "gc_heap.h"

#if MW_GC

#include "../mm/gc/mark.h"

#define MOST 20000u /* instructions: more than there are */
#define LEAST 20u

struct node {
	struct node *next;
	uintptr_t name;
};

static bool is_bit(const mw_atomic_t *bits, const struct mw_span *span, const void *object)
{
	size_t index = mw_span_index(span, object);

	return mw_word(&bits[index / MW_WORD_BITS]) & mw_bit(index);
}

/* ---- two sweepers ---- */

static struct {
	struct mw_span *span;
	uintptr_t dead; /* inverted: it is no root */
	unsigned long early, lost; /* came back and it was not swept; took what lives */
	size_t seen;
} sweeps;

static NOINLINE void make_node(bool kept)
{
	struct node *node = mw_alloc(sizeof(*node), MW_COLLECTED);

	NEED(node);
	*node = (struct node){ .name = 7 };
	if (kept)
		root[0] = node;
	else
		sweeps.dead = ~(uintptr_t)node;
}

static void look(void)
{
	sweeps.early += !is_bit(sweeps.span->free, sweeps.span, (void *)~sweeps.dead);
	sweeps.lost += is_bit(sweeps.span->free, sweeps.span, root[0]);
}

static void sweep(void *arg)
{
	(void)arg;
	mw_up_span_sweep(sweeps.span);
}

static void sweep_and_look(void *arg)
{
	sweep(arg);
	look();
}

/* Who sees that it is swept need not ask for it. */
static void look_if_swept(void *arg)
{
	(void)arg;
	if (!mw_up_span_unswept(sweeps.span))
		look();
}

static BARE NOINLINE void mark_only(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
}

static void while_one_sweeps(void (*other)(void *arg))
{
	unsigned long at = 0, unswept = 0;
	bool more;

	setup(16 << 20);
	sweeps.early = sweeps.lost = 0;
	make_node(true);
	sweeps.span = mw_span_of(root[0]);
	do {
		make_node(false);
		NEED(mw_span_of((void *)~sweeps.dead) == sweeps.span);
		mark_only();
		unswept += mw_up_span_unswept(sweeps.span);
		more = test_step(sweep, other, NULL, at++);
		look();
	} while (more && !sweeps.early && !sweeps.lost && at < MOST);
	CHECK_EQ(sweeps.early, 0);
	CHECK_EQ(sweeps.lost, 0);
	CHECK_EQ(root[0]->name, 7);
	CHECK_EQ(unswept, at);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions", at);
}

TEST_WITH(two_sweep_one_span, TEST_HOSTED)
{
	while_one_sweeps(sweep_and_look);
}

TEST_WITH(what_counts_as_swept_is, TEST_HOSTED)
{
	while_one_sweeps(look_if_swept);
}

/* ---- a span that is born while cycles go by ---- */

static struct mw_span *born;

static unsigned int behind(void)
{
	return atomic_load(&mw_gc.sweeping.generation) - atomic_load(&born->generation);
}

static void be_born(void *arg)
{
	(void)arg;
	mw_up_span_born(born);
}

/* What they do to generations; the stop waits for the other CPU. */
static void two_cycles(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 2; i++) {
		mw_sweep_finish();
		NEED(mw_port_stop_world() < 0);
		mw_sweep_hold();
		mw_set_word(&born->mark[0], mw_span_live_word(born, 0));
		mw_sweep_begin();
		mw_port_start_world();
	}
}

/* A span of one object, that no CPU owns. */
static void make_born(void)
{
	setup(16 << 20);
	root[0] = mw_alloc(sizeof(struct node), MW_COLLECTED);
	NEED(root[0]);
	collect();
	born = mw_span_of(root[0]);
}

/* It is not more than one cycle behind, so that whoever needs it swept can claim it. */
TEST_WITH(a_span_is_born_among_cycles, TEST_HOSTED)
{
	unsigned long at = 0, wrong = 0;
	bool more;

	make_born();
	do {
		atomic_store(&born->generation, 0);
		more = test_step(be_born, two_cycles, NULL, at++);
		wrong += behind() > MW_GENERATION_STEP;
		if (wrong)
			atomic_store(&born->generation, atomic_load(&mw_gc.sweeping.generation));
		mw_sweep_finish();
		CHECK(mw_gc_is_object(root[0]));
	} while (more && !wrong && at < MOST);
	CHECK_EQ(wrong, 0);
	CHECK(at > 10 && at < MOST);
	test_note("%lu instructions", at);
}

static void sweep_far_behind(void *arg)
{
	(void)arg;
	atomic_fetch_sub(&born->generation, 3 * MW_GENERATION_STEP);
	mw_up_span_sweep(born);
}

/* There is none; if there were, nobody would turn for ever. Assertions say so. */
TEST(a_span_far_behind_is_swept)
{
	make_born();
	mw_set_word(&born->mark[0], mw_span_live_word(born, 0)); /* as after a mark */
	if (MW_DEBUG) {
		CHECK(test_panics(sweep_far_behind, NULL));
		mw_reset();
		return;
	}
	sweep_far_behind(NULL);
	CHECK_EQ(behind(), 0);
	CHECK(mw_gc_is_object(root[0]));
	CHECK_EQ(mw_word(&born->mark[0]), 0);
}

/* ---- two markers ---- */

#define SPANS 6u

/* One object in each span, of another size, and what it points to in a span of that kind. */
static struct {
	struct node *object[SPANS], *behind[SPANS];
	struct mw_span *span[SPANS], *leaf[SPANS];
	const struct node *range[1];
} marks;

static void make_marks(void)
{
	setup(16 << 20);
	for (unsigned int i = 0; i < SPANS; i++) {
		size_t size = (size_t)32 << i;

		NEED(marks.object[i] = mw_alloc(size, MW_COLLECTED | MW_ZERO));
		NEED(marks.behind[i] = mw_alloc(size, MW_NOSCAN | MW_ZERO));
		root[2 * i] = marks.object[i];
		root[2 * i + 1] = marks.behind[i];
		marks.object[i]->next = marks.behind[i];
		marks.span[i] = mw_span_of(marks.object[i]);
		marks.leaf[i] = mw_span_of(marks.behind[i]);
	}
	collect();
}

/* Test data may be roots: of the tests that follow too. */
static void forget_marks(void)
{
	__builtin_memset(&marks, 0, sizeof(marks));
}

static void clear_marks(void)
{
	for (unsigned int i = 0; i < SPANS; i++) {
		mw_sweep_clear(marks.span[i]);
		mw_sweep_clear(marks.leaf[i]);
	}
}

static void run_marker(unsigned int marker)
{
	unsigned long state = mw_port_pin();

	mw_mark_run(marker, NULL);
	mw_port_unpin(state);
}

static void first_marker(void *arg)
{
	(void)arg;
	run_marker(0);
}

static void second_marker(void *arg)
{
	(void)arg;
	run_marker(1);
}

static void mark_in(unsigned int marker, struct mw_span *span, const void *object)
{
	size_t index = mw_span_index(span, object);
	struct mw_pending pending;

	mw_pending_init(&pending);
	*++pending.last = (struct mw_pending_word){
		.mark = &span->mark[index / MW_WORD_BITS],
		.free = &span->free[index / MW_WORD_BITS],
		.bits = mw_bit(index),
		.span = span,
	};
	mw_mark_settle_all(&mw_gc.marking.marker[marker], &pending, false);
}

static void mark_one(unsigned int marker, unsigned int i)
{
	mark_in(marker, marks.span[i], marks.object[i]);
}

/* Finds a pointer into the span that the first one scans; what is in its own queue is its to do. */
static void mark_in_it(void *arg)
{
	(void)arg;
	mark_one(1, 0);
	run_marker(1);
}

static unsigned long unmarked(unsigned int spans)
{
	unsigned long n = 0;

	for (unsigned int i = 0; i < spans; i++)
		n += !is_bit(marks.span[i]->mark, marks.span[i], marks.object[i]) +
		     !is_bit(marks.leaf[i]->mark, marks.leaf[i], marks.behind[i]);
	return n;
}

/* The first marker scans a span for another object of it meanwhile. */
TEST_WITH(a_mark_at_each_step_of_a_scan, TEST_HOSTED)
{
	struct node *beside;
	unsigned long at = 0, lost = 0;
	bool more;

	make_marks();
	beside = mw_alloc(32, MW_COLLECTED | MW_ZERO);
	NEED(beside && mw_span_of(beside) == marks.span[0]);
	root[2 * SPANS] = beside;
	marks.range[0] = beside;
	do {
		clear_marks();
		mw_mark_begin(2);
		mw_mark_add_range(marks.range, marks.range + 1, NULL);
		more = test_step(first_marker, mark_in_it, NULL, at++);
		lost += unmarked(1) + !is_bit(marks.span[0]->mark, marks.span[0], beside);
	} while (more && !lost && at < MOST);
	clear_marks();
	forget_marks();
	CHECK_EQ(lost, 0);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions", at);
}

static void first_leaf(void *arg)
{
	(void)arg;
	mark_in(0, marks.leaf[0], marks.behind[0]);
}

static void second_leaf(void *arg)
{
	(void)arg;
	mark_in(1, marks.leaf[0], marks.behind[0]);
}

/* Both come upon an object without pointers, which is counted as it is marked. */
TEST_WITH(two_mark_one_leaf, TEST_HOSTED)
{
	unsigned long at = 0, wrong = 0;
	bool more;

	make_marks();
	do {
		clear_marks();
		mw_mark_begin(2);
		more = test_step(first_leaf, second_leaf, NULL, at++);
		wrong += mw_gc.marking.marker[0].objects + mw_gc.marking.marker[1].objects != 1;
	} while (more && !wrong && at < MOST);
	clear_marks();
	forget_marks();
	CHECK_EQ(wrong, 0);
	CHECK(at > 20 && at < MOST);
}

/*
 * The first marker has all spans. Every other time it is told to give some away; else it hears of
 * the one that waits, and takes back what it gave, as that one's turn comes only when all is done.
 */
TEST_WITH(two_markers_share_spans, TEST_HOSTED)
{
	unsigned long at = 0, lost = 0, steals[2] = { 0, 0 };
	bool more;

	make_marks();
	do {
		clear_marks();
		mw_mark_begin(2);
		for (unsigned int i = 0; i < SPANS; i++)
			mark_one(0, i);
		atomic_store(&mw_gc.marking.hungry, at & 1 ? 100 : 0);
		more = test_step(first_marker, second_marker, NULL, at++);
		lost += unmarked(SPANS);
		lost += mw_gc.marking.marker[0].objects + mw_gc.marking.marker[1].objects !=
			2 * SPANS;
		/* Counted by @at before it went on. */
		steals[~at & 1] += mw_gc.marking.marker[at & 1 ? 0 : 1].steals;
	} while (more && !lost && at < MOST);
	clear_marks();
	forget_marks();
	CHECK_EQ(lost, 0);
	/* From nearly every moment on: where one waits and is not heard nothing is given. */
	CHECK(steals[0] > at / 4 && steals[1] > 0);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions, %lu and %lu steals", at, steals[0], steals[1]);
}

/* ---- a check, while aids are switched ---- */

#define CHECK_STEPS 300u /* until the world is stopped there are fewer */

static bool check_says;

static void check(void *arg)
{
	(void)arg;
	check_says = mw_gc_check();
}

static void no_aids(void *arg)
{
	(void)arg;
	mw_gc_debug(0, 0);
}

static void aids(void *arg)
{
	(void)arg;
	mw_gc_debug(MW_GC_DEBUG_POINTERS, 0);
}

TEST_WITH(a_check_checks_whatever_aids_are_on, TEST_HOSTED)
{
	unsigned long at = 0, missed = 0;
	bool more;

	setup(16 << 20);
	do {
		mw_gc.check_ok = false; /* of another check */
		more = test_step(check, no_aids, NULL, at++);
		missed += !check_says;
	} while (more && at < CHECK_STEPS);
	CHECK_EQ(missed, 0);
}

TEST_WITH(a_check_leaves_aids_as_they_were_set, TEST_HOSTED)
{
	unsigned long at = 0, lost = 0;
	bool more;

	setup(16 << 20);
	do {
		mw_gc_debug(0, 0);
		more = test_step(check, aids, NULL, at++);
		lost += atomic_load(&mw_gc.debug) != MW_GC_DEBUG_POINTERS;
	} while (more && at < CHECK_STEPS);
	mw_gc_debug(0, 0);
	CHECK_EQ(lost, 0);
}

#endif
