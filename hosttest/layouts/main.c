// SPDX-License-Identifier: MIT
/*
 * A program for each layout: "check" or "count", and "pieces" for many regions. Where there is a C library rows
 * are counted by callgrind; scripts/layouts.py reads its files. Elsewhere start.c is what there is of a system, an emulator
 * logs each instruction, and the two functions here are what is looked for in its log.
 */
#include "layouts.h"

#ifdef LAY_BARE
void lay_write(const char *text, size_t len);
#else
#include <stdio.h>
#include <valgrind/callgrind.h>
#endif

static void write_text(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
#ifdef LAY_BARE
	lay_write(text, len);
#else
	fwrite(text, 1, len, stdout);
#endif
}

void lay_say(const char *text, unsigned long number)
{
	char digits[24], *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	write_text(text);
	write_text(": ");
	write_text(at);
	write_text("\n");
}

__attribute__((noipa)) void lay_count_begin(void)
{
#ifdef LAY_BARE
	__asm__ volatile("");
#else
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
#endif
}

__attribute__((noipa)) static void lay_counted(void)
{
#ifdef LAY_BARE
	__asm__ volatile("");
#else
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS;
#endif
}

void lay_count_end(const char *row, unsigned long n)
{
	lay_counted();
	lay_say(row, n);
}

static bool is(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

int main(int argc, char **argv)
{
	lay_start(argc > 2 && is(argv[2], "pieces"));
	if (argc > 1 && is(argv[1], "check"))
		return lay_checks() != 0;
#ifdef LAY_BARE
	lay_loads(500, 6);
#else
	lay_loads(4000, 14);
	lay_loads_metadata();
#endif
	return 0;
}
