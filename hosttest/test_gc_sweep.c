/* SPDX-License-Identifier: MIT */
/* One span, and all CPUs that want it swept at the same moment: it is swept once, and for all of them. */
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

#endif
