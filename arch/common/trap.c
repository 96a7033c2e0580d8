// SPDX-License-Identifier: MIT
/*
 * Exceptions and interrupts, when the machine's entry has saved the registers. Exceptions nest, and are
 * counted; of interrupts the outermost one ends on the interrupted stack, where threads may switch.
 */
#include "internal.h"

static arch_fault_fn *fault_fn;

arch_fault_fn *arch_on_fault(arch_fault_fn *fn)
{
	arch_fault_fn *before = fault_fn;

	fault_fn = fn;
	return before;
}

const char *arch_fault_name(enum arch_fault fault)
{
	static const char *const names[] = {
		[ARCH_FAULT_OTHER] = "other",
		[ARCH_FAULT_INSTRUCTION] = "invalid instruction",
		[ARCH_FAULT_READ] = "read",
		[ARCH_FAULT_WRITE] = "write",
		[ARCH_FAULT_EXECUTE] = "execution",
	};

	return names[fault];
}

/* What a fault of a page was about, in words, by what the tables have for it. */
static const char *page_fault_name(const struct arch_regs *regs, uintptr_t address)
{
	enum arch_fault fault = arch_fault_of(regs);
	unsigned int level;
	uint64_t pte = paging_is_address(address) ? *paging_walk(address, &level) : 0;

	if (pte_access(pte))
		return fault == ARCH_FAULT_EXECUTE ? "page fault: execution of what is not code"
						   : "page fault: write to read-only memory";
	if (arch_stack_guard(address))
		return "page fault: stack overflow into the guard page";
	if (!pte)
		return fault == ARCH_FAULT_WRITE ? "page fault: write to nowhere"
						 : "page fault: read from nowhere";
	if (address - arch_sp(regs) + 2 * ARCH_PAGE_SIZE < 3 * ARCH_PAGE_SIZE)
		return "page fault: stack overflow into the guard page";
	return "page fault: access to a page that was made to fault";
}

void trap_exception(struct arch_regs *regs, uintptr_t address)
{
	struct arch_percpu *cpu = this_cpu();
	const char *name = machine_fault_name(regs);

	if (cpu->in_exception++ == 0 && fault_fn && fault_fn(regs, address)) {
		cpu->in_exception--;
		return;
	}
	panic_regs(name ? name : page_fault_name(regs, address), regs);
}

bool (*trap_on_nmi)(struct arch_regs *regs);

/* Asked for by another CPU, or from outside: someone wants to know why nothing happens. */
void trap_nmi(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();

	if ((trap_on_nmi && trap_on_nmi(regs)) || ipi_answer_capture(regs))
		return;
	cpu->in_exception++;
	arch_print("\nNMI: registers of all CPUs\n");
	cpu->captured = *regs;
	arch_dump_cpus();
	cpu->in_exception--;
}

/* Said when it comes the 1st, 2nd, 4th, 8th, ... time: a flood of them is not one of lines. */
void trap_not_asked_for(unsigned int number)
{
	static _Atomic(unsigned long) times[256];
	unsigned long n = atomic_fetch_add_explicit(&times[number], 1, memory_order_relaxed) + 1;

	if (!(n & (n - 1)))
		arch_print("interrupt %u that nobody asked for, %lu times so far\n", number, n);
}

/* On the interrupt stack. */
void trap_interrupt(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();

	cpu->depth++;
	machine_interrupt(regs);
	cpu->depth--;
}

/* Again on the stack that was interrupted, which may be left for another thread's. */
void trap_leave(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();

	if (!cpu->depth && cpu->resched) {
		cpu->resched = false;
		ipi_run_reschedule(regs);
	}
}
