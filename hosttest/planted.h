/* SPDX-License-Identifier: MIT */
/* An invariant is broken on purpose, the check has to name it, and the heap is mended again. */
#ifndef HOSTTEST_PLANTED_H
#define HOSTTEST_PLANTED_H

#include "test.h"
#include <marrow/watch.h>

/* @size bytes at @at become @value for the time of a check, which has to say @named. */
static __attribute__((unused)) void plant(void *at, size_t size, unsigned long value,
					  const char *field, const char *named)
{
	unsigned long before = 0;
	bool found;

	__builtin_memcpy(&before, at, size);
	if (!test_check(before != value, __FILE__, __LINE__, "%s is %lx already", field, value))
		return;
	__builtin_memcpy(at, &value, size);
	test_capture();
	found = !mw_heap_check();
	(void)test_check(found && test_has(test_captured(), named), __FILE__, __LINE__,
			 "%s broken, %s: %s", field, found ? "the check said" : "not found",
			 test_captured());
	__builtin_memcpy(at, &before, size);
	CHECK(mw_heap_check());
}

#define PLANT(field, value, named)                                                                 \
	plant((void *)&(field), sizeof(field), (unsigned long)(value), #field, named)

#endif
