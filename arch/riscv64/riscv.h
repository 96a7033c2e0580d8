/* SPDX-License-Identifier: MIT */
/* What the files of this room share with each other and with nobody else. */
#ifndef ARCH_RISCV64_RISCV_H
#define ARCH_RISCV64_RISCV_H

#include "internal.h"

/* Of QEMU's virt, physical. What else there is the device tree tells. */
#define VIRT_TEST 0x100000ul
#define VIRT_PLIC 0x0c000000ul
#define VIRT_PLIC_BYTES 0x600000ul
#define VIRT_UART 0x10000000ul
#define VIRT_UART_IRQ 10

/* Bits of sip and sie, and numbers of scause without its highest bit. */
enum {
	CAUSE_SOFTWARE = 1,
	CAUSE_TIMER = 5,
	CAUSE_EXTERNAL = 9,
};

#define SIE_ALL (1ul << CAUSE_SOFTWARE | 1ul << CAUSE_TIMER | 1ul << CAUSE_EXTERNAL)

/* What the firmware below (SBI) is asked for: extension and function. */
#define SBI_TIMER 0x54494d45ul /* 0: interrupt at a0 */
#define SBI_IPI 0x735049ul /* 0: to harts a0, bits from number a1 on */
#define SBI_HARTS 0x48534dul /* 0: start hart a0 at physical a1, with a2 */

/* Return: 0, or its error, which is negative. */
static inline long sbi_call(unsigned long extension, unsigned long first, unsigned long second,
			    unsigned long third)
{
	register unsigned long a0 __asm__("a0") = first;
	register unsigned long a1 __asm__("a1") = second;
	register unsigned long a2 __asm__("a2") = third;
	register unsigned long a6 __asm__("a6") = 0;
	register unsigned long a7 __asm__("a7") = extension;

	__asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
	return (long)a0;
}

/* traps.S, exceptions.c */
extern char trap_entry[];
void machine_exception(struct arch_regs *regs);

/* entry.S */
extern char entry_secondary[];
_Noreturn void smp_begin(struct arch_percpu *cpu);

/* firmware.c */
extern uint64_t firmware_clock_hz;
extern bool firmware_has_sstc;

/* ipi.c, clock.c, plic.c */
void ipi_take_messages(struct arch_regs *regs);
void clock_quiet(void);
void plic_init(void);
void plic_interrupt(void);

#endif
