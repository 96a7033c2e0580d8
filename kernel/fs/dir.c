// SPDX-License-Identifier: MIT
/* Directories: a list of names, and the way up. */
#include "fs.h"
#include "text.h"

uint32_t dir_hash(const struct inode *dir, const char *name, size_t len)
{
	uint32_t hash = (uint32_t)dir->number * 2654435761u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static bool name_is_good(const char *name)
{
	size_t len = text_length(name);

	return len && len <= NAME_MAX && !text_equal(name, ".") && !text_equal(name, "..");
}

/* The link that leads to the name; locked. */
static struct entry **place_of(struct inode *dir, const char *name, uint32_t hash)
{
	struct entry **at = &dir->entries;

	while (*at && !((*at)->hash == hash && text_equal((*at)->name, name)))
		at = &(*at)->next;
	return at;
}

struct entry *dir_find(struct world *world, struct inode *dir, const char *name)
{
	uint32_t hash = dir_hash(dir, name, text_length(name));
	struct entry *entry = cache_get(world, dir, name, hash);

	if (entry)
		return entry;
	mutex_lock(&dir->lock);
	entry = hold(*place_of(dir, name, hash));
	mutex_unlock(&dir->lock);
	if (entry)
		cache_put(world, entry);
	return entry;
}

static struct entry *entry_new(struct world *world, struct inode *dir, const char *name,
			       struct inode *inode)
{
	struct entry *entry = world_new(world, KIND_ENTRY, 0);
	size_t len = text_length(name);

	if (!entry)
		return NULL;
	entry->len = (uint8_t)len;
	entry->hash = dir_hash(dir, name, len);
	memcpy(entry->name, name, len + 1);
	entry->inode = hold(inode);
	return entry;
}

static void set_place(struct entry *entry, struct inode *dir)
{
	unsigned long state = spin_lock(&fs_tree);

	entry->dir = dir;
	spin_unlock(&fs_tree, state);
}

static void lose_place(struct entry *entry, struct inode *dir)
{
	unsigned long state = spin_lock(&fs_tree);

	entry->dir = NULL;
	if (entry->inode->parent == dir)
		entry->inode->parent = NULL;
	spin_unlock(&fs_tree, state);
}

enum fs_error dir_add(struct world *world, struct inode *dir, const char *name, struct inode *inode)
{
	enum fs_error error = FS_OK;
	struct entry *entry;

	if (!name_is_good(name))
		return FS_BAD_NAME;
	entry = entry_new(world, dir, name, inode);
	if (!entry)
		return FS_NO_MEMORY;
	mutex_lock(&dir->lock);
	if (*place_of(dir, name, entry->hash)) {
		error = FS_EXISTS;
	} else {
		set_place(entry, dir);
		entry->next = dir->entries;
		dir->entries = hold(entry);
		dir->size++;
	}
	mutex_unlock(&dir->lock);
	drop(entry);
	return error;
}

/* The entry may live on in files and in the cache, which see that it has no directory. */
enum fs_error dir_remove(struct world *world, struct inode *dir, const char *name)
{
	uint32_t hash = dir_hash(dir, name, text_length(name));
	enum fs_error error = FS_NOT_FOUND;
	struct entry **at, *entry;

	(void)world;
	mutex_lock(&dir->lock);
	at = place_of(dir, name, hash);
	entry = *at;
	if (entry && entry->inode->mounted) {
		error = FS_BUSY;
		entry = NULL;
	} else if (entry) {
		error = FS_OK;
		lose_place(entry, dir);
		*at = entry->next;
		entry->next = NULL;
		dir->size--;
	}
	mutex_unlock(&dir->lock);
	drop(entry);
	return error;
}

struct inode *dir_parent(struct world *world, struct inode *dir)
{
	unsigned long state = spin_lock(&fs_tree);
	struct inode *parent = dir->parent;

	(void)world;
	if (dir->root && parent)
		parent = parent->parent;
	parent = hold_living(parent);
	spin_unlock(&fs_tree, state);
	return parent ? parent : hold(dir);
}

void dir_for_each(struct inode *dir, void (*fn)(struct entry *entry, void *arg), void *arg)
{
	mutex_lock(&dir->lock);
	for (struct entry *entry = dir->entries; entry; entry = entry->next)
		fn(entry, arg);
	mutex_unlock(&dir->lock);
}

struct entry *dir_nth(struct inode *dir, size_t n)
{
	struct entry *entry;

	mutex_lock(&dir->lock);
	entry = dir->entries;
	while (entry && n--)
		entry = entry->next;
	hold(entry);
	mutex_unlock(&dir->lock);
	return entry;
}

void dir_set_parent(struct inode *inode, struct inode *dir)
{
	unsigned long state = spin_lock(&fs_tree);

	inode->parent = dir;
	spin_unlock(&fs_tree, state);
}
