// SPDX-License-Identifier: MIT
/*
 * The page heap: taking from free runs and giving back.
 *
 * Best fit among runs of the highest zone that may be used; what is left of the run goes back into
 * the index. Memory that was never used is taken from a region's gap when no run fits, in steps of at
 * least 1 MiB. A run that is given back joins its free neighbours at once.
 *
 * Invariants, under the heap lock:
 *   no two free runs of a region touch
 *   zone->free == sum of region->free == sum of the lengths of its runs
 *   first .. frontier of a region is free, handed out, or in a stock: nothing is lost
 */
#include "../base/fail.h"
#include "page.h"

/* Step of growth: a multiple of 64 KiB, at least 1 MiB; and at most so much in one go, pinned. */
#define GROW_GRAIN (((size_t)64 << 10) >> MW_PAGE_SHIFT)
#define GROW_LEAST (((size_t)1 << 20) >> MW_PAGE_SHIFT)
#define GROW_MOST MW_LEAF_PAGES

static void put_run(struct mw_region *region, size_t first, size_t end, unsigned int age)
{
	struct mw_run run = { region, first, end - first };

	if (end > first)
		mw_run_insert(&run, age);
}

/* Cut [start, start + n) out of @run. */
static void cut(const struct mw_run *run, size_t start, size_t n)
{
	struct mw_zone *zone = &mw_page.zone[run->region->zone];
	unsigned int age = mw_run_age(run);
	size_t end = run->first + run->n;

	run->region->used += n;
	zone->used += n;
	zone->most_used = mw_max(zone->most_used, zone->used);
	if (mw_likely(start == run->first && start + n != end)) {
		mw_run_move_front(run, start + n, age);
		return;
	}
	mw_run_remove(run);
	put_run(run->region, run->first, start, age);
	put_run(run->region, start + n, end, age);
}

/* Free pages that end where the gap begins. */
static size_t tail_of(const struct mw_region *region)
{
	uintptr_t word;

	if (region->frontier == mw_region_first(region))
		return 0;
	word = mw_map_read(region->frontier - 1);
	if (mw_map_tag(word) == MW_TAG_NONE || mw_map_tag(word) == MW_TAG_SPAN ||
	    mw_map_tag(word) == MW_TAG_RAW || mw_map_tag(word) == MW_TAG_INNER)
		return 0;
	return mw_run_ending_at(region->frontier - 1).n;
}

/* How much of the gap it takes until @want fits behind the last used page; 0: it never will. */
static size_t lacks(const struct mw_region *region, const struct mw_want *want)
{
	struct mw_run run = { (struct mw_region *)region, region->frontier - tail_of(region), 0 };
	size_t gap = mw_region_gap(region), start;

	run.n = region->frontier + gap - run.first;
	start = mw_run_fit(&run, want);
	if (start == MW_PN_NONE || start + want->n <= region->frontier)
		return 0;
	return start + want->n - region->frontier;
}

/* One step towards a run for @want. Return: false if there is no way. */
static bool grow_for(enum mw_zone_index z, const struct mw_want *want)
{
	struct mw_list *at;

	mw_list_for_each (at, &mw_page.zone[z].growing) {
		struct mw_region *region = mw_container(at, struct mw_region, growing);
		size_t need = lacks(region, want), step;

		if (!need)
			continue;
		step = mw_min(mw_max(mw_round_up(need, GROW_GRAIN), GROW_LEAST), GROW_MOST);
		if (mw_region_grow(region, step) || mw_region_grow(region, mw_min(need, step)))
			return true;
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

struct mw_region *mw_heap_take(const struct mw_want *want, size_t *start)
{
	struct mw_run run;

	if (reserved(want->n, want->flags) ||
	    mw_should_fail(want->n << MW_PAGE_SHIFT, MW_FAIL_OWN, 0))
		return NULL;
	for (int z = (int)highest_zone(want->flags); z >= 0; z--) {
		do {
			if (mw_run_find((enum mw_zone_index)z, want, &run, start)) {
				cut(&run, *start, want->n);
				return run.region;
			}
		} while (grow_for((enum mw_zone_index)z, want));
	}
	return NULL;
}

/* The free run that @pn is in; false if it is not free. */
static bool run_around(struct mw_region *region, size_t pn, struct mw_run *run)
{
	size_t first = mw_region_first(region), last;

	last = mw_tree_next(&region->ends, pn - first);
	if (last == MW_TREE_NONE)
		return false;
	*run = mw_run_ending_at(first + last);
	return run->first <= pn;
}

struct mw_region *mw_heap_take_at(size_t start, size_t n, mw_flags_t flags)
{
	struct mw_region *region = mw_region_of(start);
	struct mw_run run;

	if (!region || !region->live || region->zone > highest_zone(flags) || reserved(n, flags))
		return NULL;
	if (n > region->frontier + mw_region_gap(region) - start)
		return NULL;
	while (start + n > region->frontier) {
		if (!mw_region_grow(region, mw_min(start + n - region->frontier, GROW_MOST)))
			return NULL;
	}
	if (!run_around(region, start, &run) || start + n > run.first + run.n)
		return NULL;
	cut(&run, start, n);
	return region;
}

/* The free run that ends before @start, if there is one. */
static bool left_of(const struct mw_region *region, size_t start, struct mw_run *run)
{
	enum mw_map_tag tag;

	if (start == mw_region_first(region))
		return false;
	tag = mw_map_tag(mw_map_read(start - 1));
	if (tag != MW_TAG_END && tag != MW_TAG_SINGLE && tag != MW_TAG_PAIR)
		return false;
	*run = mw_run_ending_at(start - 1);
	return true;
}

static bool right_of(const struct mw_region *region, size_t end, struct mw_run *run)
{
	enum mw_map_tag tag;

	if (end == region->frontier)
		return false;
	tag = mw_map_tag(mw_map_read(end));
	if (tag != MW_TAG_HEAD && tag != MW_TAG_SINGLE && tag != MW_TAG_PAIR)
		return false;
	*run = mw_run_starting_at(end);
	return true;
}

static void give(struct mw_region *region, size_t start, size_t n, unsigned int age)
{
	struct mw_run run = { region, start, n }, other;

	if (left_of(region, start, &other)) {
		mw_run_remove(&other);
		run.first = other.first;
		run.n += other.n;
	}
	if (right_of(region, start + n, &other))
		mw_run_move_front(&other, run.first, age);
	else
		mw_run_insert(&run, age);
}

void mw_heap_give(struct mw_region *region, size_t start, size_t n)
{
	give(region, start, n, mw_page.epoch & MW_AGE_MASK);
}

void mw_heap_lift(struct mw_region *region, size_t start, size_t n)
{
	struct mw_zone *zone = &mw_page.zone[region->zone];
	size_t most_used = zone->most_used;
	struct mw_run run;
	bool found = run_around(region, start, &run);

	MW_ASSERT(found);
	cut(&run, start, n);
	mw_map_write(start, 0);
	zone->most_used = most_used;
}

void mw_heap_settle(struct mw_region *region, size_t start, size_t n, unsigned int age)
{
	region->used -= n;
	mw_page.zone[region->zone].used -= n;
	give(region, start, n, age);
}

void mw_heap_return(struct mw_region *region, size_t start, size_t n)
{
	region->used -= n;
	mw_page.zone[region->zone].used -= n;
	if (mw_region_flag(&region->some_zero))
		mw_bits_set(region->zero_bits, start - mw_region_first(region), n, false);
	mw_heap_give(region, start, n);
}

/* Take back from the port what of [from, to) it has. Return: false if a page is lost. */
static bool reclaim(struct mw_region *region, size_t from, size_t to)
{
	size_t first = mw_region_first(region), lo, hi;
	unsigned long state;
	bool ok = true;

	while (mw_bits_run(region->released_bits, from - first, to - first, true, &lo, &hi)) {
		ok &= mw_port_reclaim(mw_pn_address(first + lo), (hi - lo) << MW_PAGE_SHIFT);
		state = mw_lock(&mw_page.heap);
		mw_bits_set(region->released_bits, lo, hi - lo, false);
		region->released -= hi - lo;
		mw_page.zone[region->zone].released -= hi - lo;
		mw_unlock(&mw_page.heap, state);
		from = first + hi;
	}
	return ok;
}

bool mw_heap_prepare(struct mw_region *region, size_t start, size_t n, bool zero, bool *dirty)
{
	size_t first = mw_region_first(region), from = start - first, to = from + n, lo, hi;
	bool ok = !mw_region_flag(&region->some_released) || reclaim(region, start, start + n);

	/* Lost pages stay handed out, to nobody. */
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
