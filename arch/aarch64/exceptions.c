// SPDX-License-Identifier: MIT
/* Exceptions and interrupts, by what they are. */
#include "arm.h"

#define STATUS_CONFLICT 0x30u /* two entries of the TLB, for a leaf and what it became */

static const struct {
	unsigned int class;
	const char *name;
} names[] = {
	{ CLASS_UNKNOWN, "invalid instruction" },
	{ 0x07, "floating-point instruction" },
	{ 0x18, "access to a register that is not allowed" },
	{ CLASS_EXECUTE, "instruction access fault" },
	{ 0x22, "misaligned jump" },
	{ CLASS_DATA, "access fault" },
	{ 0x26, "misaligned stack" },
	{ 0x2f, "error of the bus" },
	{ 0x3c, "breakpoint" },
};

const char *machine_fault_name(const struct arch_regs *regs)
{
	if (arch_is_page_fault(regs))
		return NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].class == arch_fault_number(regs))
			return names[i].name;
	return "exception";
}

static unsigned int access_of(const struct arch_regs *regs)
{
	enum arch_fault fault = arch_fault_of(regs);

	return fault == ARCH_FAULT_EXECUTE ? PAGE_EXECUTE
	       : fault == ARCH_FAULT_WRITE ? PAGE_WRITE
					   : PAGE_READ;
}

void machine_exception(struct arch_regs *regs)
{
	struct stale *stale = &this_cpu()->machine.stale;

	if (arch_is_access(regs) && (regs->esr & 0x3f) == STATUS_CONFLICT) {
		tlb_flush_all();
		return;
	}
	/* Then it may be written, which is still to be noted. */
	if (arch_fault_of(regs) == ARCH_FAULT_WRITE)
		(void)snapshot_fault(regs->far);
	if (arch_is_page_fault(regs) && stale_again(stale, regs->pc, regs->far, access_of(regs)))
		return;
	if (regs->pc == (uintptr_t)host_call_place) {
		regs->pc += 4;
		return;
	}
	trap_exception(regs, arch_is_access(regs) ? regs->far : 0);
}

/* A FIQ. */
void machine_nmi(struct arch_regs *regs)
{
	if (gic_take_capture())
		(void)ipi_answer_capture(regs);
}

static void take_message(struct arch_regs *regs, unsigned int irq)
{
	switch ((enum machine_message)irq) {
	case MESSAGE_CALL:
		ipi_run_calls(regs);
		return;
	case MESSAGE_RESCHEDULE:
		this_cpu()->resched = true;
		return;
	case MESSAGE_CAPTURE:
		(void)ipi_answer_capture(regs);
		return;
	case MESSAGE_STRAY:
		break;
	}
	trap_not_asked_for(irq & 0xff);
}

void machine_interrupt(struct arch_regs *regs)
{
	unsigned int irq = gic_take();

	if (irq == IRQ_TIMER) {
		clock_quiet();
		timer_interrupt(regs);
	} else if (irq == VIRT_UART_IRQ) {
		serial_interrupt();
	} else if (irq < IRQ_NONE) {
		take_message(regs, irq);
	}
}

/* A function that calls nothing has no frame. */
uintptr_t machine_return_address(const struct arch_regs *regs, uintptr_t *frame)
{
	(void)frame;
	return regs->x[30];
}

void arch_print_regs(const struct arch_regs *regs)
{
	arch_print("  pc  %016lx  sp  %016lx  pstate %08lx esr %08lx far %016lx\n", regs->pc,
		   regs->sp, regs->pstate, regs->esr, regs->far);
	for (unsigned int i = 0; i < 28; i += 4)
		arch_print("  x%-2u %016lx  x%-2u %016lx  x%-2u %016lx  x%-2u %016lx\n", i,
			   regs->x[i], i + 1, regs->x[i + 1], i + 2, regs->x[i + 2], i + 3,
			   regs->x[i + 3]);
	arch_print("  x28 %016lx  fp  %016lx  lr  %016lx\n", regs->x[28], regs->x[29], regs->x[30]);
}
