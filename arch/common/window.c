// SPDX-License-Identifier: MIT
/*
 * A window of address space for kernel stacks. Each has a slot, at whose upper end its frames are
 * mapped; what is below faults. A guard so costs no memory, and a stack no flush: what is mapped
 * where nothing was is in no TLB, and a slot that was used is not used again before all TLBs are
 * flushed, once for many slots.
 *
 *	free → used → stale → flushing → free
 *
 * A table of leaves maps 64 slots, a word of each bitmap. When no slot is free: if half of all are
 * stale they are flushed, else there is one more table.
 */
#include "internal.h"

#define SLOT ARCH_STACK_SLOT
#define TABLES (ARCH_STACK_WINDOW_SIZE / PAGE_2M)
#define SLOTS_A_TABLE 64ul

_Static_assert(SLOTS_A_TABLE *SLOT == PAGE_2M, "a table's slots are a word's bits");

static struct {
	struct spin lock; /* guards all below */
	uint64_t used[TABLES], stale[TABLES], flushing[TABLES];
	size_t tables, nr_stale;
	unsigned long flushes;
	bool busy; /* somebody flushes */
} window;

static char *slot_address(size_t slot)
{
	return (char *)ARCH_STACK_WINDOW + slot * SLOT;
}

/* Return: SIZE_MAX if none is free. */
static size_t take_slot(void)
{
	for (size_t i = 0; i < window.tables; i++) {
		uint64_t unfree = window.used[i] | window.stale[i] | window.flushing[i];

		if (~unfree) {
			size_t bit = (size_t)__builtin_ctzl(~unfree);

			window.used[i] |= 1ul << bit;
			return i * SLOTS_A_TABLE + bit;
		}
	}
	return SIZE_MAX;
}

static void begin_flush(void)
{
	window.busy = true;
	memcpy(window.flushing, window.stale, sizeof(window.flushing));
	memset(window.stale, 0, sizeof(window.stale));
	window.nr_stale = 0;
}

static void flush(void)
{
	unsigned long state;

	paging_flush_all();
	state = spin_lock(&window.lock);
	memset(window.flushing, 0, sizeof(window.flushing));
	window.busy = false;
	window.flushes++;
	spin_unlock(&window.lock, state);
}

/* With interrupts on. Return: false if there are no more slots. */
static bool make_free(void)
{
	unsigned long state = spin_lock(&window.lock);
	bool others = window.busy, grow, flushes;

	grow = !others && window.tables < TABLES &&
	       window.nr_stale <= window.tables * SLOTS_A_TABLE / 2 &&
	       paging_table((uintptr_t)slot_address(window.tables * SLOTS_A_TABLE));
	window.tables += grow;
	flushes = !others && !grow && window.nr_stale;
	if (flushes)
		begin_flush();
	spin_unlock(&window.lock, state);
	if (flushes)
		flush();
	arch_relax();
	return others || grow || flushes;
}

static void give_slot(size_t slot)
{
	unsigned long state = spin_lock(&window.lock), bit = 1ul << slot % SLOTS_A_TABLE;

	window.used[slot / SLOTS_A_TABLE] &= ~bit;
	window.stale[slot / SLOTS_A_TABLE] |= bit;
	window.nr_stale++;
	spin_unlock(&window.lock, state);
}

static void clear(uint64_t at, size_t len)
{
	unsigned long state = spin_lock(&paging_lock);
	unsigned int level;

	for (; len; at += ARCH_PAGE_SIZE, len -= ARCH_PAGE_SIZE) {
		__atomic_store_n(paging_walk(at, &level), 0, __ATOMIC_RELEASE);
		snapshot_mapped(at, 0);
	}
	spin_unlock(&paging_lock, state);
}

void *arch_stack_map(const void *pages, size_t len)
{
	unsigned long state;
	size_t slot;
	char *lo;

	if (len >= SLOT)
		return NULL;
	do {
		state = spin_lock(&window.lock);
		slot = take_slot();
		spin_unlock(&window.lock, state);
	} while (slot == SIZE_MAX && make_free());
	if (slot == SIZE_MAX)
		return NULL;
	lo = slot_address(slot + 1) - len;
	state = spin_lock(&paging_lock);
	/* Its table is there. */
	(void)paging_map((uintptr_t)lo, arch_phys(pages), len, PAGE_READ | PAGE_WRITE);
	spin_unlock(&paging_lock, state);
	return lo;
}

void arch_stack_unmap(void *stack, size_t len)
{
	clear((uintptr_t)stack, len);
	give_slot(((uintptr_t)stack - ARCH_STACK_WINDOW) / SLOT);
}

bool arch_stack_guard(uintptr_t address)
{
	return address - ARCH_STACK_WINDOW < TABLES * PAGE_2M && !arch_is_mapped((void *)address);
}

unsigned long window_flushes(void)
{
	return window.flushes;
}
