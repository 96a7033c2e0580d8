/* SPDX-License-Identifier: MIT */
/*
 * The protocol of mm/gc/mark.c, in all interleavings: marks, queued flags, scanned bits, sharing, and
 * how markers know that nothing is left.
 *
 * Two spans of two objects; markers start with one root each. The objects point to each other across
 * the spans, so that spans are marked into while they are queued, scanned, shared and stolen.
 * What a scan finds is pending at first, and marked when the scan has ended.
 * Queues are sets here: the order of a queue is no part of the protocol. A marker shares what it has
 * whenever anyone is hungry, more eagerly than the real one.
 */
#include "model.h"

#define OBJECTS 4
#define MARKERS 3

enum bug {
	RIGHT = MODEL_RIGHT,
	CLEAR_LATE, /* queued is cleared after the bits are read */
	ASK_FIRST, /* queued is asked before the mark is set */
	COUNT_LATE, /* a marker counts itself busy after it took a span */
	FORGET_SHARED, /* a marker without work of its own does not look at the shared queue */
	LEAVE_PENDING, /* a marker goes for its next span before its pending marks are set */
};

static enum bug bug;
static unsigned int markers;

/* What each object points to: 0 and 1 lie in span 0, 2 and 3 in span 1. */
static const unsigned char points_to[OBJECTS] = { 2, 3, 1, 0 };
static const unsigned char root[MARKERS] = { 0, 2, 2 };

enum pc {
	JOIN,
	LOOK, /* at the bit of .object */
	MARK, /* set it, if it was not set; another one may have done so since */
	ASK, /* read the span's queued flag */
	QUEUE, /* set it */
	NEXT, /* choose what to do */
	CLEAR, /* queued of .span = 0 */
	READ, /* todo = mark & ~scanned */
	CLAIM, /* scanned |= todo */
	SCAN, /* next bit of todo, else the next of pending */
	HUNGRY, /* busy-- */
	WAIT,
	TAKE, /* from the shared queue, counted busy */
	TAKE_FIRST, /* the same, not counted yet: broken on purpose */
	BACK, /* took nothing: busy-- */
	END,
};

struct state {
	unsigned char mark, scanned; /* bit: object */
	unsigned char queued, shared; /* bit: span */
	unsigned char busy, hungry;
	struct marker {
		unsigned char pc, own; /* own: bit: span */
		unsigned char object, asked, span, todo, pending; /* the last two: bit: object */
	} marker[MARKERS];
};

static unsigned char lowest(unsigned char bits)
{
	return (unsigned char)__builtin_ctz(bits);
}

static enum pc after_mark(const struct marker *m)
{
	return m->todo || (m->pending && bug != LEAVE_PENDING) ? SCAN : NEXT;
}

static void do_look(const struct state *s, struct marker *m)
{
	m->pc = s->mark >> m->object & 1 ? after_mark(m) : MARK;
}

static void do_mark(struct state *s, struct marker *m)
{
	unsigned char bit = (unsigned char)(1u << m->object);
	unsigned char span = m->object / 2;

	if (bug == ASK_FIRST)
		m->asked = s->queued >> span & 1;
	else
		s->mark |= bit;
	m->pc = ASK;
}

static void do_ask(struct state *s, struct marker *m)
{
	unsigned char span = m->object / 2;
	bool queued = s->queued >> span & 1;

	if (bug == ASK_FIRST) {
		s->mark |= (unsigned char)(1u << m->object);
		queued = m->asked;
		m->asked = 0;
	}
	m->pc = queued ? after_mark(m) : QUEUE;
}

static void do_queue(struct state *s, struct marker *m)
{
	unsigned char bit = (unsigned char)(1u << m->object / 2);

	if (!(s->queued & bit))
		m->own |= bit;
	s->queued |= bit;
	m->pc = after_mark(m);
}

static void take_span(struct marker *m, unsigned char *from)
{
	m->span = lowest(*from);
	*from &= (unsigned char)(*from - 1);
	m->pc = bug == CLEAR_LATE ? READ : CLEAR;
}

static void do_next(struct state *s, struct marker *m)
{
	if (m->own && s->hungry && !s->shared) {
		s->shared |= m->own;
		m->own = 0;
	} else if (m->own) {
		take_span(m, &m->own);
	} else if (s->shared && bug != FORGET_SHARED) {
		take_span(m, &s->shared);
	} else {
		m->pc = HUNGRY;
	}
}

static void do_scan(struct state *s, struct marker *m)
{
	(void)s;
	if (m->todo) {
		m->pending |= (unsigned char)(1u << points_to[lowest(m->todo)]);
		m->todo &= (unsigned char)(m->todo - 1);
		if (!m->todo && bug == LEAVE_PENDING)
			m->pc = NEXT;
		return;
	}
	m->pc = NEXT;
	if (m->pending) {
		m->object = lowest(m->pending);
		m->pending &= (unsigned char)(m->pending - 1);
		m->pc = LOOK;
	}
}

static void do_wait(struct state *s, struct marker *m)
{
	if (!s->busy) {
		s->hungry--;
		m->pc = END;
	} else if (s->shared && bug == COUNT_LATE) {
		m->pc = TAKE_FIRST;
	} else if (s->shared) {
		s->busy++;
		m->pc = TAKE;
	}
}

static void do_take(struct state *s, struct marker *m)
{
	bool counted = m->pc == TAKE;

	if (s->shared) {
		take_span(m, &s->shared);
		s->hungry--;
		if (!counted)
			m->asked = 1; /* counts itself at its next step */
	} else {
		m->pc = counted ? BACK : WAIT;
	}
}

/* A span that was taken: its flag, its bits, what they point to. */
static void step_span(struct state *s, struct marker *m)
{
	unsigned char span_bits = (unsigned char)(3u << 2 * m->span);

	if (m->pc == CLEAR) {
		s->queued &= (unsigned char)~(1u << m->span);
		m->pc = bug == CLEAR_LATE ? CLAIM : READ;
	} else if (m->pc == READ) {
		m->todo = s->mark & (unsigned char)~s->scanned & span_bits;
		m->pc = bug == CLEAR_LATE ? CLEAR : CLAIM;
	} else if (m->pc == CLAIM) {
		m->todo &= (unsigned char)~s->scanned;
		s->scanned |= m->todo;
		m->pc = SCAN;
	} else {
		do_scan(s, m);
	}
}

/* Without work of its own. */
static void step_idle(struct state *s, struct marker *m)
{
	if (m->pc == HUNGRY) {
		s->hungry++;
		s->busy--;
		m->pc = WAIT;
	} else if (m->pc == WAIT) {
		do_wait(s, m);
	} else if (m->pc == BACK) {
		s->busy--;
		m->pc = WAIT;
	} else {
		do_take(s, m);
	}
}

static void step(void *state, unsigned int thread)
{
	struct state *s = state;
	struct marker *m = &s->marker[thread];

	if (bug == COUNT_LATE && m->asked) {
		m->asked = 0;
		s->busy++;
		return;
	}
	switch ((enum pc)m->pc) {
	case JOIN:
		s->busy++;
		m->object = root[thread];
		m->pc = LOOK;
		break;
	case LOOK:
		do_look(s, m);
		break;
	case MARK:
		do_mark(s, m);
		break;
	case ASK:
		do_ask(s, m);
		break;
	case QUEUE:
		do_queue(s, m);
		break;
	case NEXT:
		do_next(s, m);
		break;
	default:
		if (m->pc <= SCAN)
			step_span(s, m);
		else
			step_idle(s, m);
	}
}

static bool ended(const void *state, unsigned int thread)
{
	return thread >= markers || ((const struct state *)state)->marker[thread].pc == END;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->scanned & ~s->mark)
		return "scanned without a mark";
	for (unsigned int i = 0; i < markers; i++)
		if (s->marker[i].pc == END && (s->shared || s->queued))
			return "a marker left while a span was queued";
	if (end && s->scanned != s->mark)
		return "marked but never scanned";
	if (end && s->mark != 0xf)
		return "reachable but never marked";
	return NULL;
}

/* With two markers, which find most, with three, and with one. */
static void start(void *state, unsigned int variant, unsigned int way)
{
	(void)state;
	bug = variant;
	markers = way < 2 ? 2 + way : 1;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = MARKERS,
	.start = start,
	.ways = MARKERS,
	.least = 100000,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(holds_for_one_to_three_markers, model)
MODEL_FINDS(queued_cleared_late, model, CLEAR_LATE)
MODEL_FINDS(queued_asked_first, model, ASK_FIRST)
MODEL_FINDS(busy_counted_late, model, COUNT_LATE)
MODEL_FINDS(work_left_for_nobody, model, FORGET_SHARED)
MODEL_FINDS(marks_left_pending, model, LEAVE_PENDING)
