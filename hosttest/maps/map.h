/* SPDX-License-Identifier: MIT */
/*
 * Memory maps with what must be made of them, in pages of 4 KiB. The runs are those of free and of
 * reclaimable pages together, by address; everything between them is reserved.
 */
#ifndef MAPS_MAP_H
#define MAPS_MAP_H

#include <marrow/mm.h>

struct map_case {
	const char *name;
	const struct mw_memrange *map;
	size_t n;
	const struct mw_memrange *runs;
	size_t nr_runs;
};

#define F MW_MEM_FREE
#define A MW_MEM_RECLAIM
#define R MW_MEM_RESERVED
#define T(number) ((enum mw_memtype)(number)) /* what firmware says and no one knows */

#define MAP_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define MAP(name)                                                                                  \
	{                                                                                          \
#name, name, MAP_LEN(name), name##_runs, MAP_LEN(name##_runs)                      \
	}
#define MAP_NOTHING(name) /* no page of it is of use */                                            \
	{                                                                                          \
#name, name, MAP_LEN(name), NULL, 0                                                \
	}
#define MAP_EMPTY(name) /* without entries */                                                      \
	{                                                                                          \
#name, NULL, 0, NULL, 0                                                            \
	}

#endif
