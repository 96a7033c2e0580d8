/* SPDX-License-Identifier: MIT */
/*
 * The four port functions that stand on every fast path, for MW_PORT_INLINE_H.
 *
 * To pin is to keep interrupts out: nothing else runs on this CPU, handlers included. The CPU's
 * number is read through gs as memory, so that the compiler may keep it within a pinned section but
 * reads it again in the next one: the barrier in mw_port_pin() is what it may not be kept across.
 */
#ifndef ARCH_X86_64_PORT_INLINE_H
#define ARCH_X86_64_PORT_INLINE_H

#define MW_PORT_INLINE_GIVEN

#define ARCH_PERCPU_ID 8 /* offset of struct arch_percpu.cpu, from gs */
#define ARCH_RFLAGS_IF 0x200ul

static inline unsigned long mw_port_pin(void)
{
	unsigned long state;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(state) : : "memory");
	return state;
}

static inline void mw_port_unpin(unsigned long state)
{
	__asm__ volatile("" : : : "memory");
	if (state & ARCH_RFLAGS_IF)
		__asm__ volatile("sti" : : : "memory");
}

static inline unsigned int mw_port_cpu(void)
{
	return *(const unsigned int __seg_gs *)ARCH_PERCPU_ID;
}

static inline void mw_port_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

#endif
