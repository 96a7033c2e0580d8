// SPDX-License-Identifier: MIT
/* Exceptions: each is described, and what may not be written or executed cannot be. */
#include "kernel.h"
#include "landing.h"
#include "test.h"
#include "text.h"

static TEST_UNCHECKED void read_byte(void *arg)
{
	(void)*(volatile char *)arg;
}

/* The same value, so that nothing happens where it works. */
static void write_byte(void *arg)
{
	volatile char *byte = arg;

	*byte = *byte;
}

static void execute(void *arg)
{
	((void (*)(void))arg)();
}

static void invalid(void *arg)
{
	(void)arg;
	arch_invalid_instruction();
}

static void wild(void *arg)
{
	(void)*(volatile char *)((uintptr_t)arg | 1ul << 62);
}

static void nothing(void *arg)
{
	(void)arg;
}

TEST(each_is_described)
{
	struct fault fault = landing_try(nothing, NULL);

	CHECK(!fault.came);
	fault = landing_try(invalid, NULL);
	CHECK(fault.came);
	CHECK_EQ(fault.what, ARCH_FAULT_INSTRUCTION);
	/* No address at all: some machines have an exception of its own for that. */
	fault = landing_try(wild, NULL);
	CHECK(fault.came);
	CHECK(fault.what == ARCH_FAULT_READ || fault.what == ARCH_FAULT_OTHER);
	fault = landing_try(read_byte, (void *)0x1234);
	CHECK_EQ(fault.what, ARCH_FAULT_READ);
	CHECK_EQ(fault.address, 0x1234);
	CHECK(fault.pc >= (uintptr_t)read_byte && fault.pc < (uintptr_t)read_byte + 16);
	CHECK(!arch_in_interrupt());
}

static void off_and_fault(void *arg)
{
	arch_irq_off();
	read_byte(arg);
}

TEST(interrupts_are_as_before)
{
	CHECK(landing_try(off_and_fault, NULL).came);
	CHECK(arch_irq_enabled());
	arch_irq_off();
	CHECK(landing_try(read_byte, NULL).came);
	CHECK(!arch_irq_enabled());
	arch_irq_on();
}

static void fault_inside(void *arg)
{
	CHECK(landing_try(read_byte, NULL).came);
	write_byte(arg);
}

TEST(nest)
{
	struct fault fault = landing_try(fault_inside, (void *)0x10);

	CHECK(fault.came);
	CHECK_EQ(fault.address, 0x10);
	CHECK_EQ(fault.what, ARCH_FAULT_READ);
}

static void fault_here(unsigned int i, void *arg)
{
	(void)arg;
	for (int n = 0; n < 100; n++) {
		struct fault fault = landing_try(read_byte, (void *)(0x1000ul + i));

		CHECK_EQ(fault.address, 0x1000ul + i);
	}
}

TEST(on_all_cpus_at_once)
{
	test_parallel(test_cpus(), fault_here, NULL);
}

TEST(stack_overflow_meets_the_guard)
{
	struct fault fault = landing_try(poke_overflow, NULL);
	void *lo, *hi;

	NEED(arch_cpu_stack(arch_cpu_id(), 0, &lo, &hi));
	CHECK(fault.came);
	CHECK(fault.address < (uintptr_t)lo && fault.address >= (uintptr_t)lo - ARCH_PAGE_SIZE);
}

/* ---- no page is both writable and executable ---- */

static unsigned int count_faults(const char *from, const char *to, void (*fn)(void *arg),
				 enum arch_fault what)
{
	unsigned int n = 0;

	for (uintptr_t at = (uintptr_t)from; at < (uintptr_t)to; at += ARCH_PAGE_SIZE) {
		struct fault fault = landing_try(fn, (void *)at);

		n += fault.came && fault.what == what && fault.address == at;
	}
	return n;
}

static unsigned int pages_between(const char *from, const char *to)
{
	return (unsigned int)((to - from + (ptrdiff_t)ARCH_PAGE_SIZE - 1) / (ptrdiff_t)ARCH_PAGE_SIZE);
}

TEST(code_cannot_be_written)
{
	CHECK_EQ(count_faults(arch_text_start, arch_rodata_end, write_byte, ARCH_FAULT_WRITE),
		 pages_between(arch_text_start, arch_rodata_end));
}

TEST(data_cannot_be_executed)
{
	CHECK_EQ(count_faults(arch_text_end, arch_bss_end, execute, ARCH_FAULT_EXECUTE),
		 pages_between(arch_text_end, arch_bss_end));
}

TEST(nor_through_the_direct_map)
{
	char *text = arch_virt(arch_phys(arch_text_start));
	char *memory = test_memory(2 * ARCH_PAGE_SIZE);

	CHECK_EQ(count_faults(text, text + (arch_text_end - arch_text_start), execute,
			      ARCH_FAULT_EXECUTE),
		 pages_between(arch_text_start, arch_text_end));
	CHECK_EQ(count_faults(text, text + (arch_rodata_end - arch_text_start), write_byte,
			      ARCH_FAULT_WRITE),
		 pages_between(arch_text_start, arch_rodata_end));
	CHECK_EQ(count_faults(memory, memory + 2 * ARCH_PAGE_SIZE, execute, ARCH_FAULT_EXECUTE), 2);
}

/* ---- names ---- */

TEST(addresses_have_names)
{
	char text[80];

	CHECK(mw_port_symbol((uintptr_t)kernel_main + 1, text, sizeof(text)));
	CHECK(text_equal(text, "kernel_main+0x1"));
	CHECK(mw_port_symbol((uintptr_t)mw_memmap_next, text, sizeof(text)));
	CHECK(text_equal(text, "mw_memmap_next+0x0"));
	CHECK(!mw_port_symbol((uintptr_t)text, text, sizeof(text)));
	CHECK(!mw_port_symbol((uintptr_t)arch_data_start, text, sizeof(text)));
	CHECK(!mw_port_symbol(0, text, sizeof(text)));
}

static __attribute__((noinline)) size_t inner(uintptr_t *pcs, size_t max)
{
	size_t n = mw_port_backtrace(pcs, max);

	__asm__ volatile("" : : : "memory");
	return n;
}

static __attribute__((noinline)) size_t outer(uintptr_t *pcs, size_t max)
{
	size_t n = inner(pcs, max);

	__asm__ volatile("" : : : "memory");
	return n;
}

TEST(backtrace_names_the_callers)
{
	uintptr_t pcs[32];
	size_t n = outer(pcs, LEN(pcs));
	char text[80];

	NEED(n > 4 && n < LEN(pcs));
	CHECK(mw_port_symbol(pcs[0], text, sizeof(text)));
	CHECK(text_after(text, "inner+"));
	CHECK(mw_port_symbol(pcs[1], text, sizeof(text)));
	CHECK(text_after(text, "outer+"));
	CHECK(mw_port_symbol(pcs[2], text, sizeof(text)));
	CHECK(text_after(text, "test_backtrace_names_the_callers+"));
	CHECK_EQ(outer(pcs, 2), 2);
	CHECK_EQ(outer(pcs, 0), 0);
}
