/* SPDX-License-Identifier: MIT */
/* The table of forms.h, made from api.def. For one file of an engine. */
#include "forms.h"

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

static bool remove_region(const struct things *us)
{
	bool gone = mw_region_remove(us->region);

	if (gone)
		forms_region_gone(us);
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
static void let_go_of(struct things *me, const void *object)
{
	for (unsigned int i = 0; i < 32; i++) {
		if (me->roots[i] == object)
			me->roots[i] = NULL;
	}
}

static uintptr_t free_collected(struct things *me)
{
	let_go_of(me, me->collected);
	mw_free(me->collected);
	return 0;
}

static uintptr_t free_key(struct things *me)
{
	let_go_of(me, me->key);
	mw_free(me->key);
	return 0;
}

static uintptr_t free_referred(struct things *me)
{
	let_go_of(me, me->referred);
	mw_free(me->referred);
	return 0;
}

static void see_object(void *object, void *arg)
{
	forms_finalized(object, arg);
}

static void see_value(void *arg)
{
	forms_cleaned(arg);
}

static size_t all_cache_stats(struct things *me)
{
	size_t i = 0;

	/* Each call walks to it. */
	while (mw_cache_stats(i, &me->cache_stats))
		i += 8;
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
	{ #call_, #tag_, #__VA_ARGS__, WORDS_##call_, answer_, EFFECT_##effect_, NAME_(call_, tag_) },
#include "api.def"
};
const unsigned int nr_forms = sizeof(forms) / sizeof(forms[0]);
