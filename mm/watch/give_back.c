// SPDX-License-Identifier: MIT
/* All that is kept for later goes, from the top of the tree to the bottom. */
#include "../page/stock.h"
#include "../page/up.h"
#include "watch.h"

size_t mw_give_back(void)
{
#if MW_GC
	(void)mw_gc_collect(MW_COLLECT_SWEPT);
#endif
	for (unsigned int step = 0; step < 2; step++)
		(void)mw_up_reclaim(SIZE_MAX, MW_NORMAL, step);
	(void)mw_stock_drain_all();
	return mw_scavenge(0, SIZE_MAX);
}
