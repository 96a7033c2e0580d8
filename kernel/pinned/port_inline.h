/* SPDX-License-Identifier: MIT */
/*
 * In place of the machine's own, for mm/ in the kernel of `make pinned`: the same, and under -icount
 * the instructions between a pin that turned interrupts off and its unpin are counted. For one CPU.
 */
#ifndef KERNEL_PINNED_PORT_INLINE_H
#define KERNEL_PINNED_PORT_INLINE_H

#define mw_port_pin arch_port_pin
#define mw_port_unpin arch_port_unpin
#include_next "port_inline.h"
#undef mw_port_pin
#undef mw_port_unpin

extern unsigned long pinned_since;
void pinned_end(void); /* takes down how long it was, and who pinned */

static inline unsigned long mw_port_pin(void)
{
	unsigned long state = arch_port_pin();

	if (state & ARCH_IRQ_ON)
		pinned_since = __builtin_ia32_rdtsc();
	return state;
}

static inline void mw_port_unpin(unsigned long state)
{
	if (state & ARCH_IRQ_ON)
		pinned_end();
	arch_port_unpin(state);
}

#endif
