// SPDX-License-Identifier: MIT
/* Objects whose place in the source is told of their end: only where that is built in, see <marrow/sites.h>. */
#include "special.h"

#if MW_GC

bool mw_site_record_end(struct mw_record *record, void *object, enum mw_end how)
{
	const struct mw_site_record *site = (const struct mw_site_record *)record;

	(void)object, (void)how;
	mw_site_end(site->site, site->bytes);
	return true;
}

/* While a mark is under way, records are looked at without a lock: an interrupt's objects are not followed. */
bool mw_up_site_attach(void *site, void *object, size_t bytes)
{
	struct mw_site_record *record;

	if (mw_up_marking())
		return false;
	record = mw_record_new(MW_RECORD_SITE);
	if (!record)
		return false;
	record->site = site;
	record->bytes = bytes;
	if (mw_record_attach(object, &record->record, false))
		return true;
	mw_record_free(MW_RECORD_SITE, record);
	return false;
}

#endif
