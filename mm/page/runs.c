// SPDX-License-Identifier: MIT
/*
 * The index of free runs. Links and lengths stand in the page map, see map.h; lists and bins in
 * page.h. Everything here needs the heap lock, and takes a bounded number of steps.
 */
#include "runs.h"

/* How many runs of a list that holds several lengths are looked at. */
#define LOOK 4
/* How many lists are looked at from the shortest run up, and from the longest down, where not any run will do. */
#define LISTS 16
/* How many single pages are looked at for an aligned one. */
#define SINGLES 64
#define ULONG_ALL (~0ul)

_Static_assert(MW_LIST_WORDS <= MW_WORD_BITS, "one summary");

/* Links: the last page of a run stands for it. */
static size_t next_of(size_t last)
{
	return mw_map_payload(mw_map_read(last));
}

static size_t prev_of(size_t last)
{
	return mw_map_payload(mw_map_read(last - 1));
}

static void insert_single(const struct mw_run *run, unsigned int age)
{
	struct mw_region *region = run->region;
	unsigned long *singles = region->index->singles;

	mw_map_write(run->first, mw_map_word_of(MW_TAG_SINGLE, region->id, age));
	mw_tree_set(&region->singles, run->first - mw_region_first(region));
	singles[region->id / MW_WORD_BITS] |= 1ul << (region->id % MW_WORD_BITS);
}

static void remove_single(const struct mw_run *run)
{
	struct mw_region *region = run->region;
	unsigned long *singles = region->index->singles;

	mw_tree_clear(&region->singles, run->first - mw_region_first(region));
	if (mw_tree_empty(&region->singles))
		singles[region->id / MW_WORD_BITS] &= ~(1ul << (region->id % MW_WORD_BITS));
}

void mw_run_insert(struct mw_region *region, size_t first, size_t n, unsigned int age)
{
	const struct mw_run run = mw_run_of(region, first, n);
	size_t last = first + n - 1;
	struct mw_ends at;

	++*mw_order_count(&run);
	mw_tree_set(&region->ends, last - mw_region_first(region));
	if (n == 1) {
		insert_single(&run, age);
		return;
	}
	at = mw_ends_of(last);
	if (n > 2)
		mw_run_write_length(&run, at);
	mw_list_add(&run, at, age);
}

void mw_run_remove(const struct mw_run *run)
{
	struct mw_region *region = run->region;
	size_t last = run->first + run->n - 1;
	struct mw_ends at = mw_ends_of(last);

	--*mw_order_count(run);
	mw_tree_clear(&region->ends, last - mw_region_first(region));
	if (run->n == 1) {
		remove_single(run);
	} else {
		mw_list_del(run, at);
		mw_map_write(run->first, 0);
	}
	mw_map_put(at.last, 0);
}

MW_NOINLINE void mw_run_insert_again(const struct mw_run *run, size_t first, unsigned int age)
{
	if (age == MW_AGE_STAYS)
		age = mw_run_age(run);
	mw_run_remove(run);
	mw_run_insert(run->region, first, run->first + run->n - first, age);
}

/* There is one; where the heap is damaged it is one page, for whoever checks it. */
struct mw_run mw_run_ending_at(size_t last)
{
	uintptr_t word = mw_map_read(last);
	size_t n = mw_run_length_before(word, last);

	MW_DASSERT(n);
	n = mw_max(n, 1);
	return mw_run_of(mw_region_by_id(mw_map_id(word)), last - (n - 1), n);
}

struct mw_run mw_run_starting_at(size_t first)
{
	uintptr_t word = mw_map_read(first);
	size_t n = mw_run_length_from(word);

	MW_DASSERT(n);
	n = mw_max(n, 1);
	return mw_run_of(mw_region_by_id(mw_map_id(word)), first, n);
}

unsigned int mw_run_age(const struct mw_run *run)
{
	size_t last = run->first + run->n - 1;

	if (run->n == 1)
		return mw_map_payload(mw_map_read(last)) & MW_AGE_MASK;
	if (run->n > 2)
		return mw_map_id(mw_map_read(last - 1)) & MW_AGE_MASK;
	return MW_PAIR_AGE ? mw_map_read(run->first) >> MW_PAIR_AGE_SHIFT & MW_AGE_MASK
			   : mw_page.epoch & MW_AGE_MASK;
}

/* Frames from @frame up to the next boundary. */
static size_t left_before(size_t frame, size_t boundary)
{
	return boundary - (frame & (boundary - 1));
}

size_t mw_run_fit(const struct mw_run *run, const struct mw_want *want)
{
	size_t start = mw_round_up(run->first, want->align);

	if (want->boundary) {
		size_t first = mw_region_first(run->region);
		size_t frame = atomic_load_explicit(&run->region->frame, memory_order_relaxed);
		size_t left = left_before(start - first + frame, want->boundary);

		/*
		 * Crossing: behind it. Frames need not be as aligned as pages, so that may cross
		 * the next one.
		 */
		if (want->n > left) {
			start = mw_round_up(start + left, want->align);
			if (want->n > left_before(start - first + frame, want->boundary))
				return MW_PN_NONE;
		}
	}
	return start - run->first <= run->n && run->n - (start - run->first) >= want->n ? start
											: MW_PN_NONE;
}

/* The first list from @from up that is not empty. */
static MW_QUICK size_t list_from(const struct mw_zone *zone, size_t from)
{
	size_t i = from / MW_WORD_BITS;
	unsigned long word;

	if (from >= MW_LISTS)
		return MW_LISTS;
	word = zone->lists[i] >> (from % MW_WORD_BITS);
	if (word)
		return from + mw_lowest_bit(word);
	word = zone->summary >> i & ~1ul;
	if (!word)
		return MW_LISTS;
	i += mw_lowest_bit(word);
	return i * MW_WORD_BITS + mw_lowest_bit(zone->lists[i]);
}

/* The last list below @to that is not empty. */
static size_t list_below(const struct mw_zone *zone, size_t to)
{
	size_t i = to / MW_WORD_BITS;
	unsigned long word = i < MW_LIST_WORDS ? zone->lists[i] : 0;

	word &= (1ul << (to % MW_WORD_BITS)) - 1;
	if (word)
		return i * MW_WORD_BITS + mw_highest_bit(word);
	word = i < MW_WORD_BITS ? zone->summary & ((1ul << i) - 1) : zone->summary;
	if (!word)
		return MW_LISTS;
	i = mw_highest_bit(word);
	return i * MW_WORD_BITS + mw_highest_bit(zone->lists[i]);
}

/* The shortest of the first @LOOK runs of a list in which @want fits. */
static bool look_in(const struct mw_zone *zone, size_t list, const struct mw_want *want,
		    struct mw_run *best, size_t *start)
{
	size_t last = zone->head[list];
	bool found = false;

	for (unsigned int i = 0; i < LOOK && last != MW_PN_NONE; i++, last = next_of(last)) {
		struct mw_run run = mw_run_ending_at(last);
		size_t at = mw_run_fit(&run, want);

		if (at == MW_PN_NONE ||
		    (found && (run.n > best->n || (run.n == best->n && run.first > best->first))))
			continue;
		*best = run;
		*start = at;
		found = true;
	}
	return found;
}

static MW_APART bool find_single(const struct mw_zone *zone, struct mw_run *run, size_t *start)
{
	for (size_t i = 0; i < MW_LEN(zone->singles); i++) {
		struct mw_region *region;

		if (!zone->singles[i])
			continue;
		region = mw_region_by_id(
			(unsigned int)(i * MW_WORD_BITS + mw_lowest_bit(zone->singles[i])));
		*start = mw_region_first(region) + mw_tree_next(&region->singles, 0);
		*run = mw_run_of(region, *start, 1);
		return true;
	}
	return false;
}

/* The first aligned one; from one that is not it goes on at the next aligned page. */
static bool single_in(struct mw_region *region, size_t align, unsigned int *looks, size_t *start)
{
	size_t first = mw_region_first(region), at = mw_round_up(first, align), next;

	while ((*looks)--) {
		next = mw_tree_next(&region->singles, at - first);
		if (next == MW_TREE_NONE)
			return false;
		*start = first + next;
		at = mw_round_up(*start, align);
		if (at == *start)
			return true;
	}
	*looks = 0;
	return false;
}

static bool find_odd_single(const struct mw_zone *zone, size_t align, struct mw_run *run,
			    size_t *start)
{
	unsigned int looks = SINGLES;

	for (size_t i = 0; i < MW_LEN(zone->singles); i++) {
		for (unsigned long word = zone->singles[i]; word && looks; word &= word - 1) {
			struct mw_region *region = mw_region_by_id(
				(unsigned int)(i * MW_WORD_BITS + mw_lowest_bit(word)));

			if (single_in(region, align, &looks, start)) {
				*run = mw_run_of(region, *start, 1);
				return true;
			}
		}
	}
	return false;
}

/* The first good list in [@from, @to): runs there are shorter than the double of what is wanted. */
static size_t good_list_from(const struct mw_zone *zone, size_t from, size_t to)
{
	for (size_t i = from / MW_WORD_BITS; i * MW_WORD_BITS < to; i++) {
		unsigned long word = zone->lists[i] & (ULONG_ALL / 3 * 2);

		if (i == from / MW_WORD_BITS)
			word &= ULONG_ALL << (from % MW_WORD_BITS);
		if (word)
			return i * MW_WORD_BITS + mw_lowest_bit(word);
	}
	return MW_LISTS;
}

/* From this list on any run will do. */
static size_t sure_list(const struct mw_want *want)
{
	size_t n = want->n + want->align - 1, bin;

	if (want->boundary)
		n += mw_max(want->n, want->align);
	bin = mw_bin_of(n);
	/* A list of several lengths begins at a length that has no more than its top bits. */
	return 2 * (bin < MW_EXACT ? bin : bin + 1);
}

/* Any good run has it where a block of @n pages, aligned to them, has. */
static MW_APART bool find_natural(const struct mw_zone *zone, const struct mw_want *want, size_t n,
				  struct mw_run *run, size_t *start)
{
	size_t from = 2 * mw_bin_of(n), twice = 2 * mw_bin_of(2 * n);
	size_t list = good_list_from(zone, from, twice);

	if (list >= twice)
		list = list_from(zone, twice);
	return list < MW_LISTS && look_in(zone, list, want, run, start);
}

/* The shortest of the first runs of a list that has @n pages, of those the lowest. */
static MW_QUICK bool best_in(const struct mw_zone *zone, size_t list, size_t n, struct mw_run *run)
{
	size_t last = zone->head[list], best = 0, least = SIZE_MAX;
	uintptr_t at_best = 0;

	for (unsigned int left = LOOK; left && last != MW_PN_NONE; left--) {
		struct mw_ends at = mw_ends_of(last);
		uintptr_t word = mw_map_now(at.last);
		/* A pair's is nowhere; of three pages it stands in the first. */
		size_t length = list / 2 == 2 ? 2 : mw_map_payload(mw_map_now(at.length));

		if (length >= n && (length < least || (length == least && last < best))) {
			least = length;
			best = last;
			at_best = word;
		}
		last = mw_map_payload(word);
	}
	run->region = mw_region_by_id(mw_map_id(at_best));
	run->first = best - (least - 1);
	run->n = least;
	run->list = list;
	return at_best != 0;
}

/* No alignment, no boundary: nearly all requests. */
static MW_APART bool find_plain(const struct mw_zone *zone, size_t n, struct mw_run *run,
				size_t *start)
{
	/* Two lists at most are in vain: those of its own length, if that is not all they hold. */
	for (size_t list = list_from(zone, 2 * mw_bin_of(n)); list < MW_LISTS;
	     list = list_from(zone, list + 1)) {
		if (mw_likely(best_in(zone, list, n, run))) {
			*start = run->first;
			return true;
		}
	}
	return false;
}

/* Any in which @want is sure to fit. */
static bool find_sure(const struct mw_zone *zone, const struct mw_want *want, struct mw_run *run,
		      size_t *start)
{
	size_t list;

	if (!want->boundary && want->n <= want->align)
		return find_natural(zone, want, want->align, run, start);
	list = list_from(zone, sure_list(want));
	return list < MW_LISTS && look_in(zone, list, want, run, start);
}

/* Any alignment and boundary: the shortest runs, what is sure to do, and the longest that are not. */
static MW_APART bool find_odd(const struct mw_zone *zone, const struct mw_want *want,
			      struct mw_run *run, size_t *start)
{
	size_t least = 2 * mw_max(mw_bin_of(want->n), 2), list = list_from(zone, least);

	if (want->n == 1 && find_odd_single(zone, want->align, run, start))
		return true;
	for (unsigned int i = 0; i < LISTS && list < MW_LISTS; i++) {
		if (look_in(zone, list, want, run, start))
			return true;
		list = list_from(zone, list + 1);
	}
	if (list >= MW_LISTS)
		return false;
	if (find_sure(zone, want, run, start))
		return true;
	list = list_below(zone, MW_LISTS);
	for (unsigned int i = 0; i < LISTS && list < MW_LISTS && list >= least; i++) {
		if (look_in(zone, list, want, run, start))
			return true;
		list = list_below(zone, list);
	}
	return false;
}

bool mw_run_find(const struct mw_zone *zone, const struct mw_want *want, struct mw_run *run,
		 size_t *start)
{
	if (want->n == 1 && want->align == 1 && find_single(zone, run, start))
		return true;
	if (want->align == 1 && !want->boundary)
		return find_plain(zone, want->n, run, start);
	if (want->n == want->align && !want->boundary)
		return find_natural(zone, want, want->n, run, start);
	return find_odd(zone, want, run, start);
}

#define LARGEST_LOOKS 32u

size_t mw_run_largest(enum mw_zone_index z)
{
	const struct mw_zone *zone = &mw_page.zone[z];
	size_t largest = 0, looks, list, last;

	for (size_t i = 0; i < MW_LEN(zone->singles); i++)
		largest |= zone->singles[i] != 0;
	if (!zone->summary)
		return largest;
	list = mw_highest_bit(zone->summary);
	list = list * MW_WORD_BITS + mw_highest_bit(zone->lists[list]);
	for (unsigned int good = 0; good < 2; good++, list = (list ^ 1)) {
		if (!(zone->lists[list / MW_WORD_BITS] >> (list % MW_WORD_BITS) & 1))
			continue;
		/* All runs of an exact list are as long; of others, a look at some tells within a sixteenth. */
		looks = list / 2 < MW_EXACT ? 1 : LARGEST_LOOKS;
		last = zone->head[list];
		for (unsigned int i = 0; i < looks && last != MW_PN_NONE; i++, last = next_of(last))
			largest = mw_max(largest, mw_run_ending_at(last).n);
	}
	return largest;
}

size_t mw_run_count(const struct mw_zone *zone)
{
	size_t runs = 0;

	for (size_t i = 0; i < MW_LEN(zone->by_order); i++)
		runs += zone->by_order[i];
	return runs;
}

bool mw_run_listed(const struct mw_run *run)
{
	const struct mw_zone *zone = &mw_page.zone[run->region->zone];
	size_t list = run->list, last = run->first + run->n - 1, prev = prev_of(last);

	if (!(zone->lists[list / MW_WORD_BITS] >> (list % MW_WORD_BITS) & 1))
		return false;
	return prev == MW_PN_NONE ? zone->head[list] == last : next_of(prev) == last;
}

/* Every run in a list belongs there; with as many as were counted, none is missing. */
bool mw_run_check_lists(enum mw_zone_index z)
{
	const struct mw_zone *zone = &mw_page.zone[z];
	size_t listed = 0, runs = mw_run_count(zone), by_order[MW_PN_BITS] = { zone->by_order[0] };

	/* First: the walk goes by it. */
	for (size_t i = 0; i < MW_LIST_WORDS; i++)
		MW_CHECK(zone, (zone->summary >> i & 1) == (zone->lists[i] != 0));
	for (size_t list = list_from(zone, 0); list < MW_LISTS; list = list_from(zone, list + 1)) {
		for (size_t last = zone->head[list]; last != MW_PN_NONE; last = next_of(last)) {
			struct mw_run run = mw_run_ending_at(last);

			MW_CHECK(mw_pn_address(last), run.region && run.region->zone == z);
			MW_CHECK(mw_pn_address(last), run.list == list);
			MW_CHECK(mw_pn_address(last), list / 2 >= MW_EXACT || run.n == list / 2);
			MW_CHECK(zone, ++listed <= runs);
			by_order[mw_highest_bit(run.n)]++;
		}
	}
	MW_CHECK(zone, listed + zone->by_order[0] == runs);
	for (size_t i = 0; i < MW_PN_BITS; i++)
		MW_CHECK(zone, by_order[i] == zone->by_order[i]);
	return true;
}
