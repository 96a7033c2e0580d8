/* SPDX-License-Identifier: MIT */
/*
 * What is allocated and freed by hand beside a mark, and the sweep after it, in all interleavings:
 * docs/design/concurrent.md. One span of five objects that a CPU owns. The word that the CPU
 * allocates from has a holder, its target, a free object that is noted as ready, and one that was
 * freed since; another word has a free one. The threads:
 *
 *	the collector	begins (in a stop), marks from the holder, flips (in a stop), sweeps the span
 *	a thread	reads the target out of the holder, frees one of the two, allocates, uses what it has
 *	a handler	on the same CPU, between the thread's pinned stretches: allocates an object and keeps it
 *
 * Words of bits are read and written one at a time. What somebody holds must not be free, nor be
 * handed out again.
 */
#include "model.h"

enum bug {
	RIGHT = MODEL_RIGHT,
	FREE_BEFORE_SCAN, /* frees take effect at once, and the marker passes by what is free now */
	WHITE, /* what is handed out is not marked */
	WORD_WHITE, /* but for what is free in the CPU's word in the stop */
	READY_ONLY, /* of that, what is noted as ready is marked */
	MARK_LATE, /* it is marked after it was handed out */
	LOAD_STORE, /* the marker sets marks by load and store */
	GATHERS, /* the owner gathers what is freed beside the mark */
	SWEPT_UNDER_OWNER, /* the sweeper writes the owner's word */
	REFILL_UNSWEPT, /* the owner goes to a new word of a span that is not swept */
	LOSES_REMOTE, /* a sweeper stores remote bits, and does not add to them */
};

enum way {
	FREES_HOLDER,
	FREES_TARGET,
	WAYS
};

#define HOLDER 1u
#define TARGET 2u
#define READY 4u
#define FREED 8u
#define SPARE 16u
#define ALL 31u

/* What the CPU allocates from: a word of bits. */
#define FIRST_WORD (HOLDER | TARGET | READY | FREED)
#define OTHER_WORD SPARE

/* Of the span. */
enum {
	SWEPT,
	UNSWEPT,
	SWEEPING
};

enum context {
	THREAD,
	HANDLER,
	CONTEXTS
};

enum collector_pc {
	BEGIN,
	SHADE_HOLDER,
	SCAN,
	SHADE_LOAD,
	SHADE,
	FLIP,
	CLAIM,
	READ_FREE,
	READ_MARK,
	TELL,
	CLEAR,
	PUBLISH,
	C_END
};

enum alloc_pc {
	A_ASK,
	A_SWEEP_READ,
	A_SWEEP,
	A_GATHER,
	A_READ,
	A_MARK,
	A_TAKE,
	A_LATE,
	A_END
};

struct state {
	unsigned char free, remote, mark, word, ready, span, marking;
	unsigned char held, regs,
		bad; /* held: in use, in truth; regs: of these, what thread and handler have */
	unsigned char c_pc, c_free, c_mark, c_target;
	struct {
		unsigned char pc, alloc, saw, pinned;
	} on[CONTEXTS];
};

static enum bug bug;
static enum way way;

/* ---- the owner ---- */

static void sweep_own(struct state *s, unsigned int c)
{
	unsigned char dead = (unsigned char)(ALL & ~s->free & ~s->on[c].saw);

	s->free |= dead;
	s->mark = 0;
	s->span = SWEPT;
}

static unsigned char some(const struct state *s)
{
	return s->word & s->free & (unsigned char)~s->remote;
}

/* A word that has free objects; all of them are marked before one is handed out. */
static unsigned char next_word(struct state *s)
{
	s->word = OTHER_WORD;
	if (!some(s))
		s->word = FIRST_WORD;
	s->ready = some(s);
	return !s->ready ? A_END : s->marking && bug != WHITE && bug != MARK_LATE ? A_MARK : A_TAKE;
}

/*
 * Nothing is ready: what is free in the word now, without a mark; or the next word. Pinned; a step
 * is what others may see.
 */
static void refill(struct state *s, unsigned int c)
{
	unsigned char *pc = &s->on[c].alloc;

	switch ((enum alloc_pc) * pc) {
	case A_ASK:
		s->on[c].pinned = 1;
		if (!s->ready)
			s->ready = some(s);
		if (s->ready) {
			*pc = A_TAKE;
		} else if (s->span == SWEPT || bug == REFILL_UNSWEPT) {
			*pc = A_GATHER;
		} else if (s->span == UNSWEPT) {
			s->span = SWEEPING;
			*pc = A_SWEEP_READ;
		}
		return;
	case A_SWEEP_READ:
		s->on[c].saw = s->mark;
		break;
	case A_SWEEP:
		sweep_own(s, c);
		break;
	case A_GATHER:
		if (!s->marking || bug == GATHERS) {
			s->free |= s->remote;
			s->remote = 0;
		}
		break;
	case A_READ:
		*pc = next_word(s);
		return;
	case A_MARK:
		s->mark |= s->ready;
		break;
	default:
		break;
	}
	++*pc;
}

static void hand_out(struct state *s, unsigned int c)
{
	unsigned char bit = s->ready & (unsigned char)-s->ready;

	s->bad |= bit & s->held;
	s->held |= bit;
	s->regs |= bit;
	s->on[c].saw = bit;
	/* The word is read, changed and written by the owner alone. */
	s->free &= (unsigned char)~bit;
	s->ready &= (unsigned char)~bit;
}

/* Return: whether it has ended, with an object or with none. */
static bool allocate(struct state *s, unsigned int c)
{
	unsigned char *pc = &s->on[c].alloc;

	if (*pc < A_TAKE) {
		refill(s, c);
	} else if (*pc == A_TAKE) {
		hand_out(s, c);
		*pc = bug == MARK_LATE ? A_LATE : A_END;
		s->on[c].pinned = bug == MARK_LATE ? 0 : s->on[c].pinned;
	} else if (*pc == A_LATE) {
		if (s->marking)
			s->mark |= s->on[c].saw;
		*pc = A_END;
	}
	if (*pc != A_END)
		return false;
	*pc = A_ASK;
	s->on[c].saw = s->on[c].pinned = 0;
	return true;
}

static void free_by_hand(struct state *s, unsigned char bit)
{
	s->held &= (unsigned char)~bit;
	s->regs &= (unsigned char)~bit;
	if (s->marking && bug != FREE_BEFORE_SCAN)
		s->remote |= bit;
	else
		s->free |= bit;
}

/*
 * Reads the target, frees it or its holder, allocates three times, and keeps all that it has then.
 */
static void thread(struct state *s)
{
	unsigned char *pc = &s->on[THREAD].pc;

	if (*pc == 0)
		s->regs |= TARGET;
	else if (*pc == 1)
		free_by_hand(s, way == FREES_HOLDER ? HOLDER : TARGET);
	else if (!allocate(s, THREAD))
		return;
	++*pc;
}

static void handler(struct state *s)
{
	if (allocate(s, HANDLER))
		s->on[HANDLER].pc = 1;
}

/* ---- the collector ---- */

/* A stop waits for who is pinned. A thread's registers are scanned, a handler's frame as well. */
static void begin(struct state *s)
{
	s->marking = 1;
	s->mark = s->regs;
	if (bug == READY_ONLY)
		s->mark |= s->ready;
	else if (bug != WORD_WHITE && bug != WHITE)
		s->mark |= s->ready | some(s);
}

/* What is free now is passed by: it was free in the snapshot, unless frees take effect at once. */
static void mark(struct state *s)
{
	switch (s->c_pc) {
	case SHADE_HOLDER:
		s->mark |= HOLDER & (unsigned char)~s->free;
		break;
	case SCAN:
		/* From the copy, if somebody has written: so what it led to is there. */
		s->c_target = s->mark & HOLDER & (unsigned char)~s->free ? TARGET : 0;
		break;
	case SHADE_LOAD:
		s->c_target &= (unsigned char)~s->free;
		s->c_mark = s->mark;
		break;
	default:
		s->mark = (bug == LOAD_STORE ? s->c_mark : s->mark) | s->c_target;
		s->c_mark = s->c_target = 0;
		break;
	}
	s->c_pc++;
}

static void sweep(struct state *s)
{
	unsigned char dead = (unsigned char)(ALL & ~s->c_free & ~s->c_mark);

	switch (s->c_pc) {
	case CLAIM:
		if (s->span == SWEEPING)
			return;
		if (s->span == SWEPT) {
			s->c_pc = C_END;
			return;
		}
		s->span = SWEEPING;
		break;
	case READ_FREE:
		s->c_free = s->free;
		break;
	case READ_MARK:
		s->c_mark = s->mark;
		break;
	case TELL:
		if (bug == SWEPT_UNDER_OWNER)
			s->free = s->c_free | dead;
		else if (bug == LOSES_REMOTE)
			s->remote = dead;
		else
			s->remote |= dead;
		s->c_free = s->c_mark = 0;
		break;
	case CLEAR:
		s->mark = 0;
		break;
	default:
		s->span = SWEPT;
		break;
	}
	s->c_pc++;
}

static void collector(struct state *s)
{
	bool stops = s->c_pc == BEGIN || s->c_pc == FLIP;

	if (stops && (s->on[THREAD].pinned || s->on[HANDLER].pinned))
		return;
	if (s->c_pc == BEGIN) {
		begin(s);
		s->c_pc++;
	} else if (s->c_pc < FLIP) {
		mark(s);
	} else if (s->c_pc == FLIP) {
		s->marking = 0;
		s->span = UNSWEPT;
		s->c_pc++;
	} else {
		sweep(s);
	}
}

/* ---- the model ---- */

/* The handler runs to its end before the thread goes on. */
static bool handler_inside(const struct state *s)
{
	return s->on[HANDLER].alloc != A_ASK;
}

static void step(void *state, unsigned int t)
{
	struct state *s = state;

	if (t == CONTEXTS)
		collector(s);
	else if (t == HANDLER && !s->on[THREAD].pinned)
		handler(s);
	else if (t == THREAD && !handler_inside(s))
		thread(s);
}

static bool ended(const void *state, unsigned int t)
{
	const struct state *s = state;

	if (t == CONTEXTS)
		return s->c_pc == C_END;
	return s->on[t].pc == (t == THREAD ? 5 : 1);
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->bad)
		return "an object was handed out that somebody holds";
	if (s->held & (s->free | s->remote))
		return "an object was freed that somebody holds";
	if (s->free & s->remote)
		return "an object is free twice";
	return end && (s->held | s->free | s->remote) != ALL ? "an object was lost" : NULL;
}

static void start(void *state, unsigned int variant, unsigned int which)
{
	struct state *s = state;

	bug = variant;
	way = which;
	s->held = HOLDER | TARGET;
	s->free = READY | FREED | SPARE;
	s->word = FIRST_WORD;
	s->ready = READY;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = CONTEXTS + 1,
	.start = start,
	.ways = WAYS,
	.least = 1900,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(holds_beside_mark_and_sweep, model)
MODEL_FINDS(a_free_before_the_scan, model, FREE_BEFORE_SCAN)
MODEL_FINDS(what_is_handed_out_white, model, WHITE)
MODEL_FINDS(a_word_that_is_white_in_the_stop, model, WORD_WHITE)
MODEL_FINDS(what_was_free_and_not_noted, model, READY_ONLY)
MODEL_FINDS(a_mark_after_it_was_handed_out, model, MARK_LATE)
MODEL_FINDS(a_mark_by_load_and_store, model, LOAD_STORE)
MODEL_FINDS(a_gather_beside_the_mark, model, GATHERS)
MODEL_FINDS(a_span_swept_under_its_owner, model, SWEPT_UNDER_OWNER)
MODEL_FINDS(a_refill_before_the_sweep, model, REFILL_UNSWEPT)
MODEL_FINDS(remote_bits_that_are_stored, model, LOSES_REMOTE)
