// SPDX-License-Identifier: MIT
/* The page heap on all CPUs at once. Each page is stamped by its owner: two owners are noticed. */
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/page/stock.h"
#include "../mm/page/up.h"

#define SLOTS 48
#define MOST 40

struct slot {
	char *pages; /* NULL: none */
	struct mw_span *span; /* or of this span */
	size_t n;
};

static struct slot slots[8][SLOTS];

static void stamp(struct slot *slot, unsigned int cpu)
{
	for (size_t i = 0; i < slot->n; i++)
		*(volatile uintptr_t *)(slot->pages + i * PAGE) = (uintptr_t)slot->pages ^ cpu;
}

static void check_stamp(const struct slot *slot, unsigned int cpu)
{
	for (size_t i = 0; i < slot->n; i++)
		CHECK(*(volatile uintptr_t *)(slot->pages + i * PAGE) ==
		      ((uintptr_t)slot->pages ^ cpu));
}

static void fill(struct slot *slot, unsigned int cpu)
{
	unsigned int how = (unsigned int)test_below(8);

	slot->span = NULL;
	slot->n = how < 3 ? 1 : 1 + test_below(MOST);
	if (how == 7) {
		slot->span = mw_span_alloc(slot->n, 0, 0);
		slot->pages = slot->span ? slot->span->base : NULL;
		if (slot->span)
			mw_span_publish(slot->span);
	} else {
		slot->pages = mw_pages_alloc(slot->n, how == 6 ? MW_ZERO | MW_ATOMIC : MW_ATOMIC);
		if (slot->pages && how == 6)
			CHECK(!*(uintptr_t *)(slot->pages + (slot->n - 1) * PAGE));
	}
	if (slot->pages)
		stamp(slot, cpu);
}

static void empty(struct slot *slot, unsigned int cpu)
{
	check_stamp(slot, cpu);
	if (slot->span) {
		CHECK_PTR(mw_span_of(slot->pages + slot->n * PAGE - 1), slot->span);
		mw_span_free(slot->span);
	} else {
		mw_pages_free(slot->pages, slot->n);
	}
	slot->pages = NULL;
}

static void churn(unsigned int cpu, void *arg)
{
	size_t ops = *(size_t *)arg;

	for (size_t op = 0; op < ops; op++) {
		struct slot *slot = &slots[cpu][test_below(SLOTS)];

		if (slot->pages)
			empty(slot, cpu);
		else
			fill(slot, cpu);
		if (op % 512 == 511 && cpu == 0)
			(void)mw_scavenge(0, 4 * MIB);
		if (op % 1024 == 1023 && cpu == 1)
			mw_page_cpu_stop();
	}
	for (size_t i = 0; i < SLOTS; i++) {
		if (slots[cpu][i].pages)
			empty(&slots[cpu][i], cpu);
	}
}

static unsigned int cpus(void)
{
	return test_cpus() < 4 ? test_cpus() : 4;
}

TEST(four_cpus_with_room)
{
	size_t ops = test_rounds(20000);

	test_heap(32 * MIB);
	test_parallel(cpus(), churn, &ops);
	CHECK(mw_page_check());
}

TEST(four_cpus_without_room)
{
	size_t ops = test_rounds(20000);

	test_heap(4 * MIB);
	test_parallel(cpus(), churn, &ops);
	CHECK(mw_page_check());
}

static char *extra;

static void churn_or_change(unsigned int cpu, void *arg)
{
	if (cpu) {
		churn(cpu, arg);
		return;
	}
	for (unsigned long round = test_rounds(100); round; round--) {
		size_t usable = mw_region_add(extra, (uint64_t)1 << 34, 2 * MIB);

		CHECK(usable > 0);
		/* Others may have taken pages of it: then it stays until they are back. */
		while (!mw_region_remove(extra)) {
			(void)mw_phys(extra);
			mw_page_cpu_stop();
		}
	}
}

TEST(regions_change_meanwhile)
{
	size_t ops = test_rounds(5000);

	test_heap(32 * MIB);
	extra = test_memory(2 * MIB);
	if (cpus() < 2)
		test_skip("needs two CPUs");
	test_parallel(cpus(), churn_or_change, &ops);
	CHECK(mw_page_check());
}

static void alloc_in_interrupt(void *arg)
{
	size_t *turn = arg, n = 1 + ++*turn % 5;
	char *pages = mw_pages_alloc(n, MW_ATOMIC);

	if (pages)
		pages[0] = pages[n * PAGE - 1] = 1;
	mw_pages_free(pages, n);
}

TEST(interrupts_allocate_too)
{
	size_t ops = test_rounds(50000), turn = 0;

	test_heap(8 * MIB);
	if (!test_interrupts_on(alloc_in_interrupt, &turn))
		test_skip("no interrupts");
	churn(0, &ops);
	CHECK(test_interrupts_off() > 0);
	CHECK(mw_page_check());
}

static unsigned int stocks_begun(void)
{
	unsigned int n = 0;

	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++)
		n += mw_stock_begun(cpu);
	return n;
}

/* Of all the CPUs that there might be, those pay for a stock that have one. */
TEST_WITH(stocks_begin_when_they_are_wanted, TEST_HOSTED)
{
	struct mw_span *span;
	void *stack, *page;

	NEED(test_heap(16 * MIB));
	CHECK_EQ(stocks_begun(), 0);
	span = mw_span_alloc(3, 0, 0);
	NEED(span);
	mw_span_publish(span);
	mw_span_free(span);
	mw_page_poison(true);
	mw_page_poison(false);
	CHECK_EQ(stocks_begun(), 0);
	CHECK_EQ(stats_now().stocked, 0);

	/* What is freed first is kept at once. */
	stack = mw_stack_alloc(1, 0);
	NEED(stack);
	CHECK_EQ(stocks_begun(), 0);
	mw_stack_free(stack, 1);
	CHECK_EQ(stocks_begun(), 1);
	CHECK_EQ(stats_now().stocked, 2);
	page = mw_pages_alloc(1, 0);
	NEED(page);
	CHECK(stats_now().stocked > 2);
	mw_pages_free(page, 1);
	mw_reset();
	CHECK_EQ(stocks_begun(), 0);
	CHECK_EQ(stats_now().stocked, 0);
}

/* While stocks are closed, one that begins is closed too, and opens with the others. */
TEST_WITH(a_stock_begins_closed, TEST_HOSTED)
{
	void *page;

	NEED(test_heap(16 * MIB));
	mw_stocks_close();
	page = mw_pages_alloc(1, 0);
	NEED(page);
	CHECK_EQ(stocks_begun(), 1);
	mw_pages_free(page, 1);
	CHECK_EQ(stats_now().stocked, 0);
	mw_stocks_open();
	page = mw_pages_alloc(1, 0);
	NEED(page);
	CHECK(stats_now().stocked > 0);
	mw_pages_free(page, 1);
}

static void page_or_poison(unsigned int cpu, void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 20; i++) {
		void *page;

		if (!cpu) {
			mw_page_poison(!(i & 1));
			continue;
		}
		page = mw_pages_alloc(1, MW_ATOMIC);
		CHECK(page != NULL);
		mw_pages_free(page, 1);
	}
	if (!cpu)
		mw_page_poison(true);
}

/* A stock that begins while stocks are closed for good is closed. */
TEST(stocks_begin_while_others_close)
{
	for (unsigned long round = test_rounds(200); round; round--) {
		NEED(test_heap(4 * MIB));
		test_parallel(test_cpus(), page_or_poison, NULL);
		CHECK_EQ(stats_now().stocked, 0);
		CHECK(mw_page_check());
		mw_page_poison(false);
	}
}
