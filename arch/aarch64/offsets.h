/* SPDX-License-Identifier: MIT */
/*
 * Fields of struct arch_percpu that assembly reads, from x18, and of struct arch_regs; the headers
 * assert them.
 */
#ifndef ARCH_AARCH64_OFFSETS_H
#define ARCH_AARCH64_OFFSETS_H

#define PERCPU_DEPTH 16
#define PERCPU_IN_EXCEPTION 20
#define PERCPU_INTERRUPT_STACK 24
#define PERCPU_IN_NMI 36
#define PERCPU_STACK_TOP 48

#define REGS_X30 240 /* and sp */
#define REGS_PC 256 /* and pstate */
#define REGS_ESR 272 /* and far */
#define REGS_BYTES 288

#endif
