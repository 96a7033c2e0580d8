// SPDX-License-Identifier: MIT
/*
 * Where pointers to objects may be, for the collector: registers and stacks of all CPUs, data, bss.
 * The world is stopped.
 */
#include <marrow/port.h>
#include "kernel.h"

struct visitor {
	mw_root_visit_fn *visit;
	void *ctx;
};

struct stack {
	uintptr_t lo, hi;
};

/* The stack number @n, over all CPUs. Return: false past the last. */
static bool nth_stack(unsigned int *cpu, unsigned int *which, struct stack *stack)
{
	void *lo, *hi;

	while (*cpu < arch_cpu_count() && !arch_cpu_stack(*cpu, *which, &lo, &hi)) {
		++*cpu;
		*which = 0;
	}
	if (*cpu == arch_cpu_count())
		return false;
	++*which;
	*stack = (struct stack){ (uintptr_t)lo, (uintptr_t)hi };
	return true;
}

/* The live part of the stack that @sp points into. */
static void visit_stack(const struct visitor *v, uintptr_t sp)
{
	unsigned int cpu = 0, which = 0;
	struct stack stack;

	sp &= ~(uintptr_t)(sizeof(void *) - 1);
	while (nth_stack(&cpu, &which, &stack))
		if (sp >= stack.lo && sp < stack.hi) {
			v->visit(v->ctx, MW_ROOT_STACK, "stack", (void *)sp, (void *)stack.hi);
			return;
		}
	mw_port_panic("a CPU was stopped on a stack that nobody knows");
}

static void visit_cpu(const struct visitor *v, const struct arch_regs *regs)
{
	v->visit(v->ctx, MW_ROOT_REGISTERS, "registers", regs, regs + 1);
	visit_stack(v, regs->rsp);
}

static void visit_self(const void *sp, void *arg)
{
	visit_stack(arg, (uintptr_t)sp);
}

/* [lo, hi) without stacks that lie in it: what is dead in a stack must keep nothing alive. */
static void visit_data(const struct visitor *v, const char *name, char *from, char *end)
{
	uintptr_t lo = (uintptr_t)from, hi = (uintptr_t)end;

	while (lo < hi) {
		unsigned int cpu = 0, which = 0;
		struct stack stack, first = { hi, hi };

		while (nth_stack(&cpu, &which, &stack))
			if (stack.lo >= lo && stack.lo < first.lo)
				first = stack;
		if (first.lo > lo)
			v->visit(v->ctx, MW_ROOT_DATA, name, (void *)lo, (void *)first.lo);
		lo = first.hi;
	}
}

void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	struct visitor v = { visit, ctx };

	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		if (stop_regs(cpu))
			visit_cpu(&v, stop_regs(cpu));
	arch_spill(visit_self, &v);
	visit_data(&v, "data", arch_data_start, arch_data_end);
	visit_data(&v, "bss", arch_bss_start, arch_bss_end);
}
