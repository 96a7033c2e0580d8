// SPDX-License-Identifier: MIT
/*
 * The memory of the machine that pairs run on, and copies of it. See pairs.h.
 *
 * A page of the arena can be touched only after its first fault, so it is known which ones were.
 * They and the pages of the program's data are the blocks. Whatever writes to one marks its page in
 * pairs_dirty[], see scripts/pairs_asm.py; from there it is noted in which copies the block may be
 * otherwise. So to put a copy back, and to take one, is to copy what differs. Besides, a copy has
 * the stacks as far as they are used.
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
#define MOST_COPIES 4u
#define MOST_DATA_BLOCKS 256u
#define MOST_BLOCKS (NR_PAGES + MOST_DATA_BLOCKS)
#define OF_ALL_COPIES ((1u << MOST_COPIES) - 1)
#define UNHASHED (1u << MOST_COPIES)

struct ranges {
	unsigned int n;
	struct {
		size_t first, pages;
	} range[MOST_RANGES];
};

struct block {
	char *at;
	unsigned int len, mark;
	unsigned int differs; /* from which copies, by their bits, and UNHASHED */
	uint64_t hash;
};

OWN static struct memory {
	unsigned char is[NR_PAGES];
	unsigned int blocks,
		data_blocks; /* these first; then TOUCHED pages, in the order of the touches */
	unsigned int copies;
	struct copy *copy[MOST_COPIES];
	struct block block[MOST_BLOCKS];
	struct ranges forbidden;
	uint64_t key[PAGE_BYTES / 8], of_zeros; /* for hashes */
} * memory;

struct copy {
	unsigned int bit;
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
	uint64_t hash[MOST_BLOCKS];
	char *bytes; /* a page for each block */
};

static void *reserve(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

/* What lies at @from to @end of the program's data. */
static void add_data(char *from, char *end)
{
	while (from < end) {
		char *next = (char *)(((uintptr_t)from | (PAGE_BYTES - 1)) + 1);

		next = next > end ? end : next;
		if (memory->blocks == MOST_DATA_BLOCKS)
			abort();
		memory->block[memory->blocks++] =
			(struct block){ .at = from,
					.len = (unsigned int)(next - from),
					.mark = memory_mark_of((uintptr_t)from),
					.differs = ~0u };
		from = next;
	}
}

void memory_clear(void)
{
	if (mmap(ARENA, ARENA_BYTES, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != ARENA)
		abort();
	memset(memory->is, 0, sizeof(memory->is));
	memory->forbidden.n = 0;
	/* Copies have zeros for what they have not seen. */
	for (unsigned int i = 0; i < memory->copies; i++) {
		memset(memory->copy[i]->hash, 0, sizeof(memory->copy[i]->hash));
		if (madvise(memory->copy[i]->bytes, MOST_BLOCKS * PAGE_BYTES, MADV_DONTNEED))
			abort();
	}
	memory->blocks = 0;
	add_data(__data_start, __start_pairs_own);
	add_data(__stop_pairs_own, _end);
	memory->data_blocks = memory->blocks;
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
	memory->block[memory->blocks++] = (struct block){ .at = ARENA + page * PAGE_BYTES,
							  .len = PAGE_BYTES,
							  .mark = memory_mark_of(at),
							  .differs = ~0u };
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
	if ((at >= (uintptr_t)__start_pairs_own && at < (uintptr_t)__stop_pairs_own) ||
	    (at >= (uintptr_t)machine && at < (uintptr_t)(machine + 1)))
		return false;
	return (at >= (uintptr_t)__data_start && at < (uintptr_t)_end) ||
	       (at >= (uintptr_t)ARENA && at < (uintptr_t)ARENA + ARENA_BYTES);
}

size_t memory_pages(void)
{
	return memory->blocks - memory->data_blocks;
}

void bytes_fill(void *at, int byte, size_t len)
{
	memset(at, byte, len);
}

void bytes_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

void bytes_move(void *to, const void *from, size_t len)
{
	memmove(to, from, len);
}

/* ---- what was written ---- */

static bool is_forbidden(const struct block *block)
{
	return block->at >= ARENA && block->at < ARENA + ARENA_BYTES &&
	       (memory->is[(size_t)(block->at - ARENA) / PAGE_BYTES] & FORBIDDEN);
}

/* Two blocks may have one mark. */
static void note_writes(void)
{
	for (unsigned int i = 0; i < memory->blocks; i++) {
		struct block *block = &memory->block[i];

		if (pairs_dirty[block->mark])
			block->differs = ~0u;
	}
	for (unsigned int i = 0; i < memory->blocks; i++)
		pairs_dirty[memory->block[i].mark] = 0;
}

#define ODD UINT64_C(0x9e3779b97f4a7c15)
#define PAGE_WORDS (PAGE_BYTES / 8)

/*
 * Its halves are two numbers, which are multiplied: four of them at once, where the processor can.
 */
__attribute__((target_clones("avx2", "default"))) static uint64_t
sum_of(const uint64_t *words, const uint64_t *keys, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t low = (uint32_t)(words[i] + keys[i]);

		sum += low * (((words[i] >> 32) + (keys[i] >> 32)) & UINT32_MAX);
	}
	return sum;
}

static void make_keys(void)
{
	static const uint64_t zeros[PAGE_WORDS];

	for (size_t i = 0; i < PAGE_WORDS; i++) {
		memory->key[i] = (i + 1) * ODD;
		memory->key[i] =
			(memory->key[i] ^ memory->key[i] >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
		memory->key[i] ^= memory->key[i] >> 32;
	}
	memory->of_zeros = sum_of(zeros, memory->key, PAGE_WORDS);
}

void memory_set_up(void)
{
	memory = reserve(sizeof(*memory));
	make_keys();
	memory_clear();
}

/*
 * A page of zeros has 0, wherever it is: so one that nobody has touched is as one that is zero
 * again.
 */
static uint64_t hash_block(const struct block *block)
{
	uint64_t hash =
		sum_of((const uint64_t *)(const void *)block->at, memory->key, block->len / 8);

	if (block->len == PAGE_BYTES)
		hash -= memory->of_zeros;
	for (unsigned int i = block->len & ~7u; i < block->len; i++)
		hash = (hash ^ (unsigned char)block->at[i]) * ODD;
	hash *= (uintptr_t)block->at >> 4 | 1;
	return (hash ^ hash >> 31) * ODD;
}

static uint64_t hash_of(struct block *block)
{
	if (block->differs & UNHASHED) {
		block->hash = hash_block(block);
		block->differs &= ~UNHASHED;
	}
	return block->hash;
}

uint64_t memory_hash(void)
{
	uint64_t sum = memory->forbidden.n;

	note_writes();
	for (unsigned int i = 0; i < memory->forbidden.n; i++)
		sum += (memory->forbidden.range[i].first * ODD) ^ memory->forbidden.range[i].pages;
	for (unsigned int i = 0; i < memory->blocks; i++) {
		struct block *block = &memory->block[i];

		if (!is_forbidden(block))
			sum += hash_of(block);
	}
	return sum;
}

/* ---- copies ---- */

struct copy *copy_new(void)
{
	struct copy *copy = reserve(sizeof(*copy));

	if (memory->copies == MOST_COPIES)
		abort();
	copy->bit = 1u << memory->copies;
	memory->copy[memory->copies++] = copy;
	copy->bytes = reserve(MOST_BLOCKS * PAGE_BYTES);
	for (enum who who = CO_A; who < NR_CO; who++)
		copy->stack[who].bytes =
			reserve((size_t)(machine_stack_top(who) - machine_stack_low(who)));
	return copy;
}

static char *stack_at(enum who who)
{
	const struct co *co = &machine->co[who];
	uintptr_t at = co->at_moment ? co->registers.general[4] : (uintptr_t)co->sp;

	if (!co->started || co->ended)
		return machine_stack_top(who);
	if (at < (uintptr_t)machine_stack_top(who) - STACK_SCANNED)
		abort();
	/*
	 * With what lies there unused: frames that come may take it for theirs, and it is a root
	 * then.
	 */
	return machine_stack_top(who) - STACK_SCANNED;
}

void copy_take(struct copy *copy)
{
	copy->forbidden = memory->forbidden;
	copy->cpu.depth = port_cpu.depth;
	copy->cpu.pending = atomic_load(&port_cpu.pending);
	copy->cpu.slot = port_cpu.slot;
	for (enum who who = CO_A; who < NR_CO; who++) {
		copy->stack[who].at = stack_at(who);
		copy->stack[who].len = (size_t)(machine_stack_top(who) - copy->stack[who].at);
		memcpy(copy->stack[who].bytes, copy->stack[who].at, copy->stack[who].len);
	}
	note_writes();
	for (unsigned int i = 0; i < memory->blocks; i++) {
		struct block *block = &memory->block[i];

		if (!(block->differs & copy->bit) || is_forbidden(block))
			continue;
		memcpy(copy->bytes + i * PAGE_BYTES, block->at, block->len);
		copy->hash[i] = hash_of(block);
		block->differs &= ~copy->bit;
	}
}

/* Pages that were touched since the copy was taken read as zero again, as they did. */
static void put_block_back(const struct copy *copy, unsigned int i)
{
	struct block *block = &memory->block[i];

	memcpy(block->at, copy->bytes + i * PAGE_BYTES, block->len);
	block->hash = copy->hash[i];
	block->differs = OF_ALL_COPIES & ~copy->bit;
}

static void allow_all(void)
{
	for (unsigned int i = 0; i < memory->forbidden.n; i++)
		allow_range(memory->forbidden.range[i].first, memory->forbidden.range[i].pages);
	memory->forbidden.n = 0;
}

static bool same_ranges(const struct ranges *a, const struct ranges *b)
{
	return a->n == b->n && !memcmp(a->range, b->range, a->n * sizeof(a->range[0]));
}

void copy_put_back(const struct copy *copy)
{
	bool same = same_ranges(&memory->forbidden, &copy->forbidden);

	note_writes();
	if (!same)
		allow_all();
	for (unsigned int i = 0; i < memory->blocks; i++) {
		if ((memory->block[i].differs & copy->bit) && !is_forbidden(&memory->block[i]))
			put_block_back(copy, i);
	}
	if (!same) {
		memory->forbidden = copy->forbidden;
		for (unsigned int i = 0; i < copy->forbidden.n; i++)
			forbid_range(copy->forbidden.range[i].first, copy->forbidden.range[i].pages);
	}
	port_cpu.depth = copy->cpu.depth;
	port_cpu.slot = copy->cpu.slot;
	atomic_store(&port_cpu.pending, copy->cpu.pending);
	for (enum who who = CO_A; who < NR_CO; who++)
		memcpy(copy->stack[who].at, copy->stack[who].bytes, copy->stack[who].len);
}

/* Is all as in @copy, written or not? */
bool copy_is_so(const struct copy *copy)
{
	for (unsigned int i = 0; i < memory->blocks; i++) {
		const struct block *block = &memory->block[i];

		if (!is_forbidden(block) &&
		    memcmp(block->at, copy->bytes + i * PAGE_BYTES, block->len))
			return false;
	}
	return true;
}
