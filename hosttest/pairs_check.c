// SPDX-License-Identifier: MIT
/*
 * What must hold after a pair: the structures' own checks; what lives lives, where it was, with what was in it; what
 * was handed out is nobody else's; all of it can be given back, and then nothing is left. See pairs.h.
 */
#define _GNU_SOURCE
#include <string.h>
#include "pairs.h"

#define PROBES 3u
#define PROBE_BYTE 0x44

static struct things *owner(unsigned int i)
{
	return i < 2 ? &machine->mine[i] : &machine->us;
}

static const char *owner_name(unsigned int i)
{
	static const char *const names[] = { "A's", "B's", "the shared" };

	return names[i];
}

_Noreturn static void wrong(enum verdict verdict, unsigned int i, const char *thing, const char *what)
{
	machine_fail(verdict, 0, "%s %s %s", owner_name(i), thing, what);
}

/* ---- what lives ---- */

static void must_live(unsigned int i, const char *name, const void *object, size_t len, int byte)
{
	struct mw_place place;

	if (!mw_lookup(object, &place) || place.base != object ||
	    (place.kind != MW_KIND_OBJECT && place.kind != MW_KIND_PAGES))
		wrong(V_LOST, i, name, "is not live any more");
	/* Each byte is as the one before it. */
	if (len && (*(const unsigned char *)object != byte ||
		    memcmp(object, (const char *)object + 1, len - 1)))
		wrong(V_LOST, i, name, "has been overwritten");
}

#define LIVES(thing_, len_)                                                                        \
	do {                                                                                       \
		if (t->fate[THING_##thing_] != FATE_GONE)                                          \
			must_live(i, #thing_, t->thing_, (len_), 0x33);                            \
	} while (0)
#define STAYS(thing_, len_) must_live(i, #thing_, t->thing_, (len_), 0x33)

static void look_at_things(unsigned int i)
{
	struct things *t = owner(i);

	LIVES(object, OBJECT_SIZE - 8);
	LIVES(aligned, OBJECT_SIZE);
	LIVES(large, LARGE_SIZE);
	LIVES(of_cache, CACHE_SIZE);
	LIVES(ignored, OBJECT_SIZE);
	LIVES(element, OBJECT_SIZE);
	LIVES(page, MW_PAGE_SIZE);
	LIVES(run, RUN_PAGES * MW_PAGE_SIZE);
	LIVES(stack, 2 * MW_PAGE_SIZE);
	LIVES(collected, CACHE_SIZE);
	LIVES(key, CACHE_SIZE);
	LIVES(referred, CACHE_SIZE);
	LIVES(to_pin, CACHE_SIZE);
	STAYS(cleaned, CACHE_SIZE);
	STAYS(finalized, OBJECT_SIZE);
	STAYS(tagged, OBJECT_SIZE);
	STAYS(pinned, OBJECT_SIZE);
	STAYS(value, 0);
	for (unsigned int k = 0; k < BULK && t->fate[THING_bulk] != FATE_GONE; k++)
		must_live(i, "bulk", t->bulk[k], CACHE_SIZE, 0x33);
}

static size_t size_of(const struct form *form, const void *result)
{
	switch (form->kind) {
	case PAGE:
		return MW_PAGE_SIZE;
	case RUN:
		return RUN_PAGES * MW_PAGE_SIZE;
	case STACK:
		return 2 * MW_PAGE_SIZE;
	case OBJECT:
		return mw_usable_size(result);
	default:
		return 0;
	}
}

static bool is_memory(const struct form *form)
{
	return form->effect == GETS ||
	       (form->effect == MAKES && form->kind != NO_KIND && form->kind != REGION &&
		form->kind < CACHE && form->kind != BULK_OF);
}

static void look_at_result(unsigned int who, const struct form *form)
{
	struct things *me = &machine->mine[who];
	struct mw_place place;
	const void *result = (const void *)me->result;

	if (!me->result)
		return;
	if (form->effect == GETS || form->kind == COLLECTED) {
		if (!mw_lookup(result, &place) || place.kind != MW_KIND_OBJECT)
			wrong(V_LOST, who, "answer", "is no live object");
	} else if (is_memory(form)) {
		must_live(who, "answer", result, size_of(form, result), (int)(0x61 + who));
	} else if (form->kind == BULK_OF) {
		for (unsigned int k = 0; k < BULK; k++)
			must_live(who, "bulk answer", me->got[k], CACHE_SIZE, (int)(0x61 + who));
	}
}

/* ---- what is handed out next is nobody's ---- */

static void *probe(unsigned int kind)
{
	struct things *us = &machine->us;

	switch (kind) {
	case 0:
		return mw_alloc(OBJECT_SIZE, MW_ATOMIC);
	case 1:
		return mw_cache_alloc(us->cache, MW_ATOMIC);
	case 2:
		return mw_pages_alloc(1, MW_ATOMIC);
	case 3:
		return mw_alloc(LARGE_SIZE, MW_ATOMIC);
	default:
		return mw_cache_alloc(us->live, MW_ATOMIC);
	}
}

static void look_at_all(void)
{
	for (unsigned int i = 0; i < 3; i++)
		look_at_things(i);
	for (unsigned int who = 0; who < 2; who++)
		look_at_result(who, machine->co[who].form);
}

static void probe_all(void)
{
	static const size_t len[] = { OBJECT_SIZE, CACHE_SIZE, MW_PAGE_SIZE, LARGE_SIZE, CACHE_SIZE };
	void *got[PAIRS_LEN(len)][PROBES];

	for (unsigned int kind = 0; kind < PAIRS_LEN(len); kind++) {
		for (unsigned int i = 0; i < PROBES; i++) {
			unsigned int before = machine_as(i);

			got[kind][i] = probe(kind);
			if (got[kind][i])
				memset(got[kind][i], PROBE_BYTE, len[kind]);
			machine_as(before);
		}
	}
	look_at_all();
	for (unsigned int kind = 0; kind < PAIRS_LEN(len); kind++) {
		for (unsigned int i = 0; i < PROBES; i++) {
			if (kind == 2)
				mw_pages_free(got[kind][i], 1);
			else
				mw_free(got[kind][i]);
		}
	}
}

/* ---- everything goes back ---- */

static void end_result(unsigned int who, const struct form *form)
{
	struct things *me = &machine->mine[who];
	void *result = (void *)me->result;

	if (!result || form->effect != MAKES)
		return;
	switch (form->kind) {
	case OBJECT:
		mw_free(result);
		break;
	case BULK_OF:
		mw_cache_free_bulk(machine->us.cache, BULK, me->got);
		break;
	case PAGE:
		mw_pages_free(result, 1);
		break;
	case RUN:
		mw_pages_free(result, RUN_PAGES);
		break;
	case STACK:
		mw_stack_free(result, 1);
		break;
	case CACHE:
		if (!mw_cache_destroy(result))
			wrong(V_LOST, who, "new cache", "cannot be destroyed");
		break;
	case WEAK:
		mw_weak_free(result);
		break;
	case TABLE:
		mw_weak_table_free(result);
		break;
	case CLEANUP:
		(void)mw_cleanup_cancel(result);
		break;
	case POOL:
		mw_mempool_destroy(result);
		break;
	default:
		break;
	}
}

#define ENDS_WITH(thing_, call_)                                                                   \
	do {                                                                                       \
		if (t->fate[THING_##thing_] != FATE_GONE)                                          \
			(void)(call_);                                                             \
	} while (0)

static void end_things(struct things *t)
{
	struct things *us = &machine->us;

	ENDS_WITH(object, (mw_free(t->object), 0));
	ENDS_WITH(aligned, (mw_free(t->aligned), 0));
	ENDS_WITH(large, (mw_free(t->large), 0));
	ENDS_WITH(of_cache, (mw_cache_free(us->cache, t->of_cache), 0));
	ENDS_WITH(ignored, (mw_free(t->ignored), 0));
	ENDS_WITH(element, (mw_free(t->element), 0));
	ENDS_WITH(page, (mw_pages_free(t->page, 1), 0));
	ENDS_WITH(run, (mw_pages_free(t->run, RUN_PAGES), 0));
	ENDS_WITH(stack, (mw_stack_free(t->stack, 1), 0));
	ENDS_WITH(bulk, (mw_cache_free_bulk(us->cache, BULK, t->bulk), 0));
	ENDS_WITH(shrinker, (mw_shrinker_remove(&t->shrinker), 0));
	ENDS_WITH(listener, (mw_gc_unlisten(&t->listener), 0));
	ENDS_WITH(cleanup, mw_cleanup_cancel(t->cleanup));
	ENDS_WITH(weak, (mw_weak_free(t->weak), 0));
	ENDS_WITH(old_root, mw_gc_root_remove(t->old_root));
	ENDS_WITH(pinned, mw_unpin(t->pinned));
	if (t->fate[THING_new_root])
		(void)mw_gc_root_remove(t->new_root);
	while (t->fate[THING_to_pin] && mw_unpin(t->to_pin))
		;
	if (t->fate[THING_new_shrinker])
		mw_shrinker_remove(&t->new_shrinker);
	if (t->fate[THING_new_listener])
		mw_gc_unlisten(&t->new_listener);
	(void)mw_finalizer_clear(t->finalized);
	if (t->fate[THING_collected] != FATE_GONE)
		(void)mw_finalizer_clear(t->collected);
	ENDS_WITH(table, (mw_weak_table_free(t->table), 0));
	ENDS_WITH(pool, (mw_mempool_destroy(t->pool), 0));
	memset(t->roots, 0, 32 * sizeof(void *));
}

static void end_switches(void)
{
	(void)mw_fail_set(NULL);
	mw_gc_debug(0, 0);
	(void)mw_debug_set("-");
	if (!mw_safe_free(NULL, &(struct mw_safe_policy){ .on = false }))
		machine_fail(V_CHECK, 0, "safe free does not end");
	(void)mw_profile_rate(0);
	(void)mw_reserve(0);
}

static void collect(void)
{
	if (!mw_gc_collect(MW_COLLECT_SWEPT))
		machine_fail(V_CHECK, 0, "no collection afterwards");
}

static void end_caches(void)
{
	struct mw_cache *caches[] = { machine->us.cache, machine->us.live, machine->us.fresh,
				      machine->us.empty, machine->us.idle };

	for (unsigned int i = 0; i < PAIRS_LEN(caches); i++) {
		if (!mw_cache_destroy(caches[i]))
			machine_fail(V_LOST, 0, "a shared cache (%u) cannot be destroyed", i);
	}
	for (unsigned int who = 0; who < 2; who++) {
		struct things *t = &machine->mine[who];

		if ((t->fate[THING_cache] != FATE_GONE && !mw_cache_destroy(t->cache)) ||
		    (t->fate[THING_empty] != FATE_GONE && !mw_cache_destroy(t->empty)))
			wrong(V_LOST, who, "cache", "cannot be destroyed");
	}
}

/* Who takes the long way to an object says what second frees were found too late. */
static void take_the_long_way(void)
{
	struct mw_cache *cache = mw_cache_create(&machine->us.hand);

	if (!cache)
		machine_fail(V_LOST, 0, "no memory for a cache when all is free");
	mw_cache_free(cache, mw_cache_alloc(cache, 0));
	(void)mw_cache_destroy(cache);
}

static void end_all(void)
{
	for (unsigned int i = 0; i < machine->runs; i++)
		mw_pages_free(machine->run[i].at, machine->run[i].pages);
	for (unsigned int who = 0; who < 2; who++)
		end_result(who, machine->co[who].form);
	for (unsigned int i = 0; i < 3; i++)
		end_things(owner(i));
	mw_weak_free(machine->us.weak_dead);
	/* Collected ones were garbage, and may be gone. */
	for (unsigned int i = 0; i < machine->fillers; i++) {
		struct mw_place place;

		if (mw_lookup(machine->filler[i], &place) && place.kind == MW_KIND_OBJECT &&
		    !mw_gc_is_object(machine->filler[i]))
			mw_free(machine->filler[i]);
	}
	end_switches();
	collect();
	(void)mw_finalizers_run(SIZE_MAX);
	collect();
	end_caches();
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++) {
		unsigned int before = machine_as(cpu);

		mw_cpu_stop();
		machine_as(before);
	}
	take_the_long_way();
	mw_cpu_stop();
}

/* While memory is out a second mark may have none: there is one at the end in any case, when all is free. */
static void check_heap(const char *when, bool all_is_free)
{
	/* What calls printed before might leave no room for what the checks say. */
	machine_listen();
	if (!mw_heap_check())
		machine_fail(V_CHECK, 0, "heap check, %s: %s", when, machine_said());
	if (!mw_gc_check() &&
	    (all_is_free || !strstr(machine_said(), "no memory for a second mark")))
		machine_fail(V_CHECK, 0, "gc check, %s: %s", when, machine_said());
}

void check_after(void *arg)
{
	const struct form *a = machine->co[CO_A].form, *b = machine->co[CO_B].form;
	struct outcome *outcome = arg;
	struct mw_stats stats;

	for (enum who who = CO_A; who < NR_CO; who++) {
		if (machine->co[who].started && !machine->co[who].ended)
			machine_fail(V_HANG, 0, "%s never goes on", who == CO_A ? "A" : "B");
	}
	if (machine->stopper != CO_NOBODY)
		machine_fail(V_CHECK, 0, "the world is still stopped");
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++) {
		if (machine->cpu[cpu].depth)
			machine_fail(V_CHECK, 0, "CPU %u is still pinned", cpu);
	}
	machine->faults_here = true;
	/* Two frees of one object at the same moment are found, and put right, when its span is looked at next. */
	if (a->effect != ENDS || a->thing <= THING_none || a->thing != b->thing)
		check_heap("at once", false);
	look_at_all();
	probe_all();
	end_all();
	check_heap("at the end", true);
	mw_stats(&stats);
	outcome->left_objects = stats.live_objects;
	outcome->left_pages = stats.page.raw;
	memcpy(outcome->reports, machine->reports, sizeof(outcome->reports));
	/* A second free is one or the other, by when the memory went back. */
	outcome->reports[MW_DOUBLE_FREE] += outcome->reports[MW_FREED_SPAN];
	outcome->reports[MW_FREED_SPAN] = 0;
}

/* ---- outcomes ---- */

static uintptr_t plain(const struct form *form, uintptr_t result)
{
	if (form->effect == MAKES || form->effect == MOVES || form->effect == GETS)
		return result != 0;
	return result;
}

void check_outcome(struct outcome *outcome)
{
	for (unsigned int who = 0; who < 2; who++)
		outcome->result[who] = plain(machine->co[who].form, machine->mine[who].result);
}

/* Who asks for memory while there is next to none may have some or none, whatever the order. */
static bool alike(const struct form *form, bool full, uintptr_t seen, uintptr_t one)
{
	if (!form->exact || seen == one)
		return true;
	return full && (form->words & (ATOMIC | WAITS)) && form->effect != GETS;
}

bool check_alike(const struct form *a, const struct form *b, bool full, const struct outcome *seen,
		 const struct outcome *one)
{
	return alike(a, full, seen->result[0], one->result[0]) &&
	       alike(b, full, seen->result[1], one->result[1]) &&
	       !memcmp(seen->reports, one->reports, sizeof(seen->reports)) &&
	       seen->left_objects == one->left_objects && seen->left_pages == one->left_pages;
}
