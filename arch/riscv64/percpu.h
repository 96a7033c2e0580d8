/* SPDX-License-Identifier: MIT */
/* What a CPU of this kind has of its own besides, and how it is found. */
#ifndef ARCH_RISCV64_PERCPU_H
#define ARCH_RISCV64_PERCPU_H

#include <stdint.h>
#include "offsets.h"
#include "stale/stale.h"

/* Stacks of a CPU: index into arch_percpu.stack_top. */
enum {
	STACK_BOOT,
	STACK_EXCEPTION,
	STACK_NESTED, /* exceptions in the handler of another */
	STACK_INTERRUPT,
	NR_STACKS
};

struct machine_percpu {
	_Atomic(unsigned long) messages; /* bits by enum machine_message, for the software interrupt */
	struct stale stale;
};

struct arch_percpu;

static inline struct arch_percpu *this_cpu(void)
{
	struct arch_percpu *cpu;

	__asm__ volatile("mv %0, tp" : "=r"(cpu));
	return cpu;
}

#endif
