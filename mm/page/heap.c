// SPDX-License-Identifier: MIT
/*
 * The page heap: taking from free runs and giving back.
 *
 * Best fit among runs of the highest zone that may be used; what is left of the run goes back into
 * the index. Memory that was never used is taken from a region's gap when no run fits, in steps of at
 * least 1 MiB. A run that is given back joins its free neighbours at once.
 *
 * Nothing is done for each page of a run with the lock held throughout: a long run grows by GROW_MOST
 * between one lock and unlock, and bits change for MW_BITS_ONCE pages.
 *
 * Invariants, under the heap lock:
 *   no two free runs of a region touch
 *   zone->free == sum of region->free == sum of the lengths of its runs
 *   first .. frontier of a region is free, handed out, or in a stock: nothing is lost
 */
#include "../base/fail.h"
#include "runs.h"

/* Step of growth: a multiple of 64 KiB, at least 1 MiB; and at most MW_GROW_MOST in one go, pinned. */
#define GROW_GRAIN (((size_t)64 << 10) >> MW_PAGE_SHIFT)
#define GROW_LEAST (((size_t)1 << 20) >> MW_PAGE_SHIFT)

static void put_run(struct mw_region *region, size_t first, size_t end, unsigned int age)
{
	if (end > first)
		mw_run_insert(region, first, end - first, age);
}

/* Not from the front, or all of it. */
static MW_APART void cut_out(const struct mw_run *run, size_t start, size_t n)
{
	unsigned int age = n < run->n ? mw_run_age(run) : 0;

	mw_run_remove(run);
	put_run(run->region, run->first, start, age);
	put_run(run->region, start + n, run->first + run->n, age);
}

/* Cut [start, start + n) out of @run. */
static MW_QUICK void cut(const struct mw_run *run, size_t start, size_t n)
{
	struct mw_zone *zone = run->region->index;

	run->region->used += n;
	zone->used += n;
	zone->most_used = mw_max(zone->most_used, zone->used);
	if (mw_likely(start == run->first && n != run->n))
		mw_run_move_front(run, start + n, MW_AGE_STAYS);
	else
		cut_out(run, start, n);
}

static MW_APART void cut_at(const struct mw_run *run, size_t start, size_t n)
{
	cut(run, start, n);
}

/* Free pages that end before @start. */
static MW_QUICK size_t left_of(const struct mw_region *region, size_t start)
{
	if (start == mw_region_first(region))
		return 0;
	return mw_run_length_before(mw_map_read(start - 1), start - 1);
}

/* Free pages from @end on. */
static MW_QUICK size_t right_of(const struct mw_region *region, size_t end)
{
	if (end == region->frontier)
		return 0;
	return mw_run_length_from(mw_map_read(end));
}

/* The free run at the frontier of @region, as long as it is and @more; it may have no pages. */
static struct mw_run tail_of(struct mw_region *region, size_t more)
{
	size_t left = left_of(region, region->frontier);

	return (struct mw_run){ region, region->frontier - left, left + more, 0 };
}

static bool fits_in_tail(struct mw_region *region, const struct mw_want *want, struct mw_run *run,
			 size_t *start)
{
	struct mw_run tail = tail_of(region, 0);

	*start = mw_run_fit(&tail, want);
	if (*start == MW_PN_NONE)
		return false;
	*run = mw_run_of(region, tail.first, tail.n);
	return true;
}

/* How much of the gap it takes until @want fits behind the last used page; 0: it never will. */
static size_t lacks(struct mw_region *region, const struct mw_want *want)
{
	struct mw_run run = tail_of(region, mw_region_gap(region));
	size_t start = mw_run_fit(&run, want);

	return start == MW_PN_NONE ? 0 : start + want->n - region->frontier;
}

/*
 * Behind the last used page of a region, where the index had nothing: it looks at some runs only, and one that
 * grew for @want need not be among them. Return: false: there is no such run; with *@grew: not yet.
 */
static MW_NOINLINE bool find_in_tail(enum mw_zone_index z, const struct mw_want *want,
				     struct mw_run *run, size_t *start, bool *grew)
{
	struct mw_list *at, *after;

	mw_list_for_each_safe (at, after, &mw_page.zone[z].growing) {
		struct mw_region *region = mw_container(at, struct mw_region, growing);
		size_t need, step;

		if (fits_in_tail(region, want, run, start))
			return true;
		need = lacks(region, want);
		if (!need) {
			if (!mw_region_gap(region))
				mw_region_shut(region);
			continue;
		}
		step = mw_min(mw_max(mw_round_up(need, GROW_GRAIN), GROW_LEAST), MW_GROW_MOST);
		*grew = mw_region_grow(region, step) || mw_region_grow(region, mw_min(need, step));
		if (*grew)
			return fits_in_tail(region, want, run, start);
	}
	return false;
}

static enum mw_zone_index highest_zone(mw_flags_t flags)
{
	if (flags & MW_BELOW_16M)
		return MW_ZONE_16M;
	return flags & MW_BELOW_4G ? MW_ZONE_4G : MW_ZONE_REST;
}

size_t mw_heap_left(void)
{
	size_t left = mw_page_gap();

	for (unsigned int z = 0; z < MW_ZONES; z++)
		left += mw_page.zone[z].grown - mw_page.zone[z].used;
	return left;
}

/* Would @n pages touch what is set aside? */
static bool reserved(size_t n, mw_flags_t flags)
{
	size_t left;

	if (mw_likely(!mw_page.reserve) || flags & MW_RESERVE)
		return false;
	left = mw_heap_left();
	return left < n || left - n < mw_page.reserve;
}

/* Does a run that begins at @start, were it free, have the alignment and the boundary? */
static bool fits_at(struct mw_region *region, size_t start, const struct mw_want *want)
{
	struct mw_run run = { region, start, want->n, 0 };

	return mw_run_fit(&run, want) != MW_PN_NONE;
}

/* Where @want fits, were all of @region free, but for its records. */
static bool could_fit(const struct mw_region *region, const struct mw_want *want, const void *at)
{
	size_t first = mw_region_first(region),
	       ceiling = atomic_load_explicit(&((struct mw_region *)region)->ceiling,
					      memory_order_relaxed);
	struct mw_run all = { (struct mw_region *)region, first, ceiling - first, 0 };
	size_t start = at ? mw_pn(at) : first;

	if (region->zone > highest_zone(want->flags))
		return false;
	if (at)
		return start >= first && start < ceiling && want->n <= ceiling - start &&
		       fits_at(all.region, start, want);
	return mw_run_fit(&all, want) != MW_PN_NONE;
}

/* Ids looked at with the lock held in one go: some 60 instructions for each that is a region's. */
#define COULD_STEP 64u

/* Ids do not move while others come and go, so no region is passed by. */
bool mw_heap_could(const struct mw_want *want, const void *at)
{
	size_t pages = 0, out = 0;
	bool fits = false;

	for (unsigned int id = 0; id < MW_NR_IDS; id += COULD_STEP) {
		unsigned long state = mw_lock(&mw_page.heap);

		for (unsigned int i = 0; i < COULD_STEP; i++) {
			const struct mw_region *region = mw_region_by_id(id + i);

			if (!region || !region->live)
				continue;
			fits = fits || could_fit(region, want, at);
			pages += region->ceiling - region->first;
		}
		/* Lost pages and records that came out of the heap count only here: where they lie is not asked. */
		out = mw_page.lent + mw_page.lost;
		out += want->flags & MW_RESERVE ? 0 : mw_page.reserve;
		mw_unlock(&mw_page.heap, state);
	}
	return fits && out <= pages && want->n <= pages - out;
}

void mw_heap_look_at_reserve(void)
{
	bool is_short = mw_page.reserve && mw_heap_left() < mw_page.reserve;

	if (is_short == mw_page.reserve_short)
		return;
	mw_page.reserve_short = is_short;
	mw_stock_mask_set();
}

/* After pages left the heap. */
static MW_QUICK void taken(mw_flags_t flags)
{
	if (mw_unlikely(mw_page.reserve) && flags & MW_RESERVE)
		mw_heap_look_at_reserve();
}

struct mw_region *mw_heap_take(const struct mw_want *want, size_t *start, bool *grew)
{
	struct mw_run run;

	*grew = false;
	if (reserved(want->n, want->flags) ||
	    mw_should_fail(want->n << MW_PAGE_SHIFT, MW_FAIL_OWN, 0))
		return NULL;
	for (int z = (int)highest_zone(want->flags); z >= 0; z--) {
		if (mw_run_find(&mw_page.zone[z], want, &run, start) ||
		    find_in_tail((enum mw_zone_index)z, want, &run, start, grew)) {
			cut(&run, *start, want->n);
			taken(want->flags);
			return run.region;
		}
		if (*grew)
			break;
	}
	return NULL;
}

bool mw_run_around(struct mw_region *region, size_t pn, struct mw_run *run)
{
	size_t first = mw_region_first(region), last;

	last = mw_tree_next(&region->ends, pn - first);
	if (last == MW_TREE_NONE)
		return false;
	*run = mw_run_ending_at(first + last);
	return run->first <= pn;
}

struct mw_region *mw_heap_take_at(size_t start, const struct mw_want *want, bool *grew)
{
	struct mw_region *region = mw_region_of(start);
	size_t n = want->n, end;
	struct mw_run run;

	*grew = false;
	if (!region || !region->live || region->zone > highest_zone(want->flags) ||
	    reserved(n, want->flags) || !fits_at(region, start, want))
		return NULL;
	end = region->frontier + mw_region_gap(region);
	if (start >= end || n > end - start)
		return NULL;
	if (start + n > region->frontier)
		*grew = mw_region_grow(region, mw_min(start + n - region->frontier, MW_GROW_MOST));
	if (start + n > region->frontier || !mw_run_around(region, start, &run) ||
	    start + n > run.first + run.n) {
		*grew &= start + n > region->frontier;
		return NULL;
	}
	cut_at(&run, start, n);
	taken(want->flags);
	return region;
}

static MW_QUICK void give(struct mw_region *region, size_t start, size_t n, unsigned int age)
{
	size_t left = left_of(region, start), right = right_of(region, start + n);
	struct mw_run run;

	if (left) {
		run = mw_run_of(region, start - left, left);
		mw_run_remove(&run);
	}
	if (right) {
		run = mw_run_of(region, start + n, right);
		mw_run_move_front(&run, start - left, age);
	} else {
		mw_run_insert(region, start - left, left + n, age);
	}
}

void mw_heap_give(struct mw_region *region, size_t start, size_t n)
{
	give(region, start, n, mw_page.epoch & MW_AGE_MASK);
}

void mw_heap_lift(struct mw_region *region, size_t start, size_t n)
{
	struct mw_zone *zone = region->index;
	size_t most_used = zone->most_used;
	struct mw_run run;
	bool found = mw_run_around(region, start, &run);

	MW_ASSERT(found);
	cut_at(&run, start, n);
	mw_map_write(start, 0);
	zone->most_used = most_used;
}

void mw_heap_settle(struct mw_region *region, size_t start, size_t n, unsigned int age)
{
	region->used -= n;
	region->index->used -= n;
	give(region, start, n, age);
}

static bool any_zero(const struct mw_region *region, size_t start, size_t n)
{
	size_t from = start - mw_region_first(region), lo, hi;

	return mw_region_flag(&region->some_zero) &&
	       mw_bits_run(region->zero_bits, from, from + n, true, &lo, &hi);
}

void mw_heap_return(struct mw_region *region, size_t start, size_t n)
{
	region->used -= n;
	region->index->used -= n;
	if (mw_region_flag(&region->some_zero) && n <= MW_BITS_ONCE)
		mw_bits_set(region->zero_bits, start - mw_region_first(region), n, false);
	MW_WASSERT(!any_zero(region, start, n));
	give(region, start, n, mw_page.epoch & MW_AGE_MASK);
	if (mw_unlikely(mw_page.reserve_short))
		mw_heap_look_at_reserve();
}

void mw_heap_bits(mw_atomic_t *bits, size_t from, size_t n, bool value)
{
	while (n) {
		size_t some = mw_min(n, MW_BITS_ONCE);
		unsigned long state = mw_lock(&mw_page.heap);

		mw_bits_set(bits, from, some, value);
		mw_unlock(&mw_page.heap, state);
		from += some;
		n -= some;
	}
}

void mw_heap_dirty(struct mw_region *region, size_t start, size_t n)
{
	if (n > MW_BITS_ONCE && mw_region_flag(&region->some_zero))
		mw_heap_bits(region->zero_bits, start - mw_region_first(region), n, false);
}

void mw_heap_lose(size_t start, size_t n, size_t *counted)
{
	*counted -= n;
	mw_page.lost += n;
	mw_map_write(start, mw_map_kept(MW_ID_LOST, n));
}

/* Take back from the port what of [from, to) it has. Return: false if a page is lost. */
static bool reclaim(struct mw_region *region, size_t from, size_t to)
{
	size_t first = mw_region_first(region), lo, hi;
	unsigned long state;
	bool ok = true;

	while (mw_bits_run(region->released_bits, from - first, to - first, true, &lo, &hi)) {
		hi = mw_min(hi, lo + MW_BITS_ONCE);
		ok &= mw_port_reclaim(mw_pn_address(first + lo), (hi - lo) << MW_PAGE_SHIFT);
		state = mw_lock(&mw_page.heap);
		mw_bits_set(region->released_bits, lo, hi - lo, false);
		region->released -= hi - lo;
		region->index->released -= hi - lo;
		mw_unlock(&mw_page.heap, state);
		from = first + hi;
	}
	return ok;
}

bool mw_heap_prepare(struct mw_region *region, size_t start, size_t n, bool zero, bool *dirty)
{
	size_t first = mw_region_first(region), from = start - first, to = from + n, lo, hi;
	bool ok = !mw_region_flag(&region->some_released) || reclaim(region, start, start + n);

	if (!ok)
		return false;
	if (mw_unlikely(mw_region_flag(&region->some_poison)))
		mw_poison_check(region, start, n);
	if (zero && !mw_region_flag(&region->some_zero)) {
		__builtin_memset(mw_pn_address(start), 0, n << MW_PAGE_SHIFT);
	} else if (zero) {
		while (mw_bits_run(region->zero_bits, from, to, false, &lo, &hi)) {
			__builtin_memset(mw_pn_address(first + lo), 0, (hi - lo) << MW_PAGE_SHIFT);
			from = hi;
		}
	}
	if (dirty)
		*dirty = !zero && (!mw_region_flag(&region->some_zero) ||
				   mw_bits_run(region->zero_bits, from, to, false, &lo, &hi));
	return true;
}
