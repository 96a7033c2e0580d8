// SPDX-License-Identifier: MIT
/*
 * The generations of the sweep: mm/gc/sweep.c, mm/object/central.c. A mark ends, and what it has
 * not marked is swept by who comes first: the collector, or handlers on CPUs that are stopped and
 * go on when the world does.
 *
 * First: a span of the cache's with a live object, which a handler frees, and a dead one; another
 * handler takes the span and allocates. Second: a span that is all dead, which goes back and is
 * born again as another one, while two walks over all descriptors want to sweep it.
 */
#include "orders.h"

enum {
	NOW, /* mw_gc.sweeping.generation */
	GENERATION, /* the span's */
	FREE, /* bits of two objects */
	MARK,
	OWNER,
	LOCK, /* the cache's */
};

enum {
	SPAN, /* the descriptor's fields, written when it is filled */
	LIST, /* the cache's lists: whether the span is in one */
	OBJECT, /* the live object, and the dead one */
};

enum { /* ghosts */
	SWEPT,
	FREED, /* the live object, by hand */
	HANDED_OUT,
};

enum {
	IN_USE,
	GOES_BACK,
};

#define LIVE 1u /* bits of objects */
#define DEAD 2u
#define STEP 4u
#define MARKING 2u
#define BEFORE_MARK 1u
#define AFTER_MARK 5u
#define NONE 0u /* owner */
#define CPU 1u

enum site_number {
	MARK_SET,
	NOW_OWN,
	NOW_SET,
	NOW_READ,
	GENERATION_READ,
	CLAIM,
	CLAIM_FAILED,
	SWEEP_FREE,
	SWEEP_MARK,
	SWEEP_SET,
	SWEEP_CLEAR,
	PUBLISH,
	LOCKED_OWNER,
	SET_OWNER,
	BITS_READ,
	BITS_SET,
	GONE,
	BORN,
};

static unsigned int current(void)
{
	return load(NOW_READ, NOW) & ~MARKING;
}

static bool is_older(unsigned int generation, unsigned int now)
{
	return generation && now > generation;
}

/* sweep_claimed(), sweep_bits(), mw_sweep_clear() */
static void sweep_claimed(void)
{
	unsigned int is_free, dead;

	must(plain_read(SPAN) == 1, "swept what is another span");
	must(!ghost(SWEPT), "swept twice");
	set_ghost(SWEPT, 1);
	is_free = load(SWEEP_FREE, FREE);
	dead = ~is_free & ~load(SWEEP_MARK, MARK) & (LIVE | DEAD);
	must(!(dead & LIVE) || way == GOES_BACK, "a live object was swept");
	if (dead)
		store(SWEEP_SET, FREE, is_free | dead);
	store(SWEEP_CLEAR, MARK, 0);
	store(PUBLISH, GENERATION, current());
}

/* claim(). Return: it is this sweeper's. */
static bool claim(void)
{
	unsigned int now = current(), old = load(GENERATION_READ, GENERATION);

	return is_older(old, now) && old % STEP == 1 &&
	       compare_exchange(CLAIM, CLAIM_FAILED, GENERATION, &old, now - STEP + 1);
}

/* mw_object_swept() */
static void object_swept(void)
{
	lock(LOCK);
	if (load(LOCKED_OWNER, OWNER) == NONE)
		(void)plain_read(LIST);
	unlock(LOCK);
}

/* mw_up_span_sweep(): waits for who is at it. */
static void span_sweep(void)
{
	if (!is_older(load(GENERATION_READ, GENERATION), current()))
		return;
	if (claim())
		sweep_claimed();
	else
		(void)await(GENERATION_READ, GENERATION, 0xff, AFTER_MARK);
}

/* walk(): waits for nobody. */
static void walk(void)
{
	if (is_older(load(GENERATION_READ, GENERATION), current()) && claim()) {
		sweep_claimed();
		object_swept();
	}
}

/* A marker, mw_sweep_begin(), and then the sweep */
static void collector(void)
{
	switch (part()) {
	case 0:
		if (way == IN_USE)
			store(MARK_SET, MARK, LIVE);
		store(NOW_SET, NOW, (load(NOW_OWN, NOW) & ~MARKING) + STEP);
		go_on(1);
		break;
	default:
		walk();
	}
}

/* mw_central_take(), mw_slot_take() */
static void take(void)
{
	unsigned int word;

	if (part() == 0) {
		if (load(NOW_READ, NOW) & MARKING)
			return;
		lock(LOCK);
		plain_write(LIST, 0);
		(void)replace(SET_OWNER, OWNER, 0xff, CPU);
		unlock(LOCK);
		go_on(1);
	} else if (part() == 1) {
		span_sweep();
		go_on(2);
	} else {
		word = load(BITS_READ, FREE);
		must(word & DEAD, "not swept, or a stale word");
		must(!(word & LIVE) || ghost(FREED), "a live object is free");
		set_ghost(HANDED_OUT, word);
		for (unsigned int bit = 0; bit < 2; bit++)
			if (word & 1u << bit)
				plain_write(OBJECT + bit, 2);
		store(BITS_SET, FREE, 0);
	}
}

/* mw_free_in(), mw_central_free() */
static void free_by_hand(void)
{
	unsigned int word;

	if (part() == 0) {
		plain_write(OBJECT, 1);
		if (!(load(NOW_READ, NOW) & MARKING)) /* else the next mark finds it */
			go_on(1);
	} else if (part() == 1) {
		span_sweep();
		go_on(2);
	} else {
		lock(LOCK);
		if (load(LOCKED_OWNER, OWNER) == NONE) {
			word = load(BITS_READ, FREE);
			must(!(word & LIVE), "freed twice");
			store(BITS_SET, FREE, word | LIVE);
			set_ghost(FREED, 1);
		}
		unlock(LOCK);
	}
}

/* mw_up_span_gone(), and mw_span_fill(), mw_up_span_born() of the next life */
static void go_back(void)
{
	unsigned int old, now;

	if (part() == 0) {
		old = await_not(GENERATION_READ, GENERATION, STEP - 1, 2);
		go_on(compare_exchange(GONE, CLAIM_FAILED, GENERATION, &old, 0) ? 1 : 0);
	} else {
		plain_write(SPAN, 2);
		store(BITS_SET, FREE, LIVE | DEAD);
		now = load(NOW_READ, NOW);
		if (now & MARKING)
			now += STEP - MARKING;
		store(BORN, GENERATION, now);
		plain_write(OBJECT, 2);
		store(BITS_SET, FREE, DEAD);
	}
}

static void first_handler(void)
{
	if (way == IN_USE)
		take();
	else
		go_back();
}

static void second_handler(void)
{
	if (way == IN_USE)
		free_by_hand();
	else
		walk();
}

static void start(void)
{
	begin_with(NOW, BEFORE_MARK | MARKING);
	begin_with(GENERATION, BEFORE_MARK);
	begin_plain(SPAN, 1);
	begin_plain(LIST, 1);
}

static const char *at_the_end(void)
{
	if (last(GENERATION) != AFTER_MARK)
		return "never swept";
	if (way == GOES_BACK)
		return last(FREE) == DEAD ? NULL : "a live object of the next life is free";
	if (last(MARK))
		return "a mark is left";
	if (!((last(FREE) | last_ghost(HANDED_OUT)) & DEAD))
		return "garbage lives";
	return NULL;
}

const struct protocol sweep_protocol = {
	.name = "sweep",
	.about = "the generations of the sweep",
	.thread = { "collector", "handler 1", "handler 2" },
	.run = { collector, first_handler, second_handler },
	.location = { "sweeping.generation", "span->generation", "span->free", "span->mark", "span->owner",
		      "cache->lock" },
	.plain = { "the descriptor", "the cache's list", "the live object", "the dead object" },
	.sites = {
		[MARK_SET] = { "mw_mark_settle_all", "store span->mark", RELAXED, STORE },
		[NOW_OWN] = { "generation_word", "load sweeping.generation, its own", ACQUIRE, LOAD },
		[NOW_SET] = { "mw_sweep_begin", "store sweeping.generation", RELEASE, STORE },
		[NOW_READ] = { "generation_word", "load sweeping.generation", ACQUIRE, LOAD },
		[GENERATION_READ] = { "generation_of", "load span->generation", ACQUIRE, LOAD },
		[CLAIM] = { "claim", "compare_exchange span->generation", ACQUIRE, UPDATE },
		[CLAIM_FAILED] = { "claim", "compare_exchange span->generation, failed", RELAXED, LOAD },
		[SWEEP_FREE] = { "sweep_bits", "load span->free", RELAXED, LOAD },
		[SWEEP_MARK] = { "sweep_bits", "load span->mark", RELAXED, LOAD },
		[SWEEP_SET] = { "sweep_bits", "store span->free", RELAXED, STORE },
		[SWEEP_CLEAR] = { "mw_sweep_clear", "store span->mark", RELEASE, STORE },
		[PUBLISH] = { "sweep_claimed", "store span->generation", RELEASE, STORE },
		[LOCKED_OWNER] = { "mw_owner", "load span->owner, with the lock", ACQUIRE, LOAD },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[BITS_READ] = { "mw_slot_some", "load span->free", RELAXED, LOAD },
		[BITS_SET] = { "mw_slot_take", "store span->free", RELAXED, STORE },
		[GONE] = { "mw_up_span_gone", "compare_exchange span->generation", ACQ_REL, UPDATE },
		[BORN] = { "mw_up_span_born", "store span->generation", RELEASE, STORE },
	},
	.ways = 2,
	.start = start,
	.wrong = at_the_end,
	.least = 10000,
};
