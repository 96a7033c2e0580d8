// SPDX-License-Identifier: MIT
/* See mm/base/hold.h. */
#include "../base/hold.h"
#include "inside.h"

static void mw_caches_hold(bool hold)
{
	for (unsigned int id = 0; id < MW_MAX_CACHES; id++) {
		struct mw_cache *cache = mw_cache_by_id_locked(id);

		if (cache)
			mw_hold(&cache->lock, hold);
	}
}

static void mw_rooms_hold(bool hold)
{
	mw_page_hold_registry(hold);
	mw_caches_hold(hold);
	mw_hold(&mw_object.slots.lock, hold);
	mw_hold(&mw_object.caches.lock, hold);
	for (unsigned int i = 0; i < MW_LEN(mw_object.bitmaps); i++)
		mw_hold(&mw_object.bitmaps[i].lock, hold);
	mw_page_hold(hold);
}

/* Caches come and go under mw_object.lock: it is taken first and given back last. */
void mw_hold_all(void)
{
	mw_object_ready();
	mw_lock_pinned(&mw_object.lock);
	mw_rooms_hold(true);
}

void mw_unhold_all(void)
{
	mw_rooms_hold(false);
	mw_unlock_pinned(&mw_object.lock);
}
