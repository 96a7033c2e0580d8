/* SPDX-License-Identifier: MIT */
/* Failing on purpose: mw_fail_set() of <marrow/mm.h>. One predictable test when off. */
#ifndef MW_BASE_FAIL_H
#define MW_BASE_FAIL_H

#include "base.h"

extern mw_atomic_t mw_fail_on; /* 0: off */

enum mw_fail_kind {
	MW_FAIL_OBJECT,
	MW_FAIL_PAGES,
	MW_FAIL_OWN, /* what Marrow takes for itself: runs for spans and stocks, records, growth of a region */
};

MW_NOINLINE bool mw_fail_now(size_t bytes, enum mw_fail_kind kind, uintptr_t site);

/*
 * Defined by mm/object, if it is there: failing begins or ends. Its fast paths do not ask whether
 * they should fail; they are switched off meanwhile.
 */
void mw_up_fail_set(bool on) __attribute__((weak));

static inline bool mw_should_fail(size_t bytes, enum mw_fail_kind kind, uintptr_t site)
{
	return mw_unlikely(atomic_load_explicit(&mw_fail_on, memory_order_relaxed)) &&
	       mw_fail_now(bytes, kind, site);
}

#endif
