/* SPDX-License-Identifier: MIT */
/* Threads: see arch.h. The callee-saved registers are all that a switched-out thread has. */
	.text

	.macro PUSH_CALLEE_SAVED
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	.endm

	.macro POP_CALLEE_SAVED
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	.endm

/* arch_switch(uintptr_t *save, uintptr_t load) */
	.globl arch_switch
	.type arch_switch, @function
arch_switch:
	PUSH_CALLEE_SAVED
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	POP_CALLEE_SAVED
	ret
	.size arch_switch, . - arch_switch

/* Where the first arch_switch() to a new stack returns to: rbx is its function, r12 the argument. */
	.globl switch_first
	.type switch_first, @function
switch_first:
	mov %r12, %rdi
	call *%rbx
	ud2
	.size switch_first, . - switch_first

	.section .note.GNU-stack, "", @progbits
