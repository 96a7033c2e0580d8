// SPDX-License-Identifier: MIT
/*
 * Interrupts between CPUs. There is one kind, the software interrupt; a word per CPU says what for. Only who finds
 * that word empty interrupts: the handler takes all that is in it, after it has taken back the interrupt.
 *
 * A CPU may lower its own pending bit, and firmware raises it for others. So the word is looked at after
 * each lowering: a sender writes first.
 */
#include "riscv.h"

#define SSIP (1ul << CAUSE_SOFTWARE)

static void raise_here(void)
{
	__asm__ volatile("csrs sip, %0" : : "r"(SSIP) : "memory");
}

static void lower_here(void)
{
	__asm__ volatile("csrc sip, %0\n\tfence" : : "r"(SSIP) : "memory");
}

void machine_send(struct arch_percpu *to, enum machine_message message)
{
	unsigned long state = arch_irq_save();

	if (!atomic_fetch_or_explicit(&to->machine.messages, 1ul << message, memory_order_acq_rel)) {
		if (to == this_cpu())
			raise_here();
		else
			(void)sbi_call(SBI_IPI, 1, to->hardware_id, 0);
	}
	arch_irq_restore(state);
}

void ipi_take_messages(struct arch_regs *regs)
{
	unsigned long messages;

	lower_here();
	messages = atomic_exchange_explicit(&this_cpu()->machine.messages, 0, memory_order_acq_rel);
	if (messages >> MESSAGE_CAPTURE & 1)
		(void)ipi_answer_capture(regs);
	if (messages >> MESSAGE_RESCHEDULE & 1)
		this_cpu()->resched = true;
	if (messages >> MESSAGE_STRAY & 1)
		trap_not_asked_for(CAUSE_SOFTWARE);
	if (messages >> MESSAGE_CALL & 1)
		ipi_run_calls(regs);
}

/*
 * Give the turn to another CPU, where CPUs share a thread of the host: only wfi does so there. With an interrupt
 * pending it goes on at once, elsewhere it takes no time. Interrupts are off around it.
 */
void arch_yield(void)
{
	unsigned long state = arch_irq_save();

	raise_here();
	__asm__ volatile("wfi" : : : "memory");
	lower_here();
	if (atomic_load_explicit(&this_cpu()->machine.messages, memory_order_relaxed))
		raise_here();
	arch_irq_restore(state);
}
