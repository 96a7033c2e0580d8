/* SPDX-License-Identifier: MIT */
/*
 * The four port functions that stand on every fast path, for MW_PORT_INLINE_H.
 *
 * To pin is to keep interrupts out: nothing else runs on this CPU, handlers included. The asm that
 * reads the CPU's number is volatile, so that it stays between pin and unpin, which are volatile too.
 * (Not __seg_gs: what gcc 12 loads from a constant address there it takes to point at nothing.)
 */
#ifndef ARCH_X86_64_PORT_INLINE_H
#define ARCH_X86_64_PORT_INLINE_H

#define MW_PORT_INLINE_GIVEN
#define MW_PORT_PINNED_GIVEN

#define ARCH_PERCPU_ID 8 /* offset of struct arch_percpu.cpu, from gs */
#define ARCH_IRQ_ON 0x200ul /* as a pin saves it, interrupts on */

static inline unsigned long mw_port_pin(void)
{
	unsigned long state;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(state) : : "memory");
	return state;
}

static inline bool mw_port_pinned(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags) : : "memory");
	return !(flags & ARCH_IRQ_ON);
}

static inline void mw_port_unpin(unsigned long state)
{
	/*
	 * popf and not sti: QEMU's TCG looks for interrupts right behind sti, in its shadow, and then not
	 * before the next reason to; a loop that pins and unpins would keep an IPI out for ever. And always:
	 * a test would cost more than it saves, few pins are nested.
	 */
	__asm__ volatile("pushq %0\n\tpopfq" : : "r"(state) : "memory", "cc");
}

static inline unsigned int mw_port_cpu(void)
{
	unsigned long cpu;

	/* Such a load clears the upper half, which an index need not clear again. */
	__asm__ volatile("movl %%gs:%c1, %k0" : "=r"(cpu) : "i"(ARCH_PERCPU_ID));
	if (cpu > UINT32_MAX)
		__builtin_unreachable();
	return (unsigned int)cpu;
}

static inline void mw_port_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

#endif
