// SPDX-License-Identifier: MIT
/* Atomic accesses and fences, as the machine of views makes them: see orders.h. */
#include <stdio.h>
#include <string.h>
#include "inside.h"

static bool acquires(enum order order)
{
	return order == ACQUIRE || order >= ACQ_REL;
}

static bool releases(enum order order)
{
	return order >= RELEASE;
}

static void make_room(struct view *view, unsigned int location, unsigned int behind)
{
	view->at[location] += view->at[location] > behind;
}

static void trace_access(const struct site *site, const char *what, enum order order,
			 unsigned int location, int old, int new)
{
	char name[48], value[48], *at = value;
	unsigned int newer;

	if (!machine.traced)
		return;
	newer = machine.state.count[location] - 1u - self()->now.at[location];
	snprintf(name, sizeof(name), "%s %s", what, machine.protocol->location[location]);
	if (old >= 0)
		at += sprintf(at, "%d", old);
	if (new >= 0)
		at += sprintf(at, " -> %d", new);
	if (newer)
		sprintf(at, "  (%u newer)", newer);
	trace(site ? site->function : "", name, order_names[order], value);
}

static unsigned int oldest(enum order order, unsigned int location)
{
	unsigned int at = self()->now.at[location];

	if (order == SEQ_CST && at < machine.state.fenced[location])
		at = machine.state.fenced[location];
	return at;
}

/* An access of that order has touched message @i. */
static void touch(enum order order, unsigned int location, unsigned int i, bool writes)
{
	if (order != SEQ_CST)
		return;
	agree_add(location, i, writes);
	if (machine.fences && machine.state.touched[location] < i)
		machine.state.touched[location] = (unsigned char)i;
}

/* May something be put behind that message? */
static bool is_open(unsigned int location, unsigned int i)
{
	const struct state *s = &machine.state;

	return i + 1u == s->count[location] || !s->message[location][i + 1].joined;
}

static void have_read(enum order order, unsigned int location, unsigned int i)
{
	const struct message *message = &machine.state.message[location][i];

	self()->now.at[location] = (unsigned char)i;
	if (acquires(order))
		join(&self()->now, &message->view);
	else if (machine.fences)
		join(&self()->acquired, &message->view);
}

/* A message behind @i. @of: what a read-modify-write has read, or NULL. */
static void put(enum order order, unsigned int location, unsigned int i, unsigned int value,
		const struct view *of)
{
	struct state *s = &machine.state;
	struct message *message = &s->message[location][i + 1];
	struct view read = { 0 };

	if (s->count[location] == MOST_MESSAGES)
		die("too many messages");
	if (of)
		read = *of;
	memmove(message + 1, message, (s->count[location] - i - 1u) * sizeof(*message));
	s->count[location]++;
	memset(message, 0, sizeof(*message));
	each_view(make_room, location, i);
	s->fenced[location] += s->fenced[location] > i;
	s->touched[location] += s->touched[location] > i;
	agree_insert(location, i);
	self()->now.at[location] = (unsigned char)(i + 1);
	message->value = (unsigned char)value;
	message->joined = of != NULL;
	message->view = read;
	touch(order, location, i + 1, true);
	if (releases(order))
		join(&message->view, &self()->now);
	else if (machine.fences)
		join(&message->view, &self()->released);
	message->view.at[location] = (unsigned char)(i + 1);
}

typedef bool fits(unsigned int value, unsigned int mask, unsigned int wanted);

static bool any(unsigned int value, unsigned int mask, unsigned int wanted)
{
	(void)value, (void)mask, (void)wanted;
	return true;
}

static bool is(unsigned int value, unsigned int mask, unsigned int wanted)
{
	return (value & mask) == wanted;
}

static bool is_not(unsigned int value, unsigned int mask, unsigned int wanted)
{
	return (value & mask) != wanted;
}

enum access {
	READS = 1,
	WRITES = 2,
};

/*
 * The message of this step's choice among those that fit, from the newest on. Return: false: there
 * is none.
 */
static bool pick(enum order order, unsigned int location, unsigned int access, fits *fit,
		 unsigned int mask, unsigned int wanted, unsigned int *i)
{
	unsigned int first = oldest(order, location), options = 0, n = machine.state.count[location];

	while (n-- > first) {
		unsigned int value = machine.state.message[location][n].value;

		if ((access & WRITES && !is_open(location, n)) || !fit(value, mask, wanted) ||
		    (order == SEQ_CST && !agree_allows(location, n, access & READS, access & WRITES)))
			continue;
		if (options++ == machine.choice)
			*i = n;
	}
	return choose(options);
}

static unsigned int read_some(const struct site *site, enum order order, unsigned int location,
			      fits *fit, unsigned int mask, unsigned int wanted)
{
	unsigned int i = 0, value;

	switch (turn(false)) {
	case BEFORE:
		return seen();
	case BEHIND:
		return 0;
	case NOW:
		break;
	}
	if (!pick(order, location, READS, fit, mask, wanted, &i))
		return 0;
	have_read(order, location, i);
	touch(order, location, i, false);
	value = machine.state.message[location][i].value;
	trace_access(site, "load", order, location, (int)value, -1);
	return note(value);
}

static void write_one(const struct site *site, enum order order, unsigned int location,
		      unsigned int value)
{
	unsigned int i = 0;

	switch (turn(false)) {
	case BEFORE:
		seen();
		return;
	case BEHIND:
		return;
	case NOW:
		break;
	}
	/* Behind any message is a place, but between the two of a read-modify-write. */
	if (!pick(order, location, WRITES, any, 0, 0, &i))
		return;
	put(order, location, i, value, NULL);
	trace_access(site, "store", order, location, -1, (int)value);
	note(0);
}

/* What becomes of a value: (the value & @keep | @set) + @add. */
struct change {
	unsigned int keep, set, add;
};

static unsigned int update(const struct site *site, enum order order, unsigned int location,
			   const struct change *change, fits *fit, unsigned int wanted)
{
	unsigned int i = 0, old, new;
	struct view of;

	switch (turn(false)) {
	case BEFORE:
		return seen();
	case BEHIND:
		return 0;
	case NOW:
		break;
	}
	if (!pick(order, location, READS | WRITES, fit, 0xff, wanted, &i))
		return 0;
	old = machine.state.message[location][i].value;
	new = (((old & change->keep) | change->set) + change->add) & 0xff;
	of = machine.state.message[location][i].view;
	have_read(order, location, i);
	put(order, location, i, new, &of);
	trace_access(site, "update", order, location, (int)old, (int)new);
	return note(old);
}

static const struct site *site_of(unsigned int site)
{
	return &machine.protocol->sites[site];
}

unsigned int load(unsigned int site, unsigned int location)
{
	return read_some(site_of(site), machine.order[site], location, any, 0, 0);
}

unsigned int await(unsigned int site, unsigned int location, unsigned int mask, unsigned int value)
{
	return read_some(site_of(site), machine.order[site], location, is, mask, value);
}

unsigned int await_not(unsigned int site, unsigned int location, unsigned int mask, unsigned int value)
{
	return read_some(site_of(site), machine.order[site], location, is_not, mask, value);
}

void store(unsigned int site, unsigned int location, unsigned int value)
{
	write_one(site_of(site), machine.order[site], location, value);
}

unsigned int exchange(unsigned int site, unsigned int location, unsigned int value)
{
	return replace(site, location, 0xff, value);
}

unsigned int fetch_or(unsigned int site, unsigned int location, unsigned int value)
{
	const struct change change = { .keep = 0xff, .set = value };

	return update(site_of(site), machine.order[site], location, &change, any, 0);
}

unsigned int fetch_and(unsigned int site, unsigned int location, unsigned int value)
{
	const struct change change = { .keep = value };

	return update(site_of(site), machine.order[site], location, &change, any, 0);
}

unsigned int fetch_add(unsigned int site, unsigned int location, unsigned int value)
{
	const struct change change = { .keep = 0xff, .add = value };

	return update(site_of(site), machine.order[site], location, &change, any, 0);
}

unsigned int replace(unsigned int site, unsigned int location, unsigned int mask, unsigned int value)
{
	const struct change change = { .keep = ~mask, .set = value };

	return update(site_of(site), machine.order[site], location, &change, any, 0);
}

/*
 * Of a value that is as expected it is an update; of another one a load with the order of a
 * failure.
 */
bool compare_exchange(unsigned int site, unsigned int failed, unsigned int location,
		      unsigned int *expected, unsigned int value)
{
	const struct change change = { .set = value };
	const unsigned int wanted = *expected, choice = machine.choice;
	unsigned int updates;

	if (turn(false) != NOW) {
		*expected = update(site_of(site), machine.order[site], location, &change, is, wanted);
		return machine.stopped || *expected == wanted;
	}
	*expected = update(site_of(site), machine.order[site], location, &change, is, wanted);
	if (machine.moved) {
		updates = machine.options;
		machine.options = choice + 2;
	} else {
		updates = machine.options;
		machine.choice = choice - updates;
		machine.stopped = false;
		*expected = read_some(site_of(failed), machine.order[failed], location, is_not,
				      0xff, wanted);
		machine.options += updates;
		machine.choice = choice;
	}
	return *expected == wanted;
}

void fence(unsigned int site)
{
	enum order order = machine.order[site];
	struct thread_state *me = self();
	unsigned char *fenced = machine.state.fenced, *touched = machine.state.touched;

	switch (turn(false)) {
	case BEFORE:
		seen();
		return;
	case BEHIND:
		return;
	case NOW:
		break;
	}
	(void)choose(1);
	if (acquires(order))
		join(&me->now, &me->acquired);
	for (unsigned int l = 0; order == SEQ_CST && l < machine.locations; l++) {
		if (me->now.at[l] < fenced[l])
			me->now.at[l] = fenced[l];
		if (me->now.at[l] < touched[l])
			me->now.at[l] = touched[l];
		fenced[l] = me->now.at[l];
	}
	if (order == SEQ_CST)
		agree_fence();
	if (releases(order))
		me->released = me->now;
	trace(site_of(site)->function, "fence", order_names[order], "");
	note(0);
}

/* ---- accesses with an order of their own ---- */

unsigned int load_as(enum order order, unsigned int location)
{
	return read_some(NULL, order, location, any, 0, 0);
}

unsigned int await_as(enum order order, unsigned int location, unsigned int mask, unsigned int value)
{
	return read_some(NULL, order, location, is, mask, value);
}

void store_as(enum order order, unsigned int location, unsigned int value)
{
	write_one(NULL, order, location, value);
}

unsigned int await_not_as(enum order order, unsigned int location, unsigned int mask,
			  unsigned int value)
{
	return read_some(NULL, order, location, is_not, mask, value);
}

void lock(unsigned int location)
{
	const struct change change = { .set = 1 };

	(void)update(NULL, ACQUIRE, location, &change, is, 0);
}

void unlock(unsigned int location)
{
	write_one(NULL, RELEASE, location, 0);
}
