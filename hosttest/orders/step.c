// SPDX-License-Identifier: MIT
/* The machine: its state, and one step of it. See orders.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inside.h"

struct machine machine;
unsigned int way;

const char *const order_names[NR_ORDERS] = { "relaxed", "acquire", "release", "acq_rel", "seq_cst" };

struct thread_state *self(void)
{
	return &machine.state.thread[machine.thread];
}

void die(const char *why)
{
	fprintf(stderr, "%s: %s\n", machine.protocol->name, why);
	exit(2);
}

/* ---- views ---- */

void join(struct view *to, const struct view *from)
{
	for (unsigned int l = 0; l < machine.locations; l++)
		if (to->at[l] < from->at[l])
			to->at[l] = from->at[l];
	for (unsigned int p = 0; p < machine.plains; p++)
		to->knows[p] |= from->knows[p];
	to->before |= from->before;
}

void each_view(void (*fn)(struct view *view, unsigned int a, unsigned int b), unsigned int a,
	       unsigned int b)
{
	struct state *s = &machine.state;

	for (unsigned int t = 0; t < machine.threads; t++) {
		fn(&s->thread[t].now, a, b);
		fn(&s->thread[t].acquired, a, b);
		fn(&s->thread[t].released, a, b);
	}
	for (unsigned int l = 0; l < machine.locations; l++)
		for (unsigned int i = 0; i < s->count[l]; i++)
			fn(&s->message[l][i].view, a, b);
}

void set_known(struct view *view, unsigned int plain, unsigned int bits)
{
	view->knows[plain] |= (unsigned char)bits;
}

/* ---- whose turn it is ---- */

/* @free: an access that belongs to the step of the one before it. */
enum turn turn(bool free)
{
	if (machine.stopped) {
		if (++machine.at > 100 * MOST_STEPS)
			die("a loop that does not end when all that is read is 0");
		return BEHIND;
	}
	if (machine.at < self()->steps)
		return BEFORE;
	if (machine.moved && !free) {
		machine.stopped = true;
		return BEHIND;
	}
	return NOW;
}

unsigned int seen(void)
{
	return self()->seen[machine.at++];
}

unsigned int note(unsigned int value)
{
	struct thread_state *me = self();

	if (me->steps == MOST_STEPS)
		die("too many steps");
	me->seen[me->steps++] = (unsigned char)value;
	machine.at++;
	return value;
}

/* Return: whether there is an option for this step's choice. */
bool choose(unsigned int options)
{
	machine.options = options;
	machine.moved = machine.choice < options;
	machine.stopped = !machine.moved;
	return machine.moved;
}

void trace(const char *function, const char *what, const char *how, const char *value)
{
	if (machine.traced)
		printf("    %-12s %-24s %-24s %-8s %s\n", machine.protocol->thread[machine.thread],
		       function, what, how, value);
}

unsigned int part(void)
{
	return self()->part;
}

void go_on(unsigned int part)
{
	if (machine.stopped)
		return;
	if (!machine.moved)
		die("a part without an access");
	self()->part = (unsigned char)part;
	self()->steps = 0;
	machine.stopped = true;
}

/* ---- beginning, and a step ---- */

void machine_set(const struct protocol *protocol)
{
	machine = (struct machine){ .protocol = protocol };
	while (machine.threads < MOST_THREADS && protocol->run[machine.threads])
		machine.threads++;
	while (machine.locations < MOST_LOCATIONS && protocol->location[machine.locations])
		machine.locations++;
	while (machine.plains < MOST_PLAINS && protocol->plain[machine.plains])
		machine.plains++;
	for (; machine.sites < MOST_SITES && protocol->sites[machine.sites].function;
	     machine.sites++) {
		machine.order[machine.sites] = protocol->sites[machine.sites].order;
		machine.fences |= protocol->sites[machine.sites].kind == FENCE;
		machine.agrees |= protocol->sites[machine.sites].order == SEQ_CST;
	}
}

void machine_start(unsigned int which)
{
	struct state *s = &machine.state;

	*s = (struct state){ 0 };
	way = which;
	for (unsigned int l = 0; l < machine.locations; l++)
		s->count[l] = 1;
	for (unsigned int p = 0; p < machine.plains; p++)
		each_view(set_known, p, KNOWS_WRITE | KNOWS_READS);
	if (machine.protocol->start)
		machine.protocol->start();
}

bool machine_step(unsigned int thread, unsigned int choice)
{
	machine.wrong = NULL;
	machine.thread = thread;
	machine.choice = choice;
	machine.options = 1;
	machine.at = 0;
	machine.moved = machine.stopped = false;
	machine.protocol->run[thread]();
	self()->ended = !machine.stopped;
	return machine.moved || self()->ended;
}

void begin_with(unsigned int location, unsigned int value)
{
	machine.state.message[location][0].value = (unsigned char)value;
}

void begin_plain(unsigned int plain, unsigned int value)
{
	machine.state.plain[plain] = (unsigned char)value;
}

void begin_ghost(unsigned int number, unsigned int value)
{
	machine.state.ghost[number] = (unsigned char)value;
}

unsigned int last(unsigned int location)
{
	return machine.state.message[location][machine.state.count[location] - 1].value;
}

unsigned int last_plain(unsigned int plain)
{
	return machine.state.plain[plain];
}

unsigned int last_ghost(unsigned int number)
{
	return machine.state.ghost[number];
}
