// SPDX-License-Identifier: MIT
/*
 * Two frees of one object at the same moment, by its owner and by another CPU: mm/object/remote.c,
 * inside.h, span.c.
 *
 * In the first two ways the span goes back and becomes another one, whose bits nobody may touch; in
 * the second of them it is the other CPU's first free of that kind. In the others the object is
 * handed out again; in the last of all the other CPU has told the owner that its free is over, by
 * what is no part of this.
 */
#include "orders.h"

enum {
	REMOTE, /* span->remote[0] */
	OWNER, /* span->owner */
	FREE, /* span->free[0] */
	AT, /* mw_freers[].span, of the other CPU */
	COUNT, /* mw_object.freer_count */
	DONE, /* the other CPU's free is over */
};

enum {
	SPAN, /* what a life of the span has in its descriptor: its number */
};

enum {
	REPORTS, /* ghosts */
	LIFE,
	HANDED_OUT,
};

enum {
	BACK,
	BACK_FIRST,
	AGAIN,
	AGAIN_TOLD,
};

#define PENDING 0x80u
#define GONE 0x23u
#define CPU 1u
#define NEVER 0u
#define IDLE 1u
#define THIS 2u

enum site_number {
	SAY,
	COUNT_LOOK,
	COUNT_UP,
	SAY_FIRST,
	LOOK_OWNER,
	SET_BIT,
	LOOK_FREE,
	UNDO,
	LEAVE,
	LOOK_PENDING,
	SET_PENDING,
	FAST_OWNER,
	FAST_WORD,
	FAST_SET,
	SLOW_OWNER,
	SLOW_REMOTE,
	SET_OWNER,
	WAIT_COUNT,
	WAIT,
	LEFT,
	FILL_WORD,
	FILL_REMOTE,
	SOME_WORD,
	SOME_REMOTE,
	GATHER_LOOK,
	GATHER_TAKE,
	GATHER_WORD,
	GATHER_SET,
};

static void report(void)
{
	set_ghost(REPORTS, ghost(REPORTS) + 1);
	must(ghost(REPORTS) == 1, "reported twice");
}

/* ---- the other CPU ---- */

/* mw_freer_begin() */
static unsigned int freer_begin(void)
{
	unsigned int count;

	if (exchange(SAY, AT, THIS) == NEVER) {
		count = load(COUNT_LOOK, COUNT);
		if (!count)
			(void)compare_exchange(COUNT_UP, COUNT_LOOK, COUNT, &count, 1);
		(void)exchange(SAY_FIRST, AT, THIS);
	}
	return load(LOOK_OWNER, OWNER) & ~PENDING;
}

static void set_bit(void)
{
	must(ghost(LIFE) == 1, "bits of another span were changed");
	if (fetch_or(SET_BIT, REMOTE, 1) & 1) {
		report();
		go_on(4);
	} else {
		go_on(2);
	}
}

/* mw_remote_undo() */
static void undo(void)
{
	must(ghost(LIFE) == 1, "bits of another span were changed");
	if (fetch_and(UNDO, REMOTE, 0xfe) & 1) {
		report();
		go_on(4);
	} else {
		go_on(5);
	}
}

static void is_done(void)
{
	store_as(RELEASE, DONE, 1);
}

/* mw_free_outside(); parts 4 and 5 are its end, after a report and after none. */
static void freer(void)
{
	switch (part()) {
	case 0:
		if (freer_begin() == GONE || plain_read(SPAN) != 1) {
			report();
			go_on(4);
		} else {
			go_on(1);
		}
		break;
	case 1:
		set_bit();
		break;
	case 2:
		go_on(load(LOOK_FREE, FREE) & 1 ? 3 : 5);
		break;
	case 3:
		undo();
		break;
	case 4:
		store(LEAVE, AT, IDLE);
		is_done();
		break;
	default:
		store(LEAVE, AT, IDLE);
		if (!(load(LOOK_PENDING, OWNER) & PENDING))
			(void)fetch_or(SET_PENDING, OWNER, PENDING);
		is_done();
	}
}

/* ---- the owner ---- */

/* mw_free(), mw_free_owned(). Return: it is free, and not only with its remote bit. */
static bool free_own(void)
{
	unsigned int now = load(FAST_OWNER, OWNER);

	if (now & PENDING) {
		(void)load(SLOW_OWNER, OWNER);
		if (load(SLOW_REMOTE, REMOTE) & 1) {
			report();
			return false;
		}
	}
	must(!(load(FAST_WORD, FREE) & 1), "free before anybody has gathered");
	store(FAST_SET, FREE, 1);
	return true;
}

/* mw_span_unmake(), mw_freers_gone() */
static void go_back(void)
{
	(void)replace(SET_OWNER, OWNER, (unsigned char)~PENDING, GONE);
	if (load(WAIT_COUNT, COUNT))
		(void)await_not(WAIT, AT, 0xff, THIS);
	if (load(LEFT, REMOTE) & 1)
		report();
}

/* mw_span_fill(), mw_span_bitmaps(), mw_slot_adopt(), and an allocation */
static void become_another(void)
{
	store(FILL_WORD, FREE, 1);
	set_ghost(LIFE, 2);
	plain_write(SPAN, 2);
	store(FILL_REMOTE, REMOTE, 0);
	(void)replace(SET_OWNER, OWNER, (unsigned char)~PENDING, CPU);
	store(FAST_SET, FREE, 0);
}

/* mw_slot_take() */
static void hand_out(void)
{
	if (load(SOME_WORD, FREE) & ~load(SOME_REMOTE, REMOTE) & 1) {
		store(FAST_SET, FREE, 0);
		set_ghost(HANDED_OUT, 1);
	}
}

/* mw_span_gather() */
static void gather(void)
{
	unsigned int freed = load(GATHER_LOOK, REMOTE), word;

	if (!freed)
		return;
	freed = exchange(GATHER_TAKE, REMOTE, 0);
	word = load(GATHER_WORD, FREE);
	if (freed & word)
		report();
	store(GATHER_SET, FREE, word | freed);
}

static void owner(void)
{
	switch (part()) {
	case 0:
		if (!free_own())
			go_on(5);
		else
			go_on(way <= BACK_FIRST ? 1 : way == AGAIN ? 4 : 3);
		break;
	case 1:
		go_back();
		go_on(2);
		break;
	case 2:
		become_another();
		break;
	case 3:
		(void)await_as(ACQUIRE, DONE, 1, 1);
		go_on(4);
		break;
	case 4:
		hand_out();
		go_on(5);
		break;
	case 5:
		gather();
		go_on(6);
		break;
	default:
		(void)await_as(ACQUIRE, DONE, 1, 1);
		gather();
	}
}

static void start(void)
{
	begin_with(OWNER, CPU);
	begin_with(AT, way == BACK_FIRST ? NEVER : IDLE);
	begin_with(COUNT, way != BACK_FIRST);
	begin_plain(SPAN, 1);
	begin_ghost(LIFE, 1);
}

static const char *at_the_end(void)
{
	bool handed_out = last_ghost(HANDED_OUT), reported = last_ghost(REPORTS),
	     is_free = last(FREE);

	if (last_ghost(LIFE) == 2 && (last(REMOTE) || is_free))
		return "an object that nobody freed is free";
	/*
	 * It may be freed by who has it again: nobody can tell that from a right free, unless it
	 * was over before.
	 */
	if (handed_out && way == AGAIN)
		return reported == is_free ? "a free that was reported has been done, or neither"
					   : NULL;
	if (!reported)
		return "a double free that nobody reports";
	if (last_ghost(LIFE) == 2)
		return NULL;
	return is_free == handed_out ? "a free that was reported has been done" : NULL;
}

const struct protocol recycle_protocol = {
	.name = "recycle",
	.about = "two frees of one object at the same moment; spans that go back and come again",
	.thread = { "owner", "freer" },
	.run = { owner, freer },
	.location = { "span->remote", "span->owner", "span->free", "freer->span", "freer_count", "done" },
	.plain = { "span->base" },
	.sites = {
		[SAY] = { "mw_freer_begin", "exchange freer->span", SEQ_CST, UPDATE },
		[COUNT_LOOK] = { "mw_freer_first", "load freer_count", ACQUIRE, LOAD },
		[COUNT_UP] = { "mw_freer_first", "compare_exchange freer_count", SEQ_CST, UPDATE },
		[SAY_FIRST] = { "mw_freer_first", "exchange freer->span", SEQ_CST, UPDATE },
		[LOOK_OWNER] = { "mw_freer_begin", "load span->owner", SEQ_CST, LOAD },
		[SET_BIT] = { "mw_remote_bit", "fetch_or span->remote", SEQ_CST, UPDATE },
		[LOOK_FREE] = { "mw_free_outside", "load span->free", RELAXED, LOAD },
		[UNDO] = { "mw_remote_undo", "fetch_and span->remote", ACQ_REL, UPDATE },
		[LEAVE] = { "mw_freer_leave", "store freer->span", RELEASE, STORE },
		[LOOK_PENDING] = { "mw_span_pending", "load span->owner", SEQ_CST, LOAD },
		[SET_PENDING] = { "mw_set_pending", "fetch_or span->owner", SEQ_CST, UPDATE },
		[FAST_OWNER] = { "mw_span_owner", "load span->owner", RELAXED, LOAD },
		[FAST_WORD] = { "mw_span_free_exact", "load span->free", RELAXED, LOAD },
		[FAST_SET] = { "mw_span_free_exact", "store span->free", RELAXED, STORE },
		[SLOW_OWNER] = { "mw_owner", "load span->owner, to free", ACQUIRE, LOAD },
		[SLOW_REMOTE] = { "mw_span_live_word", "load span->remote", RELAXED, LOAD },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[WAIT_COUNT] = { "mw_freers_wait", "load freer_count", SEQ_CST, LOAD },
		[WAIT] = { "mw_freers_wait", "load freer->span", SEQ_CST, LOAD },
		[LEFT] = { "mw_freers_gone", "load span->remote", RELAXED, LOAD },
		[FILL_WORD] = { "mw_span_bitmaps", "store span->free", RELAXED, STORE },
		[FILL_REMOTE] = { "mw_span_bitmaps", "store span->remote", RELAXED, STORE },
		[SOME_WORD] = { "mw_slot_some", "load span->free", RELAXED, LOAD },
		[SOME_REMOTE] = { "mw_slot_some", "load span->remote", RELAXED, LOAD },
		[GATHER_LOOK] = { "mw_span_gather", "load span->remote", SEQ_CST, LOAD },
		[GATHER_TAKE] = { "mw_span_gather", "exchange span->remote", ACQ_REL, UPDATE },
		[GATHER_WORD] = { "mw_span_gather", "load span->free", RELAXED, LOAD },
		[GATHER_SET] = { "mw_span_gather", "store span->free", RELAXED, STORE },
	},
	.ways = 4,
	.start = start,
	.wrong = at_the_end,
	.least = 500,
};
