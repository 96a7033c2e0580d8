/* SPDX-License-Identifier: MIT */
/*
 * Weak references against the end of a mark and the sweep, in all interleavings: mm/special/weak.c, mm/gc/special.c,
 * mm/gc/sweep.c. One object with one weak reference, a collector that makes two cycles, a sweeper in the
 * background, and two who get: interrupt handlers, which may run on a CPU that is stopped, and on when the world
 * has been started; or one of them and a thread, which is stopped but not while it is pinned.
 *
 * A handler gets the object and uses it until it ends; then it keeps it in a root, or not. Or it takes the reference
 * that is in the root out of it, and uses the object until it ends. The world's stop waits for handlers
 * that began before it; what they got is seen then.
 */
#include "model.h"

#define CYCLES 2
#define GETTERS 2

enum bug {
	RIGHT = MODEL_RIGHT,
	LOAD_ONCE, /* a span that is swept is not taken for a reason to load again */
	NO_LOOK_BACK, /* who read marks does not ask whether they were still those of the mark */
	CLOSE_BLIND, /* the collector closes without a look at what was said since */
	SAY_FIRST, /* a getter says that there is something before there is */
	OLD_MARK, /* a getter that is late goes by the mark that it saw before */
	NO_CLOSE, /* nothing is closed: who is late believes that it is seen */
	NO_WAIT, /* the collector does not wait for handlers before the sweep begins */
	WAIT_LATE, /* it does when the sweep has begun */
};

enum {
	OPEN,
	SAID,
	CLOSED
}; /* mw_special.grabs */

enum way {
	GARBAGE, /* only weakly reached */
	ROOTED, /* a root has it, which the mark may come to late */
	VALUE, /* of a weak-keyed table, and so is marked last; the key is in a root */
	TAKEN, /* a handler takes it out of the root */
	WITH_A_THREAD, /* GARBAGE, and the second getter is a thread */
	WAYS
};

enum collector_pc {
	FINISH,
	STOP,
	OPEN_UP,
	HOLD,
	FLUSH,
	MARK = FLUSH + GETTERS,
	LOOK,
	EACH,
	WAIT,
	TABLES = WAIT + GETTERS,
	CLOSE,
	BUMP,
	SETTLE,
	LATE_WAIT,
	START = LATE_WAIT + GETTERS,
	C_END
};

enum sweeper_pc {
	CLAIM,
	RECORDS,
	BITS,
	PUBLISH
};

enum getter_pc {
	BEGIN,
	TAKE,
	LOAD,
	ASK,
	READ_MARK,
	CHECK_MARKED,
	GRAB,
	SAY,
	READ_AGAIN,
	CHECK_AGAIN,
	UNSWEPT,
	SWEEP,
	RELOAD,
	USE,
	STORE,
	G_END
};

struct state {
	unsigned char marking, unswept, sweeping, stopped; /* the span's: unswept, sweeping */
	unsigned char live, object, root, mark; /* object: the reference's */
	unsigned char grabbed, grabs; /* the reference's state; what getters said */
	unsigned char cycles, bad, said_null;
	unsigned char c_pc, c_saw, s_pc;
	struct getter {
		unsigned char pc, pinned, busy, saw, mark, got, rounds;
	} getter[GETTERS];
};

static enum bug bug;
static enum way way;

static const char *const faults[] = {
	NULL,
	"NULL for what a root has",
	"NULL was not final",
};

static bool is_thread(unsigned int g)
{
	return way == WITH_A_THREAD && g == 1;
}

/* ---- sweeping, by whoever ---- */

/* Return: it is done, or somebody else's. */
static bool sweep(struct state *s, unsigned char *pc)
{
	switch ((enum sweeper_pc) * pc) {
	case CLAIM:
		if (!s->unswept || s->sweeping)
			return true;
		s->sweeping = 1;
		break;
	case RECORDS:
		if (!s->mark)
			s->object = 0;
		break;
	case BITS:
		s->live &= s->mark;
		s->mark = 0;
		break;
	case PUBLISH:
		s->unswept = s->sweeping = 0;
		*pc = CLAIM;
		return true;
	}
	++*pc;
	return false;
}

/* ---- the collector ---- */

static bool stops(const struct state *s)
{
	for (unsigned int g = 0; g < GETTERS; g++)
		if (s->getter[g].pinned || (!is_thread(g) && s->getter[g].busy))
			return false;
	return true;
}

/* A stopped thread's frame is a root. */
static unsigned char reached(const struct state *s)
{
	unsigned char is = s->root && way != VALUE;

	for (unsigned int g = 0; g < GETTERS; g++)
		is |= is_thread(g) && s->getter[g].got;
	return is && s->live;
}

static bool handler_runs(const struct state *s, unsigned int g)
{
	return !is_thread(g) && s->getter[g].busy;
}

static void end_of_mark(struct state *s)
{
	switch (s->c_pc) {
	case LOOK:
		s->c_saw = s->grabs == SAID;
		s->grabs = OPEN;
		break;
	case EACH:
		s->mark |= s->c_saw && s->grabbed && s->object;
		break;
	case TABLES:
		s->mark |= s->root && way == VALUE;
		break;
	case CLOSE:
		if (s->grabs == SAID && bug != CLOSE_BLIND) {
			s->c_pc = LOOK;
			return;
		}
		if (bug != NO_CLOSE)
			s->grabs = CLOSED;
		break;
	case BUMP:
		s->marking = 0;
		s->unswept = 1;
		break;
	case SETTLE:
		s->grabbed = 0;
		break;
	default:
		break;
	}
	s->c_pc++;
}

static void begin_of_mark(struct state *s)
{
	switch (s->c_pc) {
	case STOP:
		if (!stops(s))
			return;
		s->stopped = 1;
		break;
	case OPEN_UP:
		s->grabs = OPEN;
		break;
	case HOLD:
		s->marking = 1;
		break;
	case MARK:
		s->mark |= reached(s);
		break;
	default:
		break;
	}
	s->c_pc++;
}

static void collector(struct state *s)
{
	unsigned int g = GETTERS;

	if (s->c_pc >= FLUSH && s->c_pc < MARK)
		g = s->c_pc - FLUSH;
	else if (s->c_pc >= WAIT && s->c_pc < TABLES && bug != NO_WAIT && bug != WAIT_LATE)
		g = s->c_pc - WAIT;
	else if (s->c_pc >= LATE_WAIT && s->c_pc < START && bug == WAIT_LATE)
		g = s->c_pc - LATE_WAIT;
	if (g < GETTERS && handler_runs(s, g))
		return;
	if (s->c_pc == FINISH) {
		/* The sweeper, or a getter, does it. */
		if (!s->unswept)
			s->c_pc = s->cycles == CYCLES ? C_END : STOP;
	} else if (s->c_pc == START) {
		s->stopped = 0;
		s->cycles++;
		s->c_pc = FINISH;
	} else if (s->c_pc < LOOK) {
		begin_of_mark(s);
	} else if (s->c_pc < C_END) {
		end_of_mark(s);
	}
}

/* ---- those who get ---- */

static void answer(struct state *s, struct getter *me, bool got)
{
	if (!got && s->root && (way == ROOTED || way == VALUE))
		s->bad = 1;
	if (got && s->said_null)
		s->bad = 2;
	s->said_null |= !got;
	me->got = got;
	me->pinned = 0;
	me->mark = me->saw = 0;
	me->pc = got ? USE : G_END;
}

/* By the mark: what it says holds if the mark is under way still. */
static void by_mark(struct state *s, struct getter *me, bool final)
{
	if (!s->marking && bug != NO_LOOK_BACK) {
		me->pc = LOAD;
		return;
	}
	if (me->mark || final)
		answer(s, me, me->mark);
	else
		me->pc = bug == SAY_FIRST ? SAY : GRAB;
}

static void say(struct state *s, struct getter *me)
{
	bool late = s->grabs == CLOSED;

	if (!late)
		s->grabs = SAID;
	if (bug == SAY_FIRST && me->pc == SAY) {
		me->saw = late;
		me->pc = GRAB;
	} else if (late) {
		me->pc = bug == OLD_MARK ? CHECK_AGAIN : READ_AGAIN;
	} else {
		answer(s, me, true);
	}
}

static void grab(struct state *s, struct getter *me)
{
	s->grabbed = 1;
	if (bug != SAY_FIRST)
		me->pc = SAY;
	else if (me->saw)
		me->pc = READ_AGAIN;
	else
		answer(s, me, true);
}

static void look(struct state *s, struct getter *me)
{
	switch ((enum getter_pc)me->pc) {
	case LOAD:
		me->saw = s->object;
		me->pc = ASK;
		if (!me->saw)
			answer(s, me, false);
		break;
	case ASK:
		me->pc = s->marking ? READ_MARK : UNSWEPT;
		break;
	case READ_MARK:
	case READ_AGAIN:
		me->mark = s->mark;
		me->pc++;
		if (me->pc == CHECK_AGAIN)
			s->grabbed = 0;
		break;
	case CHECK_MARKED:
	case CHECK_AGAIN:
		by_mark(s, me, me->pc == CHECK_AGAIN);
		break;
	case UNSWEPT:
		me->pc = s->unswept ? SWEEP : RELOAD;
		me->mark = CLAIM;
		if (bug == LOAD_ONCE && !s->unswept)
			answer(s, me, true);
		break;
	case SWEEP:
		if (sweep(s, &me->mark))
			me->pc = UNSWEPT;
		break;
	default:
		answer(s, me, s->object);
	}
}

static void begin(const struct state *s, struct getter *me, bool takes)
{
	(void)s;
	me->busy = 1;
	me->pinned = !takes;
	me->pc = takes ? TAKE : LOAD;
}

/* A thread that is stopped with the object in its hands has it in a root, as far as the mark goes. */
static void get(struct state *s, unsigned int g)
{
	struct getter *me = &s->getter[g];

	switch ((enum getter_pc)me->pc) {
	case BEGIN:
		begin(s, me, way == TAKEN && g == 0);
		break;
	case TAKE:
		me->got = s->root;
		s->root = 0;
		me->pc = me->got ? USE : G_END;
		break;
	case GRAB:
		grab(s, me);
		break;
	case SAY:
		say(s, me);
		break;
	case USE:
		me->pc = way == TAKEN && g == 0 ? G_END : STORE;
		break;
	case STORE:
		if (way == GARBAGE)
			s->root = 1;
		me->pc = G_END;
		break;
	case G_END:
		me->busy = me->got = me->pinned = me->saw = me->mark = 0;
		me->pc = me->rounds ? BEGIN : G_END;
		if (me->rounds)
			me->rounds--;
		break;
	default:
		look(s, me);
	}
}

static void step(void *state, unsigned int t)
{
	struct state *s = state;

	if (t == 0) {
		collector(s);
	} else if (t == 1) {
		if (!s->stopped)
			(void)sweep(s, &s->s_pc);
	} else if (!s->stopped || !is_thread(t - 2)) {
		get(s, t - 2);
	}
}

static bool ended(const void *state, unsigned int t)
{
	const struct state *s = state;

	if (t == 0)
		return s->c_pc == C_END;
	if (t == 1)
		return s->c_pc == C_END && s->s_pc == CLAIM;
	return s->getter[t - 2].pc == G_END && !s->getter[t - 2].busy;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->bad)
		return faults[s->bad];
	for (unsigned int g = 0; g < GETTERS; g++)
		if (s->getter[g].got && !s->live)
			return "an object was freed that somebody uses";
	if (s->root && !s->live)
		return "an object was freed that a root has";
	if (end && way == GARBAGE && !s->root && s->live && s->said_null)
		return "an object is gone and lives";
	return NULL;
}

static void start(void *state, unsigned int variant, unsigned int which)
{
	struct state *s = state;

	bug = variant;
	way = which;
	s->live = s->object = 1;
	s->root = way == ROOTED || way == VALUE || way == TAKEN;
	for (unsigned int g = 0; g < GETTERS; g++)
		s->getter[g].rounds = 1;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = 2 + GETTERS,
	.start = start,
	.ways = WAYS,
	.least = 20000,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(holds_among_handlers_and_threads, model)
MODEL_FINDS(a_sweep_that_ends_behind_the_load, model, LOAD_ONCE)
MODEL_FINDS(marks_that_are_not_of_the_mark, model, NO_LOOK_BACK)
MODEL_FINDS(a_close_that_does_not_look, model, CLOSE_BLIND)
MODEL_FINDS(a_word_before_there_is_something, model, SAY_FIRST)
MODEL_FINDS(an_answer_by_an_old_mark, model, OLD_MARK)
MODEL_FINDS(a_mark_that_never_closes, model, NO_CLOSE)
MODEL_FINDS(a_sweep_while_a_handler_has_the_object, model, NO_WAIT)
MODEL_FINDS(a_sweep_that_begins_and_then_waits, model, WAIT_LATE)
