// SPDX-License-Identifier: MIT
/*
 * Two frees of one object at the same moment, by its owner and by another CPU, while its span goes back
 * and becomes another one, or while the object is handed out again (mm/object/remote.c, mw_freer_begin()
 * and mw_slot_some()), in all interleavings.
 *
 * The descriptor has one word of bits for one object. In its second life the object is another one, which
 * is live and which nobody frees: whatever the second freer does to it is wrong. When the object is
 * handed out again instead, a second free that ends after that is a free of a live object, which
 * nobody can tell from a right one; one that ended before must have been reported.
 */
#include "model.h"

enum variant {
	RIGHT = MODEL_RIGHT,
	NO_WAIT, /* the span goes back without waiting for freers */
	LOOK_FIRST, /* the freer says which span it is at after it has looked at the owner */
	WAIT_FIRST, /* who gives the span back waits before the owner says so */
	LOOK_BEFORE, /* the freer looks at the free bit before it sets its own, and not after it */
	HAND_OUT_ALL, /* the owner hands out what has its remote bit */
	DROP_QUIETLY, /* who gives the span back does not look at the remote bits */
	SET_FIRST, /* who gathers sets the free bits before it takes the remote ones */
};

enum {
	OWNER,
	FREER,
	THREADS,
};

enum {
	OURS, /* span->owner */
	GONE,
};

struct state {
	unsigned char variant, recycles; /* the owner gives the span back, or hands the object out */
	unsigned char pc[THREADS];
	unsigned char owner, pending, free, remote;
	unsigned char life; /* of the span: 0, then 1 */
	unsigned char at; /* the freer says that it is at the span */
	unsigned char saw; /* the freer: that the object is freed already */
	unsigned char ready; /* the owner will hand the object out */
	unsigned char again; /* it has, and the second free was not over yet */
	unsigned char reports;
	unsigned char wrong; /* the freer changed the bits of another object */
	unsigned char taken; /* the owner, gathering: the remote bit */
};

enum freer_pc {
	SAY,
	LOOK, /* at the owner */
	SET,
	TEST,
	UNDO,
	LEAVE,
	NOTIFY,
	FREER_DONE,
};

static void report(struct state *s, unsigned char *pc)
{
	s->reports++;
	*pc = LEAVE;
	s->saw = 1;
}

static void look(struct state *s, unsigned char *pc, unsigned char next)
{
	if (s->owner == GONE || (next == SET && (s->life || (s->variant == LOOK_BEFORE && s->free))))
		report(s, pc); /* gone, or what is there is another object: found out, and said */
	else
		*pc = next;
}

static void set_remote(struct state *s, unsigned char *pc)
{
	s->wrong |= s->life;
	if (s->remote) {
		report(s, pc);
		return;
	}
	s->remote = 1;
	*pc = s->variant == LOOK_BEFORE ? LEAVE : TEST;
}

static void step_freer(struct state *s)
{
	unsigned char *pc = &s->pc[FREER];
	bool late = s->variant == LOOK_FIRST;

	switch (*pc) {
	case SAY:
		if (late)
			look(s, pc, LOOK);
		else {
			s->at = 1;
			*pc = LOOK;
		}
		break;
	case LOOK:
		if (late) {
			s->at = 1;
			*pc = SET;
		} else {
			look(s, pc, SET);
		}
		break;
	case SET:
		set_remote(s, pc);
		break;
	case TEST:
		*pc = s->free ? UNDO : LEAVE;
		break;
	case UNDO:
		if (s->remote)
			report(s, pc);
		*pc = LEAVE;
		s->saw = 1;
		s->remote = 0;
		break;
	case LEAVE:
		s->at = 0;
		*pc = s->saw ? FREER_DONE : NOTIFY;
		break;
	case NOTIFY:
		s->pending = 1;
		*pc = FREER_DONE;
		break;
	}
}

enum owner_pc {
	READ_FLAG,
	FREE,
	FREE_SLOWLY,
	/* giving the span back */
	GO,
	WAIT,
	DROP,
	REUSE,
	/* handing the object out */
	REFILL,
	HAND_OUT,
	/* gathering, once at any time and once in the end */
	TAKE,
	PUT,
	AWAIT,
	GATHER,
	OWNER_DONE,
};

static unsigned char after_free(const struct state *s)
{
	return s->recycles ? GO : REFILL;
}

static void gather(struct state *s)
{
	if (s->remote && s->free)
		s->reports++;
	s->free |= s->remote;
	s->remote = 0;
}

static void step_recycle(struct state *s, unsigned char *pc)
{
	bool first = s->variant == WAIT_FIRST;

	switch (*pc) {
	case GO:
		if (first && s->at)
			break;
		if (!first)
			s->owner = GONE;
		*pc = WAIT;
		break;
	case WAIT:
		if (first)
			s->owner = GONE;
		else if (s->at && s->variant != NO_WAIT)
			break;
		*pc = DROP;
		break;
	case DROP:
		if (s->remote && s->variant != DROP_QUIETLY)
			s->reports++;
		s->remote = 0;
		*pc = REUSE;
		break;
	case REUSE:
		s->life = 1;
		s->free = 0;
		s->owner = OURS;
		*pc = TAKE;
		break;
	}
}

/* A word of mw_span_gather(). */
static void step_gather(struct state *s, unsigned char *pc)
{
	bool set_first = s->variant == SET_FIRST;

	if (*pc == TAKE) {
		s->taken = s->remote;
		if (!set_first)
			s->remote = 0;
		*pc = PUT;
		return;
	}
	if (s->taken && s->free)
		s->reports++;
	s->free |= s->taken;
	if (set_first && s->taken)
		s->remote = 0;
	*pc = AWAIT;
}

static void step_owner(struct state *s)
{
	unsigned char *pc = &s->pc[OWNER];

	switch (*pc) {
	case READ_FLAG:
		*pc = s->pending ? FREE_SLOWLY : FREE;
		break;
	case FREE_SLOWLY:
		if (s->remote) {
			s->reports++;
			*pc = TAKE;
			break;
		}
		/* fall through */
	case FREE:
		if (s->free)
			s->reports++;
		s->free = 1;
		*pc = after_free(s);
		break;
	case REFILL:
		s->ready = s->free && (!s->remote || s->variant == HAND_OUT_ALL);
		*pc = s->ready ? HAND_OUT : TAKE;
		break;
	case HAND_OUT:
		s->free = 0;
		s->again = s->pc[FREER] != FREER_DONE;
		*pc = TAKE;
		break;
	case TAKE:
	case PUT:
		step_gather(s, pc);
		break;
	case AWAIT:
		if (s->pc[FREER] == FREER_DONE)
			*pc = GATHER;
		break;
	case GATHER:
		gather(s);
		*pc = OWNER_DONE;
		break;
	default:
		step_recycle(s, pc);
	}
}

static void step(void *state, unsigned int thread)
{
	if (thread == OWNER)
		step_owner(state);
	else
		step_freer(state);
}

static bool ended(const void *state, unsigned int thread)
{
	const struct state *s = state;

	return s->pc[thread] == (thread == OWNER ? OWNER_DONE : FREER_DONE);
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->wrong)
		return "bits of another span were changed";
	if (s->reports > 1)
		return "reported twice";
	if (end && !s->reports && !s->again)
		return "a double free that nobody reports";
	if (end && s->life && s->free)
		return "an object that nobody freed is free";
	if (end && s->again && s->reports && s->free)
		return "a free that was reported has been done";
	return NULL;
}

static void start(void *state, unsigned int variant, unsigned int way)
{
	struct state *s = state;

	s->variant = (unsigned char)variant;
	s->recycles = (unsigned char)way;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = THREADS,
	.start = start,
	.ways = 2,
	.least = 150,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(no_other_object_is_freed, model)
MODEL_FINDS(spans_that_do_not_wait, model, NO_WAIT)
MODEL_FINDS(freers_that_say_so_late, model, LOOK_FIRST)
MODEL_FINDS(a_wait_before_the_owner_is_gone, model, WAIT_FIRST)
MODEL_FINDS(a_free_bit_looked_at_early, model, LOOK_BEFORE)
MODEL_FINDS(what_was_freed_remotely_handed_out, model, HAND_OUT_ALL)
MODEL_FINDS(remote_bits_dropped, model, DROP_QUIETLY)
MODEL_FINDS(free_bits_set_early, model, SET_FIRST)
