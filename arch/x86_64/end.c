// SPDX-License-Identifier: MIT
/* Leaving: the emulator, or the machine. */
#include "x86.h"

#define EXIT_PORT 0xf4

/* isa-debug-exit: QEMU ends with 2 n + 1. */
void machine_exit(unsigned int code)
{
	outb(EXIT_PORT, (uint8_t)(code >> 1));
}

_Noreturn void machine_halt(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

/* The keyboard controller, else an exception without a table. */
_Noreturn void machine_reboot(void)
{
	outb(0x64, 0xfe);
	for (int i = 0; i < 10000; i++)
		arch_relax();
	arch_triple_fault();
	machine_halt();
}
