// SPDX-License-Identifier: MIT
/*
 * memset() and the like for the engine of pairs. See pairs.h and scripts/pairs_asm.py.
 *
 * What they write is marked as written, and they are seen to begin and to end: the first word and
 * the last one are accesses of their own, with a moment before each.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include "pairs.h"

/*
 * By the page's number in the window, its two bytes swapped. Set by code that pairs_asm.py has
 * prepared.
 */
OWN unsigned char pairs_dirty[PAIRS_DIRTY];

static void mark(uintptr_t at, size_t len)
{
	for (uintptr_t page = at >> 12; len && page <= (at + len - 1) >> 12; page++)
		pairs_dirty[memory_mark_of(page << 12)] = 0xff;
}

/* Not the compiler's own idea of the same. */
typedef uint64_t word_t __attribute__((aligned(1), may_alias));
#define WORD(at, i) (*(volatile word_t *)((char *)(at) + (i)))
#define BYTE(at, i) (*(volatile unsigned char *)((char *)(at) + (i)))
#define SHORT 16u

void *pairs_memset(void *at, int byte, size_t len)
{
	uint64_t word = (unsigned char)byte * UINT64_C(0x0101010101010101);

	if (len < SHORT) {
		for (size_t i = 0; i < len; i++)
			BYTE(at, i) = (unsigned char)byte;
		return at;
	}
	WORD(at, 0) = word;
	mark((uintptr_t)at, len);
	bytes_fill((char *)at + 8, byte, len - 16);
	WORD(at, len - 8) = word;
	return at;
}

void *pairs_memcpy(void *to, const void *from, size_t len)
{
	if (len < SHORT) {
		for (size_t i = 0; i < len; i++)
			BYTE(to, i) = BYTE(from, i);
		return to;
	}
	WORD(to, 0) = WORD(from, 0);
	mark((uintptr_t)to, len);
	bytes_copy((char *)to + 8, (const char *)from + 8, len - 16);
	WORD(to, len - 8) = WORD(from, len - 8);
	return to;
}

void *pairs_memmove(void *to, const void *from, size_t len)
{
	mark((uintptr_t)to, len);
	bytes_move(to, from, len);
	return to;
}

/* rep stos, rep movs: what %rdi and %rcx say, words at most. Flags and registers stay. */
__asm__(".pushsection .text\n"
	".globl pairs_mark_string\n"
	".type pairs_mark_string, @function\n"
	"pairs_mark_string:\n"
	"	pushfq\n	pushq %rax\n	pushq %rcx\n	pushq %rdx\n	pushq %rdi\n"
	"	leaq -1(%rdi,%rcx,8), %rcx\n"
	"	shrq $12, %rcx\n	shrq $12, %rdi\n"
	"1:	cmpq %rcx, %rdi\n	ja 2f\n"
	"	movzwl %di, %eax\n	rolw $8, %ax\n"
	"	movb $-1, pairs_dirty(%rax)\n"
	"	incq %rdi\n	jmp 1b\n"
	"2:	popq %rdi\n	popq %rdx\n	popq %rcx\n	popq %rax\n	popfq\n	ret\n"
	".popsection\n");
