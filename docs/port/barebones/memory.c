// SPDX-License-Identifier: MIT
/* The four that every kernel has, built with -fno-tree-loop-distribute-patterns or the like. */
#include <stddef.h>

void *memmove(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;

	for (size_t i = 0; t < f && i < n; i++)
		t[i] = f[i];
	while (t > f && n--)
		t[n] = f[n];
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	return memmove(to, from, n);
}

void *memset(void *to, int byte, size_t n)
{
	for (char *t = to; n--; t++)
		*t = (char)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	while (n && *x == *y)
		n--, x++, y++;
	return n ? *x - *y : 0;
}
