/* SPDX-License-Identifier: MIT */
/* What is there for all of a crowd before it begins. See crowd.h. */
#ifndef HOSTTEST_CROWD_BEGIN_H
#define HOSTTEST_CROWD_BEGIN_H

#include "crowd_calls.h"

/* ---- what all share ---- */

void forms_finalized(void *object, void *arg)
{
	(void)object, (void)arg;
	atomic_fetch_add(&crowd.finalized, 1);
}

void forms_cleaned(void *arg)
{
	(void)arg;
	atomic_fetch_add(&crowd.cleaned, 1);
}

static size_t give_back(struct mw_shrinker *self, size_t pages)
{
	(void)self;
	atomic_fetch_add(&crowd.shrunk, 1);
	return transit_give_back((unsigned int)pages);
}

static void hear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	(void)self, (void)moment, (void)cycle;
	atomic_fetch_add(&crowd.heard, 1);
}

static void make_types(struct things *us)
{
	static const struct mw_field node_fields[] = { MW_PTR(struct node, next),
						       MW_PTR(struct node, other) };
	static const struct mw_field flex_fields[] = {
		{ "nodes", MW_FIELD_FLEX, offsetof(struct flex, nodes), 0, NULL, 0, 0 }
	};
	static struct mw_type node, flex;

	node = us->type = (struct mw_type){
		.name = "node", .size = sizeof(struct node), .fields = node_fields, .field_count = 2
	};
	flex = (struct mw_type){
		.name = "flex", .size = sizeof(struct flex), .fields = flex_fields, .field_count = 1
	};
	us->node = &node;
	us->flex = &flex;
	NEED(mw_type_ready(us->node) && mw_type_ready(us->flex));
}

static void make_requests(struct things *us)
{
	us->map[0] = (struct mw_memrange){ 0x100000, 0x200000, MW_MEM_FREE };
	us->map[1] = (struct mw_memrange){ 0x180000, 0x1000, MW_MEM_RESERVED };
	us->report = (struct mw_report){ .what = MW_OVERRUN, .text = "none" };
	us->on_misuse = crowd_misused;
	us->rarely = (struct mw_fail){ .every = 40, .pages = true, .own = true };
	mw_gc_policy_get(&us->policy);
	us->leaks = (struct mw_leak_want){ .most = 4 };
	us->safe = (struct mw_safe_policy){ .on = true, .wipe = true };
	us->mapping = (struct mw_profile_mapping){ .file = "none" };
}

static void make_caches(struct things *us)
{
	us->hand = (struct mw_cache_want){ .name = "hand", .size = CACHE_SIZE };
	us->gathered = (struct mw_cache_want){ .name = "gathered",
					       .size = CACHE_SIZE,
					       .flags = MW_COLLECTED };
	NEED(us->cache = mw_cache_create(&us->hand));
	NEED(us->idle = mw_cache_create(&us->hand));
	NEED(us->live = mw_cache_create(&us->gathered));
	us->gathered.size = 1024;
	NEED(us->fresh = mw_cache_create(&us->gathered));
	NEED(us->table = mw_weak_table_new("shared"));
	NEED(us->pool = mw_mempool_create(2, pool_alloc, pool_free, NULL));
}

/* What each has for as long as the crowd lasts, in roots. */
static void make_permanent(struct things *t)
{
	void **at = t->roots;

	NEED(mw_gc_root_add("crowd", t->roots, t->roots + ROOT_WORDS, NULL));
	NEED(at[2] = t->value = mw_new(crowd.us.node, 0));
	NEED(at[4] = t->finalized = mw_alloc(64, MW_COLLECTED | MW_ZERO));
	NEED(at[5] = t->tagged = mw_alloc(64, MW_NOSCAN));
	NEED(at[6] = t->pinned = mw_alloc(64, MW_NOSCAN));
	NEED(at[8] = t->cleaned = mw_cache_alloc(crowd.us.live, MW_ZERO));
	NEED(mw_tag_set(t->tagged, TAG));
	NEED(mw_finalizer_set(t->finalized, see_object, NULL));
	atomic_fetch_add(&crowd.sets, 1);
}

static void make_shared(struct things *us)
{
	make_types(us);
	make_requests(us);
	make_caches(us);
	make_permanent(us);
	NEED(us->roots[0] = us->collected = mw_cache_alloc(us->live, MW_ZERO));
	NEED(us->roots[1] = us->key = mw_cache_alloc(us->live, MW_ZERO));
	NEED(us->roots[3] = us->referred = mw_cache_alloc(us->live, MW_ZERO));
	NEED(us->roots[7] = us->to_pin = mw_cache_alloc(us->live, MW_ZERO));
	NEED(us->weak = mw_weak_new(us->referred));
	NEED(mw_weak_table_put(us->table, us->key, us->value));
}

#endif
