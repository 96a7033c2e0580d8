// SPDX-License-Identifier: MIT
/* The command line: words "name" or "name=value" between spaces; quotes keep spaces in a word. */
#include "internal.h"

static const char *cmdline = "";

void param_set(const char *text)
{
	cmdline = text;
}

static const char *next_word(const char *p)
{
	bool quoted = false;

	for (; *p && (quoted || *p != ' '); p++)
		quoted ^= *p == '"';
	while (*p == ' ')
		p++;
	return p;
}

/* The text after "name", at '=' or at the word's end; the last one wins. NULL: not there. */
static const char *find(const char *name)
{
	const char *found = NULL;

	for (const char *p = cmdline; *p;) {
		size_t n = 0;

		while (name[n] && p[n] == name[n])
			n++;
		if (!name[n] && (!p[n] || p[n] == ' ' || p[n] == '='))
			found = p + n;
		p = next_word(p);
	}
	return found;
}

bool arch_param(const char *name, char *value, size_t size)
{
	const char *from = find(name);
	size_t n = 0;

	if (!from)
		return false;
	if (*from == '=')
		from++;
	for (; size && n + 1 < size && *from && *from != ' ' && *from != '"'; n++)
		value[n] = *from++;
	if (size)
		value[n] = 0;
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static unsigned int unit_shift(char c)
{
	switch (c) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	case 'T':
	case 't':
		return 40;
	default:
		return 0;
	}
}

uint64_t arch_param_number(const char *name, uint64_t otherwise)
{
	char text[32];
	const char *p = text;
	uint64_t value = 0;
	int base = 10;

	if (!arch_param(name, text, sizeof(text)) || !text[0])
		return otherwise;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	if (digit(*p) >= base)
		return otherwise;
	for (; digit(*p) < base; p++)
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit(*p), &value))
			return otherwise;
	if (unit_shift(*p)) {
		if (value >> (64 - unit_shift(*p)))
			return otherwise;
		value <<= unit_shift(*p++);
	}
	return *p ? otherwise : value;
}
