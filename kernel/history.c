// SPDX-License-Identifier: MIT
/* What the last collections came to, for pictures: a ring that a listener of the collector fills. */
#include <marrow/gc.h>
#include "kernel.h"
#include "history.h"

#if MW_GC

#define MOST 1024u

struct note {
	uint64_t end;
	size_t before, marked, goal, spans; /* bytes; spans: pages of all objects */
};

/* Written by the CPU that collects; one does at a time. */
static ARCH_PLAIN struct note notes[MOST];
static size_t noted;

static void hear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	struct note *note = &notes[noted % MOST];
	struct mw_page_stats pages;

	(void)self;
	if (moment != MW_GC_STARTED)
		return;
	mw_page_stats(&pages);
	note->end = arch_now();
	note->before = cycle->heap_before;
	note->marked = cycle->heap_marked;
	note->goal = cycle->goal;
	note->spans = pages.objects << MW_PAGE_SHIFT;
	noted++;
}

static struct mw_gc_listener listener = { .moment = hear };

void history_begin(void)
{
	noted = 0;
	mw_gc_listen(&listener);
}

static bool put(mw_sink_fn *sink, void *ctx, const char *text, size_t len)
{
	return sink(ctx, text, len);
}

static bool put_cycles(mw_sink_fn *sink, void *ctx)
{
	size_t first = noted > MOST ? noted - MOST : 0;
	char line[160];
	bool ok = true;

	for (size_t i = first; ok && i < noted; i++) {
		const struct note *note = &notes[i % MOST];
		size_t len = mw_format(
			line, sizeof(line),
			"%s{\"end\":%llu,\"before\":%zu,\"marked\":%zu,\"goal\":%zu,\"spans\":%zu}",
			i > first ? ",\n" : "\n", (unsigned long long)note->end, note->before,
			note->marked, note->goal, note->spans);

		ok = put(sink, ctx, line, len);
	}
	return ok;
}

static bool put_pauses(mw_sink_fn *sink, void *ctx)
{
	static struct mw_pause pauses[MW_PAUSES];
	size_t n = mw_pauses(pauses, MW_PAUSES);
	char line[64];
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = put(sink, ctx, line,
			 mw_format(line, sizeof(line), "%s[%llu,%llu]", i ? "," : "",
				   (unsigned long long)pauses[i].end,
				   (unsigned long long)pauses[i].ns));
	return ok;
}

bool history_write(mw_sink_fn *sink, void *ctx)
{
	static const char head[] = "{\"cycles\":[", middle[] = "],\n\"pauses\":[", tail[] = "]}\n";

	return put(sink, ctx, head, sizeof(head) - 1) && put_cycles(sink, ctx) &&
	       put(sink, ctx, middle, sizeof(middle) - 1) && put_pauses(sink, ctx) &&
	       put(sink, ctx, tail, sizeof(tail) - 1);
}

#else

void history_begin(void)
{
}

bool history_write(mw_sink_fn *sink, void *ctx)
{
	static const char nothing[] = "{\"cycles\":[],\"pauses\":[]}\n";

	return sink(ctx, nothing, sizeof(nothing) - 1);
}

#endif
