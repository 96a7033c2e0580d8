// SPDX-License-Identifier: MIT
/* All that a program for another machine needs where there is no C library for it: Linux' calls, and memory. */
#include <stddef.h>
#include <stdint.h>

int main(int argc, char **argv);
void lay_write(const char *text, size_t len);

/* Thread-local data begins behind what its register points to; all of it is 0 at first. */
static long thread[64] __attribute__((aligned(64), used));

static long call(long number, long a, long b, long c)
{
#ifdef __aarch64__
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
			 x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#else
	register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b,
			 a2 __asm__("a2") = c;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
	return a0;
#endif
}

void lay_write(const char *text, size_t len)
{
	(void)call(64, 1, (long)text, (long)len);
}

__attribute__((used)) static void begin(long *stack)
{
#ifdef __aarch64__
	__asm__ volatile("msr tpidr_el0, %0" : : "r"(thread));
#endif
	(void)call(94, main((int)stack[0], (char **)(stack + 1)), 0, 0);
	for (;;)
		;
}

#ifdef __aarch64__
__asm__(".globl _start\n_start: mov x0, sp\n b begin\n");
#else
__asm__(".option push\n.option norelax\n.globl _start\n_start: la gp, __global_pointer$\n.option "
	"pop\n"
	" la tp, thread\n mv a0, sp\n j begin\n");
#endif

void *memcpy(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;

	if (t <= f)
		return memcpy(to, from, n);
	while (n--)
		t[n] = f[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	char *t = to;

	while (n--)
		*t++ = (char)c;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n--; x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}
