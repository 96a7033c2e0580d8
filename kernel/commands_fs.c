// SPDX-License-Identifier: MIT
/* The file system at the prompt. */
#include "commands.h"
#include "fs/fs.h"
#include "text.h"

#define TREE_DEPTH 6

/* The two worlds, made when they are first looked at, each with a task for the prompt. */
static struct {
	struct world *world[2]; /* collected, counted */
	struct task *shell[2];
	unsigned int now;
} shell;

static const struct owner *owner_of(unsigned int which)
{
	return which || !own_gc ? &own_refs : own_gc;
}

/* NULL after a word about it: no memory. */
static struct task *here(void)
{
	unsigned int i = shell.now;

	if (!shell.world[i])
		shell.world[i] = world_begin(owner_of(i));
	if (shell.world[i] && !shell.shell[i])
		shell.shell[i] = task_begin(shell.world[i], "prompt");
	if (!shell.shell[i])
		mw_print("There is no memory for a file system.\n");
	return shell.shell[i];
}

const char *world_word(size_t n)
{
	return n < 2 ? owner_of((unsigned int)n)->name : NULL;
}

void commands_fs_forget(void)
{
	memset(&shell, 0, sizeof(shell));
	channels_forget();
}

static void say(const char *what, enum fs_error error)
{
	if (error)
		mw_print("%s: %s\n", what, fs_error_text(error));
}

/* ---- looking ---- */

static void print_entry(struct entry *entry, void *arg)
{
	static const char marks[] = {
		[INODE_FILE] = ' ', [INODE_DIR] = '/', [INODE_PIPE] = '|', [INODE_PORT] = '='
	};
	struct inode *inode = entry->inode;
	char name[NAME_MAX + 2];

	(void)arg;
	mw_format(name, sizeof(name), "%s%c", entry->name, marks[inode->type]);
	mw_print("%-32s %6zu %s%s\n", name, inode->size, inode->type == INODE_DIR ? "names" : "bytes",
		 inode->mounted ? ", something is mounted here" : "");
}

/* What is at the path that was typed after @command, or where one is; NULL, and why is said. */
static struct inode *inode_meant(size_t argc, char **argv, const char *command)
{
	struct task *task = here();
	enum fs_error error;
	struct inode *inode;

	if (!task)
		return NULL;
	inode = path_inode(task, argc > 1 ? argv[1] : ".", &error);
	say(command, error);
	return inode;
}

static void run_ls(size_t argc, char **argv)
{
	struct inode *inode = inode_meant(argc, argv, "ls");

	if (inode)
		dir_for_each(inode, print_entry, NULL);
	drop(inode);
}

/* The directories from the first one down to the present one. */
struct way {
	struct inode *dir[TREE_DEPTH + 1];
	unsigned int depth;
};

static bool on_way(const struct way *way, const struct inode *inode)
{
	for (unsigned int i = 0; i <= way->depth; i++)
		if (way->dir[i] == inode)
			return true;
	return false;
}

/*
 * A name can lead to itself, where "..." stands for all that would come again; and there is an end
 * to the depth.
 */
static void print_tree(struct way *way)
{
	static const char indent[] = "            ";
	struct entry *entry;

	_Static_assert(sizeof(indent) == 2 * TREE_DEPTH + 1, "two blanks a level");
	for (size_t n = 0; (entry = dir_nth(way->dir[way->depth], n)); n++) {
		struct inode *inode = entry->inode->mounted ? entry->inode->mounted : entry->inode;
		bool dir = inode->type == INODE_DIR;
		bool ends = dir && (way->depth == TREE_DEPTH || on_way(way, inode));

		mw_print("%s%s%s\n", indent + 2 * (TREE_DEPTH - way->depth), entry->name,
			 ends  ? "/ ..."
			 : dir ? "/"
			       : "");
		if (dir && !ends) {
			way->dir[++way->depth] = inode;
			print_tree(way);
			way->depth--;
		}
		drop(entry);
	}
}

static void run_tree(size_t argc, char **argv)
{
	struct way way = { .dir = { inode_meant(argc, argv, "tree") } };

	if (way.dir[0])
		print_tree(&way);
	drop(way.dir[0]);
}

static void run_cat(size_t argc, char **argv)
{
	struct task *task = here();
	enum fs_error error;
	struct inode *inode;
	char text[128];
	size_t at = 0, n;

	if (!task || !need(argc, 2, "cat"))
		return;
	inode = path_inode(task, argv[1], &error);
	say("cat", error);
	if (!inode)
		return;
	if (inode->type == INODE_PIPE) {
		struct pipe *pipe = (struct pipe *)inode->device;

		while (pipe->head != pipe->tail && (n = pipe_read(pipe, text, sizeof(text))))
			mw_port_write(text, n);
	}
	while (inode->type == INODE_FILE && (n = inode_read(inode, at, text, sizeof(text)))) {
		mw_port_write(text, n);
		at += n;
	}
	drop(inode);
}

static void run_pwd(size_t argc, char **argv)
{
	struct task *task = here();
	char path[PATH_SIZE];

	(void)argc, (void)argv;
	if (!task)
		return;
	path_print(task->world, task->cwd, path, sizeof(path));
	mw_print("%s, in the %s world\n", path, task->world->owner->name);
}

/* ---- changing ---- */

/* For each path. */
static void on_path(size_t argc, char **argv, enum fs_error (*fn)(struct task *, const char *))
{
	struct task *task = here();

	if (task && need(argc, 2, argv[0]))
		for (size_t i = 1; i < argc; i++)
			say(argv[i], fn(task, argv[i]));
}

static void on_paths(size_t argc, char **argv,
		     enum fs_error (*fn)(struct task *, const char *, const char *))
{
	struct task *task = here();

	if (task && need(argc, 3, argv[0]))
		say(argv[0], fn(task, argv[1], argv[2]));
}

/* Commands that do the same to each path, or to two. */
#define MAKES(what, type)                                                                          \
	static enum fs_error make_##what(struct task *task, const char *path)                      \
	{                                                                                          \
		return fs_make(task, path, type);                                                  \
	}
#define ON_PATH(name, call)                                                                        \
	static void run_##name(size_t argc, char **argv)                                           \
	{                                                                                          \
		on_path(argc, argv, call);                                                         \
	}
#define ON_PATHS(name, call)                                                                       \
	static void run_##name(size_t argc, char **argv)                                           \
	{                                                                                          \
		on_paths(argc, argv, call);                                                        \
	}

MAKES(dir, INODE_DIR)
MAKES(file, INODE_FILE)
MAKES(pipe, INODE_PIPE)
MAKES(port, INODE_PORT)
ON_PATH(mkdir, make_dir)
ON_PATH(touch, make_file)
ON_PATH(pipe, make_pipe)
ON_PATH(port, make_port)
ON_PATH(rm, fs_remove)
ON_PATH(cd, fs_chdir)
ON_PATH(mount, fs_mount)
ON_PATH(umount, fs_unmount)
ON_PATHS(mv, fs_move)
ON_PATHS(ln, fs_link)

/* A pipe that is full would keep the prompt waiting. */
static void run_write(size_t argc, char **argv)
{
	struct task *task = here();
	enum fs_error error;
	int number;

	if (!task || !need(argc, 3, "write"))
		return;
	number = file_open(task, argv[1], true, &error);
	say("write", error);
	if (number < 0)
		return;
	if (task->files[number]->inode->type == INODE_FILE)
		task->files[number]->position = task->files[number]->inode->size;
	else if (text_length(argv[2]) + 1 > PIPE_SIZE / 8)
		mw_print("write: too long for a pipe\n");
	(void)file_write(task, number, argv[2], text_length(argv[2]));
	(void)file_write(task, number, "\n", 1);
	file_close(task, number);
}

/* ---- ports ---- */

static struct port *find_port(struct task *task, const char *path, struct inode **inode)
{
	enum fs_error error;

	*inode = path_inode(task, path, &error);
	if (*inode && (*inode)->type != INODE_PORT)
		error = FS_WRONG_TYPE;
	say(path, error);
	return error ? NULL : (struct port *)(*inode)->device;
}

/* send PORT TEXT [PATH]: the thing at PATH goes with it, also when its name is gone. */
static void run_send(size_t argc, char **argv)
{
	struct task *task = here();
	struct inode *inode, *with = NULL;
	enum fs_error error = FS_OK;
	struct message *message = NULL;
	struct port *port;

	if (!task || !need(argc, 3, "send"))
		return;
	port = find_port(task, argv[1], &inode);
	if (port && argc > 3)
		with = path_inode(task, argv[3], &error);
	say("send", error);
	if (port && !error)
		message = message_new(task->world, argv[2], (struct object *[]){ &with->object },
				      with != NULL);
	if (port && !error && !(message && port_send(task->world, port, message, false)))
		mw_print("send: no memory, or the port is full\n");
	drop(message);
	drop(with);
	drop(inode);
}

static void run_receive(size_t argc, char **argv)
{
	struct task *task = here();
	struct message *message;
	struct inode *inode;
	struct port *port;

	if (!task || !need(argc, 2, "receive"))
		return;
	port = find_port(task, argv[1], &inode);
	message = port ? port_receive(port, false) : NULL;
	if (message)
		mw_print("%s%s\n", message->text,
			 message->refs[0] ? ", and something came with it" : "");
	else if (port)
		mw_print("Nothing waits there.\n");
	drop(message);
	drop(inode);
}

/* ---- the worlds ---- */

static void run_world(size_t argc, char **argv)
{
	unsigned int which = 0;
	struct task *task;

	while (argc > 1 && which < 2 && !text_equal(argv[1], owner_of(which)->name))
		which++;
	if (which == 2) {
		unknown_word("world", argv[1]);
		return;
	}
	if (argc > 1)
		shell.now = which;
	task = here();
	if (!task)
		return;
	mw_print("The %s world: %lu inodes were made, %lu names looked up, %lu of them in the "
		 "cache.\n%u of %u channels of the device are taken, in both worlds.\n",
		 task->world->owner->name, atomic_load(&task->world->numbers),
		 atomic_load(&task->world->lookups), atomic_load(&task->world->hits),
		 channels_taken(), CHANNELS);
}

static const struct command commands[] = {
	{ "ls", "[PATH]", "the names in a directory", run_ls },
	{ "tree", "[PATH]", "the names in it, and in those in it", run_tree },
	{ "cat", "PATH", "what is in a file, or waits in a pipe", run_cat },
	{ "write", "PATH TEXT", "add a line to a file or pipe: write note \"hello you\"", run_write },
	{ "touch", "PATH...", "make empty files", run_touch },
	{ "mkdir", "PATH...", "make directories", run_mkdir },
	{ "rm", "PATH...", "remove names; a directory goes with all that is in it", run_rm },
	{ "mv", "FROM TO", "another name, or another directory", run_mv },
	{ "ln", "FROM TO", "a second name; of a directory too: ln d d/self", run_ln },
	{ "cd", "PATH", "go there", run_cd },
	{ "pwd", "", "where am I", run_pwd },
	{ "mount", "PATH", "cover a directory with an empty file system", run_mount },
	{ "umount", "PATH", "and take it away", run_umount },
	{ "pipe", "PATH...", "make pipes", run_pipe },
	{ "port", "PATH...", "make ports, which messages are sent to", run_port },
	{ "send", "PORT TEXT [PATH]", "a message; what is at PATH goes with it", run_send },
	{ "receive", "PORT", "take the first message", run_receive },
	{ "world", "[collected|counted]", "who ends objects, and how it is going", run_world },
};

const struct command_group fs_commands = { "Files", commands, LEN(commands) };
