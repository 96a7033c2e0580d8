/* SPDX-License-Identifier: MIT */
/* What an answer must be, whatever the other CPUs do, and what becomes of it. See crowd.h. */
#ifndef HOSTTEST_CROWD_MODEL_H
#define HOSTTEST_CROWD_MODEL_H

#include "crowd_things.h"

/* ---- answers that are memory, or things of their own ---- */

static void extra_end(struct actor *a, struct extra *extra)
{
	void *at = extra->at;

	if (extra->size)
		CROWD_CHECK(a, crowd_holds(at, extra->size, extra->byte),
			    "overwritten:", "an answer");
	switch (extra->kind) {
	case OBJECT:
		mw_free(at);
		break;
	case PAGE:
	case RUN:
		mw_pages_free(at, extra->size / MW_PAGE_SIZE);
		break;
	case STACK:
		mw_stack_free(at, 1);
		break;
	case CACHE:
		CROWD_CHECK(a, mw_cache_destroy(at), "lives on:", "a new cache");
		break;
	case WEAK:
		mw_weak_free(at);
		break;
	case TABLE:
		mw_weak_table_free(at);
		break;
	case POOL:
		mw_mempool_destroy(at);
		break;
	default:
		break;
	}
	*extra = (struct extra){ 0 };
}

static unsigned char next_byte(struct actor *a)
{
	a->next_byte = a->next_byte % 30 + 1;
	return a->next_byte;
}

static void extra_keep(struct actor *a, enum made kind, void *at, size_t size)
{
	struct extra *extra = &a->extra[test_below(MOST_EXTRAS)];

	if (extra->at)
		extra_end(a, extra);
	*extra = (struct extra){ at, size, kind, next_byte(a) };
	if (size)
		crowd_fill(at, size, extra->byte);
}

/* Only the new one is stored elsewhere than in the new one: that is allowed to handlers. */
static void root_keep(struct actor *a, void *at, size_t size)
{
	unsigned int i = FIRST_ROOT + (unsigned int)test_below(ROOT_WORDS - 1 - FIRST_ROOT);

	if (a->me.roots[i])
		CROWD_CHECK(a, crowd_holds(a->me.roots[i], a->root[i].size, a->root[i].byte),
			    "overwritten:", "a collected answer");
	a->root[i].size = size;
	a->root[i].byte = next_byte(a);
	crowd_fill(at, size, a->root[i].byte);
	a->me.roots[i] = at;
}

static size_t made_size(const struct form *form, const void *at)
{
	switch (form->kind) {
	case OBJECT:
		return mw_usable_size(at);
	case COLLECTED:
		return crowd_names(form->call, "mw_new") ? 0 : mw_usable_size(at);
	case PAGE:
		return MW_PAGE_SIZE;
	case RUN:
		return RUN_PAGES * MW_PAGE_SIZE;
	case STACK:
		return 2 * MW_PAGE_SIZE;
	default:
		return 0;
	}
}

static void bulk_made(struct actor *a, bool zero)
{
	for (unsigned int i = 0; i < BULK; i++) {
		if (zero)
			CROWD_CHECK(a, crowd_is_zero(a->me.got[i], CACHE_SIZE), "not zero:", "bulk");
		crowd_fill(a->me.got[i], CACHE_SIZE, a->byte);
	}
	mw_cache_free_bulk(crowd.us.cache, BULK, a->me.got);
}

static void made(struct actor *a, const struct form *form, void *at)
{
	bool zero = crowd_names(form->text, "MW_ZERO") ||
		    (crowd_names(form->text, "me->flags") && a->me.flags & MW_ZERO);
	size_t size = form->kind < CACHE && form->kind != BULK_OF ? made_size(form, at) : 0;

	if (form->kind == BULK_OF) {
		bulk_made(a, zero);
		return;
	}
	/* What a pool held back is as it was given back. */
	if (zero && size && !crowd_same(form->call, "mw_mempool_alloc"))
		CROWD_CHECK(a, crowd_is_zero(at, size), "not zero:", form->text);
	switch (form->kind) {
	case COLLECTED:
		root_keep(a, at, size);
		break;
	case CLEANUP:
		atomic_fetch_add(&crowd.added, 1);
		if (test_below(2))
			let_go_of_cleanup(at);
		break;
	case REGION:
		a->region_on[crowd_same(form->call, "mw_region_add_zeroed")] = true;
		break;
	default:
		extra_keep(a, form->kind, at, size);
	}
}

static void moved(struct actor *a, const struct form *form, void *at)
{
	size_t size = hand_size(form->thing), usable = mw_usable_size(at);

	size = size < usable ? size : usable;
	if (crowd_same(form->tag, "stays"))
		size = OBJECT_SIZE - 8;
	/* Ends and single bytes were filled: of what was longer, what lay between was not. */
	CROWD_CHECK(a, crowd_holds(at, size < END ? size : END, a->byte),
		    "not moved whole:", form->text);
	a->live[form->thing] = false;
	extra_keep(a, OBJECT, at, usable);
}

/* ---- what must be said ---- */

static const struct {
	const char *call, *tag;
} always_true[] = {
	{ "mw_memmap_next", "free" },	{ "mw_phys", "object" },
	{ "mw_usable_size", "object" }, { "mw_size_roundup", "" },
	{ "mw_lookup", "object" },	{ "mw_misuse_name", "" },
	{ "mw_on_misuse", "same" },	{ "mw_gc_is_object", "own" },
	{ "mw_gc_root_remove", "" },	{ "mw_unpin", "" },
	{ "mw_gc_collect", "marked" },	{ "mw_gc_collect", "swept" },
	{ "mw_gc_check", "" },		{ "mw_gc_policy_set", "" },
	{ "mw_cache_destroy", "hand" }, { "mw_cache_destroy", "collected" },
	{ "mw_safe_free", "on" },	{ "mw_safe_free", "off" },
	{ "mw_safe_free", "one" },	{ "mw_realloc", "end" },
	{ "mw_region_stats", "" },
};

static bool is(const struct form *form, const char *call, const char *tag)
{
	return crowd_same(form->call, call) && crowd_same(form->tag, tag);
}

/* What no other CPU can change; NULL: fine. */
static const char *wrong_answer(struct actor *a, const struct form *form, uintptr_t result)
{
	struct things *me = &a->me;

	for (unsigned int i = 0; i < sizeof(always_true) / sizeof(always_true[0]); i++)
		if (is(form, always_true[i].call, always_true[i].tag) && !result)
			return "said no:";
	if (is(form, "mw_tag_get", "own") && result != TAG)
		return "another tag:";
	if (is(form, "mw_weak_get", "live") && (void *)result != crowd.us.referred)
		return "another object:";
	if (is(form, "mw_weak_table_get", "own") && (void *)result != (a->key_in ? me->value : NULL))
		return "another value:";
	if (is(form, "mw_weak_table_remove", "own") && result != a->key_in)
		return "another entry:";
	if (is(form, "mw_weak_table_get", "shared") && (void *)result != crowd.us.value && result)
		return "another value:";
	if (is(form, "mw_finalizer_clear", "own") && result != a->finalized)
		return "another finalizer:";
	if (is(form, "mw_finalizer_set", "own") && result && a->collected_finalized)
		return "two finalizers:";
	if (is(form, "mw_usable_size", "object") && result < OBJECT_SIZE)
		return "too small:";
	return NULL;
}

/* ---- what it changes ---- */

static void count_if(mw_atomic_t *counter, bool yes)
{
	if (yes)
		atomic_fetch_add(counter, 1);
}

static void note_records(struct actor *a, const struct form *form, uintptr_t result)
{
	if (is(form, "mw_finalizer_set", "own") && result)
		a->collected_finalized = true;
	if (is(form, "mw_finalizer_clear", "own"))
		a->finalized = false;
	if (crowd_same(form->call, "mw_finalizer_set"))
		count_if(&crowd.sets, result);
	if (crowd_same(form->call, "mw_finalizer_clear"))
		count_if(&crowd.clears, result);
	if (is(form, "mw_weak_table_remove", "own"))
		a->key_in = false;
	if (is(form, "mw_weak_table_put", "own") && result)
		a->collected_in = true;
}

static bool says_whether(const struct form *form)
{
	return !crowd_names(form->text, "DO(") && !crowd_names(form->text, "free_") &&
	       !crowd_same(form->call, "mw_realloc");
}

static void ended(struct actor *a, const struct form *form, uintptr_t result)
{
	enum thing thing = form->thing;

	if (thing > NR_THINGS) {
		a->shared[thing - NR_THINGS - 1] = false;
		return;
	}
	if (thing == THING_shrinker && !result)
		remove_shrinker(&a->me.shrinker);
	else if (thing == THING_cleanup)
		count_if(&crowd.cancelled, result);
	else if (thing == THING_cache || thing == THING_empty || thing == THING_old_root ||
		 thing == THING_pinned)
		CROWD_CHECK(a, result, "said no:", form->text);
	a->live[thing] = false;
	if (thing == THING_key)
		a->key_in = false;
	if (thing == THING_collected)
		a->collected_in = false;
}

static void added(struct actor *a, const struct form *form, uintptr_t result)
{
	if (says_whether(form) && !result)
		return;
	if (form->thing == THING_to_pin)
		a->pins++;
	else if (form->thing > NR_THINGS)
		atomic_fetch_add(&crowd.pins, 1);
	else
		a->live[form->thing] = true;
}

static void crowd_after(struct actor *a, const struct form *form, uintptr_t result)
{
	const char *wrong = wrong_answer(a, form, result);

	CROWD_CHECK(a, !wrong, wrong, form->text);
	note_records(a, form, result);
	switch (form->effect) {
	case MAKES:
		if (result)
			made(a, form, (void *)result);
		break;
	case GETS:
		if (result)
			a->me.roots[ROOT_WORDS - 1] = (void *)result;
		break;
	case MOVES:
		if (result)
			moved(a, form, (void *)result);
		break;
	case ENDS:
		ended(a, form, result);
		break;
	case ADDS:
		added(a, form, result);
		break;
	default:
		break;
	}
}

#endif
