// SPDX-License-Identifier: MIT
/* Tasks: a name, a directory, open files; and how they come and go. */
#include "fs.h"

struct task *task_begin(struct world *world, const char *name)
{
	struct task *task = world_new(world, KIND_TASK, 0);

	if (!task)
		return NULL;
	mw_format(task->name, sizeof(task->name), "%s", name);
	task->world = world;
	mutex_init(&task->lock);
	task->cwd = hold(world->root);
	mutex_lock(&world->names);
	task->next = world->tasks;
	world->tasks = hold(task);
	mutex_unlock(&world->names);
	return task;
}

/* The world's hold on it. */
static struct task *leave_world(struct task *task)
{
	struct task **at = &task->world->tasks, *found;

	mutex_lock(&task->world->names);
	while (*at && *at != task)
		at = &(*at)->next;
	found = *at;
	if (found) {
		*at = found->next;
		found->next = NULL;
	}
	mutex_unlock(&task->world->names);
	return found;
}

/*
 * Where holders are counted a task and its files hold each other, and files must be closed by hand, or
 * nobody ever does.
 */
void task_end(struct task *task)
{
	drop(leave_world(task));
	for (int i = 0; task->object.counted && i < (int)TASK_FILES; i++)
		file_close(task, i);
	drop(task);
}

/* ---- the table of open files ---- */

int file_give(struct task *task, struct file *file)
{
	int number = 0;

	mutex_lock(&task->lock);
	while (number < (int)TASK_FILES && task->files[number])
		number++;
	if (number < (int)TASK_FILES) {
		task->files[number] = hold(file);
		REPLACE(file->owner, hold(task));
	}
	mutex_unlock(&task->lock);
	return number < (int)TASK_FILES ? number : -1;
}

struct file *file_take(struct task *task, int number)
{
	struct task *owner = NULL;
	struct file *file = NULL;

	if (number < 0 || number >= (int)TASK_FILES)
		return NULL;
	mutex_lock(&task->lock);
	file = task->files[number];
	task->files[number] = NULL;
	if (file) {
		owner = file->owner;
		file->owner = NULL;
	}
	mutex_unlock(&task->lock);
	drop(owner);
	return file;
}

void file_close(struct task *task, int number)
{
	drop(file_take(task, number));
}

static struct file *file_of(struct task *task, int number)
{
	struct file *file = NULL;

	if (number < 0 || number >= (int)TASK_FILES)
		return NULL;
	mutex_lock(&task->lock);
	file = hold(task->files[number]);
	mutex_unlock(&task->lock);
	return file;
}

size_t file_read(struct task *task, int number, void *to, size_t n)
{
	struct file *file = file_of(task, number);

	if (!file)
		return 0;
	if (file->inode->type == INODE_PIPE) {
		n = pipe_read((struct pipe *)file->inode->device, to, n);
	} else {
		n = inode_read(file->inode, file->position, to, n);
		file->position += n;
	}
	drop(file);
	return n;
}

size_t file_write(struct task *task, int number, const void *from, size_t n)
{
	struct file *file = file_of(task, number);

	if (!file)
		return 0;
	if (file->inode->type == INODE_PIPE) {
		n = pipe_write((struct pipe *)file->inode->device, from, n);
	} else {
		n = inode_write(task->world, file->inode, file->position, from, n);
		file->position += n;
	}
	drop(file);
	return n;
}
