// SPDX-License-Identifier: MIT
/* The page tables: the direct map, permissions, flushes on all CPUs, dirty bits, guard pages. */
#include "internal.h"
#include "landing.h"
#include "test.h"

#define PAGE ARCH_PAGE_SIZE

static void do_read(void *at)
{
	(void)*(volatile char *)at;
}

static void do_write(void *at)
{
	volatile char *p = at;
	char was = *p;

	*p = was;
}

static void do_store(void *at)
{
	*(volatile char *)at = 1;
}

static void do_call(void *at)
{
	((void (*)(void))(uintptr_t)at)();
}

/* Does fn(at) fault, and as what. */
static bool faults_with(void (*fn)(void *at), void *at, enum arch_fault what)
{
	struct fault fault = landing_try(fn, at);

	return fault.came && fault.what == what && fault.address == (uintptr_t)at;
}

static bool works(void (*fn)(void *at), void *at)
{
	return !landing_try(fn, at).came;
}

/* What every page allows that is not code: PAGE_EXECUTE on a CPU that cannot forbid it. */
#define can_execute (pte_access(pte_leaf(0, PAGE_READ, 1)) & PAGE_EXECUTE)

TEST(all_free_memory_is_mapped)
{
	struct mw_memrange run;
	unsigned int level;

	for (uint64_t from = 0;
	     mw_memmap_next(boot_info.map, boot_info.nr_map, MW_MEM_FREE, from, &run);
	     from = run.start + run.len) {
		for (uint64_t at = run.start; at < run.start + run.len;) {
			uint64_t *entry = paging_walk((uintptr_t)arch_virt(at), &level);
			uint64_t size = 1ul << (3 + 9 * level);

			NEED((pte_access(*entry) & ~can_execute) == (PAGE_READ | PAGE_WRITE));
			NEED((pte_phys(*entry) & ~(size - 1)) == (at & ~(size - 1)));
			at = (at & ~(size - 1)) + size;
		}
	}
	CHECK(!arch_is_mapped(NULL));
	CHECK(!arch_is_mapped((void *)0x100000));
	CHECK(!arch_is_mapped((void *)(1ul << (PAGING_BITS - 1))));
}

/* The kernel's own memory must not be given to the heap. */
TEST(own_memory_is_reserved)
{
	const void *own[] = { arch_image_start, (char *)arch_bss_start + 8, kernel_root,
			      (void *)(arch_slots[0].stack_top[STACK_BOOT] - 1), NULL };
	struct mw_memrange run;

	own[4] = arch_virt(pte_phys(kernel_root[ARCH_DIRECT_MAP >> level_shift(PAGING_LEVELS) & 511]));
	for (uint64_t from = 0;
	     mw_memmap_next(boot_info.map, boot_info.nr_map, MW_MEM_FREE, from, &run);
	     from = run.start + run.len)
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			CHECK(arch_phys(own[i]) - run.start >= run.len);
}

TEST(modules_are_mapped_and_reserved)
{
	struct mw_memrange run;

	if (!boot_info.nr_modules)
		test_skip("the loader gave none");
	for (size_t i = 0; i < boot_info.nr_modules; i++) {
		const struct arch_module *module = &boot_info.modules[i];

		for (uint64_t at = 0; at < module->len; at += PAGE)
			CHECK(works(do_read, arch_virt(module->phys + at)));
		for (uint64_t from = 0;
		     mw_memmap_next(boot_info.map, boot_info.nr_map, MW_MEM_FREE, from, &run);
		     from = run.start + run.len)
			CHECK(module->phys >= run.start + run.len ||
			      run.start >= module->phys + module->len);
	}
}

TEST(nothing_is_writable_and_executable)
{
	static char data[16];
	char *page = test_memory(PAGE);

	CHECK(faults_with(do_store, arch_text_start, ARCH_FAULT_WRITE));
	CHECK(faults_with(do_store, arch_text_end, ARCH_FAULT_WRITE));
	CHECK(faults_with(do_store, arch_virt(arch_phys(arch_text_start)), ARCH_FAULT_WRITE));
	CHECK(faults_with(do_store, arch_text_end + 8, ARCH_FAULT_WRITE));
	if (can_execute)
		return;
	CHECK(faults_with(do_call, data, ARCH_FAULT_EXECUTE));
	CHECK(faults_with(do_call, page, ARCH_FAULT_EXECUTE));
	CHECK(faults_with(do_call, arch_virt(arch_phys(arch_text_start)), ARCH_FAULT_EXECUTE));
}

TEST(each_stack_has_a_guard_page)
{
	void *lo, *hi;
	unsigned int stacks = 0;

	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		for (unsigned int i = 0; arch_cpu_stack(cpu, i, &lo, &hi); i++, stacks++) {
			CHECK(arch_is_mapped(lo) && arch_is_mapped((char *)hi - 1));
			CHECK(faults_with(do_read, (char *)lo - 1, ARCH_FAULT_READ));
		}
	CHECK_EQ(stacks, arch_cpu_count() * NR_STACKS);
	CHECK(!arch_cpu_stack(arch_cpu_count(), 0, &lo, &hi));
}

TEST(protection_is_by_the_page)
{
	char *page = test_memory(3 * PAGE);

	page[PAGE] = 42;
	NEED(arch_page_protect(page + PAGE, PAGE, ARCH_PROT_NONE));
	CHECK(works(do_write, page + PAGE - 1));
	CHECK(faults_with(do_read, page + PAGE, ARCH_FAULT_READ));
	CHECK(faults_with(do_store, page + 2 * PAGE - 1, ARCH_FAULT_WRITE));
	CHECK(works(do_write, page + 2 * PAGE));
	NEED(arch_page_protect(page + PAGE, PAGE, ARCH_PROT_READ));
	CHECK_EQ(page[PAGE], 42);
	CHECK(faults_with(do_store, page + PAGE, ARCH_FAULT_WRITE));
	NEED(arch_page_protect(page + PAGE, PAGE, ARCH_PROT_WRITE));
	CHECK(works(do_write, page + PAGE));
}

/* Whole large pages, parts of large pages, and back; the pool does not leak. */
TEST(protection_of_long_ranges)
{
	const size_t len = 6ul << 20;
	char *memory = test_memory(len);
	size_t pool;

	for (int round = 0; round < 3; round++) {
		pool = arch_page_pool();
		NEED(arch_page_protect(memory + PAGE, len - 2 * PAGE, ARCH_PROT_NONE));
		CHECK(works(do_write, memory + PAGE - 1));
		for (size_t at = PAGE; at < len - PAGE; at += 37 * PAGE)
			CHECK(faults_with(do_read, memory + at, ARCH_FAULT_READ));
		CHECK(works(do_write, memory + len - PAGE));
		NEED(arch_page_protect(memory + PAGE, len - 2 * PAGE, ARCH_PROT_WRITE));
		for (size_t at = PAGE; at < len - PAGE; at += 37 * PAGE)
			CHECK(works(do_write, memory + at));
	}
	CHECK_EQ(arch_page_pool(), pool);
}

TEST(protection_refuses_what_it_cannot_do)
{
	char *page = test_memory(2 * PAGE);

	CHECK(!arch_page_protect(page + 1, PAGE, ARCH_PROT_NONE));
	CHECK(!arch_page_protect(page, PAGE - 1, ARCH_PROT_NONE));
	CHECK(!arch_page_protect((void *)PAGE, PAGE, ARCH_PROT_NONE));
	CHECK(!arch_page_protect(arch_virt(1ul << 46), PAGE, ARCH_PROT_NONE));
	CHECK(!arch_page_protect(arch_text_start, PAGE, ARCH_PROT_NONE));
	CHECK(works(do_write, page));
}

/* One CPU changes the page; all others had it in their TLBs and must see the change. */
static struct {
	char *page;
	_Atomic(unsigned int) stale, broken;
} shared;

static void see_protection(unsigned int i, void *arg)
{
	(void)arg;
	for (int round = 0; round < 5; round++) {
		if (!works(do_write, shared.page))
			shared.broken++;
		test_barrier();
		if (!i && !arch_page_protect(shared.page, PAGE, ARCH_PROT_READ))
			shared.broken++;
		test_barrier();
		if (works(do_store, shared.page))
			shared.stale++;
		test_barrier();
		if (!i && !arch_page_protect(shared.page, PAGE, ARCH_PROT_WRITE))
			shared.broken++;
		test_barrier();
	}
}

TEST(protection_reaches_all_cpus)
{
	shared.page = test_memory(PAGE);
	shared.stale = shared.broken = 0;
	test_parallel(test_cpus(), see_protection, NULL);
	CHECK_EQ(shared.stale, 0);
	CHECK_EQ(shared.broken, 0);
}

/* All CPUs change pages of one large page, while it is being split. */
static void protect_own_pages(unsigned int i, void *arg)
{
	char *memory = arg;

	for (unsigned int k = i; k < 64; k += test_cpus()) {
		char *page = memory + k * 7 * PAGE;

		if (!arch_page_protect(page, PAGE, ARCH_PROT_NONE) || works(do_read, page) ||
		    !arch_page_protect(page, PAGE, ARCH_PROT_WRITE) || !works(do_write, page))
			shared.broken++;
	}
}

TEST(protection_by_all_cpus_at_once)
{
	shared.broken = 0;
	test_parallel(test_cpus(), protect_own_pages, test_memory(64 * 7 * PAGE));
	CHECK_EQ(shared.broken, 0);
}

static unsigned int count_dirty(char *from, size_t len)
{
	unsigned int n = 0;
	char *end = from + len;

	while ((from = arch_dirty_next(from, end))) {
		n++;
		from += PAGE;
	}
	return n;
}

TEST(dirty_pages_are_the_written_ones)
{
	const size_t len = 4ul << 20;
	char *memory = test_memory(len);

	NEED(arch_dirty_start(memory, len));
	CHECK_EQ(count_dirty(memory, len), 0);
	do_read(memory);
	CHECK_EQ(count_dirty(memory, len), 0);
	for (size_t i = 3; i < len / PAGE; i += 50)
		do_store(memory + i * PAGE + i);
	CHECK_EQ(count_dirty(memory, len), (len / PAGE - 3 + 49) / 50);
	CHECK_PTR(arch_dirty_next(memory, memory + len), memory + 3 * PAGE);
	CHECK_PTR(arch_dirty_next(memory + 4 * PAGE, memory + len), memory + 53 * PAGE);
	CHECK_PTR(arch_dirty_next(memory + 4 * PAGE, memory + 53 * PAGE), NULL);
	NEED(arch_dirty_start(memory, len));
	CHECK_EQ(count_dirty(memory, len), 0);
}

/*
 * Whatever access there was meanwhile: what was written stays so, and what was not does not become
 * so.
 */
TEST(protection_keeps_what_is_dirty)
{
	static const enum arch_prot prots[] = { ARCH_PROT_READ, ARCH_PROT_NONE, ARCH_PROT_WRITE };
	char *pages = test_memory(2 * PAGE);

	NEED(arch_dirty_start(pages, 2 * PAGE));
	do_store(pages);
	for (size_t i = 0; i < sizeof(prots) / sizeof(prots[0]); i++) {
		NEED(arch_page_protect(pages, 2 * PAGE, prots[i]));
		CHECK_EQ(count_dirty(pages, 2 * PAGE), 1);
		CHECK_PTR(arch_dirty_next(pages, pages + PAGE), pages);
	}
	do_store(pages + PAGE);
	CHECK_EQ(count_dirty(pages, 2 * PAGE), 2);
}

/* A CPU whose TLB still says "dirty" would write without setting the bit again. */
static void write_after_start(unsigned int i, void *arg)
{
	char *mine = shared.page + (i + 1) * PAGE;

	(void)arg;
	for (int round = 0; round < 5; round++) {
		do_store(mine);
		test_barrier();
		if (!i && !arch_dirty_start(shared.page, (test_cpus() + 1) * PAGE))
			shared.broken++;
		test_barrier();
		do_store(mine);
		test_barrier();
		if (!i && count_dirty(shared.page, (test_cpus() + 1) * PAGE) != test_cpus())
			shared.stale++;
		test_barrier();
	}
}

TEST(dirty_pages_of_all_cpus)
{
	shared.page = test_memory((test_cpus() + 1) * PAGE);
	shared.stale = shared.broken = 0;
	test_parallel(test_cpus(), write_after_start, NULL);
	CHECK_EQ(shared.stale, 0);
	CHECK_EQ(shared.broken, 0);
}

static volatile unsigned long wasted;

static __attribute__((noinline)) unsigned long overflow_by(unsigned long n)
{
	volatile unsigned long frame[32];

	frame[n % 32] = n;
	return n == UINT64_MAX ? 0 : overflow_by(n + 1) + frame[n % 32];
}

static void overflow(void *arg)
{
	(void)arg;
	wasted = overflow_by(0);
}

TEST(stack_overflow_is_a_page_fault)
{
	void *lo, *hi;
	struct fault fault;

	NEED(arch_cpu_stack(0, STACK_BOOT, &lo, &hi));
	fault = landing_try(overflow, NULL);
	CHECK(fault.came);
	CHECK_EQ(fault.what, ARCH_FAULT_WRITE);
	CHECK((uintptr_t)lo - fault.address <= PAGE);
}
