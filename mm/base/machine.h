/* SPDX-License-Identifier: MIT */
/*
 * What the fast paths do to words, where this machine has a shorter way than compilers find. Each
 * stands beside the C that says what it does, which all other machines have, and with MW_SOFT_BITS
 * this one; hosttest/test_base.c compares the two.
 */
#ifndef MW_BASE_MACHINE_H
#define MW_BASE_MACHINE_H

#include "base.h"

#if __SIZEOF_POINTER__ == 8
typedef unsigned __int128 mw_wide_t;
#else
typedef uint64_t mw_wide_t;
#endif

/* Set bit @bit, modulo the word's length, of a word that is in a register. Return: it was set. */
static inline bool mw_set_bit_plain(unsigned long *word, size_t bit)
{
	unsigned long had = *word;

	*word |= 1ul << bit % MW_WORD_BITS;
	return *word == had;
}

static inline unsigned long mw_without_bit_plain(unsigned long word, unsigned int bit)
{
	return word & ~(1ul << bit % MW_WORD_BITS);
}

/* The upper word of the product of @a and *@b, which is read once or twice; the lower one in *@low. */
static inline unsigned long mw_multiply_plain(unsigned long a, const unsigned long *b,
					      unsigned long *low)
{
	mw_wide_t product = (mw_wide_t)a * *b;

	*low = (unsigned long)product;
	return (unsigned long)(product >> MW_WORD_BITS);
}

#if defined(__x86_64__) && __SIZEOF_POINTER__ == 8 && defined(__GCC_ASM_FLAG_OUTPUTS__) &&         \
	!MW_SOFT_BITS

/* bts tells by the carry what the bit was; compilers compare the word with what it was. */
static inline bool mw_set_bit(unsigned long *word, size_t bit)
{
	bool was;

	__asm__("btsq %2, %0" : "+r"(*word), "=@ccc"(was) : "r"(bit));
	return was;
}

/* Compilers clear the register first, for processors where it would wait for what was in it. */
static inline unsigned int mw_first_bit(unsigned long word)
{
	unsigned long first;

	__asm__("rep bsfq %1, %0" : "=r"(first) : "r"(word) : "cc");
	return (unsigned int)first;
}

static inline unsigned long mw_without_bit(unsigned long word, unsigned int bit)
{
	__asm__("btrq %q1, %0" : "+r"(word) : "r"(bit) : "cc");
	return word;
}

/* From memory, so that no register is taken. */
static inline unsigned long mw_multiply(unsigned long a, const unsigned long *b, unsigned long *low)
{
	unsigned long high;

	__asm__("mulq %3" : "=a"(*low), "=d"(high) : "0"(a), "m"(*b) : "cc");
	return high;
}

#else

#define mw_first_bit mw_lowest_bit
#define mw_set_bit mw_set_bit_plain
#define mw_without_bit mw_without_bit_plain
#define mw_multiply mw_multiply_plain

#endif

#endif
