// SPDX-License-Identifier: MIT
/* See hold.h. */
#include "hold.h"
#include "state.h"

void mw_base_hold(bool hold)
{
	mw_hold(&mw_base.persist.lock, hold);
	mw_hold(&mw_base.fail.lock, hold);
}
