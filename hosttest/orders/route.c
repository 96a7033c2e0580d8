// SPDX-License-Identifier: MIT
/*
 * Where a span with frees from elsewhere is sent: mw_pending_route() in mm/object/remote.c, when
 * nobody can gather there.
 *
 * First: a CPU has set the flag in a life of the span that is over by now. It takes the flag back,
 * while the span is taken again, and another CPU frees into it and may rely on the flag. Second:
 * the owner stops. It gives the span up, closes its list, and begins again; the CPU that frees
 * finds the list closed, or the span somewhere else.
 */
#include "orders.h"

enum {
	REMOTE, /* span->remote[0] */
	OWNER, /* span->owner */
	LIST, /* cpu->pending */
	FREE, /* span->free[0] */
	LOCK, /* cache->lock */
	HANDED, /* the object, by what is no part of this */
};

enum {
	NEXT, /* span->pending_next */
	OBJECT,
};

enum {
	TAKEN_AGAIN,
	STOPS,
};

#define PENDING 0x80u
#define NONE 0x20u
#define GONE 0x23u
#define CPU 1u
#define THIS 1u /* in the list */
#define CLOSED 2u

enum site_number {
	SET_BIT,
	LOOK_PENDING,
	SET_PENDING,
	CLEAR_PENDING,
	ROUTE,
	PUSH_LOOK,
	PUSH,
	POP_LOOK,
	POP,
	CLOSE,
	REOPEN,
	SET_OWNER,
	GATHER_LOOK,
	GATHER_TAKE,
	GATHER_WORD,
	GATHER_SET,
};

/* mw_span_gather() */
static void span_gather(void)
{
	unsigned int freed = load(GATHER_LOOK, REMOTE);

	if (!freed)
		return;
	freed = exchange(GATHER_TAKE, REMOTE, 0);
	store(GATHER_SET, FREE, load(GATHER_WORD, FREE) | freed);
	plain_write(OBJECT, 2); /* whoever finds it free may use it */
}

/* mw_central_gather() */
static bool central_gather(void)
{
	bool ours;

	lock(LOCK);
	ours = (load(ROUTE, OWNER) & ~PENDING) == NONE;
	if (ours) {
		(void)fetch_and(CLEAR_PENDING, OWNER, (unsigned char)~PENDING);
		span_gather();
	}
	unlock(LOCK);
	return ours;
}

/* mw_pending_push(): false: the list is closed. */
static bool pending_push(void)
{
	unsigned int head = load(PUSH_LOOK, LIST);

	if (head == CLOSED)
		return false;
	plain_write(NEXT, head);
	return compare_exchange(PUSH, PUSH_LOOK, LIST, &head, THIS);
}

/* mw_set_pending() */
static bool set_pending(void)
{
	return !(fetch_or(SET_PENDING, OWNER, PENDING) & PENDING);
}

/* One turn of mw_pending_route(). Return: it goes round again. */
static bool route_again(void)
{
	unsigned int owner = load(ROUTE, OWNER) & ~PENDING;

	if (owner == CPU)
		return !pending_push();
	if (owner == NONE)
		return !central_gather();
	(void)fetch_and(CLEAR_PENDING, OWNER, (unsigned char)~PENDING);
	return (load(ROUTE, OWNER) & ~PENDING) != owner && set_pending();
}

/* A CPU that has set the flag, in this life or in the last one */
static void router(unsigned int first)
{
	if (part() == first && route_again())
		go_on(first);
}

/* mw_free_outside(), for who does not find the object free already; then mw_remote_notify() */
static void free_remotely(void)
{
	if (part() == 0) {
		plain_write(OBJECT, 1);
		(void)fetch_or(SET_BIT, REMOTE, 1);
		go_on(1);
	} else if (part() == 1) {
		if (!(load(LOOK_PENDING, OWNER) & PENDING) && set_pending())
			go_on(2);
	} else {
		router(2);
	}
}

/* mw_cpu_gather() */
static void cpu_gather(void)
{
	unsigned int head = load(POP_LOOK, LIST);

	if (head != THIS || exchange(POP, LIST, 0) != THIS)
		return;
	(void)plain_read(NEXT);
	if ((load(ROUTE, OWNER) & ~PENDING) != CPU) {
		(void)route_again();
		return;
	}
	(void)fetch_and(CLEAR_PENDING, OWNER, (unsigned char)~PENDING);
	span_gather();
}

/* mw_slot_adopt(); the object is handed out, and by its user to another CPU. */
static void take_again(void)
{
	if (part() == 0) {
		(void)replace(SET_OWNER, OWNER, (unsigned char)~PENDING, CPU);
		store_as(RELEASE, HANDED, 1);
		go_on(1);
	} else {
		cpu_gather();
	}
}

/* mw_cpu_stop_step(), and mw_cpu_begin() later */
static void stop(void)
{
	switch (part()) {
	case 0:
		cpu_gather();
		go_on(1);
		break;
	case 1: /* mw_central_give() */
		lock(LOCK);
		span_gather();
		(void)replace(SET_OWNER, OWNER, (unsigned char)~PENDING, NONE);
		unlock(LOCK);
		go_on(2);
		break;
	case 2:
		if (exchange(CLOSE, LIST, CLOSED) == THIS) {
			(void)plain_read(NEXT);
			go_on(3);
		} else {
			go_on(4);
		}
		break;
	case 3:
		go_on(route_again() ? 3 : 4);
		break;
	default:
		store(REOPEN, LIST, 0);
	}
}

static void owner(void)
{
	if (way == TAKEN_AGAIN)
		take_again();
	else
		stop();
}

static void freer(void)
{
	if (way == TAKEN_AGAIN && part() == 0)
		(void)await_as(ACQUIRE, HANDED, 1, 1);
	free_remotely();
}

static void late(void)
{
	if (way == TAKEN_AGAIN)
		router(0);
}

static void start(void)
{
	begin_with(OWNER, way == TAKEN_AGAIN ? GONE | PENDING : CPU);
}

static const char *at_the_end(void)
{
	if (last(REMOTE) && last(LIST) != THIS)
		return "a free that nobody will gather";
	if (last(LIST) == THIS && !(last(OWNER) & PENDING))
		return "in the list without the flag";
	return last(REMOTE) || last(FREE) ? NULL : "a free is lost";
}

const struct protocol route_protocol = {
	.name = "route",
	.about = "where a span is sent that nobody gathers, and CPUs that stop",
	.thread = { "owner", "freer", "freer before" },
	.run = { owner, freer, late },
	.location = { "span->remote", "span->owner", "cpu->pending", "span->free", "cache->lock",
		      "handed over" },
	.plain = { "span->pending_next", "the object" },
	.sites = {
		[SET_BIT] = { "mw_remote_bit", "fetch_or span->remote", SEQ_CST, UPDATE },
		[LOOK_PENDING] = { "mw_span_pending", "load span->owner", SEQ_CST, LOAD },
		[SET_PENDING] = { "mw_set_pending", "fetch_or span->owner", SEQ_CST, UPDATE },
		[CLEAR_PENDING] = { "mw_span_clear_pending", "fetch_and span->owner", SEQ_CST, UPDATE },
		[ROUTE] = { "mw_owner", "load span->owner, all of these", ACQUIRE, LOAD },
		[PUSH_LOOK] = { "mw_pending_push", "load cpu->pending", RELAXED, LOAD },
		[PUSH] = { "mw_pending_push", "compare_exchange cpu->pending", RELEASE, UPDATE },
		[POP_LOOK] = { "mw_cpu_next_pending", "load cpu->pending", RELAXED, LOAD },
		[POP] = { "mw_cpu_next_pending", "exchange cpu->pending", ACQUIRE, UPDATE },
		[CLOSE] = { "mw_cpu_stop_step", "exchange cpu->pending", ACQ_REL, UPDATE },
		[REOPEN] = { "mw_cpu_begin", "store cpu->pending", RELEASE, STORE },
		[SET_OWNER] = { "mw_set_owner", "compare_exchange span->owner", SEQ_CST, UPDATE },
		[GATHER_LOOK] = { "mw_span_gather", "load span->remote", SEQ_CST, LOAD },
		[GATHER_TAKE] = { "mw_span_gather", "exchange span->remote", ACQ_REL, UPDATE },
		[GATHER_WORD] = { "mw_span_gather", "load span->free", RELAXED, LOAD },
		[GATHER_SET] = { "mw_span_gather", "store span->free", RELAXED, STORE },
	},
	.ways = 2,
	.start = start,
	.wrong = at_the_end,
	.least = 500,
};
