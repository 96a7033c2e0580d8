// SPDX-License-Identifier: MIT
/* The heap of sleepers gives back the earliest, whatever was taken out of its middle. */
#include "sleep.h"
#include "test.h"

#define MOST 300

static struct sleeper sleepers[MOST];
static bool asleep[MOST];

static uint64_t earliest(void)
{
	uint64_t due = UINT64_MAX;

	for (unsigned int i = 0; i < MOST; i++)
		if (asleep[i] && sleepers[i].due < due)
			due = sleepers[i].due;
	return due;
}

/* Links of the whole heap, by a walk that needs no stack. Return: how many are in it. */
static unsigned int check_links(const struct sleeper *root)
{
	const struct sleeper *at = root;
	unsigned int n = 0;

	while (at) {
		const struct sleeper *after = at->child ? at->child : at->next;

		n++;
		CHECK(!at->child || (at->child->prev == at && at->child->due >= at->due));
		CHECK(!at->next || at->next->prev == at);
		while (!after && at->prev) {
			while (at->prev && at->prev->child != at)
				at = at->prev;
			at = at->prev;
			if (!at)
				break;
			after = at->next;
		}
		at = after;
	}
	return n;
}

TEST(any_order)
{
	struct sleeper *root = NULL;
	unsigned int n = 0;

	__builtin_memset(asleep, 0, sizeof(asleep));
	for (int round = 0; round < 6000; round++) {
		unsigned int i = (unsigned int)test_below(MOST);

		if (asleep[i]) {
			sleep_remove(&root, &sleepers[i]);
			CHECK(!sleepers[i].child && !sleepers[i].next && !sleepers[i].prev);
			n--;
		} else {
			sleepers[i].due = test_below(1000);
			sleep_insert(&root, &sleepers[i]);
			n++;
		}
		asleep[i] = !asleep[i];
		CHECK_EQ(root ? root->due : UINT64_MAX, earliest());
		if (round % 64 == 0)
			CHECK_EQ(check_links(root), n);
	}
	for (uint64_t last = 0; root; n--) {
		CHECK(root->due >= last);
		last = root->due;
		sleep_remove(&root, root);
	}
	CHECK_EQ(n, 0);
}

/* What it costs does not grow with how many sleep; the walk over all of them that it replaces did. */
static uint64_t cost_among(unsigned int n)
{
	struct sleeper *root = NULL;
	uint64_t start;

	for (unsigned int i = 1; i < n; i++) {
		sleepers[i].due = 1000 + i * 7919 % 1009;
		sleep_insert(&root, &sleepers[i]);
	}
	start = test_instructions();
	for (unsigned int i = 0; i < 1000; i++) {
		sleepers[0].due = i * 31 % 2000;
		sleep_insert(&root, &sleepers[0]);
		sleep_remove(&root, &sleepers[0]);
	}
	return (test_instructions() - start) / 1000;
}

TEST_WITH(cost_does_not_grow, TEST_COUNTED)
{
	uint64_t few = cost_among(3), many = cost_among(MOST);

	if (!test_instructions())
		test_skip("instructions are not counted");
	test_note("%llu instructions among 3, %llu among %d", (unsigned long long)few,
		  (unsigned long long)many, MOST);
	CHECK(many < few + 200);
}
