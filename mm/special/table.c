// SPDX-License-Identifier: MIT
/*
 * Weak-keyed tables: an entry's value is kept by the entry if, and only if, its key is kept by
 * something else. What the entry is, is decided at the end of each mark, with the world stopped:
 * values whose keys are marked are marked, until there are no more of them; entries of other keys are
 * dropped there and then. So a table has no dead entries while the world runs, and nobody who looks
 * something up has to ask.
 *
 * A table is an array of chains, which is twice as large when it has as many entries as chains. Its
 * memory is hand-managed and holds no roots.
 */
#include "special.h"

#if MW_GC

#include "../page/up.h"

#define LEAST_CHAINS 16u

struct entry {
	struct entry *next;
	void *key, *value;
	bool shown; /* of the collecting CPU: the value is, in this mark */
};

struct mw_weak_table {
	struct mw_lock lock; /* MW_RANK_CENTRAL; guards what follows, while the world runs */
	size_t count;
	unsigned int log2; /* of the chains */
	struct entry **chain;

	const char *name;
	struct mw_weak_table *next; /* guarded by mw_special.registry */
};

static struct entry **chain_of(struct mw_weak_table *table, const void *key)
{
	unsigned long hash = (unsigned long)((uintptr_t)key >> 3) * (~0ul / 13 * 8 | 5);

	return &table->chain[hash >> (MW_WORD_BITS - table->log2)];
}

static struct entry **find(struct mw_weak_table *table, const void *key)
{
	struct entry **at = chain_of(table, key);

	while (*at && (*at)->key != key)
		at = &(*at)->next;
	return at;
}

static void free_entry(struct entry *entry)
{
	if (entry)
		mw_fixed_free(&mw_special.entries, entry);
}

static struct entry **new_chains(unsigned int log2)
{
	return mw_alloc(sizeof(struct entry *) << log2, MW_ZERO);
}

struct mw_weak_table *mw_weak_table_new(const char *name)
{
	struct mw_weak_table *table;
	unsigned long state;

	mw_special_ready();
	table = mw_alloc(sizeof(*table), MW_ZERO);
	if (!table)
		return NULL;
	table->chain = new_chains(mw_log2_up(LEAST_CHAINS));
	if (!table->chain) {
		mw_free(table);
		return NULL;
	}
	mw_lock_init(&table->lock, MW_RANK_CENTRAL);
	table->log2 = mw_log2_up(LEAST_CHAINS);
	table->name = name;
	state = mw_lock(&mw_special.registry);
	table->next = mw_special.tables;
	mw_special.tables = table;
	mw_unlock(&mw_special.registry, state);
	return table;
}

/* Twice as many chains, if it is time; it is looked at again with the lock. No memory: longer chains. */
static void grow(struct mw_weak_table *table)
{
	unsigned long state = mw_lock(&table->lock);
	unsigned int log2 = table->log2;
	bool full = table->count >> log2;
	struct entry **fresh, **old = NULL;

	mw_unlock(&table->lock, state);
	fresh = full ? new_chains(log2 + 1) : NULL;
	if (!fresh)
		return;
	state = mw_lock(&table->lock);
	if (table->log2 == log2) {
		old = table->chain;
		table->chain = fresh;
		table->log2++;
		for (size_t i = 0; i < (size_t)1 << log2; i++) {
			for (struct entry *e = old[i], *next; e; e = next) {
				struct entry **at = chain_of(table, e->key);

				next = e->next;
				e->next = *at;
				*at = e;
			}
		}
		fresh = old;
	}
	mw_unlock(&table->lock, state);
	mw_free(fresh);
}

/* Note on the key that tables have it: a free by hand has to know. */
static bool make_key(void *key)
{
	struct mw_key *fresh;
	struct mw_held held;
	bool is;

	if (!mw_records_hold(&held, key, true))
		return false;
	is = mw_record_find(&held, MW_RECORD_KEY);
	mw_records_release(&held);
	if (is)
		return true;
	fresh = mw_record_new(MW_RECORD_KEY);
	if (!fresh)
		return false;
	/* The key is the caller's: if there is one now, somebody was quicker. */
	if (!mw_record_attach(key, &fresh->record, true)) {
		mw_record_free(MW_RECORD_KEY, fresh);
		if (!mw_records_hold(&held, key, true))
			return false;
		is = mw_record_find(&held, MW_RECORD_KEY);
		mw_records_release(&held);
		return is;
	}
	return true;
}

static struct entry *new_entry(void *key, void *value)
{
	struct entry *entry;

	do
		entry = mw_fixed_alloc(&mw_special.entries);
	while (!entry && mw_meta_refill());
	if (entry)
		*entry = (struct entry){ .key = key, .value = value };
	return entry;
}

bool mw_weak_table_put(struct mw_weak_table *table, void *key, void *value)
{
	struct entry *fresh, **at;
	unsigned long state;

	if (!make_key(key))
		return false;
	fresh = new_entry(key, value);
	if (!fresh)
		return false;
	grow(table);
	state = mw_lock(&table->lock);
	at = find(table, key);
	if (*at) {
		(*at)->value = value;
	} else {
		*at = fresh;
		fresh = NULL;
		table->count++;
	}
	mw_unlock(&table->lock, state);
	free_entry(fresh);
	return true;
}

void *mw_weak_table_get(struct mw_weak_table *table, const void *key)
{
	unsigned long state = mw_lock(&table->lock);
	struct entry *entry = *find(table, key);
	void *value = entry ? entry->value : NULL;

	mw_unlock(&table->lock, state);
	return value;
}

bool mw_weak_table_remove(struct mw_weak_table *table, const void *key)
{
	unsigned long state = mw_lock(&table->lock);
	struct entry **at = find(table, key), *entry = *at;

	if (entry) {
		*at = entry->next;
		table->count--;
	}
	mw_unlock(&table->lock, state);
	free_entry(entry);
	return entry != NULL;
}

void mw_weak_table_free(struct mw_weak_table *table)
{
	struct mw_weak_table **at;
	unsigned long state;
	bool known;

	if (!table)
		return;
	state = mw_lock(&mw_special.registry);
	for (at = &mw_special.tables; *at && *at != table;)
		at = &(*at)->next;
	known = *at;
	if (known)
		*at = table->next;
	mw_unlock(&mw_special.registry, state);
	if (!known) {
		mw_special_freed_twice(table, "the table was freed before, or never was one");
		return;
	}
	for (size_t i = 0; i < (size_t)1 << table->log2; i++) {
		for (struct entry *e = table->chain[i], *next; e; e = next) {
			next = e->next;
			free_entry(e);
		}
	}
	mw_free(table->chain);
	mw_free(table);
}

void mw_tables_forget(const void *key)
{
	unsigned long state = mw_lock(&mw_special.registry);

	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next)
		(void)mw_weak_table_remove(table, key);
	mw_unlock(&mw_special.registry, state);
}

/* ---- the end of a mark ---- */

static bool show_table(struct mw_weak_table *table, bool again, mw_record_visit_fn *visit, void *ctx)
{
	bool any = false;

	for (size_t i = 0; i < (size_t)1 << table->log2; i++) {
		for (struct entry *e = table->chain[i]; e; e = e->next) {
			if ((e->shown && !again) || !mw_object_marked(e->key))
				continue;
			any = true;
			e->shown |= !again;
			visit(ctx, table->name, &e->value, &e->value + 1, NULL);
		}
	}
	return any;
}

bool mw_tables_show(mw_record_visit_fn *visit, void *ctx)
{
	bool any = false;

	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next)
		any |= show_table(table, false, visit, ctx);
	return any;
}

void mw_tables_each_root(mw_record_visit_fn *visit, void *ctx)
{
	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next)
		(void)show_table(table, true, visit, ctx);
}

void mw_tables_settle(void)
{
	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next) {
		for (size_t i = 0; i < (size_t)1 << table->log2; i++) {
			struct entry **at = &table->chain[i], *entry;

			while ((entry = *at)) {
				if (entry->shown) {
					entry->shown = false;
					at = &entry->next;
					continue;
				}
				*at = entry->next;
				table->count--;
				free_entry(entry);
			}
		}
	}
}

#endif
