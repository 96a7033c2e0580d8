// SPDX-License-Identifier: MIT
/* The first serial line, a 16550 at 115200 baud. A line that does not move for long is given up, not waited for. */
#include "internal.h"
#include "uart.h"

#define FIFO 16
#define PATIENCE 1000000

enum {
	DATA,
	INTERRUPTS,
	FIFO_CONTROL,
	LINE_CONTROL,
	MODEM_CONTROL,
	LINE_STATUS,
	SCRATCH = 7
};

static bool present;

void serial_init(void)
{
	uart_write(SCRATCH, 0x5a);
	present = uart_read(SCRATCH) == 0x5a;
	if (!present)
		return;
	uart_write(INTERRUPTS, 0);
	uart_write(LINE_CONTROL, 0x80);
	uart_write(DATA, 1);
	uart_write(INTERRUPTS, 0);
	uart_write(LINE_CONTROL, 3);
	uart_write(FIFO_CONTROL, 7);
	uart_write(MODEM_CONTROL, 0xb);
}

/* Wait until the transmitter's FIFO is empty. */
static bool wait_empty(void)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (uart_read(LINE_STATUS) & 0x20)
			return true;
		arch_relax();
	}
	present = false;
	return false;
}

static void put(char c, int *room)
{
	if (!*room) {
		if (!wait_empty())
			return;
		*room = FIFO;
	}
	uart_write(DATA, (uint8_t)c);
	--*room;
}

void serial_write(const char *text, size_t len)
{
	int room = 0;

	while (present && len--) {
		if (*text == '\n')
			put('\r', &room);
		put(*text++, &room);
	}
}

int serial_read(void)
{
	if (!present || !(uart_read(LINE_STATUS) & 1))
		return -1;
	return uart_read(DATA);
}

/* When it is routed, serial_interrupt() fetches what came before. */
bool serial_use_interrupt(void)
{
	if (present)
		uart_write(INTERRUPTS, 1);
	return present;
}

void serial_interrupt(void)
{
	int c;

	while ((c = serial_read()) >= 0)
		console_input(c);
}
