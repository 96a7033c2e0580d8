// SPDX-License-Identifier: MIT
/*
 * Two CPUs free one raw page at the same moment: mm/page/stock.h, stock.c, pages.c. CPU 0 frees
 * into its stock, CPU 1 into its own or to the heap. Another CPU empties CPU 0's stock, and takes
 * the page for itself. All of the page's word is relaxed; what is in the page goes by the locks.
 */
#include "orders.h"

enum {
	WORD, /* of the page, in the page map */
	LOCK_0, /* stock->lock */
	LOCK_1,
	HEAP, /* mw_page.heap */
};

enum {
	PAGE, /* what is in it */
	SHELF_0, /* runs in a stock */
	SHELF_1,
	RUNS, /* in the heap */
};

enum { /* ghosts */
	REPORTS,
	FREES,
};

enum {
	TO_STOCKS, /* both */
	TO_HEAP, /* the second one */
	ONE, /* there is no second one */
};

#define IN_USE 1u
#define STOCKED 3u

enum site_number {
	PUT_LOOK,
	PUT,
	FREE_LOOK,
	FREE,
	FREE_WORD,
	GIVE_WORD,
	TAKE_WORD,
	OUT_LOOK,
	OUT_WORD,
};

static void count(bool done)
{
	unsigned int which = done ? FREES : REPORTS;

	set_ghost(which, ghost(which) + 1);
}

/* mw_stock_put() */
static void stock_put(unsigned int cpu)
{
	unsigned int value;
	bool ours;

	lock(LOCK_0 + cpu);
	value = load(PUT_LOOK, WORD);
	ours = value == IN_USE && compare_exchange(PUT, PUT_LOOK, WORD, &value, STOCKED);
	count(ours);
	if (ours)
		plain_write(SHELF_0 + cpu, plain_read(SHELF_0 + cpu) + 1);
	unlock(LOCK_0 + cpu);
}

/* free_hard() */
static void free_hard(void)
{
	unsigned int value;
	bool ours;

	lock(HEAP);
	value = load(FREE_LOOK, WORD);
	ours = value == IN_USE && compare_exchange(FREE, FREE_LOOK, WORD, &value, STOCKED);
	count(ours);
	if (ours) {
		store(FREE_WORD, WORD, 0);
		plain_write(RUNS, plain_read(RUNS) + 1);
	}
	unlock(HEAP);
}

/* What is in the page is its user's until the free, of which there is one then. */
static void first(void)
{
	if (way == ONE)
		plain_write(PAGE, 1);
	stock_put(0);
}

static void second(void)
{
	if (way == TO_STOCKS)
		stock_put(1);
	else if (way == TO_HEAP)
		free_hard();
}

/* drain_some(), give_batch() */
static void drain(void)
{
	bool got;

	lock(LOCK_0);
	got = plain_read(SHELF_0);
	plain_write(SHELF_0, 0);
	unlock(LOCK_0);
	if (!got)
		return;
	lock(HEAP);
	store(GIVE_WORD, WORD, 0);
	plain_write(RUNS, plain_read(RUNS) + 1);
	unlock(HEAP);
}

/* take_batch(), mw_stock_refill() */
static void take(void)
{
	bool got;

	lock(HEAP);
	got = plain_read(RUNS);
	must(plain_read(RUNS) <= 1, "twice in the heap");
	if (got) {
		plain_write(RUNS, 0);
		store(TAKE_WORD, WORD, STOCKED);
	}
	unlock(HEAP);
	if (!got)
		return;
	store(OUT_WORD, WORD, load(OUT_LOOK, WORD) & IN_USE);
	if (way == ONE)
		plain_write(PAGE, 2);
}

static void third(void)
{
	if (part() == 0) {
		drain();
		go_on(1);
	} else {
		take();
	}
}

static void start(void)
{
	begin_with(WORD, IN_USE);
}

static const char *at_the_end(void)
{
	return last_ghost(FREES) + last_ghost(REPORTS) == (way == ONE ? 1 : 2)
		       ? NULL
		       : "neither done nor reported";
}

const struct protocol stock_protocol = {
	.name = "stock",
	.about = "two frees of one raw page at the same moment",
	.thread = { "CPU 0", "CPU 1", "CPU 2" },
	.run = { first, second, third },
	.location = { "the page's word", "stock 0's lock", "stock 1's lock", "heap lock" },
	.plain = { "the page", "stock 0", "stock 1", "heap" },
	.sites = {
		[PUT_LOOK] = { "mw_stock_put", "load word", RELAXED, LOAD },
		[PUT] = { "mw_stock_put", "compare_exchange word", RELAXED, UPDATE },
		[FREE_LOOK] = { "free_hard", "load word", RELAXED, LOAD },
		[FREE] = { "free_hard", "compare_exchange word", RELAXED, UPDATE },
		[FREE_WORD] = { "free_hard", "store word", RELAXED, STORE },
		[GIVE_WORD] = { "give_batch", "store word", RELAXED, STORE },
		[TAKE_WORD] = { "take_batch", "store word", RELAXED, STORE },
		[OUT_LOOK] = { "mw_stock_refill", "load word", RELAXED, LOAD },
		[OUT_WORD] = { "mw_stock_refill", "store word", RELAXED, STORE },
	},
	.ways = 3,
	.start = start,
	.wrong = at_the_end,
	.least = 500,
};
