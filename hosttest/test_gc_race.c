/* SPDX-License-Identifier: MIT */
/* The collector among CPUs, and against a model that knows what lives. */
#include "gc_heap.h"

#if MW_GC

#define LINKS 3

struct node {
	struct node *link[LINKS];
	uintptr_t name; /* what it was born as: a node that lives must still have it */
	uintptr_t inverse;
};

static struct mw_type node_type = MW_TYPE(struct node, MW_PTRS(struct node, link));

static struct node *node_new(uintptr_t name, mw_flags_t flags)
{
	struct node *node = mw_new(&node_type, flags);

	if (node) {
		node->name = name;
		node->inverse = ~name;
	}
	return node;
}

static bool node_ok(const struct node *node)
{
	return node->name && node->inverse == ~node->name;
}

/* ---- against a model ---- */

#define NODES 2000
#define KEPT 16 /* roots */

/* Addresses are kept inverted, so that this is no root. */
struct model_node {
	uintptr_t hidden; /* ~address; 0: there is none */
	unsigned int link[LINKS]; /* numbers; 0: NULL */
	bool reached;
};

static struct {
	struct model_node node[NODES + 1];
	unsigned int kept[KEPT];
	unsigned int queue[NODES];
	mw_flags_t plain; /* not typed: allocated with these flags */
} model;

NOINLINE static void model_new(unsigned int i)
{
	struct node *node = model.plain ? mw_alloc(sizeof(*node), model.plain | MW_ZERO)
					: mw_new(&node_type, MW_NORMAL);

	NEED(node);
	node->name = i;
	node->inverse = ~(uintptr_t)i;
	model.node[i] = (struct model_node){ .hidden = ~(uintptr_t)node };
	model.kept[i % KEPT] = i;
	root[i % KEPT] = node;
}

static struct node *model_address(unsigned int i)
{
	return (struct node *)~model.node[i].hidden;
}

NOINLINE static void model_link(unsigned int from, unsigned int n, unsigned int to)
{
	model.node[from].link[n] = to;
	model_address(from)->link[n] = to ? model_address(to) : NULL;
}

static void model_reach(unsigned int i, size_t *count)
{
	if (i && !model.node[i].reached) {
		model.node[i].reached = true;
		model.queue[(*count)++] = i;
	}
}

/* Return: how many nodes can be reached. */
static size_t model_walk(void)
{
	size_t count = 0;

	for (unsigned int i = 1; i <= NODES; i++)
		model.node[i].reached = false;
	for (unsigned int i = 0; i < KEPT; i++)
		model_reach(model.kept[i], &count);
	for (size_t at = 0; at < count; at++)
		for (unsigned int n = 0; n < LINKS; n++)
			model_reach(model.node[model.queue[at]].link[n], &count);
	return count;
}

/* Every reached node is as it was; those that are not are forgotten. */
NOINLINE static void model_compare(void)
{
	for (unsigned int i = 1; i <= NODES; i++) {
		struct model_node *node = &model.node[i];

		if (node->reached) {
			if (!mw_gc_is_object(model_address(i)) || model_address(i)->name != i)
				CHECK_EQ(i, 0);
			for (unsigned int n = 0; n < LINKS; n++)
				if (node->link[n] &&
				    model_address(i)->link[n] != model_address(node->link[n]))
					CHECK_EQ(n, LINKS);
		} else {
			*node = (struct model_node){ 0 };
		}
	}
}

/* Nodes that can be reached get new links to such; some roots are dropped. */
NOINLINE static void model_mutate(void)
{
	size_t count = model_walk();

	for (unsigned int i = 1; i <= NODES; i++)
		if (!model.node[i].hidden)
			model_new(i);
	for (size_t op = 0; op < 4 * NODES && count; op++)
		model_link(model.queue[test_below(count)], (unsigned int)test_below(LINKS),
			   test_below(4) ? (unsigned int)test_below(NODES) + 1 : 0);
	for (unsigned int i = 0; i < KEPT; i++)
		if (test_below(3) == 0) {
			model.kept[i] = 0;
			root[i] = NULL;
		}
}

/* Of 2000 nodes what stale words on stacks may keep, and in how many of the rounds they may do so. */
#define STALE_MOST (NODES / 100)
#define ROUNDS_MODEL 30

static void against_a_model(mw_flags_t plain, unsigned int stale_rounds)
{
	unsigned int stale = 0;

	setup(16 << 20);
	test_heap_may_leak();
	__builtin_memset(&model, 0, sizeof(model));
	model.plain = plain;
	for (unsigned int round = 0; round < ROUNDS_MODEL; round++) {
		size_t reached;

		model_mutate();
		reached = model_walk();
		/* Types are exact: nothing lives that is not reached but by what somebody's stack holds. */
		test_own_roots(!plain);
		collect();
		collect();
		test_own_roots(false);
		CHECK(live_objects() >= reached);
		CHECK(live_objects() <= reached + STALE_MOST);
		stale += live_objects() > reached;
		model_compare();
	}
	CHECK(stale <= stale_rounds);
	CHECK(mw_gc_check());
}

TEST(typed_graphs_against_a_model)
{
	against_a_model(0, 0);
}

TEST(conservative_graphs_against_a_model)
{
	against_a_model(MW_COLLECTED, ROUNDS_MODEL);
}

/* ---- many CPUs ---- */

static atomic_bool graph_taken;
static mw_atomic_t bad, rounds;

/* Not a lock of Marrow's: who holds it may be stopped. */
static void graph_lock(void)
{
	while (atomic_exchange_explicit(&graph_taken, true, memory_order_acquire))
		mw_port_relax();
}

static void graph_unlock(void)
{
	atomic_store_explicit(&graph_taken, false, memory_order_release);
}

/* A walk of a few steps from a root, with a new node hung in somewhere, or something cut off. */
NOINLINE static void mutate(unsigned int i)
{
	struct node *node, **at = &root[test_below(64)];

	graph_lock();
	for (size_t steps = test_below(12); *at && steps; steps--) {
		if (!node_ok(*at))
			atomic_fetch_add(&bad, 1);
		at = &(*at)->link[test_below(LINKS)];
	}
	graph_unlock();
	node = node_new(i + 1, MW_NORMAL);
	if (!node)
		return;
	graph_lock();
	/* What it was found in may be cut off by now: then it dies with it. */
	node->link[0] = *at;
	*at = test_below(8) ? node : NULL;
	graph_unlock();
}

static void mutator(unsigned int i, void *arg)
{
	unsigned long most = *(unsigned long *)arg;

	test_barrier();
	for (unsigned long n = 0; n < most; n++) {
		if (i == 0 && n % 100 == 99)
			CHECK(mw_gc_collect(n % 200 == 199 ? MW_COLLECT_SWEPT : MW_COLLECT_MARKED));
		else if (i == 1 && n % 7 == 0)
			(void)mw_worker_run(MW_WORKER_SWEEP, 1000);
		mutate(i);
	}
}

TEST(mutators_among_collections)
{
	unsigned long most = test_rounds(2000);

	setup(32 << 20);
	test_heap_may_leak();
	test_parallel(mw_min(test_cpus(), 4), mutator, &most);
	CHECK_EQ(bad, 0);
	CHECK(mw_gc_check());
}

static void churner(unsigned int i, void *arg)
{
	unsigned long most = *(unsigned long *)arg;

	test_barrier();
	for (unsigned long n = 0; n < most; n++) {
		void *p = mw_alloc(16 + test_below(200), n % 2 ? MW_COLLECTED : MW_NOSCAN);
		void *large = n % 16 ? NULL : mw_alloc(50000, MW_COLLECTED);

		if (n % 3 == i % 3)
			mw_free(p);
		if (n % 32 == 0)
			mw_free(large);
		if (n % 50 == 0)
			CHECK(mw_gc_collect(n % 100 ? MW_COLLECT_MARKED : MW_COLLECT_SWEPT));
		atomic_fetch_add(&rounds, 1);
	}
}

TEST(collectors_on_every_cpu)
{
	unsigned int n = mw_min(test_cpus(), 4);
	unsigned long most = test_rounds(400);

	setup(32 << 20);
	test_heap_may_leak();
	atomic_store(&rounds, 0);
	test_parallel(n, churner, &most);
	CHECK_EQ(atomic_load(&rounds), n * most);
	collect();
	CHECK(mw_gc_check());
}

/* ---- registers ---- */

static atomic_uint stage;

/* The only pointer to the node is in a register of a CPU that others stop. */
NOINLINE static void hold_in_register(void)
{
	struct node *node = node_new(77, MW_NORMAL);

	atomic_store(&stage, 1);
	while (atomic_load_explicit(&stage, memory_order_acquire) == 1) {
		__asm__ volatile("" : "+r"(node));
		mw_port_relax();
	}
	CHECK(node && node->name == 77 && node_ok(node));
}

NOINLINE static void collect_while_held(void)
{
	while (atomic_load_explicit(&stage, memory_order_acquire) == 0)
		mw_port_relax();
	for (unsigned int i = 0; i < 3; i++) {
		collect();
		/* Whatever is dead is overwritten by these. */
		for (unsigned int n = 0; n < 1000; n++)
			(void)node_new(n + 100, MW_NORMAL);
	}
	atomic_store(&stage, 2);
}

static void register_holder(unsigned int i, void *arg)
{
	(void)arg;
	if (i)
		hold_in_register();
	else
		collect_while_held();
}

TEST(pointers_in_registers_of_another_cpu)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	setup(16 << 20);
	test_heap_may_leak();
	atomic_store(&stage, 0);
	test_parallel(2, register_holder, NULL);
}

TEST(pointers_in_registers_of_the_collecting_cpu)
{
	struct node *node;

	setup(16 << 20);
	test_heap_may_leak();
	node = node_new(78, MW_NORMAL);
	for (unsigned int i = 0; i < 3; i++) {
		__asm__ volatile("" : "+r"(node));
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
		for (unsigned int n = 0; n < 1000; n++)
			(void)node_new(n + 100, MW_NORMAL);
	}
	CHECK(node->name == 78 && node_ok(node));
}

#endif
