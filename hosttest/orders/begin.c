// SPDX-License-Identifier: MIT
/*
 * Stocks of pages that begin while all are closed and opened: mm/page/stock.c, begin_locked() and
 * set_all(). In the end each that has begun is what was said last.
 */
#include "orders.h"

enum {
	TURN, /* mw_page.stocks_turn; odd: open */
	BEGUN, /* mw_page.stocks_begun */
	LOCK, /* stock->lock */
};

enum {
	LIMIT, /* of the stock: whether it is open */
};

enum site_number {
	BEGUN_ASK,
	TURN_READ,
	BEGUN_SET,
	TURN_AGAIN,
	TURN_OWN,
	TURN_SET,
	BEGUN_LOOK,
};

/* mw_stock_begin(), begin_locked(): the turn changes twice at most. */
static void beginner(void)
{
	unsigned int turn;

	if (load(BEGUN_ASK, BEGUN))
		return;
	lock(LOCK);
	for (unsigned int tries = 0; tries < 3; tries++) {
		turn = load(TURN_READ, TURN);
		plain_write(LIMIT, turn & 1);
		(void)fetch_or(BEGUN_SET, BEGUN, 1);
		if (turn == load(TURN_AGAIN, TURN))
			break;
	}
	unlock(LOCK);
}

/* set_all() */
static void set_all(unsigned int open)
{
	unsigned int turn = load(TURN_OWN, TURN);

	store(TURN_SET, TURN, ((turn | 1) + 1) | open);
	if (!load(BEGUN_LOOK, BEGUN))
		return;
	lock(LOCK);
	plain_write(LIMIT, open);
	unlock(LOCK);
}

/* Closed; or closed, and open again. */
static void changer(void)
{
	set_all(part());
	if (part() < way)
		go_on(1);
}

static void start(void)
{
	begin_with(TURN, 1);
}

static const char *at_the_end(void)
{
	return last_plain(LIMIT) == (last(TURN) & 1) ? NULL
						     : "a stock that is open, or closed, alone";
}

const struct protocol begin_protocol = {
	.name = "begin",
	.about = "stocks of pages that begin while all are closed and opened",
	.thread = { "beginner", "changer" },
	.run = { beginner, changer },
	.location = { "stocks_turn", "stocks_begun", "stock->lock" },
	.plain = { "shelf->limit" },
	.sites = {
		[BEGUN_ASK] = { "mw_stock_begun", "load stocks_begun, first", SEQ_CST, LOAD },
		[TURN_READ] = { "begin_locked", "load stocks_turn", SEQ_CST, LOAD },
		[BEGUN_SET] = { "begin_locked", "fetch_or stocks_begun", SEQ_CST, UPDATE },
		[TURN_AGAIN] = { "begin_locked", "load stocks_turn, again", SEQ_CST, LOAD },
		[TURN_OWN] = { "set_all", "load stocks_turn", RELAXED, LOAD },
		[TURN_SET] = { "set_all", "store stocks_turn", SEQ_CST, STORE },
		[BEGUN_LOOK] = { "mw_stock_begun", "load stocks_begun, to set", SEQ_CST, LOAD },
	},
	.ways = 2,
	.start = start,
	.wrong = at_the_end,
	.least = 200,
};
