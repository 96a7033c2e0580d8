/* SPDX-License-Identifier: MIT */
/*
 * Assertions at three prices. Those that are off still compile.
 *
 * MW_ASSERT   always on: a few instructions against a corruption that could not be told later
 * MW_DASSERT  MW_DEBUG >= 1: preconditions between rooms, lock ranks
 * MW_WASSERT  MW_DEBUG >= 2: walks over whole structures
 *
 * A caller's mistake is not an assertion: it is a misuse, see report.h.
 */
#ifndef MW_BASE_ASSERT_H
#define MW_BASE_ASSERT_H

#include "base.h"

_Noreturn MW_NOINLINE void mw_assert_failed(const char *what, const char *file, int line);

#define MW_ASSERT(cond)                                                                            \
	do {                                                                                       \
		if (mw_unlikely(!(cond)))                                                          \
			mw_assert_failed(#cond, __FILE__, __LINE__);                               \
	} while (0)
#define MW_ASSERT_IF(on, cond)                                                                     \
	do {                                                                                       \
		if ((on) && mw_unlikely(!(cond)))                                                  \
			mw_assert_failed(#cond, __FILE__, __LINE__);                               \
	} while (0)
#define MW_DASSERT(cond) MW_ASSERT_IF(MW_DEBUG >= 1, cond)
#define MW_WASSERT(cond) MW_ASSERT_IF(MW_DEBUG >= 2, cond)

/*
 * Checkers of structures: `bool mw_x_check(struct x *x)` tests fields in order and says which
 * invariant is the first that does not hold.
 */
MW_NOINLINE bool mw_check_failed(const char *what, const char *file, int line, const void *object);
#define MW_CHECK(object, cond)                                                                     \
	do {                                                                                       \
		if (mw_unlikely(!(cond)))                                                          \
			return mw_check_failed(#cond, __FILE__, __LINE__, object);                 \
	} while (0)

#endif
