// SPDX-License-Identifier: MIT
/*
 * Marks and queued spans: mm/gc/mark.c, scan.h. A span is in the queue of one marker, with an
 * object marked; the others mark another object of it, or the same one, from elsewhere. In the end
 * all that is marked has been scanned, once.
 */
#include "orders.h"

enum {
	MARK, /* span->mark[0]: bits of three objects */
	SCANNED, /* span->scanned[0] */
	QUEUED, /* span->queued */
};

enum {
	NEXT, /* span->gc_next */
};

enum { /* ghosts */
	SEEN, /* objects that were scanned */
};

#define FIRST 1u
#define SECOND 2u
#define THIRD 4u

enum site_number {
	MARK_LOOK,
	MARK_SET,
	QUEUED_LOOK,
	QUEUED_ASK,
	QUEUED_SET,
	QUEUED_CLEAR,
	SCANNED_LOOK,
	MARK_READ,
	CLAIM,
};

/* scan_span(), mw_scan_claim() */
static void scan_span(void)
{
	unsigned int todo, old;

	(void)plain_read(NEXT);
	(void)exchange(QUEUED_CLEAR, QUEUED, 0);
	old = load(SCANNED_LOOK, SCANNED);
	todo = load(MARK_READ, MARK) & ~old;
	if (!todo)
		return;
	todo &= ~fetch_or(CLAIM, SCANNED, todo);
	must(!(ghost(SEEN) & todo), "scanned twice");
	set_ghost(SEEN, ghost(SEEN) | todo);
}

/* mw_mark_settle_all(), test_and_queue(). Return: the span is this marker's to scan. */
static bool settle(unsigned int bit)
{
	if (load(MARK_LOOK, MARK) & bit)
		return false;
	(void)fetch_or(MARK_SET, MARK, bit);
	if (load(QUEUED_LOOK, QUEUED) || load(QUEUED_ASK, QUEUED) || exchange(QUEUED_SET, QUEUED, 1))
		return false;
	plain_write(NEXT, 0);
	return true;
}

static void first(void)
{
	scan_span();
}

static void mark_and_scan(unsigned int bit)
{
	if (part() == 0) {
		if (settle(bit))
			go_on(1);
	} else {
		scan_span();
	}
}

static void second(void)
{
	mark_and_scan(SECOND);
}

static void third(void)
{
	mark_and_scan(way ? THIRD : SECOND);
}

static void start(void)
{
	begin_with(MARK, FIRST);
	begin_with(QUEUED, 1);
}

static const char *at_the_end(void)
{
	if (last(SCANNED) != last(MARK) || last_ghost(SEEN) != last(MARK))
		return "marked but never scanned";
	return last(QUEUED) ? "queued, and in no queue" : NULL;
}

const struct protocol mark_protocol = {
	.name = "mark",
	.about = "marks, and queued spans",
	.thread = { "marker 1", "marker 2", "marker 3" },
	.run = { first, second, third },
	.location = { "span->mark", "span->scanned", "span->queued" },
	.plain = { "span->gc_next" },
	.sites = {
		[MARK_LOOK] = { "mw_mark_settle_all", "load span->mark", RELAXED, LOAD },
		[MARK_SET] = { "mw_mark_settle_all", "fetch_or span->mark", SEQ_CST, UPDATE },
		[QUEUED_LOOK] = { "mw_mark_settle_all", "load span->queued", SEQ_CST, LOAD },
		[QUEUED_ASK] = { "test_and_queue", "load span->queued", SEQ_CST, LOAD },
		[QUEUED_SET] = { "test_and_queue", "exchange span->queued", SEQ_CST, UPDATE },
		[QUEUED_CLEAR] = { "scan_span", "exchange span->queued", SEQ_CST, UPDATE },
		[SCANNED_LOOK] = { "mw_scan_claim", "load span->scanned", RELAXED, LOAD },
		[MARK_READ] = { "mw_scan_claim", "load span->mark", SEQ_CST, LOAD },
		[CLAIM] = { "mw_scan_claim", "fetch_or span->scanned", RELAXED, UPDATE },
	},
	.ways = 2,
	.start = start,
	.wrong = at_the_end,
	.least = 10000,
};
