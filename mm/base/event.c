// SPDX-License-Identifier: MIT
/* The switches of the event trace and of the profile, and what happens where the room that keeps it is not linked in. */
#include "event.h"
#include "profile.h"

#if MW_WATCH
_Atomic(bool) mw_event_on;
mw_atomic_t mw_profile_every, mw_profile_era;

__attribute__((weak)) void mw_up_event(enum mw_event what, unsigned long a, unsigned long b)
{
	(void)what, (void)a, (void)b;
}
#endif
