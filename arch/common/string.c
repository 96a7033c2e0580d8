// SPDX-License-Identifier: MIT
/* The four functions that compilers take for granted, in plain C: a word at a time where both ends allow it. */
#include "arch.h"

#define WORD sizeof(unsigned long)

typedef unsigned long __attribute__((may_alias)) word_t;

static inline void copy_up(unsigned char *to, const unsigned char *from, size_t n)
{
	if (!(((uintptr_t)to ^ (uintptr_t)from) % WORD)) {
		for (; n && (uintptr_t)to % WORD; n--)
			*to++ = *from++;
		for (; n >= WORD; n -= WORD, to += WORD, from += WORD)
			*(word_t *)to = *(const word_t *)from;
	}
	while (n--)
		*to++ = *from++;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	copy_up(to, from, n);
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	unsigned char *d = (unsigned char *)to + n;
	const unsigned char *s = (const unsigned char *)from + n;

	if ((uintptr_t)to - (uintptr_t)from >= n) {
		copy_up(to, from, n);
		return to;
	}
	if (!(((uintptr_t)d ^ (uintptr_t)s) % WORD)) {
		for (; n && (uintptr_t)d % WORD; n--)
			*--d = *--s;
		for (; n >= WORD; n -= WORD) {
			d -= WORD, s -= WORD;
			*(word_t *)d = *(const word_t *)s;
		}
	}
	while (n--)
		*--d = *--s;
	return to;
}

void *memset(void *to, int value, size_t n)
{
	unsigned char *at = to;
	unsigned long pattern = ~0ul / 255 * (unsigned char)value;

	for (; n && (uintptr_t)at % WORD; n--)
		*at++ = (unsigned char)value;
	for (; n >= WORD; n -= WORD, at += WORD)
		*(word_t *)at = pattern;
	while (n--)
		*at++ = (unsigned char)value;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}
