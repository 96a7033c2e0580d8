// SPDX-License-Identifier: MIT
/*
 * See grace.h.
 *
 * Stops have numbers, given out before the port is asked. A grace period is named by the last number
 * that was given out when it began: any stop with a later one began later, and when all CPUs have
 * answered that, it has passed. Each arrow is a release that is read by an acquire:
 *
 *	out of sight -> begun -> request to stop -> answers -> served -> free
 *
 * hosttest/test_model_grace.c has all interleavings.
 */
#include "grace.h"
#include "state.h"

/* Numbers may wrap. */
static bool is_later(unsigned long a, unsigned long b)
{
	return (long)(a - b) > 0;
}

int mw_stop_world(void)
{
	struct mw_grace_state *grace = &mw_base.grace;
	unsigned long number;
	int culprit;

	if (!MW_CAN_STOP)
		return MW_MAX_CPUS;
	number = atomic_fetch_add_explicit(&grace->begun, 1, memory_order_acq_rel) + 1;
	culprit = mw_port_stop_world();
	if (culprit >= 0)
		return culprit;
	/* Of two who asked at once the later number may have had its turn first. */
	if (is_later(number, atomic_load_explicit(&grace->served, memory_order_relaxed)))
		atomic_store_explicit(&grace->served, number, memory_order_release);
	atomic_store_explicit(&grace->stopped, true, memory_order_relaxed);
	return culprit;
}

void mw_start_world(void)
{
	atomic_store_explicit(&mw_base.grace.stopped, false, memory_order_relaxed);
	mw_port_start_world();
	mw_grace_run();
}

/* A write, though nothing changes: the next stop's is ordered behind it. */
unsigned long mw_grace_begin(void)
{
	return atomic_fetch_add_explicit(&mw_base.grace.begun, 0, memory_order_acq_rel);
}

/* Where there is one CPU, whoever is not pinned is the proof. */
bool mw_grace_passed(unsigned long since)
{
	return MW_MAX_CPUS == 1 ||
	       is_later(atomic_load_explicit(&mw_base.grace.served, memory_order_acquire), since);
}

MW_NOINLINE bool mw_grace_wait(void)
{
	unsigned long since = mw_grace_begin();

	for (unsigned int i = 0; i < MW_GRACE_TRIES && !mw_grace_passed(since); i++) {
		if (mw_stop_world() < 0)
			mw_start_world();
	}
	return mw_grace_passed(since);
}

static void push(struct mw_grace *first, struct mw_grace *last)
{
	struct mw_grace *_Atomic *list = &mw_base.grace.deferred;
	struct mw_grace *next = atomic_load_explicit(list, memory_order_relaxed);

	do {
		last->next = next;
	} while (!atomic_compare_exchange_weak_explicit(list, &next, first, memory_order_release,
							memory_order_relaxed));
}

void mw_grace_defer(struct mw_grace *item, void (*done)(struct mw_grace *item))
{
	item->done = done;
	item->since = mw_grace_begin();
	push(item, item);
}

/* Who takes the list has it alone; what is not due goes back. */
void mw_grace_run(void)
{
	struct mw_grace *_Atomic *list = &mw_base.grace.deferred;
	struct mw_grace *item, *next, *first = NULL, *last = NULL;

	if (mw_likely(!atomic_load_explicit(list, memory_order_relaxed)))
		return;
	for (item = atomic_exchange_explicit(list, NULL, memory_order_acquire); item; item = next) {
		next = item->next;
		if (mw_grace_passed(item->since)) {
			item->done(item);
			continue;
		}
		item->next = first;
		first = item;
		if (!last)
			last = item;
	}
	if (first)
		push(first, last);
}

MW_NOINLINE bool mw_grace_flush(void)
{
	struct mw_grace *_Atomic *list = &mw_base.grace.deferred;

	if (!atomic_load_explicit(list, memory_order_relaxed))
		return false;
	mw_grace_run();
	return !atomic_load_explicit(list, memory_order_relaxed) || mw_grace_wait();
}

bool mw_grace_held_off(void)
{
	return mw_port_pinned() || atomic_load_explicit(&mw_base.grace.stopped, memory_order_relaxed);
}
