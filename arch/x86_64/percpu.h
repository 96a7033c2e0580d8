/* SPDX-License-Identifier: MIT */
/* What a CPU of this kind has of its own besides, and how it is found. */
#ifndef ARCH_X86_64_PERCPU_H
#define ARCH_X86_64_PERCPU_H

#include <stdint.h>
#include "offsets.h"

/* Stacks of a CPU: index into arch_percpu.stack_top, and of exceptions the IST number. */
enum {
	STACK_BOOT,
	STACK_DOUBLE_FAULT,
	STACK_NMI,
	STACK_PAGE_FAULT,
	STACK_NMI_FAULT, /* page faults in an NMI; takes the place of the one before meanwhile */
	STACK_INTERRUPT, /* has no IST number */
	NR_STACKS
};

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

struct machine_percpu {
	uint64_t gdt[5];
	struct tss tss;
};

struct arch_percpu;

static inline struct arch_percpu *this_cpu(void)
{
	struct arch_percpu *cpu;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

#endif
