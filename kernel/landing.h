/* SPDX-License-Identifier: MIT */
/*
 * Places to come down at: a function can be left from anywhere below it, by will or by an exception.
 *
 * Landings of a thread are a stack, innermost first. To leave goes to the innermost one, with
 * interrupts as they were there.
 */
#ifndef KERNEL_LANDING_H
#define KERNEL_LANDING_H

#include "kernel.h"

/* What was wrong when an exception was the way. */
struct fault {
	bool came;
	enum arch_fault what;
	unsigned long number; /* the CPU's own for it */
	uintptr_t address, pc; /* address: of a page fault */
};

/* Return: false if @fn was left. irq: any. */
bool landing_call(void (*fn)(void *arg), void *arg);
_Noreturn void landing_leave(void);
bool landing_any(void); /* has this thread one */

/* Run @fn; an exception in it is not said to anybody, ends it, and is the answer. irq: any. */
struct fault landing_try(void (*fn)(void *arg), void *arg);

/* @last is asked before an exception panics: true to leave to the innermost landing. */
void landing_init(bool (*last)(const struct arch_regs *regs, uintptr_t address));

#endif
