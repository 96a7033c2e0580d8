// SPDX-License-Identifier: MIT
/* The controller of devices' interrupts, as far as the serial line needs it: it comes to the first CPU. */
#include "riscv.h"

/* A hart has two contexts, of which the second is the kernel's. */
static volatile uint32_t *plic(unsigned long at, unsigned long for_each_context)
{
	unsigned long context = 2ul * arch_slots[0].hardware_id + 1;

	return arch_virt(VIRT_PLIC + at + context * for_each_context);
}

void plic_init(void)
{
	*plic(4 * VIRT_UART_IRQ, 0) = 1; /* priority */
	*plic(0x2000, 0x80) = 1u << VIRT_UART_IRQ;
	*plic(0x200000, 0x1000) = 0; /* threshold */
}

void plic_interrupt(void)
{
	volatile uint32_t *claim = plic(0x200004, 0x1000);
	uint32_t which = *claim;

	if (which == VIRT_UART_IRQ)
		serial_interrupt();
	else if (which)
		trap_not_asked_for(which & 0xff);
	if (which)
		*claim = which;
}
