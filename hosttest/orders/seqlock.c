// SPDX-License-Identifier: MIT
/*
 * The sorted tables of regions, read without a lock: mm/page/region.c. One region is there, another
 * one is put before it, and taken out again; a reader looks for what is in the first. Changes are
 * made under a lock.
 */
#include "orders.h"

enum {
	SEQ, /* mw_page.seq */
	COUNT, /* mw_page.nr_regions */
	SLOT_0, /* mw_page.by_address[] */
	SLOT_1,
};

enum {
	RECORD_1, /* what is in the region's record: made before it is in a table */
	RECORD_2,
};

#define FIRST 1u /* region, by number: the one that is there all the time */
#define SECOND 2u

enum site_number {
	COUNT_OWN,
	SEQ_OWN,
	SEQ_ODD,
	SLOT_MOVE,
	SLOT_SET,
	COUNT_SET,
	SEQ_EVEN,
	SEQ_READ,
	COUNT_READ,
	SLOT_READ,
	READ_FENCE,
	SEQ_AGAIN,
};

static void change_begins(void)
{
	store(SEQ_ODD, SEQ, load(SEQ_OWN, SEQ) + 1);
}

static void change_ends(void)
{
	store(SEQ_EVEN, SEQ, load(SEQ_OWN, SEQ) + 1);
}

/* mw_tables_insert(), table_insert(); mw_tables_remove(), table_remove() */
static void writer(void)
{
	if (part() == 0) {
		plain_write(RECORD_2, 1);
		change_begins();
		store(SLOT_MOVE, SLOT_1, FIRST);
		store(SLOT_SET, SLOT_0, SECOND);
		store(COUNT_SET, COUNT, 2);
		change_ends();
		go_on(1);
	} else {
		change_begins();
		store(SLOT_MOVE, SLOT_0, FIRST);
		store(SLOT_SET, SLOT_1, 0);
		store(COUNT_SET, COUNT, 1);
		change_ends();
	}
}

/*
 * lookup(), table_find(): the last one whose key is not higher, that of SECOND being lower than
 * that of FIRST.
 */
static void reader(void)
{
	unsigned int seq = load(SEQ_READ, SEQ), lo = 0, hi = load(COUNT_READ, COUNT), found = 0;

	while (lo < hi) {
		unsigned int middle = (lo + hi) / 2, region = load(SLOT_READ, SLOT_0 + middle);

		if (!region) {
			hi = middle;
			continue;
		}
		must(plain_read(region == FIRST ? RECORD_1 : RECORD_2),
		     "a record that was not made yet");
		found = region;
		lo = middle + 1;
	}
	fence(READ_FENCE);
	if (!(seq & 1) && load(SEQ_AGAIN, SEQ) == seq)
		must(found == FIRST, "a table in between was believed");
}

static void start(void)
{
	begin_with(COUNT, 1);
	begin_with(SLOT_0, FIRST);
	begin_plain(RECORD_1, 1);
}

const struct protocol seqlock_protocol = {
	.name = "seqlock",
	.about = "tables of regions that are read without a lock",
	.thread = { "writer", "reader" },
	.run = { writer, reader },
	.location = { "page.seq", "page.nr_regions", "by_address[0]", "by_address[1]" },
	.plain = { "region 1", "region 2" },
	.sites = {
		[COUNT_OWN] = { "mw_tables_insert", "load page.nr_regions", RELAXED, LOAD },
		[SEQ_OWN] = { "mw_tables_insert", "load page.seq", RELAXED, LOAD },
		[SEQ_ODD] = { "mw_tables_insert", "store page.seq, odd", RELAXED, STORE },
		[SLOT_MOVE] = { "table_insert", "store by_address[], moved", RELEASE, STORE },
		[SLOT_SET] = { "table_insert", "store by_address[], new", RELEASE, STORE },
		[COUNT_SET] = { "mw_tables_insert", "store page.nr_regions", RELEASE, STORE },
		[SEQ_EVEN] = { "mw_tables_insert", "store page.seq, even", RELEASE, STORE },
		[SEQ_READ] = { "lookup", "load page.seq", ACQUIRE, LOAD },
		[COUNT_READ] = { "lookup", "load page.nr_regions", RELAXED, LOAD },
		[SLOT_READ] = { "slot_get", "load by_address[]", ACQUIRE, LOAD },
		[READ_FENCE] = { "lookup", "fence", ACQUIRE, FENCE },
		[SEQ_AGAIN] = { "lookup", "load page.seq, again", RELAXED, LOAD },
	},
	.start = start,
	.least = 500,
};
