// SPDX-License-Identifier: MIT
/*
 * Ports and the bus. A message carries references to any objects, open files and ports among them: a
 * port that waits in its own queue is a ring that no count of holders ends. The bus knows its members
 * weakly: who is gone has left.
 */
#include "fs.h"
#include "text.h"

#define WAIT_NS 10000000ul

struct port *port_new(struct world *world, enum fs_error *error)
{
	struct port *port;
	unsigned int channel;

	*error = FS_NO_CHANNEL;
	if (!channel_take(world->owner, &channel))
		return NULL;
	*error = FS_NO_MEMORY;
	port = world_new(world, KIND_PORT, 0);
	if (port) {
		port->channel = channel;
		wait_queue_init(&port->moved);
		if (world->owner->at_end(&port->object, channel_give, (void *)(uintptr_t)channel)) {
			*error = FS_OK;
			return port;
		}
	}
	channel_give((void *)(uintptr_t)channel);
	return NULL;
}

struct message *message_new(struct world *world, const char *text, struct object *const *refs,
			    size_t n)
{
	struct message *message = world_new(world, KIND_MESSAGE, 0);

	if (!message)
		return NULL;
	mw_format(message->text, sizeof(message->text), "%s", text);
	for (size_t i = 0; i < n && i < MESSAGE_REFS; i++)
		message->refs[i] = hold(refs[i]);
	return message;
}

/* ---- ports ---- */

static bool wait_for_room(struct port *port, bool wait)
{
	uint64_t until = arch_now() + WAIT_NS;

	while (port->n == PORT_LETTERS)
		if (!wait || !sched_wait(&port->moved, until))
			return port->n < PORT_LETTERS;
	return true;
}

bool port_send(struct world *world, struct port *port, struct message *message, bool wait)
{
	struct letter *letter = world_new(world, KIND_LETTER, 0);
	unsigned long state;
	bool room;

	if (!letter)
		return false;
	letter->message = hold(message);
	state = sched_lock();
	room = wait_for_room(port, wait);
	if (room) {
		if (port->last)
			port->last->next = hold(letter);
		else
			port->first = hold(letter);
		port->last = letter;
		port->n++;
		sched_wake_all(&port->moved);
	}
	sched_unlock(state);
	drop(letter);
	return room;
}

static struct letter *take_first(struct port *port)
{
	struct letter *letter = port->first;

	if (!letter)
		return NULL;
	port->first = letter->next;
	if (!port->first)
		port->last = NULL;
	letter->next = NULL;
	port->n--;
	sched_wake_all(&port->moved);
	return letter;
}

struct message *port_receive(struct port *port, bool wait)
{
	uint64_t until = arch_now() + WAIT_NS;
	struct message *message = NULL;
	unsigned long state = sched_lock();
	struct letter *letter = take_first(port);

	while (!letter && wait) {
		wait = sched_wait(&port->moved, until);
		letter = take_first(port);
	}
	sched_unlock(state);
	if (letter)
		message = hold(letter->message);
	drop(letter);
	return message;
}

/* ---- the bus ---- */

/* NULL: nobody is there. Held. */
static struct port *member(struct world *world, size_t i)
{
	unsigned long state = spin_lock(&world->bus.lock);
	void *weak = world->bus.members[i];
	struct port *port = weak ? world->owner->weak_get(weak) : NULL;

	spin_unlock(&world->bus.lock, state);
	return port;
}

/* In the place of nobody, or of one that is gone. */
bool bus_join(struct world *world, struct port *port)
{
	void *weak = world->owner->weak_new(&port->object), *old = NULL;
	bool joined = false;
	struct port *there;
	unsigned long state;

	for (size_t i = 0; weak && i < BUS_MEMBERS && !joined; i++) {
		there = member(world, i);
		state = spin_lock(&world->bus.lock);
		old = world->bus.members[i];
		joined = !there;
		if (joined)
			world->bus.members[i] = weak;
		spin_unlock(&world->bus.lock, state);
		drop(there);
	}
	world->owner->weak_free(joined ? old : weak);
	return joined;
}

unsigned int bus_publish(struct world *world, struct message *message)
{
	unsigned int n = 0;

	for (size_t i = 0; i < BUS_MEMBERS; i++) {
		struct port *port = member(world, i);

		n += port && port_send(world, port, message, false);
		drop(port);
	}
	return n;
}
