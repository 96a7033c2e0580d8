// SPDX-License-Identifier: MIT
/* Spin locks: mm/base/lock.h, lock.c. Three CPUs count up what the lock guards. */
#include "orders.h"

enum {
	WORD, /* lock->word */
};

enum {
	COUNT, /* what it guards */
};

enum site_number {
	TAKE,
	LOOK,
	TAKE_AGAIN,
	GIVE,
};

/* mw_lock_pinned(), mw_lock_wait(): of three CPUs two may be faster, once each. */
static void take(void)
{
	if (!exchange(TAKE, WORD, 1))
		return;
	for (unsigned int tries = 0; tries < 3; tries++) {
		(void)await(LOOK, WORD, 1, 0);
		if (!exchange(TAKE_AGAIN, WORD, 1))
			return;
	}
	wrong("waited too often");
}

static void cpu(void)
{
	if (part() == 0) {
		take();
		plain_write(COUNT, plain_read(COUNT) + 1);
		go_on(1);
	} else {
		store(GIVE, WORD, 0);
	}
}

static const char *at_the_end(void)
{
	return last_plain(COUNT) == 3 && !last(WORD) ? NULL : "two had it";
}

const struct protocol lock_protocol = {
	.name = "lock",
	.about = "spin locks",
	.thread = { "CPU 0", "CPU 1", "CPU 2" },
	.run = { cpu, cpu, cpu },
	.location = { "lock->word" },
	.plain = { "what it guards" },
	.sites = {
		[TAKE] = { "mw_lock_pinned", "exchange lock->word", ACQUIRE, UPDATE },
		[LOOK] = { "mw_lock_wait", "load lock->word", RELAXED, LOAD },
		[TAKE_AGAIN] = { "mw_lock_wait", "exchange lock->word", ACQUIRE, UPDATE },
		[GIVE] = { "mw_unlock_pinned", "store lock->word", RELEASE, STORE },
	},
	.wrong = at_the_end,
	.least = 100,
};
