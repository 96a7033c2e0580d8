/* SPDX-License-Identifier: MIT */
/*
 * One entry for all. Exceptions have stacks of their own, as the interrupted one may be what is wrong: one
 * for the first, one for what happens in its handler. Interrupts save registers on the interrupted stack; the outermost one
 * then changes to the CPU's interrupt stack, and is back before threads may switch, so tp is not restored:
 * it is this CPU's, whichever one the thread was interrupted on.
 */
#include "offsets.h"

#define STACK_TOP(n) (PERCPU_STACK_TOP + 8 * (n))

/* All but sp and t0, which the entry has moved, and tp; in the order of struct arch_regs. */
	.macro REGISTERS op
	\op ra, 8(sp)
	\op gp, 24(sp)
	\op t1, 48(sp)
	\op t2, 56(sp)
	\op s0, 64(sp)
	\op s1, 72(sp)
	\op a0, 80(sp)
	\op a1, 88(sp)
	\op a2, 96(sp)
	\op a3, 104(sp)
	\op a4, 112(sp)
	\op a5, 120(sp)
	\op a6, 128(sp)
	\op a7, 136(sp)
	\op s2, 144(sp)
	\op s3, 152(sp)
	\op s4, 160(sp)
	\op s5, 168(sp)
	\op s6, 176(sp)
	\op s7, 184(sp)
	\op s8, 192(sp)
	\op s9, 200(sp)
	\op s10, 208(sp)
	\op s11, 216(sp)
	\op t3, 224(sp)
	\op t4, 232(sp)
	\op t5, 240(sp)
	\op t6, 248(sp)
	.endm

/* With the interrupted sp in its place already. */
	.macro SAVE
	REGISTERS sd
	sd tp, 32(sp)
	csrr t0, sscratch
	sd t0, 40(sp)
	csrr t0, sepc
	sd t0, 0(sp)
	csrr t0, sstatus
	sd t0, 256(sp)
	csrr t0, scause
	sd t0, 264(sp)
	csrr t0, stval
	sd t0, 272(sp)
	sd zero, 280(sp)
	.endm

	.text
	.globl trap_entry
	.type trap_entry, @function
	.balign 4
trap_entry:
	csrw sscratch, t0
	csrr t0, scause
	bltz t0, interrupt
	lw t0, PERCPU_IN_EXCEPTION(tp)
	beqz t0, 1f
	ld t0, STACK_TOP(2)(tp)
	j 2f
1:	ld t0, STACK_TOP(1)(tp)
2:	addi t0, t0, -REGS_BYTES
	sd sp, 16(t0)
	mv sp, t0
	SAVE
	mv a0, sp
	call machine_exception
	j leave

interrupt:
	addi sp, sp, -REGS_BYTES
	addi t0, sp, REGS_BYTES
	sd t0, 16(sp)
	SAVE
	mv s1, sp
	mv a0, sp
	lw t0, PERCPU_DEPTH(tp)
	bnez t0, 1f
	ld sp, PERCPU_INTERRUPT_STACK(tp)
1:	call trap_interrupt
	mv sp, s1
	mv a0, s1
	call trap_leave

/* What was reserved for a store between load and store is not any more. */
leave:
	ld t0, 0(sp)
	csrw sepc, t0
	sc.d t1, t0, (sp)
	ld t0, 256(sp)
	csrw sstatus, t0
	REGISTERS ld
	ld t0, 40(sp)
	ld sp, 16(sp)
	sret
	.size trap_entry, . - trap_entry

	.section .note.GNU-stack, "", @progbits
