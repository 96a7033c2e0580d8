// SPDX-License-Identifier: MIT
/*
 * Weak references that interrupts read at the end of a mark: mm/special/weak.c, death.c,
 * mm/gc/special.c, sweep.c. An object has one and, in the first way, nothing else; in the second a
 * root has it, too, which the mark comes to late. Handlers on two other CPUs read the reference;
 * what the one gets it puts into a root, and the other one uses it until it ends. The collector
 * ends the mark and sweeps.
 *
 * The port runs a function on the CPUs, which begins when a handler there has ended: requests and
 * answers, by number.
 */
#include "orders.h"

enum {
	NOW, /* mw_gc.sweeping.generation */
	GENERATION, /* the span's */
	MARK, /* span->mark, of the object */
	OBJECT, /* weak->object */
	STATE, /* weak->state */
	GRABS, /* mw_special.grabs */
	ASK, /* the port's */
	ANSWER_1,
	ANSWER_2,
};

enum {
	BODY, /* what is in the object; the sweep ends it, and another one has it then */
};

enum { /* ghosts */
	ROUND, /* of the collector */
	SAID_NULL, /* a handler has got nothing */
	KEPT, /* the first handler has got the object, and lets a root have it from then on */
	ANSWERED, /* of each handler's CPU */
};

enum {
	GARBAGE,
	ROOTED,
};

#define LIVE 1u
#define ENDED 2u
#define STEP 4u
#define MARKING 2u
#define BEFORE_MARK 1u
#define AFTER_MARK 5u
#define PLAIN 0u /* state */
#define GRABBED 1u
#define OPEN 0u /* grabs */
#define SAID 1u
#define CLOSED 2u
#define OVER 9u /* request: there is none any more */

enum site_number {
	LOOK,
	STATE_READ,
	GRABS_READ,
	MARK_SET,
	CLOSE,
	CLOSE_FAILED,
	SETTLE,
	STATE_FAILED,
	NOW_SET,
	CLAIM,
	CLAIM_FAILED,
	SWEEP_MARK,
	END,
	SWEEP_CLEAR,
	PUBLISH,
	OBJECT_READ,
	NOW_READ,
	MARK_READ,
	GRAB,
	SAY,
	UNGRAB,
	GENERATION_READ,
};

/* ---- the collector ---- */

/* mark_grabbed(), mw_weaks_look(), is_grabbed() */
static void mark_grabbed(void)
{
	if (exchange(LOOK, GRABS, OPEN) == SAID && load(STATE_READ, STATE) == GRABBED &&
	    !(load(GRABS_READ, GRABS) & CLOSED))
		store(MARK_SET, MARK, 1);
}

/* mw_handlers_wait() */
static void handlers_wait(void)
{
	unsigned int round = ghost(ROUND) + 1;

	set_ghost(ROUND, round);
	store_as(RELEASE, ASK, round);
	(void)await_as(ACQUIRE, ANSWER_1, 0xff, round);
	(void)await_as(ACQUIRE, ANSWER_2, 0xff, round);
}

/* mw_weaks_close(). Return: no more were grabbed. */
static bool close_marks(void)
{
	unsigned int open = OPEN;

	return compare_exchange(CLOSE, CLOSE_FAILED, GRABS, &open, CLOSED);
}

/* mw_sweep_begin(), mw_weaks_settle() */
static void end_of_mark(void)
{
	unsigned int grabbed = GRABBED;

	store(NOW_SET, NOW, AFTER_MARK);
	(void)compare_exchange(SETTLE, STATE_FAILED, STATE, &grabbed, PLAIN);
	store_as(RELEASE, ASK, OVER);
}

/* claim(), mw_records_sweep(), mw_weak_end(), mw_sweep_clear(), sweep_claimed() */
static void sweep(void)
{
	unsigned int old = BEFORE_MARK;

	must(compare_exchange(CLAIM, CLAIM_FAILED, GENERATION, &old, BEFORE_MARK + 1),
	     "swept twice");
	if (!load(SWEEP_MARK, MARK)) {
		must(way == GARBAGE && !ghost(KEPT), "an object was freed that a root has");
		store(END, OBJECT, 0);
		plain_write(BODY, ENDED);
	}
	store(SWEEP_CLEAR, MARK, 0);
	store(PUBLISH, GENERATION, AFTER_MARK);
}

static void collector(void)
{
	switch (part()) {
	case 0:
		if (way == ROOTED)
			store(MARK_SET, MARK, 1);
		mark_grabbed();
		go_on(1);
		break;
	case 1:
		handlers_wait();
		go_on(2);
		break;
	case 2:
		go_on(close_marks() ? 4 : 3);
		break;
	case 3:
		mark_grabbed();
		go_on(1);
		break;
	case 4:
		end_of_mark();
		go_on(5);
		break;
	default:
		sweep();
	}
}

/* ---- handlers ---- */

enum { /* parts */
	ANSWER_FIRST,
	GET,
	NOT_MARKED,
	LATE,
	BY_SWEEP,
	ANSWER_LAST,
};

static void answer(unsigned int round)
{
	set_ghost(ANSWERED + machine.thread, round);
	store_as(RELEASE, ANSWER_1 + machine.thread - 1, round);
}

/* The handler has it, and ends some time after it has used it. */
static void got(bool object)
{
	if (object) {
		must(!ghost(SAID_NULL), "NULL was not final");
		must(plain_read(BODY) == LIVE, "an object was freed that a handler uses");
		if (machine.thread == 1)
			set_ghost(KEPT, 1);
	} else {
		must(way == GARBAGE && !ghost(KEPT), "NULL for what a root has");
		set_ghost(SAID_NULL, 1);
	}
	go_on(ANSWER_LAST);
}

static bool marking(void)
{
	return load(NOW_READ, NOW) & MARKING;
}

/* get(), and the beginning of grab() */
static void get(void)
{
	if (!load(OBJECT_READ, OBJECT))
		got(false);
	else if (!marking())
		go_on(BY_SWEEP);
	else if (!load(MARK_READ, MARK))
		go_on(NOT_MARKED);
	else if (marking())
		got(true);
	else
		go_on(GET);
}

static void grab(void)
{
	unsigned int plain = PLAIN;

	(void)compare_exchange(GRAB, STATE_FAILED, STATE, &plain, GRABBED);
	if (fetch_or(SAY, GRABS, SAID) & CLOSED)
		go_on(LATE);
	else
		got(true);
}

static void too_late(void)
{
	unsigned int grabbed = GRABBED;
	bool marked;

	(void)compare_exchange(UNGRAB, STATE_FAILED, STATE, &grabbed, PLAIN);
	marked = load(MARK_READ, MARK);
	if (marking())
		got(marked);
	else
		go_on(GET);
}

/* mw_up_span_unswept(), mw_up_span_sweep(): somebody else is at it. */
static void by_sweep(void)
{
	(void)marking();
	(void)await(GENERATION_READ, GENERATION, 0xff, AFTER_MARK);
	got(load(OBJECT_READ, OBJECT));
}

static void handler(void)
{
	unsigned int round;

	switch (part()) {
	case ANSWER_FIRST: /* it may begin at once, or some time later */
		round = load_as(ACQUIRE, ASK);
		if (round != OVER && round > ghost(ANSWERED + machine.thread))
			answer(round);
		go_on(GET);
		break;
	case GET:
		get();
		break;
	case NOT_MARKED:
		grab();
		break;
	case LATE:
		too_late();
		break;
	case BY_SWEEP:
		by_sweep();
		break;
	default:
		round = await_not_as(ACQUIRE, ASK, 0xff, ghost(ANSWERED + machine.thread));
		if (round != OVER) {
			answer(round);
			go_on(ANSWER_LAST);
		}
	}
}

static void start(void)
{
	begin_with(NOW, BEFORE_MARK | MARKING);
	begin_with(GENERATION, BEFORE_MARK);
	begin_with(OBJECT, 1);
	begin_plain(BODY, LIVE);
}

const struct protocol weak_protocol = {
	.name = "weak",
	.about = "weak references that interrupts read at the end of a mark",
	.thread = { "collector", "handler 1", "handler 2" },
	.run = { collector, handler, handler },
	.location = { "sweeping.generation", "span->generation", "span->mark", "weak->object",
		      "weak->state", "special.grabs", "port: request", "port: answer", "port: answer 2" },
	.plain = { "the object" },
	.sites = {
		[LOOK] = { "mw_weaks_look", "exchange special.grabs", SEQ_CST, UPDATE },
		[STATE_READ] = { "state_of", "load weak->state", SEQ_CST, LOAD },
		[GRABS_READ] = { "is_grabbed", "load special.grabs", SEQ_CST, LOAD },
		[MARK_SET] = { "mw_mark_settle_all", "store span->mark", RELAXED, STORE },
		[CLOSE] = { "mw_weaks_close", "compare_exchange special.grabs", SEQ_CST, UPDATE },
		[CLOSE_FAILED] = { "mw_weaks_close", "compare_exchange special.grabs, failed", SEQ_CST, LOAD },
		[SETTLE] = { "set_state", "compare_exchange weak->state, settled", SEQ_CST, UPDATE },
		[STATE_FAILED] = { "set_state", "compare_exchange weak->state, failed", RELAXED, LOAD },
		[NOW_SET] = { "mw_sweep_begin", "store sweeping.generation", RELEASE, STORE },
		[CLAIM] = { "claim", "compare_exchange span->generation", ACQUIRE, UPDATE },
		[CLAIM_FAILED] = { "claim", "compare_exchange span->generation, failed", RELAXED, LOAD },
		[SWEEP_MARK] = { "sweep_bits", "load span->mark", RELAXED, LOAD },
		[END] = { "mw_weak_end", "store weak->object", RELEASE, STORE },
		[SWEEP_CLEAR] = { "mw_sweep_clear", "store span->mark", RELEASE, STORE },
		[PUBLISH] = { "sweep_claimed", "store span->generation", RELEASE, STORE },
		[OBJECT_READ] = { "object_of", "load weak->object", ACQUIRE, LOAD },
		[NOW_READ] = { "generation_word", "load sweeping.generation", ACQUIRE, LOAD },
		[MARK_READ] = { "mw_span_marked", "load span->mark", ACQUIRE, LOAD },
		[GRAB] = { "set_state", "compare_exchange weak->state, grabbed", SEQ_CST, UPDATE },
		[SAY] = { "grab", "fetch_or special.grabs", SEQ_CST, UPDATE },
		[UNGRAB] = { "set_state", "compare_exchange weak->state, in vain", SEQ_CST, UPDATE },
		[GENERATION_READ] = { "generation_of", "load span->generation", ACQUIRE, LOAD },
	},
	.ways = 2,
	.start = start,
	.least = 20000,
};
