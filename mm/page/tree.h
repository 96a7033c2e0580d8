/* SPDX-License-Identifier: MIT */
/*
 * A set of small numbers: a bitmap with summaries, each bit of which says that a word below is not 0.
 *
 * Everything takes at most two steps a level, and there is a level for each factor of 64 (32). The
 * set grows at its end: words are made zero when they are reached, so that the storage of a large
 * set stays untouched until it is needed. Guarded by whatever guards its owner.
 */
#ifndef MW_PAGE_TREE_H
#define MW_PAGE_TREE_H

#include "../base/base.h"

#define MW_TREE_LEVELS 6
#define MW_TREE_NONE ((size_t)-1)

struct mw_tree {
	unsigned long *level[MW_TREE_LEVELS]; /* [0] holds the bits */
	unsigned int levels;
	size_t n; /* numbers below this may be in the set */
};

/* Words of storage for numbers below @most. */
size_t mw_tree_words(size_t most);
void mw_tree_init(struct mw_tree *tree, unsigned long *storage, size_t most);
/* Numbers below @n from now on. @clear: the storage is not known to be zero. */
void mw_tree_grow(struct mw_tree *tree, size_t n, bool clear);

/* The lowest member from @i up; MW_TREE_NONE. */
size_t mw_tree_next(const struct mw_tree *tree, size_t i);
/* Every summary agrees with what is below it. */
bool mw_tree_check(const struct mw_tree *tree);
size_t mw_tree_count(const struct mw_tree *tree);

static inline bool mw_tree_has(const struct mw_tree *tree, size_t i)
{
	return tree->level[0][i / MW_WORD_BITS] >> (i % MW_WORD_BITS) & 1;
}

static inline bool mw_tree_empty(const struct mw_tree *tree)
{
	return !tree->level[tree->levels - 1][0];
}

static inline void mw_tree_set(struct mw_tree *tree, size_t i)
{
	unsigned long **level = tree->level, before;

	do {
		unsigned long *word = *level++ + i / MW_WORD_BITS;

		before = *word;
		*word = before | 1ul << (i % MW_WORD_BITS);
		i /= MW_WORD_BITS;
	} while (!before && level < tree->level + tree->levels);
}

static inline void mw_tree_clear(struct mw_tree *tree, size_t i)
{
	unsigned long **level = tree->level, after;

	do {
		unsigned long *word = *level++ + i / MW_WORD_BITS;

		after = *word & ~(1ul << (i % MW_WORD_BITS));
		*word = after;
		i /= MW_WORD_BITS;
	} while (!after && level < tree->level + tree->levels);
}

#endif
