// SPDX-License-Identifier: MIT
/*
 * Weak-keyed tables at the end of a mark: values whose keys are marked are shown, entries of other keys dropped.
 *
 * The world stands still at the end of a mark, but interrupts go on, and one that frees a key by hand takes its
 * entries out: so chains are walked with the table's lock then as well, a few at a time.
 */
#include "special.h"

#if MW_GC

/* Chains that the collecting CPU looks at without a look at interrupts. */
#define WALK 16u

typedef bool walk_fn(struct mw_weak_table *table, struct mw_table_entry **chain, void *ctx);

/* @fn for each chain that is not empty, locked. Return: whether one of the calls said so. */
static bool walk(struct mw_weak_table *table, walk_fn *fn, void *ctx)
{
	bool any = false, more = true;

	for (size_t i = 0; more;) {
		unsigned long state = mw_lock(&table->lock);
		struct mw_table_entry **chain;

		for (unsigned int n = 0; n < WALK; n++) {
			more = (chain = mw_table_chain(table, i++));
			if (!more)
				break;
			if (*chain)
				any |= fn(table, chain, ctx);
		}
		mw_unlock(&table->lock, state);
	}
	return any;
}

struct show {
	mw_record_visit_fn *visit;
	void *ctx;
	bool again; /* what was shown as well */
};

static bool show_chain(struct mw_weak_table *table, struct mw_table_entry **chain, void *ctx)
{
	const struct show *show = ctx;
	bool any = false;

	for (struct mw_table_entry *e = *chain; e; e = e->next) {
		if ((e->shown && !show->again) || !mw_object_marked(e->key))
			continue;
		any = true;
		e->shown |= !show->again;
		show->visit(show->ctx, table->name, &e->value, &e->value + 1, NULL);
	}
	return any;
}

bool mw_tables_show(mw_record_visit_fn *visit, void *ctx)
{
	struct show show = { visit, ctx, false };
	bool any = false;

	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next)
		any |= walk(table, show_chain, &show);
	return any;
}

void mw_tables_each_root(mw_record_visit_fn *visit, void *ctx)
{
	struct show show = { visit, ctx, true };

	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next)
		(void)walk(table, show_chain, &show);
}

/* What was not shown goes into the list @ctx. */
static bool settle_chain(struct mw_weak_table *table, struct mw_table_entry **at, void *ctx)
{
	struct mw_table_entry *entry, **dropped = ctx;

	while ((entry = *at)) {
		if (entry->shown) {
			entry->shown = false;
			at = &entry->next;
			continue;
		}
		*at = entry->next;
		table->count--;
		entry->next = *dropped;
		*dropped = entry;
	}
	return false;
}

void mw_tables_settle(void)
{
	struct mw_table_entry *dropped = NULL;

	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next)
		(void)walk(table, settle_chain, &dropped);
	mw_table_free_list(dropped);
}

#endif
