// SPDX-License-Identifier: MIT
/* A CPU's own registers, and the order of the machine's boot. */
#include "riscv.h"

extern char switch_first[];

/* For exceptions until there are others. */
static char early_stack[EXCEPTION_STACK_SIZE] __attribute__((aligned(16)));

/* tp leads to what is its own; no interrupts yet. */
void machine_cpu_begin(struct arch_percpu *cpu)
{
	cpu->self = cpu;
	__asm__ volatile("mv tp, %0" : : "r"(cpu) : "memory");
	__asm__ volatile("csrw stvec, %0" : : "r"(trap_entry) : "memory");
}

void machine_begin(void)
{
	for (unsigned int i = 0; i < NR_STACKS; i++)
		arch_slots[0].stack_top[i] = (uintptr_t)(early_stack + sizeof(early_stack));
	machine_cpu_begin(&arch_slots[0]);
}

void machine_find(void)
{
	timer_set_clock(firmware_clock_hz);
	machine_cpu_init();
}

void machine_cpu_init(void)
{
	clock_quiet();
	__asm__ volatile("csrw sie, %0" : : "r"(SIE_ALL) : "memory");
}

void machine_devices(void)
{
	if (serial_use_interrupt()) {
		plic_init();
		serial_interrupt();
	}
}

/* As arch_switch() left it: ra, s0 (no frame), s1, s2, and others. */
uintptr_t machine_stack_init(uintptr_t top, void (*fn)(void *arg), void *arg)
{
	uintptr_t *sp = (uintptr_t *)top - 14;

	memset(sp, 0, 14 * sizeof(*sp));
	sp[0] = (uintptr_t)switch_first;
	sp[2] = (uintptr_t)fn;
	sp[3] = (uintptr_t)arg;
	return (uintptr_t)sp;
}

void machine_regs_here(struct arch_regs *regs)
{
	__asm__ volatile("csrr %0, sstatus" : "=r"(regs->status));
	/* As a trap would have left it. */
	regs->status = (regs->status & ~0x20ul) | (regs->status & ARCH_IRQ_ON) << 4;
	regs->tp = (uintptr_t)this_cpu();
}

/* ---- page tables ---- */

void machine_paging_init(void)
{
}

void machine_map_devices(void)
{
	const unsigned int access = PAGE_READ | PAGE_WRITE | PAGE_DEVICE;

	paging_must_map((uintptr_t)arch_virt(VIRT_TEST), VIRT_TEST, ARCH_PAGE_SIZE, access);
	paging_must_map((uintptr_t)arch_virt(VIRT_UART), VIRT_UART, ARCH_PAGE_SIZE, access);
	paging_must_map((uintptr_t)arch_virt(VIRT_PLIC), VIRT_PLIC, VIRT_PLIC_BYTES, access);
}

/* Sv39. */
void machine_paging_load(void)
{
	uint64_t satp = 8ul << 60 | arch_phys(kernel_root) >> 12;

	__asm__ volatile("sfence.vma\n\tcsrw satp, %0\n\tsfence.vma" : : "r"(satp) : "memory");
}

/* ---- other CPUs ---- */

_Noreturn void smp_begin(struct arch_percpu *cpu)
{
	machine_paging_load();
	smp_arrive(cpu->hardware_id);
}

static void start(struct arch_percpu *cpu)
{
	(void)sbi_call(SBI_HARTS, cpu->hardware_id, arch_phys(entry_secondary), (uintptr_t)cpu);
}

bool machine_start_cpus(void)
{
	smp_for_absent(start);
	return true;
}

/* ---- the end ---- */

/* The device takes a code and a word that says what kind of end it is. */
static void test_device(uint32_t value)
{
	*(volatile uint32_t *)arch_virt(VIRT_TEST) = value;
}

void machine_exit(unsigned int code)
{
	test_device(code << 16 | 0x3333);
}

_Noreturn void machine_reboot(void)
{
	test_device(0x7777);
	machine_halt();
}

_Noreturn void machine_halt(void)
{
	for (;;)
		__asm__ volatile("csrw sie, zero\n\twfi");
}
