// SPDX-License-Identifier: MIT
/* The generic timer: the virtual one, which compares the count that is the clock. */
#include "arm.h"

void clock_quiet(void)
{
	WRITE_REGISTER("cntv_ctl_el0", 0);
}

void machine_timer_arm(uint64_t ticks)
{
	uint64_t now = arch_clock();

	WRITE_REGISTER("cntv_cval_el0", ticks < UINT64_MAX - now ? now + ticks : UINT64_MAX);
	WRITE_REGISTER("cntv_ctl_el0", 1);
}
