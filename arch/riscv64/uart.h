/* SPDX-License-Identifier: MIT */
/* Where the serial line's registers are: in memory, a byte each. */
#ifndef ARCH_RISCV64_UART_H
#define ARCH_RISCV64_UART_H

#include "riscv.h"

static inline void uart_write(unsigned int reg, uint8_t value)
{
	((volatile uint8_t *)arch_virt(VIRT_UART))[reg] = value;
}

static inline uint8_t uart_read(unsigned int reg)
{
	return ((volatile uint8_t *)arch_virt(VIRT_UART))[reg];
}

#include "uart_16550.h"

#endif
