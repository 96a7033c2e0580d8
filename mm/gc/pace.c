/* SPDX-License-Identifier: MIT */
/*
 * Pacing: when the next cycle is due.
 *
 * The mark counts what lives, so the goal is known as soon as it ends: the bytes that were marked, plus
 * the percentage of them, and never more than the limit. What has been taken since then is counted
 * against it: words of free objects as CPUs set them aside, large objects as they are made. Each CPU
 * counts for itself and adds it up in steps of FOLD bytes.
 *
 * When the goal is reached the collecting worker is woken. Where there is none, or it does not come, an
 * allocation that may wait collects by itself once an eighth more has been taken.
 *
 * Cycles that allocations wait for are paid from a credit that grows by a share of the time, by the
 * policy, up to that share of SAVED_NS. Each cycle in a row that freed next to nothing halves what it
 * grows by, and one that freed something makes it whole again: where everything lives, a limit or the
 * end of memory costs a few percent of the time and no more.
 */
#include "../page/up.h"
#include "gc.h"

#if MW_GC

#define FOLD ((size_t)32 << 10)
#define LEAST_DEFAULT ((size_t)4 << 20)
/* Spans that an allocation sweeps before it takes pages. */
#define SWEEP_FIRST 64
/* The part of what there is that is little to have been allocated since a cycle, or freed by one. */
#define LITTLE 16
/* The time whose share may be saved up for forced cycles. */
#define SAVED_NS 1000000000ll
/* Cycles in a row without use that are counted: a quarter of the share is left then. */
#define USELESS_MOST 2

/* Parts of the room that allocations read without the cycle's order are atomics of their own. */
static size_t percent_of(size_t bytes, int percent)
{
	size_t hundredth = bytes / 100;

	return percent && hundredth > SIZE_MAX / 2 / (size_t)percent ? SIZE_MAX / 2
								     : hundredth * (size_t)percent;
}

static void read_policy(struct mw_gc_policy *policy)
{
	unsigned long state = mw_lock(&mw_gc.registry);

	*policy = mw_gc.pace.policy;
	mw_unlock(&mw_gc.registry, state);
}

static void set_goal(void)
{
	struct mw_pace *pace = &mw_gc.pace;
	struct mw_gc_policy policy;
	size_t marked = mw_word(&pace->marked), goal;

	read_policy(&policy);
	goal = policy.percent == MW_GC_OFF ? SIZE_MAX : marked + percent_of(marked, policy.percent);
	goal = mw_max(goal, policy.least);
	if (policy.limit)
		goal = mw_min(goal, policy.limit);
	mw_set_word(&pace->goal, goal);
	mw_set_word(&pace->room, goal - mw_min(goal, marked));
	/* A port may drop a wake: the next goal is told of, too. */
	mw_set_word(&pace->due, 0);
}

void mw_pace_init(void)
{
	mw_gc.pace.policy = (struct mw_gc_policy){
		.percent = 100,
		.least = LEAST_DEFAULT,
		.cpu_permille = 500,
	};
	set_goal();
}

void mw_gc_policy_get(struct mw_gc_policy *policy)
{
	mw_gc_ready();
	read_policy(policy);
}

bool mw_gc_policy_set(const struct mw_gc_policy *policy)
{
	unsigned long state;

	if (policy->percent < MW_GC_OFF || policy->percent > 10000 || policy->cpu_permille > 1000 ||
	    policy->markers > MW_MAX_MARKERS)
		return false;
	mw_gc_ready();
	state = mw_lock(&mw_gc.registry);
	mw_gc.pace.policy = *policy;
	mw_unlock(&mw_gc.registry, state);
	set_goal();
	return true;
}

void mw_pace_marked(size_t bytes)
{
	struct mw_pace *pace = &mw_gc.pace;

	mw_set_word(&pace->marked, bytes);
	mw_set_word(&pace->since, 0);
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++)
		mw_set_word(&pace->cpu[i].bytes, 0);
	set_goal();
}

size_t mw_pace_live(void)
{
	return mw_word(&mw_gc.pace.marked) + mw_word(&mw_gc.pace.since);
}

size_t mw_pace_about(void)
{
	size_t bytes = mw_pace_live();

	for (unsigned int i = 0; i < MW_MAX_CPUS; i++)
		bytes += mw_word(&mw_gc.pace.cpu[i].bytes);
	return bytes;
}

bool mw_pace_due(void)
{
	return mw_word(&mw_gc.pace.since) >= mw_word(&mw_gc.pace.room) || mw_safe_due();
}

static bool heap_overdue(void)
{
	size_t since = mw_word(&mw_gc.pace.since), room = mw_word(&mw_gc.pace.room);

	return since >= room && since - room >= mw_word(&mw_gc.pace.goal) / 8;
}

bool mw_pace_overdue(void)
{
	return heap_overdue() || mw_safe_overdue(4);
}

void mw_up_allocated(size_t bytes)
{
	struct mw_pace *pace = &mw_gc.pace;
	mw_atomic_t *mine = &pace->cpu[mw_port_cpu()].bytes;
	size_t since;

	/* At the end of a mark somebody else sets it to 0, while handlers of a stopped CPU may be here. */
	bytes += mw_word(mine);
	mw_set_word(mine, mw_likely(bytes < FOLD) ? bytes : 0);
	if (mw_likely(bytes < FOLD))
		return;
	since = atomic_fetch_add_explicit(&pace->since, bytes, memory_order_relaxed) + bytes;
	if (since >= mw_word(&pace->room) &&
	    !atomic_exchange_explicit(&pace->due, 1, memory_order_relaxed))
		mw_port_wake(MW_WORKER_COLLECT);
}

/* What the time since it was last done has earned. */
static void earn(struct mw_pace *pace)
{
	uint64_t now = mw_port_now();
	int64_t ns = (int64_t)(now - pace->earned_at), most;
	struct mw_gc_policy policy;

	mw_gc_policy_get(&policy);
	if (!pace->earned_at || ns > SAVED_NS)
		ns = SAVED_NS;
	pace->earned_at = now;
	most = SAVED_NS * (int64_t)policy.cpu_permille;
	pace->credit += ns * (int64_t)(policy.cpu_permille >> pace->useless);
	if (pace->credit > most)
		pace->credit = most;
}

bool mw_pace_may_force(bool last_resort)
{
	struct mw_pace *pace = &mw_gc.pace;

	earn(pace);
	if (pace->credit > 0)
		return true;
	return last_resort &&
	       (mw_safe_worth() ||
		(!pace->useless && mw_word(&pace->since) > mw_word(&pace->marked) / LITTLE));
}

void mw_pace_forced(uint64_t ns, const struct mw_gc_cycle *cycle)
{
	struct mw_pace *pace = &mw_gc.pace;

	pace->credit -= (int64_t)ns * 1000;
	if (cycle->heap_marked < cycle->heap_before - cycle->heap_before / LITTLE)
		pace->useless = 0;
	else if (pace->useless < USELESS_MOST && !mw_gc.safe.on)
		pace->useless++;
}

/* Before an allocation takes pages from the page heap, where it may wait. */
void mw_up_grow(void)
{
	mw_gc_ready();
	if (heap_overdue())
		(void)mw_gc_collect_forced(MW_COLLECT_MARKED, false);
	else if (mw_unlikely(mw_safe_overdue(4)))
		/* What is held is bounded, whatever share of the time that takes. */
		(void)mw_gc_collect_forced(MW_COLLECT_MARKED, mw_safe_overdue(1));
	mw_sweep_help(SWEEP_FIRST);
}

bool mw_up_collect(size_t pages)
{
	mw_gc_ready();
	/* Safe free holds objects of all kinds. */
	if (!mw_gc.safe.on && !mw_page_would(pages, mw_word(&mw_gc.pace.pages)))
		return false;
	return mw_gc_collect_forced(MW_COLLECT_SWEPT, true);
}

void mw_up_count(void)
{
	struct mw_pace *pace = &mw_gc.pace;
	unsigned long every = mw_word(&pace->every);

	if (every && atomic_fetch_add_explicit(&pace->allocations, 1, memory_order_relaxed) % every ==
			     every - 1)
		mw_gc_collect(MW_COLLECT_SWEPT);
}

bool mw_worker_run(enum mw_worker worker, uint64_t budget_ns)
{
	uint64_t start = mw_port_now();
	bool more;

	mw_gc_ready();
	if (worker == MW_WORKER_COLLECT)
		return (mw_word(&mw_gc.pace.due) || mw_safe_due()) && !mw_gc_collect_due();
	if (worker == MW_WORKER_SWEEP) {
		do
			more = mw_sweep_step();
		while (more && mw_port_now() - start < budget_ns);
		return more || !mw_gc_all_swept();
	}
	return worker == MW_WORKER_FINALIZE && mw_calls_run(budget_ns);
}

size_t mw_gc_pauses(struct mw_pause *last, size_t most, uint64_t *total, uint64_t *longest)
{
	unsigned long state = mw_lock(&mw_gc.registry);
	size_t known = mw_min(mw_gc.paused, MW_PAUSES), n = mw_min(known, most);

	for (size_t i = 0; i < n; i++)
		last[i] = mw_gc.pauses[(mw_gc.paused - n + i) % MW_PAUSES];
	*total = mw_gc.pause_total;
	*longest = mw_gc.pause_max;
	mw_unlock(&mw_gc.registry, state);
	return known;
}

#endif
