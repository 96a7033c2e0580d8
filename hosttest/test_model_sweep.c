/* SPDX-License-Identifier: MIT */
/*
 * The protocol of mm/gc/sweep.c, in all interleavings: one span of two objects through two cycles, with
 * a collector, a sweeper in the background, somebody who allocates and somebody who frees by hand.
 *
 * The last two are threads, which the stop waits for and stops, or interrupt handlers on stopped
 * CPUs, which it does not: only the flush that follows the stop waits for those. At the start object 0
 * is held by who will free it, object 1 is garbage. The allocator takes the span from its cache's
 * list, or makes it anew once it went back to the page heap.
 *
 * The span has records, that are swept in a piece of their own: behind it the claim is given back, and a sweeper
 * in the background may be interrupted, and stopped.
 *
 * Free words are read and written in two steps by a sweep, as they are in truth, so a free by hand
 * from an interrupt can be lost to it: what was freed is found as garbage by the next mark.
 */
#include "model.h"

#define CYCLES 2
#define STEP 4 /* as MW_GENERATION_STEP, and so on */
#define MARKING 2
#define FIRST 5

enum bug {
	RIGHT = MODEL_RIGHT,
	NO_CLAIM, /* a sweeper does not settle with others who sweeps */
	NO_FINISH, /* the collector does not finish the last sweep */
	BUMP_FIRST, /* the generation grows before the marks are made */
	TAKE_UNSWEPT, /* the allocator does not have the span swept */
	GONE_BLIND, /* a span goes back while it is being swept */
	BACK_IN_MARK, /* a span goes back while a marker has it */
	BORN_OLD, /* born during a mark, of the generation before it */
	PART_IS_ALL, /* after the first piece the span counts as swept */
	BORN_LOOSE, /* who learns the generation of a birth may be stopped before it is used */
	TWO_WORDS, /* a birth learns of the mark first, of the generation later */
};

enum thread {
	COLLECTOR,
	SWEEPER,
	ALLOCATOR,
	FREER,
	THREADS
};
enum owner {
	CENTRAL,
	CPU,
	LEAVING,
	HEAP
}; /* LEAVING: on its way to the page heap */

/* The steps of having a span swept, which every thread may be in, and of putting it where it belongs. */
enum sub {
	NONE,
	CLAIM,
	PIECE,
	BETWEEN,
	READ,
	WRITE,
	PUBLISH,
	LOCK,
	SETTLE,
	GONE
};

enum pc {
	FINISH,
	STOP,
	HOLD,
	FLUSH,
	MARK,
	SCAN,
	CLEAR_BORN,
	BUMP,
	START,
	PIN,
	WORK,
	BORN,
	APPEAR,
	TAKE,
	UNPIN,
	END,
};

static enum bug bug;
static bool handlers;

struct state {
	unsigned char word; /* generation, with MARKING */
	unsigned char generation, free, mark, owner; /* the span's */
	unsigned char live; /* objects that the program has */
	unsigned char taken; /* object 1 was allocated again */
	unsigned char pieces; /* of records that are to be swept yet */
	unsigned char lock, stopped, queued, cycles;
	unsigned char bad;
	struct thread_state {
		unsigned char pc, sub, pinned, dead, saw, rounds;
	} thread[THREADS];
};

static const char *const faults[] = {
	NULL,
	"swept what is no span",
	"given back while a marker had it",
	"an object was freed twice",
	"scanned what is no span",
};

static unsigned char now(const struct state *s)
{
	return s->word & (unsigned char)~MARKING;
}

static bool unswept(const struct state *s)
{
	return s->generation && (signed char)(now(s) - s->generation) > 0;
}

static bool is_handler(unsigned int t)
{
	return handlers && (t == ALLOCATOR || t == FREER);
}

/* Who waits: the background goes on to other spans instead. */
static void do_claim(struct state *s, struct thread_state *me, bool waits)
{
	bool old = s->generation == now(s) - STEP;

	if (old || (bug == NO_CLAIM && unswept(s))) {
		s->generation = (unsigned char)(now(s) - STEP + 1);
		me->sub = s->pieces ? PIECE : READ;
	} else if (!waits || !unswept(s)) {
		me->sub = NONE;
	}
}

static void do_piece(struct state *s, struct thread_state *me)
{
	s->pieces--;
	s->generation = (unsigned char)(bug == PART_IS_ALL ? now(s) : now(s) - STEP);
	me->sub = bug == PART_IS_ALL ? NONE : BETWEEN;
}

static void do_settle(struct state *s, struct thread_state *me)
{
	bool held = s->word & MARKING && bug != BACK_IN_MARK;

	s->lock = 0;
	me->sub = NONE;
	if (s->owner != CENTRAL || s->free != 3 || held)
		return;
	s->owner = LEAVING;
	me->sub = GONE;
}

static void do_gone(struct state *s, struct thread_state *me)
{
	if (s->generation % STEP == 2 && bug != GONE_BLIND)
		return;
	if (s->queued)
		s->bad = 2;
	s->generation = 0;
	s->owner = HEAP;
	me->sub = NONE;
}

static void sub_step(struct state *s, struct thread_state *me, bool waits)
{
	switch ((enum sub)me->sub) {
	case CLAIM:
		do_claim(s, me, waits);
		break;
	case PIECE:
		do_piece(s, me);
		me->pinned = me->pinned && waits;
		break;
	case BETWEEN:
		me->pinned = me != &s->thread[COLLECTOR];
		me->sub = CLAIM;
		break;
	case READ:
		me->saw = s->free;
		me->dead = (unsigned char)(~s->free & ~s->mark & 3);
		if (s->owner == HEAP)
			s->bad = 1;
		me->sub = WRITE;
		break;
	case WRITE:
		if (me->dead)
			s->free = me->saw | me->dead;
		s->mark = 0;
		me->sub = PUBLISH;
		break;
	case PUBLISH:
		s->generation = now(s);
		me->sub = me->dead ? LOCK : NONE;
		break;
	case LOCK:
		if (!s->lock) {
			s->lock = 1;
			me->sub = SETTLE;
		}
		break;
	case SETTLE:
		do_settle(s, me);
		break;
	case GONE:
		do_gone(s, me);
		break;
	case NONE:
		break;
	}
}

/* ---- the collector ---- */

static bool somebody_pinned(const struct state *s, bool handler)
{
	for (unsigned int t = SWEEPER; t < THREADS; t++)
		if (s->thread[t].pinned && is_handler(t) == handler)
			return true;
	return false;
}

static void bump(struct state *s)
{
	s->word = (unsigned char)(now(s) + STEP);
	s->pieces = 1;
}

static void collector_mark(struct state *s, struct thread_state *me)
{
	switch ((enum pc)me->pc) {
	case HOLD:
		s->word |= MARKING;
		if (bug == BUMP_FIRST)
			bump(s);
		me->pc = FLUSH;
		break;
	case FLUSH:
		if (somebody_pinned(s, true))
			return;
		if (s->owner == CPU)
			s->owner = CENTRAL;
		me->pc = MARK;
		break;
	case MARK:
		if (s->owner <= CPU)
			s->mark |= s->live & (unsigned char)~s->free;
		s->queued = !!s->mark;
		me->pc = SCAN;
		break;
	case SCAN:
		if (s->queued && s->owner == HEAP)
			s->bad = 4;
		s->queued = 0;
		me->pc = CLEAR_BORN;
		break;
	default:
		if (s->generation == now(s) + STEP)
			s->mark = 0;
		me->pc = BUMP;
	}
}

static void collector(struct state *s, struct thread_state *me)
{
	switch ((enum pc)me->pc) {
	case FINISH:
		if (unswept(s) && (bug != NO_FINISH || s->cycles == CYCLES))
			me->sub = CLAIM;
		else
			me->pc = s->cycles == CYCLES ? END : STOP;
		break;
	case STOP:
		if (somebody_pinned(s, false))
			return;
		s->stopped = 1;
		me->pc = HOLD;
		break;
	case BUMP:
		if (bug != BUMP_FIRST)
			bump(s);
		me->pc = START;
		break;
	case START:
		s->stopped = 0;
		s->cycles++;
		me->pc = FINISH;
		break;
	case END:
		break;
	default:
		collector_mark(s, me);
	}
}

/* ---- the others ---- */

static void begin(struct thread_state *me)
{
	me->pinned = 1;
	me->pc = WORK;
	me->sub = CLAIM;
}

static void finish(struct thread_state *me)
{
	me->pinned = 0;
	me->pc = me->rounds-- ? PIN : END;
}

static void sweeper(struct state *s, struct thread_state *me)
{
	(void)s;
	if (me->pc == PIN)
		begin(me);
	else
		finish(me);
}

/* Learn the generation; it is used a step later. */
static void learn(struct state *s, struct thread_state *me)
{
	me->saw = s->word;
	me->dead = s->word & MARKING;
	if (bug == BORN_OLD)
		me->saw &= (unsigned char)~MARKING;
	else if (me->saw & MARKING)
		me->saw = (unsigned char)(me->saw - MARKING + STEP);
	me->pc = APPEAR;
	me->pinned = bug != BORN_LOOSE;
}

static void appear(struct state *s, struct thread_state *me)
{
	if (bug == TWO_WORDS)
		me->saw = (unsigned char)(now(s) + (me->dead ? STEP : 0));
	s->generation = me->saw;
	s->free = 3;
	s->mark = 0;
	s->owner = CPU;
	me->pc = TAKE;
	me->pinned = 1;
}

static void choose(struct state *s, struct thread_state *me)
{
	if (s->owner == HEAP) {
		me->pc = BORN;
	} else if (s->owner == CENTRAL && !(s->word & MARKING)) {
		if (s->lock)
			return;
		s->owner = CPU;
		me->sub = bug == TAKE_UNSWEPT ? NONE : CLAIM;
		me->pc = TAKE;
	} else {
		me->pc = UNPIN;
	}
}

static void take(struct state *s, struct thread_state *me)
{
	unsigned char bit = s->free & (unsigned char)-s->free;

	if (bit) {
		s->free &= (unsigned char)~bit;
		s->live |= bit;
		s->taken |= bit & 2;
	}
	me->pc = UNPIN;
}

static void allocator(struct state *s, struct thread_state *me)
{
	switch ((enum pc)me->pc) {
	case PIN:
		me->pinned = 1;
		me->pc = WORK;
		break;
	case WORK:
		choose(s, me);
		break;
	case BORN:
		learn(s, me);
		break;
	case APPEAR:
		appear(s, me);
		break;
	case TAKE:
		take(s, me);
		break;
	default:
		finish(me);
	}
}

static void freer(struct state *s, struct thread_state *me)
{
	if (me->pc == PIN) {
		begin(me);
	} else if (me->pc == WORK) {
		if (s->lock)
			return;
		if (s->free & 1)
			s->bad = 3;
		s->free |= 1;
		s->live &= (unsigned char)~1;
		me->pc = UNPIN;
		if (s->owner == CENTRAL && s->free == 3) {
			s->lock = 1;
			me->sub = SETTLE;
		}
	} else {
		finish(me);
	}
}

static void step(void *state, unsigned int t)
{
	static void (*const run[])(struct state * s,
				   struct thread_state * me) = { collector, sweeper, allocator,
								 freer };
	struct state *s = state;
	struct thread_state *me = &s->thread[t];

	if (s->stopped && t != COLLECTOR && !is_handler(t))
		return;
	if (me->sub != NONE)
		sub_step(s, me, t != SWEEPER);
	else
		run[t](s, me);
}

static bool ended(const void *state, unsigned int t)
{
	return ((const struct state *)state)->thread[t].pc == END;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->bad)
		return faults[s->bad];
	if (s->owner <= CPU && s->live & s->free)
		return "a live object was freed";
	if (s->owner == HEAP && s->live)
		return "a live object's span was given back";
	if (s->owner == HEAP && s->generation)
		return "what is no span has a generation";
	if ((signed char)(s->generation - now(s)) > (s->word & MARKING ? STEP : 0))
		return "a generation of the future";
	if (end && !s->taken && s->owner <= CPU && !(s->free & 2))
		return "garbage lives";
	if (end && unswept(s))
		return "never swept";
	return NULL;
}

/* Among threads, and with handlers on stopped CPUs. */
static void start(void *state, unsigned int variant, unsigned int way)
{
	struct state *s = state;

	bug = variant;
	handlers = way;
	s->word = s->generation = FIRST;
	s->live = 1;
	for (unsigned int t = SWEEPER; t < THREADS; t++)
		s->thread[t].pc = PIN;
	s->thread[SWEEPER].rounds = 1;
	s->thread[ALLOCATOR].rounds = 1;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = THREADS,
	.start = start,
	.ways = 2,
	.least = 100000,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(holds_among_threads_and_handlers, model)
MODEL_FINDS(two_sweepers_of_a_span, model, NO_CLAIM)
MODEL_FINDS(an_unfinished_sweep, model, NO_FINISH)
MODEL_FINDS(a_generation_before_its_marks, model, BUMP_FIRST)
MODEL_FINDS(allocation_from_an_unswept_span, model, TAKE_UNSWEPT)
MODEL_FINDS(a_span_given_back_while_it_is_swept, model, GONE_BLIND)
MODEL_FINDS(a_span_given_back_while_a_marker_has_it, model, BACK_IN_MARK)
MODEL_FINDS(a_birth_of_the_old_generation, model, BORN_OLD)
MODEL_FINDS(a_piece_that_counts_as_all, model, PART_IS_ALL)
MODEL_FINDS(a_birth_that_cycles_overtake, model, BORN_LOOSE)
MODEL_FINDS(a_birth_that_reads_two_words, model, TWO_WORDS)
