/* SPDX-License-Identifier: MIT */
/*
 * Entry by PVH (qemu -kernel, Xen): 32-bit mode, paging off, ebx -> start info. Maps the first GiB
 * 1:1 with pages of 2 MiB and goes on in 64-bit mode.
 */
	.section .note.pvh, "a", @note
	.long 4, 8, 18
	.asciz "Xen"
	.quad start

	.text
	.code32
	.globl start
start:
	cld
	mov $stack_end, %esp
	mov %ebx, %edi
	movl $pdpt + 3, pml4
	movl $pd + 3, pdpt
	mov $512, %ecx
1:	lea -1(%ecx), %eax
	shl $21, %eax
	or $0x83, %eax
	mov %eax, pd - 8(, %ecx, 8)
	loop 1b
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0x20, %eax
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000001, %eax
	mov %eax, %cr0
	lgdt gdtr
	ljmp $8, $1f

	.code64
1:	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	call kernel_main

	.section .rodata
	.align 8
gdt:	.quad 0, 0x00af9b000000ffff
gdtr:	.word . - gdt - 1
	.quad gdt

	.bss
	.align 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4096
	.skip 16384
stack_end:

	.section .note.GNU-stack, "", @progbits
