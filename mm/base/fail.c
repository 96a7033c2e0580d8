// SPDX-License-Identifier: MIT
/*
 * Failing on purpose. Off, it costs a load and a predicted branch; on, every request takes one lock,
 * so that the count, and with it the request that fails, is exact on one CPU and replays by seed.
 */
#include "fail.h"
#include "state.h"

mw_atomic_t mw_fail_on;

static bool mw_fail_matches(const struct mw_fail *want, size_t bytes, enum mw_fail_kind kind,
			    uintptr_t site)
{
	if ((kind == MW_FAIL_PAGES && !want->pages) || (kind == MW_FAIL_OWN && !want->own))
		return false;
	if (bytes < want->min_size || (want->max_size && bytes > want->max_size))
		return false;
	return (!want->site_lo && !want->site_hi) || (site >= want->site_lo && site < want->site_hi);
}

/* splitmix64: any seed will do, and the next state does not depend on the answer. */
static uint32_t mw_fail_random(struct mw_fail_state *fail)
{
	uint64_t z = fail->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

static bool mw_fail_decide(struct mw_fail_state *fail)
{
	const struct mw_fail *want = &fail->want;
	unsigned long first = want->after ? want->after : want->every;

	fail->seen++;
	if (want->permille)
		return ((uint64_t)mw_fail_random(fail) * 1000) >> 32 < want->permille;
	if (fail->seen <= first || !want->every)
		return first && fail->seen == first;
	return (fail->seen - first) % want->every == 0;
}

MW_NOINLINE bool mw_fail_now(size_t bytes, enum mw_fail_kind kind, uintptr_t site)
{
	struct mw_fail_state *fail = &mw_base.fail;
	unsigned long state = mw_lock(&fail->lock);
	bool yes = atomic_load_explicit(&mw_fail_on, memory_order_relaxed) &&
		   mw_fail_matches(&fail->want, bytes, kind, site) && mw_fail_decide(fail);

	fail->failed += yes;
	mw_unlock(&fail->lock, state);
	return yes;
}

unsigned long mw_fail_set(const struct mw_fail *want)
{
	struct mw_fail_state *fail = &mw_base.fail;
	unsigned long state = mw_lock(&fail->lock), failed = fail->failed;

	fail->seen = fail->failed = 0;
	fail->want = want ? *want : (struct mw_fail){ 0 };
	fail->random = fail->want.seed;
	atomic_store_explicit(&mw_fail_on, want != NULL, memory_order_relaxed);
	mw_unlock(&fail->lock, state);
	if (mw_up_fail_set)
		mw_up_fail_set(want != NULL);
	return failed;
}
