// SPDX-License-Identifier: MIT
/* What each CPU has of its own; its stacks. */
#include "internal.h"

struct arch_percpu arch_slots[ARCH_MAX_CPUS];
struct arch_percpu *arch_cpu_by_number[ARCH_MAX_CPUS];

static size_t stack_size(unsigned int which)
{
	return which == STACK_BOOT	  ? ARCH_STACK_SIZE
	       : which == STACK_INTERRUPT ? INTERRUPT_STACK_SIZE
					  : EXCEPTION_STACK_SIZE;
}

/* Each stack has a page below it that faults. */
void percpu_stacks_alloc(struct arch_percpu *cpu)
{
	for (unsigned int i = 0; i < NR_STACKS; i++) {
		char *guard = frames_boot_alloc(ARCH_PAGE_SIZE + stack_size(i));

		if (!arch_page_protect(guard, ARCH_PAGE_SIZE, ARCH_PROT_NONE))
			arch_panic("cannot protect a stack");
		cpu->stack_top[i] = (uintptr_t)guard + ARCH_PAGE_SIZE + stack_size(i);
	}
	cpu->interrupt_stack = cpu->stack_top[STACK_INTERRUPT];
}

bool arch_cpu_stack(unsigned int cpu, unsigned int which, void **lo, void **hi)
{
	uintptr_t top;

	if (cpu >= arch_cpu_count() || which >= NR_STACKS)
		return false;
	top = arch_cpu_by_number[cpu]->stack_top[which];
	*lo = (void *)(top - stack_size(which));
	*hi = (void *)top;
	return true;
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
