// SPDX-License-Identifier: MIT
/* The things that pairs find: of each of the two calls, and of both. See pairs.h. */
#define _GNU_SOURCE
#include <string.h>
#include "pairs.h"

#define SPARE(who) (ARENA + ((size_t)(128 + 16 * (who)) << 20))
#define ROOTS (ARENA + ((size_t)192 << 20))
#define DEAD_KEYS 12
#define ROOT_WORDS 32 /* of each: the last one for what a call makes */

static void *shown(uintptr_t hidden)
{
	return (void *)~hidden;
}

void things_must(bool fine, const char *what)
{
	if (!fine)
		machine_fail(V_ENGINE, 0, "the state cannot be made: %s", what);
}

/* ---- things ---- */

static void *marked(void *object, size_t len)
{
	things_must(object, "memory for its things");
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
	things_must(mw_leak_ignore(t->ignored), "ignored");
	things_must(mw_cache_alloc_bulk(us->cache, 0, BULK, t->bulk), "bulk");
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
	things_must(t->value, "a node");
	things_must(mw_finalizer_set(t->finalized, see_object, NULL), "finalizer");
	things_must(mw_tag_set(t->tagged, 7), "tag");
	things_must(mw_pin(t->pinned, "pairs"), "pin");
	things_must(mw_tag_set(t->referred, 3), "tag");
	things_must((t->cleanup = mw_cleanup_add(t->cleaned, see_nothing, NULL)), "cleanup");
	things_must((t->weak = mw_weak_new(t->referred)), "weak");
	things_must(mw_weak_table_put(us->table, t->key, t->value), "put");
}

static void make_things(struct things *t, unsigned int cpu)
{
	struct mw_cache_want want = machine->us.hand, gathered = machine->us.gathered;
	unsigned int before = machine_as(cpu);

	make_by_hand(t);
	make_collected(t);
	things_must((t->cache = t == &machine->us ? t->cache : mw_cache_create(&want)), "cache");
	things_must((t->empty = mw_cache_create(&gathered)), "cache");
	/* A span that stays, and one that was given back. */
	mw_cache_free(t->empty, mw_cache_alloc(t->empty, 0));
	if (t != &machine->us)
		mw_cache_free(t->cache, mw_cache_alloc(t->cache, 0));
	t->table = t == &machine->us ? t->table : mw_weak_table_new("own");
	things_must(t->table, "table");
	t->pool = t == &machine->us ? t->pool : forms_pool();
	things_must(t->pool, "pool");
	t->shrinker.shrink = t->new_shrinker.shrink = shrink_nothing;
	mw_shrinker_add(&t->shrinker);
	t->listener.moment = t->new_listener.moment = hear;
	mw_gc_listen(&t->listener);
	things_must(mw_gc_root_add("own", t->old_root, t->old_root + 4, NULL), "root");
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
	things_must((us->cache = mw_cache_create(&us->hand)), "cache");
	things_must((us->live = mw_cache_create(&us->gathered)), "cache");
	us->gathered.size = 1024;
	things_must((us->fresh = mw_cache_create(&us->gathered)), "cache");
	things_must((us->idle = mw_cache_create(&us->hand)), "cache");
	things_must((us->table = mw_weak_table_new("shared")), "table");
	things_must((us->pool = forms_pool()), "pool");
}

/* Some of what was in it was freed by its own CPU, some by another one. */
static void make_idle(unsigned int cpu)
{
	void *objects[BULK];
	unsigned int before = machine_as(cpu);

	things_must(mw_cache_alloc_bulk(machine->us.idle, 0, BULK, objects), "bulk");
	mw_cache_free_bulk(machine->us.idle, BULK / 2, objects);
	machine_as(1 - cpu);
	mw_cache_free_bulk(machine->us.idle, BULK - BULK / 2, objects + BULK / 2);
	machine_as(before);
}

/* What nothing reaches, with all that can hang on it. */
static void make_dead(struct things *us)
{
	us->dead = ~(uintptr_t)mw_cache_alloc(us->live, 0);
	things_must((us->weak_dead = mw_weak_new(shown(us->dead))), "weak");
	things_must(mw_cleanup_add(shown(us->dead), see_nothing, NULL), "cleanup");
	things_must(mw_tag_set(shown(us->dead), 9), "tag");
	for (unsigned int i = 0; i < DEAD_KEYS; i++) {
		void *key = mw_alloc(OBJECT_SIZE, MW_NOSCAN);

		things_must(key && mw_weak_table_put(us->table, key, us->value), "put");
	}
	things_must(mw_finalizer_set(mw_alloc(OBJECT_SIZE, MW_COLLECTED), see_object, NULL),
		    "finalizer");
}

static void on_misuse(const struct mw_report *report)
{
	/* Some of those are found when the span is looked at next. */
	bool late = !strncmp(report->text, "two CPUs freed", 14);

	if (machine->faults_here && !late)
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
		things_must(mw_gc_root_add("pairs", all[i]->roots, all[i]->roots + ROOT_WORDS, NULL),
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

void things_make(unsigned int shared)
{
	struct things *us = &machine->us;

	mw_on_misuse(on_misuse);
	place_things();
	set_requests(us);
	make_shared(us);
	make_things(us, shared);
	make_things(&machine->mine[0], shared);
	make_things(&machine->mine[1], shared ? shared : 1);
	make_dead(us);
}

void things_make_idle(void)
{
	make_idle(0);
	make_idle(1);
}
