/* SPDX-License-Identifier: MIT */
/*
 * A small model checker: all interleavings of a few threads' atomic steps, each state visited once.
 *
 * A protocol is written down as a structure of a few bytes and one function that makes the next atomic
 * step of a thread. The steps are sequentially consistent: so must be the real ones, or the model's
 * author says why weaker ones will do. A protocol's test also runs variants that are broken on
 * purpose, and fails unless each is found broken.
 */
#ifndef HOSTTEST_MODEL_H
#define HOSTTEST_MODEL_H

#include "test.h"

#define MODEL_BYTES 48 /* at most, of a state */

struct model {
	size_t size; /* bytes of a state; padding must stay zero */
	unsigned int threads;
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

static struct model_result model_explore(const struct model *model, const void *initial)
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
	__builtin_memcpy(state, initial, model->size);
	model_meet(&explorer, state);
	while (explorer.depth && !result.wrong && result.states < MODEL_SLOTS / 4 * 3) {
		__builtin_memcpy(state, explorer.stack[--explorer.depth], MODEL_BYTES);
		result.wrong = model_expand(model, &explorer, state, &result.states);
	}
	result.exhausted = !explorer.depth || result.wrong;
	return result;
}

#endif
