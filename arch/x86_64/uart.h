/* SPDX-License-Identifier: MIT */
/* Where the serial line's registers are: at the ports of COM1. */
#ifndef ARCH_X86_64_UART_H
#define ARCH_X86_64_UART_H

#include "cpu.h"

#define COM1 0x3f8

static inline void uart_write(unsigned int reg, uint8_t value)
{
	outb((uint16_t)(COM1 + reg), value);
}

static inline uint8_t uart_read(unsigned int reg)
{
	return inb((uint16_t)(COM1 + reg));
}

#include "uart_16550.h"

#endif
