// SPDX-License-Identifier: MIT
/*
 * The memory of the machine that pairs run on, and copies of it. See pairs.h.
 *
 * A page of the arena can be touched only after its first fault, so it is known which ones were. A copy has
 * these, the program's data, the machine, the stacks as far as they are used, and the frame of who stands at a moment.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "pairs.h"

#define PAGE_BYTES ((size_t)4096)
#define NR_PAGES (ARENA_BYTES / PAGE_BYTES)

extern char __data_start[], _end[], __start_pairs_own[], __stop_pairs_own[];

enum {
	UNTOUCHED,
	TOUCHED,
	FORBIDDEN = 2 /* besides */
};

#define MOST_RANGES 64u

struct ranges {
	unsigned int n;
	struct {
		size_t first, pages;
	} range[MOST_RANGES];
};

OWN static struct memory {
	unsigned char is[NR_PAGES];
	unsigned int list[NR_PAGES], pages; /* TOUCHED, in the order of the touches */
	struct ranges forbidden;
} * memory;

struct copy {
	size_t data_len, frame_len;
	struct machine machine;
	struct ranges forbidden;
	struct {
		unsigned long depth;
		unsigned int pending;
		int slot;
	} cpu;
	struct {
		char *at;
		size_t len;
		char *bytes;
	} stack[NR_CO];
	char *data, *frame, *arena;
};

static void *reserve(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

void memory_clear(void)
{
	if (mmap(ARENA, ARENA_BYTES, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != ARENA)
		abort();
	memset(memory, 0, sizeof(*memory));
}

void memory_set_up(void)
{
	memory = reserve(sizeof(*memory));
	memory_clear();
}

static void set(size_t page, int access)
{
	if (mprotect(ARENA + page * PAGE_BYTES, PAGE_BYTES, access))
		abort();
}

bool memory_touched(uintptr_t at)
{
	size_t page = (at - (uintptr_t)ARENA) / PAGE_BYTES;

	if (at < (uintptr_t)ARENA || page >= NR_PAGES || memory->is[page] != UNTOUCHED)
		return false;
	memory->is[page] = TOUCHED;
	memory->list[memory->pages++] = (unsigned int)page;
	set(page, PROT_READ | PROT_WRITE);
	return true;
}

static void forbid_range(size_t first, size_t pages)
{
	if (mprotect(ARENA + first * PAGE_BYTES, pages * PAGE_BYTES, PROT_NONE))
		abort();
	for (size_t i = first; i < first + pages; i++)
		memory->is[i] |= FORBIDDEN;
}

static void allow_range(size_t first, size_t pages)
{
	for (size_t i = first; i < first + pages; i++) {
		memory->is[i] &= (unsigned char)~FORBIDDEN;
		if (memory->is[i] == TOUCHED)
			set(i, PROT_READ | PROT_WRITE);
	}
}

void memory_forbid(void *page, size_t len, bool forbid)
{
	struct ranges *ranges = &memory->forbidden;
	size_t first = (size_t)((char *)page - ARENA) / PAGE_BYTES;

	if (forbid) {
		if (ranges->n == MOST_RANGES)
			machine_fail(V_ENGINE, 0, "more than %u forbidden ranges", MOST_RANGES);
		ranges->range[ranges->n].first = first;
		ranges->range[ranges->n++].pages = len / PAGE_BYTES;
		forbid_range(first, len / PAGE_BYTES);
		return;
	}
	for (unsigned int i = 0; i < ranges->n; i++) {
		if (ranges->range[i].first == first && ranges->range[i].pages == len / PAGE_BYTES)
			ranges->range[i--] = ranges->range[--ranges->n];
	}
	allow_range(first, len / PAGE_BYTES);
}

bool memory_shared(uintptr_t at)
{
	if (at == (uintptr_t)-1)
		return true;
	if (at >= (uintptr_t)__start_pairs_own && at < (uintptr_t)__stop_pairs_own)
		return false;
	return (at >= (uintptr_t)__data_start && at < (uintptr_t)_end) ||
	       (at >= (uintptr_t)ARENA && at < (uintptr_t)ARENA + ARENA_BYTES);
}

size_t memory_pages(void)
{
	return memory->pages;
}

/* ---- copies ---- */

struct copy *copy_new(void)
{
	struct copy *copy = reserve(sizeof(*copy));

	copy->data_len = (size_t)(_end - __data_start);
	copy->frame_len = step_frame_size();
	copy->data = reserve(copy->data_len);
	copy->frame = reserve(copy->frame_len);
	copy->arena = reserve(ARENA_BYTES);
	for (enum who who = CO_A; who < NR_CO; who++)
		copy->stack[who].bytes =
			reserve((size_t)(machine_stack_top(who) - machine_stack_low(who)));
	return copy;
}

/* Below its stack pointer nothing is kept but what code without calls may use there. */
static char *stack_at(enum who who)
{
	const struct co *co = &machine->co[who];
	uintptr_t at = (uintptr_t)co->context.uc_mcontext.gregs[REG_RSP];

	if (!co->started || co->ended)
		return machine_stack_top(who);
	if (co->framed)
		at = step_stack_at(who);
	return (char *)((at - 256) & ~(uintptr_t)63);
}

void copy_take(struct copy *copy)
{
	copy->machine = *machine;
	copy->forbidden = memory->forbidden;
	memcpy(copy->data, __data_start, copy->data_len);
	step_frame_get(copy->frame);
	copy->cpu.depth = port_cpu.depth;
	copy->cpu.pending = atomic_load(&port_cpu.pending);
	copy->cpu.slot = port_cpu.slot;
	for (enum who who = CO_A; who < NR_CO; who++) {
		copy->stack[who].at = stack_at(who);
		copy->stack[who].len = (size_t)(machine_stack_top(who) - copy->stack[who].at);
		memcpy(copy->stack[who].bytes, copy->stack[who].at, copy->stack[who].len);
	}
	for (unsigned int i = 0; i < memory->pages; i++) {
		size_t page = memory->list[i];

		if (memory->is[page] == TOUCHED)
			memcpy(copy->arena + page * PAGE_BYTES, ARENA + page * PAGE_BYTES,
			       PAGE_BYTES);
	}
}

/* Pages that were touched since the copy was taken read as zero again, as they did. */
static void arena_put_back(const struct copy *copy)
{
	for (unsigned int i = 0; i < memory->forbidden.n; i++)
		allow_range(memory->forbidden.range[i].first, memory->forbidden.range[i].pages);
	for (unsigned int i = 0; i < memory->pages; i++) {
		size_t page = memory->list[i];

		memcpy(ARENA + page * PAGE_BYTES, copy->arena + page * PAGE_BYTES, PAGE_BYTES);
	}
	memory->forbidden = copy->forbidden;
	for (unsigned int i = 0; i < copy->forbidden.n; i++)
		forbid_range(copy->forbidden.range[i].first, copy->forbidden.range[i].pages);
}

void copy_put_back(const struct copy *copy)
{
	*machine = copy->machine;
	memcpy(__data_start, copy->data, copy->data_len);
	step_frame_put(copy->frame);
	port_cpu.depth = copy->cpu.depth;
	port_cpu.slot = copy->cpu.slot;
	atomic_store(&port_cpu.pending, copy->cpu.pending);
	for (enum who who = CO_A; who < NR_CO; who++)
		memcpy(copy->stack[who].at, copy->stack[who].bytes, copy->stack[who].len);
	arena_put_back(copy);
}
