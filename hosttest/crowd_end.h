/* SPDX-License-Identifier: MIT */
/* How each CPU of a crowd ends what it has, and the counts that its models must explain. See crowd.h. */
#ifndef HOSTTEST_CROWD_END_H
#define HOSTTEST_CROWD_END_H

#include "crowd_calls.h"
#include "../mm/object/inside.h"

/* ---- the end ---- */

static void end_in_hand(struct actor *a)
{
	for (enum thing thing = 0; thing < NR_THINGS; thing++) {
		if (a->shared[thing])
			hand_end(thing, *field(&a->us, thing));
		a->shared[thing] = false;
	}
}

static bool is_memory(enum made kind)
{
	return kind == OBJECT || kind == PAGE || kind == RUN || kind == STACK;
}

static void end_what_is_no_memory(struct actor *a)
{
	for (enum thing thing = 0; thing < NR_THINGS; thing++) {
		if (!hand_size(thing) && thing != THING_bulk)
			thing_end(a, thing);
	}
	for (unsigned int i = 0; i < MOST_EXTRAS; i++) {
		if (a->extra[i].at && !is_memory(a->extra[i].kind))
			extra_end(a, &a->extra[i]);
	}
	end_in_hand(a);
	if (a->finalized && mw_finalizer_clear(a->me.finalized))
		atomic_fetch_add(&crowd.clears, 1);
	mw_weak_free(a->us.weak_dead);
	for (unsigned int i = 0; i < ROOT_WORDS; i++) {
		if (i >= FIRST_ROOT && i < ROOT_WORDS - 1 && a->me.roots[i])
			CROWD_CHECK(a, crowd_holds(a->me.roots[i], a->root[i].size, a->root[i].byte),
				    "overwritten:", "a collected answer");
		a->me.roots[i] = NULL;
	}
}

static void count_hand(const struct actor *a, size_t *objects, size_t *pages)
{
	for (enum thing thing = 0; thing < NR_THINGS; thing++) {
		size_t size = a->live[thing] ? hand_size(thing) : 0;

		if (a->live[thing] && thing == THING_bulk)
			*objects += BULK;
		else if (thing == THING_page || thing == THING_run || thing == THING_stack)
			*pages += size / MW_PAGE_SIZE;
		else
			*objects += size != 0;
	}
	for (unsigned int i = 0; i < MOST_EXTRAS; i++) {
		if (a->extra[i].at && a->extra[i].kind == OBJECT)
			*objects += 1;
		else if (a->extra[i].at)
			*pages += a->extra[i].size / MW_PAGE_SIZE;
	}
}

static void end_hand(struct actor *a)
{
	for (enum thing thing = 0; thing < NR_THINGS; thing++)
		thing_end(a, thing);
	for (unsigned int i = 0; i < MOST_EXTRAS; i++) {
		if (a->extra[i].at)
			extra_end(a, &a->extra[i]);
	}
}

/* What the aids keep of the objects in a span, as long as there is the span: in pages of its own. */
static size_t pages_of_aids(void)
{
	struct mw_span_cursor cursor = { 0 };
	const struct mw_span *span;
	size_t pages = 0;

	while ((span = mw_span_next(&cursor)))
		pages += span->debug ? span->debug->own_pages : 0;
	return pages;
}

static void measure(size_t *objects, size_t *pages)
{
	struct mw_stats stats;

	mw_stats(&stats);
	*objects =
		stats.live_objects - stats.collected_objects - mw_mempool_in_reserve(crowd.us.pool);
	*pages = stats.page.raw - pages_of_aids();
}

static void switch_off(void)
{
	(void)mw_fail_set(NULL);
	mw_gc_debug(0, 0);
	(void)mw_debug_set("-");
	CHECK(mw_safe_free(NULL, &(struct mw_safe_policy){ .on = false }));
	(void)mw_profile_rate(0);
	(void)mw_trace_on(false);
	(void)mw_reserve(0);
	mw_gc_trace(false);
}

/* All of the models and no more. On one CPU, while the others wait. */
static void compare_counts(void)
{
	size_t objects, pages, want_objects = crowd.base_objects, want_pages = crowd.base_pages;

	switch_off();
	(void)transit_give_back(~0u);
	measure(&objects, &pages);
	for (unsigned int cpu = 0; cpu < crowd.cpus; cpu++) {
		count_hand(&crowd.thread[cpu], &want_objects, &want_pages);
		count_hand(&crowd.handler[cpu], &want_objects, &want_pages);
	}
	CHECK_EQ(objects, want_objects);
	CHECK_EQ(pages, want_pages);
}

static void end_cpu(unsigned int cpu)
{
	struct actor *actors[] = { &crowd.thread[cpu], &crowd.handler[cpu] };

	for (unsigned int i = 0; i < 2; i++)
		end_what_is_no_memory(actors[i]);
	test_barrier();
	if (!cpu && !atomic_load(&crowd.failed))
		compare_counts();
	test_barrier();
	for (unsigned int i = 0; i < 2; i++)
		end_hand(actors[i]);
	mw_cpu_stop();
}

#endif
