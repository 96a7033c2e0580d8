// SPDX-License-Identifier: MIT
/*
 * When no run can be found: what is tried, cheapest first, before the answer is NULL.
 *
 *	1 the stocks of all CPUs            always; and what was deferred, if the caller may wait
 *	2 what rooms above keep or can sweep, step by step, see up.h
 *	3 the kernel's shrinkers            only if the caller may wait, and did not say MW_NO_SHRINK
 *
 * After each step that gave something back the request is tried again. No lock is held in between. What no
 * step can bring is refused before the first one, and steps whose most is too little are left out: 1 and 2 give
 * back pages of stocks and objects only.
 */
#include "../base/event.h"
#include "../base/grace.h"
#include "stock.h"
#include "up.h"

/* ---- shrinkers ---- */

/*
 * The next one to be asked is written down, so that it may be removed, as may the one that is asked: nothing
 * is read of that after its call.
 */
static struct mw_shrinker *next_shrinker(void)
{
	unsigned long state = mw_lock(&mw_page.add);
	struct mw_shrinker *next = mw_page.next_shrinker;

	if (next)
		mw_page.next_shrinker = next->next;
	mw_page.shrinking = next;
	mw_unlock(&mw_page.add, state);
	return next;
}

static void begin_asking(void)
{
	unsigned long state;

	while (atomic_exchange_explicit(&mw_page.asking, 1, memory_order_acquire))
		mw_port_yield();
	state = mw_lock(&mw_page.add);
	mw_page.next_shrinker = mw_page.shrinkers;
	mw_unlock(&mw_page.add, state);
}

static void end_asking(void)
{
	unsigned long state = mw_lock(&mw_page.add);

	mw_page.next_shrinker = mw_page.shrinking = NULL;
	mw_unlock(&mw_page.add, state);
	atomic_store_explicit(&mw_page.asking, 0, memory_order_release);
}

/* One CPU at a time asks; another one that needs memory meanwhile tries again when it is done. */
static size_t ask_shrinkers(size_t pages)
{
	struct mw_shrinker *shrinker;
	size_t freed = 0;

	begin_asking();
	while (freed < pages && (shrinker = next_shrinker()))
		freed += shrinker->shrink(shrinker, pages - freed);
	end_asking();
	return freed;
}

/* Where @shrinker hangs, or would; @add held. */
static struct mw_shrinker **find_shrinker(const struct mw_shrinker *shrinker)
{
	struct mw_shrinker **at = &mw_page.shrinkers;

	while (*at && *at != shrinker)
		at = &(*at)->next;
	return at;
}

void mw_shrinker_add(struct mw_shrinker *shrinker)
{
	struct mw_report report = { .what = MW_BAD_REQUEST,
				    .text = "a shrinker that is there already",
				    .address = shrinker,
				    .here.pcs[0] = MW_SITE };
	unsigned long state = mw_lock(&mw_page.add);
	bool there = *find_shrinker(shrinker);

	if (!there) {
		shrinker->next = mw_page.shrinkers;
		mw_page.shrinkers = shrinker;
	}
	mw_unlock(&mw_page.add, state);
	if (there)
		mw_misuse(&report);
}

bool mw_shrinker_remove(struct mw_shrinker *shrinker)
{
	unsigned long state = mw_lock(&mw_page.add);
	struct mw_shrinker **at = find_shrinker(shrinker);
	bool busy = shrinker && mw_page.shrinking == shrinker;

	if (*at) {
		*at = shrinker->next;
		if (mw_page.next_shrinker == shrinker)
			mw_page.next_shrinker = shrinker->next;
	}
	mw_unlock(&mw_page.add, state);
	return !busy;
}

/* Return: true if it had taken something out of the heap, and has put it back. */
static bool wait_for_scavenger(mw_flags_t flags)
{
	if (flags & MW_ATOMIC || !atomic_load_explicit(&mw_page.lifted, memory_order_acquire))
		return false;
	while (atomic_load_explicit(&mw_page.lifted, memory_order_acquire))
		mw_port_yield();
	return true;
}

bool mw_page_would(size_t pages, size_t more)
{
	unsigned long state = mw_lock(&mw_page.heap);
	size_t most = mw_page.ready ? mw_heap_left() + mw_stock_pages() : 0;

	mw_unlock(&mw_page.heap, state);
	return pages <= most || pages - most <= more;
}

/* Would there be so many if all objects went? */
static bool worth_it(size_t pages)
{
	unsigned long state = mw_lock(&mw_page.heap);
	size_t objects = mw_page.objects;

	mw_unlock(&mw_page.heap, state);
	return mw_page_would(pages, objects);
}

static bool reclaim(size_t pages, mw_flags_t flags, unsigned int *step)
{
	for (;;) {
		unsigned int now = (*step)++;
		bool again;

		mw_event(MW_EVENT_RECLAIM, pages, now);
		if (!now) {
			bool flushed = !(flags & MW_ATOMIC) && mw_grace_flush();

			if (mw_stock_drain_all() | wait_for_scavenger(flags) | flushed)
				return true;
		} else if (now < MW_RECLAIM_SHRINK) {
			if (!worth_it(pages) || !mw_reclaim_above(pages, flags, now - 1))
				*step = MW_RECLAIM_SHRINK;
			else
				return true;
		} else {
			again = now == MW_RECLAIM_SHRINK && !(flags & (MW_ATOMIC | MW_NO_SHRINK)) &&
				ask_shrinkers(pages);
			if (!again)
				mw_event(MW_EVENT_FAILED, pages, now);
			return again;
		}
	}
}

bool mw_page_reclaim_for(const struct mw_want *want, const void *at, unsigned int *step)
{
	/* Who cannot wait stops nobody, and does not pay for the question. */
	if (*step || (want->flags & MW_ATOMIC) || mw_heap_could(want, at))
		return reclaim(want->n, want->flags, step);
	mw_event(MW_EVENT_FAILED, want->n, 0);
	return false;
}

bool mw_page_reclaim(size_t pages, size_t align, mw_flags_t flags, unsigned int *step)
{
	const struct mw_want want = { pages, mw_max(align >> MW_PAGE_SHIFT, 1), 0, flags };

	return mw_page_reclaim_for(&want, NULL, step);
}

/* The reserve need not be one run. */
bool mw_reserve(size_t bytes)
{
	size_t pages = mw_round_up(bytes, MW_PAGE_SIZE) >> MW_PAGE_SHIFT, left = 0;
	unsigned int step = 0;
	bool ok;

	do {
		unsigned long state = mw_lock(&mw_page.heap);

		left = mw_page.ready ? mw_heap_left() : 0;
		ok = left >= pages && bytes <= SIZE_MAX - MW_PAGE_SIZE;
		if (ok)
			mw_page.reserve = pages;
		mw_heap_look_at_reserve();
		mw_unlock(&mw_page.heap, state);
	} while (!ok && reclaim(pages, MW_NORMAL, &step));
	return ok;
}

/*
 * ---- metadata when the gaps are used up ----
 *
 * It lies between objects then, so each run of it has a guard page at both ends, see guard.c.
 */

/* Pages never come back from here: an eighth of what there is, as for what is carved, within limits. */
static size_t pool_pages(size_t wanted)
{
	size_t deserved = atomic_load_explicit(&mw_page.metadata, memory_order_relaxed) / 8;

	deserved = mw_min(mw_max(deserved, ((size_t)16 << 10) >> MW_PAGE_SHIFT),
			  ((size_t)64 << 10) >> MW_PAGE_SHIFT);
	return mw_max(wanted, deserved);
}

void *mw_pool_take(size_t n)
{
	unsigned long state = mw_lock(&mw_page.pool_lock);
	void *pages = NULL;

	if (mw_page.pool_n >= n) {
		pages = mw_pn_address(mw_page.pool_at);
		mw_page.pool_at += n;
		mw_page.pool_n -= n;
		atomic_fetch_sub_explicit(&mw_page.pool_rest, n, memory_order_relaxed);
	} else {
		atomic_store_explicit(&mw_page.pool_wanted, n, memory_order_relaxed);
	}
	mw_unlock(&mw_page.pool_lock, state);
	if (pages)
		mw_shadow_live(pages, n << MW_PAGE_SHIFT);
	return pages;
}

/* What is left of an older run is lost, at most a request's worth. */
static void pool_put(size_t start, size_t n)
{
	unsigned long state = mw_lock(&mw_page.pool_lock);

	mw_page.pool_at = start;
	mw_page.pool_n = n;
	mw_unlock(&mw_page.pool_lock, state);
}

/* @n pages out of the heap, for good. */
static struct mw_region *pool_run(size_t n, size_t *start)
{
	const struct mw_want want = { .n = n, .align = 1, .flags = MW_RESERVE };
	struct mw_region *region;
	unsigned long state;
	bool grew;

	do {
		state = mw_lock(&mw_page.heap);
		region = mw_heap_take(&want, start, &grew);
		if (region)
			mw_page.lent += n;
		mw_unlock(&mw_page.heap, state);
	} while (!region && grew);
	return region;
}

/* Return: false: the port has lost pages of it. */
static bool pool_prepare(struct mw_region *region, size_t start, size_t n)
{
	bool ok = mw_heap_prepare(region, start, n, true, NULL);
	unsigned long state;

	if (ok) {
		mw_guard_set(start);
		mw_guard_set(start + n - 1);
	}
	state = mw_lock(&mw_page.heap);
	if (ok)
		mw_map_write(start, mw_map_kept(MW_ID_RECORDS, n));
	else
		mw_heap_lose(start, n, &mw_page.lent);
	mw_unlock(&mw_page.heap, state);
	return ok;
}

bool mw_meta_refill(void)
{
	size_t wanted = atomic_exchange_explicit(&mw_page.pool_wanted, 0, memory_order_relaxed);
	size_t start, n = pool_pages(wanted);
	struct mw_region *region;

	if (!wanted || !mw_page.ready)
		return false;
	region = pool_run(n + 2, &start);
	if (!region && n > wanted) {
		n = wanted;
		region = pool_run(n + 2, &start);
	}
	if (!region)
		return false;
	if (pool_prepare(region, start, n + 2)) {
		atomic_fetch_add_explicit(&mw_page.metadata, n + 2, memory_order_relaxed);
		atomic_fetch_add_explicit(&mw_page.pool_rest, n + 2, memory_order_relaxed);
		pool_put(start + 1, n);
	}
	return true;
}
