// SPDX-License-Identifier: MIT
/*
 * The whole heap, structure by structure: each room's own checker, the lowest room first, as each
 * relies on those below. A checker says which invariant is the first that does not hold.
 */
#include "watch.h"

bool mw_heap_check(void)
{
	return mw_page_check() && mw_object_check() && mw_watch_check();
}
