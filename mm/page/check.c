// SPDX-License-Identifier: MIT
/* Everything that must hold in the page heap, page by page. For one CPU, or a stopped world. */
#include "page.h"

/* What a walk over the pages of a region found, to be compared with what was counted. */
struct found {
	size_t runs, free, singles, released, largest;
	size_t raw, objects, records, lost, unknown; /* pages */
};

static bool is_free_tag(enum mw_map_tag tag)
{
	return tag == MW_TAG_SINGLE || tag == MW_TAG_PAIR || tag == MW_TAG_HEAD || tag == MW_TAG_END;
}

static bool check_inside(const struct mw_run *run)
{
	size_t lo = run->first, hi = run->first + run->n - 1;

	for (size_t pn = lo + 1; pn + 1 < hi; pn++) {
		enum mw_map_tag tag = mw_map_tag(mw_map_read(pn));

		MW_CHECK(mw_pn_address(pn), tag == MW_TAG_NONE || tag == MW_TAG_INNER);
	}
	return true;
}

static bool check_run(const struct mw_region *region, const struct mw_run *run)
{
	size_t first = mw_region_first(region), last = run->first + run->n - 1;
	const void *at = mw_pn_address(run->first);
	struct mw_run again;

	MW_CHECK(at, run->region == region);
	MW_CHECK(at, run->n && last < region->frontier);
	again = mw_run_ending_at(last);
	MW_CHECK(at, again.first == run->first && again.n == run->n && again.region == region);
	MW_CHECK(at, mw_tree_has(&region->ends, last - first));
	MW_CHECK(at, mw_tree_has(&region->singles, last - first) == (run->n == 1));
	MW_CHECK(at, run->n == 1 || mw_run_listed(run));
	MW_CHECK(at, last + 1 == region->frontier || !is_free_tag(mw_map_tag(mw_map_read(last + 1))));
	return check_inside(run);
}

/* A run that is out of the heap for good, of @n pages. */
static bool check_kept(uintptr_t word, size_t pn, size_t n, struct found *found)
{
	if (mw_map_id(word) == MW_ID_LOST) {
		found->lost += n;
		return true;
	}
	found->records += n;
	return mw_guard_check(pn) && mw_guard_check(pn + n - 1);
}

/* Step over what begins at @pn. Return: its pages; 0: something is wrong. */
static size_t step(const struct mw_region *region, size_t pn, struct found *found)
{
	uintptr_t word = mw_map_read(pn);
	struct mw_run run;
	size_t n = 1;

	switch (mw_map_tag(word)) {
	case MW_TAG_SINGLE:
	case MW_TAG_PAIR:
	case MW_TAG_HEAD:
		run = mw_run_starting_at(pn);
		if (!check_run(region, &run))
			return 0;
		found->runs++;
		found->free += run.n;
		found->singles += run.n == 1;
		found->largest = mw_max(found->largest, run.n);
		return run.n;
	case MW_TAG_RAW:
		n = mw_map_payload(word);
		if (!n || n > region->frontier - pn ||
		    (mw_map_id(word) != region->id && !mw_map_is_kept(word)))
			return (void)mw_check_failed("raw run", __FILE__, __LINE__,
						     mw_pn_address(pn)),
			       0;
		if (mw_map_is_kept(word))
			return check_kept(word, pn, n, found) ? n : 0;
		found->raw += n;
		return n;
	case MW_TAG_END:
		return (void)mw_check_failed("end without head", __FILE__, __LINE__,
					     mw_pn_address(pn)),
		       0;
	default:
		if (mw_span_far((uintptr_t)mw_pn_address(pn)) == &mw_span_none)
			found->unknown++;
		else
			found->objects++;
		return 1;
	}
}

static size_t count_bits(const mw_atomic_t *bits, size_t n)
{
	size_t lo, hi, at = 0, count = 0;

	while (mw_bits_run(bits, at, n, true, &lo, &hi)) {
		count += hi - lo;
		at = hi;
	}
	return count;
}

static bool check_region(const struct mw_region *region, struct found *total)
{
	size_t first = mw_region_first(region), n;
	struct found found = { 0 };

	MW_CHECK(region, region->index == &mw_page.zone[region->zone]);
	MW_CHECK(region, region->frontier + region->gap == region->ceiling);
	MW_CHECK(region, region->ceiling + region->own <= region->end);
	MW_CHECK(region, !region->shut || (!region->gap && mw_list_empty(&region->growing)));
	if (region->shut && !mw_guard_check(region->frontier))
		return false;
	MW_CHECK(region, region->ends.n == region->frontier - first);
	MW_CHECK(region, mw_tree_check(&region->ends) && mw_tree_check(&region->singles));
	for (size_t pn = first; pn < region->frontier; pn += n) {
		n = step(region, pn, &found);
		if (!n)
			return false;
	}
	MW_CHECK(region, found.free + region->used == region->frontier - first);
	MW_CHECK(region, mw_tree_count(&region->ends) == found.runs);
	MW_CHECK(region, mw_tree_count(&region->singles) == found.singles);
	MW_CHECK(region, !mw_region_flag(&region->some_released) ||
				 count_bits(region->released_bits, region->frontier - first) ==
					 region->released);
	total->runs += found.runs;
	total->free += found.free;
	total->raw += found.raw;
	total->objects += found.objects;
	total->records += found.records;
	total->lost += found.lost;
	total->unknown += found.unknown;
	total->largest = mw_max(total->largest, found.largest);
	return true;
}

static bool check_zone(enum mw_zone_index z, struct found *total)
{
	const struct mw_zone *zone = &mw_page.zone[z];
	struct found found = { 0 };

	for (unsigned int id = 0; id < MW_NR_IDS; id++) {
		const struct mw_region *region = mw_region_by_id(id);

		if (!region || region->zone != z)
			continue;
		if (!check_region(region, &found))
			return false;
		MW_CHECK(region, (zone->singles[id / MW_WORD_BITS] >> (id % MW_WORD_BITS) & 1) ==
					 (mw_tree_next(&region->singles, 0) != MW_TREE_NONE));
	}
	MW_CHECK(zone, found.free == zone->grown - zone->used);
	MW_CHECK(zone, found.runs == mw_run_count(zone));
	MW_CHECK(zone, found.raw + found.objects + found.records + found.lost + found.unknown ==
			       zone->used);
	MW_CHECK(zone, mw_run_check_lists(z));
	total->raw += found.raw;
	total->objects += found.objects;
	total->records += found.records;
	total->lost += found.lost;
	total->unknown += found.unknown;
	return true;
}

bool mw_page_check(void)
{
	struct found found = { 0 };

	for (unsigned int z = 0; z < MW_ZONES; z++) {
		if (mw_page.ready && !check_zone((enum mw_zone_index)z, &found))
			return false;
	}
	MW_CHECK(&mw_page, found.raw == mw_page.raw);
	MW_CHECK(&mw_page, found.lost == mw_page.lost);
	MW_CHECK(&mw_page,
		 found.objects + found.records + found.unknown == mw_page.objects + mw_page.lent);
	return mw_map_check() && (!mw_page.ready || (mw_fixed_check(&mw_page.spans) &&
						     mw_fixed_check(&mw_page.regions)));
}
