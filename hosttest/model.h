/* SPDX-License-Identifier: MIT */
/*
 * A small model checker: all interleavings of a few threads' atomic steps, each state visited once.
 *
 * A protocol is written down as a structure of a few bytes and one function that makes the next atomic
 * step of a thread. The steps are sequentially consistent: so must be the real ones, or the model's
 * author says why weaker ones will do. A protocol's test also runs variants that are broken on
 * purpose, and fails unless each is found broken:
 *
 *	MODEL_HOLDS(no_free_is_lost, model)
 *	MODEL_FINDS(flag_cleared_late, model, CLEAR_LATE)
 */
#ifndef HOSTTEST_MODEL_H
#define HOSTTEST_MODEL_H

#include "test.h"

#define MODEL_BYTES 48 /* at most, of a state */
#define MODEL_RIGHT 0u /* the variant that is not broken */

struct model {
	size_t size; /* bytes of a state; padding must stay zero */
	unsigned int threads;
	/* Write the start @way of @ways, counted from 0, to a state that is all zero. */
	void (*start)(void *state, unsigned int variant, unsigned int way);
	unsigned int ways;
	/* States of the right protocol: fewer, and the model has lost most of what it should look at. */
	unsigned long least;
	/* One step; nothing happens if the thread waits or has ended. */
	void (*step)(void *state, unsigned int thread);
	bool (*ended)(const void *state, unsigned int thread);
	/* What is wrong in this state, or NULL. @end: all threads have ended. */
	const char *(*wrong)(const void *state, bool end);
};

struct model_result {
	unsigned long states;
	const char *wrong; /* the first thing found, NULL: none */
	bool exhausted; /* false: too many states, the answer is not known */
};

/* Depth first, with every state that was met kept in a hash table. */
#define MODEL_SLOTS (1u << 20)

struct model_explorer {
	unsigned char (*seen)[MODEL_BYTES + 1]; /* the last byte: in use */
	unsigned char (*stack)[MODEL_BYTES];
	size_t depth;
};

static uint64_t model_hash(const unsigned char *state)
{
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < MODEL_BYTES; i++)
		h = (h ^ state[i]) * 1099511628211ull;
	return h ^ h >> 29;
}

/* Push @state unless it was met before. */
static bool model_meet(struct model_explorer *explorer, const unsigned char *state)
{
	size_t slot = model_hash(state) % MODEL_SLOTS;

	while (explorer->seen[slot][MODEL_BYTES]) {
		if (!__builtin_memcmp(explorer->seen[slot], state, MODEL_BYTES))
			return false;
		slot = (slot + 1) % MODEL_SLOTS;
	}
	__builtin_memcpy(explorer->seen[slot], state, MODEL_BYTES);
	explorer->seen[slot][MODEL_BYTES] = 1;
	__builtin_memcpy(explorer->stack[explorer->depth++], state, MODEL_BYTES);
	return true;
}

/* All steps from @state. Return: what is wrong with it, or NULL. */
static const char *model_expand(const struct model *model, struct model_explorer *explorer,
				const unsigned char *state, unsigned long *states)
{
	bool end = true, moved = false;

	for (unsigned int t = 0; t < model->threads; t++) {
		unsigned char next[MODEL_BYTES];

		if (model->ended(state, t))
			continue;
		end = false;
		__builtin_memcpy(next, state, MODEL_BYTES);
		model->step(next, t);
		if (!__builtin_memcmp(next, state, MODEL_BYTES))
			continue;
		moved = true;
		*states += model_meet(explorer, next);
	}
	if (!end && !moved)
		return "stuck";
	return model->wrong(state, end);
}

static struct model_result model_explore_way(const struct model *model, unsigned int variant,
					     unsigned int way)
{
	struct model_result result = { .states = 1 };
	struct model_explorer explorer = { 0 };
	unsigned char state[MODEL_BYTES] = { 0 };

	NEED(model->size <= MODEL_BYTES);
	explorer.seen = test_memory(MODEL_SLOTS * sizeof(explorer.seen[0]));
	explorer.stack = test_memory(MODEL_SLOTS * sizeof(explorer.stack[0]));
	NEED(explorer.seen && explorer.stack);
	for (size_t i = 0; i < MODEL_SLOTS; i++)
		explorer.seen[i][MODEL_BYTES] = 0;
	model->start(state, variant, way);
	model_meet(&explorer, state);
	while (explorer.depth && !result.wrong && result.states < MODEL_SLOTS / 4 * 3) {
		__builtin_memcpy(state, explorer.stack[--explorer.depth], MODEL_BYTES);
		result.wrong = model_expand(model, &explorer, state, &result.states);
	}
	result.exhausted = !explorer.depth || result.wrong;
	return result;
}

/* From each start, until something is wrong. */
static struct model_result model_explore(const struct model *model, unsigned int variant)
{
	struct model_result result = { .exhausted = true };

	for (unsigned int way = 0; way < model->ways && !result.wrong; way++) {
		struct model_result more = model_explore_way(model, variant, way);

		result.states += more.states;
		result.wrong = more.wrong;
		result.exhausted &= more.exhausted;
	}
	return result;
}

static void model_holds(const struct model *model)
{
	struct model_result result = model_explore(model, MODEL_RIGHT);

	test_note("%s, %lu states", result.wrong ? result.wrong : "right", result.states);
	CHECK(result.exhausted);
	CHECK(!result.wrong);
	CHECK(result.states >= model->least);
}

static void model_finds(const struct model *model, unsigned int variant)
{
	struct model_result result = model_explore(model, variant);

	test_note("%s after %lu states", result.wrong ? result.wrong : "nothing", result.states);
	CHECK(result.wrong);
}

#define MODEL_HOLDS(name_, model_)                                                                 \
	TEST_WITH(name_, TEST_HOSTED)                                                              \
	{                                                                                          \
		model_holds(&(model_));                                                            \
	}

#define MODEL_FINDS(name_, model_, variant_)                                                       \
	TEST_WITH(finds_##name_, TEST_HOSTED)                                                      \
	{                                                                                          \
		model_finds(&(model_), variant_);                                                  \
	}

#endif
