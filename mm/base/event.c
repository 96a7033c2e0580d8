// SPDX-License-Identifier: MIT
/* The switches of the event trace and of the profile. */
#include "event.h"
#include "profile.h"

#if MW_WATCH
_Atomic(bool) mw_event_on;
mw_atomic_t mw_profile_every, mw_profile_era;
#endif
