// SPDX-License-Identifier: MIT
/* See stale.h. */
#include "stale.h"
#include "internal.h"

#define MOST 16 /* faults in a row at one place that the tables do not explain */

/* Return: whether there was something to set. Others change the entry, too. */
static bool touch(uint64_t *entry, unsigned int access)
{
	uint64_t old = __atomic_load_n(entry, __ATOMIC_RELAXED);

	while (pte_access(old) & access) {
		if (pte_touched(old, access) == old)
			return false;
		if (__atomic_compare_exchange_n(entry, &old, pte_touched(old, access), false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	}
	return true;
}

bool stale_again(struct stale *stale, uintptr_t pc, uintptr_t address, unsigned int access)
{
	unsigned int level;
	uint64_t *entry;

	if (!paging_is_address(address))
		return false;
	entry = paging_walk(address, &level);
	if (!(pte_access(*entry) & access))
		return false;
	if (stale->pc != pc || stale->address != address)
		stale->times = 0;
	stale->pc = pc;
	stale->address = address;
	if (!touch(entry, access) && ++stale->times > MOST)
		return false;
	tlb_flush_page(address);
	return true;
}
