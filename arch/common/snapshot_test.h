/* SPDX-License-Identifier: MIT */
/*
 * A chunk for tests of snapshot.h: with a pattern in it, armed on all CPUs, and what copies there
 * are of it.
 */
#ifndef ARCH_COMMON_SNAPSHOT_TEST_H
#define ARCH_COMMON_SNAPSHOT_TEST_H

#include "internal.h"
#include "snapshot.h"
#include "test.h"

#define PAGE ARCH_PAGE_SIZE
#define PAGES ARCH_CHUNK_PAGES
#define WORDS (PAGE / sizeof(uint64_t))
#define LOG (PAGES + ARCH_MAX_CPUS)

static struct {
	struct arch_chunk *chunk;
	char *base;
	void *memory, *log;
} s;

/* ~ of the chunk: what a failed test leaves is released by the next one. */
static uintptr_t left = ~0ul;

static inline uint64_t pattern(size_t page, size_t word)
{
	return page << 32 | word << 16 | 0x5a5a;
}

static inline uint64_t *words_of(size_t page)
{
	return (uint64_t *)(s.base + page * PAGE);
}

static inline void store(size_t page, size_t word, uint64_t value)
{
	((volatile uint64_t *)words_of(page))[word] = value;
}

static inline void reserve(void *base)
{
	if (~left) {
		arch_chunk_disarm((struct arch_chunk *)~left);
		arch_chunk_release((struct arch_chunk *)~left);
		left = ~0ul;
	}
	s.base = base;
	s.memory = test_memory(ARCH_CHUNK_MEMORY);
	s.log = test_memory(LOG * PAGE);
	s.chunk = arch_chunk_reserve(s.base, s.memory);
	NEED(s.chunk != NULL);
	left = ~(uintptr_t)s.chunk;
}

static inline void take_chunk(void)
{
	uintptr_t memory = (uintptr_t)test_memory(2 * ARCH_CHUNK_SIZE);

	reserve((void *)((memory + ARCH_CHUNK_SIZE - 1) & ~(ARCH_CHUNK_SIZE - 1)));
}

static inline void give_chunk(void)
{
	left = ~0ul;
	CHECK_PTR(arch_chunk_release(s.chunk), s.memory);
}

static inline void flush_call(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	arch_chunk_flush();
}

/* The other CPUs do nothing with the chunk meanwhile. */
static inline void arm_pages(const unsigned long *pages)
{
	unsigned long state;

	arch_chunk_prepare(s.chunk, pages);
	state = arch_irq_save();
	arch_chunk_arm(s.chunk);
	arch_chunk_flush();
	arch_irq_restore(state);
	arch_ipi_call(arch_cpus_others(), flush_call, NULL);
}

static inline void arm(size_t log)
{
	for (size_t page = 0; page < PAGES; page++)
		for (size_t word = 0; word < WORDS; word++)
			words_of(page)[word] = pattern(page, word);
	arch_copies_begin(s.log, log);
	arm_pages(NULL);
}

static inline void nothing(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
}

/* When all have answered no fault is under way. */
static inline void disarm(void)
{
	arch_chunk_disarm(s.chunk);
	arch_ipi_call(arch_cpus_others(), nothing, NULL);
	arch_copies_end();
}

/* Return: whether there is one, and it is as it should be. */
static inline bool has_copy(size_t page)
{
	const uint64_t *copy = arch_chunk_copy(s.chunk, words_of(page));

	for (size_t word = 0; copy && word < WORDS; word++)
		if (copy[word] != pattern(page, word))
			return false;
	return copy;
}

static inline size_t count_copies(void)
{
	size_t n = 0;

	for (size_t page = 0; page < PAGES; page++)
		n += has_copy(page);
	return n;
}

#endif
