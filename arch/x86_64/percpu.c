// SPDX-License-Identifier: MIT
/* What each CPU has of its own: segments, task state with the exceptions' stacks, gs. */
#include "internal.h"

struct arch_percpu arch_slots[ARCH_MAX_CPUS];
struct arch_percpu *arch_cpu_by_number[ARCH_MAX_CPUS];

static const size_t stack_sizes[NR_STACKS] = {
	[STACK_BOOT] = ARCH_STACK_SIZE,		  [STACK_DOUBLE_FAULT] = EXCEPTION_STACK_SIZE,
	[STACK_NMI] = EXCEPTION_STACK_SIZE,	  [STACK_PAGE_FAULT] = EXCEPTION_STACK_SIZE,
	[STACK_INTERRUPT] = INTERRUPT_STACK_SIZE,
};

/* Each stack has a page below it that faults. */
void percpu_stacks_alloc(struct arch_percpu *cpu)
{
	for (int i = 0; i < NR_STACKS; i++) {
		char *guard = frames_boot_alloc(ARCH_PAGE_SIZE + stack_sizes[i]);

		if (!arch_page_protect(guard, ARCH_PAGE_SIZE, ARCH_PROT_NONE))
			arch_panic("cannot protect a stack");
		cpu->stack_top[i] = (uintptr_t)guard + ARCH_PAGE_SIZE + stack_sizes[i];
		if (i != STACK_BOOT && i < NR_EXCEPTION_STACKS)
			cpu->tss.ist[i - 1] = cpu->stack_top[i];
	}
	cpu->interrupt_stack = cpu->stack_top[STACK_INTERRUPT];
}

bool arch_cpu_stack(unsigned int cpu, unsigned int which, void **lo, void **hi)
{
	uintptr_t top;

	if (cpu >= arch_cpu_count() || which >= NR_STACKS)
		return false;
	top = arch_cpu_by_number[cpu]->stack_top[which];
	*lo = (void *)(top - stack_sizes[which]);
	*hi = (void *)top;
	return true;
}

static void set_segments(struct arch_percpu *cpu)
{
	uint64_t tss = (uintptr_t)&cpu->tss;

	cpu->gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
	cpu->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	cpu->gdt[SEL_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 |
				(tss >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	cpu->tss.io_map = sizeof(struct tss);
}

/* Become @cpu: its segments, its gs, the one IDT. */
void percpu_load(struct arch_percpu *cpu)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr = { sizeof(cpu->gdt) - 1, (uintptr_t)cpu->gdt };

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

/* The first CPU, before it has stacks: exceptions stay on the current one. */
void percpu_init_first(void)
{
	arch_cpu_by_number[0] = &arch_slots[0];
	percpu_load(&arch_slots[0]);
}

bool arch_in_interrupt(void)
{
	const struct arch_percpu *cpu = this_cpu();

	return cpu->depth || cpu->in_exception;
}

unsigned int arch_interrupt_depth(void)
{
	return this_cpu()->depth;
}

void arch_set_local(void *value)
{
	this_cpu()->local = value;
}

void *arch_local(void)
{
	return this_cpu()->local;
}
