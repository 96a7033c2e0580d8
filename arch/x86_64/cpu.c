// SPDX-License-Identifier: MIT
/* A CPU's own: segments, task state with the exceptions' stacks, gs; and the order of the machine's boot. */
#include "x86.h"

extern char switch_first[];

static void set_exception_stacks(struct arch_percpu *cpu)
{
	for (unsigned int i = STACK_BOOT + 1; i < STACK_INTERRUPT; i++)
		cpu->machine.tss.ist[i - 1] = cpu->stack_top[i];
}

static void set_segments(struct arch_percpu *cpu)
{
	uint64_t tss = (uintptr_t)&cpu->machine.tss;

	cpu->machine.gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
	cpu->machine.gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	cpu->machine.gdt[SEL_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 |
					0x89ul << 40 | (tss >> 24 & 0xff) << 56;
	cpu->machine.gdt[SEL_TSS / 8 + 1] = tss >> 32;
	cpu->machine.tss.io_map = sizeof(struct tss);
	set_exception_stacks(cpu);
}

/* Become @cpu: its segments, its gs, the one IDT. */
void machine_cpu_begin(struct arch_percpu *cpu)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed))
	gdtr = { sizeof(cpu->machine.gdt) - 1, (uintptr_t)cpu->machine.gdt };

	cpu->self = cpu;
	set_segments(cpu);
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "movl %3, %%eax\n\t"
			 "ltr %%ax"
			 :
			 : "m"(gdtr), "i"(SEL_CODE), "i"(SEL_DATA), "i"(SEL_TSS)
			 : "rax", "memory");
	wrmsr(MSR_GS_BASE, (uintptr_t)cpu);
	trap_load();
}

/* The first CPU has no stacks yet: exceptions stay on the current one. */
void machine_begin(void)
{
	trap_init();
	machine_cpu_begin(&arch_slots[0]);
}

void machine_find(void)
{
	set_exception_stacks(&arch_slots[0]);
	trap_init();
	acpi_read();
	apic_init();
	clock_calibrate();
}

void machine_devices(void)
{
	if (serial_use_interrupt()) {
		ioapic_route(4, VEC_SERIAL);
		serial_interrupt();
	}
	keyboard_init();
}

/* As arch_switch() left it: r15, r14, r13, r12, rbx, rbp, where to return to. */
uintptr_t machine_stack_init(uintptr_t top, void (*fn)(void *arg), void *arg)
{
	uintptr_t *sp = (uintptr_t *)top - 7;

	memset(sp, 0, 7 * sizeof(*sp));
	sp[3] = (uintptr_t)arg;
	sp[4] = (uintptr_t)fn;
	sp[6] = (uintptr_t)switch_first;
	return (uintptr_t)sp;
}

void machine_regs_here(struct arch_regs *regs)
{
	regs->cs = SEL_CODE;
	regs->ss = SEL_DATA;
	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(regs->rflags));
}
