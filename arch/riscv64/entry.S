/* SPDX-License-Identifier: MIT */
/*
 * From the firmware (S-mode, no paging, a0 the hart's number, a1 the device tree, or what a hart was started with)
 * to C where the kernel is linked.
 *
 * The first page tables map the direct map's 128 GiB, the gibibyte of the image where it is linked, and that where it
 * lies. paging.c replaces them; the other CPUs still come up through them.
 */
#include "layout.h"
#include "offsets.h"

#define LEAF_RW 0xc7 /* dirty, accessed, writable, readable, valid */
#define LEAF_RWX 0xcf
#define IMAGE (0x80000000 >> 2) /* of an entry */

	/* Go on where the kernel is linked. Clobbers t0, t1. */
	.macro ENTER_HIGH
	la t0, boot_root
	srli t0, t0, 12
	li t1, 8 << 60
	or t0, t0, t1
	sfence.vma
	csrw satp, t0
	sfence.vma
	la t0, 1f
	li t1, ARCH_KERNEL_BASE
	add t0, t0, t1
	jr t0
1:
	.endm

	.section .text.entry, "ax"
	.globl entry, entry_secondary
entry:
	csrw sie, zero
	ENTER_HIGH
	la sp, first_stack_top
	li s0, 0
	call arch_main
	unimp

/* a1: this CPU's struct arch_percpu, where it is linked. */
entry_secondary:
	csrw sie, zero
	ENTER_HIGH
	mv tp, a1
	ld sp, PERCPU_STACK_TOP(tp)
	li s0, 0
	mv a0, a1
	call smp_begin
	unimp

/* stack_call(top, fn): go on with fn on another stack, never to return. */
	.text
	.globl stack_call
stack_call:
	mv sp, a0
	li s0, 0
	jalr a1
	unimp

	.section .rodata
	.balign 4096
boot_root:
	.quad 0, 0, IMAGE | LEAF_RWX
	.zero 253 * 8
	gibibyte = 0
	.rept 128
	.quad gibibyte << 28 | LEAF_RW
	gibibyte = gibibyte + 1
	.endr
	.zero 126 * 8
	.quad IMAGE | LEAF_RWX
	.quad 0

	.section .bss.plain, "aw", @nobits
	.balign 16
	.skip 16384
first_stack_top:

	.section .note.GNU-stack, "", @progbits
