// SPDX-License-Identifier: MIT
/* A line for each cycle, for whoever has switched it on. */
#include "gc.h"

#if MW_GC

#include "../base/report.h"
#include "../page/page.h"

void mw_gc_trace(bool on)
{
	mw_set_word(&mw_gc.trace, on);
	mw_scavenge_trace(on);
}

void mw_gc_print_line(const struct mw_gc_cycle *c)
{
	struct mw_object_totals totals;

	mw_object_totals(&totals);
	mw_print("gc %lu: %u markers, stop %lu us, roots %lu, mark %lu, start %lu, sweep %lu; "
		 "%zu -> %zu KiB, goal %zu; %zu objects, %zu words; "
		 "%zu + %zu spans swept, %lu steals, %lu yields, %lu handed over; "
		 "%lu objects ever, %lu freed\n",
		 c->number, c->markers, (unsigned long)c->stop_ns / 1000,
		 (unsigned long)c->roots_ns / 1000, (unsigned long)c->mark_ns / 1000,
		 (unsigned long)c->start_ns / 1000, (unsigned long)c->sweep_ns / 1000,
		 c->heap_before >> 10, c->heap_marked >> 10, c->goal >> 10, c->objects_marked,
		 c->words_scanned, c->spans_swept_background, c->spans_swept_on_demand, c->steals,
		 c->yields, c->handovers, totals.allocs, totals.frees);
}

#endif
