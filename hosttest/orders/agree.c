// SPDX-License-Identifier: MIT
/*
 * The one order of all sequentially consistent accesses. There need not be a moment at which each
 * of them is made: there has to be an order that contradicts neither what happens before what, nor
 * what each of them has read and overwritten. So an access that would close a ring is no option.
 *
 * An event is such an access, as long as a later one may still have to come before it: one that
 * reads an older message than that it has touched, or writes behind an older one. What has gone
 * leaves what came before it, by location. All sets are closed: with an event they have all that
 * comes before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "orders.h"

static struct agreement *agreement(void)
{
	return &machine.state.agreement;
}

static set bit(unsigned int event)
{
	return (set)(1u << event);
}

static set closed(unsigned int event)
{
	return agreement()->event[event].before | bit(event);
}

/*
 * What comes before an access to message @i of @location, or behind it. @writes: and puts one
 * there.
 */
static set all_before(unsigned int location, unsigned int i, bool writes)
{
	const struct agreement *a = agreement();
	set before = machine.state.thread[machine.thread].now.before | a->fenced | a->gone[location];

	if (writes || i)
		before |= a->gone_reads[location];
	for (unsigned int e = 0; e < a->events; e++) {
		const struct event *event = &a->event[e];

		if (event->location == location &&
		    (event->at < i || (event->at == i && (event->writes || writes))))
			before |= closed(e);
	}
	return before;
}

static set all_behind(unsigned int location, unsigned int i)
{
	const struct agreement *a = agreement();
	set behind = 0;

	for (unsigned int e = 0; e < a->events; e++)
		if (a->event[e].location == location && a->event[e].at > i)
			behind |= bit(e);
	return behind;
}

bool agree_allows(unsigned int location, unsigned int i, bool reads, bool writes)
{
	set before = all_before(location, i, writes);

	if (reads)
		before |= machine.state.message[location][i].view.before;
	return !(before & all_behind(location, i));
}

/* ---- every set there is ---- */

static void each_set(void (*fn)(set *events, unsigned int a, unsigned int b), unsigned int a,
		     unsigned int b)
{
	struct state *s = &machine.state;
	struct agreement *g = &s->agreement;

	for (unsigned int t = 0; t < machine.threads; t++) {
		fn(&s->thread[t].now.before, a, b);
		fn(&s->thread[t].acquired.before, a, b);
		fn(&s->thread[t].released.before, a, b);
	}
	for (unsigned int l = 0; l < machine.locations; l++) {
		for (unsigned int i = 0; i < s->count[l]; i++)
			fn(&s->message[l][i].view.before, a, b);
		fn(&g->gone[l], a, b);
		fn(&g->gone_reads[l], a, b);
	}
	for (unsigned int e = 0; e < g->events; e++)
		fn(&g->event[e].before, a, b);
	fn(&g->fenced, a, b);
}

static void also(set *events, unsigned int with, unsigned int add)
{
	if (*events & with)
		*events |= (set)add;
}

/* The numbers @a and @b change places. */
static void swapped(set *events, unsigned int a, unsigned int b)
{
	unsigned int other = (*events >> a ^ *events >> b) & 1;

	*events ^= (set)(other << a | other << b);
}

static void cut(set *events, unsigned int from, unsigned int unused)
{
	(void)unused;
	*events &= (set)(bit(from) - 1);
}

/* ---- what happens ---- */

void agree_add(unsigned int location, unsigned int i, bool writes)
{
	struct agreement *a = agreement();
	set before = all_before(location, i, writes), behind = all_behind(location, i);
	unsigned int e = a->events++;

	if (e == MOST_EVENTS) {
		fprintf(stderr, "%s: too many events\n", machine.protocol->name);
		exit(2);
	}
	a->event[e] = (struct event){ .location = (unsigned char)location,
				      .at = (unsigned char)i,
				      .writes = writes,
				      .before = before };
	machine.state.thread[machine.thread].now.before |= before | bit(e);
	each_set(also, behind, before | bit(e));
}

void agree_insert(unsigned int location, unsigned int behind)
{
	struct agreement *a = agreement();

	for (unsigned int e = 0; e < a->events; e++)
		if (a->event[e].location == location)
			a->event[e].at += a->event[e].at > behind;
}

void agree_fence(void)
{
	agreement()->fenced = (set)(bit(agreement()->events) - 1);
}

static void remove_event(unsigned int e)
{
	struct agreement *a = agreement();
	const unsigned int last = a->events - 1u;

	each_set(swapped, e, last);
	a->event[e] = a->event[last];
	each_set(cut, last, 0);
	a->events--;
	a->event[last] = (struct event){ 0 };
}

/* The first @n messages can be read by nobody any more. */
void agree_forget(unsigned int location, unsigned int n)
{
	struct agreement *a = agreement();

	if (n) {
		a->gone[location] |= a->gone_reads[location];
		a->gone_reads[location] = 0;
	}
	for (unsigned int e = a->events; e-- > 0;) {
		struct event *event = &a->event[e];

		if (event->location != location)
			continue;
		if (event->at > n) {
			event->at -= (unsigned char)n;
			continue;
		}
		if (event->writes || event->at < n)
			a->gone[location] |= event->before;
		else
			a->gone_reads[location] |= event->before;
		remove_event(e);
	}
}

/* By where they are, so that equal states are equal. */
void agree_sort(void)
{
	struct agreement *a = agreement();

	for (unsigned int e = 1; e < a->events; e++) {
		for (unsigned int x = e; x > 0; x--) {
			struct event low = a->event[x - 1], high = a->event[x];
			unsigned int l = low.location << 16 | low.at << 8 | low.writes;
			unsigned int h = high.location << 16 | high.at << 8 | high.writes;

			if (l <= h)
				break;
			each_set(swapped, x - 1, x);
			low = a->event[x - 1];
			a->event[x - 1] = a->event[x];
			a->event[x] = low;
		}
	}
}
