// SPDX-License-Identifier: MIT
/*
 * The event trace: a ring for each CPU, written by that CPU alone, pinned, and read by anyone.
 *
 * An entry's @turn is the number of the event that it holds, counted from 1; 0 while it is being
 * written. A reader takes @turn before and after the rest: if it is what the reader looks for both
 * times, the entry is whole. The rest is stored with release and loaded with acquire, so who sees a
 * part of a newer event sees that @turn changed.
 *
 * A ring is made when its CPU has its first event, and stays.
 */
#include "profile.h"
#include "trace.h"

#if MW_WATCH

#include "../gc/gc.h"

struct mw_trace_state mw_trace_state;

/* Pinned. NULL: no memory, and the event is lost. */
static struct mw_ring *ring_here(void)
{
	struct mw_ring *_Atomic *ring = &mw_trace_state.ring[mw_port_cpu()];
	struct mw_ring *mine = atomic_load_explicit(ring, memory_order_relaxed);

	if (mw_likely(mine))
		return mine;
	mine = mw_persist(sizeof(*mine), MW_CACHE_LINE, MW_USE_WATCH);
	atomic_store_explicit(ring, mine, memory_order_release);
	return mine;
}

void mw_up_event(enum mw_event what, unsigned long a, unsigned long b)
{
	unsigned long state = mw_port_pin(), turn;
	struct mw_ring *ring = ring_here();
	uint64_t when = mw_port_now();
	struct mw_entry *entry;

	if (ring) {
		turn = mw_word(&ring->written) + 1;
		entry = &ring->entry[turn % MW_RING];
		atomic_store_explicit(&entry->turn, 0, memory_order_relaxed);
		atomic_store_explicit(&entry->when_low, (uint32_t)when, memory_order_release);
		atomic_store_explicit(&entry->when_high, (uint32_t)(when >> 32),
				      memory_order_release);
		atomic_store_explicit(&entry->what, what, memory_order_release);
		atomic_store_explicit(&entry->a, a, memory_order_release);
		atomic_store_explicit(&entry->b, b, memory_order_release);
		atomic_store_explicit(&entry->turn, turn, memory_order_release);
		atomic_store_explicit(&ring->written, turn, memory_order_release);
	}
	mw_port_unpin(state);
}

bool mw_ring_read(struct mw_ring *ring, unsigned long turn, struct mw_event_seen *seen)
{
	struct mw_entry *entry = &ring->entry[turn % MW_RING];

	if (atomic_load_explicit(&entry->turn, memory_order_acquire) != turn)
		return false;
	seen->when = atomic_load_explicit(&entry->when_low, memory_order_acquire);
	seen->when |= (uint64_t)atomic_load_explicit(&entry->when_high, memory_order_acquire) << 32;
	seen->what = (enum mw_event)atomic_load_explicit(&entry->what, memory_order_acquire);
	seen->a = atomic_load_explicit(&entry->a, memory_order_acquire);
	seen->b = atomic_load_explicit(&entry->b, memory_order_acquire);
	return atomic_load_explicit(&entry->turn, memory_order_relaxed) == turn;
}

#if MW_GC
static void moment(struct mw_gc_listener *self, enum mw_gc_moment moment,
		   const struct mw_gc_cycle *cycle)
{
	(void)self;
	switch (moment) {
	case MW_GC_STOPPED:
		mw_event(MW_EVENT_STOP, cycle->number, (unsigned long)cycle->stop_ns);
		break;
	case MW_GC_ROOTS_DONE:
		mw_event(MW_EVENT_ROOTS, cycle->number, (unsigned long)cycle->roots_ns);
		mw_event(MW_EVENT_HEAP, cycle->heap_before, 0);
		break;
	case MW_GC_MARKED:
		mw_event(MW_EVENT_MARK, cycle->objects_marked, (unsigned long)cycle->mark_ns);
		mw_event(MW_EVENT_HEAP, cycle->heap_marked, 0);
		break;
	case MW_GC_STARTED:
		mw_event(MW_EVENT_START, cycle->number, (unsigned long)cycle->start_ns);
		break;
	case MW_GC_SWEPT:
		mw_event(MW_EVENT_SWEEP, cycle->spans, (unsigned long)cycle->sweep_ns);
		break;
	default:
		break;
	}
}

static struct mw_gc_listener listener = { .moment = moment };

/* It stays in the list, which its lock guards: what it says while the trace is off is not noted. */
static void listen(void)
{
	(void)mw_gc_listen_once(&listener);
}
#else
static void listen(void)
{
}
#endif

bool mw_trace_on(bool on)
{
	unsigned long state;
	bool ok = true;

	if (on) {
		state = mw_port_pin();
		ok = ring_here() != NULL;
		mw_port_unpin(state);
	}
	if (ok && on)
		listen();
	if (ok)
		atomic_store_explicit(&mw_event_on, on, memory_order_relaxed);
	return ok;
}

/* By mw_reset(). */
void mw_watch_reset(void)
{
	atomic_store_explicit(&mw_event_on, false, memory_order_relaxed);
	__builtin_memset((void *)&mw_trace_state, 0, sizeof(mw_trace_state));
	mw_profile_reset();
}

#endif
