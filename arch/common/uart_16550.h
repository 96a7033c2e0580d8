/* SPDX-License-Identifier: MIT */
/*
 * A 16550 at 115200 baud, for uart.h of a machine that has uart_read() and uart_write() of its
 * registers.
 */
#ifndef ARCH_COMMON_UART_16550_H
#define ARCH_COMMON_UART_16550_H

#define UART_FIFO 16

enum {
	UART_DATA,
	UART_INTERRUPTS,
	UART_FIFO_CONTROL,
	UART_LINE_CONTROL,
	UART_MODEM_CONTROL,
	UART_LINE_STATUS,
	UART_SCRATCH = 7
};

static inline bool uart_begin(void)
{
	uart_write(UART_SCRATCH, 0x5a);
	if (uart_read(UART_SCRATCH) != 0x5a)
		return false;
	uart_write(UART_INTERRUPTS, 0);
	uart_write(UART_LINE_CONTROL, 0x80);
	uart_write(UART_DATA, 1);
	uart_write(UART_INTERRUPTS, 0);
	uart_write(UART_LINE_CONTROL, 3);
	uart_write(UART_FIFO_CONTROL, 7);
	uart_write(UART_MODEM_CONTROL, 0xb);
	return true;
}

static inline unsigned int uart_room(void)
{
	return uart_read(UART_LINE_STATUS) & 0x20 ? UART_FIFO : 0;
}

static inline void uart_put(uint8_t byte)
{
	uart_write(UART_DATA, byte);
}

static inline int uart_get(void)
{
	return uart_read(UART_LINE_STATUS) & 1 ? uart_read(UART_DATA) : -1;
}

static inline void uart_interrupt(void)
{
	uart_write(UART_INTERRUPTS, 1);
}

#endif
