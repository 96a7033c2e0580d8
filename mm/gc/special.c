// SPDX-License-Identifier: MIT
/*
 * The end of a mark: what lives on a condition.
 *
 * Values of weak-keyed tables live if their keys do, which they may do because of other such values:
 * so the tables are walked, and what was found is marked, until a walk finds nothing. A chain
 * of n such values takes n walks at worst, if it lies in the tables backwards.
 */
#include "gc.h"

#if MW_GC

void mw_mark_specials(void)
{
	unsigned int markers = mw_gc.marking.markers;
	bool more = mw_weaks_decide();

	mw_mark_again();
	if (more)
		mw_weaks_each_grabbed(mw_mark_visit_range, NULL);
	while (mw_tables_show(mw_mark_visit_range, NULL) || more) {
		mw_mark_run(0, NULL);
		mw_mark_again();
		more = false;
	}
	mw_tables_settle();
	mw_gc.marking.markers = markers; /* for the figures */
}

#endif
