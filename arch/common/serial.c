// SPDX-License-Identifier: MIT
/*
 * The first serial line, by the machine's uart.h. A line that does not move for long is given up,
 * not waited for.
 */
#include "internal.h"
#include "uart.h"

#define PATIENCE 1000000

static bool present;

void serial_init(void)
{
	present = uart_begin();
}

/* Wait until the transmitter takes something. Return: how many bytes. */
static unsigned int wait_room(void)
{
	for (int i = 0; i < PATIENCE; i++) {
		unsigned int room = uart_room();

		if (room)
			return room;
		arch_relax();
	}
	present = false;
	return 0;
}

static void put(char c, unsigned int *room)
{
	if (!*room)
		*room = wait_room();
	if (!*room)
		return;
	uart_put((uint8_t)c);
	--*room;
}

void serial_write(const char *text, size_t len)
{
	unsigned int room = 0;

	while (present && len--) {
		if (*text == '\n')
			put('\r', &room);
		put(*text++, &room);
	}
}

int serial_read(void)
{
	return present ? uart_get() : -1;
}

/* When it is routed, serial_interrupt() fetches what came before. */
bool serial_use_interrupt(void)
{
	if (present)
		uart_interrupt();
	return present;
}

void serial_interrupt(void)
{
	int c;

	while ((c = serial_read()) >= 0)
		console_input(c);
}
