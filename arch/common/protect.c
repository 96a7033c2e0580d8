// SPDX-License-Identifier: MIT
/*
 * Changing the direct map a page at a time: access, and the dirty bits. Tables change under
 * paging_lock; the flush of all TLBs comes after it was given back, because CPUs that wait for the
 * lock have interrupts off. Only the sweep over entries that stand already is repeated per 2 MiB.
 */
#include "internal.h"

#define PAGE ARCH_PAGE_SIZE
#define FLUSH_SINGLE_MAX 32 /* pages; above that all of the TLB goes */

struct range {
	uint64_t start, end;
};

static void flush_here(const struct range *r)
{
	if ((r->end - r->start) / PAGE > FLUSH_SINGLE_MAX) {
		tlb_flush_all();
		return;
	}
	for (uint64_t at = r->start; at < r->end; at += PAGE)
		tlb_flush_page(at);
}

static void flush_call(struct arch_regs *regs, void *arg)
{
	(void)regs;
	flush_here(arg);
}

static void flush_everywhere(struct range *r)
{
	flush_here(r);
	if (!PAGING_FLUSHES_ALL_CPUS && arch_cpu_count() > 1)
		arch_ipi_call(arch_cpus_others(), flush_call, r);
}

/* The end of the leaf's page that holds @at. */
static uint64_t leaf_end(uint64_t at, unsigned int level)
{
	return (at & ~(level_size(level) - 1)) + level_size(level);
}

/*
 * Split until no leaf reaches out of the range, and, with @fully, until all are 4 KiB.
 * Return: false if something is not mapped, or, without @fully, if no frame is left.
 */
static bool split_range(const struct range *r, bool fully)
{
	unsigned int level;

	for (uint64_t at = r->start; at < r->end;) {
		uint64_t *entry = paging_walk(at, &level);
		bool inside = !(at & (level_size(level) - 1)) && leaf_end(at, level) <= r->end;

		if (!*entry || snapshot_holds(at))
			return false;
		if (level > 1 && (fully || !inside)) {
			if (paging_split(entry, level))
				continue;
			if (!fully)
				return false;
		}
		at = leaf_end(at, level);
	}
	return true;
}

static uint64_t with_prot(uint64_t entry, enum arch_prot prot)
{
	static const unsigned int access[] = {
		[ARCH_PROT_NONE] = 0,
		[ARCH_PROT_READ] = PAGE_READ,
		[ARCH_PROT_WRITE] = PAGE_READ | PAGE_WRITE,
	};

	return pte_with_access(entry, access[prot]);
}

static void set_prot(const struct range *r, enum arch_prot prot)
{
	unsigned int level;

	for (uint64_t at = r->start; at < r->end; at = leaf_end(at, level)) {
		uint64_t *entry = paging_walk(at, &level);
		uint64_t old = *entry;

		while (!__atomic_compare_exchange_n(entry, &old, with_prot(old, prot), false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
	}
}

static bool in_direct_map(const void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr;

	return at >= ARCH_DIRECT_MAP && at <= ARCH_KERNEL_BASE && len <= ARCH_KERNEL_BASE - at &&
	       !(at & (PAGE - 1)) && !(len & (PAGE - 1));
}

static void flush_all_call(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	tlb_flush_all();
}

void paging_flush_all(void)
{
	tlb_flush_all();
	if (!PAGING_FLUSHES_ALL_CPUS && arch_cpu_count() > 1)
		arch_ipi_call(arch_cpus_others(), flush_all_call, NULL);
}

static void assert_can_flush(void)
{
	if (arch_cpu_count() > 1 && !arch_irq_enabled())
		arch_panic("page tables changed with interrupts off");
}

bool arch_page_protect(void *addr, size_t len, enum arch_prot prot)
{
	struct range r = { (uintptr_t)addr, (uintptr_t)addr + len };
	unsigned long state;
	bool can;

	if (!in_direct_map(addr, len))
		return false;
	assert_can_flush();
	state = spin_lock(&paging_lock);
	can = split_range(&r, false);
	if (can)
		set_prot(&r, prot);
	spin_unlock(&paging_lock, state);
	if (can)
		flush_everywhere(&r);
	return can;
}

static void clean(uint64_t *entry)
{
	uint64_t old = *entry;

	while (!__atomic_compare_exchange_n(entry, &old, pte_clean(old), false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

bool arch_dirty_start(void *addr, size_t len)
{
	struct range r = { (uintptr_t)addr, (uintptr_t)addr + len };
	unsigned int level;
	unsigned long state;
	bool can;

	if (!in_direct_map(addr, len))
		return false;
	assert_can_flush();
	for (uint64_t at = r.start; at < r.end;) {
		struct range part = { at, leaf_end(at, 2) };

		if (part.end > r.end)
			part.end = r.end;
		state = spin_lock(&paging_lock);
		can = split_range(&part, true);
		for (; can && at < part.end; at = leaf_end(at, level))
			clean(paging_walk(at, &level));
		spin_unlock(&paging_lock, state);
		if (!can)
			return false;
	}
	flush_everywhere(&r);
	return true;
}

void *arch_dirty_next(void *from, void *end)
{
	unsigned int level;

	for (uint64_t at = (uintptr_t)from & ~(PAGE - 1); at < (uintptr_t)end;) {
		uint64_t *entry = paging_walk(at, &level);
		uint64_t stop = leaf_end(at, level == 1 ? 2 : level);

		if (level > 1) {
			if (pte_is_dirty(*entry))
				return (void *)at;
			at = stop;
			continue;
		}
		for (; at < stop && at < (uintptr_t)end; at += PAGE, entry++)
			if (pte_is_dirty(__atomic_load_n(entry, __ATOMIC_RELAXED)))
				return (void *)at;
	}
	return NULL;
}
