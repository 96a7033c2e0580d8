/* SPDX-License-Identifier: MIT */
/*
 * What the operation fuzzers share. A fuzzer reads bytes as operations on a fresh heap, does the same to
 * a simple model, and traps where they differ. Bytes that are not there read as 0, so any input
 * is one, and a shorter one does less.
 */
#ifndef HOSTTEST_FUZZ_H
#define HOSTTEST_FUZZ_H

#include <marrow/mm.h>
#include <marrow/watch.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *at, *end;
	unsigned long step; /* operations so far */
};

static inline unsigned int fuzz_byte(struct fuzz *fuzz)
{
	return fuzz->at < fuzz->end ? *fuzz->at++ : 0;
}

/* One of @n, which is at most 65536. */
static inline unsigned int fuzz_below(struct fuzz *fuzz, unsigned int n)
{
	unsigned int value = fuzz_byte(fuzz);

	if (n > 256)
		value |= fuzz_byte(fuzz) << 8;
	return value % n;
}

static inline bool fuzz_more(struct fuzz *fuzz)
{
	fuzz->step++;
	return fuzz->at < fuzz->end;
}

/* A length whose magnitude is as random as its digits, up to 2^@bits. */
size_t fuzz_size(struct fuzz *fuzz, unsigned int bits);

/*
 * mw_reset(), then a heap over @bytes of memory, the same addresses each time, filled with junk
 * where the last input left it. Returns the memory, which the heap begins at.
 */
char *fuzz_heap(size_t bytes);
/* Memory that no root shows, for the model; of the program's life. */
void *fuzz_memory(size_t bytes);

/* The next misuse is this one and nothing else; fuzz_came() traps unless it has come. */
void fuzz_expect(enum mw_misuse what);
void fuzz_expect_either(enum mw_misuse what, enum mw_misuse other);
void fuzz_came(void);

#define FUZZ_NEED(cond)                                                                            \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fuzz_failed(__FILE__, __LINE__, #cond);                                    \
	} while (0)
_Noreturn void fuzz_failed(const char *file, int line, const char *what);

#endif
