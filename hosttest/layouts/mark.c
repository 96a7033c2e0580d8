// SPDX-License-Identifier: MIT
/* The prototypes' mark: see mark.h. */
#include "mark.h"
#include "span.h"
#include "flat.h"

struct mark_item lay_mark_stack[1 << 19];
size_t lay_mark_top;

/* A word leads to an object with a descriptor: mark it, and push it if it was not marked. */
static inline bool mark_described(uintptr_t word)
{
	struct span *span = span_of((void *)word);
	unsigned long inside, bits;
	size_t index;
	word_t *mark;

	if (!span->mark_at)
		return false;
	index = mw_multiply(word - (uintptr_t)span->base, &span->magic, &inside);
	bits = word_get(&span->live[index / 64]) &
	       ~word_get(&span->live[span->remote_at + index / 64]);
	mark = &span->live[span->mark_at + index / 64];
	if (index >= span->count || !(bits & ~word_get(mark) & bit_of(index)))
		return false;
	word_set(mark, word_get(mark) | bit_of(index));
	mark_push(span->base + index * span->size, span->size);
	return true;
}

static inline bool mark_word(uintptr_t word)
{
#ifdef LAYOUT_Q
	bool flat = false, new = flat_mark_word(word, &flat);

	if (flat)
		return new;
#endif
	return mark_described(word);
}

static size_t mark_all(void **roots, size_t n)
{
	size_t objects = 0;

	lay_mark_top = 0;
	mark_push(roots, n * sizeof(void *));
	while (lay_mark_top) {
		struct mark_item item = lay_mark_stack[--lay_mark_top];

		for (; item.words; item.words--) {
			uintptr_t word = (uintptr_t)*item.from++;

			if (word && mark_word(word))
				objects++;
		}
	}
	return objects;
}

size_t lay_mark(void **roots, size_t n, const char *row)
{
	size_t objects;

	lay_count_begin();
	objects = mark_all(roots, n);
	lay_count_end(row, objects);
	return objects;
}
