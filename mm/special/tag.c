// SPDX-License-Identifier: MIT
/* Tags: a word of the embedder's own on an object of any kind, gone with it. 0 is no tag. */
#include "special.h"

#if MW_GC

/* Return: whether the object has a tag already, which is now @tag, or is taken off if that is 0. */
static bool change_tag(void *object, uintptr_t tag)
{
	struct mw_record **at, *gone = NULL;
	struct mw_held held;

	if (!mw_records_hold(&held, object, false))
		return false;
	at = mw_record_find(&held, MW_RECORD_TAG);
	if (at && tag)
		((struct mw_tag *)*at)->tag = tag;
	else if (at)
		gone = mw_record_take(held.span, at);
	mw_records_release(&held);
	if (gone)
		mw_record_free(MW_RECORD_TAG, gone);
	return at != NULL;
}

bool mw_tag_set(void *object, uintptr_t tag)
{
	struct mw_tag *fresh;
	struct mw_held held;

	if (change_tag(object, tag))
		return true;
	if (!tag) {
		bool is = mw_records_hold(&held, object, false);

		if (is)
			mw_records_release(&held);
		return is;
	}
	fresh = mw_record_new(MW_RECORD_TAG);
	if (!fresh)
		return false;
	fresh->tag = tag;
	if (mw_record_attach(object, &fresh->record, false))
		return true;
	mw_record_free(MW_RECORD_TAG, fresh);
	return change_tag(object, tag); /* somebody was quicker */
}

uintptr_t mw_tag_get(const void *object)
{
	struct mw_span *span = mw_span_of(object);
	struct mw_record **at;
	struct mw_held held;
	uintptr_t tag = 0;

	if (!span || !mw_span_records(span) || !mw_records_hold(&held, object, false))
		return 0;
	at = mw_record_find(&held, MW_RECORD_TAG);
	if (at)
		tag = ((const struct mw_tag *)*at)->tag;
	mw_records_release(&held);
	return tag;
}

#endif
