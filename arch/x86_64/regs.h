/* SPDX-License-Identifier: MIT */
/* Registers as a handler finds them, and the single instructions that the kernel needs. */
#ifndef ARCH_X86_64_REGS_H
#define ARCH_X86_64_REGS_H

#include <stdbool.h>
#include <stdint.h>
#include "port_inline.h"

/* As an interrupt or exception saved them, in the order of the stack. */
struct arch_regs {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

#define ARCH_FRAME                                                                                 \
	0 /* from a frame pointer down to the two words it stands for: the caller's, and where to */

static inline uintptr_t arch_pc(const struct arch_regs *regs)
{
	return regs->rip;
}

static inline uintptr_t arch_sp(const struct arch_regs *regs)
{
	return regs->rsp;
}

static inline uintptr_t arch_fp(const struct arch_regs *regs)
{
	return regs->rbp;
}

/* Have the interrupted code go on elsewhere. */
static inline void arch_set_place(struct arch_regs *regs, uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
	regs->rip = pc;
	regs->rsp = sp;
	regs->rbp = fp;
}

/* Did it have interrupts on? */
static inline bool arch_had_interrupts(const struct arch_regs *regs)
{
	return regs->rflags & ARCH_IRQ_ON;
}

/* What an exception was about, whatever number the CPU has for it. */
static inline enum arch_fault arch_fault_of(const struct arch_regs *regs)
{
	if (regs->vector == 6)
		return ARCH_FAULT_INSTRUCTION;
	if (regs->vector != 14)
		return ARCH_FAULT_OTHER;
	if (regs->error & 16)
		return ARCH_FAULT_EXECUTE;
	return regs->error & 2 ? ARCH_FAULT_WRITE : ARCH_FAULT_READ;
}

/* The CPU's own number for it. */
static inline unsigned long arch_fault_number(const struct arch_regs *regs)
{
	return regs->vector;
}

static inline void arch_irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Not sti, for the reason that mw_port_unpin() gives. */
static inline void arch_irq_on(void)
{
	__asm__ volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq"
			 :
			 : "i"(ARCH_IRQ_ON)
			 : "memory", "cc");
}

static inline bool arch_irq_enabled(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
	return flags & ARCH_IRQ_ON;
}

/*
 * Sleep until an interrupt came. Called with interrupts off after looking for work, returns with
 * them on: an interrupt that comes after the look wakes it.
 */
static inline void arch_idle(void)
{
	__asm__ volatile("sti\n\thlt" : : : "memory");
}

/* Ticks of the clock that tells the time. */
static inline uint64_t arch_clock(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* A counter that is exact where instructions are counted, and the time's elsewhere. */
static inline uint64_t arch_cycles(void)
{
	return arch_clock();
}

/* A loop of two instructions a turn. */
static inline void arch_count_down(unsigned long turns)
{
	__asm__ volatile("1:\tdec %0\n\tjnz 1b" : "+r"(turns) : : "cc");
}

/*
 * A function that the entry of write faults calls: it keeps all registers, so that few have to be
 * saved.
 */
#define ARCH_FAULT_FN __attribute__((no_caller_saved_registers))

/* ARCH_PAGE_SIZE bytes. */
static inline void arch_copy_page(void *to, const void *from)
{
	unsigned long words = 512;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* Wait until *@byte is not 0, with @word in a register that a call keeps. */
static inline void arch_hold(uintptr_t word, const volatile bool *byte)
{
	__asm__ volatile("1:\tpause\n\tcmpb $0, (%1)\n\tje 1b"
			 :
			 : "b"(word), "r"(byte)
			 : "cc", "memory");
}

/* What ran here long ago left pointers in registers that a call need not keep: forget those. */
static inline void arch_forget_registers(void)
{
	__asm__ volatile(
		"xor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d"
		:
		:
		: "r8", "r9", "r10", "r11", "cc");
}

/* An instruction that there is not. */
static inline void arch_invalid_instruction(void)
{
	__asm__ volatile("ud2");
}

/* Without a table of handlers no exception can be reported: the machine resets. */
static inline void arch_triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nothing = { 0, 0 };

	__asm__ volatile("lidt %0\n\tud2" : : "m"(nothing));
}

#endif
