// SPDX-License-Identifier: MIT
/* The switch of the event trace, and what happens where the room that keeps it is not linked in. */
#include "event.h"

#if MW_WATCH
_Atomic(bool) mw_event_on;

__attribute__((weak)) void mw_up_event(enum mw_event what, unsigned long a, unsigned long b)
{
	(void)what, (void)a, (void)b;
}
#endif
