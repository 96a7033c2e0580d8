/* SPDX-License-Identifier: MIT */
/* Entries of page tables: level 1 has pages of 4 KiB, and each level above 512 times as much. */
#ifndef ARCH_X86_64_PTE_H
#define ARCH_X86_64_PTE_H

#include <stdbool.h>
#include <stdint.h>
#include "cpu.h"

#define PAGING_LEVELS 4
#define PAGING_BITS 48 /* of an address; those above repeat the highest one */
#define PAGING_FLUSHES_ALL_CPUS 0

#define PTE_P 0x001ul
#define PTE_W 0x002ul
#define PTE_PWT 0x008ul
#define PTE_PCD 0x010ul
#define PTE_A 0x020ul
#define PTE_D 0x040ul
#define PTE_LARGE 0x080ul
#define PTE_KEPT 0x200ul /* mapped, made to fault: the address stays, P is clear */
#define PTE_ARMED 0x400ul /* read-only for a snapshot alone: a write permits it */
#define PTE_NX (1ul << 63)
#define PTE_ADDR 0x000ffffffffff000ul
#define PTE_HARDWARE (PTE_A | PTE_D) /* what the CPU sets by itself */

extern bool paging_has_1g, paging_has_nx;

/* The largest level that can have leaves. */
static inline unsigned int pte_best_level(void)
{
	return paging_has_1g ? 3 : 2;
}

static inline uint64_t pte_table(uint64_t phys)
{
	return phys | PTE_P | PTE_W;
}

static inline uint64_t pte_leaf(uint64_t phys, unsigned int access, unsigned int level)
{
	uint64_t nx = !(access & PAGE_EXECUTE) && paging_has_nx ? PTE_NX : 0;

	return phys | PTE_P | (access & PAGE_WRITE ? PTE_W : 0) | nx |
	       (access & PAGE_DEVICE ? PTE_PCD | PTE_PWT : 0) | (level > 1 ? PTE_LARGE : 0);
}

static inline bool pte_is_table(uint64_t pte, unsigned int level)
{
	return level > 1 && pte && !(pte & PTE_LARGE);
}

static inline uint64_t pte_phys(uint64_t pte)
{
	return pte & PTE_ADDR;
}

/* What a leaf of @level becomes, one level down, @bytes further. */
static inline uint64_t pte_part(uint64_t pte, unsigned int level, uint64_t bytes)
{
	return (level == 2 ? pte & ~PTE_LARGE : pte) + bytes;
}

/* A leaf with other access to data: none but a mark, reading, or writing as well. */
static inline uint64_t pte_with_access(uint64_t pte, unsigned int access)
{
	pte &= ~(PTE_P | PTE_W | PTE_KEPT);
	if (!access)
		return pte | PTE_KEPT;
	return pte | PTE_P | (access & PAGE_WRITE ? PTE_W : 0);
}

/* What @pte, a leaf, allows. */
static inline unsigned int pte_access(uint64_t pte)
{
	if (!(pte & PTE_P))
		return 0;
	return PAGE_READ | (pte & PTE_W ? PAGE_WRITE : 0) |
	       (pte & PTE_NX || !paging_has_nx ? 0 : PAGE_EXECUTE);
}

static inline bool pte_is_dirty(uint64_t pte)
{
	return pte & PTE_D;
}

static inline uint64_t pte_clean(uint64_t pte)
{
	return pte & ~PTE_D;
}

/* Entries that were empty have been written: no CPU remembers that there was nothing. */
static inline void pte_filled(void)
{
}

/* Of this CPU. */
static inline void tlb_flush_page(uint64_t virt)
{
	invlpg((void *)virt);
}

/* Does a write to a read-only page fault? */
static inline bool pte_are_respected(void)
{
	return read_cr0() & CR0_WP;
}

/* No page is global. */
static inline void tlb_flush_all(void)
{
	write_cr3(read_cr3());
}

#endif
