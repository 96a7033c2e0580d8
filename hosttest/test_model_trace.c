// SPDX-License-Identifier: MIT
/*
 * The protocol of mm/watch/trace.c in all interleavings, and with stores that other CPUs see late and
 * out of order: one entry of a ring, written over twice, and a reader that looks for each event in it.
 *
 * A store that is no release may be seen at any time, before older ones too, but for those to its own
 * word; a release is seen after all older ones. So each store is a thread of the model, that waits until
 * it may be seen. Loads are acquires, and so in order; a variant has them in another one.
 */
#include "model.h"

enum bug {
	RIGHT = MODEL_RIGHT,
	NO_ZERO, /* the writer leaves the old turn while it writes */
	TURN_FIRST, /* the new turn stands there before the rest */
	ONE_LOOK, /* the reader does not look at the turn again */
	RELAXED, /* the stores of what an event says are no releases */
	LATE_LOAD, /* a load is no acquire, and happens after the last look at the turn */
};

enum word {
	TURN,
	A,
	B
};

/* The stores of one event; the entry holds event 1, and gets 2 and 3. */
#define STORES 4u
#define WRITES (2 * STORES)
#define READER WRITES
#define EVENTS 3u

enum pc {
	FIRST_LOOK,
	LOAD_A,
	LOAD_B,
	LAST_LOOK,
	LATE,
	END
};

static enum bug bug;

struct state {
	unsigned char memory[3];
	unsigned char seen; /* stores that are; one bit each */
	unsigned char pc, wanted, a, b;
	unsigned char torn;
};

/* What the @i-th store of an event is. */
static enum word word_of(unsigned int i)
{
	static const enum word order[STORES] = { TURN, A, B, TURN };
	static const enum word early[STORES] = { TURN, TURN, A, B };

	return bug == TURN_FIRST ? early[i] : order[i];
}

static unsigned char value_of(unsigned int store)
{
	unsigned char event = (unsigned char)(2 + store / STORES);

	return store % STORES ? event : 0;
}

static bool is_release(unsigned int i)
{
	return i && (bug != RELAXED || word_of(i) == TURN);
}

static void do_store(struct state *s, unsigned int store)
{
	for (unsigned int older = 0; older < store; older++) {
		bool same = word_of(older % STORES) == word_of(store % STORES);

		if (!(s->seen >> older & 1) && (same || is_release(store % STORES)))
			return;
	}
	s->seen |= (unsigned char)(1u << store);
	if (bug != NO_ZERO || store % STORES)
		s->memory[word_of(store % STORES)] = value_of(store);
}

static void next_event(struct state *s)
{
	s->pc = ++s->wanted > EVENTS ? END : FIRST_LOOK;
}

/* The reader believes that it has the event. */
static void believe(struct state *s)
{
	if (s->a != s->wanted || s->b != s->wanted)
		s->torn = 1;
	next_event(s);
}

static void do_read(struct state *s)
{
	switch ((enum pc)s->pc) {
	case FIRST_LOOK:
		if (s->memory[TURN] == s->wanted)
			s->pc = LOAD_A;
		else
			next_event(s);
		break;
	case LOAD_A:
		s->a = s->memory[A];
		s->pc = bug == LATE_LOAD ? LAST_LOOK : LOAD_B;
		break;
	case LOAD_B:
		s->b = s->memory[B];
		if (bug == ONE_LOOK)
			believe(s);
		else
			s->pc = LAST_LOOK;
		break;
	case LAST_LOOK:
		if (s->memory[TURN] != s->wanted)
			next_event(s);
		else if (bug == LATE_LOAD)
			s->pc = LATE;
		else
			believe(s);
		break;
	case LATE:
		s->b = s->memory[B];
		believe(s);
		break;
	case END:
		break;
	}
}

static void step(void *state, unsigned int thread)
{
	if (thread == READER)
		do_read(state);
	else
		do_store(state, thread);
}

static bool ended(const void *state, unsigned int thread)
{
	const struct state *s = state;

	return thread == READER ? s->pc == END : s->seen >> thread & 1;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->torn)
		return "a torn event was believed";
	return end && s->memory[TURN] != EVENTS ? "the last event is not there" : NULL;
}

static void start(void *state, unsigned int variant, unsigned int way)
{
	struct state *s = state;

	(void)way;
	bug = variant;
	s->memory[TURN] = s->memory[A] = s->memory[B] = 1;
	s->wanted = 1;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = WRITES + 1,
	.start = start,
	.ways = 1,
	.least = 200,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(believed_events_are_whole, model)
MODEL_FINDS(an_old_turn_that_stays, model, NO_ZERO)
MODEL_FINDS(a_turn_that_is_early, model, TURN_FIRST)
MODEL_FINDS(a_reader_that_looks_once, model, ONE_LOOK)
MODEL_FINDS(stores_in_any_order, model, RELAXED)
MODEL_FINDS(a_load_that_is_late, model, LATE_LOAD)
