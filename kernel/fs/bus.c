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
static struct port *member_locked(struct world *world, size_t i)
{
	void *weak = world->bus.members[i];

	return weak ? world->owner->weak_get(weak) : NULL;
}

/* That of nobody, or of one that is gone. Return: the weak reference that is not needed now. */
static void *take_place(struct world *world, void *weak)
{
	bool joined = false;
	void *old = weak;

	for (size_t i = 0; i < BUS_MEMBERS && !joined; i++) {
		unsigned long state = spin_lock(&world->bus.lock);
		struct port *there = member_locked(world, i);

		joined = !there;
		if (joined) {
			old = world->bus.members[i];
			world->bus.members[i] = weak;
		}
		spin_unlock(&world->bus.lock, state);
		drop(there);
	}
	return old;
}

/* Ports that nobody has any more may still be there: then the owner is asked to end them. */
bool bus_join(struct world *world, struct port *port)
{
	void *weak = world->owner->weak_new(&port->object), *old;

	if (!weak)
		return false;
	old = take_place(world, weak);
	if (old == weak) {
		world->owner->settle();
		old = take_place(world, weak);
	}
	world->owner->weak_free(old);
	return old != weak;
}

unsigned int bus_publish(struct world *world, struct message *message)
{
	unsigned int n = 0;

	for (size_t i = 0; i < BUS_MEMBERS; i++) {
		unsigned long state = spin_lock(&world->bus.lock);
		struct port *port = member_locked(world, i);

		spin_unlock(&world->bus.lock, state);
		n += port && port_send(world, port, message, false);
		drop(port);
	}
	return n;
}
