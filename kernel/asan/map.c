// SPDX-License-Identifier: MIT
/*
 * The shadow's pages: real ones for memory and for the image, taken at boot, and a page of zeros
 * for everything else that a kernel's pointer can say.
 */
#include "internal.h"
#include "asan.h"

#define MAX_RUNS 64

bool asan_on;

static struct {
	uintptr_t lo, hi;
} runs[MAX_RUNS];
static size_t nr_runs;
static uint64_t zero_page[512] __attribute__((aligned(4096)));
static uint64_t zero_tables[3][512] __attribute__((aligned(4096)));

uint64_t kernel_shadow_bytes(uint64_t memory)
{
	uint64_t bytes = (memory + (arch_image_end - arch_image_start) + ARCH_STACK_WINDOW_SIZE) / 8;

	return bytes + bytes / 512 + 128 * ARCH_PAGE_SIZE;
}

bool asan_is_real(uintptr_t at)
{
	for (size_t i = 0; i < nr_runs; i++)
		if (at >= runs[i].lo && at < runs[i].hi)
			return true;
	return false;
}

/* Where two runs share a page of shadow, the first one's is kept. */
static void map_real(uintptr_t lo, uintptr_t hi)
{
	uintptr_t from = (uintptr_t)asan_shadow(lo) & ~(ARCH_PAGE_SIZE - 1);
	uintptr_t to = ((uintptr_t)asan_shadow(hi) + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);

	if (nr_runs == MAX_RUNS || !paging_map(from, arch_phys(frames_boot_alloc(to - from)),
					       to - from, PAGE_READ | PAGE_WRITE))
		arch_panic("no frames for the shadow");
	runs[nr_runs].lo = lo;
	runs[nr_runs++].hi = hi;
}

static void map_memory(enum mw_memtype type)
{
	struct mw_memrange run;

	for (uint64_t from = 0; mw_memmap_next(boot_info.map, boot_nr_firmware, type, from, &run);
	     from = run.start + run.len)
		map_real((uintptr_t)arch_virt(run.start), (uintptr_t)arch_virt(run.start + run.len));
}

/* Fill what is empty in a table of @level with what leads to zeros; below what is not, the same. */
static void fill(uint64_t *table, unsigned int level, size_t first, size_t end)
{
	uint64_t zero = level == 1 ? pte_leaf(arch_phys(zero_page), PAGE_READ, 1)
				   : pte_table(arch_phys(zero_tables[level - 2]));

	for (size_t i = first; i < end; i++) {
		if (!table[i])
			table[i] = zero;
		else if (table[i] != zero && pte_is_table(table[i], level))
			fill(arch_virt(pte_phys(table[i])), level - 1, 0, 512);
	}
}

void kernel_shadow_init(void)
{
	for (unsigned int level = 1; level <= 3; level++)
		fill(zero_tables[level - 1], level, 0, 512);
	map_real((uintptr_t)arch_image_start, (uintptr_t)arch_image_end);
	map_real(ARCH_STACK_WINDOW, ARCH_STACK_WINDOW + ARCH_STACK_WINDOW_SIZE);
	map_memory(MW_MEM_FREE);
	map_memory(MW_MEM_RECLAIM);
	fill(kernel_root, 4, ASAN_START >> 39 & 511, ASAN_END >> 39 & 511);
	machine_paging_load();
	asan_on = true;
}
