/* SPDX-License-Identifier: MIT */
/* Single instructions: ports, control and model specific registers. */
#ifndef ARCH_X86_64_CPU_H
#define ARCH_X86_64_CPU_H

#include <stdint.h>

#define CR0_WP (1ul << 16)
#define MSR_APIC_BASE 0x1b
#define MSR_EFER 0xc0000080
#define MSR_GS_BASE 0xc0000101
#define EFER_NXE (1ul << 11)

#define CPU_PORT(bits, letter)                                                                     \
	static inline void out##letter(uint16_t port, uint##bits##_t v)                            \
	{                                                                                          \
		__asm__ volatile("out" #letter " %0, %1" : : "a"(v), "Nd"(port) : "memory");       \
	}                                                                                          \
	static inline uint##bits##_t in##letter(uint16_t port)                                     \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		__asm__ volatile("in" #letter " %1, %0" : "=a"(v) : "Nd"(port) : "memory");        \
		return v;                                                                          \
	}
CPU_PORT(8, b)
CPU_PORT(16, w)
CPU_PORT(32, l)

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

struct cpuid {
	uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
			 : "a"(leaf), "c"(sub));
	return r;
}

#define CPU_READ_CR(n)                                                                             \
	static inline uint64_t read_cr##n(void)                                                    \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory");                     \
		return v;                                                                          \
	}
#define CPU_WRITE_CR(n)                                                                            \
	static inline void write_cr##n(uint64_t v)                                                 \
	{                                                                                          \
		__asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                         \
	}
CPU_READ_CR(0)
CPU_READ_CR(2)
CPU_READ_CR(3)
CPU_READ_CR(4)
CPU_WRITE_CR(0)
CPU_WRITE_CR(3)
CPU_WRITE_CR(4)

static inline void invlpg(const void *addr)
{
	__asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

#endif
