/* SPDX-License-Identifier: MIT */
/*
 * From 32-bit protected mode (first CPU) or real mode (others) to C in long mode.
 *
 * The first page tables map the low 4 GiB with 2 MiB pages three times: where they lie, in the direct
 * map, and (the first GiB) where the kernel is linked. paging.c replaces them; the other
 * CPUs still come up through them.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PTE_PW 0x03
#define PTE_PWL 0x83
#define BOOT_STACK_SIZE 16384

	.section .boot.text, "ax"
	.code32
	.globl entry_multiboot2, entry_pvh
entry_pvh:
	xor %eax, %eax
entry_multiboot2:
	cli
	cld
	mov %eax, %edi /* how we came here; ebx: the loader's information */
	mov %ebx, %esi

	/* Four page directories, filled as one array of 2048 entries. */
	mov $(boot_pd - KERNEL_BASE), %edx
	mov $PTE_PWL, %eax
	mov $2048, %ecx
1:	mov %eax, (%edx)
	movl $0, 4(%edx)
	add $0x200000, %eax
	add $8, %edx
	loop 1b

	mov $(boot_pd - KERNEL_BASE + PTE_PW), %eax
	mov $(boot_pdpt_low - KERNEL_BASE), %edx
	mov $4, %ecx
2:	mov %eax, (%edx)
	add $0x1000, %eax
	add $8, %edx
	loop 2b
	movl $(boot_pd - KERNEL_BASE + PTE_PW), boot_pdpt_high - KERNEL_BASE + 510 * 8
	movl $(boot_pdpt_low - KERNEL_BASE + PTE_PW), boot_pml4 - KERNEL_BASE
	movl $(boot_pdpt_low - KERNEL_BASE + PTE_PW), boot_pml4 - KERNEL_BASE + 256 * 8
	movl $(boot_pdpt_high - KERNEL_BASE + PTE_PW), boot_pml4 - KERNEL_BASE + 511 * 8

	mov $(first_stack_top - KERNEL_BASE), %esp
	call enter_long_mode
	lgdt boot_gdtr
	ljmp $0x08, $first_64

/* Clobbers eax, ecx, edx. Leaves the CPU in compatibility mode. */
enter_long_mode:
	mov $0x80000001, %eax
	cpuid
	mov %edx, %eax
	mov $0xc0000080, %ecx
	push %eax
	rdmsr
	or $0x100, %eax
	pop %ecx
	bt $20, %ecx
	jnc 1f
	or $0x800, %eax
1:	mov $0xc0000080, %ecx
	wrmsr
	mov %cr4, %eax
	or $0x20, %eax
	mov %eax, %cr4
	mov $(boot_pml4 - KERNEL_BASE), %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80010001, %eax
	mov %eax, %cr0
	ret

/* Data segments, and on in the higher half. */
	.macro enter_high at
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	movabs $\at, %rax
	jmp *%rax
	.endm

	.code64
first_64:
	enter_high first_high

ap_64:
	enter_high ap_high

	.section .boot.rodata, "a"
	.balign 8
boot_gdt: /* with the accessed bits set: the CPU has nothing to write */
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08: code, 64 bits */
	.quad 0x00cf93000000ffff /* 0x10: data */
	.quad 0x00cf9b000000ffff /* 0x18: code, 32 bits */
boot_gdt_end:
boot_gdtr:
	.short boot_gdt_end - boot_gdt - 1
	.long boot_gdt

	.text
	.code64
first_high:
	movabs $first_stack_top, %rsp
	xor %ebp, %ebp
	mov %edi, %edi
	mov %esi, %esi
	push $0
	push $0
	call arch_main
	ud2

/*
 * Each CPU takes the next ticket, which is a stack of its own for the few calls that it needs
 * until it has found out which one it is.
 */
ap_high:
	mov $1, %eax
	lock xaddl %eax, ap_tickets(%rip)
	inc %eax
	shl $11, %eax
	movabs $ap_stacks, %rsp
	add %rax, %rsp
	xor %ebp, %ebp
	push $0
	push $0
	call smp_begin
	ud2

/* stack_call(top, fn): go on with fn on another stack, never to return. */
	.globl stack_call
stack_call:
	mov %rdi, %rsp
	xor %ebp, %ebp
	push $0
	push $0
	call *%rsi
	ud2

/*
 * Copied to a page below 1 MiB, where the other CPUs begin, in real mode with cs = page / 16.
 */
	.section .rodata
	.globl trampoline, trampoline_end, trampoline_base
	.balign 16
	.code16
trampoline:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl trampoline_gdtr - trampoline
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl *(trampoline_far - trampoline)
	.balign 8
trampoline_gdtr:
	.short boot_gdt_end - boot_gdt - 1
	.long boot_gdt
trampoline_far:
	.long ap_32
	.short 0x18
trampoline_end:

	.section .boot.text
	.code32
/* No stack yet: enter_long_mode needs one word, which all CPUs would share; so take a ticket here. */
ap_32:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $1, %eax
	lock xaddl %eax, ap_tickets32 - KERNEL_BASE
	shl $4, %eax
	lea ap_stacks32 + 16 - KERNEL_BASE(%eax), %esp
	call enter_long_mode
	ljmp $0x08, $ap_64

	.bss
	.balign 4096
	.globl boot_pml4
boot_pml4:	.skip 4096
boot_pdpt_low:	.skip 4096
boot_pdpt_high:	.skip 4096
boot_pd:	.skip 4 * 4096
first_stack:	.skip BOOT_STACK_SIZE
first_stack_top:
	.balign 16
ap_tickets:	.long 0
ap_tickets32:	.long 0

	.section .note.GNU-stack, "", @progbits
