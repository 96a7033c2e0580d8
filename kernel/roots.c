// SPDX-License-Identifier: MIT
/*
 * Where pointers to objects may be, for the collector: registers and stacks of all CPUs and threads,
 * data, bss but for what is known to have no references (ARCH_PLAIN).
 * The world is stopped. Stacks lie outside of the image, so that what is dead in them is no data.
 */
#include <marrow/port.h>
#include "kernel.h"
#include "thread.h"

struct visitor {
	mw_root_visit_fn *visit;
	void *ctx;
};

struct search {
	uintptr_t sp;
	const struct thread *thread;
};

static void compare_stack(const struct thread *thread, void *arg)
{
	struct search *search = arg;

	if (search->sp >= (uintptr_t)thread->stack && search->sp < (uintptr_t)thread->stack_end)
		search->thread = thread;
}

/* The thread that runs, with its stack pointer here. */
static const struct thread *thread_at(uintptr_t sp)
{
	struct search search = { .sp = sp };

	thread_for_each(compare_stack, &search);
	if (!search.thread)
		mw_port_panic("a CPU was stopped on a stack that nobody knows");
	return search.thread;
}

static void visit_stack(const struct visitor *v, const struct thread *thread, uintptr_t sp)
{
	v->visit(v->ctx, MW_ROOT_STACK, thread->name, (void *)(sp & -sizeof(void *)),
		 thread->stack_end);
}

/* Of one that does not run: the switch pushed its registers. */
static void visit_thread(const struct thread *thread, void *arg)
{
	const struct visitor *v = arg;

	v->visit(v->ctx, MW_ROOT_OTHER, thread->name, thread, thread + 1);
	if (thread->state != THREAD_RUNNING && !thread->idle)
		visit_stack(v, thread, thread->sp);
}

static void visit_cpu(const struct visitor *v, const struct arch_regs *regs)
{
	const struct thread *thread = thread_at(arch_sp(regs));

	if (thread->idle)
		return;
	v->visit(v->ctx, MW_ROOT_REGISTERS, "registers", regs, regs + 1);
	visit_stack(v, thread, arch_sp(regs));
}

void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	uintptr_t own = (uintptr_t)__builtin_frame_address(0);
	struct visitor v = { visit, ctx };

	if (test_has_own_roots())
		return;
	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		if (stop_regs(cpu))
			visit_cpu(&v, stop_regs(cpu));
	/* What this CPU has in registers is in frames above the collector's own, which are no roots. */
	visit_stack(&v, thread_at(own), own);
	thread_for_each(visit_thread, &v);
	visit(ctx, MW_ROOT_DATA, "data", arch_data_start, arch_data_end);
	visit(ctx, MW_ROOT_DATA, "bss", arch_roots_start, arch_bss_end);
	/* Tests have heaps of their own, which are gone when the last one has run. */
	if (test_running())
		visit(ctx, MW_ROOT_DATA, "bss of tests", arch_tests_start, arch_roots_start);
}
