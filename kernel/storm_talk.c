// SPDX-License-Identifier: MIT
/*
 * Threads that talk, on whatever CPUs they are: bytes through pipes, messages over the bus.
 *
 * A pipe's reader checks that the bytes come in order. Messages carry files, and ports, also the one
 * that they wait in: rings, which only the collector ends.
 */
#include "fs/fs.h"
#include "storm.h"
#include "text.h"
#include "thread.h"

#define PAIRS (STORM_THREADS / 2)

static struct world *world;
static struct pipe *pipes[PAIRS];

static bool begin_world(void)
{
	world = world_begin(own_gc ? own_gc : &own_refs);
	return world;
}

static void end_world(void)
{
	struct world *old = world;

	for (unsigned int i = 0; i < PAIRS; i++)
		REPLACE(pipes[i], NULL);
	world = NULL;
	if (old)
		world_end(old);
}

/* ---- pipes: even threads write to the odd one after them, and both replace their pipe often ---- */

static bool begin_pipes(const struct storm_want *want)
{
	enum fs_error error;
	bool well = begin_world();

	(void)want;
	for (unsigned int i = 0; well && i < PAIRS; i++) {
		pipes[i] = pipe_new(world, &error);
		well = pipes[i];
	}
	if (!well)
		end_world();
	return well;
}

static void send(unsigned int i, struct pipe *pipe)
{
	unsigned char bytes[200], next = 0;

	while (!storm_is_over()) {
		size_t n = 1 + storm_below(i, sizeof(bytes));

		for (size_t at = 0; at < n; at++)
			bytes[at] = next++;
		if (pipe_write(pipe, bytes, n) != n)
			break;
		storm_step(i);
	}
}

static void receive(unsigned int i, struct pipe *pipe)
{
	unsigned char bytes[300], next = 0;
	size_t n;

	while ((n = pipe_read(pipe, bytes, 1 + storm_below(i, sizeof(bytes))))) {
		for (size_t at = 0; at < n; at++)
			if (bytes[at] != next++)
				storm_wrong("bytes of a pipe came out of order");
		/* Garbage beside it, of the kind whose end gives a channel back. */
		if (!(storm_random(i) & 7)) {
			enum fs_error error;

			drop(pipe_new(world, &error));
		}
		storm_step(i);
	}
}

static void work_pipes(unsigned int i)
{
	if (i & 1)
		receive(i, pipes[i / 2]);
	else
		send(i, pipes[i / 2]);
}

static void over_pipes(void)
{
	for (unsigned int i = 0; i < PAIRS; i++)
		pipe_end(pipes[i]);
}

const struct storm storm_pipes = {
	.name = "pipes",
	.help = "bytes through pipes, from CPU to CPU",
	.begin = begin_pipes,
	.work = work_pipes,
	.over = over_pipes,
	.end = end_world,
};

/* ---- the bus ---- */

static bool begin_bus(const struct storm_want *want)
{
	(void)want;
	return begin_world();
}

static struct port *join(void)
{
	enum fs_error error;
	struct port *port = port_new(world, &error);

	if (port && !bus_join(world, port)) {
		drop(port);
		port = NULL;
	}
	return port;
}

/* A file that nobody else knows, and a port: this one's own where rings end by themselves. */
static void publish(unsigned int i, struct port *port)
{
	struct inode *inode = inode_new(world, INODE_FILE);
	struct object *refs[] = { &inode->object, port->object.counted ? NULL : &port->object };
	struct message *message = NULL;
	char text[TEXT_MAX + 1];

	if (inode) {
		mw_format(text, sizeof(text), "inode %llu", (unsigned long long)inode->number);
		(void)inode_write(world, inode, 0, text, text_length(text) + 1);
		message = message_new(world, text, refs, LEN(refs));
	}
	if (message)
		(void)bus_publish(world, message);
	drop(message);
	drop(inode);
	(void)i;
}

static void look_at(struct message *message)
{
	struct inode *inode = (struct inode *)message->refs[0];
	char text[TEXT_MAX + 1] = "";

	if (inode->object.kind != KIND_INODE)
		storm_wrong("a message carries something else");
	else if (inode_read(inode, 0, text, sizeof(text)) && !text_equal(text, message->text))
		storm_wrong("a message's file is not the one that was sent");
}

/* Who leaves tells nobody; what waits in the port goes with it. */
static void work_bus(unsigned int i)
{
	struct port *port = NULL;
	struct message *message;

	while (!storm_is_over()) {
		if (!port)
			port = join();
		if (!port) {
			thread_yield();
			continue;
		}
		publish(i, port);
		for (unsigned int n = 0; n < 8 && (message = port_receive(port, false)); n++) {
			look_at(message);
			drop(message);
			storm_step(i);
		}
		if (!storm_below(i, 100))
			REPLACE(port, NULL);
	}
	drop(port);
}

const struct storm storm_bus = {
	.name = "bus",
	.help = "messages that carry files and ports to all who listen",
	.begin = begin_bus,
	.work = work_bus,
	.end = end_world,
};
