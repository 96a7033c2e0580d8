// SPDX-License-Identifier: MIT
/* A PC keyboard, US layout, enough to type commands on the screen's console. */
#include "x86.h"

#define KBD_DATA 0x60
#define KBD_STATUS 0x64
#define PATIENCE 10000

static const char plain[] = "\0\033"
			    "1234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] = "\0\033"
			      "!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
static bool shift, control;

static bool wait_status(uint8_t mask, uint8_t value)
{
	for (int i = 0; i < PATIENCE; i++)
		if ((inb(KBD_STATUS) & mask) == value)
			return true;
	return false;
}

static void take(uint8_t code)
{
	bool down = !(code & 0x80);
	char c;

	code &= 0x7f;
	if (code == 0x2a || code == 0x36)
		shift = down;
	if (code == 0x1d)
		control = down;
	if (!down || code >= sizeof(plain) - 1)
		return;
	c = shift ? shifted[code] : plain[code];
	if (control && c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 1);
	if (c)
		console_input(c);
}

void keyboard_interrupt(void)
{
	for (int i = 0; i < 16 && (inb(KBD_STATUS) & 1); i++)
		take(inb(KBD_DATA));
}

/* Have the controller interrupt. A machine without one reads as all ones. */
void keyboard_init(void)
{
	uint8_t config;

	if (inb(KBD_STATUS) == 0xff)
		return;
	for (int i = 0; i < 16 && (inb(KBD_STATUS) & 1); i++)
		inb(KBD_DATA);
	outb(KBD_STATUS, 0x20);
	if (!wait_status(1, 1))
		return;
	config = inb(KBD_DATA);
	if (!wait_status(2, 0))
		return;
	outb(KBD_STATUS, 0x60);
	if (!wait_status(2, 0))
		return;
	outb(KBD_DATA, (uint8_t)((config | 0x41) & ~0x10));
	ioapic_route(1, VEC_KEYBOARD);
}
