// SPDX-License-Identifier: MIT
/*
 * Cleanups: calls for when an object is gone.
 *
 * A handle outlives its cleanup, and a record is used again. So it is not the record's address alone but
 * has a stamp in the bits of it that are always the same: the low ones, and with words of 64 bits
 * those above the heap's window. Records stay cleanups for ever, so an old handle leads to one, whose
 * stamp is another one: unless it was used again 2^19 times since (2^3 with 32 bits).
 *
 * record.own is 1 in a stamp that is handed out: no handle is NULL.
 */
#include "special.h"

#if MW_GC

#define LOW_BITS 4 /* mw_fixed_alloc() aligns to 16 */
#define HIGH_SHIFT 48
#define HIGH_BITS (MW_WORD_BITS > HIGH_SHIFT ? 16 : 0)
#define STAMP_MASK ((1ul << (LOW_BITS + HIGH_BITS)) - 1)

static struct mw_cleanup *handle_of(const struct mw_cleanup_record *cleanup, unsigned long stamp)
{
	uintptr_t at = (uintptr_t)cleanup - (uintptr_t)MW_ADDR_BASE;

	at |= stamp & ((1ul << LOW_BITS) - 1);
	if (HIGH_BITS)
		at |= (uint64_t)(stamp >> LOW_BITS) << HIGH_SHIFT;
	return (struct mw_cleanup *)at;
}

static struct mw_cleanup_record *record_of(const struct mw_cleanup *handle, unsigned long *stamp)
{
	uintptr_t at = (uintptr_t)handle;

	*stamp = at & ((1ul << LOW_BITS) - 1);
	at -= *stamp;
	if (HIGH_BITS) {
		*stamp |= (unsigned long)((uint64_t)at >> HIGH_SHIFT << LOW_BITS);
		at &= (uintptr_t)(((uint64_t)1 << HIGH_SHIFT) - 1);
	}
	return (struct mw_cleanup_record *)(at + (uintptr_t)MW_ADDR_BASE);
}

/* Stamps are odd, and differ from the one of the life before. */
static unsigned long next_stamp(struct mw_cleanup_record *cleanup)
{
	unsigned long stamp = ((mw_word(&cleanup->stamp) | 1) + 2) & STAMP_MASK;

	atomic_store_explicit(&cleanup->stamp, stamp, memory_order_relaxed);
	return stamp;
}

bool mw_cleanup_end(struct mw_record *record, void *object, enum mw_end how)
{
	struct mw_cleanup_record *cleanup = (struct mw_cleanup_record *)record;

	(void)object, (void)how;
	atomic_store_explicit(&cleanup->object, NULL, memory_order_release);
	mw_queue_cleanup(cleanup);
	return false;
}

struct mw_cleanup *mw_cleanup_add(void *object, void (*fn)(void *arg), void *arg)
{
	struct mw_cleanup_record *cleanup = mw_record_new(MW_RECORD_CLEANUP);
	struct mw_cleanup *handle;

	if (!cleanup)
		return NULL;
	cleanup->fn = fn;
	cleanup->arg = arg;
	handle = handle_of(cleanup, next_stamp(cleanup));
	atomic_store_explicit(&cleanup->object, object, memory_order_release);
	if (mw_record_attach(object, &cleanup->record, true))
		return handle;
	atomic_store_explicit(&cleanup->object, NULL, memory_order_relaxed);
	mw_record_free(MW_RECORD_CLEANUP, cleanup);
	return NULL;
}

/* Among those of the held object. */
static struct mw_record **find(const struct mw_held *held, const struct mw_cleanup_record *cleanup)
{
	struct mw_record **at = mw_record_find(held, MW_RECORD_CLEANUP);

	while (at && *at && *at != &cleanup->record)
		at = &(*at)->next;
	return at && *at ? at : NULL;
}

bool mw_cleanup_cancel(struct mw_cleanup *handle)
{
	unsigned long stamp;
	struct mw_cleanup_record *cleanup;
	struct mw_record **at = NULL;
	struct mw_held held;
	void *object;

	if (!handle)
		return false;
	cleanup = record_of(handle, &stamp);
	object = atomic_load_explicit(&cleanup->object, memory_order_acquire);
	if (!object || mw_word(&cleanup->stamp) != stamp || !mw_records_hold(&held, object, true))
		return false;
	/* It is on this object if it is found there; and it is this life if the stamp still says so. */
	if (mw_word(&cleanup->stamp) == stamp)
		at = find(&held, cleanup);
	if (at) {
		mw_record_take(held.span, at);
		atomic_store_explicit(&cleanup->object, NULL, memory_order_release);
	}
	mw_records_release(&held);
	if (at)
		mw_record_free(MW_RECORD_CLEANUP, cleanup);
	return at != NULL;
}

#endif
