// SPDX-License-Identifier: MIT
/*
 * The protocol of remote frees (mm/object/remote.c) in all interleavings: two CPUs free an object each,
 * in different words of one span; the owner gathers, gives the span up to the cache, whose list of
 * pending spans it then has to send on, and goes on gathering.
 */
#include "model.h"

enum variant {
	RIGHT = MODEL_RIGHT,
	CLEAR_LATE, /* the owner clears the flag after it has read the words */
	ASK_FIRST, /* the freer reads the flag before it sets its bit */
	NO_EXCHANGE, /* the freer reads and sets the flag in two steps */
	DROP_STRANGE, /* a span that is no longer the CPU's is taken off the list and forgotten */
};

enum {
	FREERS = 2,
	GATHERS = 4,
	OWNER = 0,
};

struct state {
	unsigned char variant;
	unsigned char pending; /* the flag */
	unsigned char listed; /* how often the span is in the owner's list */
	unsigned char central; /* the cache's, no longer the CPU's */
	unsigned char remote[FREERS], free[FREERS];
	unsigned char saw[FREERS]; /* the flag, by each freer */
	unsigned char taken; /* by the owner from the word that it is at */
	unsigned char pc[1 + FREERS];
	unsigned char left; /* gathers that the owner will still make */
};

enum freer_pc {
	SET_BIT,
	READ_FLAG,
	SET_FLAG,
	ROUTE,
	FREER_DONE,
};

/* The lock makes this one step: see mw_central_gather(). */
static void central_gather(struct state *s)
{
	s->pending = 0;
	for (unsigned int i = 0; i < FREERS; i++) {
		s->free[i] |= s->remote[i];
		s->remote[i] = 0;
	}
}

static void step_freer(struct state *s, unsigned int i)
{
	unsigned char *pc = &s->pc[1 + i];

	switch (*pc) {
	case SET_BIT:
		if (s->variant == ASK_FIRST)
			s->saw[i] = s->pending;
		s->remote[i] = s->variant != ASK_FIRST;
		*pc = READ_FLAG;
		break;
	case READ_FLAG:
		if (s->variant == ASK_FIRST)
			s->remote[i] = 1;
		else
			s->saw[i] = s->pending;
		*pc = s->saw[i] ? FREER_DONE : SET_FLAG;
		break;
	case SET_FLAG:
		if (s->variant != NO_EXCHANGE && s->pending)
			*pc = FREER_DONE;
		else
			*pc = ROUTE;
		s->pending = 1;
		break;
	case ROUTE:
		if (s->central)
			central_gather(s);
		else
			s->listed++;
		*pc = FREER_DONE;
		break;
	}
}

enum owner_pc {
	POP,
	CLEAR,
	READ,
	GATHER = READ + FREERS,
	NEXT = GATHER + FREERS,
	GIVE_UP,
	OWNER_DONE,
};

static void after_gather(struct state *s)
{
	if (s->variant == CLEAR_LATE)
		s->pending = 0;
	s->left--;
	s->pc[OWNER] = s->left == GATHERS / 2 ? GIVE_UP : s->left ? POP : OWNER_DONE;
}

/* After its first gathers the CPU gives the span up; with the cache's lock: see mw_central_give(). */
static void give_up(struct state *s)
{
	for (unsigned int i = 0; i < FREERS; i++) {
		s->free[i] |= s->remote[i];
		s->remote[i] = 0;
	}
	s->central = 1;
	s->pc[OWNER] = POP;
}

static void pop(struct state *s)
{
	if (!s->listed) {
		after_gather(s);
		return;
	}
	s->listed--;
	if (!s->central) {
		s->pc[OWNER] = s->variant == CLEAR_LATE ? READ : CLEAR;
		return;
	}
	if (s->variant != DROP_STRANGE)
		central_gather(s);
	after_gather(s);
}

/* Word by word: take the remote bits, set those of the free word. */
static void step_owner(struct state *s)
{
	unsigned char *pc = &s->pc[OWNER];
	unsigned int i;

	if (*pc == POP) {
		pop(s);
	} else if (*pc == CLEAR) {
		s->pending = 0;
		*pc = READ;
	} else if (*pc < GATHER) {
		i = *pc - READ;
		s->taken = s->remote[i];
		s->remote[i] = 0;
		*pc = (unsigned char)(GATHER + i);
	} else if (*pc < NEXT) {
		i = *pc - GATHER;
		s->free[i] |= s->taken;
		s->taken = 0;
		*pc = (unsigned char)(i + 1 < FREERS ? READ + i + 1 : NEXT);
	} else if (*pc == GIVE_UP) {
		give_up(s);
	} else {
		after_gather(s);
	}
}

static void step(void *state, unsigned int thread)
{
	if (thread == OWNER)
		step_owner(state);
	else
		step_freer(state, thread - 1);
}

static bool ended(const void *state, unsigned int thread)
{
	const struct state *s = state;

	return s->pc[thread] == (thread == OWNER ? OWNER_DONE : FREER_DONE);
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->listed > 1)
		return "in the list twice";
	if (s->listed && !s->pending)
		return "in the list without the flag";
	for (unsigned int i = 0; end && i < FREERS; i++) {
		if (!s->remote[i] && !s->free[i])
			return "a free is lost";
		if (s->remote[i] && !s->listed)
			return "a free that nobody will gather";
	}
	return NULL;
}

static void start(void *state, unsigned int variant, unsigned int way)
{
	struct state *s = state;

	(void)way;
	s->variant = (unsigned char)variant;
	s->left = GATHERS;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = 1 + FREERS,
	.start = start,
	.ways = 1,
	.least = 500,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(no_free_is_lost, model)
MODEL_FINDS(flag_cleared_late, model, CLEAR_LATE)
MODEL_FINDS(flag_asked_first, model, ASK_FIRST)
MODEL_FINDS(flag_set_without_exchange, model, NO_EXCHANGE)
MODEL_FINDS(strange_span_forgotten, model, DROP_STRANGE)
