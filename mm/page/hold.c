// SPDX-License-Identifier: MIT
/* See mm/base/hold.h. */
#include "../base/hold.h"
#include "stock.h"

/*
 * A piece that is being scavenged is in nobody's list, and a region that comes or goes is there in part; who is at
 * it is not copied.
 */
static void hold_flag(mw_atomic_t *flag, bool hold)
{
	if (!hold) {
		atomic_store_explicit(flag, 0, memory_order_release);
		return;
	}
	while (atomic_exchange_explicit(flag, 1, memory_order_acquire))
		mw_port_relax();
}

void mw_page_hold_registry(bool hold)
{
	hold_flag(&mw_page.scavenging, hold);
	hold_flag(&mw_page.changing, hold);
	mw_hold(&mw_page.add, hold);
}

/*
 * Stocks are large, and a copy of the system would be larger for having touched them all. One that
 * was never used changes only by a first mw_pages_alloc() at this very moment: a port that hands
 * out raw pages must not do that.
 */
void mw_page_hold(bool hold)
{
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		if (mw_stock_begun(i))
			mw_hold(&mw_page_stocks[i].lock, hold);
	}
	mw_hold(&mw_page.heap, hold);
	mw_hold(&mw_page.regions.lock, hold);
	mw_hold(&mw_page.spans.lock, hold);
	mw_base_hold(hold);
	mw_hold(&mw_page.pool_lock, hold);
}
