// SPDX-License-Identifier: MIT
/*
 * Weak-keyed tables: an entry's value is kept by the entry if, and only if, its key is kept by
 * something else. What the entry is, is decided at the end of each mark, with the world stopped:
 * values whose keys are marked are marked, until there are no more of them; entries of other keys are
 * dropped there and then. So a table has no dead entries while the world runs, and nobody who looks
 * something up has to ask.
 *
 * A table is an array of chains. When it has as many entries as chains, an array of twice as many takes its
 * place, and each put moves a few chains into it: the old array is empty long before the next one is due, and
 * nobody is pinned for longer than a few chains take. If there is no memory for it the chains get longer, up to
 * MW_TABLE_CROWD entries each on average; then there is none for the entry either. The memory is
 * hand-managed and holds no roots.
 *
 * How long is a chain? Keys are hashed with the table's own seed, so nobody knows which keys meet: of 2^20 in
 * as many chains the longest has 9 or 10, see hosttest/test_special_table.c.
 */
#include "special.h"

#if MW_GC

#include "../page/up.h"

#define LEAST_CHAINS 16u
/* Old chains that a put moves. One would do: there are as many puts as old chains before the next array. */
#define MOVES 2u

static struct mw_table_entry **chain_of(struct mw_weak_table *table, const void *key)
{
	unsigned long hash = mw_hash((uintptr_t)key, table->seed);
	size_t old = table->old.chain ? hash >> (MW_WORD_BITS - table->old.log2) : 0;

	if (table->old.chain && old >= table->moved)
		return &table->old.chain[old];
	return &table->now.chain[hash >> (MW_WORD_BITS - table->now.log2)];
}

static size_t length(const struct mw_chains *chains)
{
	return chains->chain ? (size_t)1 << chains->log2 : 0;
}

struct mw_table_entry **mw_table_chain(const struct mw_weak_table *table, size_t i)
{
	size_t old = length(&table->old);

	if (i < old)
		return &table->old.chain[i];
	return i - old < length(&table->now) ? &table->now.chain[i - old] : NULL;
}

static struct mw_table_entry **find_entry(struct mw_weak_table *table, const void *key)
{
	struct mw_table_entry **at = chain_of(table, key);

	while (*at && (*at)->key != key)
		at = &(*at)->next;
	return at;
}

static void free_entry(struct mw_table_entry *entry)
{
	if (entry)
		mw_fixed_free(&mw_special.entries, entry);
}

void mw_table_free_list(struct mw_table_entry *entry)
{
	for (struct mw_table_entry *next; entry; entry = next) {
		next = entry->next;
		free_entry(entry);
	}
}

static struct mw_table_entry **new_chains(unsigned int log2, mw_flags_t flags)
{
	return mw_alloc(sizeof(struct mw_table_entry *) << log2, MW_ZERO | flags);
}

struct mw_weak_table *mw_weak_table_new(const char *name)
{
	struct mw_weak_table *table;
	unsigned long state;

	mw_special_ready();
	table = mw_alloc(sizeof(*table), MW_ZERO);
	if (!table)
		return NULL;
	table->now.log2 = mw_log2_up(LEAST_CHAINS);
	table->now.chain = new_chains(table->now.log2, MW_NORMAL);
	if (!table->now.chain) {
		mw_free(table);
		return NULL;
	}
	mw_lock_init(&table->lock, MW_RANK_CENTRAL);
	table->grow_at = LEAST_CHAINS;
	table->seed = mw_hash((uintptr_t)table, mw_special.seed);
	table->name = name;
	state = mw_lock(&mw_special.registry);
	table->next = mw_special.tables;
	mw_special.tables = table;
	mw_unlock(&mw_special.registry, state);
	return table;
}

/* It is time for more chains. @flags: how they are to be asked for. */
static bool wants_more(struct mw_weak_table *table, unsigned int *log2, mw_flags_t *flags)
{
	unsigned long state = mw_lock(&table->lock);
	bool is = table->count >= table->grow_at && !table->old.chain;

	*log2 = table->now.log2 + 1;
	*flags = table->count >> table->now.log2 < MW_TABLE_CROWD ? MW_ATOMIC : MW_NORMAL;
	mw_unlock(&table->lock, state);
	return is;
}

/*
 * Twice as many chains, if it is time; it is looked at again with the lock. Memory is waited for only when
 * nothing else is left; before that, a table that gets none asks again an eighth later.
 */
static void grow(struct mw_weak_table *table)
{
	struct mw_table_entry **fresh;
	unsigned long state;
	unsigned int log2;
	mw_flags_t flags;

	if (!wants_more(table, &log2, &flags))
		return;
	fresh = new_chains(log2, flags);
	state = mw_lock(&table->lock);
	if (!fresh) {
		table->grow_at = table->count + ((size_t)1 << log2) / 16;
	} else if (table->now.log2 + 1 == log2 && !table->old.chain) {
		table->old = table->now;
		table->moved = 0;
		table->now = (struct mw_chains){ fresh, log2 };
		table->grow_at = (size_t)1 << log2;
		fresh = NULL;
	}
	mw_unlock(&table->lock, state);
	mw_free(fresh);
}

/* A few chains more of the old array. Return: the array, when all of it has been moved. Locked. */
static struct mw_table_entry **move_some(struct mw_weak_table *table)
{
	struct mw_table_entry **empty = table->old.chain;

	for (unsigned int n = 0; n < MOVES && table->moved < length(&table->old); n++) {
		struct mw_table_entry *e = table->old.chain[table->moved];

		table->old.chain[table->moved++] = NULL;
		for (struct mw_table_entry *next; e; e = next) {
			struct mw_table_entry **at = chain_of(table, e->key);

			next = e->next;
			e->next = *at;
			*at = e;
		}
	}
	if (table->moved < length(&table->old))
		return NULL;
	table->old.chain = NULL;
	return empty;
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

static struct mw_table_entry *new_entry(void *key, void *value)
{
	struct mw_table_entry *entry;

	do
		entry = mw_fixed_alloc(&mw_special.entries);
	while (!entry && mw_meta_refill());
	if (entry)
		*entry = (struct mw_table_entry){ .key = key, .value = value };
	return entry;
}

/* Locked. Return: what is to be freed: @fresh if it is not in the table now. */
static struct mw_table_entry *put(struct mw_weak_table *table, struct mw_table_entry *fresh,
				  bool *done)
{
	struct mw_table_entry **at = find_entry(table, fresh->key);

	*done = true;
	if (*at) {
		(*at)->value = fresh->value;
		return fresh;
	}
	if (table->count >> table->now.log2 >= MW_TABLE_CROWD) {
		*done = false;
		return fresh;
	}
	*at = fresh;
	table->count++;
	return NULL;
}

bool mw_weak_table_put(struct mw_weak_table *table, void *key, void *value)
{
	struct mw_table_entry *fresh, **empty;
	unsigned long state;
	bool done;

	if (!make_key(key))
		return false;
	fresh = new_entry(key, value);
	if (!fresh)
		return false;
	grow(table);
	state = mw_lock(&table->lock);
	empty = move_some(table);
	fresh = put(table, fresh, &done);
	mw_unlock(&table->lock, state);
	free_entry(fresh);
	mw_free(empty);
	return done;
}

void *mw_weak_table_get(struct mw_weak_table *table, const void *key)
{
	unsigned long state = mw_lock(&table->lock);
	struct mw_table_entry *entry = *find_entry(table, key);
	void *value = entry ? entry->value : NULL;

	mw_unlock(&table->lock, state);
	return value;
}

bool mw_weak_table_remove(struct mw_weak_table *table, const void *key)
{
	unsigned long state = mw_lock(&table->lock);
	struct mw_table_entry **at = find_entry(table, key), *entry = *at;

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
	struct mw_table_entry **chain;
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
	for (size_t i = 0; (chain = mw_table_chain(table, i)); i++)
		mw_table_free_list(*chain);
	mw_free(table->now.chain);
	mw_free(table->old.chain);
	mw_free(table);
}

/* Each entry is in the chain where it is looked for, and counted. */
bool mw_table_check(struct mw_weak_table *table)
{
	struct mw_table_entry **chain;
	size_t n = 0;

	MW_CHECK(table, table->moved <= length(&table->old) || !table->old.chain);
	for (size_t i = 0; (chain = mw_table_chain(table, i)); i++) {
		for (const struct mw_table_entry *e = *chain; e; e = e->next) {
			MW_CHECK(table, n++ < table->count);
			MW_CHECK(e, chain_of(table, e->key) == chain);
			MW_CHECK(e, !e->shown && mw_span_of(e->key));
		}
	}
	MW_CHECK(table, n == table->count);
	return true;
}

void mw_tables_forget(const void *key)
{
	unsigned long state = mw_lock(&mw_special.registry);

	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next)
		(void)mw_weak_table_remove(table, key);
	mw_unlock(&mw_special.registry, state);
}

#endif
