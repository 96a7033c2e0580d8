/* SPDX-License-Identifier: MIT */
/* Threads: see arch.h. The callee-saved registers are all that a switched-out thread has. */
	.text

	.macro CALLEE_SAVED op
	\op x19, x20, [sp]
	\op x21, x22, [sp, #16]
	\op x23, x24, [sp, #32]
	\op x25, x26, [sp, #48]
	\op x27, x28, [sp, #64]
	\op x29, x30, [sp, #80]
	.endm

/* arch_switch(uintptr_t *save, uintptr_t load) */
	.globl arch_switch
	.type arch_switch, @function
arch_switch:
	sub sp, sp, #96
	CALLEE_SAVED stp
	mov x2, sp
	str x2, [x0]
	mov sp, x1
	CALLEE_SAVED ldp
	add sp, sp, #96
	ret
	.size arch_switch, . - arch_switch

/* Where the first arch_switch() to a new stack returns to: x19 is its function, x20 the argument. */
	.globl switch_first
	.type switch_first, @function
switch_first:
	mov x0, x20
	blr x19
	udf #0
	.size switch_first, . - switch_first

	.section .note.GNU-stack, "", @progbits
