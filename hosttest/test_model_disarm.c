/* SPDX-License-Identifier: MIT */
/*
 * From one mark to the next, in all interleavings: docs/design/concurrent.md. Disarming waits for
 * nobody, so a write fault may still be under way then, that saw the chunk armed: with a slot of
 * the log in its hands, and a table that it is about to change. The collector disarms, stops the
 * CPUs, gives the log to somebody else, prepares the twin, and arms once more. Two CPUs write to
 * one page all the time; a third one to another page of the chunk, which has the same directory's
 * entry.
 */
#include "model.h"

enum bug {
	RIGHT = MODEL_RIGHT,
	NO_STOP, /* the log is given back behind disarming */
	PREPARE_FIRST, /* the twin is prepared before the stop */
	DIRECTORY_BLIND, /* a fault stores the directory's entry, whatever is there */
	WORD_STAYS, /* the page's word is not reset */
	TWIN_STAYS, /* nor is the twin's entry */
};

enum {
	OPEN,
	ARMED,
	TWIN
};

#define CPUS 3
#define OTHER 2 /* writes to the other page */
#define MARKS 2
#define WRITES 3

enum fault_pc {
	NO_FAULT,
	F_LOOK,
	F_COPY,
	F_PUBLISH,
	F_TWIN,
	F_DIRECTORY,
};

enum collector_pc {
	PREPARE,
	ARM, /* in a stop */
	READ,
	LOOK,
	DISARM,
	STOP,
	GIVE_BACK,
	C_END
};

struct state {
	unsigned char directory, writable, word, copy, value;
	unsigned char given; /* the log is somebody else's */
	unsigned char snapshot, seen, bad, marks, c_pc;
	struct {
		unsigned char fault, copy, writes;
	} cpu[CPUS];
};

static enum bug bug;

static const char *const faults[] = {
	NULL,
	"a copy was written to memory of somebody else",
	"the marker did not find the snapshot",
};

static bool permitted(const struct state *s)
{
	return s->directory == OPEN || (s->directory == TWIN && s->writable);
}

/* ---- a CPU that writes ---- */

static void change_directory(struct state *s)
{
	if (s->directory == ARMED || bug == DIRECTORY_BLIND)
		s->directory = TWIN;
}

static void look(struct state *s, unsigned int c)
{
	if (c == OTHER)
		s->cpu[c].fault = F_DIRECTORY;
	else if (permitted(s))
		s->cpu[c].fault = NO_FAULT;
	else
		s->cpu[c].fault = s->word ? F_TWIN : F_COPY;
}

static void fault(struct state *s, unsigned int c)
{
	switch ((enum fault_pc)s->cpu[c].fault) {
	case F_LOOK:
		look(s, c);
		return;
	case F_COPY:
		s->cpu[c].copy = s->value;
		if (s->given)
			s->bad = 1;
		break;
	case F_PUBLISH:
		if (!s->word)
			s->copy = s->cpu[c].copy;
		s->word = 1;
		s->cpu[c].copy = 0;
		break;
	case F_TWIN:
		s->writable = 1;
		break;
	default:
		change_directory(s);
		s->cpu[c].fault = NO_FAULT;
		return;
	}
	s->cpu[c].fault++;
}

/* Each write makes another value. */
static void write_page(struct state *s, unsigned int c)
{
	bool may = c == OTHER ? s->directory != ARMED : permitted(s);

	if (s->cpu[c].fault) {
		fault(s, c);
	} else if (may) {
		s->value += c != OTHER;
		s->cpu[c].writes++;
	} else {
		s->cpu[c].fault = F_LOOK;
	}
}

/* ---- the collector ---- */

static bool in_fault(const struct state *s)
{
	return s->cpu[0].fault || s->cpu[1].fault || s->cpu[OTHER].fault;
}

static void prepare(struct state *s)
{
	if (bug != WORD_STAYS)
		s->word = 0;
	if (bug != TWIN_STAYS)
		s->writable = 0;
}

static void end_mark(struct state *s)
{
	s->given = 1;
	s->seen = 0;
	s->c_pc = ++s->marks == MARKS ? C_END : PREPARE;
}

/* All CPUs have answered, with interrupts on: none is in a fault. */
static bool stops(const struct state *s)
{
	bool wants = s->c_pc == ARM || (s->c_pc == STOP && bug != NO_STOP);

	return !wants || !in_fault(s);
}

static void collector(struct state *s)
{
	if (!stops(s))
		return;
	switch ((enum collector_pc)s->c_pc) {
	case PREPARE:
		s->given = 0;
		if (bug != PREPARE_FIRST)
			prepare(s);
		break;
	case ARM:
		s->directory = ARMED;
		s->snapshot = s->value;
		break;
	case READ:
		s->seen = s->value;
		break;
	case LOOK:
		if (s->word)
			s->seen = s->copy;
		if (s->seen != s->snapshot)
			s->bad = 2;
		break;
	case DISARM:
		s->directory = OPEN;
		if (bug == PREPARE_FIRST)
			prepare(s);
		break;
	case GIVE_BACK:
		end_mark(s);
		return;
	default:
		break;
	}
	s->c_pc++;
}

/* ---- the model ---- */

static void step(void *state, unsigned int t)
{
	if (t == CPUS)
		collector(state);
	else
		write_page(state, t);
}

static bool ended(const void *state, unsigned int t)
{
	const struct state *s = state;

	if (t == CPUS)
		return s->c_pc == C_END;
	return s->cpu[t].writes == (t == OTHER ? 2 : WRITES) && !s->cpu[t].fault;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->bad)
		return faults[s->bad];
	return end && s->directory != OPEN ? "a chunk stayed armed" : NULL;
}

static void start(void *state, unsigned int variant, unsigned int way)
{
	(void)state, (void)way;
	bug = variant;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = CPUS + 1,
	.start = start,
	.ways = 1,
	.least = 80000,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(holds_from_mark_to_mark, model)
MODEL_FINDS(a_log_given_back_at_once, model, NO_STOP)
MODEL_FINDS(a_twin_prepared_before_the_stop, model, PREPARE_FIRST)
MODEL_FINDS(a_directory_stored_blindly, model, DIRECTORY_BLIND)
MODEL_FINDS(a_word_that_stays, model, WORD_STAYS)
MODEL_FINDS(a_twin_that_stays, model, TWIN_STAYS)
