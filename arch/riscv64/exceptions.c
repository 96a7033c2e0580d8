// SPDX-License-Identifier: MIT
/* Exceptions and interrupts, by their causes. */
#include "riscv.h"

static const char *const names[16] = {
	"misaligned jump",
	"instruction access fault",
	"invalid instruction",
	"breakpoint",
	"misaligned load",
	"load access fault",
	"misaligned store",
	"store access fault",
	"call from user mode",
	"call from supervisor mode",
	"reserved",
	"reserved",
};

static bool is_page_fault(const struct arch_regs *regs)
{
	return regs->cause == 12 || regs->cause == 13 || regs->cause == 15;
}

const char *machine_fault_name(const struct arch_regs *regs)
{
	if (is_page_fault(regs))
		return NULL;
	return regs->cause < 16 && names[regs->cause] ? names[regs->cause] : "exception";
}

static unsigned int access_of(const struct arch_regs *regs)
{
	return regs->cause == 12 ? PAGE_EXECUTE : regs->cause == 15 ? PAGE_WRITE : PAGE_READ;
}

void machine_exception(struct arch_regs *regs)
{
	struct stale *stale = &this_cpu()->machine.stale;

	if (regs->cause == 15 && snapshot_fault(regs->address)) {
		tlb_flush_page(regs->address);
		return;
	}
	if (is_page_fault(regs) && stale_again(stale, regs->pc, regs->address, access_of(regs)))
		return;
	/* Of an invalid instruction it has the instruction, and of a breakpoint the place. */
	trap_exception(regs, regs->cause == 2 || regs->cause == 3 ? 0 : regs->address);
}

void machine_interrupt(struct arch_regs *regs)
{
	unsigned int cause = (unsigned int)(regs->cause & 0xff);

	switch (cause) {
	case CAUSE_SOFTWARE:
		ipi_take_messages(regs);
		break;
	case CAUSE_TIMER:
		clock_quiet();
		timer_interrupt(regs);
		break;
	case CAUSE_EXTERNAL:
		plic_interrupt();
		break;
	default:
		trap_not_asked_for(cause);
	}
}

/* A function that calls nothing has in its frame only the caller's, where others have the return address. */
uintptr_t machine_return_address(const struct arch_regs *regs, uintptr_t *frame)
{
	const uintptr_t *top = (const uintptr_t *)regs->s0;

	if (!(regs->s0 & 7) && arch_is_mapped(top - 1) &&
	    top[-1] - (uintptr_t)arch_text_start >= (uintptr_t)(arch_text_end - arch_text_start))
		*frame = top[-1];
	return regs->ra;
}

void arch_print_regs(const struct arch_regs *regs)
{
	arch_print("  pc  %016lx  sp %016lx  status %lx cause %lx address %016lx\n", regs->pc,
		   regs->sp, regs->status, regs->cause, regs->address);
	arch_print("  ra  %016lx  tp %016lx  s0 %016lx  s1 %016lx\n", regs->ra, regs->tp, regs->s0,
		   regs->s1);
	arch_print("  a0  %016lx  a1 %016lx  a2 %016lx  a3 %016lx\n", regs->a0, regs->a1, regs->a2,
		   regs->a3);
	arch_print("  a4  %016lx  a5 %016lx  a6 %016lx  a7 %016lx\n", regs->a4, regs->a5, regs->a6,
		   regs->a7);
	arch_print("  s2  %016lx  s3 %016lx  s4 %016lx  s5 %016lx\n", regs->s2, regs->s3, regs->s4,
		   regs->s5);
	arch_print("  s6  %016lx  s7 %016lx  s8 %016lx  s9 %016lx\n", regs->s6, regs->s7, regs->s8,
		   regs->s9);
	arch_print("  s10 %016lx s11 %016lx  t0 %016lx  t1 %016lx\n", regs->s10, regs->s11,
		   regs->t0, regs->t1);
	arch_print("  t2  %016lx  t3 %016lx  t4 %016lx  t5 %016lx  t6 %016lx\n", regs->t2, regs->t3,
		   regs->t4, regs->t5, regs->t6);
}
