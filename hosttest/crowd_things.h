/* SPDX-License-Identifier: MIT */
/* The things that a crowd's calls need: made, looked at, ended. See crowd.h. */
#ifndef HOSTTEST_CROWD_THINGS_H
#define HOSTTEST_CROWD_THINGS_H

#include "crowd.h"

#define FIELD_OF(thing_) offsetof(struct things, thing_)
static const size_t field_of[NR_THINGS] = { PAIRS_THINGS(FIELD_OF) };
#define NAME_OF(thing_) #thing_
static const char *const name_of[NR_THINGS] = { PAIRS_THINGS(NAME_OF) };

static void **field(struct things *t, enum thing thing)
{
	return (void **)((char *)t + field_of[thing]);
}

/* ---- memory that is freed by hand ---- */

static size_t hand_size(enum thing thing)
{
	switch (thing) {
	case THING_large:
		return LARGE_SIZE;
	case THING_of_cache:
		return CACHE_SIZE;
	case THING_page:
		return MW_PAGE_SIZE;
	case THING_run:
		return RUN_PAGES * MW_PAGE_SIZE;
	case THING_stack:
		return 2 * MW_PAGE_SIZE;
	case THING_object:
	case THING_aligned:
	case THING_ignored:
	case THING_element:
		return OBJECT_SIZE;
	default:
		return 0;
	}
}

static void *hand_get(enum thing thing, mw_flags_t flags)
{
	switch (thing) {
	case THING_aligned:
		return mw_alloc_aligned(OBJECT_SIZE, 256, flags);
	case THING_of_cache:
		return mw_cache_alloc(crowd.us.cache, flags);
	case THING_element:
		return mw_mempool_alloc(crowd.us.pool, flags);
	case THING_page:
		return mw_pages_alloc(1, flags);
	case THING_run:
		return mw_pages_alloc(RUN_PAGES, flags);
	case THING_stack:
		return mw_stack_alloc(1, flags);
	default:
		return mw_alloc(hand_size(thing), flags);
	}
}

static void hand_end(enum thing thing, void *at)
{
	if (thing == THING_page || thing == THING_run)
		mw_pages_free(at, thing == THING_page ? 1 : RUN_PAGES);
	else if (thing == THING_stack)
		mw_stack_free(at, 1);
	else if (thing == THING_of_cache)
		mw_cache_free(crowd.us.cache, at);
	else if (thing == THING_element)
		mw_mempool_free(crowd.us.pool, at);
	else
		mw_free(at);
}

static bool make_hand(struct actor *a, enum thing thing, mw_flags_t flags)
{
	void *at = hand_get(thing, flags);

	if (!at)
		return false;
	crowd_fill(at, hand_size(thing), a->byte);
	if (thing == THING_ignored && !mw_leak_ignore(at)) {
		mw_free(at);
		return false;
	}
	*field(&a->me, thing) = at;
	return true;
}

static bool make_bulk(struct actor *a, mw_flags_t flags)
{
	if (!mw_cache_alloc_bulk(crowd.us.cache, flags, BULK, a->me.bulk))
		return false;
	for (unsigned int i = 0; i < BULK; i++)
		crowd_fill(a->me.bulk[i], CACHE_SIZE, a->byte);
	return true;
}

/* ---- collected memory, which is in a root, too ---- */

static unsigned int root_of(enum thing thing)
{
	switch (thing) {
	case THING_collected:
		return 0;
	case THING_key:
		return 1;
	case THING_referred:
		return 3;
	default:
		return 7;
	}
}

/* Not pinned: a handler of this CPU may come, and finds the thing whole or not at all. */
static bool make_collected(struct actor *a, enum thing thing, mw_flags_t flags)
{
	void *at = mw_cache_alloc(crowd.us.live, flags);
	unsigned long state;

	if (!at)
		return false;
	crowd_fill(at, CACHE_SIZE, a->byte);
	if (thing == THING_key && !mw_weak_table_put(crowd.us.table, at, a->me.value))
		return false;
	if (thing == THING_referred && !mw_tag_set(at, 3))
		return false;
	state = mw_port_pin();
	a->me.roots[root_of(thing)] = at;
	*field(&a->me, thing) = at;
	if (thing == THING_key)
		a->key_in = true;
	a->live[thing] = true;
	mw_port_unpin(state);
	return true;
}

/* ---- the rest; of threads only ---- */

static bool make_empty(struct actor *a)
{
	a->me.empty = mw_cache_create(&crowd.us.gathered);
	if (a->me.empty)
		mw_cache_free(a->me.empty, mw_cache_alloc(a->me.empty, 0));
	return a->me.empty;
}

static bool make_other(struct actor *a, enum thing thing)
{
	struct things *me = &a->me;

	switch (thing) {
	case THING_cache:
		return (me->cache = mw_cache_create(&crowd.us.hand));
	case THING_empty:
		return make_empty(a);
	case THING_old_root:
		return mw_gc_root_add("old", me->old_root, me->old_root + 4, NULL);
	case THING_pinned:
		return mw_pin(me->pinned, "crowd");
	case THING_listener:
		mw_gc_listen(&me->listener);
		return true;
	case THING_shrinker:
		mw_shrinker_add(&me->shrinker);
		return true;
	case THING_cleanup:
		return (me->cleanup = mw_cleanup_add(me->cleaned, see_value, NULL));
	case THING_weak:
		return (me->weak = mw_weak_new(me->cleaned));
	case THING_table:
		return (me->table = mw_weak_table_new("own"));
	case THING_pool:
		return (me->pool = mw_mempool_create(2, pool_alloc, pool_free, NULL));
	default:
		return false;
	}
}

static bool thing_is_added(enum thing thing)
{
	return thing == THING_new_root || thing == THING_new_shrinker || thing == THING_new_listener;
}

static bool thing_is_collected(enum thing thing)
{
	return thing == THING_collected || thing == THING_key || thing == THING_referred ||
	       thing == THING_to_pin;
}

static bool handlers_may_make(enum thing thing)
{
	return (hand_size(thing) && thing != THING_ignored) || thing == THING_bulk ||
	       thing == THING_collected;
}

/* Return: whether it is there now. */
static bool thing_make(struct actor *a, enum thing thing)
{
	mw_flags_t flags = a->is_handler ? MW_ATOMIC : test_below(2) ? 0 : MW_ATOMIC;

	if (a->live[thing])
		return true;
	if (a->is_handler && !handlers_may_make(thing))
		return false;
	if (thing_is_collected(thing))
		return make_collected(a, thing, flags);
	if (hand_size(thing))
		a->live[thing] = make_hand(a, thing, flags);
	else if (thing == THING_bulk)
		a->live[thing] = make_bulk(a, flags);
	else
		a->live[thing] = make_other(a, thing);
	if (a->live[thing] && thing == THING_cleanup)
		atomic_fetch_add(&crowd.added, 1);
	return a->live[thing];
}

/* What a handler needs and cannot make: its thread does, as it goes on itself. */
static void help_handler(struct actor *handler)
{
	static const enum thing all[] = { THING_key, THING_referred, THING_to_pin };

	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!handler->live[all[i]])
			(void)make_collected(handler, all[i], 0);
	}
	if (!handler->live[THING_ignored]) {
		void *at = mw_alloc(OBJECT_SIZE, 0);
		unsigned long state;

		if (!at)
			return;
		crowd_fill(at, OBJECT_SIZE, handler->byte);
		if (!mw_leak_ignore(at)) {
			mw_free(at);
			return;
		}
		state = mw_port_pin();
		handler->me.ignored = at;
		handler->live[THING_ignored] = true;
		mw_port_unpin(state);
	}
}

/* ---- looks ---- */

static void thing_look(const struct actor *a, enum thing thing)
{
	struct things *me = (struct things *)&a->me;

	if (!a->live[thing])
		return;
	if (hand_size(thing))
		CROWD_CHECK(a, crowd_holds(*field(me, thing), hand_size(thing), a->byte),
			    "overwritten:", name_of[thing]);
	else if (thing_is_collected(thing))
		CROWD_CHECK(a, crowd_holds(*field(me, thing), CACHE_SIZE, a->byte),
			    "overwritten:", name_of[thing]);
	else if (thing == THING_bulk)
		for (unsigned int i = 0; i < BULK; i++)
			CROWD_CHECK(a, crowd_holds(me->bulk[i], CACHE_SIZE, a->byte),
				    "overwritten:", name_of[thing]);
}

/* ---- ends ---- */

static void let_go_of_cleanup(struct mw_cleanup *cleanup)
{
	if (mw_cleanup_cancel(cleanup))
		atomic_fetch_add(&crowd.cancelled, 1);
}

static void remove_shrinker(struct mw_shrinker *shrinker)
{
	while (!mw_shrinker_remove(shrinker))
		mw_port_relax();
}

/* As a thread, where no handler of the actor's comes any more. */
static void end_collected(struct actor *a, enum thing thing)
{
	if (thing == THING_collected && a->collected_finalized && mw_finalizer_clear(a->me.collected))
		atomic_fetch_add(&crowd.clears, 1);
	while (thing == THING_to_pin && a->pins) {
		CROWD_CHECK(a, mw_unpin(a->me.to_pin), "not pinned:", "to_pin");
		a->pins--;
	}
	a->me.roots[root_of(thing)] = NULL;
	*field(&a->me, thing) = NULL;
}

static void end_other(struct actor *a, enum thing thing)
{
	struct things *me = &a->me;

	switch (thing) {
	case THING_cache:
		CROWD_CHECK(a, mw_cache_destroy(me->cache), "lives on:", "cache");
		break;
	case THING_empty:
		CROWD_CHECK(a, mw_cache_destroy(me->empty), "lives on:", "empty");
		break;
	case THING_old_root:
		CROWD_CHECK(a, mw_gc_root_remove(me->old_root), "no root:", "old_root");
		break;
	case THING_new_root:
		CROWD_CHECK(a, mw_gc_root_remove(me->new_root), "no root:", "new_root");
		break;
	case THING_pinned:
		CROWD_CHECK(a, mw_unpin(me->pinned), "not pinned:", "pinned");
		break;
	case THING_listener:
		mw_gc_unlisten(&me->listener);
		break;
	case THING_new_listener:
		mw_gc_unlisten(&me->new_listener);
		break;
	case THING_shrinker:
		remove_shrinker(&me->shrinker);
		break;
	case THING_new_shrinker:
		remove_shrinker(&me->new_shrinker);
		break;
	case THING_cleanup:
		let_go_of_cleanup(me->cleanup);
		break;
	case THING_weak:
		CROWD_CHECK(a, mw_weak_get(me->weak) == me->cleaned, "does not refer:", "weak");
		mw_weak_free(me->weak);
		break;
	case THING_table:
		mw_weak_table_free(me->table);
		break;
	case THING_pool:
		mw_mempool_destroy(me->pool);
		break;
	default:
		break;
	}
}

static void thing_end(struct actor *a, enum thing thing)
{
	if (!a->live[thing])
		return;
	thing_look(a, thing);
	if (thing_is_collected(thing))
		end_collected(a, thing);
	else if (hand_size(thing))
		hand_end(thing, *field(&a->me, thing));
	else if (thing == THING_bulk)
		mw_cache_free_bulk(crowd.us.cache, BULK, a->me.bulk);
	else
		end_other(a, thing);
	a->live[thing] = false;
}

/* ---- in transit from one CPU to another ---- */

#define TRANSIT_BYTE 0x1f

static bool goes_round(enum thing thing)
{
	return thing == THING_object || thing == THING_large || thing == THING_of_cache ||
	       thing == THING_page || thing == THING_run;
}

/* A new one for somebody else, and an older one for this actor. */
static bool transit_take(struct actor *a, enum thing thing)
{
	void *at;

	if (a->shared[thing])
		return true;
	at = hand_get(thing, a->is_handler ? MW_ATOMIC : 0);
	if (!at)
		return false;
	crowd_fill(at, hand_size(thing), TRANSIT_BYTE);
	at = atomic_exchange(&crowd.transit[thing][test_below(PASSES)], at);
	if (!at)
		return false;
	CROWD_CHECK(a, crowd_holds(at, hand_size(thing), TRANSIT_BYTE),
		    "overwritten in transit:", name_of[thing]);
	*field(&a->us, thing) = at;
	a->shared[thing] = true;
	return true;
}

/* What nobody has in hand, or only what an actor has. Return: pages' worth that were freed. */
static size_t transit_give_back(unsigned int most)
{
	size_t pages = 0;

	for (enum thing thing = 0; thing < NR_THINGS; thing++) {
		for (unsigned int i = 0; i < PASSES && pages < most && goes_round(thing); i++) {
			void *at = atomic_exchange(&crowd.transit[thing][i], NULL);

			if (!at)
				continue;
			hand_end(thing, at);
			pages += (hand_size(thing) + MW_PAGE_SIZE - 1) / MW_PAGE_SIZE;
		}
	}
	return pages;
}

#endif
