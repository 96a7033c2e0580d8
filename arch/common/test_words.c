// SPDX-License-Identifier: MIT
/* The four memory functions, and the words of the command line. */
#include "internal.h"
#include "test.h"

static unsigned char expected[64], got[64];

static void move_by_hand(size_t to, size_t from, size_t n)
{
	unsigned char copy[64];

	for (size_t i = 0; i < n; i++)
		copy[i] = expected[from + i];
	for (size_t i = 0; i < n; i++)
		expected[to + i] = copy[i];
}

TEST(memory_moves_in_any_direction)
{
	static const unsigned char low[] = { 7, 1 }, high[] = { 7, 255 };
	int value = 0x1a5; /* only the low byte counts */

	for (size_t from = 0; from < 20; from++)
		for (size_t to = 0; to < 20; to++)
			for (size_t n = 0; n <= 40; n += 3) {
				for (size_t i = 0; i < 64; i++)
					expected[i] = got[i] = (unsigned char)test_random();
				move_by_hand(to, from, n);
				memmove(got + to, got + from, n);
				NEED(!memcmp(expected, got, 64));
			}
	memset(got + 3, value, 11);
	for (size_t i = 0; i < 11; i++)
		CHECK_EQ(got[3 + i], 0xa5);
	CHECK(memcmp(low, high, 2) < 0);
	CHECK(memcmp(high, low, 1) == 0);
	CHECK(memcmp(high + 1, low + 1, 1) > 0);
}

TEST(command_line_words)
{
	char value[8];

	param_set("run=\"mem=3 cpus=9\" mem=64M big=0x10k quiet mem=1G cpus= bad=12x "
		  "long=18446744073709551616");
	CHECK_EQ(arch_param_number("mem", 7), 1 << 30);
	CHECK_EQ(arch_param_number("big", 7), 16384);
	CHECK_EQ(arch_param_number("cpus", 7), 7);
	CHECK_EQ(arch_param_number("bad", 7), 7);
	CHECK_EQ(arch_param_number("long", 7), 7);
	CHECK_EQ(arch_param_number("me", 7), 7);
	CHECK(arch_param("quiet", value, sizeof(value)) && !value[0]);
	CHECK(!arch_param("quie", value, sizeof(value)));
	CHECK(arch_param("long", value, sizeof(value)) && !memcmp(value, "1844674", 8));
	param_set(boot_info.cmdline);
}
