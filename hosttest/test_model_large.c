// SPDX-License-Identifier: MIT
/*
 * Two CPUs free one large object at the same moment, one of which holds it (mw_large_free_own()); who was
 * first gives the span back, and it becomes another object's, or hands the object out again. In all interleavings.
 *
 * As in test_model_recycle.c a second free that ends after the object was handed out again frees it, which nobody
 * can tell from a right one. But what a CPU frees as its own is the object that it looked up.
 */
#include "model.h"

enum variant {
	RIGHT = MODEL_RIGHT,
	TORN, /* the holder looks, and then changes */
	ANY_HOLDER, /* a CPU's own free does not ask whose it is */
	NOT_SAID, /* the others do not say which span they are at */
	LOOK_FIRST, /* or after they have looked at the owner */
	NO_WAIT, /* the span goes back without waiting for who is at it */
	HELD_FOR_OTHERS, /* a new object is held by another CPU than makes it */
};

#define THREADS 2u

enum {
	LARGE, /* span->owner */
	GONE,
};

enum {
	FREE, /* span->holder; 1 + a thread: that one */
	NO_CPU = THREADS + 1,
};

struct state {
	unsigned char variant, recycles; /* the span goes back, or the object is handed out again */
	unsigned char pc[THREADS];
	unsigned char owner, holder;
	unsigned char life; /* of the span: 0, then 1 */
	unsigned char times; /* that the object was handed out again */
	unsigned char at[THREADS]; /* says that it is at the span */
	unsigned char looked[THREADS]; /* @times, when the free began */
	unsigned char saw[THREADS]; /* TORN: that it is the holder */
	unsigned char won[THREADS];
	unsigned char again; /* handed out, and the second free was not over yet */
	unsigned char reports, frees;
	unsigned char other; /* another object was freed */
	unsigned char own; /* a CPU freed one as its own that it had not looked up */
};

enum pc {
	BASE, /* looks whether it is the object at all */
	OWN,
	OWN_CHANGE,
	SAY,
	LOOK,
	SET,
	LEAVE,
	GO,
	WAIT,
	REUSE,
	HAND_OUT,
	DONE,
};

static void freed(struct state *s, unsigned int t)
{
	s->other |= s->life;
	s->frees++;
	s->holder = FREE;
	s->won[t] = 1;
}

static unsigned char after(const struct state *s, unsigned int t)
{
	if (!s->won[t])
		return DONE;
	return s->recycles ? GO : HAND_OUT;
}

static void step_own(struct state *s, unsigned int t)
{
	unsigned char *pc = &s->pc[t];
	bool mine = s->variant == ANY_HOLDER ? s->holder != FREE : s->holder == 1 + t;

	switch (*pc) {
	case BASE:
		s->looked[t] = s->times;
		*pc = s->owner == LARGE && !s->life ? OWN : SAY;
		break;
	case OWN:
		s->saw[t] = mine;
		if (s->variant == TORN) {
			*pc = mine ? OWN_CHANGE : SAY;
			break;
		}
		/* fall through */
	case OWN_CHANGE:
		if (!s->saw[t]) {
			*pc = SAY;
			break;
		}
		s->own |= s->looked[t] != s->times;
		freed(s, t);
		*pc = after(s, t);
		break;
	}
}

static void look(struct state *s, unsigned int t, unsigned char next)
{
	if (s->owner == GONE || s->life) {
		s->reports++;
		s->pc[t] = LEAVE;
	} else {
		s->pc[t] = next;
	}
}

static void step_elsewhere(struct state *s, unsigned int t)
{
	unsigned char *pc = &s->pc[t];
	bool late = s->variant == LOOK_FIRST;

	switch (*pc) {
	case SAY:
		if (late) {
			look(s, t, LOOK);
		} else {
			s->at[t] = s->variant != NOT_SAID;
			*pc = LOOK;
		}
		break;
	case LOOK:
		if (late) {
			s->at[t] = 1;
			*pc = SET;
		} else {
			look(s, t, SET);
		}
		break;
	case SET:
		if (s->holder == FREE)
			s->reports++;
		else
			freed(s, t);
		*pc = LEAVE;
		break;
	case LEAVE:
		s->at[t] = 0;
		*pc = after(s, t);
		break;
	}
}

/* What becomes of what was freed. */
static void step_after(struct state *s, unsigned int t)
{
	unsigned char *pc = &s->pc[t];

	switch (*pc) {
	case GO:
		s->owner = GONE;
		*pc = WAIT;
		break;
	case WAIT:
		if (!s->at[1 - t] || s->variant == NO_WAIT)
			*pc = REUSE;
		break;
	case REUSE:
		s->life = 1;
		s->holder = s->variant == HELD_FOR_OTHERS ? 1 + (1 - t) : NO_CPU;
		s->owner = LARGE;
		*pc = DONE;
		break;
	case HAND_OUT:
		s->holder = (unsigned char)(1 + t);
		s->times++;
		s->again |= s->pc[1 - t] != DONE;
		*pc = DONE;
		break;
	}
}

static void step(void *state, unsigned int t)
{
	struct state *s = state;

	if (s->pc[t] < SAY)
		step_own(s, t);
	else if (s->pc[t] < GO)
		step_elsewhere(s, t);
	else
		step_after(s, t);
}

static bool ended(const void *state, unsigned int t)
{
	return ((const struct state *)state)->pc[t] == DONE;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->other)
		return "another object was freed";
	if (s->own)
		return "a CPU freed as its own what it had not looked up";
	if (s->reports > 1)
		return "reported twice";
	if (s->frees > 1 && !s->again)
		return "freed twice";
	if (end && s->frees + s->reports != 2)
		return "a free that was neither done nor reported";
	return NULL;
}

/* Held by one of the two, or by a third CPU. */
static void start(void *state, unsigned int variant, unsigned int way)
{
	struct state *s = state;

	s->variant = (unsigned char)variant;
	s->recycles = way & 1;
	s->holder = way < 2 ? 1 : NO_CPU;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = THREADS,
	.start = start,
	.ways = 4,
	.least = 300,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(one_of_two_frees_is_done, model)
MODEL_FINDS(a_holder_that_looks_and_then_changes, model, TORN)
MODEL_FINDS(a_free_that_does_not_ask_whose, model, ANY_HOLDER)
MODEL_FINDS(freers_that_say_nothing, model, NOT_SAID)
MODEL_FINDS(freers_that_say_so_late, model, LOOK_FIRST)
MODEL_FINDS(spans_that_do_not_wait, model, NO_WAIT)
MODEL_FINDS(objects_held_for_others, model, HELD_FOR_OTHERS)
