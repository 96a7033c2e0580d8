/* SPDX-License-Identifier: MIT */
/* Entries of page tables: level 1 has pages of 4 KiB, and each level above 512 times as much. */
#ifndef ARCH_RISCV64_PTE_H
#define ARCH_RISCV64_PTE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGING_LEVELS 3
#define PAGING_BITS 39 /* of an address; those above repeat the highest one */
#define PAGING_FLUSHES_ALL_CPUS 0

#define PTE_V 0x001ul
#define PTE_R 0x002ul
#define PTE_W 0x004ul
#define PTE_X 0x008ul
#define PTE_A 0x040ul
#define PTE_D 0x080ul
#define PTE_HARDWARE (PTE_A | PTE_D) /* what the CPU may set by itself */
#define PTE_ARMED 0x200ul /* read-only for a snapshot alone: a write permits it */
#define PTE_KEPT 0x100ul /* mapped, made to fault: the address stays, V is clear */

/* The largest level that can have leaves. */
static inline unsigned int pte_best_level(void)
{
	return PAGING_LEVELS;
}

static inline uint64_t pte_table(uint64_t phys)
{
	return phys >> 2 | PTE_V;
}

/* Devices are so by their address. Accessed and dirty: a CPU that leaves these to software has nothing to ask. */
static inline uint64_t pte_leaf(uint64_t phys, unsigned int access, unsigned int level)
{
	(void)level;
	return phys >> 2 | PTE_V | PTE_R | PTE_A | PTE_D | (access & PAGE_WRITE ? PTE_W : 0) |
	       (access & PAGE_EXECUTE ? PTE_X : 0);
}

static inline bool pte_is_table(uint64_t pte, unsigned int level)
{
	return level > 1 && (pte & (PTE_V | PTE_R | PTE_W | PTE_X)) == PTE_V;
}

static inline uint64_t pte_phys(uint64_t pte)
{
	return (pte & 0x003ffffffffffc00ul) << 2;
}

/* What a leaf of @level becomes, one level down, @bytes further. */
static inline uint64_t pte_part(uint64_t pte, unsigned int level, uint64_t bytes)
{
	(void)level;
	return pte + (bytes >> 2);
}

/* A leaf with other access to data: none but a mark, reading, or writing as well. */
static inline uint64_t pte_with_access(uint64_t pte, unsigned int access)
{
	pte &= ~(PTE_V | PTE_W | PTE_KEPT);
	if (!access)
		return pte | PTE_KEPT;
	return pte | PTE_V | (access & PAGE_WRITE ? PTE_W : 0);
}

/* What @pte, a leaf, allows. */
static inline unsigned int pte_access(uint64_t pte)
{
	if (!(pte & PTE_V))
		return 0;
	return PAGE_READ | (pte & PTE_W ? PAGE_WRITE : 0) | (pte & PTE_X ? PAGE_EXECUTE : 0);
}

static inline bool pte_is_dirty(uint64_t pte)
{
	return pte & PTE_D;
}

static inline uint64_t pte_clean(uint64_t pte)
{
	return pte & ~PTE_D;
}

/* Does a write to a read-only page fault? */
static inline bool pte_are_respected(void)
{
	return true;
}

/* After an access that @pte allows. */
static inline uint64_t pte_touched(uint64_t pte, unsigned int access)
{
	return pte | PTE_A | (access & PAGE_WRITE ? PTE_D : 0);
}

/*
 * Entries that were empty have been written: a CPU that remembers that there was nothing faults,
 * and tries again.
 */
static inline void pte_filled(void)
{
}

/* Of this CPU. */
static inline void tlb_flush_page(uint64_t virt)
{
	__asm__ volatile("sfence.vma %0" : : "r"(virt) : "memory");
}

static inline void tlb_flush_all(void)
{
	__asm__ volatile("sfence.vma" : : : "memory");
}

#endif
