/* SPDX-License-Identifier: MIT */
/*
 * Words: their bits and their products. Where this machine has a shorter way than compilers find, that is
 * taken; beside it stands the C that says what it does, which all other machines have, and with
 * MW_SOFT_BITS this one. hosttest/test_base.c holds both against what one would do by hand.
 */
#ifndef MW_BASE_WORD_H
#define MW_BASE_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/config.h>

#define MW_WORD_BITS (8u * (unsigned int)sizeof(unsigned long))

#if defined(__x86_64__) && __SIZEOF_POINTER__ == 8 && defined(__GCC_ASM_FLAG_OUTPUTS__) &&         \
	!MW_SOFT_BITS
#define MW_WORD_ASM 1
#else
#define MW_WORD_ASM 0
#endif

#if __SIZEOF_POINTER__ == 8
typedef unsigned __int128 mw_wide_t;
#else
typedef uint64_t mw_wide_t;
#endif

/* Bits that are set. Not the builtin: without a flag for it that is a call on most machines. */
static inline unsigned int mw_count_bits(unsigned long word)
{
	const unsigned long ones = ~0ul / 255;

	word -= (word >> 1) & (ones * 0x55);
	word = (word & (ones * 0x33)) + ((word >> 2) & (ones * 0x33));
	word = (word + (word >> 4)) & (ones * 0x0f);
	return (unsigned int)(word * ones >> (MW_WORD_BITS - 8));
}

/* The next two: @word is not 0. */
static inline unsigned int mw_lowest_bit(unsigned long word)
{
#if MW_WORD_ASM
	unsigned long first;

	/* Compilers clear the register first, for processors where it would wait for what was in it. */
	__asm__("rep bsfq %1, %0" : "=r"(first) : "r"(word) : "cc");
	return (unsigned int)first;
#else
	return MW_SOFT_BITS ? mw_count_bits((word & -word) - 1) : (unsigned int)__builtin_ctzl(word);
#endif
}

static inline unsigned int mw_highest_bit(unsigned long word)
{
#if MW_WORD_ASM
	unsigned long last;

	__asm__("bsrq %1, %0" : "=r"(last) : "r"(word) : "cc");
	return (unsigned int)last;
#else
	if (MW_SOFT_BITS) {
		for (unsigned int shift = 1; shift < MW_WORD_BITS; shift *= 2)
			word |= word >> shift;
		return mw_count_bits(word) - 1;
	}
	return (MW_WORD_BITS - 1) ^ (unsigned int)__builtin_clzl(word);
#endif
}

/* Set bit @bit, modulo the word's length, of a word that is in a register. Return: it was set. */
static inline bool mw_set_bit(unsigned long *word, size_t bit)
{
#if MW_WORD_ASM
	bool was;

	/* The carry tells what the bit was; compilers compare the word with what it was. */
	__asm__("btsq %2, %0" : "+r"(*word), "=@ccc"(was) : "r"(bit));
	return was;
#else
	unsigned long had = *word;

	*word |= 1ul << bit % MW_WORD_BITS;
	return *word == had;
#endif
}

static inline unsigned long mw_without_bit(unsigned long word, unsigned int bit)
{
#if MW_WORD_ASM
	__asm__("btrq %q1, %0" : "+r"(word) : "r"(bit) : "cc");
	return word;
#else
	return word & ~(1ul << bit % MW_WORD_BITS);
#endif
}

/* The upper word of the product of @a and *@b, which is read once or twice; the lower one in *@low. */
static inline unsigned long mw_multiply(unsigned long a, const unsigned long *b, unsigned long *low)
{
#if MW_WORD_ASM
	unsigned long high;

	/* From memory, so that no register is taken. */
	__asm__("mulq %3" : "=a"(*low), "=d"(high) : "0"(a), "m"(*b) : "cc");
	return high;
#else
	mw_wide_t product = (mw_wide_t)a * *b;

	*low = (unsigned long)product;
	return (unsigned long)(product >> MW_WORD_BITS);
#endif
}

#endif
