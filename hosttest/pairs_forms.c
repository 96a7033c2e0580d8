// SPDX-License-Identifier: MIT
/* The calls that pairs are made of, from api.def. See pairs.h. */
#define _GNU_SOURCE
#include <string.h>
#include "pairs.h"

#define DO(call_) ((call_), (uintptr_t)0)
#define ARGS(...)

/* ---- what expressions of api.def use ---- */

static void *pages_aligned(const struct things *me)
{
	const struct mw_pages want = { .count = RUN_PAGES,
				       .flags = me->flags,
				       .align = 4 * MW_PAGE_SIZE };

	return mw_pages_alloc_as(&want);
}

static void *pages_at(void *at, mw_flags_t flags)
{
	const struct mw_pages want = { .count = 1, .flags = flags, .at = at };

	return mw_pages_alloc_as(&want);
}

/* Memory that was taken back is gone: who touches it faults. */
static bool remove_region(const struct things *us)
{
	bool gone = mw_region_remove(us->region);

	if (gone)
		memory_forbid(us->region, SPARE_BYTES, true);
	return gone;
}

static bool look_up(const void *address)
{
	struct mw_place place;

	return mw_lookup(address, &place);
}

static void *shown(uintptr_t hidden)
{
	return (void *)~hidden;
}

/* Who frees what the collector knows lets go of it first. */
static void forget(struct things *me, const void *object)
{
	for (unsigned int i = 0; i < 32; i++) {
		if (me->roots[i] == object)
			me->roots[i] = NULL;
	}
}

static uintptr_t free_collected(struct things *me)
{
	forget(me, me->collected);
	mw_free(me->collected);
	return 0;
}

static uintptr_t free_key(struct things *me)
{
	forget(me, me->key);
	mw_free(me->key);
	return 0;
}

static uintptr_t free_referred(struct things *me)
{
	forget(me, me->referred);
	mw_free(me->referred);
	return 0;
}

static void see_object(void *object, void *arg)
{
	(void)object, (void)arg;
}

static void see_value(void *arg)
{
	(void)arg;
}

static size_t all_cache_stats(struct things *me)
{
	size_t i = 0;

	while (mw_cache_stats(i, &me->cache_stats))
		i++;
	return i;
}

static bool take_bytes(void *ctx, const void *bytes, size_t len)
{
	(void)bytes;
	((struct things *)ctx)->taken += len;
	return true;
}

static void *pool_alloc(mw_flags_t flags, void *data)
{
	(void)data;
	return mw_alloc(OBJECT_SIZE, flags);
}

static void pool_free(void *element, void *data)
{
	(void)data;
	mw_free(element);
}

struct mw_mempool *forms_pool(void)
{
	return mw_mempool_create(2, pool_alloc, pool_free, NULL);
}

/* ---- the table ---- */

#define EXACT true
#define LOOSE false
#define NAME_(call_, tag_) form_##call_##_##tag_
#define FORM(call_, tag_, answer_, effect_, ...)                                                   \
	static uintptr_t NAME_(call_, tag_)(struct things * me, struct things * us)                \
	{                                                                                          \
		(void)me, (void)us;                                                                \
		return (uintptr_t)(__VA_ARGS__);                                                   \
	}
#include "api.def"

enum {
#define CALL(name_, words_, args_) WORDS_##name_ = (words_),
#include "api.def"
};

#define EFFECT_NOTHING NOTHING, NO_KIND, THING_none
#define KIND_OBJECT OBJECT
#define KIND_COLLECTED COLLECTED
#define KIND_BULK BULK_OF
#define KIND_PAGE PAGE
#define KIND_RUN RUN
#define KIND_STACK STACK
#define KIND_CACHE CACHE
#define KIND_WEAK WEAK
#define KIND_TABLE TABLE
#define KIND_CLEANUP CLEANUP
#define KIND_POOL POOL
#define KIND_REGION REGION
#define EFFECT_MAKES(kind_) MAKES, KIND_##kind_, THING_none
#define EFFECT_GETS(kind_) GETS, KIND_##kind_, THING_none
#define EFFECT_MOVES(thing_) MOVES, NO_KIND, THING_##thing_
#define EFFECT_ENDS(thing_) ENDS, NO_KIND, THING_##thing_
#define EFFECT_ADDS(thing_) ADDS, NO_KIND, THING_##thing_

const struct form forms[] = {
#define FORM(call_, tag_, answer_, effect_, ...)                                                   \
	{ #call_, #tag_, WORDS_##call_, answer_, EFFECT_##effect_, NAME_(call_, tag_) },
#include "api.def"
};
const unsigned int nr_forms = PAIRS_LEN(forms);

static const struct {
	const char *call, *other, *sentence;
} apart[] = {
#define APART(call_, other_, sentence_) { #call_, #other_, sentence_ },
#include "api.def"
};

static bool says(unsigned int i, const struct form *a, const struct form *b)
{
	return !strcmp(apart[i].call, a->call) &&
	       (!strcmp(apart[i].other, "ANY") || !strcmp(apart[i].other, b->call));
}

const char *forms_apart(const struct form *a, const struct form *b)
{
	for (unsigned int i = 0; i < PAIRS_LEN(apart); i++) {
		if (says(i, a, b) || says(i, b, a))
			return apart[i].sentence;
	}
	return NULL;
}

/* ---- the model ---- */

static void fill(void *at, size_t len, unsigned int who)
{
	memset(at, (int)(0x61 + who), len);
}

static struct things *owner_of(enum thing thing, unsigned int who, enum thing *which)
{
	*which = thing > NR_THINGS ? (enum thing)(thing - NR_THINGS - 1) : thing;
	return thing > NR_THINGS ? &machine->us : &machine->mine[who];
}

/* Whoever gets memory writes to all of it. */
static void made(const struct form *form, struct things *me, unsigned int who)
{
	void *result = (void *)me->result;

	switch (form->kind) {
	case COLLECTED:
		me->roots[31] = result;
		break;
	case OBJECT:
		fill(result, mw_usable_size(result), who);
		break;
	case BULK_OF:
		for (unsigned int i = 0; i < BULK; i++)
			fill(me->got[i], CACHE_SIZE, who);
		break;
	case PAGE:
		fill(result, MW_PAGE_SIZE, who);
		break;
	case RUN:
		fill(result, RUN_PAGES * MW_PAGE_SIZE, who);
		break;
	case STACK:
		fill(result, 2 * MW_PAGE_SIZE, who);
		break;
	default:
		break;
	}
}

static bool answers(const struct form *form)
{
	return strcmp(form->call, "mw_region_remove") == 0 ||
	       strcmp(form->call, "mw_cache_destroy") == 0;
}

static void lasts(const struct form *form, struct things *me, unsigned int who)
{
	enum thing which;
	struct things *owner = owner_of(form->thing, who, &which);

	if (form->effect == MAKES && me->result)
		made(form, me, who);
	else if (form->effect == GETS && me->result)
		me->roots[31] = (void *)me->result;
	else if (form->effect == ENDS && (me->result || !answers(form)))
		owner->fate[which] = FATE_GONE;
	else if (form->effect == ADDS)
		owner->fate[which] = FATE_ADDED;
	else if (form->effect == MOVES && me->result && which == THING_object)
		owner->object = (void *)me->result;
	else if (form->effect == MOVES && me->result)
		owner->large = (void *)me->result;
}

void form_run(const struct form *form, unsigned int who)
{
	struct things *me = &machine->mine[who];

	step_call_begins();
	me->result = form->run(me, &machine->us);
	step_call_ends();
	me->done = true;
	lasts(form, me, who);
}
