// SPDX-License-Identifier: MIT
/* A machine without slots for memory modules. */
#include "internal.h"

bool arch_dimm_slots(void)
{
	return false;
}

bool arch_dimm_read(unsigned int slot, struct arch_dimm *dimm)
{
	(void)slot, (void)dimm;
	return false;
}

void arch_dimm_answer(unsigned int slot, enum arch_dimm_answer answer)
{
	(void)slot, (void)answer;
}
