// SPDX-License-Identifier: MIT
/* Finalizers: set and cleared. What makes them due is in death.c, who runs them in queue.c. */
#include "special.h"

#if MW_GC

bool mw_finalizer_set(void *object, void (*fn)(void *object, void *arg), void *arg)
{
	struct mw_finalizer *finalizer = mw_record_new(MW_RECORD_FINALIZER);

	if (!finalizer)
		return false;
	finalizer->fn = fn;
	finalizer->arg = arg;
	if (mw_record_attach(object, &finalizer->record, true))
		return true;
	mw_record_free(MW_RECORD_FINALIZER, finalizer);
	return false;
}

bool mw_finalizer_get(void *object, void (**fn)(void *object, void *arg), void **arg)
{
	struct mw_finalizer finalizer = { 0 };
	struct mw_record **at;
	struct mw_held held;

	if (!mw_records_hold(&held, object, true))
		return false;
	at = mw_record_find(&held, MW_RECORD_FINALIZER);
	if (at)
		finalizer = *(const struct mw_finalizer *)*at;
	mw_records_release(&held);
	if (at && fn)
		*fn = finalizer.fn;
	if (at && arg)
		*arg = finalizer.arg;
	return at != NULL;
}

bool mw_finalizer_clear(void *object)
{
	struct mw_record *record = NULL, **at;
	struct mw_held held;

	if (!mw_records_hold(&held, object, true))
		return false;
	at = mw_record_find(&held, MW_RECORD_FINALIZER);
	if (at)
		record = mw_record_take(held.span, at);
	mw_records_release(&held);
	if (record)
		mw_record_free(MW_RECORD_FINALIZER, record);
	return record != NULL;
}

#endif
