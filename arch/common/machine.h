/* SPDX-License-Identifier: MIT */
/*
 * What a machine gives: all that arch/<machine>/ has to have. The rest is here in arch/common/; a file of the
 * machine's takes the place of one of the same name here. docs/design/arch.md says how to begin.
 *
 * Headers, found before those of this folder:
 *	layout.h	numbers: where things are in the address space
 *	port_inline.h	to pin, to unpin, the CPU's number, to relax; ARCH_IRQ_ON
 *	regs.h		struct arch_regs, what reads it, single instructions, arch_clock(), arch_copy_page(), ARCH_FAULT_FN
 *	percpu.h	STACK_BOOT (0), others of exceptions, STACK_INTERRUPT, NR_STACKS; struct machine_percpu; this_cpu()
 *	pte.h		entries of page tables: PAGING_LEVELS, PAGING_BITS, PTE_W (1: writable), PTE_ARMED (a bit that the
 *			hardware leaves alone), PTE_HARDWARE (bits it may change), pte_*(), tlb_flush_page(), tlb_flush_all(),
 *			and whether those two flush all CPUs: PAGING_FLUSHES_ALL_CPUS
 *	uart.h		the serial line, for serial.c: uart_begin(), uart_room(), uart_put(), uart_get(), uart_interrupt();
 *			or where its registers are, and uart_16550.h or uart_pl011.h
 *
 * Symbols of its assembly:
 *	arch_switch()	see arch.h
 *	switch_first()	where the first switch to a new stack goes on: calls the function that machine_stack_init() left
 *	stack_call()	below
 *	trap entries	call snapshot_fault() for refused writes, before all else; trap_exception(), trap_interrupt(),
 *			trap_leave()
 *
 * Build: arch.mk has flags, the tools' prefix, and which of arch/common's parts it takes besides.
 */
#ifndef ARCH_COMMON_MACHINE_H
#define ARCH_COMMON_MACHINE_H

#include "arch.h"

struct arch_percpu;

/* Access to pages, for pte.h. */
enum {
	PAGE_READ = 1,
	PAGE_WRITE = 2,
	PAGE_EXECUTE = 4,
	PAGE_DEVICE = 8, /* not cached */
};

/* ---- the boot of the first CPU, in this order ---- */

/* On the first stack: exceptions can be reported, this_cpu() is arch_slots[0]. */
void machine_begin(void);
/* What the loader and the firmware said, by bootinfo_add() and the like; @a and @b are arch_main()'s. */
void machine_bootinfo(uintptr_t a, uintptr_t b);
/*
 * With the kernel's page tables, and all stacks: exceptions use theirs; interrupt controllers, the clock
 * (timer_set_clock()), all CPUs (smp_add()).
 */
void machine_find(void);
/* All CPUs have arrived: devices that interrupt. */
void machine_devices(void);

/* Go on with @fn on another stack, never to return. */
_Noreturn void stack_call(uintptr_t top, void (*fn)(void));
/* What arch_switch() finds on a new stack, from @sp down. Return: the stack pointer to load. */
uintptr_t machine_stack_init(uintptr_t sp, void (*fn)(void *arg), void *arg);

/* ---- CPUs ---- */

/* What the CPU can do, before the first table; what is not memory but has to be mapped. */
void machine_paging_init(void);
void machine_map_devices(void);
/* This CPU's page tables: kernel_root. */
void machine_paging_load(void);
/*
 * Wake all that smp_for_absent() names: each then calls smp_arrive(). There is one at least. Return: false if
 * that cannot be.
 */
bool machine_start_cpus(void);
/* On a CPU that arrived: this_cpu() is @cpu from here on, its exceptions are reported. */
void machine_cpu_begin(struct arch_percpu *cpu);
/* Later, on its own stack: its interrupt controller and timer. */
void machine_cpu_init(void);

enum machine_message {
	MESSAGE_CALL, /* run ipi_run_calls() */
	MESSAGE_RESCHEDULE, /* set resched */
	MESSAGE_CAPTURE, /* run ipi_answer_capture(): by NMI, if there is such a thing */
	MESSAGE_STRAY, /* for tests: what nobody asked for, trap_not_asked_for() */
};

/* Interrupt another CPU, or this one. irq: any. */
void machine_send(struct arch_percpu *to, enum machine_message message);

/* ---- time ---- */

/* Call timer_interrupt() on this CPU in @ticks at most, UINT64_MAX: never. irq: off. */
void machine_timer_arm(uint64_t ticks);

/* ---- faults and the end ---- */

/* A name for an exception; NULL: it is a fault of a page, which is named by what the tables say. */
const char *machine_fault_name(const struct arch_regs *regs);
void machine_regs_here(struct arch_regs *regs); /* all but the place: as they are */
/*
 * Where a function without a frame, or before it has one, would return to; 0: not known. @frame: the frame pointer; a
 * frame that holds no return address is left out.
 */
uintptr_t machine_return_address(const struct arch_regs *regs, uintptr_t *frame);
/* In an interrupt handler, interrupts off: what came, and its end for the controller. */
void machine_interrupt(struct arch_regs *regs);
/* Leave the emulator with @code; returns if that is not possible. */
void machine_exit(unsigned int code);
/* Interrupts off, for ever; captures may still be answered. */
_Noreturn void machine_halt(void);
_Noreturn void machine_reboot(void);

#endif
