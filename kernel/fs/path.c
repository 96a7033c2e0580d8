// SPDX-License-Identifier: MIT
/* Paths: from a task's directory or the root, name by name, up by "..", over to what is mounted. */
#include "fs.h"
#include "text.h"

/* The next name of the path, skipped; false at its end, or if it is too long (then @error). */
static bool next_name(const char **path, char *name, enum fs_error *error)
{
	size_t len = 0;

	while (**path == '/')
		(*path)++;
	if (!**path)
		return false;
	while (**path && **path != '/') {
		if (len == NAME_MAX) {
			*error = FS_BAD_NAME;
			return false;
		}
		name[len++] = *(*path)++;
	}
	name[len] = '\0';
	return true;
}

static bool at_end(const char *path)
{
	while (*path == '/')
		path++;
	return !*path;
}

/* What covers it. Takes and gives a held one. */
static struct inode *cross(struct inode *inode)
{
	struct inode *over;

	while (inode->mounted) {
		mutex_lock(&inode->lock);
		over = hold(inode->mounted);
		mutex_unlock(&inode->lock);
		if (!over)
			break;
		drop(inode);
		inode = over;
	}
	return inode;
}

/* One step; takes a held one. NULL: there is no such name. */
static struct inode *step(struct world *world, struct inode *dir, const char *name)
{
	struct inode *to = NULL;
	struct entry *entry;

	if (text_equal(name, "."))
		return dir;
	if (text_equal(name, "..")) {
		to = dir_parent(world, dir);
	} else {
		entry = dir_find(world, dir, name);
		to = entry ? cross(hold(entry->inode)) : NULL;
		drop(entry);
	}
	drop(dir);
	return to;
}

static struct inode *start(struct task *task, const char *path)
{
	struct inode *dir;

	if (*path == '/')
		return cross(hold(task->world->root));
	mutex_lock(&task->lock);
	dir = hold(task->cwd);
	mutex_unlock(&task->lock);
	return dir;
}

struct inode *path_inode(struct task *task, const char *path, enum fs_error *error)
{
	struct inode *inode = start(task, path);
	char name[NAME_MAX + 1];

	*error = FS_OK;
	while (next_name(&path, name, error)) {
		if (inode->type != INODE_DIR) {
			drop(inode);
			*error = FS_NO_DIRECTORY;
			return NULL;
		}
		inode = step(task->world, inode, name);
		if (!inode) {
			*error = FS_NOT_FOUND;
			return NULL;
		}
	}
	if (*error) {
		drop(inode);
		return NULL;
	}
	return inode;
}

struct inode *path_dir(struct task *task, const char *path, char *last, enum fs_error *error)
{
	struct inode *dir = start(task, path);

	*error = FS_OK;
	last[0] = '\0';
	while (next_name(&path, last, error) && !at_end(path)) {
		dir = dir->type == INODE_DIR ? step(task->world, dir, last) : (drop(dir), NULL);
		if (!dir) {
			*error = FS_NOT_FOUND;
			return NULL;
		}
	}
	if (!*error && !last[0])
		*error = FS_BAD_NAME;
	if (!*error && dir->type != INODE_DIR)
		*error = FS_NO_DIRECTORY;
	if (*error) {
		drop(dir);
		return NULL;
	}
	return dir;
}

/* ---- the other way round ---- */

struct search {
	const struct inode *inode;
	char name[NAME_MAX + 1];
};

static void compare(struct entry *entry, void *arg)
{
	struct search *search = arg;

	if (entry->inode == search->inode || entry->inode->mounted == search->inode)
		memcpy(search->name, entry->name, sizeof(search->name));
}

void path_print(struct world *world, struct inode *dir, char *text, size_t size)
{
	char path[PATH_SIZE] = "", longer[PATH_SIZE];
	struct inode *at = hold(dir), *up;

	while ((up = dir_parent(world, at)) != at) {
		struct search search = { .inode = at, .name = "?" };

		dir_for_each(up, compare, &search);
		mw_format(longer, sizeof(longer), "/%s%s", search.name, path);
		memcpy(path, longer, sizeof(path));
		drop(at);
		at = up;
	}
	drop(up);
	if (at != world->root)
		mw_format(text, size, "(gone)%s", path);
	else
		mw_format(text, size, "%s", path[0] ? path : "/");
	drop(at);
}
