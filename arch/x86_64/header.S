/* SPDX-License-Identifier: MIT */
/*
 * How loaders recognise the kernel: a multiboot2 header for GRUB (BIOS and UEFI alike) and a PVH
 * note for "qemu -kernel". Both enter in 32-bit protected mode without paging. There must be no
 * multiboot1 header: QEMU would find it first, and refuse a 64-bit file.
 */
#define MB2_MAGIC 0xe85250d6

	.section .multiboot2, "a"
	.balign 8
header:
	.long MB2_MAGIC, 0, header_end - header, -(MB2_MAGIC + 0 + (header_end - header))

	/* A framebuffer like this, optional; another one is fine, and EGA text, and nothing. */
	.balign 8
	.short 5, 1
	.long 20, 1024, 768, 32

	/* EGA text is supported. */
	.balign 8
	.short 4, 1
	.long 12, 2

	/* Modules on page boundaries. */
	.balign 8
	.short 6, 1
	.long 8

	.balign 8
	.short 0, 0
	.long 8
header_end:

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18 /* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry_pvh

	.section .note.GNU-stack, "", @progbits
