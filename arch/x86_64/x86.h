/* SPDX-License-Identifier: MIT */
/* What the files of this room share with each other and with nobody else. */
#ifndef ARCH_X86_64_X86_H
#define ARCH_X86_64_X86_H

#include "internal.h"
#include "cpu.h"

/* Interrupt vectors. 0x20 to 0x2f are the old controllers', masked, spurious at most. */
enum {
	VEC_NMI = 2,
	VEC_DOUBLE_FAULT = 8,
	VEC_PAGE_FAULT = 14,
	VEC_PIC = 0x20,
	VEC_SERIAL = 0x40,
	VEC_KEYBOARD = 0x41,
	VEC_STRAY = 0x61,
	VEC_TIMER = 0xe0,
	VEC_CALL = 0xf0,
	VEC_RESCHEDULE = 0xf1,
	VEC_SPURIOUS = 0xff,
};

/* exceptions.c, traps.S */
extern char trap_stubs[], trap_page_fault[], trap_page_fault_end[];
void trap_init(void);
void trap_load(void);

/* multiboot2.c, pvh.c, firmware.c */
void bootinfo_add_e820(uint64_t start, uint64_t len, uint32_t type);
void multiboot2_read(uint64_t info);
void pvh_read(uint64_t info);
extern uint64_t trampoline_phys; /* a page below 1 MiB, where other CPUs start; 0: none */

/* acpi.c */
void acpi_read(void);
struct acpi_irq {
	uint32_t gsi;
	bool low, level;
};
extern uint64_t acpi_lapic_phys, acpi_ioapic_phys;
extern uint32_t acpi_ioapic_base;
struct acpi_irq acpi_isa_irq(unsigned int irq);

/* apic.c */
void apic_init(void);
void apic_init_cpu(void);
unsigned int apic_id(void);
void apic_eoi(void);
void apic_send(unsigned int apic_id, uint32_t command);
void apic_timer_arm(uint32_t ticks); /* 0: stop */
uint32_t apic_timer_left(void);
void ioapic_route(unsigned int irq, unsigned int vector);
#define APIC_FIXED 0x4000u
#define APIC_NMI 0x4400u
#define APIC_INIT 0x4500u
#define APIC_STARTUP 0x4600u

/* clock.c */
void clock_calibrate(void);

/* start.c */
_Noreturn void smp_begin(void);

/* keyboard.c */
void keyboard_interrupt(void);
void keyboard_init(void);

#endif
