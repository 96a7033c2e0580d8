/* SPDX-License-Identifier: MIT */
/* Constants for scripts/gdb/: see debugger.c. */
#ifndef MW_WATCH_DEBUGGER_H
#define MW_WATCH_DEBUGGER_H

#include <marrow/mm.h>

struct mw_debugger {
	uintptr_t addr_base, raw_stocked, pn_mask;
	unsigned int page_shift, table_shift, leaf_shift, id_shift, payload_shift, max_cpus;
	unsigned int owner_pending, owner_no_free, owner_full, owner_none, owner_large, owner_debug,
		owner_gone;
	unsigned int span_collected, span_pointers, span_tiny, debug_track, gc;
};

extern const struct mw_debugger mw_debugger;

#endif
