/* SPDX-License-Identifier: MIT */
/* A region's pages as runs, read out of the page map without a lock: for the map as text and as JSON. */
#ifndef MW_WATCH_MAP_H
#define MW_WATCH_MAP_H

#include "watch.h"

enum mw_map_state {
	MW_MAP_OBJECTS,
	MW_MAP_RAW,
	MW_MAP_STOCKED,
	MW_MAP_FREE,
	MW_MAP_UNTOUCHED,
	MW_MAP_RECORDS,
	MW_MAP_STATES
};

struct mw_map_run {
	enum mw_map_state state;
	size_t pages;
	const struct mw_span *span; /* of objects; NULL: it was gone when it was looked at */
};

/* Page numbers: what comes next; the gap's beginning, its end, the region's end. */
struct mw_map_cursor {
	size_t at, gap, ceiling, end;
	enum mw_zone_index zone;
};

/* The region with the number, by address. Return: false: there are not so many. */
bool mw_map_begin(struct mw_map_cursor *cursor, size_t index);
/* Return: false: that was the last. */
bool mw_map_next(struct mw_map_cursor *cursor, struct mw_map_run *run);

#endif
