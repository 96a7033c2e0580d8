// SPDX-License-Identifier: MIT
/* What only this CPU does: faults of pages that the tables allow. */
#include "riscv.h"
#include "test.h"

static struct arch_regs fault_at(const void *page, uint64_t cause)
{
	return (struct arch_regs){ .pc = (uintptr_t)arch_text_start,
				   .cause = cause,
				   .address = (uintptr_t)page };
}

/* The emulator never has one, so it is made up here. */
TEST(old_translations_are_tried_again)
{
	char *page = test_memory(ARCH_PAGE_SIZE);
	struct arch_regs regs = fault_at(page, 15);
	unsigned int tries = 0;

	while (tries < 1000 && exception_was_stale(&regs))
		tries++;
	test_note("%u tries", tries);
	CHECK(tries > 1 && tries < 1000);
	NEED(arch_page_protect(page, ARCH_PAGE_SIZE, ARCH_PROT_READ));
	CHECK(!exception_was_stale(&regs));
	regs.cause = 13;
	regs.pc += 4;
	CHECK(exception_was_stale(&regs));
	regs.cause = 12;
	CHECK(!exception_was_stale(&regs));
	NEED(arch_page_protect(page, ARCH_PAGE_SIZE, ARCH_PROT_NONE));
	regs.cause = 13;
	CHECK(!exception_was_stale(&regs));
	NEED(arch_page_protect(page, ARCH_PAGE_SIZE, ARCH_PROT_WRITE));
	regs = fault_at((void *)0x1234, 13);
	CHECK(!exception_was_stale(&regs));
	regs = fault_at((void *)(1ul << 62), 13);
	CHECK(!exception_was_stale(&regs));
}

/* A CPU may leave these bits to software. */
TEST(accessed_and_dirty_are_set_by_hand)
{
	char *page = test_memory(ARCH_PAGE_SIZE);
	struct arch_regs regs = fault_at(page, 13);
	unsigned int level;
	uint64_t *entry;

	NEED(arch_dirty_start(page, ARCH_PAGE_SIZE));
	entry = paging_walk((uintptr_t)page, &level);
	__atomic_and_fetch(entry, ~(PTE_A | PTE_D), __ATOMIC_RELAXED);
	CHECK(exception_was_stale(&regs));
	CHECK((*entry & PTE_A) && !pte_is_dirty(*entry));
	regs.cause = 15;
	CHECK(exception_was_stale(&regs));
	CHECK(pte_is_dirty(*entry));
	CHECK_PTR(arch_dirty_next(page, page + ARCH_PAGE_SIZE), page);
}
