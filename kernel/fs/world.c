// SPDX-License-Identifier: MIT
/* A world: its root, its cache and bus; and directories that cover others. */
#include "fs.h"

void *world_new(struct world *world, enum kind kind, size_t extra)
{
	return world->owner->make(kind, extra);
}

struct world *world_begin(const struct owner *owner)
{
	struct world *world = mw_alloc(sizeof(*world), MW_ZERO | MW_POINTERS);
	struct cache *cache = mw_alloc(sizeof(*cache), MW_ZERO | MW_POINTERS);

	if (world && cache) {
		world->owner = owner;
		world->cache = cache;
		mutex_init(&world->names);
		world->root = inode_new(world, INODE_DIR);
	}
	if (world && world->root) {
		world->root->root = true;
		return world;
	}
	mw_free(cache);
	mw_free(world);
	return NULL;
}

void world_end(struct world *world)
{
	cache_clear(world);
	for (size_t i = 0; i < BUS_MEMBERS; i++)
		world->owner->weak_free(world->bus.members[i]);
	while (world->tasks)
		task_end(hold(world->tasks));
	REPLACE(world->root, NULL);
	mw_free(world->cache);
	mw_free(world);
}

static enum fs_error cover(struct inode *at, struct inode *root)
{
	mutex_lock(&at->lock);
	if (at->mounted) {
		mutex_unlock(&at->lock);
		return FS_BUSY;
	}
	root->root = true;
	dir_set_parent(root, at);
	at->mounted = hold(root);
	mutex_unlock(&at->lock);
	return FS_OK;
}

/* An empty directory covers that of the path, until it is unmounted. */
enum fs_error fs_mount(struct task *task, const char *path)
{
	struct world *world = task->world;
	enum fs_error error;
	struct inode *at = path_inode(task, path, &error), *root;

	if (!at)
		return error;
	root = inode_new(world, INODE_DIR);
	if (!root)
		error = FS_NO_MEMORY;
	else if (at->type != INODE_DIR)
		error = FS_NO_DIRECTORY;
	else if (at == world->root)
		error = FS_BUSY;
	else
		error = cover(at, root);
	drop(root);
	drop(at);
	return error;
}

/* The path leads to the root of what is mounted: its parent is what it covers. */
enum fs_error fs_unmount(struct task *task, const char *path)
{
	enum fs_error error;
	struct inode *root = path_inode(task, path, &error), *at, *mounted = NULL;
	unsigned long state;

	if (!root)
		return error;
	state = spin_lock(&fs_tree);
	at = root->root ? hold_living(root->parent) : NULL;
	spin_unlock(&fs_tree, state);
	if (at) {
		mutex_lock(&at->lock);
		state = spin_lock(&fs_tree);
		mounted = at->mounted;
		if (mounted)
			mounted->parent = NULL;
		spin_unlock(&fs_tree, state);
		at->mounted = NULL;
		mutex_unlock(&at->lock);
	}
	drop(mounted);
	drop(at);
	drop(root);
	return mounted ? FS_OK : FS_WRONG_TYPE;
}
