/* SPDX-License-Identifier: MIT */
/*
 * From the loader (EL1 or EL2, no paging, x0 the device tree, or what a CPU was started with) to C where the kernel is
 * linked. The first bytes are the header of an arm64 Image.
 *
 * The first page tables map 256 GiB where they lie and in the direct map, the lowest one as devices; and the gibibyte
 * of the image, which is the second, where it is linked. paging.c replaces them; the other CPUs still come up through them.
 */
#include "layout.h"
#include "offsets.h"

#define LEAF 0x701 /* accessed, shared, valid; cached */
#define LEAF_DEVICE ((3 << 53) | 0x705)
#define TABLE 3

#define MAIR 0x04ff /* the first kind of memory is cached, the second is devices */
#define TCR 0xb5103510 /* 48 bits in both halves, 4 KiB, tables are cached and shared */
#define TCR_NO_TTBR1 (1 << 23)
#define SCTLR 0x30d0180d /* paging, caches, sp is aligned; and what is always set */

/* Down to EL1 with all interrupts masked, on SP_EL0. Clobbers x1. */
	.macro BEGIN
	msr daifset, #0xf
	mrs x1, currentel
	cmp x1, #(2 << 2)
	b.ne 1f
	mov x1, #(1 << 31) /* what is below has 64 bits */
	msr hcr_el2, x1
	mov x1, #3 /* and may read the clock */
	msr cnthctl_el2, x1
	msr cntvoff_el2, xzr
	msr vttbr_el2, xzr
	msr hstr_el2, xzr
	mov x1, #0x33ff
	msr cptr_el2, x1
	mrs x1, midr_el1
	msr vpidr_el2, x1
	mrs x1, mpidr_el1
	msr vmpidr_el2, x1
	mrs x1, id_aa64pfr0_el1
	ubfx x1, x1, #24, #4
	cbz x1, 2f
	mrs x1, s3_4_c12_c9_5 /* ICC_SRE_EL2: its interrupt controller by registers */
	orr x1, x1, #0xf
	msr s3_4_c12_c9_5, x1
	isb
2:	ldr x1, =SCTLR & ~0x1005
	msr sctlr_el1, x1
	mov x1, #0x3c4
	msr spsr_el2, x1
	adr x1, 1f
	msr elr_el2, x1
	eret
1:	msr spsel, #0
	.endm

/* Go on where the kernel is linked. Clobbers x1, x2, x3. */
	.macro ENTER_HIGH
	ldr x1, =MAIR
	msr mair_el1, x1
	ldr x1, =TCR
	mrs x2, id_aa64mmfr0_el1 /* as wide as physical addresses are, up to 48 bits */
	and x2, x2, #0xf
	mov x3, #5
	cmp x2, x3
	csel x2, x2, x3, lo
	bfi x1, x2, #32, #3
	msr tcr_el1, x1
	adrp x1, boot_root
	msr ttbr0_el1, x1
	msr ttbr1_el1, x1
	isb
	tlbi vmalle1
	dsb nsh
	isb
	ldr x1, =SCTLR
	msr sctlr_el1, x1
	isb
	ldr x1, =1f
	br x1
1:
	.endm

	.section .text.entry, "ax"
	.globl entry, entry_secondary
entry:
	b begin
	.long 0
	.quad 0x200000 /* from the beginning of memory */
	.quad entry_image_bytes
	.quad 2 /* little-endian, pages of 4 KiB */
	.quad 0, 0, 0
	.ascii "ARM\x64"
	.long 0
begin:
	mov x20, x0
	BEGIN
	ENTER_HIGH
	ldr x1, =arch_bss_start
	ldr x2, =arch_bss_end
1:	stp xzr, xzr, [x1], #16
	cmp x1, x2
	b.lo 1b
	ldr x1, =first_stack_top
	mov sp, x1
	mov x0, x20
	mov x29, xzr
	bl arch_main
	udf #0

/* x0: this CPU's struct arch_percpu, where it is linked. */
entry_secondary:
	mov x18, x0
	BEGIN
	ENTER_HIGH
	ldr x1, [x18, #PERCPU_STACK_TOP]
	mov sp, x1
	mov x0, x18
	mov x29, xzr
	bl smp_begin
	udf #0

/*
 * paging_switch(root): other page tables of the upper half, from where the first ones have the image in the lower half:
 * no entry of theirs is in use, nor in the TLB, when the others come.
 */
	.globl paging_switch
	.type paging_switch, @function
paging_switch:
	ldr x3, =ARCH_KERNEL_BASE
	adr x1, 1f
	sub x1, x1, x3
	br x1
1:	mrs x1, tcr_el1
	orr x2, x1, #TCR_NO_TTBR1
	msr tcr_el1, x2
	isb
	tlbi vmalle1
	dsb nsh
	isb
	msr ttbr1_el1, x0
	isb
	msr tcr_el1, x1
	isb
	ret
	.size paging_switch, . - paging_switch
	.ltorg

/* stack_call(top, fn): go on with fn on another stack, never to return. */
	.text
	.globl stack_call
stack_call:
	mov sp, x0
	mov x29, xzr
	blr x1
	udf #0

/* host_call(what, arg): the emulator takes this instruction for itself; others say that there is none such. */
	.globl host_call, host_call_place
	.type host_call, @function
host_call:
	hint #0
host_call_place:
	hlt #0xf000
	ret
	.size host_call, . - host_call

	.section .rodata
	.balign 4096
boot_root:
	.quad boot_leaves - ARCH_KERNEL_BASE + TABLE
	.zero 255 * 8
	.quad boot_leaves - ARCH_KERNEL_BASE + TABLE
	.zero 254 * 8
	.quad boot_leaves - ARCH_KERNEL_BASE + TABLE
boot_leaves:
	.quad LEAF_DEVICE
	gibibyte = 1
	.rept 255
	.quad (gibibyte << 30) + LEAF
	gibibyte = gibibyte + 1
	.endr
	.zero 254 * 8
	.quad (1 << 30) + LEAF
	.quad 0

	.section .bss.plain, "aw", @nobits
	.balign 16
	.skip 16384
first_stack_top:

	.section .note.GNU-stack, "", @progbits
