// SPDX-License-Identifier: MIT
/*
 * Spans that handlers empty while a mark has bits for objects freed by hand: mm/gc/wide.c, leak.c,
 * safe.c, cycle.c. The collector sets the mode, waits for handlers that began before, marks, ends
 * the mode, waits again, and gives back what was left to it. A handler on another CPU gives a span
 * back, or leaves it.
 */
#include "orders.h"

enum {
	MODE, /* mw_gc.wide.mode */
	NOW, /* mw_gc.sweeping.generation */
	LEFT, /* mw_gc.wide.left */
	OWNER, /* span->owner */
	ASK, /* the port's: requests, and the answers of the handler's CPU */
	ANSWER,
};

enum {
	SPAN, /* the descriptor; who takes it from the page heap writes it */
	LINK, /* span->link */
};

enum { /* ghosts */
	ROUND,
	ANSWERED,
	BACK, /* in the page heap */
};

#define MARKING 2u
#define GONE 0x23u
#define CPU 1u
#define ROUNDS 2u

enum site_number {
	MODE_SET,
	MARKING_SET,
	OWNER_LOOK,
	MODE_END,
	LEFT_TAKE,
	SET_OWNER,
	MODE_READ,
	NOW_READ,
	LEFT_LOOK,
	LEFT_PUSH,
};

static void give_back(void)
{
	must(!ghost(BACK), "given back twice");
	set_ghost(BACK, 1);
	plain_write(SPAN, 1);
}

/* ---- the collector ---- */

/* mw_handlers_wait(), and mw_object_flush() */
static void handlers_wait(void)
{
	unsigned int round = ghost(ROUND) + 1;

	set_ghost(ROUND, round);
	store_as(RELEASE, ASK, round);
	(void)await_as(ACQUIRE, ANSWER, 0xff, round);
}

static void mark(void)
{
	if (load(OWNER_LOOK, OWNER) != GONE) {
		(void)plain_read(SPAN);
		go_on(3);
	} else {
		go_on(4);
	}
}

static void collector(void)
{
	switch (part()) {
	case 0:
		store(MODE_SET, MODE, 1);
		(void)fetch_or(MARKING_SET, NOW, MARKING);
		go_on(1);
		break;
	case 1:
		handlers_wait();
		go_on(2);
		break;
	case 2:
		mark();
		break;
	case 3: /* some time later */
		(void)load(OWNER_LOOK, OWNER);
		(void)plain_read(SPAN);
		go_on(4);
		break;
	case 4: /* mw_wide_end() */
		store(MODE_END, MODE, 0);
		handlers_wait();
		go_on(5);
		break;
	default:
		if (exchange(LEFT_TAKE, LEFT, 0)) {
			(void)plain_read(LINK);
			give_back();
		}
	}
}

/* ---- the handler ---- */

static void answer(unsigned int round)
{
	set_ghost(ANSWERED, round);
	store_as(RELEASE, ANSWER, round);
}

/* mw_span_unmake(), mw_up_span_left(), mw_up_looking() */
static void unmake(void)
{
	unsigned int head;

	(void)replace(SET_OWNER, OWNER, 0xff, GONE);
	if (!load(MODE_READ, MODE) || !(load(NOW_READ, NOW) & MARKING)) {
		give_back();
		return;
	}
	head = load(LEFT_LOOK, LEFT);
	plain_write(LINK, head);
	must(compare_exchange(LEFT_PUSH, LEFT_LOOK, LEFT, &head, 1), "left twice");
}

/* It may begin before any answer, or behind one or two. */
static void handler(void)
{
	unsigned int round;

	if (part() < ROUNDS) {
		round = load_as(ACQUIRE, ASK);
		if (round > ghost(ANSWERED))
			answer(round);
		go_on(part() + 1);
	} else if (part() == ROUNDS) {
		unmake();
		go_on(ROUNDS + 1);
	} else if (ghost(ANSWERED) < ROUNDS) {
		answer(await_not_as(ACQUIRE, ASK, 0xff, ghost(ANSWERED)));
		go_on(ROUNDS + 1);
	}
}

static void start(void)
{
	begin_with(OWNER, CPU);
	begin_with(NOW, 1);
}

static const char *at_the_end(void)
{
	return last_ghost(BACK) ? NULL : "a span was left and never given back";
}

const struct protocol left_protocol = {
	.name = "left",
	.about = "spans that handlers empty while a mark looks at objects freed by hand",
	.thread = { "collector", "handler" },
	.run = { collector, handler },
	.location = { "wide.mode", "sweeping.generation", "wide.left", "span->owner", "port: request",
		      "port: answer" },
	.plain = { "the descriptor", "span->link" },
	.sites = {
		[MODE_SET] = { "mw_safe_choose", "store wide.mode", RELAXED, STORE },
		[MARKING_SET] = { "mw_sweep_hold", "fetch_or sweeping.generation", SEQ_CST, UPDATE },
		[OWNER_LOOK] = { "mw_owner", "load span->owner, readable", ACQUIRE, LOAD },
		[MODE_END] = { "mw_wide_end", "store wide.mode", RELEASE, STORE },
		[LEFT_TAKE] = { "mw_wide_end", "exchange wide.left", ACQUIRE, UPDATE },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[MODE_READ] = { "mw_up_looking", "load wide.mode", ACQUIRE, LOAD },
		[NOW_READ] = { "generation_word", "load sweeping.generation", ACQUIRE, LOAD },
		[LEFT_LOOK] = { "mw_up_span_left", "load wide.left", RELAXED, LOAD },
		[LEFT_PUSH] = { "mw_up_span_left", "compare_exchange wide.left", RELEASE, UPDATE },
	},
	.start = start,
	.wrong = at_the_end,
	.least = 100,
};
