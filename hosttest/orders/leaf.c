// SPDX-License-Identifier: MIT
/*
 * The page map where it grows: mm/page/map.c, map.h, span.h. A large region comes beside a small
 * one: its table, its leaf, and then its leaves are those that are reached in one step. One reader
 * goes by the table, to any address; the other one wants the word of a page of the small region,
 * which is in use, and must not be sent to a page of the new one.
 */
#include "orders.h"

enum {
	ROOT, /* mw_map_root[], of the new region */
	SPANS, /* leaf->spans, there */
	FIRST, /* mw_map_flat.first, .pages and .runs */
	PAGES,
	RUNS,
};

enum {
	TABLE, /* the new table, and the words of the new leaf: made zero before */
	WORDS,
};

/* Pages by number: the small region's one, and the first of the new one's. */
#define PAGE 1u
#define NEW_FIRST 8u
#define NEW_PAGES 4u

enum site_number {
	NEW_TABLE,
	WAKE,
	OFFER_FIRST,
	OFFER_RUNS,
	GROW,
	ROOT_READ,
	SPANS_READ,
	PAGES_READ,
	FIRST_READ,
	RUNS_READ,
};

/* mw_map_come(), mw_map_wake() */
static void writer(void)
{
	plain_write(TABLE, 1);
	store(NEW_TABLE, ROOT, 1);
	plain_write(WORDS, 1);
	store(WAKE, SPANS, 1);
	store(OFFER_FIRST, FIRST, NEW_FIRST);
	store(OFFER_RUNS, RUNS, 1);
	store(GROW, PAGES, NEW_PAGES);
}

/* mw_map_table(), mw_span_far() */
static void any_address(void)
{
	if (!load(ROOT_READ, ROOT))
		return;
	must(plain_read(TABLE), "a table that was not made yet");
	if (load(SPANS_READ, SPANS))
		must(plain_read(WORDS), "words that were not made zero yet");
}

/*
 * mw_map_at(), of the small region's page and of the first of the new one, which is not in use yet
 */
static void page_in_use(void)
{
	unsigned int pages = load(PAGES_READ, PAGES), first = load(FIRST_READ, FIRST);

	if ((unsigned char)(PAGE - first) < pages)
		wrong("another page's word");
	if ((unsigned char)(NEW_FIRST - first) < pages && load(RUNS_READ, RUNS))
		must(plain_read(WORDS), "words that were not made zero yet");
}

const struct protocol leaf_protocol = {
	.name = "leaf",
	.about = "the page map where it grows",
	.thread = { "writer", "any address", "page in use" },
	.run = { writer, any_address, page_in_use },
	.location = { "map_root[]", "leaf->spans", "map_flat.first", "map_flat.pages", "map_flat.runs" },
	.plain = { "the table", "the leaf's words" },
	.sites = {
		[NEW_TABLE] = { "new_table", "store map_root[]", RELEASE, STORE },
		[WAKE] = { "wake", "store leaf->spans", RELEASE, STORE },
		[OFFER_FIRST] = { "flat_offer", "store map_flat.first", RELAXED, STORE },
		[OFFER_RUNS] = { "flat_offer", "store map_flat.runs", RELAXED, STORE },
		[GROW] = { "flat_grow", "store map_flat.pages", RELEASE, STORE },
		[ROOT_READ] = { "mw_map_table", "load map_root[]", ACQUIRE, LOAD },
		[SPANS_READ] = { "mw_span_far", "load leaf->spans", ACQUIRE, LOAD },
		[PAGES_READ] = { "mw_map_at", "load map_flat.pages", ACQUIRE, LOAD },
		[FIRST_READ] = { "mw_map_at", "load map_flat.first", RELAXED, LOAD },
		[RUNS_READ] = { "mw_map_at", "load map_flat.runs", RELAXED, LOAD },
	},
	.least = 50,
};
