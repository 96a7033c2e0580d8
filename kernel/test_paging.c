// SPDX-License-Identifier: MIT
/* Pages that fault on purpose, pages that were written, and what other CPUs see of it. */
#include <stdatomic.h>
#include <marrow/port.h>
#include "kernel.h"
#include "landing.h"
#include "test.h"

#define PAGES 8

static void read_byte(void *arg)
{
	(void)*(volatile char *)arg;
}

static bool faults(char *page)
{
	return landing_try(read_byte, page).came;
}

TEST(protected_pages_fault)
{
	char *memory = test_memory(PAGES * MW_PAGE_SIZE);

	memory[3 * MW_PAGE_SIZE] = 42;
	NEED(mw_port_protect(memory + 3 * MW_PAGE_SIZE, 2 * MW_PAGE_SIZE, true));
	for (size_t i = 0; i < PAGES; i++)
		CHECK_EQ(faults(memory + i * MW_PAGE_SIZE), i == 3 || i == 4);
	NEED(mw_port_protect(memory + 3 * MW_PAGE_SIZE, 2 * MW_PAGE_SIZE, false));
	for (size_t i = 0; i < PAGES; i++)
		CHECK(!faults(memory + i * MW_PAGE_SIZE));
	CHECK_EQ(memory[3 * MW_PAGE_SIZE], 42);
}

static void see_protection(unsigned int i, void *arg)
{
	char *page = arg;

	for (int n = 0; n < 20; n++) {
		CHECK(!faults(page));
		test_barrier();
		if (i == (unsigned int)n % test_cpus())
			CHECK(mw_port_protect(page, MW_PAGE_SIZE, true));
		test_barrier();
		CHECK(faults(page));
		test_barrier();
		if (!i)
			CHECK(mw_port_protect(page, MW_PAGE_SIZE, false));
		test_barrier();
	}
}

TEST(all_cpus_see_protection)
{
	test_parallel(test_cpus(), see_protection, test_memory(MW_PAGE_SIZE));
}

static atomic_bool done;

static void protect_stopped(unsigned int i, void *arg)
{
	char *page = arg;

	if (i) {
		while (!atomic_load(&done))
			arch_relax();
		CHECK(faults(page));
		return;
	}
	CHECK_EQ(mw_port_stop_world(), -1);
	CHECK(mw_port_protect(page, MW_PAGE_SIZE, true));
	mw_port_start_world();
	atomic_store(&done, true);
}

TEST(protect_while_the_world_is_stopped)
{
	char *page = test_memory(MW_PAGE_SIZE);

	atomic_store(&done, false);
	test_parallel(test_cpus(), protect_stopped, page);
	CHECK(mw_port_protect(page, MW_PAGE_SIZE, false));
}

static void write_every_nth(unsigned int i, void *arg)
{
	char *memory = arg;

	memory[(2 * i + 1) * MW_PAGE_SIZE + 100] = 1;
}

TEST(written_pages_are_found)
{
	size_t pages = 2 * MW_MAX_CPUS + 1;
	char *memory = test_memory(pages * MW_PAGE_SIZE), *end = memory + pages * MW_PAGE_SIZE;
	char *at = memory;

	NEED(mw_port_dirty_start(memory, pages * MW_PAGE_SIZE));
	CHECK_PTR(mw_port_dirty_next(memory, end), NULL);
	test_parallel(test_cpus(), write_every_nth, memory);
	for (unsigned int i = 0; i < test_cpus(); i++) {
		at = mw_port_dirty_next(at, end);
		CHECK_PTR(at, memory + (2 * i + 1) * MW_PAGE_SIZE);
		NEED(at != NULL);
		at += MW_PAGE_SIZE;
	}
	CHECK_PTR(mw_port_dirty_next(at, end), NULL);
	NEED(mw_port_dirty_start(memory, pages * MW_PAGE_SIZE));
	CHECK_PTR(mw_port_dirty_next(memory, end), NULL);
}
