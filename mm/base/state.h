/* SPDX-License-Identifier: MIT */
/*
 * All state of the room. What each field is guarded by stands beside it; a debugger prints it as
 * `p mw_base`, and mw_base_reset() makes it as new.
 */
#ifndef MW_BASE_STATE_H
#define MW_BASE_STATE_H

#include "grace.h"
#include "meta.h"
#include "report.h"

#define MW_PERSIST_WINDOWS 4

/* Memory carved for mw_persist() and not handed out yet: [at, end). */
struct mw_window {
	uintptr_t at, end;
};

struct mw_persist_state {
	struct mw_lock lock; /* MW_RANK_PERSIST, guards the writes of all below */
	struct mw_window windows[MW_PERSIST_WINDOWS];
	mw_atomic_t bytes[MW_NR_USES]; /* handed out */
	mw_atomic_t carved; /* == sum of bytes[] + spare */
};

struct mw_fail_state {
	struct mw_lock lock; /* MW_RANK_LEAF */
	struct mw_fail want;
	uint64_t random;
	unsigned long seen; /* requests that matched */
	unsigned long failed; /* of these */
};

struct mw_base {
	struct mw_persist_state persist;
	struct mw_fail_state fail;
	struct mw_grace_state grace;
	_Atomic(mw_misuse_fn *) on_misuse; /* the kernel's: survives mw_base_reset() */
	mw_atomic_t misuses[MW_NR_MISUSES];
	/* Ranks that a CPU holds, bit by bit; touched by that CPU alone, pinned. Only with MW_DEBUG. */
	mw_atomic_t held[MW_DEBUG >= 1 ? MW_MAX_CPUS : 1];
};

extern struct mw_base mw_base;

#endif
