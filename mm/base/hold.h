/* SPDX-License-Identifier: MIT */
/*
 * All locks at once, in the order of their ranks: for a port that copies a running system with one
 * of its CPUs (fork), so that no lock is closed in the copy and nothing that they guard is half done.
 *
 * What CPUs own without locks is not covered: in the copy the other CPUs' numbers must not be used
 * again. Records' locks are not taken, so this is for builds without a collector. Not with MW_DEBUG:
 * several locks of one rank are held.
 */
#ifndef MW_BASE_HOLD_H
#define MW_BASE_HOLD_H

#include "lock.h"

/* Pinned, from the first to the second, with no lock held. */
void mw_hold_all(void);
void mw_unhold_all(void);

/*
 * Is a call half done in a place where it gives way and is not pinned: a collection, a scavenge, a question for
 * memory? For a port that copies a running system at a moment when nobody is pinned.
 */
bool mw_half_done(void);

/* The rooms' own parts; @hold: take, else give back. */
void mw_base_hold(bool hold);
void mw_page_hold_registry(bool hold); /* what comes before the central lists' locks */
void mw_page_hold(bool hold); /* the rest, after them */

static inline void mw_hold(struct mw_lock *lock, bool hold)
{
	if (hold)
		mw_lock_pinned(lock);
	else
		mw_unlock_pinned(lock);
}

#endif
