/* SPDX-License-Identifier: MIT */
/* What objects and pages cost on this machine: bench.c, one CPU; bench_cpus.c, several. */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

#include <stdatomic.h>
#include "kernel.h"

#define BENCH_LIVE 1000u

/* @n operations of a load; what it holds at the end is given back before it returns. */
typedef void bench_fn(size_t n, size_t arg, void **live);

bench_fn bench_pairs, bench_random, bench_pages;
bool bench_fill(size_t n, size_t size, void **live); /* @n objects, up to BENCH_LIVE; false: not all */
void bench_drop(size_t n, void **live);

/* A load that is short of memory ends, and what it measured is no figure. */
extern atomic_bool bench_short;

/* Use what was allocated. Return: false: there was no memory. */
static inline bool bench_touch(void *p)
{
	if (__builtin_expect(!p, false)) {
		atomic_store_explicit(&bench_short, true, memory_order_relaxed);
		return false;
	}
	*(volatile char *)p = 1;
	return true;
}

void bench_table(void);
void bench_cpus(void);

#endif
