/* SPDX-License-Identifier: MIT */
/*
 * The four port functions that stand on every fast path, for MW_PORT_INLINE_H.
 *
 * To pin is to keep interrupts out: nothing else runs on this CPU, handlers included (FIQs, which
 * touch nothing of the heap's, still come). The register x18, which compilers leave alone, points
 * at what the CPU has of its own.
 */
#ifndef ARCH_AARCH64_PORT_INLINE_H
#define ARCH_AARCH64_PORT_INLINE_H

#define MW_PORT_INLINE_GIVEN
#define MW_PORT_PINNED_GIVEN

#define ARCH_PERCPU_ID 8 /* offset of struct arch_percpu.cpu, from x18 */
#define ARCH_IRQ_ON 0ul /* as a pin saves it, interrupts on */
#define ARCH_IRQ_MASKED 0x80ul /* PSTATE.I */

static inline unsigned long mw_port_pin(void)
{
	unsigned long state;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(state) : : "memory");
	return state;
}

static inline bool mw_port_pinned(void)
{
	unsigned long state;

	__asm__ volatile("mrs %0, daif" : "=r"(state) : : "memory");
	return state & ARCH_IRQ_MASKED;
}

static inline void mw_port_unpin(unsigned long state)
{
	__asm__ volatile("msr daif, %0" : : "r"(state) : "memory");
}

static inline unsigned int mw_port_cpu(void)
{
	unsigned int cpu;

	__asm__ volatile("ldr %w0, [x18, %1]" : "=r"(cpu) : "i"(ARCH_PERCPU_ID));
	return cpu;
}

static inline void mw_port_relax(void)
{
	__asm__ volatile("yield" : : : "memory");
}

#endif
