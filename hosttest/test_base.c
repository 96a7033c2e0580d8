// SPDX-License-Identifier: MIT
/* Words, lists, assertions, failing on purpose, reports. */
#include "test.h"
#include "../mm/base/fail.h"
#include "../mm/base/list.h"
#include "../mm/base/assert.h"
#include "../mm/base/report.h"

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static bool begins(const char *text, const char *with)
{
	while (*with && *with == *text)
		with++, text++;
	return !*with;
}

TEST(words)
{
	size_t product;

	CHECK_EQ(mw_round_up(0, 4096), 0);
	CHECK_EQ(mw_round_up(1, 4096), 4096);
	CHECK_EQ(mw_round_up(4096, 4096), 4096);
	CHECK_EQ(mw_round_down(4095, 4096), 0);
	CHECK(mw_is_pow2(1) && mw_is_pow2(4096) && !mw_is_pow2(0) && !mw_is_pow2(3));
	CHECK(mw_mul_overflows(SIZE_MAX / 2 + 1, 2, &product));
	CHECK(!mw_mul_overflows(SIZE_MAX / 2, 2, &product) && product == SIZE_MAX - 1);
	CHECK(mw_min(1, 2) == 1 && mw_max(1, 2) == 2);
}

TEST(bits)
{
	CHECK_EQ(mw_log2_up(0), 0);
	CHECK_EQ(mw_log2_up(1), 0);
	CHECK_EQ(mw_log2_up(SIZE_MAX), MW_WORD_BITS);
	for (unsigned int i = 0; i < MW_WORD_BITS; i++) {
		unsigned long bit = 1ul << i;

		CHECK_EQ(mw_lowest_bit(bit), i);
		CHECK_EQ(mw_highest_bit(bit), i);
		CHECK_EQ(mw_lowest_bit(~0ul << i), i);
		CHECK_EQ(mw_highest_bit(bit | 1), i);
		CHECK_EQ(mw_log2_up(bit), i);
		CHECK(i + 1 == MW_WORD_BITS || mw_log2_up(bit + 1) == i + 1);
	}
}

/* By hand, whatever this machine's own way is. */
TEST(words_by_hand)
{
	static const unsigned long words[] = { 0,	 1,	2, ~0ul, ~0ul / 2, ~0ul / 2 + 1,
					       ~0ul / 3, 0x8001 };

	for (unsigned int w = 0; w < MW_LEN(words); w++) {
		for (unsigned int i = 0; i < 2 * MW_WORD_BITS; i++) {
			unsigned long bit = 1ul << i % MW_WORD_BITS, word = words[w], low;
			mw_wide_t product = (mw_wide_t)(word ^ bit) * word;

			CHECK_EQ(mw_set_bit(&word, i), (words[w] & bit) != 0);
			CHECK_EQ(word, words[w] | bit);
			CHECK_EQ(mw_without_bit(words[w], i), words[w] & ~bit);
			CHECK_EQ(mw_multiply(words[w] ^ bit, &words[w], &low),
				 (unsigned long)(product >> MW_WORD_BITS));
			CHECK_EQ(low, (unsigned long)product);
		}
	}
}

struct item {
	struct mw_list link;
	unsigned int number;
};

TEST(lists)
{
	struct mw_list list, *it, *after;
	struct item items[6];
	unsigned int n = 0;

	mw_list_init(&list);
	CHECK(mw_list_empty(&list));
	CHECK_PTR(mw_list_pop_front(&list), NULL);
	for (unsigned int i = 0; i < 6; i++) {
		items[i].number = i;
		if (i < 3)
			mw_list_push_back(&list, &items[i].link); /* 0 1 2 */
		else
			mw_list_push_front(&list, &items[i].link); /* 5 4 3 0 1 2 */
	}
	mw_list_remove(&items[4].link);
	CHECK(mw_list_empty(&items[4].link));
	mw_list_remove(&items[4].link);
	mw_list_for_each (it, &list) {
		static const unsigned int want[] = { 5, 3, 0, 1, 2 };

		NEED(n < 5);
		CHECK_EQ(mw_container(it, struct item, link)->number, want[n]);
		n++;
	}
	CHECK_EQ(n, 5);
	mw_list_for_each_safe (it, after, &list) {
		if (mw_container(it, struct item, link)->number != 0)
			mw_list_remove(it);
	}
	CHECK_PTR(mw_list_pop_front(&list), &items[0].link);
	CHECK(mw_list_empty(&list));
}

/* ---- assertions ---- */

static void assert_false(void *arg)
{
	MW_ASSERT(arg != NULL && "as it should be");
}

static void dassert_false(void *arg)
{
	MW_DASSERT(arg);
}

static void wassert_false(void *arg)
{
	MW_WASSERT(arg);
}

TEST(assertions_at_three_prices)
{
	const char *why = test_panics(assert_false, NULL);
	int here = 0;

	NEED(why != NULL);
	CHECK(begins(why, "assertion failed: arg != NULL && \"as it should be\" (" __FILE__ ":"));
	CHECK(!test_panics(assert_false, &here));
	CHECK_EQ(test_panics(dassert_false, NULL) != NULL, MW_DEBUG >= 1);
	CHECK_EQ(test_panics(wassert_false, NULL) != NULL, MW_DEBUG >= 2);
}

/* ---- failing on purpose ---- */

static unsigned long fails_of(unsigned int turns, size_t bytes, bool pages, uintptr_t site,
			      uint64_t *pattern)
{
	unsigned long n = 0;

	*pattern = 0;
	for (unsigned int i = 0; i < turns; i++) {
		bool yes = mw_should_fail(bytes, pages ? MW_FAIL_PAGES : MW_FAIL_OBJECT, site);

		n += yes;
		*pattern |= (uint64_t)yes << (i & 63);
	}
	return n;
}

TEST(fail_by_count)
{
	struct mw_fail want = { .every = 3 };
	uint64_t pattern;

	CHECK_EQ(fails_of(64, 8, false, 1, &pattern), 0);
	mw_fail_set(&want);
	CHECK_EQ(fails_of(9, 8, false, 1, &pattern), 3);
	CHECK_EQ(pattern, 0x124); /* the 3rd, 6th, 9th */
	CHECK_EQ(mw_fail_set(NULL), 3);
	CHECK_EQ(fails_of(64, 8, false, 1, &pattern), 0);
	want = (struct mw_fail){ .every = 2, .after = 5 };
	mw_fail_set(&want);
	fails_of(10, 8, false, 1, &pattern);
	CHECK_EQ(pattern, 0x150); /* the 5th, 7th, 9th */
	want = (struct mw_fail){ .after = 5 };
	mw_fail_set(&want);
	fails_of(10, 8, false, 1, &pattern);
	CHECK_EQ(pattern, 0x10); /* once */
	CHECK_EQ(mw_fail_set(&(struct mw_fail){ 0 }), 1);
	CHECK_EQ(fails_of(64, 8, false, 1, &pattern), 0);
	CHECK_EQ(mw_fail_set(NULL), 0);
}

TEST(fail_by_size_site_and_kind)
{
	struct mw_fail want = { .every = 1, .min_size = 100, .max_size = 200 };
	uint64_t pattern;

	mw_fail_set(&want);
	CHECK_EQ(fails_of(1, 99, false, 1, &pattern), 0);
	CHECK_EQ(fails_of(1, 100, false, 1, &pattern), 1);
	CHECK_EQ(fails_of(1, 200, false, 1, &pattern), 1);
	CHECK_EQ(fails_of(1, 201, false, 1, &pattern), 0);
	CHECK_EQ(fails_of(1, 150, true, 1, &pattern), 0);
	want = (struct mw_fail){ .every = 1, .site_lo = 1000, .site_hi = 2000, .pages = true };
	mw_fail_set(&want);
	CHECK_EQ(fails_of(1, 8, false, 999, &pattern), 0);
	CHECK_EQ(fails_of(1, 8, false, 1000, &pattern), 1);
	CHECK_EQ(fails_of(1, 8, true, 1999, &pattern), 1);
	CHECK_EQ(fails_of(1, 8, true, 2000, &pattern), 0);
	CHECK(!mw_should_fail(8, MW_FAIL_OWN, 1000));
	CHECK_EQ(mw_fail_set(NULL), 2);
	want = (struct mw_fail){ .every = 1, .own = true };
	mw_fail_set(&want);
	CHECK(mw_should_fail(8, MW_FAIL_OWN, 0) && !mw_should_fail(8, MW_FAIL_PAGES, 0));
	CHECK_EQ(mw_fail_set(NULL), 1);
}

TEST(fail_by_chance_replays)
{
	struct mw_fail want = { .permille = 250, .seed = 42 };
	uint64_t first, second, other;
	unsigned long n;

	mw_fail_set(&want);
	fails_of(64, 8, false, 1, &first);
	mw_fail_set(&want);
	fails_of(64, 8, false, 1, &second);
	want.seed = 43;
	mw_fail_set(&want);
	fails_of(64, 8, false, 1, &other);
	CHECK_EQ(first, second);
	CHECK(first != other);
	n = fails_of(10000, 8, false, 1, &other);
	CHECK(n > 2200 && n < 2800);
	want.permille = 1000;
	mw_fail_set(&want);
	CHECK_EQ(fails_of(100, 8, false, 1, &other), 100);
}

/* ---- reports ---- */

static struct mw_report sample(void)
{
	static struct mw_trace allocated, freed;

	allocated = (struct mw_trace){ .when = 1, .cpu = 3, .depth = 2, .pcs = { 0x10, 0x20 } };
	freed = (struct mw_trace){ .cpu = 1 };
	return (struct mw_report){
		.what = MW_INNER_FREE,
		.text = "inside",
		.address = (void *)0x5010,
		.object = (void *)0x5000,
		.size = 64,
		.given = 32,
		.span = (void *)0x4000,
		.span_pages = 2,
		.cache = "alloc-64",
		.given_cache = "inode",
		.here = { .when = 1 + (5ull << 20), .cpu = 2, .depth = 1, .pcs = { 0x99 } },
		.allocated = &allocated,
		.freed = &freed
	};
}

TEST(report_as_text)
{
	static const char want[] = "marrow: inner-free: inside\n"
				   "  address: 0x5010\n"
				   "  object: 0x5000\n"
				   "  offset: 16\n"
				   "  size: 64\n"
				   "  given: 32\n"
				   "  span: 0x4000, 2 pages\n"
				   "  cache: alloc-64\n"
				   "  given-cache: inode\n"
				   "  here: cpu 2\n"
				   "    #0 0x99\n"
				   "  allocated: cpu 3, 5 ms before\n"
				   "    #0 0x10\n"
				   "    #1 0x20\n"
				   "  freed: cpu 1\n";
	struct mw_report report = sample();
	const char *got;

	test_capture();
	mw_report_print(&report);
	got = test_captured();
	(void)test_check(same(got, want), __FILE__, __LINE__, "%s", got);
}

TEST(report_says_only_what_is_known)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
	};
	const char *got;

	test_capture();
	mw_report_print(&report);
	got = test_captured();
	CHECK(same(got, "marrow: bad-request: the arguments contradict each other\n"
			"  here: cpu 0\n"));
}

TEST(every_misuse_has_a_name)
{
	for (unsigned int i = 0; i < MW_NR_MISUSES; i++) {
		NEED(mw_misuse_name((enum mw_misuse)i) != NULL);
		for (unsigned int k = 0; k < i; k++)
			CHECK(!same(mw_misuse_name((enum mw_misuse)i),
				    mw_misuse_name((enum mw_misuse)k)));
	}
	CHECK(same(mw_misuse_name(MW_DOUBLE_FREE), "double-free"));
	CHECK(same(mw_misuse_name(MW_STUCK_CPU), "stuck-cpu"));
	CHECK(same(mw_misuse_name((enum mw_misuse)99), "unknown"));
}

TEST(misuse_is_counted_and_handled)
{
	unsigned long before = mw_misuse_count(MW_WRONG_SIZE);
	struct mw_report report = { .what = MW_WRONG_SIZE, .given = 5 };

	test_expect_misuse(MW_WRONG_SIZE);
	mw_misuse(&report);
	CHECK_EQ(test_misuse_came()->given, 5);
	CHECK(report.text != NULL);
	CHECK_EQ(mw_misuse_count(MW_WRONG_SIZE), before + 1);
	CHECK_EQ(mw_misuse_count((enum mw_misuse)99), 0);
}

static void misuse_by_default(void *arg)
{
	struct mw_report report = { .what = MW_DOUBLE_FREE };

	(void)arg;
	mw_misuse(&report);
}

TEST(misuse_without_handler_panics)
{
	mw_misuse_fn *before = mw_on_misuse(NULL);
	const char *why = test_panics(misuse_by_default, NULL);

	NEED(why != NULL);
	CHECK(same(why, "double-free"));
	CHECK(mw_on_misuse(mw_ignore_misuse) == NULL);
	CHECK(test_panics(misuse_by_default, NULL) == NULL);
	CHECK(mw_on_misuse(before) == mw_ignore_misuse);
}
