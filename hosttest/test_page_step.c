// SPDX-License-Identifier: MIT
/*
 * What happens to regions beside something else, with a switch at each instruction of one in turn: both ends take
 * from the gap between them; addresses are translated while regions come and go.
 */
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

/* ---- tables of regions ---- */

#define REGIONS 5u
#define BYTES ((size_t)1 << 20)
#define PHYS(i) (((uint64_t)(i) + 1) << 30)

static struct {
	char *memory;
	struct mw_region *comes;
	unsigned long waits, wrong;
} tables;

/* Of the hosted port: how often this thread turned in spin loops. */
__attribute__((weak)) unsigned int port_turns(void);

static char *base_of(unsigned int i)
{
	return tables.memory + i * BYTES;
}

static void comes_and_goes(void *arg)
{
	unsigned long state = mw_lock(&mw_page.heap);

	(void)arg;
	mw_tables_remove(tables.comes);
	mw_tables_insert(tables.comes);
	mw_unlock(&mw_page.heap, state);
}

/* An NMI cannot wait for what it has interrupted. The region that comes may be there or not. */
static void translates(void *arg)
{
	unsigned int turns = port_turns();

	(void)arg;
	for (unsigned int i = 0; i < REGIONS; i++) {
		uint64_t phys = mw_phys(base_of(i) + 5);
		void *virt = mw_virt(PHYS(i) + 7);

		tables.wrong += phys != PHYS(i) + 5 && (i != 1 || phys != UINT64_MAX);
		tables.wrong += virt != base_of(i) + 7 && (i != 1 || virt);
	}
	tables.waits += port_turns() != turns;
}

TEST_WITH(addresses_are_translated_while_regions_come, TEST_HOSTED)
{
	unsigned long at = 0, state;
	bool more;

	test_heap(16 << 20);
	tables.memory = test_memory(REGIONS * BYTES);
	for (unsigned int i = 0; i < REGIONS; i++)
		NEED(mw_region_add(base_of(i), PHYS(i), BYTES));
	state = mw_port_pin();
	tables.comes = mw_region_of(mw_pn(base_of(1)));
	mw_port_unpin(state);
	tables.waits = tables.wrong = 0;
	do
		more = test_step(comes_and_goes, translates, NULL, at++);
	while (more && !tables.waits && !tables.wrong && at < MOST);
	CHECK_EQ(tables.waits, 0);
	CHECK_EQ(tables.wrong, 0);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions", at);
}
