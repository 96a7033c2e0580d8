// SPDX-License-Identifier: MIT
/*
 * Arming chunks, and the first write to a page of one. The directory's entry for a chunk is one of
 *
 *	open		as it is else: a large page, or a table of small ones
 *	armed		a large page, read-only; or the twin, if open is a table
 *	in_twin		the twin: a table of small pages, read-only but for those that were permitted
 *
 * Arming stores armed, a fault goes on to in_twin, disarming stores open. Only arming takes a
 * permission away, so it alone needs a flush: a CPU that remembers less than the tables say faults,
 * and finds that it may go on.
 *
 * The twin is out of use between disarming and the first write of the next time: it is prepared
 * then.
 *
 * A page's word is 0, PERMITTED, or PERMITTED + the number of its copy in the log, from 1 on. A
 * fault copies before it sets the word, by compare-and-swap, and permits after it: so where the
 * word was 0 nobody had written yet, and the copy is clean. Who comes second permits as well.
 * hosttest/test_model_snapshot.c and test_model_disarm.c have it in all interleavings.
 *
 * snapshot_fault() touches page tables, words, the log and the CPU's own structure, which are in no
 * chunk.
 */
#include "internal.h"
#include "snapshot.h"

#define PAGE ARCH_PAGE_SIZE
#define PERMITTED 1u
#define DIRECTORIES (1ul << (ARCH_DIRECT_MAP_BITS - 30))
#define WINDOWS (ARCH_STACK_WINDOW_SIZE / ARCH_CHUNK_SIZE)

struct arch_chunk {
	uint64_t *entry; /* the directory's */
	uint64_t open, armed, in_twin; /* its values */
	uint64_t *twin;
	char *base;
	bool busy; /* from prepare to disarm; under paging_lock */
	_Atomic(uint32_t) word[ARCH_CHUNK_PAGES];
};

_Static_assert(sizeof(struct arch_chunk) <= PAGE, "twin and chunk are two pages");

/* Found without a lock; changed under paging_lock. A directory's pointers are a page that stays. */
static struct arch_chunk *_Atomic *_Atomic directories[DIRECTORIES];
static struct arch_chunk *_Atomic windows[WINDOWS];

static struct {
	char *base;
	uint32_t pages;
	_Atomic(uint32_t) next; /* counts on when there are none left */
	_Atomic(bool) spoiled;
} copies;

/* ---- finding ---- */

/* Where a chunk's pointer is; NULL: nowhere yet. */
static inline struct arch_chunk *_Atomic *place_of(uintptr_t address)
{
	uintptr_t at = address - ARCH_DIRECT_MAP;
	struct arch_chunk *_Atomic *page;

	if (at >> ARCH_DIRECT_MAP_BITS) {
		at = address - ARCH_STACK_WINDOW;
		return at < ARCH_STACK_WINDOW_SIZE ? &windows[at / ARCH_CHUNK_SIZE] : NULL;
	}
	page = atomic_load_explicit(&directories[at >> 30], memory_order_acquire);
	return page ? &page[at / ARCH_CHUNK_SIZE % ARCH_CHUNK_PAGES] : NULL;
}

static inline struct arch_chunk *chunk_of(uintptr_t address)
{
	struct arch_chunk *_Atomic *place = place_of(address);

	return place ? atomic_load_explicit(place, memory_order_acquire) : NULL;
}

static inline unsigned int page_of(uintptr_t address)
{
	return address / PAGE % ARCH_CHUNK_PAGES;
}

/* But for what the hardware writes by itself. */
static inline bool same(uint64_t a, uint64_t b)
{
	return !((a ^ b) & ~PTE_HARDWARE);
}

/* ---- the fault ---- */

/* 0: the log is full. The number that another fault has left over, or the next one. */
static inline uint32_t take_copy(void)
{
	struct arch_percpu *cpu = this_cpu();
	uint32_t n = atomic_load_explicit(&cpu->spare_copy, memory_order_relaxed);

	if (n)
		n = atomic_exchange_explicit(&cpu->spare_copy, 0, memory_order_relaxed);
	if (n)
		return n;
	n = atomic_fetch_add_explicit(&copies.next, 1, memory_order_relaxed);
	return n < copies.pages ? n + 1 : 0;
}

/* Its word is 0. Whoever sets it, a copy is there then, or the snapshot is spoiled. */
static inline void keep(struct arch_chunk *chunk, unsigned int page)
{
	uint32_t untouched = 0, n = take_copy();
	bool first;

	if (n)
		arch_copy_page(copies.base + (n - 1) * PAGE, chunk->base + page * PAGE);
	first = atomic_compare_exchange_strong_explicit(&chunk->word[page], &untouched, n + PERMITTED,
							memory_order_acq_rel, memory_order_relaxed);
	if (!first)
		atomic_store_explicit(&this_cpu()->spare_copy, n, memory_order_relaxed);
	else if (!n)
		atomic_store_explicit(&copies.spoiled, true, memory_order_relaxed);
}

/* Whoever sees the entry of the twin sees the word: the one is behind the other for all CPUs. */
static inline void permit(struct arch_chunk *chunk, unsigned int page)
{
	uint64_t directory = __atomic_load_n(chunk->entry, __ATOMIC_ACQUIRE);

	(void)__atomic_fetch_or(&chunk->twin[page], PTE_W, __ATOMIC_SEQ_CST);
	while (!same(directory, chunk->in_twin) && same(directory, chunk->armed))
		if (__atomic_compare_exchange_n(chunk->entry, &directory, chunk->in_twin, false,
						__ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
			return;
}

static inline bool is_armed(const struct arch_chunk *chunk, uint64_t directory)
{
	return same(directory, chunk->armed) || same(directory, chunk->in_twin);
}

/* Of a chunk that is not armed: a page's entry. */
static inline uint64_t open_entry(uint64_t directory, unsigned int page)
{
	const uint64_t *table = arch_virt(pte_phys(directory));

	return pte_is_table(directory, 2) ? __atomic_load_n(&table[page], __ATOMIC_ACQUIRE)
					  : directory;
}

ARCH_FAULT_FN bool snapshot_fault(uintptr_t address)
{
	struct arch_chunk *chunk = chunk_of(address);
	unsigned int page = page_of(address);
	uint64_t directory, entry;

	if (!chunk)
		return false;
	directory = __atomic_load_n(chunk->entry, __ATOMIC_ACQUIRE);
	if (!is_armed(chunk, directory))
		return pte_access(open_entry(directory, page)) & PAGE_WRITE;
	entry = __atomic_load_n(&chunk->twin[page], __ATOMIC_ACQUIRE);
	if (!(entry & PTE_ARMED))
		return entry & PTE_W;
	if (!atomic_load_explicit(&chunk->word[page], memory_order_acquire))
		keep(chunk, page);
	permit(chunk, page);
	return true;
}

void arch_chunk_permit(const void *page)
{
	struct arch_chunk *chunk = chunk_of((uintptr_t)page);
	unsigned int i = page_of((uintptr_t)page);
	uint32_t untouched = 0;

	if (!chunk || !is_armed(chunk, __atomic_load_n(chunk->entry, __ATOMIC_ACQUIRE)) ||
	    !(__atomic_load_n(&chunk->twin[i], __ATOMIC_ACQUIRE) & PTE_ARMED))
		return;
	atomic_compare_exchange_strong_explicit(&chunk->word[i], &untouched, PERMITTED,
						memory_order_acq_rel, memory_order_relaxed);
	permit(chunk, i);
}

void arch_stack_take(const void *lo, const void *sp, const void *hi)
{
	for (uintptr_t at = (uintptr_t)lo; at < (uintptr_t)hi; at += PAGE)
		if (at + PAGE <= (uintptr_t)sp)
			arch_chunk_permit((const void *)at);
		else
			(void)snapshot_fault(at);
}

/* What the caller has read stays before this. */
const void *arch_chunk_copy(const struct arch_chunk *chunk, const void *page)
{
	uint32_t word;

	atomic_thread_fence(memory_order_acquire);
	word = atomic_load_explicit(&((struct arch_chunk *)chunk)->word[page_of((uintptr_t)page)],
				    memory_order_acquire);
	return word > PERMITTED ? copies.base + (word - 1 - PERMITTED) * PAGE : NULL;
}

/* ---- the way of a chunk ---- */

/*
 * The entry of level 2 for @virt, with pages of 1 GiB split; NULL: not mapped, or no frame.
 * paging_lock is held.
 */
static uint64_t *directory_entry(uintptr_t virt)
{
	unsigned int level;
	uint64_t *table = kernel_root, *entry = NULL;

	for (level = PAGING_LEVELS; level >= 2; level--) {
		entry = &table[virt >> level_shift(level) & 511];
		if (level == 2 || !*entry)
			break;
		if (!pte_is_table(*entry, level) && !paging_split(entry, level))
			return NULL;
		table = arch_virt(pte_phys(*entry));
	}
	return *entry ? entry : NULL;
}

static bool can_be_armed(uint64_t *entry)
{
	return entry && (pte_is_table(*entry, 2) || pte_access(*entry) & PAGE_WRITE);
}

/* Pointers for the chunks of a directory. paging_lock is held. */
static struct arch_chunk *_Atomic *make_place(uintptr_t base)
{
	uintptr_t at = base - ARCH_DIRECT_MAP;
	struct arch_chunk *_Atomic *place = place_of(base), *_Atomic * page;

	if (place || at >> ARCH_DIRECT_MAP_BITS)
		return place;
	page = (struct arch_chunk * _Atomic *)frames_table_alloc();
	atomic_store_explicit(&directories[at >> 30], page, memory_order_release);
	return page ? place_of(base) : NULL;
}

struct arch_chunk *arch_chunk_reserve(void *base, void *memory)
{
	struct arch_chunk *chunk = (struct arch_chunk *)((char *)memory + PAGE), *made = NULL;
	struct arch_chunk *_Atomic *place;
	unsigned long state;
	uint64_t *entry;

	if ((uintptr_t)base % ARCH_CHUNK_SIZE)
		return NULL;
	memset(memory, 0, ARCH_CHUNK_MEMORY);
	state = spin_lock(&paging_lock);
	place = make_place((uintptr_t)base);
	entry = place ? directory_entry((uintptr_t)base) : NULL;
	if (can_be_armed(entry) && !atomic_load_explicit(place, memory_order_relaxed)) {
		chunk->entry = entry;
		chunk->base = base;
		chunk->twin = memory;
		chunk->open = chunk->armed = chunk->in_twin = 0;
		atomic_store_explicit(place, chunk, memory_order_release);
		made = chunk;
	}
	spin_unlock(&paging_lock, state);
	return made;
}

/*
 * A CPU that has the twin in a cache of its own, or is in a fault, is through when all have
 * answered.
 */
void *arch_chunk_release(struct arch_chunk *chunk)
{
	unsigned long state = spin_lock(&paging_lock);
	bool busy = chunk->busy;

	if (!busy)
		atomic_store_explicit(place_of((uintptr_t)chunk->base), NULL, memory_order_release);
	spin_unlock(&paging_lock, state);
	if (busy)
		return NULL;
	paging_flush_all();
	return chunk->twin;
}

static bool has_bit(const unsigned long *pages, unsigned int i)
{
	return !pages || pages[i / 64] >> i % 64 & 1;
}

/* Return: whether all pages are to be armed. */
static bool fill_twin(struct arch_chunk *chunk, const unsigned long *pages)
{
	bool large = !pte_is_table(chunk->open, 2), all = true;
	const uint64_t *table = arch_virt(pte_phys(chunk->open));

	for (unsigned int i = 0; i < ARCH_CHUNK_PAGES; i++) {
		uint64_t entry = large ? pte_part(chunk->open, 2, i * PAGE) : table[i];

		if ((pte_access(entry) & PAGE_WRITE) && has_bit(pages, i))
			entry = ((entry | PTE_HARDWARE) & ~PTE_W) | PTE_ARMED;
		else
			all = false;
		__atomic_store_n(&chunk->twin[i], entry, __ATOMIC_RELAXED);
		atomic_store_explicit(&chunk->word[i], 0, memory_order_relaxed);
	}
	return large && all;
}

void arch_chunk_prepare(struct arch_chunk *chunk, const unsigned long *pages)
{
	unsigned long state = spin_lock(&paging_lock);
	bool large;

	chunk->busy = true;
	/* What was written is not asked for any more: so all counts as written. */
	chunk->open = *chunk->entry | (pte_is_table(*chunk->entry, 2) ? 0 : PTE_HARDWARE);
	chunk->in_twin = pte_table(arch_phys(chunk->twin));
	large = fill_twin(chunk, pages);
	chunk->armed = large ? chunk->open & ~PTE_W : chunk->in_twin;
	spin_unlock(&paging_lock, state);
}

void arch_chunk_arm(struct arch_chunk *chunk)
{
	__atomic_store_n(chunk->entry, chunk->armed, __ATOMIC_RELEASE);
}

void arch_chunk_flush(void)
{
	if (!pte_are_respected())
		arch_panic("a CPU writes whatever its page tables say");
	tlb_flush_all();
}

void arch_chunk_disarm(struct arch_chunk *chunk)
{
	unsigned long state = spin_lock(&paging_lock);

	__atomic_store_n(chunk->entry, chunk->open, __ATOMIC_RELEASE);
	chunk->busy = false;
	spin_unlock(&paging_lock, state);
}

/* ---- others who change entries, with paging_lock held ---- */

bool snapshot_holds(uintptr_t address)
{
	const struct arch_chunk *chunk = chunk_of(address);

	return chunk && chunk->busy;
}

/* A page comes or goes: it is so in both tables, and nobody asks for what was in it. */
void snapshot_mapped(uintptr_t address, uint64_t entry)
{
	const struct arch_chunk *chunk = chunk_of(address);
	uint64_t *table;

	if (!chunk || !chunk->busy || !pte_is_table(chunk->open, 2))
		return;
	table = arch_virt(pte_phys(chunk->open));
	__atomic_store_n(&table[page_of(address)], entry, __ATOMIC_RELEASE);
	__atomic_store_n(&chunk->twin[page_of(address)], entry, __ATOMIC_RELEASE);
}

/* ---- the log ---- */

void arch_copies_begin(void *memory, size_t pages)
{
	copies.base = memory;
	copies.pages = pages < UINT32_MAX / 2 ? (uint32_t)pages : UINT32_MAX / 2;
	atomic_store_explicit(&copies.next, 0, memory_order_relaxed);
	atomic_store_explicit(&copies.spoiled, false, memory_order_relaxed);
	for (unsigned int i = 0; i < arch_cpu_count(); i++)
		atomic_store_explicit(&arch_cpu_by_number[i]->spare_copy, 0, memory_order_relaxed);
}

struct arch_copies arch_copies_state(void)
{
	uint32_t taken = atomic_load_explicit(&copies.next, memory_order_relaxed);

	return (struct arch_copies){
		.taken = taken < copies.pages ? taken : copies.pages,
		.spoiled = atomic_load_explicit(&copies.spoiled, memory_order_relaxed),
	};
}

void arch_copies_end(void)
{
	arch_copies_begin(NULL, 0);
}
