/* SPDX-License-Identifier: MIT */
/* What a CPU of this kind has of its own besides, and how it is found. */
#ifndef ARCH_AARCH64_PERCPU_H
#define ARCH_AARCH64_PERCPU_H

#include <stdint.h>
#include "offsets.h"
#include "stale/stale.h"

/* Stacks of a CPU: index into arch_percpu.stack_top. */
enum {
	STACK_BOOT,
	STACK_EXCEPTION, /* SP_EL1: what comes while code runs on SP_EL0 finds it empty */
	STACK_NESTED, /* exceptions in the handler of another */
	STACK_INTERRUPT,
	NR_STACKS
};

struct machine_percpu {
	struct stale stale;
	uint64_t sgi_target; /* what names it when it is sent an interrupt */
};

struct arch_percpu;

static inline struct arch_percpu *this_cpu(void)
{
	struct arch_percpu *cpu;

	__asm__ volatile("mov %0, x18" : "=r"(cpu));
	return cpu;
}

#endif
