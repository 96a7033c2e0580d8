// SPDX-License-Identifier: MIT
/*
 * The cache of names: where a name was found last. It keeps nothing: a slot refers to its entry weakly,
 * and an entry that was removed, moved or collected is seen to be so when it is looked at. So nobody
 * has to tell the cache of anything.
 */
#include "fs.h"
#include "text.h"

static struct cache_slot *slot_of(struct cache *cache, uint32_t hash)
{
	return &cache->slots[hash % CACHE_SLOTS];
}

struct entry *cache_get(struct world *world, struct inode *dir, const char *name, uint32_t hash)
{
	struct cache_slot *slot = slot_of(world->cache, hash);
	struct entry *entry = NULL;
	unsigned long state = spin_lock(&world->cache->lock);

	if (slot->hash == hash && slot->entry)
		entry = world->owner->weak_get(slot->entry);
	spin_unlock(&world->cache->lock, state);
	atomic_fetch_add_explicit(&world->lookups, 1, memory_order_relaxed);
	if (entry && (entry->dir != dir || !text_equal(entry->name, name))) {
		drop(entry);
		entry = NULL;
	}
	if (entry)
		atomic_fetch_add_explicit(&world->hits, 1, memory_order_relaxed);
	return entry;
}

/* Return: the weak reference that was there. */
static void *put(struct cache *cache, struct cache_slot *slot, uint32_t hash, void *weak)
{
	unsigned long state = spin_lock(&cache->lock);
	void *old = slot->entry;

	slot->hash = hash;
	slot->entry = weak;
	spin_unlock(&cache->lock, state);
	return old;
}

/* Nothing is lost if there is no memory for it. */
void cache_put(struct world *world, struct entry *entry)
{
	void *weak = world->owner->weak_new(&entry->object);

	if (weak)
		world->owner->weak_free(
			put(world->cache, slot_of(world->cache, entry->hash), entry->hash, weak));
}

void cache_clear(struct world *world)
{
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		world->owner->weak_free(put(world->cache, &world->cache->slots[i], 0, NULL));
}
