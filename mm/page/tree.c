// SPDX-License-Identifier: MIT
/* Sets of page numbers: see tree.h. */
#include "tree.h"

static size_t words_for(size_t bits)
{
	return bits / MW_WORD_BITS + (bits % MW_WORD_BITS != 0);
}

size_t mw_tree_words(size_t most)
{
	size_t words = 0;

	do {
		most = words_for(most);
		words += most;
	} while (most > 1);
	return words;
}

void mw_tree_init(struct mw_tree *tree, unsigned long *storage, size_t most)
{
	tree->levels = 0;
	tree->n = 0;
	do {
		most = words_for(most);
		tree->level[tree->levels++] = storage;
		storage += most;
	} while (most > 1);
}

void mw_tree_grow(struct mw_tree *tree, size_t n, bool clear)
{
	size_t old = tree->n;

	tree->n = n;
	for (unsigned int l = 0; l < tree->levels; l++) {
		size_t from = words_for(old), to = words_for(n);

		if (clear && to > from)
			__builtin_memset(tree->level[l] + from, 0,
					 (to - from) * sizeof(unsigned long));
		old = from;
		n = to;
	}
}

size_t mw_tree_next(const struct mw_tree *tree, size_t i)
{
	size_t n = tree->n;
	unsigned int l = 0;

	for (;;) {
		unsigned long word;

		if (i >= n)
			return MW_TREE_NONE;
		word = tree->level[l][i / MW_WORD_BITS] >> (i % MW_WORD_BITS);
		if (word) {
			i += mw_lowest_bit(word);
			break;
		}
		if (++l == tree->levels)
			return MW_TREE_NONE;
		i = i / MW_WORD_BITS + 1;
		n = words_for(n);
	}
	while (l--)
		i = i * MW_WORD_BITS + mw_lowest_bit(tree->level[l][i]);
	return i;
}

bool mw_tree_check(const struct mw_tree *tree)
{
	size_t n = tree->n;

	for (unsigned int l = 0; l + 1 < tree->levels; l++) {
		n = words_for(n);
		for (size_t i = 0; i < n; i++) {
			bool said = tree->level[l + 1][i / MW_WORD_BITS] >> (i % MW_WORD_BITS) & 1;

			if (said != !!tree->level[l][i])
				return false;
		}
	}
	return true;
}

size_t mw_tree_count(const struct mw_tree *tree)
{
	size_t n = 0;

	for (size_t i = 0; i < words_for(tree->n); i++)
		n += mw_count_bits(tree->level[0][i]);
	return n;
}
