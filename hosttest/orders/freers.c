// SPDX-License-Identifier: MIT
/*
 * How many CPUs say what they are freeing into: mw_object.freer_count in mm/object/remote.c. Two
 * CPUs free for the first time, the one with the higher number into another span. Whoever gives the
 * span back has to wait for the other one although it did not count itself.
 */
#include "orders.h"

enum {
	OWNER, /* span->owner */
	COUNT, /* mw_object.freer_count */
	AT_0, /* mw_freers[].span */
	AT_1,
};

enum {
	SPAN, /* what the descriptor says */
};

#define CPU 5u
#define GONE 6u
#define IDLE 1u
#define THIS 2u
#define OTHER 3u

enum site_number {
	SAY,
	COUNT_LOOK,
	COUNT_FAILED,
	COUNT_UP,
	SAY_FIRST,
	LOOK_OWNER,
	LEAVE,
	SET_OWNER,
	WAIT_COUNT,
	WAIT,
};

/* mw_freer_begin(), mw_freer_first() */
static unsigned int freer_begin(unsigned int here, unsigned int span)
{
	unsigned int count;

	if (!exchange(SAY, AT_0 + here, span)) {
		count = load(COUNT_LOOK, COUNT);
		for (unsigned int tries = 0; tries < 2 && count <= here; tries++)
			if (compare_exchange(COUNT_UP, COUNT_FAILED, COUNT, &count, here + 1))
				break;
		(void)exchange(SAY_FIRST, AT_0 + here, span);
	}
	return load(LOOK_OWNER, OWNER);
}

static void low(void)
{
	if (freer_begin(0, THIS) != GONE)
		(void)plain_read(SPAN);
	store(LEAVE, AT_0, IDLE);
}

static void high(void)
{
	(void)freer_begin(1, OTHER);
	store(LEAVE, AT_1, IDLE);
}

/* mw_span_unmake(), mw_freers_wait() */
static void owner(void)
{
	unsigned int count;

	(void)replace(SET_OWNER, OWNER, 0xff, GONE);
	count = load(WAIT_COUNT, COUNT);
	for (unsigned int i = 0; i < count && i < 2; i++)
		(void)await_not(WAIT, AT_0 + i, 0xff, THIS);
	plain_write(SPAN, 1);
}

static void start(void)
{
	begin_with(OWNER, CPU);
}

const struct protocol freers_protocol = {
	.name = "freers",
	.about = "how many CPUs say what they are freeing into",
	.thread = { "owner", "CPU 0", "CPU 1" },
	.run = { owner, low, high },
	.location = { "span->owner", "freer_count", "freers[0].span", "freers[1].span" },
	.plain = { "span->base" },
	.sites = {
		[SAY] = { "mw_freer_begin", "exchange freer->span", SEQ_CST, UPDATE },
		[COUNT_LOOK] = { "mw_freer_first", "load freer_count", ACQUIRE, LOAD },
		[COUNT_FAILED] = { "mw_freer_first", "compare_exchange freer_count, failed", ACQUIRE, LOAD },
		[COUNT_UP] = { "mw_freer_first", "compare_exchange freer_count", SEQ_CST, UPDATE },
		[SAY_FIRST] = { "mw_freer_first", "exchange freer->span", SEQ_CST, UPDATE },
		[LOOK_OWNER] = { "mw_freer_begin", "load span->owner", SEQ_CST, LOAD },
		[LEAVE] = { "mw_freer_leave", "store freer->span", RELEASE, STORE },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[WAIT_COUNT] = { "mw_freers_wait", "load freer_count", SEQ_CST, LOAD },
		[WAIT] = { "mw_freers_wait", "load freer->span", SEQ_CST, LOAD },
	},
	.start = start,
	.least = 500,
};
