/* SPDX-License-Identifier: MIT */
/* Threads: see arch.h. The callee-saved registers are all that a switched-out thread has. */
	.text

	.macro CALLEE_SAVED op
	\op ra, 0(sp)
	\op s0, 8(sp)
	\op s1, 16(sp)
	\op s2, 24(sp)
	\op s3, 32(sp)
	\op s4, 40(sp)
	\op s5, 48(sp)
	\op s6, 56(sp)
	\op s7, 64(sp)
	\op s8, 72(sp)
	\op s9, 80(sp)
	\op s10, 88(sp)
	\op s11, 96(sp)
	.endm

/* arch_switch(uintptr_t *save, uintptr_t load) */
	.globl arch_switch
	.type arch_switch, @function
arch_switch:
	addi sp, sp, -112
	CALLEE_SAVED sd
	sd sp, (a0)
	mv sp, a1
	CALLEE_SAVED ld
	addi sp, sp, 112
	ret
	.size arch_switch, . - arch_switch

/* Where the first arch_switch() to a new stack returns to: s1 is its function, s2 the argument. */
	.globl switch_first
	.type switch_first, @function
switch_first:
	mv a0, s2
	jalr s1
	unimp
	.size switch_first, . - switch_first

	.section .note.GNU-stack, "", @progbits
