// SPDX-License-Identifier: MIT
/* Back to the beginning: every room, the highest first, as each may look at those below. */
#include <marrow/mm.h>
#include "../base/meta.h"

/* A room that is built out, or not there yet, has nothing to forget. */
#define MW_IF_BUILT __attribute__((weak))

MW_IF_BUILT void mw_watch_reset(void);
MW_IF_BUILT void mw_gc_reset(void);
MW_IF_BUILT void mw_special_reset(void);
MW_IF_BUILT void mw_object_reset(void);
MW_IF_BUILT void mw_page_reset(void);

void mw_reset(void)
{
	void (*const rooms[])(void) = { mw_watch_reset, mw_gc_reset, mw_special_reset,
					mw_object_reset, mw_page_reset };

	for (size_t i = 0; i < MW_LEN(rooms); i++) {
		if (rooms[i])
			rooms[i]();
	}
	mw_base_reset();
}
