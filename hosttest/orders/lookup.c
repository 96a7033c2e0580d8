// SPDX-License-Identifier: MIT
/*
 * The page map, read without a lock: mm/page/span.h, span.c, map.c; and walks over all descriptors:
 * mm/base/meta.c.
 *
 * A region comes, whose leaves are reached in one step; a span in it is filled and published; a
 * pinned reader looks up its page. The region leaves, and after a grace period another one comes in
 * its place, whose words are elsewhere. The walk takes the descriptor from the list of records, and
 * reads it if it is a span.
 */
#include "orders.h"

enum {
	PAGES, /* mw_map_flat.pages */
	WORDS, /* mw_map_flat.spans: the leaf, 1 or 2 */
	WORD_1, /* the page's word, in the first leaf, and in the second */
	WORD_2,
	USED, /* chunk->used */
	IN_USE, /* span->in_use */
	OWNER, /* span->owner: whether it is one of objects */
	ASK, /* the port's */
	ANSWER,
	ANSWER_WALK,
};

enum {
	SPAN, /* the descriptor */
	LEAF_1, /* the leaves' memory: 0 until it is made zero, and when it is gone */
	LEAF_2,
	RECORD, /* what mw_fixed.first() makes of a record */
};

enum site_number {
	WAKE_WORDS,
	WAKE_PAGES,
	USED_SET,
	IN_USE_SET,
	PUBLISH,
	SET_OWNER,
	READ_PAGES,
	READ_WORDS,
	READ_WORD,
	SHUT,
	WALK_USED,
	WALK_IN_USE,
	WALK_OWNER,
};

/* flat_offer(), flat_grow() */
static void region_comes(unsigned int leaf)
{
	plain_write(LEAF_1 + leaf - 1, 1);
	store(WAKE_WORDS, WORDS, leaf);
	store(WAKE_PAGES, PAGES, 1);
}

/* mw_fixed_take_fresh(), take_step(), mw_span_fill(), mw_span_publish(), mw_slot_adopt() */
static void span_comes(void)
{
	plain_write(RECORD, 1);
	store(USED_SET, USED, 1);
	store(IN_USE_SET, IN_USE, 1);
	plain_write(SPAN, 1);
	store(PUBLISH, WORD_1, 1);
	(void)replace(SET_OWNER, OWNER, 0xff, 1);
}

/* flat_shut(), a grace period, mw_map_readers_gone() */
static void region_leaves(void)
{
	store(SHUT, PAGES, 0);
	store_as(RELEASE, ASK, 1);
	(void)await_as(ACQUIRE, ANSWER, 1, 1);
	(void)await_as(ACQUIRE, ANSWER_WALK, 1, 1);
	plain_write(LEAF_1, 0);
}

static void writer(void)
{
	switch (part()) {
	case 0:
		region_comes(1);
		go_on(1);
		break;
	case 1:
		span_comes();
		go_on(2);
		break;
	case 2:
		region_leaves();
		go_on(3);
		break;
	default:
		region_comes(2);
	}
}

/* mw_map_flat_number(), mw_span_fast(). Return: the word. */
static unsigned int map_get(void)
{
	unsigned int leaf;

	if (!load(READ_PAGES, PAGES))
		return 0;
	leaf = load(READ_WORDS, WORDS);
	must(leaf, "pages without words");
	if (!leaf)
		return 0;
	must(plain_read(LEAF_1 + leaf - 1), "a leaf that is not there");
	return load(READ_WORD, WORD_1 + leaf - 1);
}

static void look_up(void)
{
	if (map_get())
		must(plain_read(SPAN), "a span that is not filled yet");
}

static void answer(void)
{
	(void)await_as(ACQUIRE, ASK, 1, 1);
	store_as(RELEASE, ANSWER, 1);
}

static void reader(void)
{
	switch (part()) {
	case 0:
		look_up();
		go_on(1);
		break;
	case 1:
		answer();
		go_on(2);
		break;
	default:
		look_up();
	}
}

/* mw_fixed_next(), mw_span_readable(). Pinned. */
static void walk(void)
{
	if (!load(WALK_USED, USED))
		return;
	must(plain_read(RECORD), "a record that was not made yet");
	if (load(WALK_IN_USE, IN_USE) && load(WALK_OWNER, OWNER) && map_get())
		must(plain_read(SPAN), "a span that is not filled yet");
}

/* Who walks answers the port, too: behind the walk, as it is over soon. */
static void walker(void)
{
	if (part() == 0) {
		walk();
		go_on(1);
	} else {
		(void)await_as(ACQUIRE, ASK, 1, 1);
		store_as(RELEASE, ANSWER_WALK, 1);
	}
}

const struct protocol lookup_protocol = {
	.name = "lookup",
	.about = "the page map and the walk over descriptors, without a lock",
	.thread = { "writer", "reader", "walker" },
	.run = { writer, reader, walker },
	.location = { "map_flat.pages", "map_flat.spans", "page's word", "page's new word",
		      "chunk->used", "span->in_use", "span->owner", "port: request", "port: answer", "port: answer 2" },
	.plain = { "the descriptor", "the leaf", "the new leaf", "the record" },
	.sites = {
		[WAKE_WORDS] = { "flat_offer", "store map_flat.spans", RELAXED, STORE },
		[WAKE_PAGES] = { "flat_grow", "store map_flat.pages", RELEASE, STORE },
		[USED_SET] = { "mw_fixed_take_fresh", "store chunk->used", RELEASE, STORE },
		[IN_USE_SET] = { "take_step", "store span->in_use", RELEASE, STORE },
		[PUBLISH] = { "write_in_leaf", "store word", RELEASE, STORE },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[READ_PAGES] = { "mw_map_flat_number", "load map_flat.pages", ACQUIRE, LOAD },
		[READ_WORDS] = { "mw_span_fast", "load map_flat.spans", RELAXED, LOAD },
		[READ_WORD] = { "mw_span_fast", "load word", ACQUIRE, LOAD },
		[SHUT] = { "flat_shut", "store map_flat.pages", RELAXED, STORE },
		[WALK_USED] = { "mw_fixed_next", "load chunk->used", ACQUIRE, LOAD },
		[WALK_IN_USE] = { "mw_span_readable", "load span->in_use", ACQUIRE, LOAD },
		[WALK_OWNER] = { "mw_owner", "load span->owner, readable", ACQUIRE, LOAD },
	},
	.least = 500,
};
