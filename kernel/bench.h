/* SPDX-License-Identifier: MIT */
/* What objects and pages cost on this machine: bench.c, one CPU; bench_cpus.c, several. */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

#include "kernel.h"

#define BENCH_LIVE 1000u

/* @n operations of a load; what it holds at the end is given back before it returns. */
typedef void bench_fn(size_t n, size_t arg, void **live);

bench_fn bench_pairs, bench_random, bench_pages;
void bench_fill(size_t n, size_t size, void **live); /* @n objects, up to BENCH_LIVE */
void bench_drop(size_t n, void **live);

void bench_table(void);
void bench_cpus(void);

#endif
