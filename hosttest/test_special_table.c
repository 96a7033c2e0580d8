/* SPDX-License-Identifier: MIT */
/* Weak-keyed tables: chains are even and short, growth takes small steps, and interrupts may free keys at any moment. */
#include "special.h"

#if MW_GC

/* ---- the hash ---- */

#define LOG2 12u
#define CHAINS ((size_t)1 << LOG2)

static unsigned short length_of[CHAINS];

/* As many keys as chains, @stride apart. What is drawn by lot fills 63 of 100 chains, the longest with 6 or 7. */
static bool is_even(uintptr_t base, uintptr_t stride, unsigned long seed)
{
	size_t used = 0, longest = 0;

	__builtin_memset(length_of, 0, sizeof(length_of));
	for (size_t i = 0; i < CHAINS; i++) {
		size_t chain = mw_hash(base + i * stride, seed) >> (MW_WORD_BITS - LOG2);

		used += !length_of[chain]++;
		longest = mw_max(longest, length_of[chain]);
	}
	if (used * 100 >= CHAINS * 58 && longest <= 14)
		return true;
	test_note("stride %zu: %zu of %zu chains, the longest has %zu", (size_t)stride, used,
		  CHAINS, longest);
	return false;
}

/* Neighbours, objects of all sizes, one a page or a region: as far as addresses go. */
TEST(chains_are_even_whatever_the_stride)
{
	const unsigned int most = MW_WORD_BITS == 64 ? 34 : 19;
	size_t uneven = 0;

	for (unsigned int shift = 4; shift <= most; shift++) {
		uintptr_t base = (uintptr_t)test_random() & ~(uintptr_t)0xfff;

		uneven += !is_even(base, (uintptr_t)1 << shift, (unsigned long)test_random());
		uneven += !is_even(base, (uintptr_t)3 << shift, (unsigned long)test_random());
		uneven += !is_even(0, ((uintptr_t)1 << shift) + 16, 0);
	}
	CHECK_EQ(uneven, 0);
}

/* Keys that meet under one seed do not under another. */
TEST(the_seed_decides_which_keys_meet)
{
	size_t met = 0, again = 0;

	for (uintptr_t key = 0; key < (uintptr_t)1 << 24; key += 16) {
		const unsigned int shift = MW_WORD_BITS - LOG2;

		if (mw_hash(key, 1) >> shift)
			continue;
		met++;
		again += mw_hash(key, 0x5bd1e995) >> shift == mw_hash(0, 0x5bd1e995) >> shift;
	}
	CHECK(met > 100);
	CHECK(again < met / 10);
	test_note("%zu keys in one chain, of which %zu in one again", met, again);
}

/* ---- a table that grows ---- */

static void *key_of(size_t i)
{
	return ((void **)root[0])[i];
}

/* Keys of 16 bytes, held by an array. */
NOINLINE static void make_keys(size_t n, size_t memory)
{
	void **keys;

	setup(memory);
	keys = mw_alloc(n * sizeof(*keys), MW_COLLECTED);
	NEED(keys);
	root[0] = (struct node *)keys;
	for (size_t i = 0; i < n; i++)
		NEED((keys[i] = mw_alloc(16, MW_NOSCAN)));
}

static struct mw_weak_table *new_table(void)
{
	struct mw_weak_table *table = mw_weak_table_new("test");

	NEED(table);
	/* So that it is the same each time, for the same addresses. */
	table->seed = (unsigned long)test_seed;
	return table;
}

static size_t longest(const struct mw_weak_table *table)
{
	struct mw_table_entry **chain;
	size_t most = 0;

	for (size_t i = 0; (chain = mw_table_chain(table, i)); i++) {
		size_t n = 0;

		for (const struct mw_table_entry *e = *chain; e; e = e->next)
			n++;
		most = mw_max(most, n);
	}
	return most;
}

/* Found are the keys below @end that @from says: a value is the key itself. */
static size_t missing(struct mw_weak_table *table, size_t from, size_t end)
{
	size_t n = 0;

	for (size_t i = 0; i < end; i++)
		n += mw_weak_table_get(table, key_of(i)) != (i < from ? NULL : key_of(i));
	return n;
}

#define SOME 1500u

/* Whatever is done between two arrays: all is found, none twice, and each array is empty before the next. */
BARE_TEST(all_is_found_while_a_table_grows)
{
	size_t between = 0, arrays = 0, wrong = 0, from = 0;
	struct mw_weak_table *table;
	unsigned int log2;

	make_keys(SOME, 16 << 20);
	table = new_table();
	log2 = table->now.log2;
	for (size_t i = 0; i < SOME; i++) {
		CHECK(mw_weak_table_put(table, key_of(i), key_of(i)));
		between += table->old.chain != NULL;
		arrays += table->now.log2 != log2;
		log2 = table->now.log2;
		if (i % 7 && !table->old.chain)
			continue;
		if (i % 3 == 0 && from < i)
			wrong += !mw_weak_table_remove(table, key_of(from++));
		wrong += !mw_weak_table_put(table, key_of(i), key_of(i));
		wrong += missing(table, from, i + 1) != 0 || !mw_table_check(table);
		if (i % 64 == 5)
			collect();
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(table->count, SOME - from);
	CHECK(arrays >= 6 && between > SOME / 4);
	collect();
	CHECK_EQ(missing(table, from, SOME), 0);
	CHECK(mw_special_check());
	mw_weak_table_free(table);
	CHECK_EQ(mw_word(&mw_special.entries.in_use), 0);
}

BARE_TEST(a_table_ends_between_two_arrays)
{
	struct mw_weak_table *table;
	size_t n = 0;

	make_keys(SOME, 16 << 20);
	table = new_table();
	while (n < SOME && (n < 300 || !table->old.chain)) {
		CHECK(mw_weak_table_put(table, key_of(n), key_of(n)));
		n++;
	}
	NEED(table->old.chain && table->moved);
	for (size_t i = 0; i < n; i += 2)
		mw_free(key_of(i));
	CHECK_EQ(table->count, n / 2);
	CHECK(mw_table_check(table));
	mw_weak_table_free(table);
	CHECK_EQ(mw_word(&mw_special.entries.in_use), 0);
	for (size_t i = 1; i < n; i += 2)
		mw_free(key_of(i));
	CHECK_EQ(records(), 0);
}

static void no_chains(struct mw_weak_table *table)
{
	/* As if each request for more had failed. */
	table->grow_at = SIZE_MAX;
}

/* Then chains get longer, up to a bound; and what is there can still be changed. */
BARE_TEST(a_table_without_memory_for_chains_is_full_at_last)
{
	struct mw_weak_table *table;
	size_t n = 0;

	make_keys(SOME, 16 << 20);
	table = new_table();
	no_chains(table);
	while (n < SOME && mw_weak_table_put(table, key_of(n), key_of(n)))
		n++;
	CHECK_EQ(n, MW_TABLE_CROWD << table->now.log2);
	CHECK_EQ(mw_word(&mw_special.entries.in_use), n);
	CHECK_EQ(missing(table, 0, n), 0);
	CHECK(mw_weak_table_put(table, key_of(0), key_of(1)));
	CHECK_PTR(mw_weak_table_get(table, key_of(0)), key_of(1));
	CHECK(mw_weak_table_remove(table, key_of(0)));
	CHECK(mw_weak_table_put(table, key_of(0), key_of(0)));
	CHECK(mw_special_check());
	/* Memory is there again. */
	table->grow_at = 0;
	CHECK(mw_weak_table_put(table, key_of(n), key_of(n)));
	CHECK_EQ(missing(table, 0, n + 1), 0);
	CHECK(longest(table) > 4);
	mw_weak_table_free(table);
}

/* ---- what it costs ---- */

#define MANY 100000u

struct cost {
	uint64_t all, most; /* of one */
};

static void put_all(struct mw_weak_table *table, size_t n, struct cost *cost, uint64_t (*now)(void))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t start = now(), end;

		if (!mw_weak_table_put(table, key_of(i), key_of(i)))
			CHECK(false);
		end = now();
		cost->all += end - start;
		cost->most = mw_max(cost->most, end - start);
	}
}

BARE_TEST(chains_stay_short)
{
	struct mw_weak_table *table;
	struct cost cost = { 0 };

	make_keys(MANY, 64 << 20);
	table = new_table();
	put_all(table, MANY, &cost, test_now);
	CHECK_EQ(table->count, MANY);
	CHECK(longest(table) <= 16);
	test_note("%u keys: %llu ns a put, longest chain %zu of %zu", MANY,
		  (unsigned long long)cost.all / MANY, longest(table), (size_t)1 << table->now.log2);
	CHECK_EQ(missing(table, 0, 1000), 0);
	mw_weak_table_free(table);
}

/* The longest of all includes what a large array of chains costs, which is not pinned. */
TEST_WITH(instructions_of_a_put, TEST_COUNTED)
{
	const size_t n = 20000;
	struct mw_weak_table *table;
	struct cost cost = { 0 };

	make_keys(n, 32 << 20);
	table = new_table();
	put_all(table, n, &cost, test_instructions);
	test_note("%llu instructions a put, at most %llu", (unsigned long long)cost.all / n,
		  (unsigned long long)cost.most);
	CHECK(cost.all / n <= 1200);
	mw_weak_table_free(table);
}

/* ---- an interrupt on a stopped CPU frees keys ---- */

#define KEYS 40u
#define MOST 20000u

static struct {
	struct mw_weak_table *table;
	void *key[KEYS];
	size_t shown; /* keys that are found by the mark */
	unsigned long wrong;
} keys;

static void make_marked(size_t i)
{
	struct mw_span *span = mw_span_of(keys.key[i]);
	size_t index = mw_span_index(span, keys.key[i]);
	mw_atomic_t *word = &span->mark[index / MW_WORD_BITS];

	mw_set_word(word, mw_word(word) | mw_bit(index));
}

/* As the world is at the end of a mark that has found all keys but each fifth. */
static void begin_end_of_mark(void)
{
	for (size_t i = 0; i < KEYS; i++) {
		NEED(keys.key[i] = mw_alloc(32, MW_COLLECTED));
		NEED(mw_weak_table_put(keys.table, keys.key[i], NULL));
	}
	mw_sweep_finish();
	mw_sweep_hold();
	mw_object_flush_here();
	keys.shown = 0;
	for (size_t i = 0; i < KEYS; i++) {
		if (i % 5)
			make_marked(i);
		keys.shown += i % 5 != 0;
	}
}

static void visit_nothing(void *ctx, const char *name, const void *lo, const void *hi,
			  const struct mw_span *span)
{
	(void)ctx, (void)name, (void)lo, (void)hi, (void)span;
}

static void walk_tables(void *arg)
{
	(void)arg;
	(void)mw_tables_show(visit_nothing, NULL);
	mw_tables_settle();
}

/* One that lives, one that does not. */
static void free_keys(void *arg)
{
	(void)arg;
	mw_free(keys.key[3]);
	mw_free(keys.key[5]);
}

static void judge(void)
{
	keys.wrong += !mw_fixed_check(&mw_special.entries) || !mw_special_check();
	keys.wrong += keys.table->count != keys.shown - 1;
	mw_sweep_begin();
	mw_sweep_finish();
	for (size_t i = 0; i < KEYS; i++) {
		if (i % 5 == 0 || i == 3)
			continue;
		keys.wrong += !mw_weak_table_remove(keys.table, keys.key[i]);
		mw_free(keys.key[i]);
	}
	keys.wrong += keys.table->count != 0 || mw_word(&mw_special.entries.in_use) != 0;
	keys.wrong += records() != 0;
}

TEST_WITH(an_interrupt_frees_keys_at_each_step_of_a_walk, TEST_HOSTED)
{
	unsigned long at = 0;
	bool more;

	setup(16 << 20);
	keys.wrong = 0;
	keys.table = new_table();
	do {
		begin_end_of_mark();
		more = test_step(walk_tables, free_keys, NULL, at++);
		judge();
	} while (more && !keys.wrong && at < MOST);
	CHECK_EQ(keys.wrong, 0);
	CHECK(at > 100 && at < MOST);
	test_note("%lu instructions", at);
	mw_weak_table_free(keys.table);
}

#endif
