// SPDX-License-Identifier: MIT
/* Memory maps: real ones and made ones with their answers, then random ones against a model. */
#include "test.h"
#include "maps/pc.h"
#include "maps/uefi.h"
#include "maps/made.h"
#include "maps/model.h"

#define MANY 512

static void swap(struct mw_memrange *a, struct mw_memrange *b)
{
	struct mw_memrange was = *a;

	*a = *b;
	*b = was;
}

static void shuffle(struct mw_memrange *map, size_t n)
{
	for (size_t i = n; i > 1; i--)
		swap(&map[i - 1], &map[test_below(i)]);
}

/* Holds all runs of @type against those of @c. Return: the index of the first wrong one. */
static size_t walk(const struct map_case *c, const struct mw_memrange *map, size_t n,
		   enum mw_memtype type)
{
	struct mw_memrange run = { 0, 0, MW_MEM_FREE };

	for (size_t i = 0; i < c->nr_runs; i++) {
		const struct mw_memrange *want = &c->runs[i];

		if (want->type != type)
			continue;
		if (!mw_memmap_next(map, n, type, run.start + run.len, &run) ||
		    run.start != want->start || run.len != want->len || run.type != type)
			return i;
	}
	return mw_memmap_next(map, n, type, run.start + run.len, &run) ? c->nr_runs : SIZE_MAX;
}

static void check_walk(const struct map_case *c, const struct mw_memrange *map, size_t n,
		       const char *how)
{
	for (int type = MW_MEM_FREE; type <= MW_MEM_RECLAIM; type++) {
		size_t wrong = walk(c, map, n, (enum mw_memtype)type);

		test_check(wrong == SIZE_MAX, __FILE__, __LINE__, "%s, %s, type %d: run %zu",
			   c->name, how, type, wrong);
	}
}

/* The order of entries means nothing, nor does saying a thing twice or in pieces. */
static void check_variants(const struct map_case *c)
{
	static struct mw_memrange map[2 * MANY];
	size_t n = c->n;

	NEED(n <= MANY);
	for (size_t i = 0; i < n; i++)
		map[i] = c->map[i];
	shuffle(map, n);
	check_walk(c, map, n, "shuffled");
	for (size_t i = 0; i < c->n; i++) {
		uint64_t cut = map[i].len ? test_random() % map[i].len : 0;

		if (map[i].len - 1 > UINT64_MAX - map[i].start)
			continue; /* where the second piece begins cannot be said */
		map[n] = map[i];
		map[n].start += cut;
		map[n++].len -= cut;
		map[i].len = test_below(2) ? cut : map[i].len;
	}
	shuffle(map, n);
	check_walk(c, map, n, "cut in pieces");
}

static void check_cases(const struct map_case *cases, size_t n)
{
	if (MW_PAGE_SHIFT != 12)
		test_skip("the answers are for pages of 4 KiB");
	for (size_t i = 0; i < n; i++) {
		check_walk(&cases[i], cases[i].map, cases[i].n, "as given");
		for (unsigned int turn = 0; turn < 4; turn++)
			check_variants(&cases[i]);
	}
	test_note("%zu maps", n);
}

TEST(pc)
{
	check_cases(pc_maps, MAP_LEN(pc_maps));
}

TEST(uefi)
{
	check_cases(uefi_maps, MAP_LEN(uefi_maps));
}

TEST(made)
{
	check_cases(made_maps, MAP_LEN(made_maps));
}

/*
 * The shape of a UEFI board with 312 descriptors: small free runs, each followed by a small one of
 * the loader's; every 13th pair has runtime code instead.
 */
TEST(board_312)
{
	static struct mw_memrange map[312];
	struct mw_memrange run = { 0, 0, MW_MEM_FREE };
	const uint64_t page = MW_PAGE_SIZE, base = 0x9000 * page;

	for (unsigned int i = 0; i < 156; i++) {
		map[2 * i] = (struct mw_memrange){ base + i * 8 * page, 5 * page, F };
		map[2 * i + 1] = (struct mw_memrange){ base + (i * 8 + 5) * page, 3 * page, A };
		if (i % 13 == 12)
			map[2 * i + 1].type = T(20);
	}
	shuffle(map, 312);
	for (unsigned int i = 0; i < 156; i++) {
		NEED(mw_memmap_next(map, 312, F, run.start + run.len, &run));
		CHECK_EQ(run.start, base + i * 8 * page);
		CHECK_EQ(run.len, 5 * page);
	}
	CHECK(!mw_memmap_next(map, 312, F, run.start + run.len, &run));
	run.start = run.len = 0;
	for (unsigned int i = 0; i < 156; i++) {
		if (i % 13 == 12)
			continue;
		NEED(mw_memmap_next(map, 312, A, run.start + run.len, &run));
		CHECK_EQ(run.start, base + (i * 8 + 5) * page);
		CHECK_EQ(run.len, 3 * page);
	}
	CHECK(!mw_memmap_next(map, 312, A, run.start + run.len, &run));
}

/* The cost depends on entries, not on bytes; and far more entries than any table still work. */
TEST(many_entries)
{
	static struct mw_memrange map[1000];
	struct mw_memrange run = { 0, 0, MW_MEM_FREE };
	uint64_t begin = test_now(), sum = 0;
	unsigned int runs = 0;

	for (unsigned int i = 0; i < 1000; i++)
		map[i] = (struct mw_memrange){ (uint64_t)i << 40, 1ull << 39, F };
	shuffle(map, 1000);
	for (; mw_memmap_next(map, 1000, F, run.start + run.len, &run); runs++)
		sum += run.len;
	CHECK_EQ(runs, 1000);
	CHECK_EQ(sum, 1000ull << 39);
	test_note("1000 entries of 512 GiB walked in %llu us",
		  (unsigned long long)(test_now() - begin) / 1000);
}

/* Any start may be asked for: the run then begins there, rounded up, and never before. */
TEST(from_anywhere)
{
	const uint64_t page = MW_PAGE_SIZE;
	const struct mw_memrange map[] = { { 4 * page, 8 * page, F } };
	struct mw_memrange run;

	CHECK(mw_memmap_next(map, 1, F, 6 * page, &run));
	CHECK_EQ(run.start, 6 * page);
	CHECK_EQ(run.len, 6 * page);
	CHECK(mw_memmap_next(map, 1, F, 6 * page + 1, &run));
	CHECK_EQ(run.start, 7 * page);
	CHECK(mw_memmap_next(map, 1, F, 11 * page, &run));
	CHECK_EQ(run.len, page);
	CHECK(!mw_memmap_next(map, 1, F, 11 * page + 1, &run));
	CHECK(!mw_memmap_next(map, 1, F, 12 * page, &run));
	CHECK(!mw_memmap_next(map, 1, F, UINT64_MAX, &run));
	CHECK(!mw_memmap_next(map, 1, F, UINT64_MAX - page, &run));
	CHECK(!mw_memmap_next(NULL, 0, F, 0, &run));
}

/* MW_MEM_RESERVED gives what the other two leave. */
TEST(the_rest)
{
	const uint64_t page = MW_PAGE_SIZE;
	const struct mw_memrange map[] = { { page, 2 * page, F }, { 4 * page, page, A } };
	struct mw_memrange run;

	CHECK(mw_memmap_next(map, 2, R, 0, &run));
	CHECK_EQ(run.start, 0);
	CHECK_EQ(run.len, page);
	CHECK(mw_memmap_next(map, 2, R, page, &run));
	CHECK_EQ(run.start, 3 * page);
	CHECK_EQ(run.len, page);
	CHECK(mw_memmap_next(map, 2, R, 4 * page, &run));
	CHECK_EQ(run.start, 5 * page);
	CHECK(run.start + run.len == UINT64_MAX - page + 1);
	CHECK(!mw_memmap_next(map, 2, R, run.start + run.len, &run));
}

static void make_random(struct model *m)
{
	const uint64_t bases[] = { 0, (1ull << 32) - 20 * MW_PAGE_SIZE, (1ull << 52),
				   0 - (uint64_t)MODEL_PAGES * MW_PAGE_SIZE };
	bool last = false;
	size_t n = test_below(MODEL_ENTRIES + 1);

	m->base = bases[test_below(4)];
	last = m->base == bases[3];
	for (m->n = 0; m->n < n;) {
		unsigned int from = (unsigned int)test_below(MODEL_CELLS);
		unsigned int longest = test_below(2) ? 12 : MODEL_CELLS - from;
		unsigned int to = from + (unsigned int)test_below(longest + 1);
		/* Mostly free, or nothing would be left of it. */
		int type = test_below(3) ? MW_MEM_FREE : (int)test_below(5);

		if (to > MODEL_CELLS || !test_below(20))
			to = MODEL_CELLS;
		model_add(m, from, to, test_below(40) ? type : -1, last);
	}
}

static void against_model(unsigned int turns)
{
	for (unsigned int turn = 0; turn < turns; turn++) {
		static struct model m;

		make_random(&m);
		model_paint(&m);
		if (!test_check(model_agrees_all(&m), __FILE__, __LINE__,
				"random map %u, seed %llu", turn, (unsigned long long)test_seed))
			break;
	}
}

TEST(random_maps)
{
	against_model(300);
}

TEST_WITH(random_maps_long, TEST_LONG)
{
	against_model(100000);
}
