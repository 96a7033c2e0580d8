/* SPDX-License-Identifier: MIT */
/* Where the registers of the serial line are. */
#ifndef ARCH_AARCH64_UART_H
#define ARCH_AARCH64_UART_H

#include "arm.h"

static inline volatile uint32_t *uart_register(unsigned int at)
{
	return arch_virt(VIRT_UART + at);
}

#include "uart_pl011.h"

#endif
