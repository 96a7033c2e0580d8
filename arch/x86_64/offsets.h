/* SPDX-License-Identifier: MIT */
/* Fields of struct arch_percpu that assembly reads, from gs; internal.h asserts them. */
#ifndef ARCH_X86_64_OFFSETS_H
#define ARCH_X86_64_OFFSETS_H

#define PERCPU_DEPTH 16
#define PERCPU_IN_EXCEPTION 20
#define PERCPU_INTERRUPT_STACK 24
#define PERCPU_IN_NMI 36
#define PERCPU_STACK_TOP 48

#endif
