// SPDX-License-Identifier: MIT
/* The file system, in a collected and in a counted world: what it does, and that nothing is left. */
#include <marrow/gc.h>
#include "fs/fs.h"
#include "test.h"
#include "text.h"

static struct world *world;
static struct task *task;

#define NOINLINE __attribute__((noinline))

static NOINLINE void begin(const struct owner *owner)
{
	world = world_begin(owner);
	NEED(world);
	task = task_begin(world, "test");
	NEED(task);
}

/* What lies in dead frames would keep objects. */
static NOINLINE void scribble(void)
{
	volatile char stack[8192];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

static size_t live(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return stats.live_objects;
}

static NOINLINE void end(void)
{
	struct world *old = world;

	REPLACE(task, NULL);
	world = NULL;
	world_end(old);
}

/* A heap, a test in a world, and nothing left behind. */
static void in_world(const struct owner *owner, void (*fn)(void))
{
	size_t before;

	if (!owner)
		return;
	test_heap(32 << 20);
	/* The first object of a kind makes records that stay. */
	begin(owner);
	end();
	owner->settle();
	before = live();
	begin(owner);
	fn();
	end();
	scribble();
	owner->settle();
	CHECK_EQ(live(), before);
	CHECK_EQ(channels_taken(), 0);
}

static void in_both_worlds(void (*fn)(void))
{
	in_world(own_gc, fn);
	in_world(&own_refs, fn);
}

static NOINLINE enum fs_error find(const char *path)
{
	enum fs_error error;

	drop(path_inode(task, path, &error));
	return error;
}

static NOINLINE void names(void)
{
	CHECK_EQ(fs_make(task, "/a", INODE_DIR), FS_OK);
	CHECK_EQ(fs_make(task, "a", INODE_DIR), FS_EXISTS);
	CHECK_EQ(fs_make(task, "a/b", INODE_DIR), FS_OK);
	CHECK_EQ(fs_make(task, "a/b/c", INODE_FILE), FS_OK);
	CHECK_EQ(fs_make(task, "a/b/c/d", INODE_FILE), FS_NO_DIRECTORY);
	CHECK_EQ(fs_make(task, "x/y", INODE_FILE), FS_NOT_FOUND);
	CHECK_EQ(fs_make(task, "a/..", INODE_FILE), FS_BAD_NAME);
	CHECK_EQ(fs_make(task, "/", INODE_FILE), FS_BAD_NAME);
	CHECK_EQ(fs_make(task, "a-name-that-is-longer-than-thirty-one", INODE_FILE), FS_BAD_NAME);
	CHECK_EQ(find("a/b/../b/./c"), FS_OK);
	CHECK_EQ(find("a/b/../../../.."), FS_OK);
	CHECK_EQ(fs_move(task, "a/b", "/z"), FS_OK);
	CHECK_EQ(find("a/b"), FS_NOT_FOUND);
	CHECK_EQ(find("z/../a"), FS_OK);
	CHECK_EQ(fs_move(task, "a", "z/a"), FS_OK);
	CHECK_EQ(fs_move(task, "z", "z/a/z"), FS_INSIDE_ITSELF);
	CHECK_EQ(fs_move(task, "z/a", "z/b"), FS_OK);
	CHECK_EQ(find("z/b/../c"), FS_OK);
	CHECK_EQ(fs_remove(task, "z/nothing"), FS_NOT_FOUND);
	CHECK_EQ(fs_remove(task, "z"), FS_OK);
	CHECK_EQ(find("z"), FS_NOT_FOUND);
}

TEST(names)
{
	in_both_worlds(names);
}

static NOINLINE void bytes(void)
{
	char text[3000], back[sizeof(text)];
	enum fs_error error;
	int number;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7);
	number = file_open(task, "f", true, &error);
	NEED(number >= 0);
	for (size_t at = 0; at < sizeof(text); at += 1000)
		CHECK_EQ(file_write(task, number, text + at, 1000), 1000);
	CHECK_EQ(file_read(task, number, back, 1), 0);
	task->files[number]->position = 0;
	CHECK_EQ(file_read(task, number, back, sizeof(back)), sizeof(back));
	CHECK(!memcmp(text, back, sizeof(text)));
	/* A hole reads as zero, and a file without a name lives as long as it is open. */
	CHECK_EQ(fs_remove(task, "f"), FS_OK);
	task->files[number]->position = 100000;
	CHECK_EQ(file_write(task, number, "x", 1), 1);
	task->files[number]->position = 50000;
	CHECK_EQ(file_read(task, number, back, 1), 1);
	CHECK_EQ(back[0], 0);
	inode_truncate(task->files[number]->inode);
	task->files[number]->position = 0;
	CHECK_EQ(file_read(task, number, back, 1), 0);
	file_close(task, number);
	CHECK_EQ(file_open(task, "f", false, &error), -1);
	CHECK_EQ(error, FS_NOT_FOUND);
}

TEST(bytes)
{
	in_both_worlds(bytes);
}

/* (What is above a directory that has no name any more ends with its last holder, or its sweep.) */
static NOINLINE void where(const char *path)
{
	char text[PATH_SIZE];

	path_print(world, task->cwd, text, sizeof(text));
	CHECK(text_after(text, path));
}

static NOINLINE void directories(void)
{
	CHECK_EQ(fs_make(task, "a", INODE_DIR), FS_OK);
	CHECK_EQ(fs_make(task, "a/b", INODE_DIR), FS_OK);
	CHECK_EQ(fs_make(task, "a/f", INODE_FILE), FS_OK);
	CHECK_EQ(fs_chdir(task, "a/f"), FS_NO_DIRECTORY);
	CHECK_EQ(fs_chdir(task, "a/b"), FS_OK);
	where("/a/b");
	CHECK_EQ(fs_mount(task, "/a/b"), FS_OK);
	CHECK_EQ(fs_mount(task, "/"), FS_BUSY);
	CHECK_EQ(fs_remove(task, "/a/b"), FS_BUSY);
	CHECK_EQ(fs_chdir(task, "/a/b"), FS_OK);
	CHECK_EQ(fs_make(task, "m", INODE_DIR), FS_OK);
	CHECK_EQ(fs_chdir(task, "m"), FS_OK);
	where("/a/b/m");
	CHECK_EQ(fs_unmount(task, ".."), FS_OK);
	where("(gone)");
	CHECK_EQ(find("/a/b/m"), FS_NOT_FOUND);
	CHECK_EQ(fs_chdir(task, "/a/b"), FS_OK);
	CHECK_EQ(fs_remove(task, "/a"), FS_OK);
	CHECK_EQ(fs_make(task, "late", INODE_FILE), FS_OK);
	CHECK_EQ(fs_chdir(task, ".."), FS_OK);
}

TEST(directories)
{
	in_both_worlds(directories);
}

static NOINLINE void cached(void)
{
	CHECK_EQ(fs_make(task, "f", INODE_FILE), FS_OK);
	CHECK_EQ(find("f"), FS_OK);
	CHECK_EQ(atomic_load(&world->hits), 0);
	CHECK_EQ(find("f"), FS_OK);
	CHECK_EQ(atomic_load(&world->hits), 1);
	CHECK_EQ(fs_remove(task, "f"), FS_OK);
	CHECK_EQ(find("f"), FS_NOT_FOUND);
	/* The same name again is another entry, whether the first is gone by now or not. */
	CHECK_EQ(fs_make(task, "f", INODE_DIR), FS_OK);
	CHECK_EQ(find("f/."), FS_OK);
	scribble();
	world->owner->settle();
	CHECK_EQ(find("f/."), FS_OK);
	CHECK_EQ(atomic_load(&world->hits), 2);
}

TEST(the_cache_keeps_nothing)
{
	in_both_worlds(cached);
}

static NOINLINE void join_and_leave(void)
{
	enum fs_error error;
	struct port *port = port_new(world, &error);

	NEED(port);
	CHECK(bus_join(world, port));
	drop(port);
}

static NOINLINE void files_travel(void)
{
	struct message *message;
	struct file *file;
	enum fs_error error;
	struct port *port = port_new(world, &error);
	int number;

	NEED(port);
	CHECK(bus_join(world, port));
	join_and_leave();
	number = file_open(task, "f", true, &error);
	NEED(number >= 0);
	CHECK_EQ(file_write(task, number, "inside", 6), 6);
	CHECK_EQ(fs_remove(task, "f"), FS_OK);
	file = file_take(task, number);
	message = message_new(world, "take this", &(struct object *){ &file->object }, 1);
	NEED(message);
	drop(file);
	scribble();
	world->owner->settle();
	CHECK_EQ(bus_publish(world, message), 1);
	REPLACE(message, NULL);
	message = port_receive(port, true);
	NEED(message);
	CHECK(text_equal(message->text, "take this"));
	number = file_give(task, (struct file *)message->refs[0]);
	CHECK_EQ(task->files[number]->inode->size, 6);
	CHECK(task->files[number]->owner == task);
	CHECK(!port_receive(port, false));
	drop(message);
	drop(port);
	file_close(task, number);
}

TEST(files_travel_in_messages)
{
	in_both_worlds(files_travel);
}

static NOINLINE void pipes(void)
{
	char back[8] = "";
	enum fs_error error;
	int number;

	CHECK_EQ(fs_make(task, "p", INODE_PIPE), FS_OK);
	CHECK_EQ(channels_taken(), 1);
	number = file_open(task, "p", false, &error);
	CHECK_EQ(file_write(task, number, "hello", 6), 6);
	CHECK_EQ(file_read(task, number, back, 8), 6);
	CHECK(text_equal(back, "hello"));
	pipe_end((struct pipe *)task->files[number]->inode->device);
	CHECK_EQ(file_read(task, number, back, 8), 0);
	CHECK_EQ(file_write(task, number, "hello", 6), 0);
	file_close(task, number);
	CHECK_EQ(fs_remove(task, "p"), FS_OK);
}

TEST(pipes)
{
	in_both_worlds(pipes);
}

static NOINLINE void channels_return(void)
{
	char name[16];
	unsigned int failed = 0;

	/* Nobody gives one back: in a collected world the want of them is what does. */
	for (unsigned int i = 0; i < 3 * CHANNELS; i++) {
		mw_format(name, sizeof(name), "p%u", i);
		failed += fs_make(task, name, INODE_PIPE) != FS_OK;
		failed += fs_remove(task, name) != FS_OK;
	}
	CHECK_EQ(failed, 0);
}

TEST(channels_return)
{
	in_both_worlds(channels_return);
}

static NOINLINE void deep(void)
{
	/* As deep as paths never are: to end it must not take a stack. */
	for (unsigned int i = 0; i < 20000; i++) {
		CHECK_EQ(fs_make(task, "d", INODE_DIR), FS_OK);
		CHECK_EQ(fs_chdir(task, "d"), FS_OK);
	}
	CHECK_EQ(fs_chdir(task, "/"), FS_OK);
}

TEST(the_deepest_directories_end)
{
	in_both_worlds(deep);
}

/* Some of everything, whatever fails on the way. */
static NOINLINE void all_calls(void)
{
	struct message *message;
	enum fs_error error;
	struct port *port;
	char bytes[700] = "bytes";
	int number;

	(void)fs_make(task, "a", INODE_DIR);
	(void)fs_make(task, "a/b", INODE_DIR);
	(void)fs_make(task, "a/p", INODE_PIPE);
	(void)fs_make(task, "a/q", INODE_PORT);
	(void)fs_mount(task, "a/b");
	(void)fs_chdir(task, "a/b");
	number = file_open(task, "f", true, &error);
	if (number >= 0) {
		for (int i = 0; i < 3; i++)
			(void)file_write(task, number, bytes, sizeof(bytes));
		file_close(task, number);
	}
	(void)fs_link(task, "f", "/a/g");
	(void)fs_move(task, "/a/g", "/a/h");
	(void)fs_chdir(task, "/");
	(void)fs_unmount(task, "a/b");
	port = port_new(world, &error);
	if (port && bus_join(world, port)) {
		message = message_new(world, "text", &(struct object *){ &world->root->object }, 1);
		if (message)
			(void)bus_publish(world, message);
		drop(message);
		drop(port_receive(port, false));
	}
	drop(port);
	(void)fs_remove(task, "a");
}

/* Return: whether an allocation failed. */
static NOINLINE bool fail_at(const struct owner *owner, unsigned long k)
{
	const struct mw_fail fail = { .after = k, .pages = true };
	bool failed;

	(void)mw_fail_set(&fail);
	world = world_begin(owner);
	task = world ? task_begin(world, "test") : NULL;
	if (task)
		all_calls();
	failed = mw_fail_set(NULL);
	if (world)
		end();
	return failed;
}

static void fail_everywhere(const struct owner *owner)
{
	size_t before;
	unsigned long k = 1;

	if (!owner)
		return;
	test_heap(32 << 20);
	(void)fail_at(owner, 1000000);
	scribble();
	owner->settle();
	before = live();
	for (bool failed = true; failed && k < 1000; k++) {
		failed = fail_at(owner, k);
		scribble();
		owner->settle();
		CHECK_EQ(live(), before);
		CHECK_EQ(channels_taken(), 0);
	}
	test_note("%s: %lu allocations, each failed once", owner->name, k - 2);
	CHECK(k > 20 && k < 1000);
}

TEST(every_allocation_may_fail)
{
	fail_everywhere(own_gc);
	fail_everywhere(&own_refs);
}

#if MW_GC

/* Return: where the directory is, so that no word of the test's leads there. */
static NOINLINE uintptr_t make_ring(void)
{
	enum fs_error error;
	struct inode *dir;
	uintptr_t hidden;

	CHECK_EQ(fs_make(task, "d", INODE_DIR), FS_OK);
	CHECK_EQ(fs_link(task, "d", "d/self"), FS_OK);
	dir = path_inode(task, "d", &error);
	NEED(dir);
	hidden = ~(uintptr_t)dir;
	drop(dir);
	CHECK_EQ(fs_remove(task, "d"), FS_OK);
	return hidden;
}

/* What two scans do not reach. */
static NOINLINE size_t leaks(void)
{
	const struct mw_leak_want want = { .most = 10 };
	size_t n;

	test_capture();
	scribble();
	(void)mw_leak_scan(&want);
	scribble();
	n = mw_leak_scan(&want);
	(void)test_captured();
	return n;
}

static void ring(void)
{
	uintptr_t hidden = make_ring();
	bool counted = task->object.counted;

	/* The directory and the name in it; the name outside is gone. */
	CHECK_EQ(leaks(), counted ? 2 : 0);
	if (counted)
		CHECK_EQ(dir_remove(world, (struct inode *)~hidden, "self"), FS_OK);
	CHECK_EQ(leaks(), 0);
}

TEST(rings_leak_where_holders_are_counted)
{
	in_both_worlds(ring);
}

static NOINLINE void send_port_to_itself(void)
{
	enum fs_error error;
	struct port *port = port_new(world, &error);
	struct message *message = message_new(world, "me", &(struct object *){ &port->object }, 1);

	NEED(port && message);
	CHECK(port_send(world, port, message, false));
	drop(message);
	drop(port);
}

static void port_in_itself(void)
{
	send_port_to_itself();
	scribble();
	CHECK_EQ(channels_taken(), 1);
	world->owner->settle();
	CHECK_EQ(channels_taken(), 0);
}

TEST(a_port_in_its_own_queue_gives_its_channel_back)
{
	in_world(own_gc, port_in_itself);
}

#endif
