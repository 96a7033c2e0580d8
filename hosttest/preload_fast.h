/* SPDX-License-Identifier: MIT */
/* The fast path of an allocation, for malloc() and for operator new. */
#ifndef HOSTTEST_PRELOAD_FAST_H
#define HOSTTEST_PRELOAD_FAST_H

#include "preload.h"
#include "../mm/object/fast.h"

#define MIN_ALIGN 16u

/*
 * The fast path. A thread without a slot of its own has a CPU here whose slots are all empty. Sizes
 * below MIN_ALIGN share the class of that size: see even_out().
 */
static inline void *quick_alloc(size_t size, struct mw_cpu *cpu)
{
	if (mw_likely(size <= MW_FINE_MAX))
		return mw_slot_take(cpu->fine[(size + 7) / 8]);
	if (mw_likely(size <= MW_SMALL_MAX))
		return mw_slot_take(cpu->slot[mw_class_of(&mw_object.classes, size)]);
	return NULL;
}

/* What quick_alloc() did not have; NULL: out of memory. */
void *preload_other_alloc(size_t size, struct mw_cpu *cpu);

#endif
