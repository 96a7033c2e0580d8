// SPDX-License-Identifier: MIT
/*
 * Two frees of one large object at the same moment: mm/object/kept.h, large.c, elsewhere.h. CPU 0
 * holds it, or a third CPU does. Who was first gives the span back, and it becomes another
 * object's; or hands the object out again.
 */
#include "orders.h"

enum {
	HOLDER, /* span->holder */
	OWNER, /* span->owner */
	BASE, /* span->base: the number of the span's life */
	BITS, /* span->bits[0] */
	AT_0, /* mw_freers[].span */
	AT_1,
};

enum {
	SPAN, /* what else is in the descriptor */
};

enum { /* ghosts */
	REPORTS,
	FREES,
	LIFE,
	TIMES, /* that it was handed out again */
	OVER, /* frees that are */
	AGAIN, /* handed out while the other free was not over */
	LOOKED, /* TIMES, when the free began; one for each CPU */
};

#define LARGE 5u
#define GONE 6u
#define NO_CPU 9u
#define IDLE 1u
#define THIS 2u

enum site_number {
	FIRST_OWNER,
	FIRST_BASE,
	OWN_FREE,
	OWN_FAILED,
	SAY,
	LOOK_OWNER,
	LOOK_BASE,
	SET_FREE,
	SET_BITS,
	LEAVE,
	SET_OWNER,
	WAIT,
	NEW_BASE,
	NEW_BITS,
	NEW_HOLDER,
	AGAIN_BITS,
	AGAIN_HOLDER,
};

enum {
	OUTSIDE = 1, /* parts */
	SET,
	KEEP,
	REFUSE,
	BACK,
	HAND_OUT,
};

static unsigned int here(void)
{
	return machine.thread;
}

static void freed(void)
{
	must(ghost(LIFE) == 0, "another object was freed");
	set_ghost(FREES, ghost(FREES) + 1);
	must(ghost(FREES) == 1 || ghost(AGAIN), "freed twice");
}

static void over(void)
{
	set_ghost(OVER, ghost(OVER) | 1u << here());
}

static unsigned int what_next(void)
{
	return way & 1 ? BACK : HAND_OUT;
}

/* mw_free(), mw_large_free_own() */
static void free_own(void)
{
	unsigned int holder = 1 + here();

	set_ghost(LOOKED + here(), ghost(TIMES));
	if (load(FIRST_OWNER, OWNER) != LARGE || load(FIRST_BASE, BASE) != 0 ||
	    !compare_exchange(OWN_FREE, OWN_FAILED, HOLDER, &holder, 0)) {
		go_on(OUTSIDE);
		return;
	}
	must(ghost(LOOKED + here()) == ghost(TIMES),
	     "a CPU freed as its own what it had not looked up");
	freed();
	store(SET_BITS, BITS, 1);
	over();
	go_on(what_next());
}

/* mw_free_outside(), mw_free_kept() */
static void free_outside(void)
{
	(void)exchange(SAY, AT_0 + here(), THIS);
	if (load(LOOK_OWNER, OWNER) != LARGE || load(LOOK_BASE, BASE) != 0) {
		go_on(REFUSE);
		return;
	}
	(void)plain_read(SPAN);
	go_on(SET);
}

static void set_free(void)
{
	if (!exchange(SET_FREE, HOLDER, 0)) {
		go_on(REFUSE);
		return;
	}
	freed();
	store(SET_BITS, BITS, 1);
	go_on(KEEP);
}

/*
 * mw_large_end(), and another one takes the span: mw_span_alloc(), mw_large_fill(), mw_large_show()
 */
static void go_back(void)
{
	(void)replace(SET_OWNER, OWNER, 0xff, GONE);
	(void)await_not(WAIT, AT_0 + (1 - here()), 0xff, THIS);
	store(NEW_BASE, BASE, 1);
	set_ghost(LIFE, 1);
	plain_write(SPAN, 1);
	store(NEW_BITS, BITS, 0);
	store(NEW_HOLDER, HOLDER, NO_CPU);
	(void)replace(SET_OWNER, OWNER, 0xff, LARGE);
}

/* mw_stock_take() */
static void hand_out(void)
{
	store(AGAIN_BITS, BITS, 0);
	store(AGAIN_HOLDER, HOLDER, 1 + here());
	set_ghost(TIMES, ghost(TIMES) + 1);
	if (ghost(OVER) != 3)
		set_ghost(AGAIN, 1);
}

static void cpu(void)
{
	switch (part()) {
	case 0:
		free_own();
		break;
	case OUTSIDE:
		free_outside();
		break;
	case SET:
		set_free();
		break;
	case KEEP:
		store(LEAVE, AT_0 + here(), IDLE);
		over();
		go_on(what_next());
		break;
	case REFUSE:
		store(LEAVE, AT_0 + here(), IDLE);
		over();
		set_ghost(REPORTS, ghost(REPORTS) + 1);
		must(ghost(REPORTS) == 1, "reported twice");
		break;
	case BACK:
		go_back();
		break;
	default:
		hand_out();
	}
}

static void start(void)
{
	begin_with(HOLDER, way < 2 ? 1 : NO_CPU);
	begin_with(OWNER, LARGE);
	begin_with(AT_0, IDLE);
	begin_with(AT_1, IDLE);
}

static const char *at_the_end(void)
{
	if (last_ghost(FREES) + last_ghost(REPORTS) != 2)
		return "a free that was neither done nor reported";
	if (last_ghost(LIFE) && (!last(HOLDER) || last(BITS)))
		return "an object that nobody freed is free";
	return NULL;
}

const struct protocol large_protocol = {
	.name = "large",
	.about = "two frees of one large object at the same moment",
	.thread = { "CPU 0", "CPU 1" },
	.run = { cpu, cpu },
	.location = { "span->holder", "span->owner", "span->base", "span->bits[0]", "freers[0].span",
		      "freers[1].span" },
	.plain = { "span->pages" },
	.sites = {
		[FIRST_OWNER] = { "mw_span_owner", "load span->owner", RELAXED, LOAD },
		[FIRST_BASE] = { "mw_large_free_own", "load span->base", RELAXED, LOAD },
		[OWN_FREE] = { "mw_large_free_own", "compare_exchange span->holder", ACQ_REL, UPDATE },
		[OWN_FAILED] = { "mw_large_free_own", "compare_exchange, failed", RELAXED, LOAD },
		[SAY] = { "mw_free_outside", "exchange freer->span", SEQ_CST, UPDATE },
		[LOOK_OWNER] = { "mw_free_outside", "load span->owner", SEQ_CST, LOAD },
		[LOOK_BASE] = { "mw_free_kept", "load span->base", RELAXED, LOAD },
		[SET_FREE] = { "mw_large_set_free", "exchange span->holder", ACQ_REL, UPDATE },
		[SET_BITS] = { "mw_large_freed", "store span->bits[0]", RELAXED, STORE },
		[LEAVE] = { "mw_freer_leave", "store freer->span", RELEASE, STORE },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[WAIT] = { "mw_freers_wait", "load freer->span", SEQ_CST, LOAD },
		[NEW_BASE] = { "take_step", "store span->base", RELAXED, STORE },
		[NEW_BITS] = { "mw_large_show", "store span->free[0]", RELEASE, STORE },
		[NEW_HOLDER] = { "mw_large_show", "store span->holder", RELAXED, STORE },
		[AGAIN_BITS] = { "mw_stock_take", "store span->bits[0]", RELAXED, STORE },
		[AGAIN_HOLDER] = { "mw_stock_take", "store span->holder", RELAXED, STORE },
	},
	.ways = 4,
	.start = start,
	.wrong = at_the_end,
	.least = 500,
};
