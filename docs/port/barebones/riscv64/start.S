/* SPDX-License-Identifier: MIT */
/* Entry from OpenSBI: S-mode, paging off, a1 -> device tree. */
	.section .text.start, "ax"
	.globl start
start:
	la sp, stack_end
	mv a0, a1
	call kernel_main

	.bss
	.align 4
	.skip 16384
stack_end:
