/* SPDX-License-Identifier: MIT */
/* One span that all CPUs want swept at the same moment; and what is handed out again: it is zero. */
#include "gc_heap.h"

#if MW_GC

#define SPANS 128 /* no more than there are roots */

struct node {
	uintptr_t name;
	char rest[984];
};

static struct mw_span *spans[SPANS];
static unsigned int seen[SPANS][4]; /* live objects, as a CPU saw them when it came back */

/* The first object of each span is kept, all others die. */
static NOINLINE void make_spans(void)
{
	for (size_t n = 0; n < SPANS;) {
		struct node *node = mw_alloc(sizeof(*node), MW_COLLECTED);
		struct mw_span *span = node ? mw_span_of(node) : NULL;
		bool known = !span;

		NEED(node);
		for (size_t i = n > 8 ? n - 8 : 0; i < n; i++)
			known |= spans[i] == span;
		if (known)
			continue;
		node->name = n + 1;
		spans[n] = span;
		root[n++] = node;
	}
}

static void sweep_together(unsigned int i, void *arg)
{
	(void)arg;
	for (size_t n = 0; n < SPANS; n++) {
		unsigned long state;

		test_barrier();
		state = mw_port_pin();
		mw_up_span_sweep(spans[n]);
		seen[n][i] = (unsigned int)mw_span_live_count(spans[n]);
		mw_port_unpin(state);
	}
}

TEST(all_sweep_one_span)
{
	unsigned int n = test_cpus() < 4 ? test_cpus() : 4;
	size_t wrong = 0;

	if (n < 2)
		test_skip("needs two CPUs");
	setup(48 << 20);
	test_heap_may_leak();
	mw_gc_debug(MW_GC_DEBUG_POISON, 0); /* it takes some time to sweep one */
	for (unsigned int round = 0; round < 4; round++) {
		make_spans();
		scribble();
		CHECK(mw_gc_collect(MW_COLLECT_MARKED));
		test_parallel(n, sweep_together, NULL);
		for (size_t s = 0; s < SPANS; s++) {
			wrong += !mw_gc_is_object(root[s]) || root[s]->name != s + 1;
			for (unsigned int i = 0; i < n; i++)
				wrong += seen[s][i] != mw_span_live_count(spans[s]);
			root[s] = NULL;
		}
		collect();
	}
	mw_gc_debug(0, 0);
	CHECK_EQ(wrong, 0);
}

/* ---- what is handed out is zero, by whichever way it came to be free and is asked for ---- */

static struct mw_field ahead_fields[] = { { "link", MW_FIELD_POINTER, 0, 1, NULL, 0, 0 } };
static struct mw_type ahead_type = {
	.name = "ahead",
	.size = 48,
	.fields = ahead_fields,
	.field_count = 1,
};

static void *ask(size_t *size)
{
	static const size_t sizes[] = { 8, 16, 24, 48, 112, 1024, 1500 };
	size_t r = (size_t)test_random();

	*size = sizes[r / 8 % MW_LEN(sizes)];
	switch (r % 4) {
	case 0: /* from the same slots, by the way that zeroes one at a time */
		return mw_alloc_aligned(*size, 8, MW_COLLECTED);
	case 1:
		*size = ahead_type.size;
		return mw_new(&ahead_type, MW_NORMAL);
	default:
		return mw_alloc(*size, (r % 64 < 8 ? MW_ATOMIC : MW_NORMAL) | MW_COLLECTED);
	}
}

static bool is_zero(const unsigned char *object, size_t size)
{
	unsigned char all = 0;

	for (size_t i = 0; i < size; i++)
		all |= object[i];
	return !all;
}

static bool replace(size_t i)
{
	size_t size;
	void *object;
	bool zero;

	/* Some are freed by hand, and may come again at once; the others are dropped. */
	if (root[i] && test_random() % 4)
		mw_free(root[i]);
	root[i] = NULL;
	object = ask(&size);
	if (!object)
		return true;
	zero = is_zero(object, size);
	__builtin_memset(object, 0x11, size);
	root[i] = object;
	return zero;
}

TEST(all_that_comes_is_zero)
{
	size_t wrong = 0, bad = 0;

	setup(16 << 20);
	test_heap_may_leak();
	for (size_t i = 0; i < 60000; i++) {
		wrong += !replace((size_t)test_random() % 400);
		if (i % 997 == 0)
			bad += !mw_heap_check();
		if (i % 5000 == 4999)
			collect();
#if MW_WATCH
		if (i % 7000 == 0)
			mw_profile_rate(i / 7000 % 2 ? 512 : 0);
#endif
	}
#if MW_WATCH
	mw_profile_rate(0);
#endif
	CHECK_EQ(wrong, 0);
	CHECK_EQ(bad, 0);
	CHECK(mw_alloc(0, MW_COLLECTED) != NULL);
	CHECK(mw_gc_is_object(mw_alloc(1 << 20, MW_COLLECTED)));
	for (size_t i = 0; i < 400; i++)
		root[i] = NULL;
}

/* ---- a cycle that is due is made once, whoever else wants one at that moment ---- */

static struct {
	struct mw_gc_listener listener;
	atomic_uint stopping;
	unsigned long cycles;
} once;

/* The collecting CPU stops the world when the other one has seen that there is something for the worker. */
static void wait_for_the_worker(struct mw_gc_listener *self, enum mw_gc_moment moment,
				const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment != MW_GC_STOPPING || atomic_load(&once.stopping))
		return;
	atomic_store(&once.stopping, 1);
	while (atomic_load(&once.stopping) == 1)
		mw_port_relax();
}

static void collect_once(unsigned int i, void *arg)
{
	(void)arg;
	if (i == 0) {
		scribble();
		CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	} else if (i == 1) {
		while (!atomic_load(&once.stopping))
			mw_port_relax();
		CHECK(mw_worker_run(MW_WORKER_COLLECT, 0));
		atomic_store(&once.stopping, 2);
		while (mw_worker_run(MW_WORKER_COLLECT, 0))
			mw_port_relax();
	}
}

NOINLINE static void make_due(void)
{
	struct mw_gc_policy policy;

	mw_gc_policy_get(&policy);
	policy.percent = 100;
	policy.least = 1 << 20;
	CHECK(mw_gc_policy_set(&policy));
	while (!mw_word(&mw_gc.pace.due) && mw_word(&mw_gc.cycles) == once.cycles)
		(void)mw_alloc(64, MW_ATOMIC | MW_COLLECTED);
}

TEST(what_is_due_is_done_once)
{
	if (test_cpus() < 2)
		test_skip("needs two CPUs");
	setup(16 << 20);
	test_heap_may_leak();
	once.listener.moment = wait_for_the_worker;
	atomic_store(&once.stopping, 0);
	once.cycles = mw_word(&mw_gc.cycles);
	mw_gc_listen(&once.listener);
	make_due();
	if (!mw_word(&mw_gc.pace.due)) {
		mw_gc_unlisten(&once.listener);
		test_skip("a worker was quicker");
	}
	test_parallel(2, collect_once, NULL);
	mw_gc_unlisten(&once.listener);
	CHECK_EQ(mw_word(&mw_gc.cycles), once.cycles + 1);
	/* So says an allocation that looked at the goal before the cycle. */
	mw_set_word(&mw_gc.pace.due, 1);
	CHECK(!mw_worker_run(MW_WORKER_COLLECT, 0));
	CHECK_EQ(mw_word(&mw_gc.cycles), once.cycles + 1);
}

/* ---- what is full is given up before the stop, not in it ---- */

static struct {
	struct mw_gc_listener listener;
	const struct mw_span *full;
	unsigned int owner; /* when the world is about to stop */
} given;

static void look_who_owns(struct mw_gc_listener *self, enum mw_gc_moment moment,
			  const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment == MW_GC_STOPPING)
		given.owner = mw_owner(given.full);
}

TEST_WITH(full_spans_are_nobodys_before_the_stop, TEST_HOSTED)
{
	setup(16 << 20);
	test_heap_may_leak();
	root[0] = mw_alloc(64, MW_COLLECTED | MW_ZERO);
	NEED(root[0]);
	given.full = mw_span_of(root[0]);
	for (unsigned int n = 0; n < 2 * given.full->count; n++)
		NEED(mw_alloc(64, MW_COLLECTED));
	CHECK(mw_owner(given.full) < MW_OWNER_NONE);
	given.listener.moment = look_who_owns;
	mw_gc_listen(&given.listener);
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	mw_gc_unlisten(&given.listener);
	CHECK_EQ(given.owner, MW_OWNER_NONE);
}

/* ---- workers wait for nobody: on one CPU they would take the turn of who is waited for ---- */

static struct {
	struct mw_gc_listener listener;
	bool more[2];
	unsigned long swept;
} meanwhile;

/* On the collecting thread, which has not come to the end of its collection. */
static void work_meanwhile(struct mw_gc_listener *self, enum mw_gc_moment moment,
			   const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	meanwhile.swept += moment == MW_GC_SWEPT;
	if (moment == MW_GC_STOPPING)
		meanwhile.more[0] = mw_worker_run(MW_WORKER_COLLECT, UINT64_MAX);
	if (moment == MW_GC_STARTED)
		meanwhile.more[1] = mw_worker_run(MW_WORKER_SWEEP, UINT64_MAX);
}

TEST(workers_wait_for_nobody)
{
	setup(16 << 20);
	test_heap_may_leak();
	collect();
	once.cycles = mw_word(&mw_gc.cycles);
	make_due();
	if (!mw_word(&mw_gc.pace.due))
		test_skip("a worker was quicker");
	meanwhile.listener.moment = work_meanwhile;
	meanwhile.swept = 0;
	mw_gc_listen(&meanwhile.listener);
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	CHECK(meanwhile.more[0]);
	CHECK(meanwhile.more[1]);
	CHECK(!mw_worker_run(MW_WORKER_COLLECT, UINT64_MAX));
	CHECK(!mw_worker_run(MW_WORKER_SWEEP, UINT64_MAX));
	mw_gc_unlisten(&meanwhile.listener);
	CHECK_EQ(meanwhile.swept, 1);
	CHECK_EQ(mw_word(&mw_gc.cycles), once.cycles + 1);
}

#endif
