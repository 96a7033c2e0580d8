// SPDX-License-Identifier: MIT
/*
 * Faults of pages that the tables allow: the emulator has next to none, so they are made up here.
 */
#include "internal.h"
#include "stale.h"
#include "test.h"

static const uintptr_t pc = 0x1000;

TEST(old_translations_are_tried_again)
{
	char *page = test_memory(ARCH_PAGE_SIZE);
	uintptr_t at = (uintptr_t)page;
	struct stale stale = { 0 };
	unsigned int tries = 0;

	while (tries < 1000 && stale_again(&stale, pc, at, PAGE_WRITE))
		tries++;
	test_note("%u tries", tries);
	CHECK(tries > 1 && tries < 1000);
	CHECK(stale_again(&stale, pc + 4, at, PAGE_WRITE));
	NEED(arch_page_protect(page, ARCH_PAGE_SIZE, ARCH_PROT_READ));
	CHECK(!stale_again(&stale, pc, at, PAGE_WRITE));
	CHECK(stale_again(&stale, pc + 4, at, PAGE_READ));
	CHECK(!stale_again(&stale, pc + 4, at, PAGE_EXECUTE));
	NEED(arch_page_protect(page, ARCH_PAGE_SIZE, ARCH_PROT_NONE));
	CHECK(!stale_again(&stale, pc, at, PAGE_READ));
	NEED(arch_page_protect(page, ARCH_PAGE_SIZE, ARCH_PROT_WRITE));
	CHECK(!stale_again(&stale, pc, 0x1234, PAGE_READ));
	CHECK(!stale_again(&stale, pc, 1ul << 62, PAGE_READ));
}

/* A CPU may leave these bits to software. */
TEST(accessed_and_dirty_are_set_by_hand)
{
	char *page = test_memory(ARCH_PAGE_SIZE);
	uintptr_t at = (uintptr_t)page;
	struct stale stale = { 0 };
	unsigned int level;
	uint64_t *entry;

	NEED(arch_dirty_start(page, ARCH_PAGE_SIZE));
	entry = paging_walk(at, &level);
	__atomic_and_fetch(entry, ~PTE_A, __ATOMIC_RELAXED);
	CHECK(!pte_is_dirty(*entry));
	CHECK(stale_again(&stale, pc, at, PAGE_READ));
	CHECK((*entry & PTE_A) && !pte_is_dirty(*entry));
	CHECK(stale_again(&stale, pc, at, PAGE_WRITE));
	CHECK(pte_is_dirty(*entry));
	CHECK_PTR(arch_dirty_next(page, page + ARCH_PAGE_SIZE), page);
}

static _Atomic(unsigned long) ticks;

static void tick(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	ticks++;
}

/*
 * What interrupts write to the interrupted stack may be such a fault: nothing of what was
 * interrupted is lost by that.
 */
TEST(interrupts_come_on_a_clean_stack)
{
	unsigned long rounds = test_rounds(20000);
	uint64_t start = arch_now();
	void *lo, *hi;

	NEED(arch_cpu_stack(arch_cpu_id(), STACK_BOOT, &lo, &hi));
	NEED((void *)&lo > lo && (void *)&lo < hi);
	ticks = 0;
	arch_timer_periodic(ARCH_TIMER_STORM, 10000, tick, NULL);
	while (ticks < rounds && arch_now() - start < 2000000000)
		NEED(arch_dirty_start(lo, (size_t)((char *)hi - (char *)lo)));
	arch_timer_stop(ARCH_TIMER_STORM);
	test_note("%lu interrupts", ticks);
	CHECK(ticks > 10);
}
