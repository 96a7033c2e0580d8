// SPDX-License-Identifier: MIT
/* The ends of assertions and of structure checks. */
#include "assert.h"
#include "level.h"
#include "report.h"

_Noreturn MW_NOINLINE void mw_assert_failed(const char *what, const char *file, int line)
{
	char why[160];

	mw_format(why, sizeof(why), "assertion failed: %s (%s:%d)", what, file, line);
	mw_print("marrow: %s\n", why);
	mw_port_panic(why);
}

MW_NOINLINE bool mw_check_failed(const char *what, const char *file, int line, const void *object)
{
	mw_print("marrow: check failed: %s (%s:%d)\n  object: %p\n", what, file, line, object);
	return false;
}
