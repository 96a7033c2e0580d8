// SPDX-License-Identifier: MIT
/* A CPU's own registers, and the order of the machine's boot. */
#include "arm.h"

extern char switch_first[];

/* For exceptions until there are others. */
static char early_stack[EXCEPTION_STACK_SIZE] __attribute__((aligned(16)));

unsigned int paging_best_level = 1;

/* The stack that the CPU changes to. */
static void set_exception_stack(const struct arch_percpu *cpu)
{
	__asm__ volatile("msr spsel, #1\n\tmov sp, %0\n\tmsr spsel, #0"
			 :
			 : "r"(cpu->stack_top[STACK_EXCEPTION])
			 : "memory");
}

/* x18 leads to what is its own; no interrupts yet but FIQs. */
void machine_cpu_begin(struct arch_percpu *cpu)
{
	cpu->self = cpu;
	__asm__ volatile("mov x18, %0" : : "r"(cpu) : "memory");
	set_exception_stack(cpu);
	WRITE_REGISTER("vbar_el1", trap_vectors);
	__asm__ volatile("msr daifclr, #0xd" : : : "memory");
}

void machine_begin(void)
{
	for (unsigned int i = 0; i < NR_STACKS; i++)
		arch_slots[0].stack_top[i] = (uintptr_t)(early_stack + sizeof(early_stack));
	machine_cpu_begin(&arch_slots[0]);
}

void machine_find(void)
{
	uint64_t hz = READ_REGISTER("cntfrq_el0");

	if (!hz)
		arch_panic("nothing says how fast the clock is");
	timer_set_clock(hz);
	set_exception_stack(this_cpu());
	gic_init();
	machine_cpu_init();
}

/* The counter of cycles counts, where there is one. */
void machine_cpu_init(void)
{
	uint64_t counters = READ_REGISTER("id_aa64dfr0_el1") >> 8 & 0xf;

	if (counters && counters != 0xf) {
		WRITE_REGISTER("pmccfiltr_el0", 0);
		WRITE_REGISTER("pmcntenset_el0", 1ul << 31);
		WRITE_REGISTER("pmcr_el0", 0x41);
	}
	clock_quiet();
	gic_cpu_init();
}

void machine_devices(void)
{
	if (serial_use_interrupt()) {
		gic_route(VIRT_UART_IRQ);
		serial_interrupt();
	}
}

/* As arch_switch() left it: x19, x20 and others, no frame, where to. */
uintptr_t machine_stack_init(uintptr_t top, void (*fn)(void *arg), void *arg)
{
	uintptr_t *sp = (uintptr_t *)top - 12;

	memset(sp, 0, 12 * sizeof(*sp));
	sp[0] = (uintptr_t)fn;
	sp[1] = (uintptr_t)arg;
	sp[11] = (uintptr_t)switch_first;
	return (uintptr_t)sp;
}

void machine_regs_here(struct arch_regs *regs)
{
	regs->pstate = READ_REGISTER("daif");
	regs->x[18] = (uintptr_t)this_cpu();
}

/* ---- page tables ---- */

/* May a leaf become a table as it is? */
void machine_paging_init(void)
{
	if ((READ_REGISTER("s3_0_c0_c7_2") >> 52 & 0xf) >= 2)
		paging_best_level = 3;
}

void machine_map_devices(void)
{
	paging_must_map((uintptr_t)arch_virt(VIRT_UART), VIRT_UART, ARCH_PAGE_SIZE,
			PAGE_READ | PAGE_WRITE | PAGE_DEVICE);
	gic_map();
}

/* No lower half; and what of accessed and dirty the CPU can note by itself. */
void machine_paging_load(void)
{
	uint64_t notes = READ_REGISTER("s3_0_c0_c7_1") & 0xf, tcr;

	paging_switch(arch_phys(kernel_root));
	tcr = READ_REGISTER("tcr_el1") | 1ul << 7;
	tcr |= (notes >= 1 ? 1ul << 39 : 0) | (notes >= 2 ? 1ul << 40 : 0);
	WRITE_REGISTER("tcr_el1", tcr);
	__asm__ volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}

/* ---- other CPUs ---- */

_Noreturn void smp_begin(struct arch_percpu *cpu)
{
	machine_paging_load();
	smp_arrive(cpu->hardware_id);
}

static void start(struct arch_percpu *cpu)
{
	(void)psci_call(PSCI_CPU_ON, cpu->hardware_id, arch_phys(entry_secondary), (uintptr_t)cpu);
}

bool machine_start_cpus(void)
{
	smp_for_absent(start);
	return true;
}

/* ---- the end ---- */

/* The emulator takes a code; firmware does not. */
void machine_exit(unsigned int code)
{
	const uint64_t how[2] = { 0x20026, code };

	host_call(0x20, how);
	(void)psci_call(PSCI_OFF, 0, 0, 0);
}

_Noreturn void machine_reboot(void)
{
	(void)psci_call(PSCI_RESET, 0, 0, 0);
	machine_halt();
}

_Noreturn void machine_halt(void)
{
	arch_irq_off();
	clock_quiet();
	for (;;)
		__asm__ volatile("wfi");
}
