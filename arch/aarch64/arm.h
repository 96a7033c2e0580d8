/* SPDX-License-Identifier: MIT */
/* What the files of this room share with each other and with nobody else. */
#ifndef ARCH_AARCH64_ARM_H
#define ARCH_AARCH64_ARM_H

#include "internal.h"

/* Of QEMU's virt, physical. What else there is the device tree tells. */
#define VIRT_TREE 0x40000000ul /* where no loader says where it is */
#define VIRT_UART 0x09000000ul
#define VIRT_UART_IRQ 33

/* Numbers of interrupts: up to 15 they are sent by CPUs, up to 31 each CPU has its own. */
#define IRQ_TIMER 27
#define IRQ_NONE 1020 /* this, and those above */

/* By the name of a register; those that assemblers need not know go by numbers. */
#define READ_REGISTER(name)                                                                        \
	({                                                                                         \
		uint64_t read_value;                                                               \
		__asm__ volatile("mrs %0, " name : "=r"(read_value) : : "memory");                 \
		read_value;                                                                        \
	})
#define WRITE_REGISTER(name, value)                                                                \
	__asm__ volatile("msr " name ", %0\n\tisb" : : "r"((uint64_t)(value)) : "memory")

/* The number that firmware and the device tree have for a CPU, which is this one. */
static inline unsigned int cpu_hardware_id(void)
{
	return READ_REGISTER("mpidr_el1") & 0xffffff;
}

/* traps.S */
extern char trap_vectors[];
void machine_exception(struct arch_regs *regs);
void machine_nmi(struct arch_regs *regs);

/* entry.S */
extern char entry_secondary[];
_Noreturn void smp_begin(struct arch_percpu *cpu);
void paging_switch(uint64_t root);
extern char host_call_place[];
void host_call(unsigned long what, const void *arg); /* of the emulator: returns if it does not listen */

/* firmware.c */
struct firmware_gic {
	uint64_t start[2], len[2]; /* what all CPUs share; what each CPU has */
	bool v3;
};
extern struct firmware_gic firmware_gic;
#define PSCI_OFF 0x84000008u
#define PSCI_RESET 0x84000009u
#define PSCI_CPU_ON 0xc4000003u
long psci_call(unsigned long what, unsigned long first, unsigned long second, unsigned long third);

/* gic.c, clock.c */
void gic_map(void);
void gic_init(void);
void gic_cpu_init(void);
void gic_route(unsigned int irq);
unsigned int gic_take(void); /* what came; IRQ_NONE: nothing. It has ended for the controller */
bool gic_take_capture(void);
void clock_quiet(void);

#endif
