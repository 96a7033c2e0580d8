// SPDX-License-Identifier: MIT
/*
 * Pipes: a ring of bytes between threads, on whatever CPUs they are. Both ends wait under the
 * scheduler's lock, which guards the ring as well: bytes are few, and no wakeup is lost.
 */
#include "fs.h"

struct pipe *pipe_new(struct world *world, enum fs_error *error)
{
	struct pipe *pipe;
	unsigned int channel;

	*error = FS_NO_CHANNEL;
	if (!channel_take(world->owner, &channel))
		return NULL;
	*error = FS_NO_MEMORY;
	pipe = world_new(world, KIND_PIPE, 0);
	if (pipe) {
		pipe->channel = channel;
		wait_queue_init(&pipe->moved);
		if (world->owner->at_end(&pipe->object, channel_give, (void *)(uintptr_t)channel)) {
			*error = FS_OK;
			return pipe;
		}
	}
	channel_give((void *)(uintptr_t)channel);
	return NULL;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t pipe_read(struct pipe *pipe, void *to, size_t n)
{
	unsigned long state = sched_lock();
	char *bytes = to;

	while (n && pipe->head == pipe->tail && !pipe->ended)
		(void)sched_wait(&pipe->moved, UINT64_MAX);
	n = least(n, pipe->head - pipe->tail);
	for (size_t i = 0; i < n; i++)
		bytes[i] = pipe->bytes[pipe->tail++ % PIPE_SIZE];
	sched_wake_all(&pipe->moved);
	sched_unlock(state);
	return n;
}

static size_t write_some(struct pipe *pipe, const char *bytes, size_t n)
{
	n = least(n, PIPE_SIZE - (pipe->head - pipe->tail));
	for (size_t i = 0; i < n; i++)
		pipe->bytes[pipe->head++ % PIPE_SIZE] = bytes[i];
	if (n)
		sched_wake_all(&pipe->moved);
	return n;
}

/* All of it, unless the pipe is ended meanwhile. */
size_t pipe_write(struct pipe *pipe, const void *from, size_t n)
{
	unsigned long state = sched_lock();
	size_t done = 0;

	while (done < n && !pipe->ended) {
		done += write_some(pipe, (const char *)from + done, n - done);
		if (done < n && !pipe->ended)
			(void)sched_wait(&pipe->moved, UINT64_MAX);
	}
	sched_unlock(state);
	return done;
}

void pipe_end(struct pipe *pipe)
{
	unsigned long state = sched_lock();

	pipe->ended = true;
	sched_wake_all(&pipe->moved);
	sched_unlock(state);
}
