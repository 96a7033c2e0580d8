// SPDX-License-Identifier: MIT
/*
 * Which caches there are. The table is this file's alone: others walk it with mw_cache_next(), which
 * holds the cache that it is at, so that nobody reads the record of a cache that ended meanwhile.
 *
 * A cache that is held may be destroyed. Its record then stays as it was, dead, and is not used again
 * before it is given back; who destroys waits for nobody. A record never goes back to its allocator,
 * and is not cleared: its lock and its lists, which are empty, stay valid. So who reads the
 * cache of a span that leaves, and takes that cache's lock, finds under it that the span is none of its.
 */
#include "inside.h"

/* Records of dead caches that are kept before one is used again: a call with one is recognised. */
#define MW_CACHES_DEAD 8

/* All of it under mw_object.lock. */
static struct {
	struct mw_cache *by_id[MW_MAX_CACHES];
	unsigned int end; /* no cache has, or had, this number or a higher one */
	struct mw_list dead; /* longest dead first */
	unsigned int dead_count;
} mw_caches;

void mw_cache_first(void *record)
{
	struct mw_cache *cache = record;

	mw_lock_init(&cache->lock, MW_RANK_CENTRAL);
	mw_list_init(&cache->some);
	mw_list_init(&cache->full);
	mw_list_init(&cache->debug_spans);
	cache->name = cache->own_name;
}

void mw_caches_begin(void)
{
	mw_caches.end = mw_caches.dead_count = 0;
	__builtin_memset(mw_caches.by_id, 0, sizeof(mw_caches.by_id));
	mw_list_init(&mw_caches.dead);
}

struct mw_cache *mw_cache_by_id_locked(unsigned int id)
{
	return id < mw_caches.end ? mw_caches.by_id[id] : NULL;
}

unsigned int mw_cache_free_id_locked(void)
{
	unsigned int id = MW_NR_BUILTIN;

	while (id < mw_caches.end && mw_caches.by_id[id])
		id++;
	return id;
}

void mw_cache_enter_locked(struct mw_cache *cache, unsigned int id)
{
	MW_ASSERT(!mw_cache_by_id_locked(id));
	__atomic_store_n(&cache->id, id, __ATOMIC_RELAXED);
	cache->live = true;
	mw_caches.by_id[id] = cache;
	mw_caches.end = mw_max(mw_caches.end, id + 1);
}

void mw_cache_bury_locked(struct mw_cache *cache)
{
	if (cache->live) {
		mw_caches.by_id[cache->id] = NULL;
		mw_object.gone_allocs += cache->allocs;
		mw_object.gone_bytes += (uint64_t)cache->allocs * cache->size;
		mw_object.gone_remote += cache->remote_frees;
	}
	cache->live = false;
	/* Fast paths find a slot without objects there, and go where they are told. */
	__atomic_store_n(&cache->id, MW_NO_CACHE_ID, __ATOMIC_RELAXED);
	atomic_store_explicit(&cache->debug, 0, memory_order_relaxed);
	mw_list_push_back(&mw_caches.dead, &cache->dead);
	mw_caches.dead_count++;
}

struct mw_cache *mw_cache_dig_locked(bool any)
{
	struct mw_list *it;

	if (!any && mw_caches.dead_count <= MW_CACHES_DEAD)
		return NULL;
	/* Those that are held are few: one for each walk that is under way. */
	mw_list_for_each (it, &mw_caches.dead) {
		struct mw_cache *cache = mw_container(it, struct mw_cache, dead);

		if (cache->uses)
			continue;
		mw_list_remove(it);
		mw_caches.dead_count--;
		return cache;
	}
	return NULL;
}

size_t mw_caches_buried(void)
{
	unsigned long state = mw_lock(&mw_object.lock);
	size_t count = mw_caches.dead_count;

	mw_unlock(&mw_object.lock, state);
	return count;
}

static void mw_cache_put_locked(struct mw_cache_cursor *cursor)
{
	if (cursor->at) {
		MW_ASSERT(cursor->at->uses);
		cursor->at->uses--;
	}
	cursor->at = NULL;
}

struct mw_cache *mw_cache_next(struct mw_cache_cursor *cursor)
{
	unsigned long state = mw_lock(&mw_object.lock);

	mw_cache_put_locked(cursor);
	while (!cursor->at && cursor->next < mw_caches.end)
		cursor->at = mw_caches.by_id[cursor->next++];
	if (cursor->at)
		cursor->at->uses++;
	mw_unlock(&mw_object.lock, state);
	return cursor->at;
}

void mw_cache_leave(struct mw_cache_cursor *cursor)
{
	unsigned long state = mw_lock(&mw_object.lock);

	mw_cache_put_locked(cursor);
	mw_unlock(&mw_object.lock, state);
}

MW_NOINLINE bool mw_cache_refuses_dead(const struct mw_cache *cache, uintptr_t site)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.text = cache ? "the cache was destroyed" : "there is no cache",
		.given_cache = cache ? cache->name : NULL,
		.here.pcs[0] = site,
	};

	if (cache && cache->live)
		return false;
	mw_misuse(&report);
	return true;
}
