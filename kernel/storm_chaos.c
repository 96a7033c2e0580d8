// SPDX-License-Identifier: MIT
/* Everything that may happen to a heap at any time, at random times, while others use it. */
#include <stdatomic.h>
#include <marrow/gc.h>
#include "storm.h"
#include "thread.h"

#define PAUSE_NS 4000000ul /* between two things, at most */

static atomic_ulong failed;
static atomic_uint things; /* that were done */

static void fail_some(uint64_t random)
{
	const struct mw_fail fail = { .permille = 1 + random % 50,
				      .seed = random,
				      .pages = random >> 32 & 1 };
	bool on = random >> 33 & 1 || !atomic_load(&things);

	atomic_fetch_add(&failed, mw_fail_set(on ? &fail : NULL));
}

#if MW_GC
static void collect_some(uint64_t random)
{
	struct mw_gc_policy policy;

	switch (random % 4) {
	case 0:
		(void)mw_gc_collect(MW_COLLECT_MARKED);
		break;
	case 1:
		(void)mw_gc_collect(MW_COLLECT_SWEPT);
		break;
	case 2:
		mw_gc_policy_get(&policy);
		policy.percent = 20 + (int)(random >> 8) % 200;
		policy.markers = (random >> 16) % 5;
		(void)mw_gc_policy_set(&policy);
		break;
	default:
		(void)mw_worker_run(MW_WORKER_SWEEP, 1000000);
		(void)mw_finalizers_run(random >> 8 & 63);
	}
}
#else
static void collect_some(uint64_t random)
{
	(void)random;
}
#endif

static void do_something(uint64_t random)
{
	switch (random & 7) {
	case 0 ... 2:
		fail_some(random >> 3);
		break;
	case 3:
		(void)mw_scavenge(0, (random >> 3 & 1023) << MW_PAGE_SHIFT);
		break;
	default:
		collect_some(random >> 3);
	}
	atomic_fetch_add(&things, 1);
}

void storm_chaos(void *seed)
{
	uint64_t random = *(const uint64_t *)seed;

	atomic_store(&things, 0);
	fail_some(random);
	while (!storm_is_over()) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		do_something(random >> 20);
		thread_sleep(1000 + (random >> 24) % PAUSE_NS);
	}
}

unsigned int storm_chaos_things(void)
{
	return atomic_load(&things);
}

unsigned long storm_chaos_end(void)
{
	return atomic_exchange(&failed, 0) + mw_fail_set(NULL);
}
