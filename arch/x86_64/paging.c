// SPDX-License-Identifier: MIT
/*
 * The kernel's page tables: the direct map of all memory, never executable, with the largest pages
 * that fit, and the image with one permission for each part. Where the image lies in the direct map
 * its code and constants cannot be written either. No user half, no global pages: loading cr3
 * flushes everything.
 *
 * Levels are 1 (4 KiB) to 4. A leaf that is made to fault keeps its address and the mark PTE_KEPT.
 */
#include "internal.h"

#define TABLE_FLAGS (PTE_P | PTE_W)

uint64_t kernel_pml4[512] __attribute__((aligned(4096)));
bool paging_has_1g, paging_has_nx;
struct spin paging_lock;
static uint64_t nx; /* PTE_NX if the CPU has it */

extern char arch_rodata_end[];

static unsigned int level_shift(unsigned int level)
{
	return 3 + 9 * level;
}

static uint64_t *table_of(uint64_t entry)
{
	return arch_virt(entry & PTE_ADDR);
}

/*
 * The entry that decides about @virt: a leaf at *level, or an empty entry there. Safe while others
 * split: an entry changes from leaf to table in one store, and tables are never given back.
 */
uint64_t *paging_walk(uint64_t virt, unsigned int *level)
{
	uint64_t *table = kernel_pml4;

	for (*level = 4;; --*level) {
		uint64_t *entry = &table[virt >> level_shift(*level) & 511];
		uint64_t value = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

		if (*level == 1 || !value || (value & PTE_LARGE))
			return entry;
		table = table_of(value);
	}
}

/* The largest level whose pages fit at @virt and @phys with @len left. */
static unsigned int best_level(uint64_t virt, uint64_t phys, uint64_t len)
{
	if (paging_has_1g && !((virt | phys) & (PAGE_1G - 1)) && len >= PAGE_1G)
		return 3;
	if (!((virt | phys) & (PAGE_2M - 1)) && len >= PAGE_2M)
		return 2;
	return 1;
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
		__atomic_store_n(entry, arch_phys(table) | TABLE_FLAGS, __ATOMIC_RELEASE);
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
 * Map what is not mapped; what is stays as it is. @flags without the large bit. The caller holds
 * paging_lock or is alone. Return: false if no frames are left.
 */
bool paging_map(uint64_t virt, uint64_t phys, uint64_t len, uint64_t flags)
{
	while (len) {
		unsigned int level = best_level(virt, phys, len), at;
		uint64_t *entry = paging_walk(virt, &at), size;

		if (*entry) {
			size = 1ul << level_shift(at);
			size -= virt & (size - 1);
		} else {
			entry = entry_at(virt, level);
			if (!entry)
				return false;
			*entry = phys | (flags & ~(nx ^ PTE_NX)) | (level > 1 ? PTE_LARGE : 0);
			size = 1ul << level_shift(level);
		}
		if (size >= len)
			break;
		virt += size;
		phys += size;
		len -= size;
	}
	return true;
}

/*
 * Turn a leaf of @level into a table of leaves of the same meaning. The hardware may set the dirty
 * bit meanwhile: then once more. The caller holds paging_lock.
 */
bool paging_split(uint64_t *entry, unsigned int level)
{
	uint64_t *table = frames_table_alloc();
	uint64_t old = *entry, step = 1ul << level_shift(level - 1);

	if (!table)
		return false;
	do {
		uint64_t first = level == 2 ? old & ~PTE_LARGE : old;

		for (size_t i = 0; i < 512; i++)
			table[i] = first + i * step;
	} while (!__atomic_compare_exchange_n(entry, &old, arch_phys(table) | TABLE_FLAGS, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

static void must_map(uint64_t virt, uint64_t phys, uint64_t len, uint64_t flags)
{
	if (!paging_map(virt, phys, len, flags))
		arch_panic("no frames for the first page tables");
}

static void map_image_part(const char *from, const char *to, uint64_t flags)
{
	must_map((uintptr_t)from, arch_phys(from), arch_phys(to) - arch_phys(from), flags);
}

static void map_memory(enum mw_memtype type)
{
	struct mw_memrange run;

	for (uint64_t from = 0; mw_memmap_next(boot_info.map, boot_nr_firmware, type, from, &run);
	     from = run.start + run.len)
		must_map((uintptr_t)arch_virt(run.start), run.start, run.len, PTE_P | PTE_W | PTE_NX);
}

/* They are in free memory, but perhaps in what "mem=" cut off. */
static void map_modules(void)
{
	for (size_t i = 0; i < boot_info.nr_modules; i++) {
		uint64_t start = boot_info.modules[i].phys & ~(ARCH_PAGE_SIZE - 1);
		uint64_t end = boot_info.modules[i].phys + boot_info.modules[i].len;

		end = (end + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);
		must_map((uintptr_t)arch_virt(start), start, end - start, PTE_P | PTE_W | PTE_NX);
	}
}

/* Each CPU: no execution where forbidden, no writing where forbidden, the kernel's tables. */
void paging_cpu_init(void)
{
	if (nx)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	write_cr0(read_cr0() | CR0_WP);
	write_cr3(arch_phys(kernel_pml4));
}

void paging_init(void)
{
	struct cpuid features = cpuid(0x80000001, 0);
	uint64_t fixed = arch_phys(arch_rodata_end) - arch_phys(arch_image_start);

	paging_has_1g = features.d >> 26 & 1;
	paging_has_nx = features.d >> 20 & 1;
	nx = paging_has_nx ? PTE_NX : 0;
	map_image_part(arch_text_start, arch_text_end, PTE_P);
	map_image_part(arch_text_end, arch_rodata_end, PTE_P | PTE_NX);
	map_image_part(arch_data_start, arch_image_end, PTE_P | PTE_W | PTE_NX);
	must_map((uintptr_t)arch_virt(arch_phys(arch_image_start)), arch_phys(arch_image_start),
		 fixed, PTE_P | PTE_NX);
	must_map((uintptr_t)arch_virt(0xa0000), 0xa0000, 0x20000,
		 PTE_P | PTE_W | PTE_NX | PTE_PCD | PTE_PWT);
	must_map((uintptr_t)arch_virt(0), 0, 0x100000, PTE_P | PTE_W | PTE_NX);
	map_memory(MW_MEM_FREE);
	map_memory(MW_MEM_RECLAIM);
	map_modules();
	paging_cpu_init();
}

void *arch_map_phys(uint64_t phys, size_t len, bool device)
{
	uint64_t start = phys & ~(ARCH_PAGE_SIZE - 1);
	uint64_t end = (phys + len + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);
	unsigned long state = spin_lock(&paging_lock);
	bool done = paging_map((uintptr_t)arch_virt(start), start, end - start,
			       PTE_P | PTE_W | PTE_NX | (device ? PTE_PCD | PTE_PWT : 0));

	spin_unlock(&paging_lock, state);
	return done ? arch_virt(phys) : NULL;
}

bool arch_is_mapped(const void *addr)
{
	uint64_t virt = (uintptr_t)addr;
	unsigned int level;

	if (virt >> 47 != 0 && virt >> 47 != 0x1ffff)
		return false;
	return *paging_walk(virt, &level) & PTE_P;
}
