/* SPDX-License-Identifier: MIT */
/*
 * A file system in memory, tasks that use it, and a message bus: objects that point to each other in
 * every direction, as those of a kernel do.
 *
 *	world ──► inode of the root ──► entry ──► inode ──► data ──► blocks
 *	  │          ▲  "..", a name's directory ──┘ │
 *	  │          └── mounted: covered directory   └──► pipe, port ──► letter ──► message ──► any
 *	  └──► task ──► file ──► inode, entry
 *	         ▲────────┘ who opened it
 *
 * The cache of names and the members of the bus are weak references. Pipes and ports hold a channel of
 * a device that has not many, which comes back when they end.
 *
 * Locks, in this order; none is held while an object is made:
 *
 *	settling         mutex, with no other lock held: who asks that channels come back
 *	world->names     mutex: who moves, mounts, links directories
 *	inode->lock      mutex: two of them only under world->names
 *	task->lock       mutex: the task's files and its directory
 *	fs_tree          spin: "..", and which directory an entry is in
 *	spin locks of the cache and the bus, the scheduler's lock for pipes and ports
 */
#ifndef KERNEL_FS_FS_H
#define KERNEL_FS_FS_H

#include "own.h"
#include "thread.h"

#define NAME_MAX 31
#define PATH_SIZE 256 /* of a path that is printed */
#define TEXT_MAX 55 /* of a message */
#define BLOCK_SIZE 4096u
#define PIPE_SIZE 512u /* bytes in flight, a power of two */
#define PORT_LETTERS 16u /* letters that wait, at most */
#define TASK_FILES 16u
#define MESSAGE_REFS 4u
#define BUS_MEMBERS 32u
#define CACHE_SLOTS 1024u /* a power of two */
#define CHANNELS 1024u

enum fs_error {
	FS_OK,
	FS_NO_MEMORY,
	FS_NOT_FOUND,
	FS_EXISTS,
	FS_NO_DIRECTORY,
	FS_IS_DIRECTORY,
	FS_BAD_NAME,
	FS_BUSY,
	FS_NO_CHANNEL,
	FS_TOO_MANY,
	FS_WRONG_TYPE,
	FS_INSIDE_ITSELF,
};

const char *fs_error_text(enum fs_error error);

enum inode_type {
	INODE_FILE,
	INODE_DIR,
	INODE_PIPE,
	INODE_PORT
};

struct inode {
	struct object object;
	uint8_t type; /* enum inode_type */
	bool root; /* of what is mounted: ".." is that of the directory it covers, @parent */
	uint64_t number;
	struct mutex lock; /* guards the rest, but for @parent */
	size_t size; /* of a file: bytes; of a directory: entries */
	struct data *data; /* of a file; NULL: empty */
	struct entry *entries; /* of a directory */
	struct inode *parent; /* of a directory: not held; tree */
	struct inode *mounted; /* the root of what covers this directory */
	struct object *device; /* a pipe or port; never changes */
};

struct data {
	struct object object;
	size_t n;
	void *block[]; /* BLOCK_SIZE bytes each; NULL: never written */
};

/* A name. In the list of its directory until it is removed; files may hold it longer. */
struct entry {
	struct object object;
	uint8_t len;
	uint32_t hash; /* of the name and the directory's number */
	struct entry *next; /* held; directory's lock */
	struct inode *dir; /* not held, only compared; NULL: removed; tree */
	struct inode *inode;
	char name[NAME_MAX + 1]; /* terminated */
};

/* An open file. */
struct file {
	struct object object;
	bool append;
	size_t position; /* of its one user at a time */
	struct inode *inode;
	struct entry *entry; /* the name it was opened by */
	struct task *owner; /* NULL: in a message; owner's lock */
};

struct task {
	struct object object;
	char name[16];
	struct world *world;
	struct mutex lock; /* guards the rest */
	struct inode *cwd;
	struct file *files[TASK_FILES];
	struct task *next; /* held; names */
};

struct pipe {
	struct object object;
	bool ended; /* nobody will write any more */
	unsigned int channel;
	unsigned int head, tail; /* bytes ever written, read; scheduler's lock */
	struct wait_queue moved;
	char bytes[PIPE_SIZE];
};

struct port {
	struct object object;
	unsigned int channel;
	unsigned int n;
	struct letter *first, *last; /* held, not held; scheduler's lock */
	struct wait_queue moved;
};

/* A message's place in one port's queue. */
struct letter {
	struct object object;
	struct letter *next;
	struct message *message;
};

/* Never changes once it was sent: many ports may have it. */
struct message {
	struct object object;
	struct object *refs[MESSAGE_REFS];
	char text[TEXT_MAX + 1];
};

struct spin {
	atomic_bool taken;
};

struct bus {
	struct spin lock;
	void *members[BUS_MEMBERS]; /* weak references to ports */
};

struct cache {
	struct spin lock;
	struct cache_slot {
		uint32_t hash;
		void *entry; /* a weak reference; NULL: none */
	} slots[CACHE_SLOTS];
};

/* One file system with its tasks. Hand-managed, and a root of what is in it. */
struct world {
	const struct owner *owner;
	struct mutex names;
	struct inode *root;
	struct task *tasks; /* names */
	struct cache *cache;
	struct bus bus;
	atomic_ulong numbers, lookups, hits; /* ever: inodes, names looked up, found in the cache */
};

/* ---- spin locks: fs.c ---- */

unsigned long spin_lock(struct spin *spin);
void spin_unlock(struct spin *spin, unsigned long state);
extern struct spin fs_tree; /* of all worlds */

/* ---- worlds: world.c ---- */

/* @owner: &own_refs or own_gc. NULL: no memory. */
struct world *world_begin(const struct owner *owner);
/* Its tasks are ended. What others still hold lives on until they drop it. */
void world_end(struct world *world);
void *world_new(struct world *world, enum kind kind, size_t extra);
enum fs_error fs_mount(struct task *task, const char *path);
enum fs_error fs_unmount(struct task *task, const char *path);

/* ---- the device's channels: channel.c ---- */

/* Asks @owner to settle if there are none. Return: false: there are still none. */
bool channel_take(const struct owner *owner, unsigned int *channel);
void channel_give(void *channel); /* the number, as at_end() wants it */
unsigned int channels_taken(void);
void channels_forget(void); /* the heap is gone, and with it all that had one */

/* ---- inodes: inode.c; all results are held ---- */

struct inode *inode_new(struct world *world, enum inode_type type);
/* Bytes moved; fewer at the end, or without memory. */
size_t inode_read(struct inode *inode, size_t at, void *to, size_t n);
size_t inode_write(struct world *world, struct inode *inode, size_t at, const void *from, size_t n);
void inode_truncate(struct inode *inode);

/* ---- directories: dir.c ---- */

uint32_t dir_hash(const struct inode *dir, const char *name, size_t len);
struct entry *dir_find(struct world *world, struct inode *dir, const char *name);
enum fs_error dir_add(struct world *world, struct inode *dir, const char *name, struct inode *inode);
enum fs_error dir_remove(struct world *world, struct inode *dir, const char *name);
/* @dir is where the directory @inode belongs. */
void dir_set_parent(struct inode *inode, struct inode *dir);
struct inode *dir_parent(struct world *world, struct inode *dir); /* itself, at the top */
struct entry *dir_nth(struct inode *dir, size_t n); /* NULL: there are not so many */
/* Call @fn for each entry, directory locked. */
void dir_for_each(struct inode *dir, void (*fn)(struct entry *entry, void *arg), void *arg);

/* ---- the cache of names: cache.c ---- */

struct entry *cache_get(struct world *world, struct inode *dir, const char *name, uint32_t hash);
void cache_put(struct world *world, struct entry *entry);
void cache_clear(struct world *world);

/* ---- paths: path.c ---- */

/* NULL and @error, or held. */
struct inode *path_inode(struct task *task, const char *path, enum fs_error *error);
/* The directory that the last name is in, or would be; @last: NAME_MAX + 1 bytes. */
struct inode *path_dir(struct task *task, const char *path, char *last, enum fs_error *error);
void path_print(struct world *world, struct inode *dir, char *text, size_t size);

/* ---- what tasks ask for: task.c, calls.c ---- */

struct task *task_begin(struct world *world, const char *name);
void task_end(struct task *task); /* drops it */
enum fs_error fs_make(struct task *task, const char *path, enum inode_type type);
enum fs_error fs_link(struct task *task, const char *from, const char *to);
enum fs_error fs_move(struct task *task, const char *from, const char *to);
enum fs_error fs_remove(struct task *task, const char *path); /* a directory: with all in it */
enum fs_error fs_chdir(struct task *task, const char *path);

/* Open files, by number in the task's table; @create: make it if it is not there. */
int file_open(struct task *task, const char *path, bool create, enum fs_error *error);
size_t file_read(struct task *task, int number, void *to, size_t n); /* waits for a pipe */
size_t file_write(struct task *task, int number, const void *from, size_t n);
void file_close(struct task *task, int number);
/* Take it out of the table, to go into a message; held. And put one in. */
struct file *file_take(struct task *task, int number);
int file_give(struct task *task, struct file *file);

/* ---- pipes: pipe.c ---- */

struct pipe *pipe_new(struct world *world, enum fs_error *error);
size_t pipe_read(struct pipe *pipe, void *to, size_t n); /* at least one, 0: ended */
size_t pipe_write(struct pipe *pipe, const void *from, size_t n);
void pipe_end(struct pipe *pipe);

/* ---- ports and the bus: bus.c ---- */

struct port *port_new(struct world *world, enum fs_error *error);
struct message *message_new(struct world *world, const char *text, struct object *const *refs,
			    size_t n);
/* @wait: for a moment, for room or a letter. Return: false, NULL: no memory, no room; no letter. */
bool port_send(struct world *world, struct port *port, struct message *message, bool wait);
struct message *port_receive(struct port *port, bool wait);
bool bus_join(struct world *world, struct port *port);
/* Return: how many got it; a port without room does not. */
unsigned int bus_publish(struct world *world, struct message *message);

#endif
