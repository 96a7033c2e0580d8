// SPDX-License-Identifier: MIT
/*
 * Memory that is needed before there is a heap: page tables, stacks.
 *
 * One run of free memory below EARLY_LIMIT (as far as the first page tables reach) is taken from
 * its top downwards. frames_seal() keeps a pool below for splitting large pages later, where there
 * are any, a frame for each 2 MiB of memory up to POOL_MAX, and enters what was used into the map;
 * the rest was never touched.
 */
#include "internal.h"

#define PAGE ARCH_PAGE_SIZE
#define POOL_MAX 16384ul
#define POOL_MIN 32ul
#define STACKS_MAX                                                                                 \
	((ARCH_STACK_SIZE + (NR_STACKS - 2) * EXCEPTION_STACK_SIZE + INTERRUPT_STACK_SIZE +        \
	  NR_STACKS * PAGE) *                                                                      \
	 ARCH_MAX_CPUS)

static struct spin lock; /* guards all below */
static uint64_t low, next, top; /* [low, next) can be taken, [next, top) is in use */
static uint64_t total; /* bytes of memory */
static size_t nr_runs;

static void measure(void)
{
	struct mw_memrange run = { 0 };

	for (uint64_t from = 0;
	     mw_memmap_next(boot_info.map, boot_nr_firmware, MW_MEM_FREE, from, &run);
	     from = run.start + run.len) {
		total += run.len;
		nr_runs++;
	}
}

/* Frames that tables for the direct map, the image and devices can need at most. */
static size_t tables_bound(void)
{
	size_t per_gib = total / PAGE_1G + 1, small = pte_best_level() == 1 ? total / PAGE_2M : 0;

	return small + per_gib + per_gib / 512 + 6 * nr_runs + 64;
}

static size_t pool_wanted(void)
{
	size_t n = pte_best_level() == 1 ? 0 : total / PAGE_2M;

	return n < POOL_MIN ? POOL_MIN : n > POOL_MAX ? POOL_MAX : n;
}

/* The highest run that is large enough, else the largest. */
void frames_init(void)
{
	struct mw_memrange run, best = { 0 };
	uint64_t want;

	measure();
	want = (tables_bound() + pool_wanted()) * PAGE + STACKS_MAX;
	if (kernel_shadow_bytes)
		want += kernel_shadow_bytes(total);
	for (uint64_t from = 0;
	     mw_memmap_next(boot_info.map, boot_info.nr_map, MW_MEM_FREE, from, &run) &&
	     run.start < EARLY_LIMIT;
	     from = run.start + run.len) {
		if (run.len > EARLY_LIMIT - run.start)
			run.len = EARLY_LIMIT - run.start;
		if (run.len >= want || run.len > best.len)
			best = run;
	}
	low = best.start;
	next = top = best.start + best.len;
	if (best.len < (tables_bound() + POOL_MIN) * PAGE)
		arch_panic("memory map: no room for page tables where the first ones reach");
	if (best.len > want)
		low = next - want;
}

/* Zeroed whole pages; only before frames_seal(). */
void *frames_boot_alloc(size_t bytes)
{
	if (bytes > next - low)
		arch_panic("boot memory is used up");
	next -= bytes;
	return memset(arch_virt(next), 0, bytes);
}

void frames_seal(void)
{
	uint64_t pool = pool_wanted() * PAGE;

	if (next - low > pool)
		low = next - pool;
	bootinfo_add(low, top - low, MW_MEM_RESERVED);
}

/* A zeroed frame. Return: NULL if the pool is empty. */
uint64_t *frames_table_alloc(void)
{
	unsigned long state = spin_lock(&lock);
	void *frame = NULL;

	if (next > low) {
		next -= PAGE;
		frame = arch_virt(next);
	}
	spin_unlock(&lock, state);
	return frame ? memset(frame, 0, PAGE) : NULL;
}

size_t arch_page_pool(void)
{
	unsigned long state = spin_lock(&lock);
	size_t n = (next - low) / PAGE;

	spin_unlock(&lock, state);
	return n;
}
