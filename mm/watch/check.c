// SPDX-License-Identifier: MIT
/*
 * The whole heap, structure by structure: each room's own checker, the lowest room first, as each
 * relies on those below. A checker says which invariant is the first that does not hold.
 */
#include "watch.h"

static bool check_collector(void)
{
#if MW_GC
	return mw_special_check() && mw_gc_check_lists();
#else
	return true;
#endif
}

bool mw_heap_check(void)
{
	return mw_page_check() && mw_object_check() && check_collector() && mw_watch_check();
}
