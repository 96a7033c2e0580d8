// SPDX-License-Identifier: MIT
/*
 * Two CPUs free one page at the same moment (mm/page/stock.h), each into its own stock or to the heap, while
 * stocks are emptied. In all interleavings. The locks are no part of it: those that two CPUs hold are different
 * ones, and say nothing about the page's word.
 */
#include "model.h"

enum variant {
	RIGHT = MODEL_RIGHT,
	TORN, /* a free looks at the word, and then changes it */
	HEAP_TORN, /* that to the heap alone does */
	NO_BIT, /* a page on its way to the heap looks like one in use */
};

enum {
	IN_USE,
	STOCKED,
	FREE,
};

#define THREADS 2u

enum pc {
	LOOK,
	CHANGE,
	PUSH, /* to the stock */
	RETURN, /* to the heap */
	DRAIN, /* somebody empties the stock */
	DONE,
};

struct state {
	unsigned char variant;
	unsigned char to_heap[THREADS]; /* no stock of this CPU takes it */
	unsigned char pc[THREADS];
	unsigned char word;
	unsigned char stock[THREADS]; /* pages in it */
	unsigned char heap; /* how often it came back */
	unsigned char reports;
};

static void change(struct state *s, unsigned int t)
{
	bool torn = s->variant == TORN || (s->variant == HEAP_TORN && s->to_heap[t]);

	if (!torn && s->word != IN_USE) {
		s->reports++;
		s->pc[t] = DONE;
		return;
	}
	if (s->variant != NO_BIT || !s->to_heap[t])
		s->word = STOCKED;
	s->pc[t] = s->to_heap[t] ? RETURN : PUSH;
}

static void step(void *state, unsigned int t)
{
	struct state *s = state;

	switch (s->pc[t]) {
	case LOOK:
		s->pc[t] = s->word == IN_USE ? CHANGE : DONE;
		s->reports += s->word != IN_USE;
		break;
	case CHANGE:
		change(s, t);
		break;
	case PUSH:
		s->stock[t]++;
		s->pc[t] = DRAIN;
		break;
	case DRAIN:
		s->stock[t]--;
		s->pc[t] = RETURN;
		break;
	case RETURN:
		s->word = FREE;
		s->heap++;
		s->pc[t] = DONE;
		break;
	}
}

static bool ended(const void *state, unsigned int t)
{
	return ((const struct state *)state)->pc[t] == DONE;
}

static const char *wrong(const void *state, bool end)
{
	const struct state *s = state;

	if (s->stock[0] + s->stock[1] + s->heap > 1)
		return "two have the page";
	if (end && (s->reports != 1 || s->heap != 1))
		return "a free that was neither done nor reported";
	return NULL;
}

static void start(void *state, unsigned int variant, unsigned int way)
{
	struct state *s = state;

	s->variant = (unsigned char)variant;
	s->to_heap[0] = way & 1;
	s->to_heap[1] = way >> 1;
}

static const struct model model = {
	.size = sizeof(struct state),
	.threads = THREADS,
	.start = start,
	.ways = 4,
	.least = 60,
	.step = step,
	.ended = ended,
	.wrong = wrong,
};

MODEL_HOLDS(one_of_two_frees_is_done, model)
MODEL_FINDS(frees_that_look_and_then_change, model, TORN)
MODEL_FINDS(a_heap_that_looks_and_then_changes, model, HEAP_TORN)
MODEL_FINDS(pages_in_use_on_their_way_back, model, NO_BIT)
