/* SPDX-License-Identifier: MIT */
/*
 * Wide marks and held objects, in all interleavings: mm/gc/wide.c, safe.c, mm/object/safe.c.
 *
 * First: spans that interrupt handlers empty while a wide mark has bits for them. The collector sets the
 * mode, waits for the handlers that began before, marks, and gives back at the end what was left to it.
 *
 * Second: one span of two objects that holds back what is freed, and two marks. A thread frees object 0
 * and goes on pointing to it for a while; a handler on a stopped CPU allocates object 1, notes it, and frees it;
 * both allocate again. What is pointed to must not come again, and nothing may be lost.
 */
#include "model.h"

/* ---- spans that are emptied ---- */

enum leave_bug {
	LEAVE_RIGHT = MODEL_RIGHT,
	NO_FLUSH, /* the collector does not wait for handlers before the mark */
	LATE_MODE, /* it waits, and then sets the mode */
	EARLY_NOT, /* the mode ends while the marker has the span */
	NO_WAIT, /* and nobody waits for handlers that saw it */
	BLIND, /* a handler does not look for the mode */
};

enum where {
	IN_USE,
	LEFT,
	PAGE_HEAP
};

#define HANDLERS 2

struct leaving {
	unsigned char mode, live, where, queued, bad;
	struct {
		unsigned char pc, busy, saw;
	} thread[1 + HANDLERS];
};

static enum leave_bug leave_bug;

/* Until a CPU runs no handler: one CPU after the other is waited for. */
static bool idle(const struct leaving *s, unsigned int handler, bool matters)
{
	return !matters || !s->thread[1 + handler].busy;
}

static void leave_collector(struct leaving *s)
{
	unsigned char *pc = &s->thread[0].pc;

	switch (*pc) {
	case 0:
		s->mode = leave_bug != LATE_MODE;
		break;
	case 1:
	case 2:
		if (!idle(s, *pc - 1u, leave_bug != NO_FLUSH))
			return;
		break;
	case 3:
		s->mode = 1;
		s->queued = s->where == IN_USE;
		break;
	case 4:
		if (leave_bug == EARLY_NOT)
			s->mode = 0;
		break;
	case 5:
		s->bad |= s->queued && s->where == PAGE_HEAP;
		s->queued = 0;
		break;
	case 6:
		s->mode = 0;
		break;
	case 7:
	case 8:
		if (!idle(s, *pc - 7u, leave_bug != NO_WAIT))
			return;
		break;
	default:
		if (s->where == LEFT)
			s->where = PAGE_HEAP;
	}
	++*pc;
}

static void leave_handler(struct leaving *s, unsigned int t)
{
	unsigned char *pc = &s->thread[t].pc;

	switch (*pc) {
	case 0:
		s->thread[t].busy = 1;
		break;
	case 1:
		/* Who frees the last one has the span to give back. */
		*pc = --s->live ? 3 : 1;
		break;
	case 2:
		s->thread[t].saw = s->mode && leave_bug != BLIND;
		break;
	case 3:
		s->where = s->thread[t].saw ? LEFT : PAGE_HEAP;
		break;
	default:
		s->thread[t].busy = 0;
	}
	++*pc;
}

static void leave_step(void *state, unsigned int t)
{
	if (t)
		leave_handler(state, t);
	else
		leave_collector(state);
}

static bool leave_ended(const void *state, unsigned int t)
{
	return ((const struct leaving *)state)->thread[t].pc == (t ? 5 : 10);
}

static const char *leave_wrong(const void *state, bool end)
{
	const struct leaving *s = state;

	if (s->bad)
		return "a span went back while a marker had it";
	return end && s->where != PAGE_HEAP ? "a span was left and never given back" : NULL;
}

static void leave_start(void *state, unsigned int variant, unsigned int way)
{
	struct leaving *s = state;

	(void)way;
	leave_bug = variant;
	s->live = HANDLERS;
}

static const struct model leave = {
	.size = sizeof(struct leaving),
	.threads = 1 + HANDLERS,
	.start = leave_start,
	.ways = 1,
	.least = 200,
	.step = leave_step,
	.ended = leave_ended,
	.wrong = leave_wrong,
};

MODEL_HOLDS(holds_for_spans_that_are_emptied, leave)
MODEL_FINDS(handlers_not_waited_for, leave, NO_FLUSH)
MODEL_FINDS(mode_set_late, leave, LATE_MODE)
MODEL_FINDS(mode_ended_early, leave, EARLY_NOT)
MODEL_FINDS(spans_left_late, leave, NO_WAIT)
MODEL_FINDS(handlers_that_do_not_look, leave, BLIND)

/* ---- objects that are held back ---- */

enum hold_bug {
	HOLD_RIGHT = MODEL_RIGHT,
	GATHERED, /* an allocation gathers what was freed, as without the mode */
	LATE_HELD, /* what may go is looked up when the mark is over */
	OWNED, /* let go of in a span that a CPU has taken since */
	NO_LOOK, /* the mark does not look at one of the roots */
};

#define MARKS 2

struct holding {
	unsigned char free, remote, owned; /* bits of objects; owned: in truth */
	unsigned char root[2]; /* the thread's, the handler's: bit of the object, 0: none */
	unsigned char cpu; /* a CPU has the span */
	unsigned char stopped, held, mark, bad;
	struct {
		unsigned char pc, busy, saw, mine;
	} thread[3];
	unsigned char marks;
};

enum holder {
	HOLD_COLLECTOR,
	HOLD_THREAD,
	HOLD_HANDLER
};

static enum hold_bug hold_bug;

static void hold_collector(struct holding *s)
{
	unsigned char *pc = &s->thread[HOLD_COLLECTOR].pc, go;

	switch (*pc) {
	case 0:
		if (s->thread[HOLD_THREAD].busy)
			return;
		s->stopped = 1;
		break;
	case 1: /* the flush */
		if (s->thread[HOLD_HANDLER].busy)
			return;
		s->cpu = 0;
		break;
	case 2:
		s->mark = (unsigned char)(~(s->free | s->remote) & 3);
		s->held = (unsigned char)(~s->free & s->remote & 3);
		break;
	case 3:
	case 4:
		if (hold_bug != NO_LOOK || *pc == 3)
			s->mark |= (unsigned char)(s->root[*pc - 3] & ~s->free);
		break;
	case 5: /* what it will write, unless a CPU has the span */
		if (hold_bug == LATE_HELD)
			s->held = (unsigned char)(~s->free & s->remote & 3);
		s->held &= (unsigned char)~s->mark;
		if (s->cpu && hold_bug != OWNED)
			s->held = 0;
		s->thread[HOLD_COLLECTOR].saw = s->free;
		if (hold_bug != OWNED) {
			/* With the cache's lock, which who takes the span wants too. */
			s->free |= s->held;
			s->remote &= (unsigned char)~s->held;
		}
		break;
	case 6:
		go = s->held;
		if (hold_bug == OWNED) {
			s->free = s->thread[HOLD_COLLECTOR].saw | go;
			s->remote &= (unsigned char)~go;
		}
		s->stopped = 0;
		if (++s->marks < MARKS) {
			*pc = 0;
			return;
		}
		break;
	}
	++*pc;
}

/* Three steps: take the span, read its free word, write it. The object is the lowest that is free. */
static bool take(struct holding *s, unsigned int t, unsigned int step)
{
	unsigned char *saw = &s->thread[t].saw, bit;

	if (step == 0) {
		if (s->cpu)
			return false; /* another CPU has it: this model knows no other span */
		s->thread[t].busy = 1;
		s->cpu = 1;
		if (hold_bug == GATHERED) {
			s->free |= s->remote;
			s->remote = 0;
		}
	} else if (step == 1) {
		*saw = s->free;
	} else {
		bit = (unsigned char)(*saw & -*saw);
		s->free = (unsigned char)(*saw & ~bit);
		s->bad |= bit & (s->owned | s->root[0] | s->root[1]);
		s->owned |= bit;
		s->thread[t].mine = bit;
		s->cpu = 0;
		s->thread[t].busy = 0;
	}
	return true;
}

static void hold_free(struct holding *s, unsigned char bit)
{
	s->remote |= bit;
	s->owned &= (unsigned char)~bit;
}

/* Frees object 0, which it points to for a while; allocates. */
static void hold_thread(struct holding *s)
{
	unsigned char *pc = &s->thread[HOLD_THREAD].pc;

	if (s->stopped && !s->thread[HOLD_THREAD].busy)
		return;
	if (*pc == 0)
		hold_free(s, 1);
	else if (*pc == 4)
		s->root[0] = 0;
	else if (!take(s, HOLD_THREAD, (*pc - 1u) % 4))
		return;
	++*pc;
}

/* Allocates, notes it, frees it; whatever the world does. */
static void hold_handler(struct holding *s)
{
	unsigned char *pc = &s->thread[HOLD_HANDLER].pc, mine = s->thread[HOLD_HANDLER].mine;

	if (*pc < 3) {
		if (!take(s, HOLD_HANDLER, *pc))
			return;
		s->thread[HOLD_HANDLER].busy = 1;
	} else if (*pc == 3) {
		s->root[1] = mine;
	} else if (*pc == 4) {
		hold_free(s, mine);
	} else {
		s->thread[HOLD_HANDLER].busy = 0;
	}
	++*pc;
}

static void hold_step(void *state, unsigned int t)
{
	if (t == HOLD_COLLECTOR)
		hold_collector(state);
	else if (t == HOLD_THREAD)
		hold_thread(state);
	else
		hold_handler(state);
}

static bool hold_ended(const void *state, unsigned int t)
{
	static const unsigned char last[] = { 7, 8, 6 };

	return ((const struct holding *)state)->thread[t].pc == last[t];
}

static const char *hold_wrong(const void *state, bool end)
{
	const struct holding *s = state;

	if (s->bad)
		return "an object came again that is pointed to, or has an owner";
	if (s->free & s->remote)
		return "free and held back at once";
	return end && (~(s->free | s->remote | s->owned) & 3) ? "an object was lost" : NULL;
}

static void hold_start(void *state, unsigned int variant, unsigned int way)
{
	struct holding *s = state;

	(void)way;
	hold_bug = variant;
	s->owned = s->root[0] = 1;
	s->free = 2;
}

static const struct model hold = {
	.size = sizeof(struct holding),
	.threads = 3,
	.start = hold_start,
	.ways = 1,
	.least = 1000,
	.step = hold_step,
	.ended = hold_ended,
	.wrong = hold_wrong,
};

MODEL_HOLDS(holds_for_objects_that_are_held_back, hold)
MODEL_FINDS(what_is_held_gathered, hold, GATHERED)
MODEL_FINDS(held_looked_up_late, hold, LATE_HELD)
MODEL_FINDS(a_span_that_a_cpu_has, hold, OWNED)
MODEL_FINDS(a_root_forgotten, hold, NO_LOOK)
