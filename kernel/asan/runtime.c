// SPDX-License-Identifier: MIT
/* What gcc calls, and what mm/ does. Nothing here is checked itself. */
#include "../thread.h"
#include "asan.h"

/* ---- looking ---- */

/* The first byte of [@at, @at + @size) that must not be touched, or 0. */
static uintptr_t first_bad(uintptr_t at, size_t size)
{
	uintptr_t end = at + size;

	while (at < end) {
		uint8_t shadow = *asan_shadow(at);
		uintptr_t next = (at | 7) + 1, last = (next < end ? next : end) - 1;

		if (shadow >= 8)
			return at;
		if (shadow && (last & 7) >= shadow)
			return (at & 7) >= shadow ? at : (at & ~7ul) + shadow;
		at = next;
	}
	return 0;
}

/* Below the direct map lies nothing of ours: such an access faults without help. */
static inline void check(uintptr_t at, size_t size, bool write)
{
	uintptr_t bad;

	if (!asan_on || at < ARCH_DIRECT_MAP || !size)
		return;
	if (!*asan_shadow(at) && (at & 7) + size <= 8)
		return;
	bad = first_bad(at, size);
	if (mw_unlikely(bad))
		asan_report(at, size, write, bad);
}

#define CHECKS(size)                                                                               \
	void __asan_load##size##_noabort(uintptr_t at);                                            \
	void __asan_load##size##_noabort(uintptr_t at)                                             \
	{                                                                                          \
		check(at, size, false);                                                            \
	}                                                                                          \
	void __asan_store##size##_noabort(uintptr_t at);                                           \
	void __asan_store##size##_noabort(uintptr_t at)                                            \
	{                                                                                          \
		check(at, size, true);                                                             \
	}

CHECKS(1)
CHECKS(2)
CHECKS(4)
CHECKS(8)
CHECKS(16)

void __asan_loadN_noabort(uintptr_t at, size_t size);
void __asan_loadN_noabort(uintptr_t at, size_t size)
{
	check(at, size, false);
}

void __asan_storeN_noabort(uintptr_t at, size_t size);
void __asan_storeN_noabort(uintptr_t at, size_t size)
{
	check(at, size, true);
}

/* ---- writing the shadow ---- */

void asan_clear(uintptr_t lo, uintptr_t hi)
{
	if (asan_on && asan_is_real(lo))
		memset(asan_shadow(lo), 0, asan_shadow(hi) - asan_shadow(lo));
}

void mw_shadow_live(const void *at, size_t size)
{
	uintptr_t end = (uintptr_t)at + size;

	if (!asan_on || !asan_is_real((uintptr_t)at))
		return;
	asan_clear((uintptr_t)at, end & ~7ul);
	if (end & 7)
		*asan_shadow(end) = end & 7;
}

void mw_shadow_dead(const void *at, size_t size, unsigned int why)
{
	uintptr_t lo = ((uintptr_t)at + 7) & ~7ul, hi = ((uintptr_t)at + size) & ~7ul;

	if (asan_on && asan_is_real((uintptr_t)at) && hi > lo)
		memset(asan_shadow(lo), (int)(ASAN_FREE + why), asan_shadow(hi) - asan_shadow(lo));
}

/* A variable's scope ends, or begins. */
void __asan_poison_stack_memory(uintptr_t at, size_t size);
void __asan_poison_stack_memory(uintptr_t at, size_t size)
{
	memset(asan_shadow(at), ASAN_SCOPE, (size + 7) / 8);
}

void __asan_unpoison_stack_memory(uintptr_t at, size_t size);
void __asan_unpoison_stack_memory(uintptr_t at, size_t size)
{
	mw_shadow_live((void *)at, size);
}

/* Functions that do not return end the machine or the thread, or go to a landing: see there. */
void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
}

void shadow_forget(void *at, size_t len)
{
	asan_clear((uintptr_t)at, (uintptr_t)at + len);
}

void shadow_stack_left(void *stack)
{
	struct thread *thread = thread_current();
	uintptr_t here = (uintptr_t)stack;

	if (here > (uintptr_t)thread->stack && here < (uintptr_t)thread->stack_end)
		asan_clear((uintptr_t)thread->stack, here & ~7ul);
}

/* ---- the functions that the compiler takes for granted, for code that is checked ---- */

void *asan_memcpy(void *to, const void *from, size_t n);
void *asan_memcpy(void *to, const void *from, size_t n)
{
	check((uintptr_t)from, n, false);
	check((uintptr_t)to, n, true);
	return memcpy(to, from, n);
}

void *asan_memmove(void *to, const void *from, size_t n);
void *asan_memmove(void *to, const void *from, size_t n)
{
	check((uintptr_t)from, n, false);
	check((uintptr_t)to, n, true);
	return memmove(to, from, n);
}

void *asan_memset(void *to, int value, size_t n);
void *asan_memset(void *to, int value, size_t n)
{
	check((uintptr_t)to, n, true);
	return memset(to, value, n);
}

int asan_memcmp(const void *a, const void *b, size_t n);
int asan_memcmp(const void *a, const void *b, size_t n)
{
	check((uintptr_t)a, n, false);
	check((uintptr_t)b, n, false);
	return memcmp(a, b, n);
}
