// SPDX-License-Identifier: MIT
/*
 * The file system under many threads: all of them make, write, read, move, link and remove the same few
 * names. Bytes that are read are those that this inode has at that place, or zero.
 */
#include "fs/fs.h"
#include "storm.h"
#include "thread.h"

#define DIRS 24u
#define FILES 24u /* in each directory */
#define WORD sizeof(uint64_t)
#define CHUNK 512u /* bytes that are written or read at a time */
#define MOST 3000u /* bytes that are written at once */
#define LIVE_FILE 8192u /* bytes of a file that only lives */
#define OPEN 4 /* files that a task keeps open; the rest closes at once */

static struct world *world;
static struct task *tasks[STORM_THREADS];

/* Files are written in whole words, so that to make and to check them is not what takes the time. */
static uint64_t word_at(const struct inode *inode, size_t at)
{
	return (at / WORD + inode->number * 0x9e3779b97f4a7c15) | 1;
}

static void fill(const struct inode *inode, size_t at, uint64_t *words, size_t bytes)
{
	for (size_t i = 0; i < bytes / WORD; i++)
		words[i] = word_at(inode, at + i * WORD);
}

/* ---- what only lives ---- */

static bool grow_file(struct task *task, const char *path)
{
	uint64_t words[CHUNK / WORD];
	enum fs_error error;
	int number = file_open(task, path, true, &error);
	size_t n = 0;

	for (size_t at = 0; number >= 0 && at < LIVE_FILE; at += CHUNK) {
		fill(task->files[number]->inode, at, words, sizeof(words));
		n += file_write(task, number, words, sizeof(words));
	}
	file_close(task, number);
	return n == LIVE_FILE;
}

/* Directories of sixteen files below /live, of so many bytes together. */
static bool grow(struct task *task, size_t bytes)
{
	char path[64];

	if (fs_make(task, "/live", INODE_DIR))
		return false;
	for (size_t i = 0; i < bytes / LIVE_FILE; i++) {
		mw_format(path, sizeof(path), "/live/a%zu", i >> 8);
		(void)fs_make(task, path, INODE_DIR);
		mw_format(path, sizeof(path), "/live/a%zu/b%zu", i >> 8, i >> 4);
		(void)fs_make(task, path, INODE_DIR);
		mw_format(path, sizeof(path), "/live/a%zu/b%zu/f%zu", i >> 8, i >> 4, i);
		if (!grow_file(task, path))
			return false;
	}
	return true;
}

/* ---- what a thread does ---- */

static void pick(unsigned int i, char *path)
{
	uint64_t random = storm_random(i);

	mw_format(path, 32, "/d%u/%c%u", (unsigned int)(random % DIRS),
		  random >> 8 & 15 ? 'f' : 's', (unsigned int)((random >> 16) % FILES));
}

static void make_dir(unsigned int i)
{
	char path[32];

	mw_format(path, sizeof(path), "/d%u", (unsigned int)storm_below(i, DIRS));
	(void)fs_make(tasks[i], path, INODE_DIR);
}

static void write_file(unsigned int i)
{
	uint64_t words[CHUNK / WORD];
	size_t left = WORD * storm_below(i, MOST / WORD), part;
	enum fs_error error;
	char path[32];
	int number;

	pick(i, path);
	number = file_open(tasks[i], path, true, &error);
	if (number < 0)
		return;
	if (tasks[i]->files[number]->inode->type == INODE_FILE) {
		struct file *file = tasks[i]->files[number];

		file->position = WORD * storm_below(i, 2 * MOST / WORD);
		for (; left; left -= part) {
			part = left < sizeof(words) ? left : sizeof(words);
			fill(file->inode, file->position, words, part);
			if (file_write(tasks[i], number, words, part) != part)
				break;
		}
	}
	if (number >= OPEN)
		file_close(tasks[i], number);
}

static void check(const struct inode *inode, size_t at, const uint64_t *words, size_t bytes)
{
	for (size_t i = 0; i < bytes / WORD; i++)
		if (words[i] && words[i] != word_at(inode, at + i * WORD))
			storm_wrong("a file has bytes that nobody wrote");
}

static void read_file(unsigned int i)
{
	uint64_t words[CHUNK / WORD];
	char path[32];
	enum fs_error error;
	struct inode *inode;
	size_t at = 0, n;

	pick(i, path);
	inode = path_inode(tasks[i], path, &error);
	if (inode && inode->number == 0)
		storm_wrong("a name leads to the root");
	while (inode && inode->type == INODE_FILE &&
	       (n = inode_read(inode, at, words, sizeof(words)))) {
		check(inode, at, words, n);
		at += n;
	}
	drop(inode);
}

static void remove_name(unsigned int i)
{
	char path[32];

	pick(i, path);
	(void)fs_remove(tasks[i], path);
}

static void remove_dir(unsigned int i)
{
	char path[32];

	mw_format(path, sizeof(path), "/d%u", (unsigned int)storm_below(i, DIRS));
	(void)fs_remove(tasks[i], path);
}

static void move_name(unsigned int i)
{
	char from[32], to[32];

	pick(i, from);
	pick(i, to);
	(void)fs_move(tasks[i], from, to);
}

static void link_name(unsigned int i)
{
	char from[32], to[32];

	pick(i, from);
	pick(i, to);
	(void)fs_link(tasks[i], from, to);
}

static void make_inside(unsigned int i)
{
	char path[32];

	pick(i, path);
	(void)fs_make(tasks[i], path, storm_random(i) & 3 ? INODE_DIR : INODE_PIPE);
}

static void cover(unsigned int i)
{
	char path[32];

	mw_format(path, sizeof(path), "/d%u", (unsigned int)storm_below(i, DIRS));
	(void)(storm_random(i) & 1 ? fs_mount(tasks[i], path) : fs_unmount(tasks[i], path));
}

static void close_one(unsigned int i)
{
	file_close(tasks[i], (int)storm_below(i, OPEN));
}

static void go_somewhere(unsigned int i)
{
	char path[PATH_SIZE];

	pick(i, path);
	(void)fs_chdir(tasks[i], storm_random(i) & 1 ? path : "..");
	path_print(world, tasks[i]->cwd, path, sizeof(path));
}

static void (*const deeds[32])(unsigned int i) = {
	read_file,  read_file,	  read_file,  read_file,   read_file,	read_file,   read_file,
	read_file,  read_file,	  read_file,  read_file,   read_file,	write_file,  write_file,
	write_file, write_file,	  write_file, write_file,  remove_name, remove_name, remove_name,
	move_name,  move_name,	  link_name,  make_inside, make_dir,	make_dir,    make_dir,
	close_one,  go_somewhere, remove_dir, cover,
};

static void work(unsigned int i)
{
	while (!storm_is_over()) {
		deeds[storm_random(i) % LEN(deeds)](i);
		storm_step(i);
	}
}

/* ---- begin, end ---- */

static void end(void)
{
	struct world *old = world;

	for (unsigned int i = 0; i < STORM_THREADS; i++)
		REPLACE(tasks[i], NULL);
	world = NULL;
	if (old)
		world_end(old);
}

static bool begin(const struct owner *owner, const struct storm_want *want)
{
	bool well = true;

	world = world_begin(owner);
	for (unsigned int i = 0; world && i < STORM_THREADS; i++) {
		tasks[i] = task_begin(world, "storm");
		well = well && tasks[i];
	}
	if (world && well && grow(tasks[0], want->live))
		return true;
	end();
	return false;
}

static bool begin_default(const struct storm_want *want)
{
	return begin(own_gc ? own_gc : &own_refs, want);
}

static bool begin_counted(const struct storm_want *want)
{
	return begin(&own_refs, want);
}

const struct storm storm_fs = {
	.name = "fs",
	.help = "files made, written, read, moved, removed by all",
	.begin = begin_default,
	.work = work,
	.end = end,
};

const struct storm storm_counted = {
	.name = "counted",
	.help = "the same where holders are counted by hand",
	.begin = begin_counted,
	.work = work,
	.end = end,
};
