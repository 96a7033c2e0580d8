// SPDX-License-Identifier: MIT
/*
 * Frees from other CPUs: mm/object/remote.c, elsewhere.h, central.c. Two CPUs free an object each
 * of one span. Its owner gathers, hands out what it finds free, and in the other ways gives the
 * span up to the cache in between, and takes it from there again.
 */
#include "orders.h"

enum {
	REMOTE, /* span->remote[0]: bit 0 and 1, the two objects */
	OWNER, /* span->owner */
	LIST, /* cpu->pending: 0, or the span */
	FREE, /* span->free[0] */
	LOCK, /* cache->lock */
};

enum {
	NEXT, /* span->pending_next */
	OBJECT, /* what is in the objects, two of them */
};

enum {
	HANDED_OUT, /* ghost: objects */
};

enum {
	KEEPS,
	GIVES_UP, /* with one freer */
	GIVES_UP_TWO,
};

#define PENDING 0x80u
#define NONE 0x20u
#define CPU 1u

enum site_number {
	SET_BIT,
	LOOK_FREE,
	UNDO,
	LOOK_PENDING,
	SET_PENDING,
	ROUTE,
	PUSH_LOOK,
	PUSH,
	POP_LOOK,
	POP,
	POPPED_OWNER,
	CLEAR_PENDING,
	GATHER_LOOK,
	GATHER_TAKE,
	GATHER_WORD,
	GATHER_SET,
	SET_OWNER,
	CENTRAL_OWNER,
	TAKE_WORD,
	TAKE_REMOTE,
	TAKE_SET,
};

/* mw_span_gather() */
static void span_gather(void)
{
	unsigned int freed = load(GATHER_LOOK, REMOTE), word;

	if (!freed)
		return;
	freed = exchange(GATHER_TAKE, REMOTE, 0);
	word = load(GATHER_WORD, FREE);
	must(!(freed & word), "gathered twice");
	store(GATHER_SET, FREE, word | freed);
}

/* mw_central_gather() */
static bool central_gather(void)
{
	bool ours;

	lock(LOCK);
	ours = (load(CENTRAL_OWNER, OWNER) & ~PENDING) == NONE;
	if (ours) {
		(void)fetch_and(CLEAR_PENDING, OWNER, (unsigned char)~PENDING);
		span_gather();
	}
	unlock(LOCK);
	return ours;
}

/* mw_pending_push() */
static void pending_push(void)
{
	unsigned int head = load(PUSH_LOOK, LIST);

	must(!head, "in the list twice");
	plain_write(NEXT, head);
	must(compare_exchange(PUSH, PUSH_LOOK, LIST, &head, 1), "in the list twice");
}

/* mw_pending_route(): the owner changes once at most while it goes round. */
static void pending_route(void)
{
	for (unsigned int i = 0; i < 3; i++) {
		if ((load(ROUTE, OWNER) & ~PENDING) == CPU) {
			pending_push();
			return;
		}
		if (central_gather())
			return;
	}
}

/* mw_free_outside(), mw_free_undo(), mw_remote_notify() */
static void free_remotely(unsigned int object)
{
	unsigned int bit = 1u << object;

	switch (part()) {
	case 0:
		plain_write(OBJECT + object, 1);
		must(!(fetch_or(SET_BIT, REMOTE, bit) & bit), "freed twice");
		go_on(1);
		break;
	case 1:
		go_on(load(LOOK_FREE, FREE) & bit ? 2 : 3);
		break;
	case 2: /* gathered already, or else freed twice */
		must(!(fetch_and(UNDO, REMOTE, ~bit) & bit), "freed twice");
		go_on(4);
		break;
	case 3:
		if (!(load(LOOK_PENDING, OWNER) & PENDING))
			go_on(4);
		break;
	case 4:
		if (!(fetch_or(SET_PENDING, OWNER, PENDING) & PENDING))
			go_on(5);
		break;
	default:
		pending_route();
	}
}

static void first_freer(void)
{
	free_remotely(0);
}

static void second_freer(void)
{
	if (way != GIVES_UP)
		free_remotely(1);
}

/* mw_cpu_gather() */
static void cpu_gather(void)
{
	if (!load(POP_LOOK, LIST) || !exchange(POP, LIST, 0))
		return;
	(void)plain_read(NEXT);
	if ((load(POPPED_OWNER, OWNER) & ~PENDING) != CPU) {
		pending_route();
		return;
	}
	(void)fetch_and(CLEAR_PENDING, OWNER, (unsigned char)~PENDING);
	span_gather();
}

/* mw_slot_take(), of all that is free */
static void hand_out(void)
{
	unsigned int word = load(TAKE_WORD, FREE), some = word & ~load(TAKE_REMOTE, REMOTE);

	if (!some)
		return;
	store(TAKE_SET, FREE, word & ~some);
	set_ghost(HANDED_OUT, ghost(HANDED_OUT) | some);
	for (unsigned int object = 0; object < 2; object++)
		if (some & 1u << object)
			plain_write(OBJECT + object, 2);
}

/* mw_central_give() */
static void give_up(void)
{
	lock(LOCK);
	span_gather();
	(void)replace(SET_OWNER, OWNER, (unsigned char)~PENDING, NONE);
	unlock(LOCK);
}

/* mw_central_take() */
static void take(void)
{
	lock(LOCK);
	(void)replace(SET_OWNER, OWNER, (unsigned char)~PENDING, CPU);
	unlock(LOCK);
	span_gather();
}

/* mw_slot_any_word() */
static void any_word(void)
{
	if (load(LOOK_PENDING, OWNER) & PENDING)
		span_gather();
}

static void owner(void)
{
	static void (*const keeps[])(void) = { any_word, hand_out, cpu_gather, hand_out };
	static void (*const gives_up[])(void) = { cpu_gather, hand_out, give_up,   cpu_gather,
						  take,	      hand_out, cpu_gather };
	unsigned int now = part(), parts = way == KEEPS ? 4 : 7;

	(way == KEEPS ? keeps : gives_up)[now]();
	if (now + 1 < parts)
		go_on(now + 1);
}

static void start(void)
{
	begin_with(OWNER, CPU);
}

static const char *at_the_end(void)
{
	for (unsigned int bit = 1; bit <= (way == GIVES_UP ? 1 : 2); bit *= 2) {
		bool remote = last(REMOTE) & bit, is_free = last(FREE) & bit;

		if (remote && !last(LIST))
			return "a free that nobody will gather";
		if (remote + is_free + !!(last_ghost(HANDED_OUT) & bit) != 1)
			return "a free is lost";
	}
	if (last(LIST) && !(last(OWNER) & PENDING))
		return "in the list without the flag";
	return NULL;
}

const struct protocol remote_protocol = {
	.name = "remote",
	.about = "frees from other CPUs, and how the owner learns of them",
	.thread = { "owner", "freer 1", "freer 2" },
	.run = { owner, first_freer, second_freer },
	.location = { "span->remote", "span->owner", "cpu->pending", "span->free", "cache->lock" },
	.plain = { "span->pending_next", "object 1", "object 2" },
	.sites = {
		[SET_BIT] = { "mw_remote_bit", "fetch_or span->remote", SEQ_CST, UPDATE },
		[LOOK_FREE] = { "mw_free_outside", "load span->free", RELAXED, LOAD },
		[UNDO] = { "mw_remote_undo", "fetch_and span->remote", ACQ_REL, UPDATE },
		[LOOK_PENDING] = { "mw_span_pending", "load span->owner", SEQ_CST, LOAD },
		[SET_PENDING] = { "mw_set_pending", "fetch_or span->owner", SEQ_CST, UPDATE },
		[ROUTE] = { "mw_owner", "load span->owner, to route", ACQUIRE, LOAD },
		[PUSH_LOOK] = { "mw_pending_push", "load cpu->pending", RELAXED, LOAD },
		[PUSH] = { "mw_pending_push", "compare_exchange cpu->pending", RELEASE, UPDATE },
		[POP_LOOK] = { "mw_cpu_next_pending", "load cpu->pending", RELAXED, LOAD },
		[POP] = { "mw_cpu_next_pending", "exchange cpu->pending", ACQUIRE, UPDATE },
		[POPPED_OWNER] = { "mw_owner", "load span->owner, popped", ACQUIRE, LOAD },
		[CLEAR_PENDING] = { "mw_span_clear_pending", "fetch_and span->owner", SEQ_CST, UPDATE },
		[GATHER_LOOK] = { "mw_span_gather", "load span->remote", SEQ_CST, LOAD },
		[GATHER_TAKE] = { "mw_span_gather", "exchange span->remote", ACQ_REL, UPDATE },
		[GATHER_WORD] = { "mw_span_gather", "load span->free", RELAXED, LOAD },
		[GATHER_SET] = { "mw_span_gather", "store span->free", RELAXED, STORE },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[CENTRAL_OWNER] = { "mw_owner", "load span->owner, with the lock", ACQUIRE, LOAD },
		[TAKE_WORD] = { "mw_slot_some", "load span->free", RELAXED, LOAD },
		[TAKE_REMOTE] = { "mw_slot_some", "load span->remote", RELAXED, LOAD },
		[TAKE_SET] = { "mw_slot_take", "store span->free", RELAXED, STORE },
	},
	.ways = 3,
	.short_ways = 2,
	.start = start,
	.wrong = at_the_end,
	.least = 10000,
};
