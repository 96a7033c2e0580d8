// SPDX-License-Identifier: MIT
#include "text.h"

size_t text_length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

bool text_equal(const char *a, const char *b)
{
	const char *rest = text_after(a, b);

	return rest && !*rest;
}

const char *text_after(const char *text, const char *prefix)
{
	while (*prefix)
		if (*text++ != *prefix++)
			return NULL;
	return text;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static int unit_shift(char c)
{
	switch (c | 0x20) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	case 't':
		return 40;
	default:
		return -1;
	}
}

bool text_number(const char *text, uint64_t *number)
{
	const char *hex = text_after(text, "0x");
	unsigned int base = hex ? 16 : 10;
	uint64_t n = 0;
	int shift;

	if (hex)
		text = hex;
	if (digit_of(*text) >= (int)base)
		return false;
	for (; digit_of(*text) < (int)base; text++)
		if (__builtin_mul_overflow(n, base, &n) ||
		    __builtin_add_overflow(n, (unsigned int)digit_of(*text), &n))
			return false;
	if (*text) {
		shift = unit_shift(*text++);
		if (shift < 0 || *text || n >> (64 - shift))
			return false;
		n <<= shift;
	}
	*number = n;
	return true;
}

/* Moves one word down to *@to, without its quotes. Return: where reading goes on. */
static char *take_word(char *from, char **to)
{
	char quote = 0;

	for (; *from && (quote || *from != ' '); from++) {
		if (quote ? *from == quote : *from == '"' || *from == '\'')
			quote = quote ? 0 : *from;
		else
			*(*to)++ = *from;
	}
	return from;
}

size_t text_split(char *text, char **words, size_t max)
{
	size_t n = 0;
	char *to;

	for (;;) {
		while (*text == ' ')
			text++;
		if (!*text || n == max)
			return n;
		words[n++] = to = text;
		if (n == max)
			return n;
		text = take_word(text, &to);
		if (*text)
			text++;
		*to = '\0';
	}
}
