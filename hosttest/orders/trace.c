// SPDX-License-Identifier: MIT
/*
 * The event trace: mm/watch/trace.c. A ring is made, and one of its entries written twice, while a
 * reader looks for each event in it. What an event says are two words here; in the second way the
 * ring is there, with an event in the entry, so that it is written over.
 */
#include "orders.h"

enum {
	RING, /* mw_trace_state.ring[] */
	WRITTEN, /* ring->written */
	TURN, /* entry->turn */
	A,
	B,
};

enum {
	NEW, /* that the ring is all zero */
};

enum site_number {
	RING_MINE,
	RING_SHOW,
	WRITTEN_MINE,
	TURN_ZERO,
	SET_A,
	SET_B,
	TURN_SET,
	WRITTEN_SET,
	RING_READ,
	WRITTEN_READ,
	TURN_FIRST,
	GET_A,
	GET_B,
	TURN_LAST,
};

/* mw_up_event(), ring_here() */
static void event(void)
{
	unsigned int turn;

	if (!load(RING_MINE, RING)) {
		plain_write(NEW, 1);
		store(RING_SHOW, RING, 1);
	}
	turn = load(WRITTEN_MINE, WRITTEN) + 1;
	store(TURN_ZERO, TURN, 0);
	store(SET_A, A, turn);
	store(SET_B, B, turn);
	store(TURN_SET, TURN, turn);
	store(WRITTEN_SET, WRITTEN, turn);
}

static void writer(void)
{
	event();
	if (part() == 0)
		go_on(1);
}

/* mw_ring_read() */
static void read_event(unsigned int turn)
{
	unsigned int a, b;

	if (load(TURN_FIRST, TURN) != turn)
		return;
	a = load(GET_A, A);
	b = load(GET_B, B);
	if (load(TURN_LAST, TURN) == turn)
		must(a == turn && b == turn, "a torn event was believed");
}

/* put_ring(): all that were written, as if the ring had one entry. */
static void reader(void)
{
	unsigned int wanted = part(), written;

	if (wanted == 0) {
		if (!load(RING_READ, RING))
			return;
		must(plain_read(NEW), "a ring that was not made yet");
		written = load(WRITTEN_READ, WRITTEN);
		set_ghost(0, written);
		if (written)
			go_on(1);
		return;
	}
	read_event(wanted);
	if (wanted < ghost(0))
		go_on(wanted + 1);
}

static void start(void)
{
	if (way != 1)
		return;
	begin_with(RING, 1);
	begin_with(WRITTEN, 1);
	begin_with(TURN, 1);
	begin_with(A, 1);
	begin_with(B, 1);
	begin_plain(NEW, 1);
}

static const char *at_the_end(void)
{
	return last(TURN) == 2 + way ? NULL : "the last event is not there";
}

const struct protocol trace_protocol = {
	.name = "trace",
	.about = "entries of the event trace",
	.thread = { "writer", "reader" },
	.run = { writer, reader },
	.location = { "ring", "ring->written", "entry->turn", "entry->a", "entry->b" },
	.plain = { "the new ring" },
	.sites = {
		[RING_MINE] = { "ring_here", "load ring", RELAXED, LOAD },
		[RING_SHOW] = { "ring_here", "store ring", RELEASE, STORE },
		[WRITTEN_MINE] = { "mw_up_event", "load ring->written", RELAXED, LOAD },
		[TURN_ZERO] = { "mw_up_event", "store entry->turn, 0", RELAXED, STORE },
		[SET_A] = { "mw_up_event", "store entry->a", RELEASE, STORE },
		[SET_B] = { "mw_up_event", "store entry->b", RELEASE, STORE },
		[TURN_SET] = { "mw_up_event", "store entry->turn", RELEASE, STORE },
		[WRITTEN_SET] = { "mw_up_event", "store ring->written", RELEASE, STORE },
		[RING_READ] = { "put_ring", "load ring", ACQUIRE, LOAD },
		[WRITTEN_READ] = { "put_ring", "load ring->written", ACQUIRE, LOAD },
		[TURN_FIRST] = { "mw_ring_read", "load entry->turn, first", ACQUIRE, LOAD },
		[GET_A] = { "mw_ring_read", "load entry->a", ACQUIRE, LOAD },
		[GET_B] = { "mw_ring_read", "load entry->b", ACQUIRE, LOAD },
		[TURN_LAST] = { "mw_ring_read", "load entry->turn, last", RELAXED, LOAD },
	},
	.ways = 2,
	.start = start,
	.wrong = at_the_end,
	.least = 200,
};
