// SPDX-License-Identifier: MIT
/*
 * Where pointers to objects may be, for the collector: registers and stacks of all CPUs, data, bss.
 * The world is stopped. Stacks lie outside of the image, so that what is dead in them is no data.
 */
#include <marrow/port.h>
#include "kernel.h"

struct visitor {
	mw_root_visit_fn *visit;
	void *ctx;
};

/* The upper end of the stack that @sp points into; NULL: it is none. */
static const void *stack_end(uintptr_t sp)
{
	void *lo, *hi;

	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		for (unsigned int which = 0; arch_cpu_stack(cpu, which, &lo, &hi); which++)
			if (sp >= (uintptr_t)lo && sp < (uintptr_t)hi)
				return hi;
	return NULL;
}

/* The live part of the stack that @sp points into. */
static void visit_stack(const struct visitor *v, uintptr_t sp)
{
	const void *end = stack_end(sp);

	if (!end)
		mw_port_panic("a CPU was stopped on a stack that nobody knows");
	v->visit(v->ctx, MW_ROOT_STACK, "stack", (void *)(sp & -sizeof(void *)), end);
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

void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	struct visitor v = { visit, ctx };

	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		if (stop_regs(cpu))
			visit_cpu(&v, stop_regs(cpu));
	arch_spill(visit_self, &v);
	visit(ctx, MW_ROOT_DATA, "data", arch_data_start, arch_data_end);
	visit(ctx, MW_ROOT_DATA, "bss", arch_bss_start, arch_bss_end);
}
