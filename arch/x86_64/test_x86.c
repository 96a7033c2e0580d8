// SPDX-License-Identifier: MIT
/* What only this CPU does: its numbers for exceptions. */
#include "x86.h"
#include "landing.h"
#include "test.h"

static void divide(void *arg)
{
	unsigned int high = 1;

	__asm__ volatile("divl %1" : "+d"(high) : "r"(0), "a"(arg));
}

static void invalid(void *arg)
{
	(void)arg;
	arch_invalid_instruction();
}

static void read_byte(void *arg)
{
	(void)*(volatile char *)arg;
}

TEST(exceptions_have_their_vectors)
{
	struct fault fault = landing_try(divide, NULL);

	CHECK(fault.came);
	CHECK_EQ(fault.number, 0);
	CHECK_EQ(landing_try(invalid, NULL).number, 6);
	CHECK_EQ(landing_try(read_byte, (void *)(1ul << 62)).number, 13);
	CHECK_EQ(landing_try(read_byte, (void *)0x1234).number, VEC_PAGE_FAULT);
}
