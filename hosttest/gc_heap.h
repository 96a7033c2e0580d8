/* SPDX-License-Identifier: MIT */
/* What all test files of the collector share: a heap with roots in test memory, and who lives in it. */
#ifndef HOSTTEST_GC_HEAP_H
#define HOSTTEST_GC_HEAP_H

#include "test.h"
#include "../mm/gc/gc.h"

#if MW_GC

#define NOINLINE __attribute__((noinline))
#define UNUSED __attribute__((unused))
/* Without a sanitizer's gaps in its frame, in which old pointers would stay. */
#define BARE                                                                                       \
	__attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

/* Not in the test's data, which ports show as roots as they like: so roots here live in test memory. */
struct node;
#define ROOTS (MW_PAGE_SIZE / sizeof(struct node *))
static UNUSED struct node **root;

static UNUSED void setup(size_t bytes)
{
	test_heap(bytes);
	root = test_memory(MW_PAGE_SIZE);
	NEED(root);
	for (size_t i = 0; i < ROOTS; i++)
		root[i] = NULL;
	NEED(mw_gc_root_add("test", root, root + ROOTS, NULL));
}

/* Overwrite what calls left behind on this stack. */
BARE NOINLINE static UNUSED void scribble(void)
{
	volatile char stack[16384];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

/*
 * Before a frame is made: compilers align frames by pushing any register that a call may change, and it may
 * hold the last object that was made.
 */
__attribute__((always_inline)) static UNUSED inline void forget(void)
{
#if defined(__x86_64__)
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
			 "xor %%esi, %%esi\n\txor %%edi, %%edi\n\txor %%r8d, %%r8d\n\t"
			 "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d" ::
				 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
#elif defined(__i386__)
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx" ::
				 : "eax", "ecx", "edx", "cc");
#elif defined(__riscv)
	__asm__ volatile("li t0, 0\n\tli t1, 0\n\tli t2, 0\n\tli t3, 0\n\tli t4, 0\n\tli t5, 0\n\t"
			 "li t6, 0\n\tli a0, 0\n\tli a1, 0\n\tli a2, 0\n\tli a3, 0\n\tli a4, 0\n\t"
			 "li a5, 0\n\tli a6, 0\n\tli a7, 0" ::
				 : "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a0", "a1", "a2", "a3",
				   "a4", "a5", "a6", "a7");
#elif defined(__aarch64__)
	__asm__ volatile("mov x0, 0\n\tmov x1, 0\n\tmov x2, 0\n\tmov x3, 0\n\tmov x4, 0\n\t"
			 "mov x5, 0\n\tmov x6, 0\n\tmov x7, 0\n\tmov x8, 0\n\tmov x9, 0\n\t"
			 "mov x10, 0\n\tmov x11, 0\n\tmov x12, 0\n\tmov x13, 0\n\tmov x14, 0\n\t"
			 "mov x15, 0\n\tmov x16, 0\n\tmov x17, 0" ::
				 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9",
				   "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17");
#endif
}

BARE NOINLINE static UNUSED void collect_deeper(void)
{
	scribble();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
}

__attribute__((always_inline)) static UNUSED inline void collect(void)
{
	forget();
	collect_deeper();
}

static UNUSED size_t live_objects(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	size_t live = 0;

	while ((span = mw_span_next(&cursor)))
		if ((mw_span_flags(span) & MW_SPAN_COLLECTED))
			live += mw_span_live_count(span);
	return live;
}

#endif
#endif
