// SPDX-License-Identifier: MIT
/*
 * What a debugger cannot know otherwise: macros are not in debug information. scripts/gdb/ reads this,
 * on a live machine and in a core. Nothing in the heap does.
 */
#include "../page/page.h"
#include "debugger.h"
#include "watch.h"

#if MW_WATCH

const struct mw_debugger mw_debugger = {
	.addr_base = (uintptr_t)MW_ADDR_BASE,
	.raw_stocked = MW_RAW_STOCKED,
	.pn_mask = MW_PN_MASK,
	.page_shift = MW_PAGE_SHIFT,
	.table_shift = MW_MAP_TABLE_SHIFT,
	.leaf_shift = MW_MAP_LEAF_SHIFT,
	.id_shift = MW_ID_SHIFT,
	.payload_shift = MW_PAYLOAD_SHIFT,
	.max_cpus = MW_MAX_CPUS,
	.owner_pending = MW_OWNER_PENDING,
	.owner_no_free = MW_OWNER_NO_FREE,
	.owner_full = MW_OWNER_FULL,
	.owner_none = MW_OWNER_NONE,
	.owner_large = MW_OWNER_LARGE,
	.owner_debug = MW_OWNER_DEBUG,
	.owner_gone = MW_OWNER_GONE,
	.span_collected = MW_SPAN_COLLECTED,
	.span_pointers = MW_SPAN_POINTERS,
	.span_tiny = MW_SPAN_TINY,
	.debug_track = MW_DEBUG_TRACK,
	.gc = MW_GC,
};

#endif
