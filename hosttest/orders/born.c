// SPDX-License-Identifier: MIT
/*
 * Spans that handlers make while the end of a mark runs: mm/gc/special.c, sweep.c, mark.c,
 * mm/object/large.c, span.c. The collector finds a word that looks like a pointer to the new
 * object, and marks it if it is live. In the end it clears the marks of what was born: no sweep
 * will, and an object that is marked when the next mark begins is not scanned.
 *
 * First: a large object. Second: a span of a cache.
 */
#include "orders.h"

enum {
	USED, /* chunk->used: whether there is a descriptor */
	WORD, /* the page's word in the map */
	BIRTHS, /* mw_gc.marking.births */
	GENERATION, /* the span's */
	FREE,
	OWNER,
	MARK,
	GRABS, /* mw_special.grabs */
};

enum {
	SPAN, /* the descriptor */
};

enum {
	LARGE,
	SMALL,
};

#define LIVE 1u /* of FREE: 0 until it is */
#define GONE 1u
#define OWNED 2u
#define NEXT_GENERATION 9u

enum site_number {
	RECORD,
	PUBLISH,
	BIRTHS_UP,
	BORN,
	SHOW,
	TAKE,
	SET_OWNER,
	WORD_READ,
	FREE_READ,
	MARK_SET,
	CLOSE,
	CLOSE_FAILED,
	FOUND,
	BIRTHS_LOOK,
	USED_READ,
	GENERATION_READ,
	MARK_CLEAR,
};

/* mw_span_alloc(), mw_span_fill() */
static void describe(void)
{
	store(RECORD, USED, 1);
	plain_write(SPAN, 1);
}

/* mw_up_span_born() */
static void born(void)
{
	(void)fetch_add(BIRTHS_UP, BIRTHS, 1);
	store(BORN, GENERATION, NEXT_GENERATION);
}

/* mw_large_fill(), mw_large_show() */
static void large(void)
{
	describe();
	store(PUBLISH, WORD, 1);
	born();
	store(SHOW, FREE, LIVE);
	(void)replace(SET_OWNER, OWNER, 0xff, OWNED);
}

/* mw_span_make(), mw_slot_adopt(), mw_slot_take() */
static void small(void)
{
	describe();
	born();
	store(PUBLISH, WORD, 1);
	(void)replace(SET_OWNER, OWNER, 0xff, OWNED);
	store(TAKE, FREE, LIVE);
}

static void handler(void)
{
	if (way == LARGE)
		large();
	else
		small();
}

/* mw_target_find(), mw_mark_word() */
static void mark(void)
{
	if (!load(WORD_READ, WORD))
		return;
	(void)plain_read(SPAN);
	if (load(FREE_READ, FREE) == LIVE)
		store(MARK_SET, MARK, 1);
}

/* clear_born(), over all descriptors */
static void clear_born(void)
{
	fence(FOUND);
	if (load(BIRTHS_LOOK, BIRTHS) && load(USED_READ, USED) &&
	    load(GENERATION_READ, GENERATION) == NEXT_GENERATION) {
		(void)plain_read(SPAN);
		store(MARK_CLEAR, MARK, 0);
	}
}

static void collector(void)
{
	unsigned int open = 0;

	if (part() == 0) {
		mark();
		go_on(1);
	} else if (part() == 1) {
		must(compare_exchange(CLOSE, CLOSE_FAILED, GRABS, &open, 1), "closed twice");
		go_on(2);
	} else {
		clear_born();
	}
}

static void start(void)
{
	begin_with(OWNER, GONE);
}

static const char *at_the_end(void)
{
	return last(MARK) ? "a mark is left for the next one" : NULL;
}

const struct protocol born_protocol = {
	.name = "born",
	.about = "spans that handlers make at the end of a mark",
	.thread = { "collector", "handler" },
	.run = { collector, handler },
	.location = { "chunk->used", "page's word", "marking.births", "span->generation", "span->free", "span->owner",
		      "span->mark", "special.grabs" },
	.plain = { "the descriptor" },
	.sites = {
		[RECORD] = { "mw_fixed_take_fresh", "store chunk->used", RELEASE, STORE },
		[PUBLISH] = { "write_in_leaf", "store word", RELEASE, STORE },
		[BIRTHS_UP] = { "mw_up_span_born", "fetch_add marking.births", RELAXED, UPDATE },
		[BORN] = { "mw_up_span_born", "store span->generation", RELEASE, STORE },
		[SHOW] = { "mw_large_show", "store span->free[0]", RELEASE, STORE },
		[TAKE] = { "mw_slot_take", "store span->free", RELAXED, STORE },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[WORD_READ] = { "mw_target_find", "load word", ACQUIRE, LOAD },
		[FREE_READ] = { "mw_mark_word", "load span->free", RELAXED, LOAD },
		[MARK_SET] = { "mw_mark_word", "store span->mark", RELAXED, STORE },
		[CLOSE] = { "mw_weaks_close", "compare_exchange special.grabs", SEQ_CST, UPDATE },
		[CLOSE_FAILED] = { "mw_weaks_close", "compare_exchange special.grabs, failed", SEQ_CST, LOAD },
		[FOUND] = { "clear_born", "fence", ACQUIRE, FENCE },
		[BIRTHS_LOOK] = { "clear_born", "load marking.births", RELAXED, LOAD },
		[USED_READ] = { "mw_fixed_next", "load chunk->used", ACQUIRE, LOAD },
		[GENERATION_READ] = { "generation_of", "load span->generation", ACQUIRE, LOAD },
		[MARK_CLEAR] = { "mw_sweep_clear", "store span->mark", RELEASE, STORE },
	},
	.ways = 2,
	.start = start,
	.wrong = at_the_end,
	.least = 100,
};
