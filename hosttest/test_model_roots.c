/* SPDX-License-Identifier: MIT */
/*
 * Roots beside a mark, and its end, in all interleavings: docs/design/concurrent.md. One object
 * that leads to another one, and is held by a list of Marrow's own, by the stack of a thread that
 * sleeps, or by a weak reference alone.
 *
 *	the collector	begins (in a stop), walks list and stack, drains what was shaded, decides (in a stop), empties the
 *			weak reference, shades what has a finalizer, frees
 *	a thread	takes the object out of the list, or out of the other one's stack
 *	a sleeper	wakes, pops the object, uses the place for something else, ends
 *	two getters	of the weak reference; an interrupt handler may be one
 *
 * How a page is copied is in test_model_snapshot.c: here it is one step.
 */
#include "model.h"

enum bug {
	RIGHT = MODEL_RIGHT,
	QUEUE_TO_STACK, /* what is taken out of a list is not shaded */
	SLEEPING_STACK, /* a stack that sleeps is not protected */
	STACK_POINTER_NOW, /* it is scanned from the stack pointer of the moment */
	STACK_GONE, /* a thread that ended has no stack */
	GET_WHITE, /* what is gotten is not shaded */
	DECIDE_BLIND, /* with no look at what was shaded */
	DECIDE_UNSTOPPED, /* beside who is pinned */
	DECIDE_NEVER, /* gets go on shading until the sweep */
	FINALIZE_FIRST, /* what has a finalizer is shaded before weak references are emptied */
	LOAD_ONCE, /* a get goes by a mark that it read behind its load */
};

enum way {
	IN_LIST,
	ON_STACK,
	WEAK,
	FINALIZED,
	WAYS
};

#define OBJECT 1u
#define CHILD 2u
#define GETTERS 2

enum phase {
	NO_MARK,
	MARK,
	DECIDED
};

enum collector_pc {
	BEGIN,
	LIST,
	STACK_READ,
	STACK_LOOK,
	DRAIN,
	LOOK_GREY, /* of DECIDE_UNSTOPPED: then the next one */
	DECIDE,
	EMPTY,
	FINALIZE,
	DRAIN_AGAIN,
	FREE,
	C_END
};

enum thread_pc {
	T_TAKE,
	T_REMOVE,
	T_SHADE,
	T_END
};

enum sleeper_pc {
	S_POP,
	S_COPY,
	S_STORE,
	S_LEAVE,
	S_END
};

enum getter_pc {
	G_LOAD,
	G_PHASE,
	G_SHADE,
	G_MARK,
	G_AGAIN,
	G_END
};

struct state {
	unsigned char phase, live, mark, grey;
	unsigned char list, word, copied, copy, popped,
		gone; /* the stack's word, and its page's copy */
	unsigned char weak, child_emptied, finalizing, said_null,
		not_final; /* child_emptied: one of the child */
	unsigned char c_pc;
	struct {
		unsigned char pc, reg, pinned;
	} thread, sleeper, getter[GETTERS];
};

static enum bug bug;
static enum way way;

static void shade(struct state *s)
{
	if (s->mark & OBJECT)
		return;
	s->mark |= OBJECT;
	s->grey = 1;
}

static void drain(struct state *s)
{
	if (s->grey)
		s->mark |= CHILD;
	s->grey = 0;
}

/* ---- the collector ---- */

static bool somebody_is_pinned(const struct state *s)
{
	return s->thread.pinned || s->sleeper.pinned || s->getter[0].pinned || s->getter[1].pinned;
}

static void begin(struct state *s)
{
	s->phase = MARK;
	/* The sleeper has one from when it wakes. */
	if (s->thread.reg | s->sleeper.reg | s->getter[0].reg | s->getter[1].reg)
		shade(s);
}

static void walk_stack(struct state *s)
{
	if ((bug == STACK_POINTER_NOW && s->popped) || (bug == STACK_GONE && s->gone))
		return;
	if (s->c_pc == STACK_READ ? s->word : s->copied && s->copy)
		shade(s);
}

static void walk(struct state *s)
{
	if (s->c_pc == LIST && s->list)
		shade(s);
	else if (s->c_pc == DRAIN)
		drain(s);
	else if (s->c_pc == STACK_READ || s->c_pc == STACK_LOOK)
		walk_stack(s);
	s->c_pc++;
}

static void decide(struct state *s)
{
	if (bug != DECIDE_BLIND && bug != DECIDE_UNSTOPPED && s->grey) {
		s->c_pc = DRAIN;
		return;
	}
	if (bug != DECIDE_NEVER)
		s->phase = DECIDED;
	s->c_pc++;
}

static void empty(struct state *s)
{
	if (!(s->mark & OBJECT))
		s->weak = 0;
	s->child_emptied = !(s->mark & CHILD);
}

static void finalize(struct state *s)
{
	if (way != FINALIZED || s->mark & OBJECT)
		return;
	s->finalizing = 1;
	shade(s);
}

static void settle(struct state *s)
{
	bool first = s->c_pc == EMPTY;

	if (s->c_pc == DRAIN_AGAIN)
		drain(s);
	else if (s->c_pc == FREE)
		s->live &= s->mark;
	else if (first == (bug != FINALIZE_FIRST))
		empty(s);
	else
		finalize(s);
	s->c_pc++;
}

static void collector(struct state *s)
{
	bool stops = s->c_pc == BEGIN || (s->c_pc == DECIDE && bug != DECIDE_UNSTOPPED);

	if (stops && somebody_is_pinned(s))
		return;
	if (s->c_pc == BEGIN) {
		begin(s);
		s->c_pc++;
	} else if (s->c_pc < LOOK_GREY) {
		walk(s);
	} else if (s->c_pc == LOOK_GREY) {
		s->c_pc = s->grey ? DRAIN : DECIDE;
	} else if (s->c_pc == DECIDE) {
		decide(s);
	} else {
		settle(s);
	}
}

/* ---- threads ---- */

static void cover(struct state *s)
{
	if (s->phase == NO_MARK || s->copied || bug == SLEEPING_STACK)
		return;
	s->copy = s->word;
	s->copied = 1;
}

static void thread(struct state *s)
{
	bool list = way == IN_LIST;

	switch ((enum thread_pc)s->thread.pc) {
	case T_TAKE:
		s->thread.pinned = list;
		s->thread.reg = list ? s->list : s->word;
		break;
	case T_REMOVE:
		if (!list && !s->copied)
			cover(s);
		if (list)
			s->list = 0;
		else if (s->copied || s->phase == NO_MARK || bug == SLEEPING_STACK)
			s->word = 0;
		break;
	default:
		if (list && s->thread.reg && s->phase == MARK && bug != QUEUE_TO_STACK)
			shade(s);
		s->thread.pinned = 0;
		break;
	}
	s->thread.pc++;
}

static void sleeper(struct state *s)
{
	switch ((enum sleeper_pc)s->sleeper.pc) {
	case S_POP:
		s->sleeper.reg = s->word;
		s->popped = 1;
		break;
	case S_COPY:
		cover(s);
		break;
	case S_STORE:
		/* A mark that began since has protected the page again. */
		if (s->phase != NO_MARK && !s->copied && bug != SLEEPING_STACK) {
			s->sleeper.pc = S_COPY;
			return;
		}
		s->word = 0;
		break;
	default:
		s->gone = 1;
		break;
	}
	s->sleeper.pc++;
}

static void answer(struct state *s, unsigned int g, bool got)
{
	if (got && s->said_null)
		s->not_final = 1;
	s->said_null |= !got;
	s->getter[g].reg = got;
	s->getter[g].pinned = 0;
	s->getter[g].pc = G_END;
}

static void getter(struct state *s, unsigned int g)
{
	unsigned char *pc = &s->getter[g].pc;

	switch ((enum getter_pc) * pc) {
	case G_LOAD:
		s->getter[g].pinned = 1;
		*pc = G_PHASE;
		if (!s->weak)
			answer(s, g, false);
		break;
	case G_PHASE:
		*pc = s->phase == DECIDED ? G_MARK : G_SHADE;
		break;
	case G_SHADE:
		if (s->phase == MARK && bug != GET_WHITE)
			shade(s);
		answer(s, g, true);
		break;
	case G_MARK:
		*pc = G_AGAIN;
		if (!(s->mark & OBJECT))
			answer(s, g, false);
		else if (bug == LOAD_ONCE)
			answer(s, g, true);
		break;
	default:
		answer(s, g, s->weak);
		break;
	}
}

/* ---- the model ---- */

static void step(void *state, unsigned int t)
{
	struct state *s = state;

	if (t == 0)
		collector(s);
	else if (t == 1)
		thread(s);
	else if (t == 2)
		sleeper(s);
	else
		getter(s, t - 3);
}

static bool ended(const void *state, unsigned int t)
{
	const struct state *s = state;

	if (t == 0)
		return s->c_pc == C_END;
	if (t == 1)
		return s->thread.pc == T_END || way == WEAK || way == FINALIZED;
	if (t == 2)
		return s->sleeper.pc == S_END || way != ON_STACK;
	return s->getter[t - 3].pc == G_END;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;
	unsigned char held = s->thread.reg | s->sleeper.reg | s->list | s->word;

	if (held && s->live != (OBJECT | CHILD))
		return "an object was freed that somebody has";
	if (held && s->child_emptied)
		return "a weak reference of what is reached was emptied";
	for (unsigned int g = 0; g < GETTERS; g++) {
		if (s->getter[g].reg && s->live != (OBJECT | CHILD))
			return "an object was freed that a get has given";
		if (s->getter[g].reg && s->finalizing)
			return "an object is finalized that a get has given";
		if (s->getter[g].reg && s->child_emptied)
			return "a weak reference of what a get has given was emptied";
	}
	if (s->not_final)
		return "NULL was not final";
	return end && way == FINALIZED && s->live != (OBJECT | CHILD) ? "a finalizer has no object"
								      : NULL;
}

static void start(void *state, unsigned int variant, unsigned int which)
{
	struct state *s = state;

	bug = variant;
	way = which;
	s->live = OBJECT | CHILD;
	s->list = way == IN_LIST;
	s->word = way == ON_STACK;
	s->weak = 1;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = 3 + GETTERS,
	.start = start,
	.ways = WAYS,
	.least = 19000,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(holds_for_lists_stacks_and_weak_references, model)
MODEL_FINDS(what_goes_from_a_list_to_a_stack, model, QUEUE_TO_STACK)
MODEL_FINDS(a_stack_that_sleeps_unprotected, model, SLEEPING_STACK)
MODEL_FINDS(a_stack_pointer_of_the_moment, model, STACK_POINTER_NOW)
MODEL_FINDS(a_stack_that_is_gone, model, STACK_GONE)
MODEL_FINDS(a_get_of_what_is_white, model, GET_WHITE)
MODEL_FINDS(an_end_with_grey_objects, model, DECIDE_BLIND)
MODEL_FINDS(an_end_beside_who_is_pinned, model, DECIDE_UNSTOPPED)
MODEL_FINDS(a_mark_that_is_never_decided, model, DECIDE_NEVER)
MODEL_FINDS(finalizers_before_weak_references, model, FINALIZE_FIRST)
MODEL_FINDS(a_get_that_loads_once, model, LOAD_ONCE)
