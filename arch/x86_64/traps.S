/* SPDX-License-Identifier: MIT */
/*
 * 256 stubs of 16 bytes, each pushes an error code if the CPU did not and its vector; then all
 * registers in the order of struct arch_regs. The CPU aligned the stack, and the frame is a
 * multiple of 16, so C finds it aligned. The outermost interrupt changes to the CPU's interrupt stack,
 * and is back on the interrupted one before threads may switch.
 */
#include "offsets.h"

#define VECTOR (15 * 8) /* behind the registers */

	.text
	.globl trap_stubs
	.balign 16
trap_stubs:
	vector = 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	jmp trap_common
	vector = vector + 1
	.endr

	.globl trap_common
	.type trap_common, @function
trap_common:
	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	mov %rsp, %rbx
	cmpl $32, VECTOR(%rsp)
	jb 2f
	cmpl $0, %gs:PERCPU_DEPTH
	jne 1f
	mov %gs:PERCPU_INTERRUPT_STACK, %rsp
1:	call trap_interrupt
	mov %rbx, %rsp
	mov %rbx, %rdi
	call trap_leave
	jmp 3f
2:	call machine_entry
3:	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp
	iretq
	.size trap_common, . - trap_common

/*
 * A page fault. Most are first writes to a page of a snapshot (arch/common/snapshot.c): those need two registers,
 * and go back from here. Interrupts and faults cannot come in between; an NMI can, which has another stack for its
 * own page faults. One that comes in an NMI goes back without iretq, which would let the next NMI in: by way of
 * the interrupted stack.
 */
#define ERROR 16
#define WRITE_REFUSED 3

	.globl trap_page_fault, trap_page_fault_end
	.type trap_page_fault, @function
	.balign 16
trap_page_fault:
	push %rdi
	push %rax
	cmpl $WRITE_REFUSED, ERROR(%rsp)
	jne 2f
	mov %cr2, %rdi
	cld
	call snapshot_fault
	test %al, %al
	jz 2f
	cmpl $0, %gs:PERCPU_IN_NMI
	jne 3f
	pop %rax
	pop %rdi
	add $8, %rsp
	iretq
2:	pop %rax
	pop %rdi
	push $14
	jmp trap_common
/* rax, rdi, error, rip, cs, rflags, rsp, ss */
3:	mov 48(%rsp), %rdi
	mov 24(%rsp), %rax
	mov %rax, -8(%rdi)
	mov 40(%rsp), %rax
	mov %rax, -16(%rdi)
	mov 8(%rsp), %rax
	mov %rax, -24(%rdi)
	mov (%rsp), %rax
	lea -24(%rdi), %rsp
	pop %rdi
	popfq
	ret
trap_page_fault_end:
	.size trap_page_fault, . - trap_page_fault

	.section .note.GNU-stack, "", @progbits
