// SPDX-License-Identifier: MIT
/* The timer compares the clock's count: by a register of the CPU's (Sstc) where there is one, else by firmware. */
#include "riscv.h"

static void compare(uint64_t with)
{
	if (firmware_has_sstc)
		__asm__ volatile("csrw 0x14d, %0" : : "r"(with) : "memory");
	else
		(void)sbi_call(SBI_TIMER, with, 0, 0);
}

void clock_quiet(void)
{
	compare(UINT64_MAX);
}

void machine_timer_arm(uint64_t ticks)
{
	uint64_t now = arch_clock();

	compare(ticks < UINT64_MAX - now ? now + ticks : UINT64_MAX);
}
