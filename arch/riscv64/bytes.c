// SPDX-License-Identifier: MIT
/*
 * Atomic operations on bytes and halves of words, which the CPU has for words only. Compilers call these; whatever
 * order they ask for, they get the strongest.
 */
#include "riscv.h"

/* The word that @at lies in, and how far up in it. */
struct place {
	uint32_t *word, mask;
	unsigned int shift;
};

static inline struct place place_of(volatile void *at, unsigned int bytes)
{
	uintptr_t address = (uintptr_t)at;
	unsigned int shift = 8 * (address & 3);

	return (struct place){ (uint32_t *)(address & ~3ul),
			       (bytes == 1 ? 0xffu : 0xffffu) << shift, shift };
}

/* Return: whether the word was still @old, else @old is what it is. */
static inline bool replace(const struct place *place, uint32_t *old, uint32_t part)
{
	uint32_t wanted = (*old & ~place->mask) | (part << place->shift & place->mask);

	return __atomic_compare_exchange_n(place->word, old, wanted, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

#define UPDATE(bytes, type, name, result)                                                          \
	type __atomic_##name##_##bytes(volatile void *at, type value, int order);                  \
	type __atomic_##name##_##bytes(volatile void *at, type value, int order)                   \
	{                                                                                          \
		struct place place = place_of(at, bytes);                                          \
		uint32_t word = __atomic_load_n(place.word, __ATOMIC_RELAXED);                     \
		type old;                                                                          \
		(void)order;                                                                       \
		do                                                                                 \
			old = (type)(word >> place.shift);                                         \
		while (!replace(&place, &word, (uint32_t)(result)));                               \
		return old;                                                                        \
	}

#define COMPARE(bytes, type)                                                                       \
	bool __atomic_compare_exchange_##bytes(volatile void *at, void *expected, type wanted,     \
					       bool weak, int order, int failed);                  \
	bool __atomic_compare_exchange_##bytes(volatile void *at, void *expected, type wanted,     \
					       bool weak, int order, int failed)                   \
	{                                                                                          \
		struct place place = place_of(at, bytes);                                          \
		uint32_t word = __atomic_load_n(place.word, __ATOMIC_SEQ_CST);                     \
		type *was = expected;                                                              \
		(void)weak, (void)order, (void)failed;                                             \
		while ((type)(word >> place.shift) == *was)                                        \
			if (replace(&place, &word, wanted))                                        \
				return true;                                                       \
		*was = (type)(word >> place.shift);                                                \
		return false;                                                                      \
	}

#define ALL(bytes, type)                                                                           \
	UPDATE(bytes, type, exchange, value)                                                       \
	UPDATE(bytes, type, fetch_add, old + value)                                                \
	UPDATE(bytes, type, fetch_sub, old - value)                                                \
	UPDATE(bytes, type, fetch_and, (unsigned)old &value)                                       \
	UPDATE(bytes, type, fetch_or, old | value)                                                 \
	UPDATE(bytes, type, fetch_xor, old ^ value)                                                \
	COMPARE(bytes, type)

ALL(1, unsigned char)
ALL(2, unsigned short)
