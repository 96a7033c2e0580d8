/* SPDX-License-Identifier: MIT */
/* A PL011, for uart.h of a machine that has uart_register(). */
#ifndef ARCH_COMMON_UART_PL011_H
#define ARCH_COMMON_UART_PL011_H

enum {
	UART_DATA = 0x00,
	UART_FLAGS = 0x18,
	UART_LINE = 0x2c,
	UART_CONTROL = 0x30,
	UART_INTERRUPTS = 0x38,
	UART_WHICH = 0xfe0,
};

static inline bool uart_begin(void)
{
	if (*uart_register(UART_WHICH) != 0x11)
		return false;
	*uart_register(UART_INTERRUPTS) = 0;
	*uart_register(UART_CONTROL) = 0;
	*uart_register(UART_LINE) = 0x70; /* bytes of 8 bits, FIFOs */
	*uart_register(UART_CONTROL) = 0x301;
	return true;
}

static inline unsigned int uart_room(void)
{
	uint32_t flags = *uart_register(UART_FLAGS);

	return flags & 0x80 ? 16 : !(flags & 0x20);
}

static inline void uart_put(uint8_t byte)
{
	*uart_register(UART_DATA) = byte;
}

static inline int uart_get(void)
{
	return *uart_register(UART_FLAGS) & 0x10 ? -1 : (int)(*uart_register(UART_DATA) & 0xff);
}

/* For what was received, at once or a moment later. */
static inline void uart_interrupt(void)
{
	*uart_register(UART_INTERRUPTS) = 0x50;
}

#endif
