// SPDX-License-Identifier: MIT
/*
 * How markers know that nothing is left: mm/gc/mark.c, struct mw_marking. One has three spans, and
 * gives some of them away if others are hungry; who has seen that one leaves only when no span is
 * queued or scanned. One that comes earlier leaves at once. Queues are counted here, not linked.
 */
#include "orders.h"

enum {
	BUSY,
	HUNGRY,
	LENGTH, /* marking->shared_length */
	LOCK,
};

enum {
	SHARED, /* marking->shared: spans */
};

enum { /* ghosts */
	WORK, /* spans that are queued, or scanned */
	OWN, /* of each marker: spans in its own queue */
	SAW = OWN + 3, /* another one was in when it waited, or it is the one that has the work */
};

#define TURNS 2u /* in which a marker looks for work and waits again */

enum site_number {
	JOIN,
	HUNGRY_LOOK,
	LENGTH_LOOK,
	LENGTH_SET,
	STEAL_LOOK,
	HUNGRY_UP,
	BUSY_DOWN,
	BUSY_ASK,
	WAIT_LENGTH,
	BUSY_UP,
	BUSY_BACK,
	HUNGRY_DOWN,
};

enum { /* parts */
	BEGIN,
	NEXT,
	STEAL,
	IDLE,
	GOT,
	LAST,
	WAIT, /* for each turn one, and one that takes */
};

static unsigned int own(void)
{
	return ghost(OWN + machine.thread);
}

static void set_own(unsigned int spans)
{
	set_ghost(OWN + machine.thread, spans);
}

/* give() */
static void give(void)
{
	lock(LOCK);
	plain_write(SHARED, plain_read(SHARED) + 1);
	store(LENGTH_SET, LENGTH, plain_read(SHARED));
	unlock(LOCK);
	set_own(own() - 1);
}

/* steal() */
static bool steal(void)
{
	bool got;

	if (!load(STEAL_LOOK, LENGTH))
		return false;
	lock(LOCK);
	got = plain_read(SHARED);
	if (got)
		plain_write(SHARED, plain_read(SHARED) - 1);
	store(LENGTH_SET, LENGTH, plain_read(SHARED));
	unlock(LOCK);
	if (got)
		set_own(1);
	return got;
}

static void scan(void)
{
	set_own(own() - 1);
	set_ghost(WORK, ghost(WORK) - 1);
}

/* next_span() */
static void next_span(void)
{
	if (own() > 1 && load(HUNGRY_LOOK, HUNGRY) > load(LENGTH_LOOK, LENGTH))
		give();
}

/* wait_for_work(): one turn; the last one waits for nothing but the end. */
static void wait_once(unsigned int turn)
{
	if (turn == TURNS) {
		(void)await(BUSY_ASK, BUSY, 0xff, 0);
	} else if (load(BUSY_ASK, BUSY)) {
		if (load(WAIT_LENGTH, LENGTH)) {
			(void)fetch_add(BUSY_UP, BUSY, 1);
			go_on(WAIT + 1 + 2 * turn);
		} else {
			go_on(WAIT + 2 * (turn + 1));
		}
		return;
	}
	must(!ghost(WORK) || !ghost(SAW + machine.thread), "a marker left while there was work");
	go_on(LAST);
}

static void take(unsigned int turn)
{
	if (steal()) {
		go_on(GOT);
	} else {
		(void)fetch_add(BUSY_BACK, BUSY, 0xff);
		go_on(WAIT + 2 * (turn + 1));
	}
}

/* run_with_others(), without ranges */
static void marker(void)
{
	unsigned int now = part();

	if (now == BEGIN) {
		(void)fetch_add(JOIN, BUSY, 1);
		if (machine.thread == 0) {
			set_ghost(WORK, 3);
			set_own(3);
		}
		go_on(NEXT);
	} else if (now == NEXT) {
		if (own() > 1) {
			next_span();
			scan();
			go_on(own() ? NEXT : STEAL);
			return;
		}
		if (own())
			scan();
		go_on(steal() ? NEXT : IDLE);
	} else if (now == STEAL) {
		go_on(steal() ? NEXT : IDLE);
	} else if (now == IDLE) {
		(void)fetch_add(HUNGRY_UP, HUNGRY, 1);
		set_ghost(SAW + machine.thread,
			  fetch_add(BUSY_DOWN, BUSY, 0xff) > 1 || machine.thread == 0);
		go_on(WAIT);
	} else if (now == GOT) {
		(void)fetch_add(HUNGRY_DOWN, HUNGRY, 0xff);
		go_on(NEXT);
	} else if (now == LAST) {
		(void)fetch_add(HUNGRY_DOWN, HUNGRY, 0xff);
	} else if ((now - WAIT) % 2 == 0) {
		wait_once((now - WAIT) / 2);
	} else {
		take((now - WAIT) / 2);
	}
}

static const char *at_the_end(void)
{
	if (last_ghost(WORK) || last_plain(SHARED))
		return "a span was never scanned";
	return last(BUSY) || last(HUNGRY) ? "counted wrongly" : NULL;
}

const struct protocol idle_protocol = {
	.name = "idle",
	.about = "how markers know that nothing is left",
	.thread = { "marker 1", "marker 2", "marker 3" },
	.run = { marker, marker },
	.location = { "marking.busy", "marking.hungry", "shared_length", "marking.lock" },
	.plain = { "marking.shared" },
	.sites = {
		[JOIN] = { "run_with_others", "fetch_add marking.busy", SEQ_CST, UPDATE },
		[HUNGRY_LOOK] = { "next_span", "load marking.hungry", RELAXED, LOAD },
		[LENGTH_LOOK] = { "next_span", "load shared_length", RELAXED, LOAD },
		[LENGTH_SET] = { "give", "store shared_length", SEQ_CST, STORE },
		[STEAL_LOOK] = { "steal", "load shared_length", SEQ_CST, LOAD },
		[HUNGRY_UP] = { "wait_for_work", "fetch_add marking.hungry", RELAXED, UPDATE },
		[BUSY_DOWN] = { "wait_for_work", "fetch_sub marking.busy", SEQ_CST, UPDATE },
		[BUSY_ASK] = { "wait_for_work", "load marking.busy", SEQ_CST, LOAD },
		[WAIT_LENGTH] = { "wait_for_work", "load shared_length", RELAXED, LOAD },
		[BUSY_UP] = { "wait_for_work", "fetch_add marking.busy", SEQ_CST, UPDATE },
		[BUSY_BACK] = { "wait_for_work", "fetch_sub marking.busy, back", SEQ_CST, UPDATE },
		[HUNGRY_DOWN] = { "wait_for_work", "fetch_sub marking.hungry", RELAXED, UPDATE },
	},
	.wrong = at_the_end,
	.least = 2000,
};
