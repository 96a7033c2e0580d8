/* SPDX-License-Identifier: MIT */
/* Registers as a handler finds them, and the single instructions that the kernel needs. */
#ifndef ARCH_RISCV64_REGS_H
#define ARCH_RISCV64_REGS_H

#include <stdbool.h>
#include <stdint.h>
#include "copy_page.h"
#include "port_inline.h"

/* As an interrupt or exception saved them; traps.S knows the order. */
struct arch_regs {
	uint64_t pc, ra, sp, gp, tp, t0, t1, t2;
	uint64_t s0, s1, a0, a1, a2, a3, a4, a5, a6, a7;
	uint64_t s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
	uint64_t t3, t4, t5, t6;
	uint64_t status, cause, address, zero;
};

#define ARCH_FRAME                                                                                 \
	16 /* from a frame pointer down to the two words it stands for: the caller's, and where to */

static inline uintptr_t arch_pc(const struct arch_regs *regs)
{
	return regs->pc;
}

static inline uintptr_t arch_sp(const struct arch_regs *regs)
{
	return regs->sp;
}

static inline uintptr_t arch_fp(const struct arch_regs *regs)
{
	return regs->s0;
}

/* Have the interrupted code go on elsewhere. */
static inline void arch_set_place(struct arch_regs *regs, uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
	regs->pc = pc;
	regs->sp = sp;
	regs->s0 = fp;
}

/* Did it have interrupts on? That bit was saved in another one. */
static inline bool arch_had_interrupts(const struct arch_regs *regs)
{
	return regs->status & 0x20;
}

/* What an exception was about, whatever number the CPU has for it. */
static inline enum arch_fault arch_fault_of(const struct arch_regs *regs)
{
	static const uint8_t faults[16] = {
		[2] = ARCH_FAULT_INSTRUCTION,
		[12] = ARCH_FAULT_EXECUTE,
		[13] = ARCH_FAULT_READ,
		[15] = ARCH_FAULT_WRITE,
	};

	return regs->cause < 16 ? (enum arch_fault)faults[regs->cause] : ARCH_FAULT_OTHER;
}

/* The CPU's own number for it. */
static inline unsigned long arch_fault_number(const struct arch_regs *regs)
{
	return regs->cause;
}

static inline void arch_irq_off(void)
{
	__asm__ volatile("csrci sstatus, 2" : : : "memory");
}

static inline void arch_irq_on(void)
{
	__asm__ volatile("csrsi sstatus, 2" : : : "memory");
}

static inline bool arch_irq_enabled(void)
{
	unsigned long status;

	__asm__ volatile("csrr %0, sstatus" : "=r"(status));
	return status & ARCH_IRQ_ON;
}

/*
 * Sleep until an interrupt came. Called with interrupts off after looking for work, returns with
 * them on: what waits to come in ends the sleep with interrupts off, too.
 */
static inline void arch_idle(void)
{
	__asm__ volatile("wfi\n\tcsrsi sstatus, 2" : : : "memory");
}

/* Ticks of the clock that tells the time. */
static inline uint64_t arch_clock(void)
{
	uint64_t ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return ticks;
}

/* A counter that is exact where instructions are counted, and the time's elsewhere. */
static inline uint64_t arch_cycles(void)
{
	uint64_t instructions;

	__asm__ volatile("rdinstret %0" : "=r"(instructions));
	return instructions;
}

/* A loop of two instructions a turn. */
static inline void arch_count_down(unsigned long turns)
{
	__asm__ volatile("1:\taddi %0, %0, -1\n\tbnez %0, 1b" : "+r"(turns));
}

/* A function that the handler of write faults calls: all registers are saved already. */
#define ARCH_FAULT_FN

/* Wait until *@byte is not 0, with @word in a register that a call keeps. The word is pause. */
static inline void arch_hold(uintptr_t word, const volatile bool *byte)
{
	register uintptr_t held __asm__("s2") = word;

	__asm__ volatile("1:\t.4byte 0x0100000f\n\tlbu t0, (%1)\n\tbeqz t0, 1b"
			 :
			 : "r"(held), "r"(byte)
			 : "t0", "memory");
}

/* What ran here long ago left pointers in registers that a call need not keep: forget those. */
static inline void arch_forget_registers(void)
{
	__asm__ volatile("li t0, 0\n\tli t1, 0\n\tli t2, 0\n\tli t3, 0\n\tli t4, 0\n\tli t5, 0\n\t"
			 "li t6, 0\n\tli a0, 0\n\tli a1, 0\n\tli a2, 0\n\tli a3, 0\n\tli a4, 0\n\t"
			 "li a5, 0\n\tli a6, 0\n\tli a7, 0"
			 :
			 :
			 : "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a0", "a1", "a2", "a3", "a4",
			   "a5", "a6", "a7");
}

/* An instruction that there is not. */
static inline void arch_invalid_instruction(void)
{
	__asm__ volatile("unimp");
}

/* Without an address for handlers the first exception has others follow it for ever. */
static inline void arch_triple_fault(void)
{
	__asm__ volatile("csrw stvec, zero\n\tunimp");
}

#endif
