// SPDX-License-Identifier: MIT
/*
 * The kernel's page tables: the direct map of all memory, never executable, with the largest pages
 * that fit, and the image with one permission for each part. Where the image lies in the direct map
 * its code and constants cannot be written either. No user half.
 *
 * Levels are 1 (4 KiB) to PAGING_LEVELS. A leaf that is made to fault keeps its address, and a mark.
 */
#include "internal.h"

uint64_t kernel_root[512] __attribute__((aligned(4096)));
struct spin paging_lock;

static uint64_t *table_of(uint64_t entry)
{
	return arch_virt(pte_phys(entry));
}

/*
 * The entry that decides about @virt: a leaf at *level, or an empty entry there. Safe while others
 * split: an entry changes from leaf to table in one store, and tables are never given back.
 */
uint64_t *paging_walk(uint64_t virt, unsigned int *level)
{
	uint64_t *table = kernel_root;

	for (*level = PAGING_LEVELS;; --*level) {
		uint64_t *entry = &table[virt >> level_shift(*level) & 511];
		uint64_t value = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

		if (!pte_is_table(value, *level))
			return entry;
		table = table_of(value);
	}
}

/* The largest level whose pages fit at @virt and @phys with @len left. */
static unsigned int best_level(uint64_t virt, uint64_t phys, uint64_t len)
{
	unsigned int level = pte_best_level();

	while (level > 1 && (((virt | phys) & (level_size(level) - 1)) || len < level_size(level)))
		level--;
	return level;
}

/* The entry for @virt at @level, with tables made on the way. NULL: a leaf above, or no frame. */
static uint64_t *entry_at(uint64_t virt, unsigned int level)
{
	for (;;) {
		unsigned int at;
		uint64_t *entry = paging_walk(virt, &at), *table;

		if (at <= level)
			return entry;
		table = *entry ? NULL : frames_table_alloc();
		if (!table)
			return NULL;
		__atomic_store_n(entry, pte_table(arch_phys(table)), __ATOMIC_RELEASE);
	}
}

/* Have a table of 4 KiB pages for @virt, so that mapping them cannot fail. Return: false: no frame. */
bool paging_table(uint64_t virt)
{
	unsigned long state = spin_lock(&paging_lock);
	bool done = entry_at(virt, 1);

	spin_unlock(&paging_lock, state);
	return done;
}

/*
 * Map what is not mapped; what is stays as it is. The caller holds
 * paging_lock or is alone. Return: false if no frames are left.
 */
bool paging_map(uint64_t virt, uint64_t phys, uint64_t len, unsigned int access)
{
	while (len) {
		unsigned int level = best_level(virt, phys, len), at;
		uint64_t *entry = paging_walk(virt, &at), size;

		if (*entry) {
			size = 1ul << level_shift(at);
			size -= virt & (size - 1);
		} else {
			if (level > at)
				level = at; /* there is a table in whose place a larger page would be */
			entry = entry_at(virt, level);
			if (!entry)
				return false;
			__atomic_store_n(entry, pte_leaf(phys, access, level), __ATOMIC_RELEASE);
			if (level == 1)
				snapshot_mapped(virt, *entry);
			size = 1ul << level_shift(level);
		}
		if (size >= len)
			break;
		virt += size;
		phys += size;
		len -= size;
	}
	pte_filled();
	return true;
}

/*
 * Turn a leaf of @level into a table of leaves of the same meaning. The hardware may set the dirty
 * bit meanwhile: then once more. The caller holds paging_lock.
 */
bool paging_split(uint64_t *entry, unsigned int level)
{
	uint64_t *table = frames_table_alloc();
	uint64_t old = *entry;

	if (!table)
		return false;
	do {
		for (size_t i = 0; i < 512; i++)
			table[i] = pte_part(old, level, i * level_size(level - 1));
	} while (!__atomic_compare_exchange_n(entry, &old, pte_table(arch_phys(table)), false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

void paging_must_map(uint64_t virt, uint64_t phys, uint64_t len, unsigned int access)
{
	if (!paging_map(virt, phys, len, access))
		arch_panic("no frames for the first page tables");
}

static void map_image_part(const char *from, const char *to, unsigned int access)
{
	paging_must_map((uintptr_t)from, arch_phys(from), arch_phys(to) - arch_phys(from), access);
}

static void map_memory(enum mw_memtype type)
{
	struct mw_memrange run;

	for (uint64_t from = 0; mw_memmap_next(boot_info.map, boot_nr_firmware, type, from, &run);
	     from = run.start + run.len)
		paging_must_map((uintptr_t)arch_virt(run.start), run.start, run.len,
				PAGE_READ | PAGE_WRITE);
}

/* They are in free memory, but perhaps in what "mem=" cut off. */
static void map_modules(void)
{
	for (size_t i = 0; i < boot_info.nr_modules; i++) {
		uint64_t start = boot_info.modules[i].phys & ~(ARCH_PAGE_SIZE - 1);
		uint64_t end = boot_info.modules[i].phys + boot_info.modules[i].len;

		end = (end + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);
		paging_must_map((uintptr_t)arch_virt(start), start, end - start,
				PAGE_READ | PAGE_WRITE);
	}
}

void paging_init(void)
{
	uint64_t fixed = arch_phys(arch_rodata_end) - arch_phys(arch_image_start);

	map_image_part(arch_text_start, arch_text_end, PAGE_READ | PAGE_EXECUTE);
	map_image_part(arch_text_end, arch_rodata_end, PAGE_READ);
	map_image_part(arch_data_start, arch_image_end, PAGE_READ | PAGE_WRITE);
	paging_must_map((uintptr_t)arch_virt(arch_phys(arch_image_start)),
			arch_phys(arch_image_start), fixed, PAGE_READ);
	machine_map_devices();
	map_memory(MW_MEM_FREE);
	map_memory(MW_MEM_RECLAIM);
	map_modules();
	machine_paging_load();
}

void *arch_map_phys(uint64_t phys, size_t len, bool device)
{
	uint64_t start = phys & ~(ARCH_PAGE_SIZE - 1);
	uint64_t end = (phys + len + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);
	unsigned long state = spin_lock(&paging_lock);
	bool done = paging_map((uintptr_t)arch_virt(start), start, end - start,
			       PAGE_READ | PAGE_WRITE | (device ? PAGE_DEVICE : 0));

	spin_unlock(&paging_lock, state);
	return done ? arch_virt(phys) : NULL;
}

bool paging_is_address(uint64_t virt)
{
	int64_t high = (int64_t)virt >> (PAGING_BITS - 1);

	return high == 0 || high == -1;
}

bool arch_is_mapped(const void *addr)
{
	uint64_t virt = (uintptr_t)addr;
	unsigned int level;

	return paging_is_address(virt) && pte_access(*paging_walk(virt, &level));
}
