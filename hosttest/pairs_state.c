// SPDX-License-Identifier: MIT
/*
 * The states that pairs begin in, and the things that are there. See pairs.h.
 *
 * A state is a choice for each of: how the spans stand that the two calls will meet, how much memory there is, which
 * aids are on, who watches, which CPUs have begun. Most states have one choice that is not the usual one;
 * those at the end of the table mix them, so that any two choices meet somewhere.
 */
#define _GNU_SOURCE
#include <string.h>
#include "pairs.h"
#include "../mm/object/object.h"

#define MAIN (ARENA + ((size_t)1 << 20))
#define MAIN_BYTES ((size_t)6 << 20)
#define REGION (ARENA + ((size_t)64 << 20))
#define SPARE(who) (ARENA + ((size_t)(128 + 16 * (who)) << 20))
#define ROOTS (ARENA + ((size_t)192 << 20))
#define PHYS(at) ((uint64_t)((at)-ARENA) + ((uint64_t)16 << 20))
#define DEAD_KEYS 12
#define ROOT_WORDS 32 /* of each: the last one for what a call makes */

enum {
	SPAN_CURRENT, /* there is room in the spans that CPUs allocate from */
	SPAN_FULL, /* there is none: the next one of each kind needs another span */
	SPAN_PARTIAL, /* every other object of the full ones is free again */
	SPAN_REMOTE, /* these were freed by another CPU, and nobody has gathered them */
	SPAN_UNOWNED, /* all spans are of a CPU that has stopped */
	SPAN_UNSWEPT, /* a mark has found garbage everywhere, and nothing is swept */
	SPAN_NEWBORN, /* spans were made while the world was stopped for a mark */
	SPAN_KEPT, /* large objects were just freed, and pages, and caches destroyed */
};
enum {
	MEMORY_AMPLE,
	MEMORY_FULL, /* not a page is left */
	MEMORY_RESERVE, /* nor would one be but for the reserve */
};
enum {
	AIDS_OFF,
	AIDS_DEBUG,
	AIDS_SAFE,
	AIDS_GC,
};
enum {
	WATCH_OFF,
	WATCH_SAMPLES, /* the profile of all, the trace */
	WATCH_FAILING, /* failing on purpose is on, and hits nobody */
};
enum {
	CPUS_BEGUN,
	CPUS_A_NOT, /* A's CPU has not begun */
	CPUS_B_NOT,
};

const struct state states[] = {
	{ "current", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "full", SPAN_FULL, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "partial", SPAN_PARTIAL, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "remote", SPAN_REMOTE, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "unowned", SPAN_UNOWNED, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "unswept", SPAN_UNSWEPT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "newborn", SPAN_NEWBORN, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "kept", SPAN_KEPT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "no-memory", SPAN_FULL, MEMORY_FULL, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "reserve", SPAN_FULL, MEMORY_RESERVE, AIDS_OFF, WATCH_OFF, CPUS_BEGUN },
	{ "debug", SPAN_CURRENT, MEMORY_AMPLE, AIDS_DEBUG, WATCH_OFF, CPUS_BEGUN },
	{ "safe", SPAN_CURRENT, MEMORY_AMPLE, AIDS_SAFE, WATCH_OFF, CPUS_BEGUN },
	{ "gc-aids", SPAN_CURRENT, MEMORY_AMPLE, AIDS_GC, WATCH_OFF, CPUS_BEGUN },
	{ "samples", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_SAMPLES, CPUS_BEGUN },
	{ "failing", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_FAILING, CPUS_BEGUN },
	{ "a-not-begun", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_A_NOT },
	{ "b-not-begun", SPAN_CURRENT, MEMORY_AMPLE, AIDS_OFF, WATCH_OFF, CPUS_B_NOT },
};
const unsigned int nr_states = PAIRS_LEN(states);

bool state_is_full(const struct state *state)
{
	return state->memory != MEMORY_AMPLE;
}

static void *shown(uintptr_t hidden)
{
	return (void *)~hidden;
}

static void must(bool fine, const char *what)
{
	if (!fine)
		machine_fail(V_ENGINE, 0, "the state cannot be made: %s", what);
}

/* ---- things ---- */

static void *marked(void *object, size_t len)
{
	must(object, "memory for its things");
	memset(object, 0x33, len);
	return object;
}

static size_t shrink_nothing(struct mw_shrinker *self, size_t pages)
{
	(void)self, (void)pages;
	return 0;
}

static void hear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	(void)self, (void)moment, (void)cycle;
}

static void see_nothing(void *arg)
{
	(void)arg;
}

static void see_object(void *object, void *arg)
{
	(void)object, (void)arg;
}

static void make_by_hand(struct things *t)
{
	struct things *us = &machine->us;

	t->object = marked(mw_alloc(OBJECT_SIZE, 0), OBJECT_SIZE);
	t->aligned = marked(mw_alloc_aligned(OBJECT_SIZE, 256, 0), OBJECT_SIZE);
	t->large = marked(mw_alloc(LARGE_SIZE, 0), LARGE_SIZE);
	t->of_cache = marked(mw_cache_alloc(us->cache, 0), CACHE_SIZE);
	t->ignored = marked(mw_alloc(OBJECT_SIZE, 0), OBJECT_SIZE);
	t->element = marked(mw_mempool_alloc(us->pool, 0), OBJECT_SIZE);
	t->page = marked(mw_pages_alloc(1, 0), MW_PAGE_SIZE);
	t->run = marked(mw_pages_alloc(RUN_PAGES, 0), RUN_PAGES * MW_PAGE_SIZE);
	t->stack = marked(mw_stack_alloc(1, 0), 2 * MW_PAGE_SIZE);
	must(mw_leak_ignore(t->ignored), "ignored");
	must(mw_cache_alloc_bulk(us->cache, 0, BULK, t->bulk), "bulk");
	for (unsigned int i = 0; i < BULK; i++)
		marked(t->bulk[i], CACHE_SIZE);
}

static void make_collected(struct things *t)
{
	struct things *us = &machine->us;
	void **at = t->roots;

	*at++ = t->collected = marked(mw_cache_alloc(us->live, 0), CACHE_SIZE);
	*at++ = t->key = marked(mw_cache_alloc(us->live, 0), CACHE_SIZE);
	*at++ = t->value = mw_new(us->node, 0);
	*at++ = t->referred = marked(mw_cache_alloc(us->live, 0), CACHE_SIZE);
	*at++ = t->finalized = marked(mw_alloc(OBJECT_SIZE, MW_COLLECTED), OBJECT_SIZE);
	*at++ = t->tagged = marked(mw_alloc(OBJECT_SIZE, MW_NOSCAN), OBJECT_SIZE);
	*at++ = t->pinned = marked(mw_alloc(OBJECT_SIZE, MW_NOSCAN), OBJECT_SIZE);
	*at++ = t->to_pin = marked(mw_cache_alloc(us->live, 0), CACHE_SIZE);
	*at++ = t->cleaned = marked(mw_cache_alloc(us->live, 0), CACHE_SIZE);
	*at++ = mw_new_flex(us->flex, 64, 0);
	must(t->value, "a node");
	must(mw_finalizer_set(t->finalized, see_object, NULL), "finalizer");
	must(mw_tag_set(t->tagged, 7), "tag");
	must(mw_pin(t->pinned, "pairs"), "pin");
	must(mw_tag_set(t->referred, 3), "tag");
	must((t->cleanup = mw_cleanup_add(t->cleaned, see_nothing, NULL)), "cleanup");
	must((t->weak = mw_weak_new(t->referred)), "weak");
	must(mw_weak_table_put(us->table, t->key, t->value), "put");
}

static void make_things(struct things *t, unsigned int cpu)
{
	struct mw_cache_want want = machine->us.hand, gathered = machine->us.gathered;
	unsigned int before = machine_as(cpu);

	make_by_hand(t);
	make_collected(t);
	must((t->cache = t == &machine->us ? t->cache : mw_cache_create(&want)), "cache");
	must((t->empty = mw_cache_create(&gathered)), "cache");
	/* A span that stays, and one that was given back. */
	mw_cache_free(t->empty, mw_cache_alloc(t->empty, 0));
	if (t != &machine->us)
		mw_cache_free(t->cache, mw_cache_alloc(t->cache, 0));
	t->table = t == &machine->us ? t->table : mw_weak_table_new("own");
	must(t->table, "table");
	t->pool = t == &machine->us ? t->pool : forms_pool();
	must(t->pool, "pool");
	t->shrinker.shrink = t->new_shrinker.shrink = shrink_nothing;
	mw_shrinker_add(&t->shrinker);
	t->listener.moment = t->new_listener.moment = hear;
	mw_gc_listen(&t->listener);
	must(mw_gc_root_add("own", t->old_root, t->old_root + 4, NULL), "root");
	machine_as(before);
}

static void make_shared(struct things *us)
{
	static const struct mw_field node_fields[] = { MW_PTR(struct node, next),
						       MW_PTR(struct node, other) };
	static const struct mw_field flex_fields[] = {
		{ "nodes", MW_FIELD_FLEX, offsetof(struct flex, nodes), 0, NULL, 0, 0 }
	};

	machine->node_type = (struct mw_type){
		.name = "node", .size = sizeof(struct node), .fields = node_fields, .field_count = 2
	};
	machine->flex_type = (struct mw_type){
		.name = "flex", .size = sizeof(struct flex), .fields = flex_fields, .field_count = 1
	};
	machine->mine[0].type = machine->mine[1].type = us->type = machine->node_type;
	us->node = &machine->node_type;
	us->flex = &machine->flex_type;
	us->hand = (struct mw_cache_want){ .name = "hand", .size = CACHE_SIZE };
	us->gathered = (struct mw_cache_want){ .name = "gathered",
					       .size = CACHE_SIZE,
					       .flags = MW_COLLECTED };
	must((us->cache = mw_cache_create(&us->hand)), "cache");
	must((us->live = mw_cache_create(&us->gathered)), "cache");
	us->gathered.size = 1024;
	must((us->fresh = mw_cache_create(&us->gathered)), "cache");
	must((us->table = mw_weak_table_new("shared")), "table");
	must((us->pool = forms_pool()), "pool");
}

/* What was here before: records and descriptors that are used again, with what others left in them. */
static void churn(void)
{
	static const struct mw_cache_want wants[] = {
		{ .name = "was-16", .size = 16, .flags = MW_COLLECTED },
		{ .name = "was-2048", .size = 2048 },
		{ .name = "was-96", .size = 96 },
	};
	struct mw_cache *caches[PAIRS_LEN(wants)];

	for (unsigned int i = 0; i < PAIRS_LEN(wants); i++) {
		must((caches[i] = mw_cache_create(&wants[i])), "cache");
		mw_cache_free(caches[i], mw_cache_alloc(caches[i], MW_ZERO));
	}
	for (unsigned int i = 0; i < PAIRS_LEN(wants); i++)
		must(mw_cache_destroy(caches[i]), "destroy");
	mw_free(mw_alloc(2 * LARGE_SIZE, 0));
}

static void *filler(unsigned int kind)
{
	struct things *us = &machine->us;

	switch (kind) {
	case 0:
		return mw_alloc(OBJECT_SIZE, 0);
	case 1:
		return mw_cache_alloc(us->cache, 0);
	case 2:
		return mw_cache_alloc(us->live, 0);
	case 3:
		return mw_alloc(OBJECT_SIZE, MW_COLLECTED);
	default:
		return mw_alloc(OBJECT_SIZE, MW_NOSCAN);
	}
}

/* Until a span is full. Collected ones are garbage. */
static void fill_spans(unsigned int cpu)
{
	unsigned int before = machine_as(cpu);

	for (unsigned int kind = 0; kind < 5; kind++) {
		for (;;) {
			void *object = filler(kind);
			struct mw_span *span = object ? mw_span_of(object) : NULL;

			must(object && machine->fillers < MOST_FILLERS, "fillers");
			machine->filler[machine->fillers++] = object;
			if (span->count == mw_span_live_count(span))
				break;
		}
	}
	machine_as(before);
}

static void free_half(unsigned int cpu)
{
	unsigned int before = machine_as(cpu), kept = 0;

	for (unsigned int i = 0; i < machine->fillers; i++) {
		if (i % 2)
			machine->filler[kept++] = machine->filler[i];
		else
			mw_free(machine->filler[i]);
	}
	machine->fillers = kept;
	machine_as(before);
}

static void fill_memory(void)
{
	for (size_t pages = 64; pages; pages /= 4) {
		void *run;

		while ((run = mw_pages_alloc(pages, MW_ATOMIC))) {
			must(machine->runs < MOST_RUNS, "runs");
			machine->run[machine->runs].at = run;
			machine->run[machine->runs++].pages = pages;
		}
	}
}

/* A handler on the CPU that is stopped. */
static void allocate(struct mw_gc_listener *self, enum mw_gc_moment moment,
		     const struct mw_gc_cycle *cycle)
{
	struct things *us = &machine->us;
	unsigned int before;

	(void)self, (void)cycle;
	if (moment != MW_GC_STOPPED)
		return;
	before = machine_as(1);
	for (unsigned int i = 0; i < 3; i++) {
		unsigned long state = mw_port_pin();

		us->roots[20 + i] = mw_cache_alloc(i ? us->live : us->fresh, MW_ATOMIC);
		mw_port_unpin(state);
	}
	machine_as(before);
}

static void collect_with_births(void)
{
	struct mw_gc_listener listener = { .moment = allocate };

	mw_gc_listen(&listener);
	must(mw_gc_collect(MW_COLLECT_SWEPT), "collect");
	mw_gc_unlisten(&listener);
}

static void make_kept(void)
{
	churn();
	for (unsigned int i = 0; i < 3; i++) {
		mw_free(mw_alloc(LARGE_SIZE * (i + 1), 0));
		mw_pages_free(mw_pages_alloc(i + 1, 0), i + 1);
	}
}

static void make_spans(const struct state *state)
{
	unsigned int cpu = state->span == SPAN_UNOWNED ? 2 : 0;

	if (state->span == SPAN_CURRENT)
		return;
	if (state->span == SPAN_KEPT) {
		make_kept();
		return;
	}
	if (state->span == SPAN_NEWBORN) {
		collect_with_births();
		return;
	}
	fill_spans(cpu);
	if (cpu == 0)
		fill_spans(1);
	if (state->span == SPAN_PARTIAL || state->span == SPAN_UNOWNED)
		free_half(cpu);
	else if (state->span == SPAN_REMOTE)
		free_half(2);
	else if (state->span == SPAN_UNSWEPT)
		must(mw_gc_collect(MW_COLLECT_MARKED), "collect");
}

/* ---- the whole ---- */

static void on_misuse(const struct mw_report *report)
{
	if (machine->faults_here)
		machine_fail(V_CHECK, 0, "misuse: %s: %s", mw_misuse_name(report->what),
			     report->text);
	machine->reports[report->what]++;
}

static void place_things(void)
{
	struct things *all[3] = { &machine->mine[0], &machine->mine[1], &machine->us };

	for (unsigned int i = 0; i < 3; i++) {
		char *words = ROOTS + i * MW_PAGE_SIZE;

		all[i]->roots = (void **)words;
		all[i]->old_root = (void **)(words + 1024);
		all[i]->new_root = (void **)(words + 2048);
		all[i]->spare = SPARE(i);
		all[i]->spare_phys = PHYS(all[i]->spare);
		must(mw_gc_root_add("pairs", all[i]->roots, all[i]->roots + ROOT_WORDS, NULL),
		     "root");
	}
}

static void set_requests(struct things *us)
{
	us->map[0] = (struct mw_memrange){ 0x100000, 0x200000, MW_MEM_FREE };
	us->map[1] = (struct mw_memrange){ 0x180000, 0x1000, MW_MEM_RESERVED };
	us->report = (struct mw_report){ .what = MW_OVERRUN, .text = "none" };
	us->on_misuse = on_misuse;
	us->rarely = (struct mw_fail){ .every = 1ul << 40, .pages = true, .own = true };
	mw_gc_policy_get(&us->policy);
	us->leaks = (struct mw_leak_want){ .most = 4 };
	us->safe = (struct mw_safe_policy){ .on = true };
	us->mapping = (struct mw_profile_mapping){ .file = "none" };
}

static void make_region(struct things *us)
{
	us->region = REGION;
	us->inside = REGION + 3 * MW_PAGE_SIZE;
	us->inside_phys = PHYS(us->inside);
	must(mw_region_add(us->region, PHYS(us->region), SPARE_BYTES), "region");
}

static void watch(const struct state *state)
{
	if (state->aids == AIDS_SAFE) {
		must(mw_safe_free(NULL, &machine->us.safe), "safe");
		for (unsigned int i = 0; i < 8; i++)
			mw_free(filler(i % 2));
	} else if (state->aids == AIDS_GC) {
		mw_gc_debug(MW_GC_DEBUG_POINTERS | MW_GC_DEBUG_POISON | MW_GC_DEBUG_CHECK, 3);
	}
	if (state->watch == WATCH_SAMPLES) {
		must(mw_profile_rate(1) && mw_trace_on(true), "watching");
		for (unsigned int i = 0; i < 8; i++)
			mw_free(filler(i % 2));
	} else if (state->watch == WATCH_FAILING) {
		(void)mw_fail_set(&machine->us.rarely);
	}
}

static void stop(unsigned int cpu)
{
	unsigned int before = machine_as(cpu);

	mw_cpu_stop();
	machine_as(before);
}

/* What nothing reaches, with all that can hang on it. */
static void make_dead(struct things *us)
{
	us->dead = ~(uintptr_t)mw_cache_alloc(us->live, 0);
	must((us->weak_dead = mw_weak_new(shown(us->dead))), "weak");
	must(mw_cleanup_add(shown(us->dead), see_nothing, NULL), "cleanup");
	must(mw_tag_set(shown(us->dead), 9), "tag");
	for (unsigned int i = 0; i < DEAD_KEYS; i++) {
		void *key = mw_alloc(OBJECT_SIZE, MW_NOSCAN);

		must(key && mw_weak_table_put(us->table, key, us->value), "put");
	}
	must(mw_finalizer_set(mw_alloc(OBJECT_SIZE, MW_COLLECTED), see_object, NULL), "finalizer");
}

static void make(void *arg)
{
	const struct state *state = arg;
	struct things *us = &machine->us;
	unsigned int shared = state->span == SPAN_UNOWNED ? 2 : 0;

	if (state->aids == AIDS_DEBUG)
		must(mw_debug_set("FZPU"), "aids");
	must(mw_region_add(MAIN, PHYS(MAIN), MAIN_BYTES), "memory");
	mw_on_misuse(on_misuse);
	machine_as(0);
	place_things();
	set_requests(us);
	churn();
	make_shared(us);
	make_things(us, shared);
	make_things(&machine->mine[0], shared);
	make_things(&machine->mine[1], shared ? shared : 1);
	make_dead(us);
	make_spans(state);
	make_region(us);
	watch(state);
	if (state->memory == MEMORY_RESERVE)
		must(mw_reserve(8 * MW_PAGE_SIZE), "reserve");
	if (state->memory != MEMORY_AMPLE)
		fill_memory();
	machine_as(2);
	if (state->span == SPAN_UNOWNED)
		stop(2);
	if (state->cpus != CPUS_BEGUN)
		stop(state->cpus == CPUS_A_NOT ? 0 : 1);
	machine->faults_here = false;
}

bool state_make(const struct state *state)
{
	mw_reset();
	memory_clear();
	machine_clear();
	machine->faults_here = true;
	return machine_try(make, (void *)state);
}
