// SPDX-License-Identifier: MIT
/*
 * What is no choice of the machine: variables that are not atomic, data races on them, and what
 * protocols count.
 */
#include <stdio.h>
#include "inside.h"

static void set_unknown(struct view *view, unsigned int plain, unsigned int bits)
{
	view->knows[plain] &= (unsigned char)~bits;
}

static void race(unsigned int plain)
{
	static char text[80];

	snprintf(text, sizeof(text), "a data race on %s", machine.protocol->plain[plain]);
	wrong(text);
}

static void trace_plain(const char *what, unsigned int plain, unsigned int value)
{
	char name[48], number[12];

	snprintf(name, sizeof(name), "%s %s", what, machine.protocol->plain[plain]);
	snprintf(number, sizeof(number), "%u", value);
	trace("", name, "plain", number);
}

unsigned int plain_read(unsigned int plain)
{
	struct view *now = &self()->now;

	switch (turn(true)) {
	case BEFORE:
		return seen();
	case BEHIND:
		return 0;
	case NOW:
		break;
	}
	trace_plain("read", plain, machine.state.plain[plain]);
	if (!(now->knows[plain] & KNOWS_WRITE))
		race(plain);
	each_view(set_unknown, plain, KNOWS_READ(machine.thread));
	set_known(now, plain, KNOWS_READ(machine.thread));
	return note(machine.state.plain[plain]);
}

void plain_write(unsigned int plain, unsigned int value)
{
	const unsigned int all = KNOWS_WRITE | KNOWS_READS;
	struct view *now = &self()->now;

	switch (turn(true)) {
	case BEFORE:
		seen();
		return;
	case BEHIND:
		return;
	case NOW:
		break;
	}
	trace_plain("write", plain, value);
	if (now->knows[plain] != all)
		race(plain);
	each_view(set_unknown, plain, KNOWS_WRITE);
	each_view(set_known, plain, KNOWS_READS);
	set_known(now, plain, all);
	machine.state.plain[plain] = (unsigned char)value;
	note(0);
}

unsigned int ghost(unsigned int number)
{
	switch (turn(true)) {
	case BEFORE:
		return seen();
	case BEHIND:
		return 0;
	case NOW:
		break;
	}
	return note(machine.state.ghost[number]);
}

void set_ghost(unsigned int number, unsigned int value)
{
	switch (turn(true)) {
	case BEFORE:
		seen();
		return;
	case BEHIND:
		return;
	case NOW:
		break;
	}
	machine.state.ghost[number] = (unsigned char)value;
	note(0);
}

void wrong(const char *why)
{
	if (!machine.stopped && !machine.wrong)
		machine.wrong = why;
}

void must(bool ok, const char *why)
{
	if (!ok)
		wrong(why);
}
