// SPDX-License-Identifier: MIT
/* The first serial line, 115200 baud. A line that does not move for long is given up, not waited for. */
#include "internal.h"

#define COM1 0x3f8
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
	outb(COM1 + SCRATCH, 0x5a);
	present = inb(COM1 + SCRATCH) == 0x5a;
	if (!present)
		return;
	outb(COM1 + INTERRUPTS, 0);
	outb(COM1 + LINE_CONTROL, 0x80);
	outb(COM1 + DATA, 1);
	outb(COM1 + INTERRUPTS, 0);
	outb(COM1 + LINE_CONTROL, 3);
	outb(COM1 + FIFO_CONTROL, 7);
	outb(COM1 + MODEM_CONTROL, 0xb);
}

/* Wait until the transmitter's FIFO is empty. */
static bool wait_empty(void)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (inb(COM1 + LINE_STATUS) & 0x20)
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
	outb(COM1 + DATA, (uint8_t)c);
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
	if (!present || !(inb(COM1 + LINE_STATUS) & 1))
		return -1;
	return inb(COM1 + DATA);
}

void serial_use_interrupt(void)
{
	if (!present)
		return;
	ioapic_route(4, VEC_SERIAL);
	outb(COM1 + INTERRUPTS, 1);
	serial_interrupt();
}

void serial_interrupt(void)
{
	int c;

	while ((c = serial_read()) >= 0)
		console_input(c);
}
