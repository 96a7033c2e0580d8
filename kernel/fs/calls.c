// SPDX-License-Identifier: MIT
/* What a task asks the file system for, by path. */
#include "fs.h"

static struct inode *make_inode(struct world *world, enum inode_type type, enum fs_error *error)
{
	struct inode *inode = inode_new(world, type);

	*error = inode ? FS_OK : FS_NO_MEMORY;
	if (inode && type == INODE_PIPE)
		inode->device = (struct object *)pipe_new(world, error);
	if (inode && type == INODE_PORT)
		inode->device = (struct object *)port_new(world, error);
	if (*error) {
		drop(inode);
		return NULL;
	}
	return inode;
}

enum fs_error fs_make(struct task *task, const char *path, enum inode_type type)
{
	char name[NAME_MAX + 1];
	enum fs_error error;
	struct inode *dir = path_dir(task, path, name, &error), *inode;

	if (!dir)
		return error;
	inode = make_inode(task->world, type, &error);
	if (inode && type == INODE_DIR)
		dir_set_parent(inode, dir);
	if (inode)
		error = dir_add(task->world, dir, name, inode);
	drop(inode);
	drop(dir);
	return error;
}

/* A second name, of a directory too: in a counted world such a ring is never released. */
enum fs_error fs_link(struct task *task, const char *from, const char *to)
{
	char name[NAME_MAX + 1];
	enum fs_error error;
	struct inode *inode = path_inode(task, from, &error), *dir = NULL;

	if (inode)
		dir = path_dir(task, to, name, &error);
	if (dir)
		error = dir_add(task->world, dir, name, inode);
	drop(dir);
	drop(inode);
	return error;
}

enum fs_error fs_remove(struct task *task, const char *path)
{
	char name[NAME_MAX + 1];
	enum fs_error error;
	struct inode *dir = path_dir(task, path, name, &error);

	if (dir)
		error = dir_remove(task->world, dir, name);
	drop(dir);
	return error;
}

/* Is @dir @inode, or below it? world->names is held, so no directory moves. */
static bool is_inside(struct world *world, struct inode *dir, const struct inode *inode)
{
	struct inode *at = hold(dir), *up;
	bool inside = at == inode;

	while (!inside && (up = dir_parent(world, at)) != at) {
		drop(at);
		at = up;
		inside = at == inode;
	}
	if (!inside)
		drop(at);
	drop(at);
	return inside;
}

struct move {
	struct inode *from, *to, *inode;
	char old[NAME_MAX + 1], new[NAME_MAX + 1];
};

static enum fs_error move(struct world *world, struct move *m)
{
	bool is_dir = m->inode->type == INODE_DIR;
	enum fs_error error;

	if (is_dir && is_inside(world, m->to, m->inode))
		return FS_INSIDE_ITSELF;
	if (m->inode->root)
		return FS_BUSY;
	error = dir_add(world, m->to, m->new, m->inode);
	if (error)
		return error;
	error = dir_remove(world, m->from, m->old);
	if (is_dir)
		dir_set_parent(m->inode, m->to);
	return error;
}

enum fs_error fs_move(struct task *task, const char *from, const char *to)
{
	struct move m = { .from = NULL };
	enum fs_error error;

	mutex_lock(&task->world->names);
	m.from = path_dir(task, from, m.old, &error);
	if (m.from)
		m.inode = path_inode(task, from, &error);
	if (m.inode)
		m.to = path_dir(task, to, m.new, &error);
	if (m.to)
		error = move(task->world, &m);
	mutex_unlock(&task->world->names);
	drop(m.to);
	drop(m.inode);
	drop(m.from);
	return error;
}

enum fs_error fs_chdir(struct task *task, const char *path)
{
	enum fs_error error;
	struct inode *dir = path_inode(task, path, &error), *old = dir;

	if (dir && dir->type != INODE_DIR)
		error = FS_NO_DIRECTORY;
	if (dir && !error) {
		mutex_lock(&task->lock);
		old = task->cwd;
		task->cwd = dir;
		mutex_unlock(&task->lock);
	}
	drop(old);
	return error;
}

/* ---- open ---- */

static struct entry *find_or_make(struct task *task, struct inode *dir, const char *name,
				  bool create, enum fs_error *error)
{
	struct entry *entry = dir_find(task->world, dir, name);
	struct inode *inode;

	if (entry || !create) {
		*error = entry ? FS_OK : FS_NOT_FOUND;
		return entry;
	}
	inode = make_inode(task->world, INODE_FILE, error);
	if (inode)
		*error = dir_add(task->world, dir, name, inode);
	drop(inode);
	/* Somebody else may have made it, or removed it again. */
	if (!*error || *error == FS_EXISTS) {
		entry = dir_find(task->world, dir, name);
		*error = entry ? FS_OK : FS_NOT_FOUND;
	}
	return entry;
}

static struct file *file_new(struct world *world, struct entry *entry, enum fs_error *error)
{
	struct file *file = NULL;

	if (entry->inode->type == INODE_DIR)
		*error = FS_IS_DIRECTORY;
	else if (!(file = world_new(world, KIND_FILE, 0)))
		*error = FS_NO_MEMORY;
	if (!file)
		return NULL;
	file->inode = hold(entry->inode);
	file->entry = hold(entry);
	return file;
}

int file_open(struct task *task, const char *path, bool create, enum fs_error *error)
{
	char name[NAME_MAX + 1];
	struct inode *dir = path_dir(task, path, name, error);
	struct entry *entry = dir ? find_or_make(task, dir, name, create, error) : NULL;
	struct file *file = entry ? file_new(task->world, entry, error) : NULL;
	int number = file ? file_give(task, file) : -1;

	if (file && number < 0)
		*error = FS_TOO_MANY;
	drop(file);
	drop(entry);
	drop(dir);
	return number;
}
