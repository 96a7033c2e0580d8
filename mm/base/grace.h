/* SPDX-License-Identifier: MIT */
/*
 * Grace periods: when may be freed what a reader without a lock could still be looking at?
 *
 * A pinned stretch is the read section, and costs a reader nothing more. A grace period has passed when
 * every CPU has been seen outside of a pinned stretch since it began. Who takes something out of
 * sight and frees it a grace period later frees nothing that anybody can still reach:
 *
 *	reader			writer
 *	pin			take the last pointer to it away
 *	load the pointer	mw_grace_wait(), or mw_grace_defer()
 *	use it			free it
 *	unpin
 *
 * Every stop of the world is a grace period, whoever stopped it and why. So mm/ stops the world by
 * mw_stop_world() alone, which counts; each stop serves everybody who waits. See docs/design/base.md.
 */
#ifndef MW_BASE_GRACE_H
#define MW_BASE_GRACE_H

#include "assert.h"
#include "level.h"

/* A part of what is to be freed. */
struct mw_grace {
	struct mw_grace *next;
	void (*done)(struct mw_grace *item);
	unsigned long since; /* mw_grace_begin(), of when it was deferred */
};

struct mw_grace_state {
	mw_atomic_t begun; /* stops asked for; anyone counts up */
	mw_atomic_t served; /* the latest of them that every CPU answered; of who has stopped the world */
	struct mw_grace *_Atomic deferred; /* anyone pushes; mw_grace_run() takes all */
	_Atomic(bool) stopped; /* of who has stopped the world */
};

/*
 * mw_port_stop_world() and mw_port_start_world() with their contracts, and a grace period each time. A
 * port that cannot stop the other CPUs answers MW_MAX_CPUS. Not pinned, no lock held. mw_start_world()
 * runs what is due.
 */
int mw_stop_world(void);
void mw_start_world(void);

/* Begin a grace period, after what it is for was taken out of sight. Any context. Return: its name. */
unsigned long mw_grace_begin(void);
/* Has that one passed? Not pinned; never waits. */
bool mw_grace_passed(unsigned long since);

/*
 * Begin one and see it pass. Not pinned, no lock held, world not stopped by the caller, interrupts on. It may
 * stop the world, MW_GRACE_TRIES times at most. Return: false: none could be had; what it was for must
 * stay as it is.
 */
#define MW_GRACE_TRIES 4
MW_NOINLINE bool mw_grace_wait(void);

/*
 * Have @done run some time after a grace period that begins now. Any context, never waits. @done is
 * called in nobody's name: not pinned, no lock held, once; it may take locks and free, but not wait, stop
 * the world, or collect. Where no grace period can be had it never is.
 */
void mw_grace_defer(struct mw_grace *item, void (*done)(struct mw_grace *item));
/* Run what is due. Not pinned, no lock held. */
void mw_grace_run(void);
/* Run all that is deferred, with a stop of the world if it takes one: as mw_grace_wait(). Return: whether any was. */
MW_NOINLINE bool mw_grace_flush(void);

/*
 * What only a read section may do asserts it with this: the CPU is pinned, or the world is stopped, in which
 * no grace period passes.
 */
bool mw_grace_held_off(void);
#define MW_ASSERT_READER() MW_DASSERT(mw_grace_held_off())

#endif
