// SPDX-License-Identifier: MIT
/*
 * Grace periods: mm/base/grace.c. An item is taken out of sight and deferred, while a CPU reads it
 * twice, pinned, and two others stop the world and run what is due. The port stops the world as its
 * contract says: a request that the CPU reads with acquire when it is not pinned, an answer that
 * the stopper reads with acquire.
 */
#include "orders.h"

enum {
	VISIBLE, /* the last pointer to the item */
	BEGUN, /* mw_base.grace.begun */
	SERVED,
	DEFERRED,
	STOPPER, /* the port's lock */
	ASK, /* the port's request, by number */
	ANSWER,
};

enum {
	ITEM,
	SINCE, /* item->since */
	NEXT, /* item->next */
};

enum {
	FREED, /* ghosts */
	STOPS,
	ANSWERED,
};

#define LIVE 1u
#define DEAD 2u
#define STOPS_IN_ALL 2u

enum site_number {
	HIDE,
	READ,
	BEGIN,
	NUMBER,
	SERVED_LOOK,
	SERVE,
	PASSED,
	PUSH_LOOK,
	PUSH,
	RUN_LOOK,
	RUN_TAKE,
};

/* ---- who reads ---- */

static void answer(void)
{
	unsigned int answered = ghost(ANSWERED) + 1;

	set_ghost(ANSWERED, answered);
	store_as(RELEASE, ANSWER, answered);
}

/* Not pinned: an interrupt may come here. */
static void maybe_answer(void)
{
	if (load_as(ACQUIRE, ASK) > ghost(ANSWERED))
		answer();
}

static void read_item(void)
{
	if (load(READ, VISIBLE))
		must(plain_read(ITEM) == LIVE, "a reader used what was freed");
}

static void reader(void)
{
	switch (part()) {
	case 0:
		maybe_answer();
		go_on(1);
		break;
	case 1:
		read_item();
		go_on(2);
		break;
	case 2:
		maybe_answer();
		go_on(3);
		break;
	case 3:
		read_item();
		go_on(4);
		break;
	default: /* and outside of Marrow from then on */
		if (ghost(ANSWERED) == STOPS_IN_ALL)
			return;
		(void)await_as(ACQUIRE, ASK, 0xff, ghost(ANSWERED) + 1);
		answer();
		if (ghost(ANSWERED) < STOPS_IN_ALL)
			go_on(4);
	}
}

/* ---- who takes it away: mw_grace_defer() ---- */

static void push(void)
{
	unsigned int head = load(PUSH_LOOK, DEFERRED);

	plain_write(NEXT, head);
	must(compare_exchange(PUSH, PUSH_LOOK, DEFERRED, &head, 1), "deferred twice");
}

static void writer(void)
{
	if (part() == 0) {
		store(HIDE, VISIBLE, 0);
		go_on(1);
	} else {
		plain_write(SINCE, fetch_add(BEGIN, BEGUN, 0));
		push();
	}
}

/* ---- who stops the world: mw_stop_world(), mw_start_world() ---- */

static void stop(void)
{
	unsigned int number = fetch_add(NUMBER, BEGUN, 1) + 1, turn;

	lock(STOPPER);
	turn = ghost(STOPS) + 1;
	set_ghost(STOPS, turn);
	store_as(RELEASE, ASK, turn);
	(void)await_as(ACQUIRE, ANSWER, 0xff, turn);
	if (number > load(SERVED_LOOK, SERVED))
		store(SERVE, SERVED, number);
	unlock(STOPPER);
}

/* mw_grace_run(), mw_grace_passed() */
static void run(void)
{
	if (!load(RUN_LOOK, DEFERRED) || !exchange(RUN_TAKE, DEFERRED, 0))
		return;
	(void)plain_read(NEXT);
	if (load(PASSED, SERVED) > plain_read(SINCE)) {
		must(!ghost(FREED), "freed twice");
		set_ghost(FREED, 1);
		plain_write(ITEM, DEAD);
	} else {
		push();
	}
}

static void stopper(void)
{
	if (part() == 0) {
		stop();
		go_on(1);
	} else {
		run();
	}
}

static void start(void)
{
	begin_with(VISIBLE, 1);
	begin_plain(ITEM, LIVE);
}

static const char *at_the_end(void)
{
	if (!last_ghost(FREED) && !last(DEFERRED))
		return "what was deferred is lost";
	return last(SERVED) == 2 ? NULL : "a stop that all answered does not count";
}

const struct protocol grace_protocol = {
	.name = "grace",
	.about = "grace periods",
	.thread = { "reader", "writer", "stopper 1", "stopper 2" },
	.run = { reader, writer, stopper, stopper },
	.location = { "visible", "grace.begun", "grace.served", "grace.deferred", "port: lock",
		      "port: request", "port: answer" },
	.plain = { "the item", "item->since", "item->next" },
	.sites = {
		[HIDE] = { "flat_shut", "store map_flat.pages", RELAXED, STORE },
		[READ] = { "mw_map_flat_number", "load map_flat.pages", ACQUIRE, LOAD },
		[BEGIN] = { "mw_grace_begin", "fetch_add grace.begun", ACQ_REL, UPDATE },
		[NUMBER] = { "mw_stop_world", "fetch_add grace.begun", ACQ_REL, UPDATE },
		[SERVED_LOOK] = { "mw_stop_world", "load grace.served", RELAXED, LOAD },
		[SERVE] = { "mw_stop_world", "store grace.served", RELEASE, STORE },
		[PASSED] = { "mw_grace_passed", "load grace.served", ACQUIRE, LOAD },
		[PUSH_LOOK] = { "push", "load grace.deferred", RELAXED, LOAD },
		[PUSH] = { "push", "compare_exchange grace.deferred", RELEASE, UPDATE },
		[RUN_LOOK] = { "mw_grace_run", "load grace.deferred", RELAXED, LOAD },
		[RUN_TAKE] = { "mw_grace_run", "exchange grace.deferred", ACQUIRE, UPDATE },
	},
	.start = start,
	.wrong = at_the_end,
	.least = 10000,
};
