// SPDX-License-Identifier: MIT
#include "keys.h"
#include "thread.h"

#define CONTROL_C 3
#define AHEAD 256u

static struct {
	unsigned int head, tail; /* from tail up to head, modulo AHEAD */
	char keys[AHEAD];
	bool stop, listens;
} ahead;

static WAIT_QUEUE(input);

static void had_input(void)
{
	unsigned long state = sched_lock();

	sched_wake_all(&input);
	sched_unlock(state);
}

static void listen(void)
{
	if (!ahead.listens)
		arch_on_input(had_input);
	ahead.listens = true;
}

/* Looked for with the lock held, so that no key comes between the look and the wait. */
char keys_wait(void)
{
	unsigned long state;
	int c;

	listen();
	if (ahead.tail != ahead.head)
		return ahead.keys[ahead.tail++ % AHEAD];
	state = sched_lock();
	while ((c = arch_console_read()) < 0)
		(void)sched_wait(&input, UINT64_MAX);
	sched_unlock(state);
	return (char)c;
}

void keys_begin(void)
{
	ahead.stop = false;
}

/* What was typed before a control-C goes with it, as it does at the prompt. */
bool keys_stop(void)
{
	int c;

	while ((c = arch_console_read()) >= 0) {
		if (c == CONTROL_C) {
			ahead.stop = true;
			ahead.tail = ahead.head;
		} else if (ahead.head - ahead.tail < AHEAD) {
			ahead.keys[ahead.head++ % AHEAD] = (char)c;
		}
	}
	return ahead.stop;
}
