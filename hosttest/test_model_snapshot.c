/* SPDX-License-Identifier: MIT */
/*
 * A snapshot kept by write protection, in all interleavings: docs/design/concurrent.md. A chunk of
 * two pages with a pointer in each, one object that they may lead to, and:
 *
 *	the collector		stops two CPUs, arms, flushes, scans registers, releases; then marks
 *	a thread on each CPU	moves the pointer from page to page, by way of a register
 *	a handler on CPU A	does so as well, or is an NMI that writes, whatever it interrupts
 *	an interrupt for each	CPU, which makes it answer a request to stop
 *
 * A CPU has translations of its own, which stay as they are until they are flushed or a fault
 * comes.
 */
#include "model.h"

enum bug {
	RIGHT = MODEL_RIGHT,
	RAGGED, /* armed; then each CPU flushes and is scanned by itself, and runs on */
	RAGGED_TWICE, /* armed, and all have flushed; then each is scanned by itself */
	LOOK_FIRST, /* the marker looks for a copy, and then reads */
	PERMIT_FIRST, /* a fault permits, then copies */
	PUBLISH_LATE, /* it copies, permits, and then says so */
	STORE_FIRST, /* it lets the store through, and then copies */
	PUBLISH_BLIND, /* not by compare-and-swap */
	WAIT_FOR_COPY, /* a fault claims the page, and others wait for its copy */
	NO_FLUSH, /* one CPU keeps its translations */
	STALE_TWIN, /* small pages are writable from the last mark */
	INTERRUPTS_ON, /* in the stop, behind the answer */
};

enum {
	CPU_A,
	CPU_B,
	CPUS
};

enum {
	ON_A,
	ON_B,
	HANDLER, /* on CPU A */
	CONTEXTS
};

enum way {
	HELD_BY_PAGE_0,
	HELD_BY_PAGE_1,
	HELD_BY_B, /* in its register */
	WITH_NMI, /* in page 0, and the handler is one */
	WAYS
};

#define PAGES 2

enum directory {
	LARGE_WRITABLE,
	LARGE_ARMED,
	TWIN
};

/* page->word */
enum {
	UNTOUCHED,
	PUBLISHED,
	CLAIMED, /* WAIT_FOR_COPY */
};

enum fault_pc {
	NO_FAULT,
	F_LOOK,
	F_COPY,
	F_PUBLISH,
	F_DIRECTORY,
	F_PERMIT,
};

enum collector_pc {
	REQUEST,
	WAIT_ANSWERS,
	ARM,
	FLUSH_A,
	FLUSH_B,
	SCAN_A,
	SCAN_HANDLER,
	SCAN_B,
	RELEASE,
	READ, /* of each page */
	LOOK,
	C_END,
};

struct state {
	unsigned char request, stopped[CPUS],
		framed; /* framed: the handler ran when its CPU answered */
	unsigned char directory, marked;
	struct {
		unsigned char value, word, copy, writable; /* in the twin */
		unsigned char translated[CPUS]; /* the CPU may write without a walk */
	} page[PAGES];
	struct {
		unsigned char pc, reg, fault, page, copy;
	} on[CONTEXTS];
	unsigned char c_pc, c_page, c_saw;
};

static enum bug bug;
static enum way way;

static unsigned int cpu_of(unsigned int c)
{
	return c == ON_B ? CPU_B : CPU_A;
}

static bool handler_runs(const struct state *s)
{
	return s->on[HANDLER].pc || s->on[HANDLER].fault;
}

/* ---- a write, and the fault ---- */

static bool permitted(const struct state *s, unsigned int p)
{
	return s->directory == LARGE_WRITABLE || (s->directory == TWIN && s->page[p].writable);
}

static void publish(struct state *s, unsigned int c, unsigned int p)
{
	if (s->page[p].word == PUBLISHED && bug != PUBLISH_BLIND)
		return;
	s->page[p].word = PUBLISHED;
	s->page[p].copy = s->on[c].copy;
}

/* The order of the steps is the protocol; variants have another one. */
static unsigned char next_of(unsigned char pc)
{
	static const unsigned char right[] = { NO_FAULT,    F_COPY,   F_PUBLISH,
					       F_DIRECTORY, F_PERMIT, NO_FAULT };
	static const unsigned char permit_first[] = { NO_FAULT, F_DIRECTORY, F_PUBLISH,
						      NO_FAULT, F_PERMIT,    F_COPY };
	static const unsigned char late[] = { NO_FAULT, F_COPY,	  F_DIRECTORY,
					      NO_FAULT, F_PERMIT, F_PUBLISH };

	return bug == PERMIT_FIRST ? permit_first[pc] : bug == PUBLISH_LATE ? late[pc] : right[pc];
}

/* An interrupt with its own interrupts off; false: it waits. */
static void fault(struct state *s, unsigned int c)
{
	unsigned int p = s->on[c].page;
	unsigned char pc = s->on[c].fault;

	switch ((enum fault_pc)pc) {
	case F_LOOK:
		if (s->page[p].word == CLAIMED)
			return;
		if (permitted(s, p) || s->page[p].word == PUBLISHED) {
			s->on[c].fault = permitted(s, p) ? NO_FAULT : F_DIRECTORY;
			return;
		}
		if (bug == WAIT_FOR_COPY)
			s->page[p].word = CLAIMED;
		break;
	case F_COPY:
		s->on[c].copy = s->page[p].value;
		break;
	case F_PUBLISH:
		publish(s, c, p);
		break;
	case F_DIRECTORY:
		s->directory = TWIN;
		break;
	default:
		s->page[p].writable = 1;
		break;
	}
	s->on[c].fault = next_of(pc);
	if (s->on[c].fault == NO_FAULT)
		s->on[c].copy = 0;
}

/* Return: whether it is done. */
static bool store(struct state *s, unsigned int c, unsigned int p, unsigned char value)
{
	unsigned int cpu = cpu_of(c);

	if (!s->page[p].translated[cpu] && !permitted(s, p)) {
		s->on[c].fault = F_LOOK;
		s->on[c].page = (unsigned char)p;
		if (bug == STORE_FIRST && s->page[p].word != PUBLISHED)
			s->page[p].value = value;
		return false;
	}
	s->page[p].translated[cpu] = 1;
	s->page[p].value = value;
	return true;
}

/* ---- who moves the pointer ---- */

/* Takes it out of page @from, holds it, and puts it into the other one. */
static void move(struct state *s, unsigned int c, unsigned int from)
{
	unsigned char *pc = &s->on[c].pc, *reg = &s->on[c].reg;

	switch (*pc) {
	case 0:
		*reg = s->page[from].value;
		*pc = *reg ? 1 : 4;
		return;
	case 1:
		if (!store(s, c, from, 0))
			return;
		break;
	case 2:
		if (!store(s, c, 1 - from, *reg))
			return;
		break;
	case 3:
		*reg = 0;
		break;
	default:
		return;
	}
	++*pc;
}

/*
 * Puts what it has, or takes from page 1, into page 0 before it takes it out there, and drops it in
 * the end.
 */
static void pass(struct state *s)
{
	unsigned char *pc = &s->on[ON_B].pc, *reg = &s->on[ON_B].reg;

	switch (*pc) {
	case 0:
		if (!*reg)
			*reg = s->page[1].value;
		*pc = *reg ? 1 : 5;
		return;
	case 1:
		if (!store(s, ON_B, 0, *reg))
			return;
		break;
	case 2:
		if (!store(s, ON_B, 1, 0))
			return;
		break;
	case 3:
		*reg = 0;
		break;
	case 4:
		if (!store(s, ON_B, 0, 0))
			return;
		break;
	default:
		return;
	}
	++*pc;
}

/* Another word of page 0. */
static void nmi(struct state *s)
{
	unsigned char *pc = &s->on[HANDLER].pc;

	if (*pc == 0)
		*pc = 1;
	else if (*pc == 1 && store(s, HANDLER, 0, s->page[0].value))
		*pc = 4;
}

static void run(struct state *s, unsigned int c)
{
	if (s->on[c].fault)
		fault(s, c);
	else if (c == ON_B)
		pass(s);
	else if (c == ON_A || way != WITH_NMI)
		move(s, c, 0);
	else
		nmi(s);
}

static bool context_ended(const struct state *s, unsigned int c)
{
	return s->on[c].pc == (c == ON_B ? 5 : 4) && !s->on[c].fault;
}

/* A thread runs on a CPU that is not stopped and runs no handler. */
static bool may_run(const struct state *s, unsigned int c)
{
	bool inside = handler_runs(s) && !context_ended(s, HANDLER);

	if (c != HANDLER)
		return !s->stopped[cpu_of(c)] && (c == ON_B || !inside);
	if (way == WITH_NMI)
		return true;
	if (s->stopped[CPU_A])
		return bug == INTERRUPTS_ON;
	return inside || !s->on[ON_A].fault;
}

/* ---- stop and mark ---- */

/* A fault, and an NMI, have interrupts off. */
static void answer(struct state *s, unsigned int cpu)
{
	bool inside = handler_runs(s) && !context_ended(s, HANDLER);

	if (!s->request || s->stopped[cpu] || s->on[cpu].fault)
		return;
	if (cpu == CPU_A && inside && (way == WITH_NMI || s->on[HANDLER].fault))
		return;
	s->stopped[cpu] = 1;
	if (cpu == CPU_A)
		s->framed = inside;
}

static void flush(struct state *s, unsigned int cpu)
{
	for (unsigned int p = 0; p < PAGES; p++)
		s->page[p].translated[cpu] = 0;
}

static void scan(struct state *s, unsigned int c)
{
	s->marked |= s->on[c].reg;
}

/* Each CPU by itself, in its own interrupt. Return: false: it has interrupts off. */
static bool handshake(struct state *s, unsigned int cpu, bool flushes, bool scans)
{
	if (s->on[cpu].fault || (cpu == CPU_A && s->on[HANDLER].fault))
		return false;
	if (flushes)
		flush(s, cpu);
	if (scans)
		scan(s, cpu == CPU_A ? ON_A : ON_B);
	if (scans && cpu == CPU_A)
		scan(s, HANDLER);
	return true;
}

static bool ragged_step(struct state *s)
{
	switch (s->c_pc) {
	case ARM:
		s->directory = LARGE_ARMED;
		return true;
	case FLUSH_A:
	case FLUSH_B:
		return handshake(s, s->c_pc - FLUSH_A, true, bug == RAGGED);
	case SCAN_A:
		return handshake(s, CPU_A, false, bug == RAGGED_TWICE);
	case SCAN_B:
		return handshake(s, CPU_B, false, bug == RAGGED_TWICE);
	default:
		return true;
	}
}

static bool stop_step(struct state *s)
{
	switch (s->c_pc) {
	case REQUEST:
		s->request = 1;
		return true;
	case WAIT_ANSWERS:
		return s->stopped[CPU_A] && s->stopped[CPU_B];
	case ARM:
		s->directory = LARGE_ARMED;
		return true;
	case FLUSH_A:
	case FLUSH_B:
		if (s->c_pc == FLUSH_A || bug != NO_FLUSH)
			flush(s, s->c_pc - FLUSH_A);
		return true;
	case SCAN_A:
		scan(s, ON_A);
		return true;
	case SCAN_HANDLER:
		if (s->framed)
			scan(s, HANDLER);
		return true;
	case SCAN_B:
		scan(s, ON_B);
		return true;
	default:
		s->request = s->stopped[CPU_A] = s->stopped[CPU_B] = s->framed = 0;
		return true;
	}
}

/* Two steps a page: words, and the look. */
static void mark_page(struct state *s)
{
	unsigned int p = s->c_page;
	bool looks = (s->c_pc == READ) == (bug == LOOK_FIRST);

	if (!looks) {
		if (bug != LOOK_FIRST || !s->c_saw)
			s->marked |= s->page[p].value;
	} else {
		s->c_saw = s->page[p].word == PUBLISHED;
		if (s->c_saw)
			s->marked |= s->page[p].copy;
	}
	if (s->c_pc == READ) {
		s->c_pc = LOOK;
		return;
	}
	s->c_saw = 0;
	s->c_pc = ++s->c_page < PAGES ? READ : C_END;
}

static void collector(struct state *s)
{
	bool ragged = bug == RAGGED || bug == RAGGED_TWICE;

	if (s->c_pc >= READ)
		mark_page(s);
	else if (ragged ? ragged_step(s) : stop_step(s))
		s->c_pc++;
}

/* ---- the model ---- */

static void step(void *state, unsigned int t)
{
	struct state *s = state;

	if (t == CONTEXTS)
		collector(s);
	else if (t > CONTEXTS)
		answer(s, t - CONTEXTS - 1);
	else if (may_run(s, t))
		run(s, t);
}

static bool ended(const void *state, unsigned int t)
{
	const struct state *s = state;

	if (t == CONTEXTS)
		return s->c_pc == C_END;
	if (t > CONTEXTS)
		return s->c_pc > RELEASE;
	return context_ended(s, t);
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	(void)end;
	if (s->c_pc != C_END || s->marked)
		return NULL;
	for (unsigned int p = 0; p < PAGES; p++)
		if (s->page[p].value)
			return "an object that a page leads to was not marked";
	for (unsigned int c = 0; c < CONTEXTS; c++)
		if (s->on[c].reg)
			return "an object in a register was not marked";
	return NULL;
}

static void start(void *state, unsigned int variant, unsigned int which)
{
	struct state *s = state;

	bug = variant;
	way = which;
	if (way == HELD_BY_B)
		s->on[ON_B].reg = 1;
	else
		s->page[way == HELD_BY_PAGE_1].value = 1;
	for (unsigned int p = 0; p < PAGES; p++)
		s->page[p].writable = bug == STALE_TWIN;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = CONTEXTS + 1 + CPUS,
	.start = start,
	.ways = WAYS,
	.least = 110000,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(holds_for_threads_handlers_and_nmis, model)
MODEL_FINDS(handshakes_with_each_cpu, model, RAGGED)
MODEL_FINDS(registers_scanned_raggedly, model, RAGGED_TWICE)
MODEL_FINDS(a_look_before_the_read, model, LOOK_FIRST)
MODEL_FINDS(a_permission_before_the_copy, model, PERMIT_FIRST)
MODEL_FINDS(a_permission_before_it_is_said, model, PUBLISH_LATE)
MODEL_FINDS(a_copy_after_the_store, model, STORE_FIRST)
MODEL_FINDS(a_copy_that_overwrites_one, model, PUBLISH_BLIND)
MODEL_FINDS(a_wait_for_who_is_interrupted, model, WAIT_FOR_COPY)
MODEL_FINDS(a_cpu_that_does_not_flush, model, NO_FLUSH)
MODEL_FINDS(small_pages_of_the_last_mark, model, STALE_TWIN)
MODEL_FINDS(a_handler_on_a_stopped_cpu, model, INTERRUPTS_ON)
