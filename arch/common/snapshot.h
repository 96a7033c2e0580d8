/* SPDX-License-Identifier: MIT */
/*
 * A snapshot of memory, kept by write protection; docs/design/concurrent.md tells what it is for.
 *
 * A chunk is 2 MiB of the direct map, or of the window of stacks. Armed, its pages are read-only.
 * The first write to one copies it into the log, says so in the page's word, and permits it: on
 * whatever CPU, in whatever context, with no lock and no wait. Who wants the snapshot reads memory
 * first, and asks for a copy then.
 *
 *	arch_chunk_reserve()
 *		arch_copies_begin()
 *		arch_chunk_prepare()		each
 *		arch_chunk_arm()		each, with all CPUs stopped, interrupts off
 *		arch_chunk_flush()		on each CPU, before it goes on
 *			faults, arch_chunk_permit(), arch_stack_take(), arch_chunk_copy()
 *		arch_chunk_disarm()		each
 *		all CPUs seen with interrupts on: no fault is under way
 *		arch_copies_end()
 *	arch_chunk_release()
 */
#ifndef ARCH_COMMON_SNAPSHOT_H
#define ARCH_COMMON_SNAPSHOT_H

#include "arch.h"

#define ARCH_CHUNK_SIZE (2ul << 20)
#define ARCH_CHUNK_PAGES (ARCH_CHUNK_SIZE / ARCH_PAGE_SIZE)
#define ARCH_CHUNK_MEMORY (2 * ARCH_PAGE_SIZE)

struct arch_chunk;

/**
 * arch_chunk_reserve - have all that it takes to arm a chunk, so that nothing below can fail
 * @base: its first byte
 * @memory: ARCH_CHUNK_MEMORY bytes of the direct map, page-aligned, that never are in a chunk
 *
 * irq: on. Return: NULL: not mapped, not writable, beyond what there are tables for, or reserved
 * already.
 */
struct arch_chunk *arch_chunk_reserve(void *base, void *memory);
/* irq: on. Return: the memory; NULL: it is prepared, or armed, and stays. */
void *arch_chunk_release(struct arch_chunk *chunk);

/**
 * arch_chunk_prepare - choose the pages that arming makes read-only
 * @pages: a bit for each; NULL: all
 *
 * Until arch_chunk_disarm() the access to the chunk's pages cannot be changed otherwise. irq: any.
 */
void arch_chunk_prepare(struct arch_chunk *chunk, const unsigned long *pages);

/* One store. In force on a CPU when that has flushed. irq: off. */
void arch_chunk_arm(struct arch_chunk *chunk);
/* This CPU forgets what it knew of pages; asserts that it respects what they say now. irq: off. */
void arch_chunk_flush(void);

/* A page whose contents nobody will ask for may be written. Armed or not. irq: any. */
void arch_chunk_permit(const void *page);
/*
 * The copy of an armed page that somebody has written to; NULL: there is none, so what was read
 * from it *before* this call is the snapshot. irq: any.
 */
const void *arch_chunk_copy(const struct arch_chunk *chunk, const void *page);

/**
 * arch_stack_take - whatever of an armed stack is live has a copy, and all of it may be written
 * @sp: what is live is from here to @hi
 *
 * To be called before a thread runs on it, for those that run in the stop as well: an interrupt
 * that cannot push its frame is lost, as it has been acknowledged by then. At most a copy for each
 * page. irq: any.
 */
void arch_stack_take(const void *lo, const void *sp, const void *hi);

/* All pages may be written. irq: any. */
void arch_chunk_disarm(struct arch_chunk *chunk);

/* The log of copies: @pages pages of the direct map, in no chunk. irq: any. */
void arch_copies_begin(void *memory, size_t pages);

struct arch_copies {
	size_t taken; /* pages of the log, at most all */
	bool spoiled; /* a page was written to with no room for its copy: there is no snapshot */
};

struct arch_copies arch_copies_state(void);
/* Faults find no log from here on. */
void arch_copies_end(void);

#endif
