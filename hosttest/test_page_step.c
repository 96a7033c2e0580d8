// SPDX-License-Identifier: MIT
/*
 * With a switch at each instruction of one in turn: what happens to regions beside something else, both ends take
 * from the gap between them, addresses are translated while regions come and go; and two CPUs free the same pages.
 */
#include <marrow/watch.h>
#include "test.h"
#include "../mm/base/state.h"
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
	if (!ends.records)
		return;
	/* As who asks for them does. */
	atomic_fetch_add(&mw_base.persist.carved, MW_PAGE_SIZE);
	atomic_fetch_add(&mw_base.persist.bytes[MW_USE_OTHER], MW_PAGE_SIZE);
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
static struct {
	char *run;
	size_t n, also; /* pages; the counts that the two give */
	unsigned long reports;
} twice;

static void count_report(const struct mw_report *report)
{
	(void)report;
	twice.reports++;
}

static void free_first(void *arg)
{
	(void)arg;
	mw_pages_free(twice.run, twice.n);
}

static void free_also(void *arg)
{
	(void)arg;
	mw_pages_free(twice.run, twice.also);
}

static void use_stock(void *arg)
{
	(void)arg;
	mw_pages_free(mw_pages_alloc(twice.n, 0), twice.n);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* The run has gone once: so many pages are in use, and no two allocations overlap. */
static bool is_there_once(size_t before)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.raw == before && mw_page_check();
}

/* One of the two frees it, and the other one says so, whatever stocks they use. */
static void freed_twice(size_t n)
{
	unsigned long at = 0, wrong = 0;
	struct mw_page_stats stats;
	mw_misuse_fn *handler;
	bool more;

	test_heap(64 << 20);
	twice.n = twice.also = n;
	/* Both have a stock, and neither is full. */
	use_stock(NULL);
	(void)test_step(nothing, use_stock, NULL, 0);
	mw_page_stats(&stats);
	handler = mw_on_misuse(count_report);
	do {
		twice.run = mw_pages_alloc(n, 0);
		twice.reports = 0;
		more = twice.run && test_step(free_first, free_also, NULL, at++);
		wrong += !twice.run || twice.reports != 1 || !is_there_once(stats.raw);
	} while (more && !wrong && at < MOST);
	mw_on_misuse(handler);
	CHECK_EQ(wrong, 0);
	CHECK(at > LEAST && at < MOST);
	test_note("%lu instructions", at);
}

TEST_WITH(two_cpus_free_a_page, TEST_HOSTED)
{
	freed_twice(1);
}

TEST_WITH(two_cpus_free_a_stack, TEST_HOSTED)
{
	freed_twice(4);
}

/* No stock takes runs of this length. */
TEST_WITH(two_cpus_free_a_run, TEST_HOSTED)
{
	freed_twice(17);
}
