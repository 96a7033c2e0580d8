/* SPDX-License-Identifier: MIT */
/*
 * The four port functions that stand on every fast path, for MW_PORT_INLINE_H.
 *
 * To pin is to keep interrupts out: nothing else runs on this CPU, handlers included. The register tp points at
 * what the CPU has of its own.
 */
#ifndef ARCH_RISCV64_PORT_INLINE_H
#define ARCH_RISCV64_PORT_INLINE_H

#define MW_PORT_INLINE_GIVEN
#define MW_PORT_PINNED_GIVEN

#define ARCH_PERCPU_ID 8 /* offset of struct arch_percpu.cpu, from tp */
#define ARCH_IRQ_ON 2ul /* sstatus.SIE */

/* All of sstatus: no other bit of it changes while interrupts are off, so to set what was set is right. */
static inline unsigned long mw_port_pin(void)
{
	unsigned long state;

	__asm__ volatile("csrrci %0, sstatus, 2" : "=r"(state) : : "memory");
	return state;
}

static inline bool mw_port_pinned(void)
{
	unsigned long state;

	__asm__ volatile("csrr %0, sstatus" : "=r"(state) : : "memory");
	return !(state & ARCH_IRQ_ON);
}

static inline void mw_port_unpin(unsigned long state)
{
	__asm__ volatile("csrs sstatus, %0" : : "r"(state) : "memory");
}

static inline unsigned int mw_port_cpu(void)
{
	unsigned int cpu;

	__asm__ volatile("lw %0, %1(tp)" : "=r"(cpu) : "i"(ARCH_PERCPU_ID));
	return cpu;
}

/* See arch/riscv64/messages.c: where CPUs share a host's thread, it takes more than an instruction to let others run. */
void arch_yield(void);

static inline void mw_port_relax(void)
{
	arch_yield();
}

#endif
