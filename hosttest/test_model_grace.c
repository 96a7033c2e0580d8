// SPDX-License-Identifier: MIT
/*
 * Grace periods (mm/base/grace.c): one item is taken out of sight and deferred, while a CPU reads it twice,
 * and two others stop the world and run what is due, in all interleavings.
 *
 * A stopped CPU goes on reading, as its interrupt handlers may. The second way has a CPU that does not
 * answer the first of the two.
 */
#include "model.h"

enum variant {
	RIGHT = MODEL_RIGHT,
	BEGIN_FIRST, /* the grace period begins before the item is out of sight */
	PUSH_FIRST, /* the item is deferred before its grace period begins */
	NUMBER_LATE, /* a stop gets its number when all have answered */
	SERVE_LAST, /* a stop serves all numbers that were given out meanwhile */
	SERVE_UNANSWERED, /* a stop that was given up counts */
	SERVE_EARLIER, /* the earlier number, stopped later, goes over the later one */
	ANSWER_PINNED, /* a port answers from inside a pinned stretch */
	RUN_ALL, /* what is not due is run, too */
	DROP, /* what is not due does not go back */
};

enum {
	WRITER,
	READER,
	ANSWERS, /* the reader's CPU, to who stops the world */
	FIRST,
	SECOND,
	THREADS,
};

struct state {
	unsigned char variant, deaf;
	unsigned char pc[THREADS];
	unsigned char begun, served, best; /* best: the latest number that was answered */
	unsigned char owner, asked, answered; /* the port's */
	unsigned char number[THREADS], taken[THREADS]; /* of who stops */
	unsigned char pinned, holds, rounds; /* the reader's */
	unsigned char visible, since, deferred, freed;
	unsigned char read_freed, freed_twice;
};

enum {
	WRITER_DONE = 3,
};

static void writer_does(struct state *s, unsigned int what)
{
	if (what == 0)
		s->visible = 0;
	else if (what == 1)
		s->since = s->begun;
	else
		s->deferred = 1;
}

static void step_writer(struct state *s)
{
	static const unsigned char right[] = { 0, 1, 2 }, begin_first[] = { 1, 0, 2 },
				   push_first[] = { 0, 2, 1 };
	const unsigned char *order = s->variant == BEGIN_FIRST	? begin_first
				     : s->variant == PUSH_FIRST ? push_first
								: right;

	writer_does(s, order[s->pc[WRITER]++]);
}

enum {
	PIN,
	LOAD,
	USE,
	UNPIN,
	READER_DONE,
};

static void step_reader(struct state *s)
{
	unsigned char *pc = &s->pc[READER];

	switch ((*pc)++) {
	case PIN:
		s->pinned = 1;
		break;
	case LOAD:
		s->holds = s->visible;
		break;
	case USE:
		s->read_freed |= s->holds && s->freed;
		break;
	case UNPIN:
		s->pinned = 0;
		s->holds = 0;
		if (!s->rounds++)
			*pc = PIN;
		break;
	}
}

enum {
	NUMBER,
	OWN,
	ASK,
	WAIT,
	SERVE,
	LET_GO,
	TAKE,
	RUN,
	STOPPER_DONE,
};

static void serve(struct state *s, unsigned int self)
{
	unsigned char number = s->number[self];

	if (s->variant == NUMBER_LATE)
		number = ++s->begun;
	if (s->variant == SERVE_LAST)
		number = s->begun;
	if (number > s->best)
		s->best = number;
	if (number > s->served || s->variant == SERVE_EARLIER)
		s->served = number;
}

static void run(struct state *s)
{
	if (s->served > s->since || s->variant == RUN_ALL) {
		s->freed_twice |= s->freed;
		s->freed = 1;
	} else if (s->variant != DROP) {
		s->deferred = 1;
	}
}

/* The steps between the port's stop and its start. */
static void step_stopped(struct state *s, unsigned int self, unsigned char *pc)
{
	bool given_up = s->deaf && self == FIRST;

	switch (*pc) {
	case ASK:
		s->asked = !given_up;
		s->answered = 0;
		*pc = WAIT;
		break;
	case WAIT:
		if (given_up)
			*pc = s->variant == SERVE_UNANSWERED ? SERVE : LET_GO;
		else if (s->answered)
			*pc = SERVE;
		break;
	case SERVE:
		serve(s, self);
		*pc = LET_GO;
		break;
	case LET_GO:
		s->asked = s->owner = 0;
		*pc = TAKE;
		break;
	}
}

static void step_stopper(struct state *s, unsigned int self)
{
	unsigned char *pc = &s->pc[self];

	switch (*pc) {
	case NUMBER:
		if (s->variant != NUMBER_LATE)
			s->number[self] = ++s->begun;
		*pc = OWN;
		break;
	case OWN:
		if (s->owner)
			break;
		s->owner = 1;
		*pc = ASK;
		break;
	case TAKE:
		s->taken[self] = s->deferred;
		s->deferred = 0;
		*pc = RUN;
		break;
	case RUN:
		if (s->taken[self])
			run(s);
		s->taken[self] = 0;
		*pc = STOPPER_DONE;
		break;
	default:
		step_stopped(s, self, pc);
	}
}

static void step(void *state, unsigned int thread)
{
	struct state *s = state;

	if (thread == WRITER)
		step_writer(s);
	else if (thread == READER)
		step_reader(s);
	else if (thread != ANSWERS)
		step_stopper(s, thread);
	else if (s->asked && (!s->pinned || s->variant == ANSWER_PINNED))
		s->answered = 1;
}

static bool ended(const void *state, unsigned int thread)
{
	const struct state *s = state;

	if (thread == WRITER)
		return s->pc[WRITER] == WRITER_DONE;
	if (thread == READER)
		return s->pc[READER] == READER_DONE;
	if (thread == ANSWERS)
		return s->pc[FIRST] == STOPPER_DONE && s->pc[SECOND] == STOPPER_DONE;
	return s->pc[thread] == STOPPER_DONE;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->read_freed)
		return "a reader used what was freed";
	if (s->freed_twice)
		return "freed twice";
	if (end && !s->freed && !s->deferred)
		return "what was deferred is lost";
	if (end && s->served != s->best)
		return "a stop that all answered does not count";
	return NULL;
}

static void start(void *state, unsigned int variant, unsigned int way)
{
	struct state *s = state;

	s->variant = (unsigned char)variant;
	s->deaf = (unsigned char)way;
	s->visible = 1;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = THREADS,
	.start = start,
	.ways = 2,
	.least = 20000,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(nothing_is_freed_under_a_reader, model)
MODEL_FINDS(a_period_that_begins_early, model, BEGIN_FIRST)
MODEL_FINDS(what_is_deferred_before_it_begins, model, PUSH_FIRST)
MODEL_FINDS(stops_numbered_late, model, NUMBER_LATE)
MODEL_FINDS(stops_that_serve_too_many, model, SERVE_LAST)
MODEL_FINDS(stops_given_up_that_count, model, SERVE_UNANSWERED)
MODEL_FINDS(an_earlier_stop_over_a_later_one, model, SERVE_EARLIER)
MODEL_FINDS(ports_that_answer_pinned, model, ANSWER_PINNED)
MODEL_FINDS(what_is_run_early, model, RUN_ALL)
MODEL_FINDS(what_is_not_due_dropped, model, DROP)
