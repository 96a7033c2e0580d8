/* SPDX-License-Identifier: MIT */
/* The event trace's rings: trace.c writes them, trace_json.c reads them. */
#ifndef MW_WATCH_TRACE_H
#define MW_WATCH_TRACE_H

#include "../base/event.h"
#include "watch.h"

#if MW_WATCH

#define MW_RING 512ul /* events that a CPU remembers */

struct mw_entry {
	mw_atomic_t turn;
	_Atomic(uint32_t) when_low, when_high; /* mw_port_now(), at the end of what took time */
	mw_atomic_t a, b;
	_Atomic(unsigned int) what;
};

struct mw_ring {
	mw_atomic_t written; /* events, ever */
	struct mw_entry entry[MW_RING]; /* the n-th at n % MW_RING */
};

struct mw_trace_state {
	struct mw_ring *_Atomic ring[MW_MAX_CPUS];
};

extern struct mw_trace_state mw_trace_state;

struct mw_event_seen {
	uint64_t when;
	enum mw_event what;
	unsigned long a, b;
};

/* The event with number @turn. Return: false: it is not there any more. */
bool mw_ring_read(struct mw_ring *ring, unsigned long turn, struct mw_event_seen *seen);
void mw_watch_reset(void);

#endif
#endif
