// SPDX-License-Identifier: MIT
/*
 * First writes to armed pages where only this machine has them: in NMIs, which interrupt the
 * handler of another first write, and in the handler of another page fault.
 */
#include "snapshot_test.h"
#include "x86.h"

/* ---- NMIs ---- */

static struct {
	unsigned long came, inside; /* inside: the handler of a first write */
	unsigned int depth, deepest;
	bool again; /* it sends itself another one, behind its write */
	size_t page; /* it writes to; PAGES: none */
} nmi;

static bool is_first_write(uintptr_t pc)
{
	return pc - (uintptr_t)trap_page_fault <
		       (uintptr_t)trap_page_fault_end - (uintptr_t)trap_page_fault ||
	       pc - (uintptr_t)snapshot_fault < 1024;
}

static bool on_nmi(struct arch_regs *regs)
{
	nmi.came++;
	nmi.inside += is_first_write(regs->rip);
	if (++nmi.depth > nmi.deepest)
		nmi.deepest = nmi.depth;
	if (nmi.page < PAGES)
		store(nmi.page, 0, 2);
	if (nmi.again) {
		nmi.again = false;
		apic_send(apic_id(), APIC_NMI);
		for (volatile int i = 0; i < 100; i++)
			;
	}
	nmi.depth--;
	return true;
}

static void begin_nmis(void)
{
	nmi.came = nmi.inside = 0;
	nmi.depth = nmi.deepest = 0;
	nmi.again = false;
	nmi.page = PAGES;
	trap_on_nmi = on_nmi;
}

static void end_nmis(void)
{
	trap_on_nmi = NULL;
}

#define COMMAND 0x300 /* of the local APIC */

/*
 * The NMI is sent by the instruction before the store: where the CPU takes it behind the fault, it
 * interrupts the fault's handler before its first instruction.
 */
static void send_and_store(volatile uint64_t *page)
{
	char *apic = arch_virt(acpi_lapic_phys);

	*(volatile uint32_t *)(apic + COMMAND + 0x10) = apic_id() << 24;
	__asm__ volatile("movl %0, (%1)\n\tmovq $1, (%2)"
			 :
			 : "r"(APIC_NMI), "r"(apic + COMMAND), "r"(page + 1)
			 : "memory");
}

TEST(nmis_write_in_the_handler_of_a_write)
{
	take_chunk();
	arm(LOG);
	begin_nmis();
	for (size_t page = 0; page < PAGES; page++) {
		/* The same page, and another one. */
		nmi.page = page % 2 ? page : PAGES - 1 - page;
		send_and_store(words_of(page));
	}
	end_nmis();
	test_note("%lu NMIs, %lu inside", nmi.came, nmi.inside);
	CHECK_EQ(nmi.came, PAGES);
	CHECK_EQ(count_copies(), PAGES);
	for (size_t page = 0; page < PAGES; page++)
		CHECK_EQ(words_of(page)[1], 1);
	CHECK(!arch_copies_state().spoiled);
	disarm();
	give_chunk();
}

/* A page fault that returned by iretq would let the next NMI in. */
TEST(no_nmi_comes_in_an_nmi_that_wrote)
{
	take_chunk();
	arm(LOG);
	begin_nmis();
	for (size_t page = 0; page < 20; page++) {
		unsigned long came = nmi.came;

		nmi.page = page;
		nmi.again = true;
		apic_send(apic_id(), APIC_NMI);
		while (nmi.came < came + 2)
			arch_relax();
		CHECK_EQ(words_of(page)[0], 2);
		CHECK(has_copy(page));
	}
	end_nmis();
	CHECK_EQ(nmi.came, 40);
	CHECK_EQ(nmi.deepest, 1);
	disarm();
	give_chunk();
}

static atomic_bool done;

static void write_or_send(unsigned int i, void *arg)
{
	unsigned long before = nmi.came;

	(void)arg;
	if (i == 1)
		while (!done) {
			apic_send(arch_cpu_by_number[0]->hardware_id, APIC_NMI);
			arch_relax();
		}
	if (i)
		return;
	/* Where CPUs take turns the other one has had none yet. */
	while (nmi.came == before)
		arch_relax();
	for (size_t page = 0; page < PAGES; page++) {
		nmi.page = (page + 1) % PAGES;
		for (size_t word = 1; word < 5; word++)
			store(page, word, word);
	}
	nmi.page = PAGES;
	done = true;
}

TEST(nmis_from_elsewhere_at_any_time)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	take_chunk();
	begin_nmis();
	for (unsigned int round = 0; round < 6; round++) {
		arm(LOG);
		done = false;
		test_parallel(test_cpus(), write_or_send, NULL);
		CHECK_EQ(count_copies(), PAGES);
		for (size_t page = 0; page < PAGES; page++)
			CHECK_EQ(words_of(page)[4], 4);
		CHECK(!arch_copies_state().spoiled);
		disarm();
	}
	end_nmis();
	test_note("%lu NMIs, %lu inside", nmi.came, nmi.inside);
	CHECK(nmi.came > 0);
	CHECK_EQ(nmi.deepest, 1);
	give_chunk();
}

/* ---- other page faults ---- */

static void (*behind_load)(void);
static size_t next_page;

/* Its own first writes begin further down on the stack that this one is on. */
static bool write_and_go_on(struct arch_regs *regs, uintptr_t address)
{
	volatile uint64_t kept[64];

	for (size_t i = 0; i < 64; i++)
		kept[i] = address + i;
	for (size_t i = 0; i < 8; i++)
		store(next_page++, 0, 3);
	for (size_t i = 0; i < 64; i++)
		CHECK_EQ(kept[i], address + i);
	CHECK_EQ(regs->vector, VEC_PAGE_FAULT);
	CHECK_EQ(address, 0x1234);
	regs->rip = (uintptr_t)behind_load;
	return true;
}

static void load_from_nowhere(void)
{
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\tmovq 0x1234, %%rax\n1:"
			 : "=m"(behind_load)
			 :
			 : "rax", "memory");
}

TEST(first_writes_in_the_handler_of_another_page_fault)
{
	arch_fault_fn *before;

	take_chunk();
	arm(LOG);
	next_page = 0;
	before = arch_on_fault(write_and_go_on);
	for (unsigned int i = 0; i < 10; i++)
		load_from_nowhere();
	arch_on_fault(before);
	CHECK_EQ(next_page, 80);
	for (size_t page = 0; page < 80; page++)
		CHECK_EQ(words_of(page)[0], 3);
	CHECK_EQ(count_copies(), 80);
	disarm();
	give_chunk();
}
