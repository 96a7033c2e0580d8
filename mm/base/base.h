/* SPDX-License-Identifier: MIT */
/* The few words that every file of mm/ is written in: see docs/DESIGN.md, "base". */
#ifndef MW_BASE_BASE_H
#define MW_BASE_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/config.h>
#include "word.h"

#define mw_likely(x) __builtin_expect(!!(x), 1)
#define mw_unlikely(x) __builtin_expect(!!(x), 0)
#define MW_NOINLINE __attribute__((noinline, cold))
#define MW_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define MW_CACHE_LINE 64

/* Atomics are on words, pointers and smaller: 32-bit machines have no others without a library. */
typedef _Atomic(unsigned long) mw_atomic_t;

static inline size_t mw_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t mw_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline bool mw_is_pow2(size_t n)
{
	return n && !(n & (n - 1));
}

/* @align is a power of two; the caller knows that the sum does not overflow. */
static inline uintptr_t mw_round_up(uintptr_t n, size_t align)
{
	return (n + align - 1) & ~(uintptr_t)(align - 1);
}

static inline uintptr_t mw_round_down(uintptr_t n, size_t align)
{
	return n & ~(uintptr_t)(align - 1);
}

static inline bool mw_mul_overflows(size_t a, size_t b, size_t *product)
{
	return __builtin_mul_overflow(a, b, product);
}

static inline unsigned int mw_log2_up(size_t n)
{
	return n <= 1 ? 0 : mw_highest_bit(n - 1) + 1;
}

#endif
