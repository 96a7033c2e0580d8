/* SPDX-License-Identifier: MIT */
/* Registers as a handler finds them, and the single instructions that the kernel needs. */
#ifndef ARCH_AARCH64_REGS_H
#define ARCH_AARCH64_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "copy_page.h"
#include "offsets.h"
#include "port_inline.h"

/* As an interrupt or exception saved them; traps.S knows the order. */
struct arch_regs {
	uint64_t x[31], sp;
	uint64_t pc, pstate;
	uint64_t esr, far; /* of an exception: what it is, and about which address */
};

_Static_assert(offsetof(struct arch_regs, x[30]) == REGS_X30, "assembly writes it");
_Static_assert(offsetof(struct arch_regs, pc) == REGS_PC, "assembly writes it");
_Static_assert(offsetof(struct arch_regs, esr) == REGS_ESR, "assembly writes it");
_Static_assert(sizeof(struct arch_regs) == REGS_BYTES, "assembly makes room for it");

#define ARCH_FRAME 0 /* from a frame pointer down to the two words that it stands for */

/* The kinds of exceptions, by the upper bits of esr. */
enum {
	CLASS_UNKNOWN = 0x00,
	CLASS_EXECUTE = 0x21,
	CLASS_DATA = 0x25,
};

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
	return regs->x[29];
}

/* Have the interrupted code go on elsewhere. */
static inline void arch_set_place(struct arch_regs *regs, uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
	regs->pc = pc;
	regs->sp = sp;
	regs->x[29] = fp;
}

/* Did it have interrupts on? */
static inline bool arch_had_interrupts(const struct arch_regs *regs)
{
	return !(regs->pstate & ARCH_IRQ_MASKED);
}

/* The CPU's own number for it. */
static inline unsigned long arch_fault_number(const struct arch_regs *regs)
{
	return regs->esr >> 26 & 0x3f;
}

/* An access to memory that failed: only those are about an address. */
static inline bool arch_is_access(const struct arch_regs *regs)
{
	return arch_fault_number(regs) == CLASS_DATA || arch_fault_number(regs) == CLASS_EXECUTE;
}

/* Is it the entry of a page that forbids it, or that there is none? */
static inline bool arch_is_page_fault(const struct arch_regs *regs)
{
	return arch_is_access(regs) && (regs->esr & 0x3f) >= 4 && (regs->esr & 0x3f) < 16;
}

/* What an exception was about, whatever number the CPU has for it. */
static inline enum arch_fault arch_fault_of(const struct arch_regs *regs)
{
	if (arch_fault_number(regs) == CLASS_UNKNOWN)
		return ARCH_FAULT_INSTRUCTION;
	if (!arch_is_page_fault(regs))
		return ARCH_FAULT_OTHER;
	if (arch_fault_number(regs) == CLASS_EXECUTE)
		return ARCH_FAULT_EXECUTE;
	return regs->esr & 0x40 ? ARCH_FAULT_WRITE : ARCH_FAULT_READ;
}

static inline void arch_irq_off(void)
{
	__asm__ volatile("msr daifset, #2" : : : "memory");
}

static inline void arch_irq_on(void)
{
	__asm__ volatile("msr daifclr, #2" : : : "memory");
}

static inline bool arch_irq_enabled(void)
{
	return !mw_port_pinned();
}

/*
 * Sleep until an interrupt came. Called with interrupts off after looking for work, returns with
 * them on: what waits to come in ends the sleep with interrupts off, too.
 */
static inline void arch_idle(void)
{
	__asm__ volatile("dsb sy\n\twfi\n\tmsr daifclr, #2" : : : "memory");
}

/* Ticks of the clock that tells the time. Not read ahead of what comes before. */
static inline uint64_t arch_clock(void)
{
	uint64_t ticks;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	return ticks;
}

/* A counter that is exact where instructions are counted, and the time's elsewhere. */
static inline uint64_t arch_cycles(void)
{
	uint64_t cycles;

	__asm__ volatile("mrs %0, pmccntr_el0" : "=r"(cycles));
	return cycles;
}

/* A loop of two instructions a turn. */
static inline void arch_count_down(unsigned long turns)
{
	__asm__ volatile("1:\tsubs %0, %0, #1\n\tb.ne 1b" : "+r"(turns) : : "cc");
}

/* A function that the handler of write faults calls: all registers are saved already. */
#define ARCH_FAULT_FN

/* Wait until *@byte is not 0, with @word in a register that a call keeps. */
static inline void arch_hold(uintptr_t word, const volatile bool *byte)
{
	register uintptr_t held __asm__("x19") = word;

	__asm__ volatile("1:\tyield\n\tldrb w9, [%1]\n\tcbz w9, 1b"
			 :
			 : "r"(held), "r"(byte)
			 : "x9", "memory");
}

/* What ran here long ago left pointers in registers that a call need not keep: forget those. */
static inline void arch_forget_registers(void)
{
	__asm__ volatile("mov x0, 0\n\tmov x1, 0\n\tmov x2, 0\n\tmov x3, 0\n\tmov x4, 0\n\t"
			 "mov x5, 0\n\tmov x6, 0\n\tmov x7, 0\n\tmov x8, 0\n\tmov x9, 0\n\t"
			 "mov x10, 0\n\tmov x11, 0\n\tmov x12, 0\n\tmov x13, 0\n\tmov x14, 0\n\t"
			 "mov x15, 0\n\tmov x16, 0\n\tmov x17, 0"
			 :
			 :
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
			   "x12", "x13", "x14", "x15", "x16", "x17");
}

/* An instruction that there is not. */
static inline void arch_invalid_instruction(void)
{
	__asm__ volatile("udf #0");
}

/* Without an address for handlers the first exception has others follow it for ever. */
static inline void arch_triple_fault(void)
{
	__asm__ volatile("msr vbar_el1, xzr\n\tisb\n\tudf #0");
}

#endif
