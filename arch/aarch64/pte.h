/* SPDX-License-Identifier: MIT */
/*
 * Entries of page tables: level 1 has pages of 4 KiB, and each level above 512 times as much.
 *
 * A writable page that is clean is one that may not be written, with a mark (PTE_W): the CPU or,
 * where that does not, the fault clears PTE_READ_ONLY. PTE_DIRTY remembers writes while a page is
 * not writable.
 */
#ifndef ARCH_AARCH64_PTE_H
#define ARCH_AARCH64_PTE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGING_LEVELS 4
#define PAGING_BITS 48 /* of an address; those above repeat the highest one */
#define PAGING_FLUSHES_ALL_CPUS 1

#define PTE_V 0x001ul
#define PTE_TABLE 0x002ul /* a table; at level 1: a page */
#define PTE_DEVICE 0x004ul /* the second kind of memory in MAIR, the first is cached */
#define PTE_READ_ONLY 0x080ul
#define PTE_SHARED 0x300ul
#define PTE_A 0x400ul
#define PTE_W (1ul << 51) /* DBM: PTE_READ_ONLY means clean */
#define PTE_NO_EXECUTE (3ul << 53)
#define PTE_KEPT (1ul << 55) /* mapped, made to fault: the address stays, V is clear */
#define PTE_DIRTY (1ul << 56)
#define PTE_ARMED (1ul << 57) /* read-only for a snapshot alone: a write permits it */
#define PTE_HARDWARE (PTE_READ_ONLY | PTE_A) /* what the CPU changes by itself */
#define PTE_ADDR 0x0000fffffffff000ul

extern unsigned int paging_best_level;

/*
 * The largest level that can have leaves: 1 on CPUs that must not see a leaf become a table, as the
 * whole leaf would have to be away in between.
 */
static inline unsigned int pte_best_level(void)
{
	return paging_best_level;
}

static inline uint64_t pte_table(uint64_t phys)
{
	return phys | PTE_TABLE | PTE_V;
}

/* Accessed and dirty from the beginning. */
static inline uint64_t pte_leaf(uint64_t phys, unsigned int access, unsigned int level)
{
	return phys | PTE_V | PTE_A | PTE_SHARED | (level == 1 ? PTE_TABLE : 0) |
	       (access & PAGE_WRITE ? PTE_W : PTE_READ_ONLY) |
	       (access & PAGE_EXECUTE ? 0 : PTE_NO_EXECUTE) |
	       (access & PAGE_DEVICE ? PTE_DEVICE : 0);
}

static inline bool pte_is_table(uint64_t pte, unsigned int level)
{
	return level > 1 && (pte & (PTE_V | PTE_TABLE)) == (PTE_V | PTE_TABLE);
}

static inline uint64_t pte_phys(uint64_t pte)
{
	return pte & PTE_ADDR;
}

/* What a leaf of @level becomes, one level down, @bytes further. */
static inline uint64_t pte_part(uint64_t pte, unsigned int level, uint64_t bytes)
{
	return (level == 2 ? pte | PTE_TABLE : pte) + bytes;
}

static inline bool pte_is_dirty(uint64_t pte)
{
	return !(pte & PTE_READ_ONLY) || pte & PTE_DIRTY;
}

/* A leaf with other access to data: none but a mark, reading, or writing as well. */
static inline uint64_t pte_with_access(uint64_t pte, unsigned int access)
{
	if (pte_is_dirty(pte))
		pte |= PTE_DIRTY;
	pte = (pte & ~(PTE_V | PTE_W | PTE_KEPT)) | PTE_READ_ONLY;
	if (!access)
		return pte | PTE_KEPT;
	if (!(access & PAGE_WRITE))
		return pte | PTE_V;
	return (pte & PTE_DIRTY ? pte & ~PTE_READ_ONLY : pte) | PTE_V | PTE_W;
}

/* What @pte, a leaf, allows. */
static inline unsigned int pte_access(uint64_t pte)
{
	if (!(pte & PTE_V))
		return 0;
	return PAGE_READ | (pte & PTE_W ? PAGE_WRITE : 0) | (pte & PTE_NO_EXECUTE ? 0 : PAGE_EXECUTE);
}

static inline uint64_t pte_clean(uint64_t pte)
{
	return (pte & ~PTE_DIRTY) | PTE_READ_ONLY;
}

/* After an access that @pte allows. */
static inline uint64_t pte_touched(uint64_t pte, unsigned int access)
{
	return (access & PAGE_WRITE ? pte & ~PTE_READ_ONLY : pte) | PTE_A;
}

/* Does a write to a read-only page fault? */
static inline bool pte_are_respected(void)
{
	return true;
}

/* Entries that were empty have been written: what comes now finds them. */
static inline void pte_filled(void)
{
	__asm__ volatile("dsb ishst\n\tisb" : : : "memory");
}

/* Of all CPUs. */
static inline void tlb_flush_page(uint64_t virt)
{
	__asm__ volatile("dsb ishst\n\ttlbi vaae1is, %0\n\tdsb ish\n\tisb"
			 :
			 : "r"(virt << 8 >> 20)
			 : "memory");
}

static inline void tlb_flush_all(void)
{
	__asm__ volatile("dsb ishst\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" : : : "memory");
}

#endif
