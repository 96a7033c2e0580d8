// SPDX-License-Identifier: MIT
/* Both ends of a region take from the gap between them, with a switch at each instruction of one in turn. */
#include "test.h"
#include "../mm/page/page.h"

#define MOST 20000u /* instructions: more than there are */
#define LEAST 20u

static struct {
	struct mw_region *region;
	bool grew;
	void *records;
} ends;

static void grow(void *arg)
{
	unsigned long state = mw_lock(&mw_page.heap);

	(void)arg;
	ends.grew = mw_region_grow(ends.region, 1);
	mw_unlock(&mw_page.heap, state);
}

static void carve(void *arg)
{
	(void)arg;
	ends.records = mw_up_meta_pages(MW_PAGE_SIZE);
}

static void each(void (*a)(void *arg), void (*b)(void *arg))
{
	unsigned long at = 0, wrong = 0;
	bool more;

	test_heap(64 << 20);
	ends.region = NULL;
	for (unsigned int id = 0; id < MW_NR_IDS && !ends.region; id++)
		ends.region = mw_region_by_id(id);
	NEED(ends.region);
	do {
		more = test_step(a, b, NULL, at++);
		NEED(ends.grew && ends.records);
		wrong += ends.region->frontier + mw_region_gap(ends.region) !=
			 atomic_load(&ends.region->ceiling);
	} while (more && !wrong && at < MOST);
	CHECK_EQ(wrong, 0);
	CHECK(at > LEAST && at < MOST);
	CHECK(mw_page_check());
	test_note("%lu instructions", at);
}

TEST_WITH(records_are_carved_while_the_heap_grows, TEST_HOSTED)
{
	each(grow, carve);
}

TEST_WITH(the_heap_grows_while_records_are_carved, TEST_HOSTED)
{
	each(carve, grow);
}
