/* SPDX-License-Identifier: MIT */
/*
 * Threads and handlers of interrupts run on SP_EL0. What comes then finds the CPU on SP_EL1, which is an empty stack:
 * exceptions and FIQs stay there, whatever the interrupted stack is like. What comes while one of those runs is on SP_EL1,
 * too: a FIQ goes on further down, an exception takes a stack for that.
 *
 * Interrupts save registers on the interrupted stack; the outermost one then changes to the CPU's interrupt stack,
 * and is back before threads may switch, so x18 is not restored: it is this CPU's, whichever one the thread was
 * interrupted on. To write there may fault, which may be put right: so pc and pstate are in registers by then.
 */
#include "offsets.h"

#define STACK_TOP(n) (PERCPU_STACK_TOP + 8 * (n))
#define STACK_BYTES 8192

/* In the order of struct arch_regs; all but x0, x1, x18, x19, and what is no pair. */
	.macro PAIRS op
	\op x2, x3, [sp, #16]
	\op x4, x5, [sp, #32]
	\op x6, x7, [sp, #48]
	\op x8, x9, [sp, #64]
	\op x10, x11, [sp, #80]
	\op x12, x13, [sp, #96]
	\op x14, x15, [sp, #112]
	\op x16, x17, [sp, #128]
	\op x20, x21, [sp, #160]
	\op x22, x23, [sp, #176]
	\op x24, x25, [sp, #192]
	\op x26, x27, [sp, #208]
	\op x28, x29, [sp, #224]
	.endm

	.macro SAVE
	PAIRS stp
	stp x18, x19, [sp, #144]
	.endm

/* All but x0, x1, x18 and sp; where to. */
	.macro LOAD
	msr daifset, #0xf
	ldp x0, x1, [sp, #REGS_PC]
	msr elr_el1, x0
	msr spsr_el1, x1
	PAIRS ldp
	ldr x19, [sp, #152]
	ldr x30, [sp, #REGS_X30]
	.endm

/* x0: the interrupted sp. */
	.macro SAVE_STATE
	stp x30, x0, [sp, #REGS_X30]
	mrs x0, elr_el1
	mrs x1, spsr_el1
	stp x0, x1, [sp, #REGS_PC]
	mrs x0, esr_el1
	mrs x1, far_el1
	stp x0, x1, [sp, #REGS_ESR]
	.endm

/* On SP_EL1 as it is: what came while code ran on SP_EL0, or on SP_EL1. */
	.macro HANDLE fn, unmask, from_sp_el0
	sub sp, sp, #REGS_BYTES
	stp x0, x1, [sp]
	SAVE
	add x0, sp, #REGS_BYTES
	.if \from_sp_el0
	mrs x0, sp_el0
	.endif
	SAVE_STATE
	mov x0, sp
	msr daifclr, #\unmask
	bl \fn
	LOAD
	.if \from_sp_el0
	ldr x0, [sp, #REGS_X30 + 8]
	msr sp_el0, x0
	.endif
	ldp x0, x1, [sp]
	add sp, sp, #REGS_BYTES
	eret
	.endm

	.macro VECTOR to
	.balign 128
	b \to
	.endm

	.text
	.globl trap_vectors
	.type trap_vectors, @function
	.balign 2048
trap_vectors:
	VECTOR exception
	VECTOR interrupt
	VECTOR fiq
	VECTOR exception
	VECTOR nested
	VECTOR nested
	VECTOR nested_fiq
	VECTOR nested
	.rept 8
	VECTOR nested /* from other levels: there are none */
	.endr

exception:
	HANDLE machine_exception, 1, 1 /* FIQs still come */
fiq:
	HANDLE machine_nmi, 0, 1
nested_fiq:
	HANDLE machine_nmi, 0, 0

/* An exception in the handler of another: on its own stack, and further down on that if it is there already. */
nested:
	msr tpidr_el0, x0
	msr tpidr_el1, x1
	mov x0, sp
	msr tpidrro_el0, x0
	ldr x1, [x18, #STACK_TOP(2)]
	sub x0, x1, x0
	cmp x0, #(STACK_BYTES / 2)
	b.lo 1f
	mov sp, x1
1:	sub sp, sp, #REGS_BYTES
	mrs x0, tpidr_el0
	mrs x1, tpidr_el1
	stp x0, x1, [sp]
	SAVE
	mrs x0, tpidrro_el0
	SAVE_STATE
	mov x0, sp
	bl machine_exception
	LOAD
	b leave

interrupt:
	msr tpidr_el0, x0
	msr tpidr_el1, x1
	mrs x0, elr_el1
	mrs x1, spsr_el1
	msr spsel, #0
	sub sp, sp, #REGS_BYTES
	stp x0, x1, [sp, #REGS_PC]
	mrs x0, tpidr_el0
	mrs x1, tpidr_el1
	stp x0, x1, [sp]
	SAVE
	add x0, sp, #REGS_BYTES
	stp x30, x0, [sp, #REGS_X30]
	stp xzr, xzr, [sp, #REGS_ESR]
	msr daifclr, #5 /* FIQs, and errors of the bus */
	mov x19, sp
	mov x0, sp
	ldr w1, [x18, #PERCPU_DEPTH]
	cbnz w1, 1f
	ldr x1, [x18, #PERCPU_INTERRUPT_STACK]
	mov sp, x1
1:	bl trap_interrupt
	mov sp, x19
	mov x0, x19
	bl trap_leave
	LOAD

/* With all but x0, x1 and sp in place. */
leave:
	mov x0, sp
	ldr x1, [x0, #REGS_X30 + 8]
	mov sp, x1
	ldp x0, x1, [x0]
	eret
	.size trap_vectors, . - trap_vectors

	.section .note.GNU-stack, "", @progbits
