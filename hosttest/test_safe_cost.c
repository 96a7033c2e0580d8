/* SPDX-License-Identifier: MIT */
/* What safe free costs, in instructions and memory, where a program does nothing but allocate and free. */
#include "safe.h"

#if MW_GC

#define LIVE 1000

static struct {
	uint64_t instructions;
	size_t pages, held; /* the most */
	unsigned long marks;
} cost;

static void look_at_memory(void)
{
	struct mw_page_stats page;
	struct mw_safe_stats safe;

	mw_page_stats(&page);
	mw_safe_stats(&safe);
	cost.pages = mw_max(cost.pages, page.objects);
	cost.held = mw_max(cost.held, safe.held_bytes);
	cost.marks = safe.marks;
}

/* A thousand live objects of 16 to 1024 bytes, one at random is replaced each time. */
NOINLINE static void replace(size_t n)
{
	void **table = (void **)root[0];

	for (size_t i = 0; i < n; i++) {
		uint64_t r = test_random();
		void **slot = &table[(r >> 32) % LIVE];

		mw_free(*slot);
		*slot = mw_alloc(16 + (uint32_t)r % 1009, MW_NORMAL);
		**(char **)slot = 1;
	}
}

NOINLINE static void measure(size_t rounds, size_t each)
{
	uint64_t before;

	cost.pages = cost.held = 0;
	replace(20000);
	before = test_instructions();
	for (size_t i = 0; i < rounds; i++) {
		replace(each);
		look_at_memory();
	}
	cost.instructions = (test_instructions() - before) / (rounds * each);
}

NOINLINE static void drop_all(void)
{
	void **table = (void **)root[0];

	for (size_t i = 0; i < LIVE; i++)
		mw_free(table[i]);
	mw_free(table);
	root[0] = NULL;
}

static void compare(const char *what, const struct mw_safe_policy *policy, unsigned int most)
{
	uint64_t instructions;
	size_t pages;

	setup(64 << 20);
	root[0] = mw_alloc(LIVE * sizeof(void *), MW_ZERO);
	NEED(root[0]);
	measure(20, 2000);
	instructions = cost.instructions;
	pages = cost.pages;
	CHECK(mw_safe_free(NULL, policy));
	measure(20, 20000);
	test_note("%s: %u instructions a pair, without %u; %zu KiB, without %zu; %lu marks of %zu "
		  "words, %zu KiB held",
		  what, (unsigned int)cost.instructions, (unsigned int)instructions, cost.pages * 4,
		  pages * 4, cost.marks, (size_t)mw_word(&mw_gc.safe.looked) / sizeof(uintptr_t),
		  cost.held >> 10);
	CHECK(cost.marks > 0);
	CHECK(cost.instructions <= most);
	drop_all();
	off();
}

TEST_WITH(of_a_random_load, TEST_COUNTED)
{
	static const struct mw_safe_policy plain = { .on = true };
	static const struct mw_safe_policy more = { .on = true, .hold = 4 << 20 };

	compare("1 MiB", &plain, 320);
	compare("4 MiB", &more, 270);
}

#endif
