// SPDX-License-Identifier: MIT
/* The window of stacks: what is mapped is the right memory on every CPU; and the interrupt stacks. */
#include "internal.h"
#include "landing.h"
#include "test.h"

#define STACK_LEN (4 * ARCH_PAGE_SIZE)
#define ROUNDS 1000

static struct {
	char *pages;
	uintptr_t *_Atomic at; /* the window's address of @pages' last word; NULL: not now */
	_Atomic(unsigned long) round, seen; /* seen: readers that are done with it */
} shared;

static void read_rounds(void)
{
	for (unsigned long round = 1; round <= ROUNDS; round++) {
		while (shared.round != round)
			arch_relax();
		CHECK_EQ(*(volatile uintptr_t *)shared.at, round);
		shared.seen++;
	}
}

/* Other memory at every round: a CPU that keeps an old translation reads an old number. */
static void map_rounds(void)
{
	for (unsigned long round = 1; round <= ROUNDS; round++) {
		char *pages = shared.pages + round % 8 * STACK_LEN;
		char *stack = arch_stack_map(pages, STACK_LEN);

		*(uintptr_t *)(pages + STACK_LEN - 8) = round;
		shared.at = (uintptr_t *)(stack + STACK_LEN - 8);
		shared.seen = 0;
		shared.round = round;
		while (shared.seen < test_cpus() - 1)
			arch_relax();
		*(uintptr_t *)(pages + STACK_LEN - 8) = 0;
		arch_stack_unmap(stack, STACK_LEN);
	}
}

static void map_or_read(unsigned int i, void *arg)
{
	(void)arg;
	if (i)
		read_rounds();
	else
		map_rounds();
}

TEST(every_cpu_sees_what_is_mapped)
{
	unsigned long flushes = window_flushes();

	shared.pages = test_memory(8 * STACK_LEN);
	shared.round = 0;
	test_parallel(test_cpus(), map_or_read, NULL);
	flushes = window_flushes() - flushes;
	test_note("%lu flushes for %d stacks", flushes, ROUNDS);
	CHECK(flushes >= 1 && flushes < ROUNDS / 16);
}

static void touch(void *at)
{
	*(volatile char *)at = 1;
}

TEST(what_is_below_faults)
{
	char *pages = test_memory(STACK_LEN), *stack = arch_stack_map(pages, STACK_LEN);
	struct fault fault;

	NEED(stack != NULL);
	memset(stack, 1, STACK_LEN);
	CHECK(pages[0] && pages[STACK_LEN - 1]);
	fault = landing_try(touch, stack - 1);
	CHECK(fault.came && fault.address == (uintptr_t)stack - 1);
	CHECK(arch_stack_guard((uintptr_t)stack - 1) && !arch_stack_guard((uintptr_t)stack));
	CHECK(landing_try(touch, stack + STACK_LEN).came);
	arch_stack_unmap(stack, STACK_LEN);
	CHECK(arch_stack_guard((uintptr_t)stack));
}

TEST(more_than_there_are_slots)
{
	static char *stacks[300];
	char *pages = test_memory(STACK_LEN);

	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 300; i++) {
			stacks[i] = arch_stack_map(pages, STACK_LEN);
			NEED(stacks[i] != NULL);
			CHECK(!i || stacks[i] != stacks[i - 1]);
		}
		for (unsigned int i = 0; i < 300; i++)
			arch_stack_unmap(stacks[i], STACK_LEN);
	}
	CHECK(arch_stack_map(pages, ARCH_STACK_SLOT) == NULL);
}

/* ---- interrupt stacks ---- */

static unsigned long came, elsewhere, traced;

static bool is_on_interrupt_stack(const void *p)
{
	void *lo, *hi;

	return arch_cpu_stack(arch_cpu_id(), STACK_INTERRUPT, &lo, &hi) && p >= lo && p < hi;
}

static __attribute__((noinline)) void wait_for_it(void)
{
	uint64_t start = arch_now();

	while (!*(volatile unsigned long *)&came && arch_now() - start < 5000000000)
		arch_relax();
}

static void note_stack(struct arch_regs *regs, void *arg)
{
	uintptr_t pcs[16];
	size_t n = arch_backtrace(0, pcs, 16);

	(void)arg;
	elsewhere += !is_on_interrupt_stack(&n) || is_on_interrupt_stack(regs);
	for (size_t i = 0; i < n; i++)
		traced += pcs[i] + 4096 - (uintptr_t)wait_for_it < 8192;
	came++;
}

TEST(handlers_have_a_stack_of_their_own)
{
	came = elsewhere = traced = 0;
	arch_timer_oneshot(ARCH_TIMER_STORM, 100000, note_stack, NULL);
	wait_for_it();
	CHECK_EQ(came, 1);
	CHECK_EQ(elsewhere, 0);
	CHECK(traced > 0);
}
