/* SPDX-License-Identifier: MIT */
/* An invariant is broken on purpose, the check has to name it, and the heap is mended again. */
#ifndef HOSTTEST_PLANTED_H
#define HOSTTEST_PLANTED_H

#include "test.h"
#include <marrow/watch.h>

/* Where addresses are checked, what is between objects may be written by this alone. */
static __attribute__((unused, noinline, no_sanitize("address"))) void
plant_bytes(volatile unsigned char *to, const volatile unsigned char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[i];
}

/* @size bytes at @at become @value for the time of a check, which has to say @named. */
static __attribute__((unused)) void plant(void *at, size_t size, unsigned long value,
					  const char *field, const char *named)
{
	unsigned long before = 0;
	bool found;

	plant_bytes((void *)&before, at, size);
	if (!test_check(before != value, __FILE__, __LINE__, "%s is %lx already", field, value))
		return;
	plant_bytes(at, (void *)&value, size);
	test_capture();
	found = !mw_heap_check();
	(void)test_check(found && test_has(test_captured(), named), __FILE__, __LINE__,
			 "%s broken, %s: %s", field, found ? "the check said" : "not found",
			 test_captured());
	plant_bytes(at, (void *)&before, size);
	CHECK(mw_heap_check());
}

#define PLANT(field, value, named)                                                                 \
	plant((void *)&(field), sizeof(field), (unsigned long)(value), #field, named)

#endif
