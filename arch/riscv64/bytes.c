// SPDX-License-Identifier: MIT
/* Atomic operations on bytes, which the CPU has for words only; compilers call these, in any order asked for. */
#include "riscv.h"

unsigned char __atomic_exchange_1(volatile void *at, unsigned char value, int order);
unsigned char __atomic_fetch_add_1(volatile void *at, unsigned char value, int order);

static uint32_t *word_of(volatile void *at)
{
	return (uint32_t *)((uintptr_t)at & ~3ul);
}

static unsigned int shift_of(volatile void *at)
{
	return 8 * ((uintptr_t)at & 3);
}

unsigned char __atomic_exchange_1(volatile void *at, unsigned char value, int order)
{
	uint32_t old = __atomic_load_n(word_of(at), __ATOMIC_RELAXED), mask = 0xffu << shift_of(at);

	(void)order;
	while (!__atomic_compare_exchange_n(word_of(at), &old,
					    (old & ~mask) | (uint32_t)value << shift_of(at), true,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return (unsigned char)(old >> shift_of(at));
}

unsigned char __atomic_fetch_add_1(volatile void *at, unsigned char value, int order)
{
	uint32_t old = __atomic_load_n(word_of(at), __ATOMIC_RELAXED), mask = 0xffu << shift_of(at);
	uint32_t sum;

	(void)order;
	do
		sum = (old + ((uint32_t)value << shift_of(at))) & mask;
	while (!__atomic_compare_exchange_n(word_of(at), &old, (old & ~mask) | sum, true,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return (unsigned char)(old >> shift_of(at));
}
