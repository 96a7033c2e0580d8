// SPDX-License-Identifier: MIT
/* The calls that pairs are made of, from api.def. See pairs.h. */
#define _GNU_SOURCE
#include <string.h>
#include "pairs.h"
#include "forms_table.h"

void forms_finalized(void *object, void *arg)
{
	(void)object, (void)arg;
}

void forms_cleaned(void *arg)
{
	(void)arg;
}

/* Memory that was taken back is gone: who touches it faults. */
void forms_region_gone(const struct things *us)
{
	memory_forbid(us->region, SPARE_BYTES, true);
}

struct mw_mempool *forms_pool(void)
{
	return mw_mempool_create(2, pool_alloc, pool_free, NULL);
}

/* ---- what may not be beside each other ---- */

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
