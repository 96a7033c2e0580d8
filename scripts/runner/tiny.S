/* SPDX-License-Identifier: MIT */
/*
 * The smallest kernel that can succeed or fail: it prints its command line from the second
 * character on, ';' as a newline, and then does what the first character says:
 *
 *	p	ends as passed		f	ends as failed (a panic, too)
 *	t	triple fault		h	halts for ever, interrupts off
 *	s	spins for ever		z	writes 0 to the exit port, QEMU's status 1
 */
	.section .note.pvh, "a"
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long start

	.text
	.code32
	.globl start, spin_for_ever
start:
	movl 24(%ebx), %esi
	lodsb
	movb %al, %cl
print:
	movw $0x3fd, %dx
	inb %dx, %al
	testb $0x20, %al
	jz print
	lodsb
	testb %al, %al
	jz printed
	cmpb $';', %al
	jne 1f
	movb $'\n', %al
1:	movw $0x3f8, %dx
	outb %al, %dx
	jmp print

printed:
	movl $16, %eax
	cmpb $'p', %cl
	je leave
	movl $1, %eax
	cmpb $'f', %cl
	je leave
	xorl %eax, %eax
	cmpb $'z', %cl
	je leave
	cmpb $'t', %cl
	je fault
	cmpb $'s', %cl
	je spin_for_ever
	cli
2:	hlt
	jmp 2b

leave:
	outl %eax, $0xf4
fault:
	lidt nothing
	int3
spin_for_ever:
	pause
	jmp spin_for_ever

	.balign 4
nothing:
	.word 0
	.long 0
	.section .note.GNU-stack, "", @progbits
