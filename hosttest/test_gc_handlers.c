/* SPDX-License-Identifier: MIT */
/*
 * What interrupt handlers may do while the world is stopped, and just before and after, with one at each step of
 * the other side: weak references, references in roots, objects of their own, keys that they free.
 */
#include "special.h"

#if MW_GC

#include <marrow/watch.h>

#define MOST 20000u /* instructions: more than there are */
#define LEAST 20u

/* What was got, or made, as no root shows it. */
static struct {
	struct mw_weak *weak;
	uintptr_t object, got;
	unsigned long wrong, gone;
} hidden;

static void *got(void)
{
	return (void *)~hidden.got;
}

NOINLINE static void make_weak(bool rooted)
{
	struct node *node = make(11);

	hidden.object = ~(uintptr_t)node;
	hidden.weak = mw_weak_new(node);
	NEED(hidden.weak);
	root[1] = rooted ? node : NULL;
}

static void get(void *arg)
{
	(void)arg;
	hidden.got = ~(uintptr_t)mw_weak_get(hidden.weak);
}

/* ---- a sweeper meanwhile ---- */

static void sweep(void *arg)
{
	(void)arg;
	mw_sweep_finish();
}

BARE NOINLINE static void mark_only(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
}

/* The object is dead, and a sweep ends at any moment of the look at it. */
TEST_WITH(a_weak_reference_is_read_at_each_step_of_a_sweep, TEST_HOSTED)
{
	unsigned long at = 0, unswept = 0;
	bool more;

	setup(16 << 20);
	root[0] = make(1); /* the span stays */
	hidden.wrong = 0;
	do {
		make_weak(false);
		mark_only();
		unswept += mw_up_span_unswept(mw_span_of((void *)~hidden.object));
		more = test_step(get, sweep, NULL, at++);
		hidden.wrong += got() != NULL;
		mw_weak_free(hidden.weak);
	} while (more && !hidden.wrong && at < MOST);
	CHECK_EQ(hidden.wrong, 0);
	CHECK_EQ(unswept, at);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions", at);
}

/* ---- the end of a mark meanwhile ---- */

/* As the world is when all roots but the last one have been looked at. It is not stopped: so the mark is pinned. */
static void begin_mark(void)
{
	unsigned long state;

	mw_sweep_finish();
	mw_weaks_open();
	mw_sweep_hold();
	mw_object_flush_here();
	state = mw_port_pin();
	mw_mark_begin(1);
	mw_mark_add_range(root, root + 1, NULL);
	mw_mark_run(0, NULL);
	mw_mark_again();
	mw_port_unpin(state);
}

static void end_mark(void *arg)
{
	unsigned long state = mw_port_pin();

	(void)arg;
	mw_mark_add_range(root + 1, root + 2, NULL);
	mw_mark_run(0, NULL);
	mw_mark_specials();
	mw_port_unpin(state);
	mw_sweep_begin();
	mw_weaks_settle();
	mw_sweep_finish();
}

/*
 * The same, of all that comes behind the wait for handlers: one that began meanwhile goes on through the end
 * of the mark, the beginning of the sweep, and all of it.
 */
static void close_mark(void *arg)
{
	unsigned long state = mw_port_pin();

	(void)arg;
	mw_mark_add_range(root + 1, root + 2, NULL);
	mw_mark_run(0, NULL);
	while (!mw_weaks_close()) {
		(void)mw_weaks_look();
		mw_mark_again();
		mw_weaks_each_grabbed(mw_mark_visit_range, NULL);
		mw_mark_run(0, NULL);
	}
	mw_port_unpin(state);
	mw_sweep_begin();
	mw_weaks_settle();
	mw_sweep_finish();
}

/* What was got lives; and NULL is said of what is gone alone, and for ever. */
static void judge(bool rooted)
{
	void *object = (void *)~hidden.object;
	bool lives = mw_gc_is_object(object);

	hidden.gone += !got();
	hidden.wrong += got() && (got() != object || !lives);
	hidden.wrong += !got() && (rooted || lives);
	hidden.wrong += mw_weak_get(hidden.weak) != (lives ? object : NULL);
	hidden.wrong += rooted && ((struct node *)object)->value != 11;
	hidden.wrong += atomic_load(&hidden.weak->state) != MW_WEAK_PLAIN || !mw_special_check();
	mw_weak_free(hidden.weak);
	if (lives)
		mw_free(object);
	root[1] = NULL;
	hidden.object = ~(uintptr_t)0;
}

static void among_ends(bool rooted, bool late)
{
	unsigned long at = 0;
	bool more;

	setup(16 << 20);
	root[0] = make(1);
	hidden.wrong = hidden.gone = 0;
	do {
		make_weak(rooted);
		begin_mark();
		more = late ? test_step(end_mark, get, NULL, at++)
			    : test_step(get, close_mark, NULL, at++);
		judge(rooted);
	} while (more && !hidden.wrong && at < MOST);
	CHECK_EQ(hidden.wrong, 0);
	CHECK(at > LEAST && at < MOST);
	CHECK(rooted ? !hidden.gone : hidden.gone > 0 && hidden.gone < at);
	test_note("%lu instructions, gone %lu times", at, hidden.gone);
}

TEST_WITH(a_mark_ends_at_each_step_of_a_read, TEST_HOSTED)
{
	among_ends(false, false);
}

TEST_WITH(a_mark_ends_at_each_step_of_a_read_of_what_lives, TEST_HOSTED)
{
	among_ends(true, false);
}

TEST_WITH(a_weak_reference_is_read_at_each_step_of_a_mark, TEST_HOSTED)
{
	among_ends(false, true);
}

TEST_WITH(what_lives_is_read_at_each_step_of_a_mark, TEST_HOSTED)
{
	among_ends(true, true);
}

/* ---- a free meanwhile ---- */

NOINLINE static void make_hidden(void)
{
	hidden.object = ~(uintptr_t)make(2);
}

static void give_up(void *arg)
{
	(void)arg;
	mw_object_flush_here();
}

static void free_hidden(void *arg)
{
	(void)arg;
	mw_free((void *)~hidden.object);
}

/*
 * Nobody has gathered the free: a sweep that frees the object as well leaves that to strike whoever
 * has it then.
 */
static bool is_left(void)
{
	const struct mw_span *span = mw_span_of((void *)~hidden.object);
	size_t index = mw_span_index(span, (void *)~hidden.object);

	return mw_word(&span->remote[index / MW_WORD_BITS]) & mw_bit(index);
}

/*
 * As a handler on another CPU does that while the world is stopped: after the span was gathered,
 * before it is nobody's.
 */
TEST_WITH(a_free_at_each_step_of_a_flush_is_known_to_the_sweep, TEST_HOSTED)
{
	unsigned long at = 0;
	bool more;

	setup(16 << 20);
	root[0] = make(1); /* the span stays */
	hidden.wrong = 0;
	do {
		make_hidden();
		more = test_step(give_up, free_hidden, NULL, at++);
		collect();
		hidden.wrong += is_left();
	} while (more && !hidden.wrong && at < MOST);
	CHECK_EQ(hidden.wrong, 0);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions", at);
}

/* ---- a whole collection ---- */

#define LIST 3u
#define KEPT 8u /* where a handler puts what it has got */

static struct {
	struct mw_weak *weak;
	struct mw_weak_table *table;
	unsigned long wrong, weakly, pushed;
	bool in_time; /* the handler came before the collection ended */
} busy;

/* A list in a root, what a handler will take away, what only a weak reference has, and a key. */
NOINLINE static void make_all(void)
{
	struct node *weakly = make(11);

	root[0] = NULL;
	for (unsigned int i = 0; i < LIST; i++) {
		struct node *node = make(i);

		node->next = root[0];
		root[0] = node;
	}
	root[2] = make(22);
	root[2]->next = make(23);
	root[3] = make(33);
	root[KEPT] = NULL;
	weakly->next = make(12);
	busy.weak = mw_weak_new(weakly);
	NEED(busy.weak && mw_weak_table_put(busy.table, root[3], root[2]));
}

/* All that is allowed, on a CPU that is stopped or not. */
BARE static void handle(void *arg)
{
	struct node *node = mw_new(&node_type, MW_ATOMIC), *taken = root[2];

	(void)arg;
	busy.wrong += !mw_gc_is_object(taken) || !mw_gc_is_object(root[3]);
	if (node) {
		node->value = 44;
		node->next = root[0];
		root[0] = node;
		busy.pushed++;
	}
	root[2] = NULL;
	busy.wrong += taken->value != 22 || taken->next->value != 23;
	taken->next = NULL;
	node = mw_weak_get(busy.weak);
	if (node) {
		root[KEPT] = node;
		busy.weakly++;
		busy.wrong += node->value != 11 || node->next->value != 12;
	}
	taken = root[3];
	root[3] = NULL;
	mw_free(taken);
	mw_free(mw_alloc(40000, MW_COLLECTED | MW_ATOMIC));
}

BARE static void cycle(void *arg)
{
	(void)arg;
	(void)mw_gc_collect(MW_COLLECT_MARKED);
}

/* A second mark is a part of it. */
BARE static void check_cycle(void *arg)
{
	(void)arg;
	busy.wrong += !mw_gc_check();
}

static bool is_node(const struct node *node, uintptr_t value)
{
	return node && mw_gc_is_object(node) && node->value == value;
}

static void judge_all(void)
{
	const struct node *node = root[0];
	size_t n = 0;

	if (is_node(node, 44))
		node = node->next;
	for (; is_node(node, LIST - 1 - n) && n < LIST; n++)
		node = node->next;
	busy.wrong += n != LIST || node;
	node = root[KEPT];
	busy.wrong += node && (!is_node(node, 11) || !is_node(node->next, 12));
	busy.wrong += mw_weak_get(busy.weak) != node;
	mw_weak_free(busy.weak);
	busy.wrong += !mw_special_check() || records() != 0;
}

/* The references of an interrupt's own are stepped on a stack that no mark looks at. */
static void handle_at_each_step(void (*of)(void *arg))
{
	unsigned long at = 0;
	bool more;

	setup(16 << 20);
	__builtin_memset(&busy, 0, sizeof(busy));
	NEED(mw_type_ready(&node_type));
	NEED(busy.table = mw_weak_table_new("busy"));
	/* What only the weak reference has must be gone sometimes, whatever a stack still holds. */
	test_own_roots(true);
	do {
		make_all();
		more = test_step(of, handle, NULL, at++);
		collect();
		judge_all();
		if (at % 512 == 0)
			CHECK(mw_gc_check() && mw_heap_check());
	} while (more && !busy.wrong && at < MOST);
	test_own_roots(false);
	mw_weak_table_free(busy.table);
	CHECK_EQ(busy.wrong, 0);
	CHECK(busy.pushed > 0 && busy.weakly > 0 && busy.weakly < at);
	CHECK(at > 1000 && at < MOST);
	test_note("%lu instructions, got %lu times", at, busy.weakly);
}

TEST_WITH(a_handler_at_each_step_of_a_collection, TEST_HOSTED)
{
	handle_at_each_step(cycle);
}

/* What it frees, drops, and asks of is what it is without a check; and nothing of it is a difference. */
TEST_WITH(a_handler_at_each_step_of_a_check, TEST_HOSTED)
{
	handle_at_each_step(check_cycle);
}

/* ---- a handler that runs on while the collection goes on ---- */

#define CPUS 2u
#define HOLD_NS 30000000u /* as long as a handler holds what it took, if nobody sweeps */
#define PATIENCE_NS 200000000u
#define ROUNDS 5u
#define TRIES 50u /* a stop that comes while a handler runs lets no other one in */

enum phase {
	QUIET,
	MARKING, /* roots are known, and not looked at */
	TAKEN, /* the handler has what the root had */
	SWEPT,
};

static struct {
	mw_atomic_t phase, bad, looks;
} held;

/* Of what it takes nothing else knows. It looks at it until it has been swept, or for a while. */
BARE static void hold(void *arg)
{
	uint64_t until = mw_port_now() + HOLD_NS;
	struct node *node;

	(void)arg;
	if (atomic_load(&held.phase) != MARKING)
		return;
	node = root[5];
	root[5] = NULL;
	atomic_store(&held.phase, TAKEN);
	do {
		bool over = atomic_load(&held.phase) == SWEPT;

		atomic_fetch_add(&held.looks, 1);
		atomic_fetch_add(&held.bad, !is_node(node, 55));
		if (over)
			return;
		mw_port_relax();
	} while (mw_port_now() < until);
}

/* Where the roots have been listed and the markers have not begun. */
static void let_it_take(struct mw_gc_listener *self, enum mw_gc_moment moment,
			const struct mw_gc_cycle *cycle)
{
	uint64_t until = mw_port_now() + PATIENCE_NS;

	(void)self, (void)cycle;
	if (moment != MW_GC_ROOTS_DONE || atomic_load(&held.phase) != QUIET)
		return;
	atomic_store(&held.phase, MARKING);
	while (atomic_load(&held.phase) == MARKING && mw_port_now() < until)
		mw_port_relax();
}

NOINLINE static void make_held(void)
{
	root[5] = make(55);
}

static void collect_or_hold(unsigned int cpu, void *arg)
{
	bool had = !cpu || test_interrupts_on(hold, NULL);

	(void)arg;
	CHECK(had);
	test_barrier();
	if (!cpu) {
		collect();
		atomic_store(&held.phase, SWEPT);
	}
	while (atomic_load(&held.phase) != SWEPT)
		mw_port_relax();
	if (cpu)
		(void)test_interrupts_off();
}

TEST_WITH(what_a_handler_takes_out_of_a_root_lives_until_it_ends, TEST_HOSTED)
{
	static struct mw_gc_listener listener = { .moment = let_it_take };
	struct mw_gc_policy policy;
	unsigned long taken = 0;

	if (test_cpus() < CPUS)
		test_skip("needs two CPUs");
	setup(16 << 20);
	mw_gc_policy_get(&policy);
	policy.markers = 1; /* or the mark would wait for the handler to end before it begins */
	CHECK(mw_gc_policy_set(&policy));
	atomic_store(&held.bad, 0);
	mw_gc_listen(&listener);
	for (unsigned int try = 0; try < TRIES && taken < ROUNDS; try++) {
		atomic_store(&held.looks, 0);
		atomic_store(&held.phase, QUIET);
		make_held();
		forget();
		scribble();
		test_parallel(CPUS, collect_or_hold, NULL);
		taken += mw_word(&held.looks) > 0;
		CHECK_EQ(held.bad, 0);
	}
	mw_gc_unlisten(&listener);
	collect();
	CHECK_EQ(live_objects(), 0);
	CHECK_EQ(taken, ROUNDS);
}

#endif
