// SPDX-License-Identifier: MIT
/*
 * The index of free runs. Links and lengths stand in the page map, see map.h; lists and bins in
 * page.h. Everything here needs the heap lock, and takes a bounded number of steps.
 */
#include "page.h"

/* How many runs of a list that holds several lengths are looked at. */
#define LOOK 4
#define ULONG_ALL (~0ul)

static size_t bin_of(size_t n)
{
	unsigned int k;
	size_t bin;

	if (n < MW_EXACT)
		return n;
	k = mw_highest_bit(n);
	bin = MW_EXACT + ((size_t)(k - MW_EXACT_SHIFT) << MW_SUB_SHIFT) +
	      (n >> (k - MW_SUB_SHIFT) & (((size_t)1 << MW_SUB_SHIFT) - 1));
	return mw_min(bin, MW_BINS - 1);
}

/* Contains a naturally aligned block of the largest power of two up to @n; past 1 GiB any does. */
static bool is_good(size_t first, size_t n)
{
	size_t block = (size_t)1 << mw_min(mw_highest_bit(n), 30 - MW_PAGE_SHIFT);

	return mw_round_up(first, block) + block <= first + n;
}

static size_t list_of(const struct mw_run *run)
{
	return 2 * bin_of(run->n) + is_good(run->first, run->n);
}

static uintptr_t get(mw_map_word *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void put(mw_map_word *word, uintptr_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void put_payload(mw_map_word *word, uintptr_t payload)
{
	put(word, (get(word) & ~(MW_PN_MASK << MW_PAYLOAD_SHIFT)) | payload << MW_PAYLOAD_SHIFT);
}

/* The word @back pages before the one of @pn, @word: mostly beside it. */
static mw_map_word *before(mw_map_word *word, size_t pn, size_t back)
{
	return mw_likely((pn & (MW_TWIG_PAGES - 1)) >= back) ? word - back : mw_map_at(pn - back);
}

/* Links: the last page of a run stands for it. */
static size_t next_of(size_t last)
{
	return mw_map_payload(mw_map_read(last));
}

static size_t prev_of(size_t last)
{
	return mw_map_payload(mw_map_read(last - 1));
}

static void list_add(struct mw_zone *zone, size_t list, const struct mw_run *run, unsigned int age)
{
	size_t last = run->first + run->n - 1, next = zone->head[list];
	unsigned int id = run->region->id;
	mw_map_word *word = mw_map_at(last);

	if (mw_unlikely(run->n == 2)) {
		uintptr_t aged = MW_PAIR_AGE ? (uintptr_t)age << MW_PAIR_AGE_SHIFT : 0;

		put(word, mw_map_word_of(MW_TAG_PAIR, id, next));
		put(before(word, last, 1), mw_map_word_of(MW_TAG_PAIR, id, MW_PN_NONE) | aged);
	} else {
		put(word, mw_map_word_of(MW_TAG_END, id, next));
		put(before(word, last, 1), mw_map_word_of(MW_TAG_INNER, age, MW_PN_NONE));
	}
	zone->head[list] = last;
	if (next != MW_PN_NONE) {
		put_payload(mw_map_at(next - 1), last);
	} else {
		zone->lists[list / MW_WORD_BITS] |= 1ul << (list % MW_WORD_BITS);
		zone->summary |= 1ul << (list / MW_WORD_BITS);
	}
}

static void list_del(struct mw_zone *zone, size_t list, size_t last)
{
	mw_map_word *word = mw_map_at(last);
	size_t next = mw_map_payload(get(word)), prev = mw_map_payload(get(before(word, last, 1)));

	if (next != MW_PN_NONE)
		put_payload(mw_map_at(next - 1), prev);
	if (prev != MW_PN_NONE) {
		put_payload(mw_map_at(prev), next);
		return;
	}
	zone->head[list] = next;
	if (next == MW_PN_NONE) {
		unsigned long *bits = &zone->lists[list / MW_WORD_BITS];

		*bits &= ~(1ul << (list % MW_WORD_BITS));
		if (!*bits)
			zone->summary &= ~(1ul << (list / MW_WORD_BITS));
	}
}

/* The length, at both ends of a run of three or more. */
static void write_length(const struct mw_run *run)
{
	size_t last = run->first + run->n - 1;

	if (run->n > 3)
		mw_map_write(last - 2, mw_map_word_of(MW_TAG_INNER, 0, run->n));
	mw_map_write(run->first, mw_map_word_of(MW_TAG_HEAD, run->region->id, run->n));
}

static size_t *order_count(const struct mw_run *run)
{
	return &mw_page.zone[run->region->zone].by_order[mw_min(mw_highest_bit(run->n), 31)];
}

static void insert_single(const struct mw_run *run, unsigned int age)
{
	struct mw_region *region = run->region;
	unsigned long *singles = mw_page.zone[region->zone].singles;

	mw_map_write(run->first, mw_map_word_of(MW_TAG_SINGLE, region->id, age));
	mw_tree_set(&region->singles, run->first - mw_region_first(region));
	singles[region->id / MW_WORD_BITS] |= 1ul << (region->id % MW_WORD_BITS);
}

static void remove_single(const struct mw_run *run)
{
	struct mw_region *region = run->region;
	unsigned long *singles = mw_page.zone[region->zone].singles;

	mw_tree_clear(&region->singles, run->first - mw_region_first(region));
	if (mw_tree_empty(&region->singles))
		singles[region->id / MW_WORD_BITS] &= ~(1ul << (region->id % MW_WORD_BITS));
}

void mw_run_insert(const struct mw_run *run, unsigned int age)
{
	struct mw_region *region = run->region;

	++*order_count(run);
	mw_tree_set(&region->ends, run->first + run->n - 1 - mw_region_first(region));
	if (run->n == 1) {
		insert_single(run, age);
		return;
	}
	if (run->n > 2)
		write_length(run);
	list_add(&mw_page.zone[region->zone], list_of(run), run, age);
}

void mw_run_remove(const struct mw_run *run)
{
	struct mw_region *region = run->region;
	size_t last = run->first + run->n - 1;

	--*order_count(run);
	mw_tree_clear(&region->ends, last - mw_region_first(region));
	if (run->n == 1) {
		remove_single(run);
	} else {
		list_del(&mw_page.zone[region->zone], list_of(run), last);
		mw_map_write(run->first, 0);
	}
	mw_map_write(last, 0);
}

/* The end stays, and with it all that hangs on it; mostly the list stays too. */
void mw_run_move_front(const struct mw_run *run, size_t first, unsigned int age)
{
	struct mw_zone *zone = &mw_page.zone[run->region->zone];
	size_t last = run->first + run->n - 1, from, to;
	const struct mw_run now = { run->region, first, last + 1 - first };

	if (run->n < 3 || now.n < 3) {
		mw_run_remove(run);
		mw_run_insert(&now, age);
		return;
	}
	--*order_count(run);
	++*order_count(&now);
	from = list_of(run);
	to = list_of(&now);
	mw_map_write(run->first, 0);
	write_length(&now);
	if (from != to) {
		list_del(zone, from, last);
		list_add(zone, to, &now, age);
	} else {
		mw_map_word *word = mw_map_at(last - 1);

		put(word, mw_map_word_of(MW_TAG_INNER, age, mw_map_payload(get(word))));
	}
}

struct mw_run mw_run_ending_at(size_t last)
{
	uintptr_t word = mw_map_read(last);
	struct mw_run run = { mw_region_by_id(mw_map_id(word)), last, 1 };

	if (mw_map_tag(word) == MW_TAG_PAIR)
		run.n = 2;
	else if (mw_map_tag(word) == MW_TAG_END)
		run.n = mw_map_payload(mw_map_read(last - 2));
	else
		MW_DASSERT(mw_map_tag(word) == MW_TAG_SINGLE);
	run.first = last - (run.n - 1);
	return run;
}

struct mw_run mw_run_starting_at(size_t first)
{
	uintptr_t word = mw_map_read(first);
	struct mw_run run = { mw_region_by_id(mw_map_id(word)), first, 1 };

	if (mw_map_tag(word) == MW_TAG_PAIR)
		run.n = 2;
	else if (mw_map_tag(word) == MW_TAG_HEAD)
		run.n = mw_map_payload(word);
	else
		MW_DASSERT(mw_map_tag(word) == MW_TAG_SINGLE);
	return run;
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

size_t mw_run_fit(const struct mw_run *run, const struct mw_want *want)
{
	size_t start = mw_round_up(run->first, want->align);

	if (want->boundary) {
		size_t frame = atomic_load_explicit(&run->region->frame, memory_order_relaxed);
		size_t at = start - mw_region_first(run->region) + frame;

		/* Crossing: begin at the boundary instead, which is as aligned or more. */
		if ((at ^ (at + want->n - 1)) & ~(want->boundary - 1))
			start += mw_max(want->boundary, want->align) -
				 (at & (mw_max(want->boundary, want->align) - 1));
		if (want->n > want->boundary)
			return MW_PN_NONE;
	}
	return start - run->first <= run->n && run->n - (start - run->first) >= want->n ? start
											: MW_PN_NONE;
}

/* The first list from @from up that is not empty. */
static size_t list_from(const struct mw_zone *zone, size_t from)
{
	size_t i = from / MW_WORD_BITS;
	unsigned long word;

	if (from >= MW_LISTS)
		return MW_LISTS;
	word = zone->lists[i] >> (from % MW_WORD_BITS);
	if (word)
		return from + mw_lowest_bit(word);
	if (++i >= MW_LIST_WORDS)
		return MW_LISTS;
	word = zone->summary >> i;
	if (!word)
		return MW_LISTS;
	i += mw_lowest_bit(word);
	return i * MW_WORD_BITS + mw_lowest_bit(zone->lists[i]);
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

static bool find_single(enum mw_zone_index z, struct mw_run *run, size_t *start)
{
	struct mw_zone *zone = &mw_page.zone[z];

	for (size_t i = 0; i < MW_LEN(zone->singles); i++) {
		struct mw_region *region;

		if (!zone->singles[i])
			continue;
		region = mw_region_by_id(
			(unsigned int)(i * MW_WORD_BITS + mw_lowest_bit(zone->singles[i])));
		*start = mw_region_first(region) + mw_tree_next(&region->singles, 0);
		*run = (struct mw_run){ region, *start, 1 };
		return true;
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
	bin = bin_of(n);
	/* A list of several lengths begins at a length that has no more than its top bits. */
	return 2 * (bin < MW_EXACT ? bin : bin + 1);
}

static bool find_natural(const struct mw_zone *zone, const struct mw_want *want, struct mw_run *run,
			 size_t *start)
{
	size_t from = 2 * bin_of(want->n), twice = 2 * bin_of(2 * want->n);
	size_t list = good_list_from(zone, from, twice);

	if (list >= twice)
		list = list_from(zone, twice);
	return list < MW_LISTS && look_in(zone, list, want, run, start);
}

/*
 * The shortest of the first runs of a list that has @n pages, of those the lowest; or MW_PN_NONE. An
 * exact list is not asked for lengths.
 */
static size_t best_in(size_t last, size_t n, bool exact)
{
	size_t best = MW_PN_NONE, least = SIZE_MAX;

	for (unsigned int i = 0; i < LOOK && last != MW_PN_NONE; i++) {
		mw_map_word *word = mw_map_at(last);
		size_t length = exact ? n : mw_map_payload(get(before(word, last, 2)));

		if (length >= n && (length < least || (length == least && last < best))) {
			least = length;
			best = last;
		}
		last = mw_map_payload(get(word));
	}
	return best;
}

/* No alignment, no boundary: nearly all requests. */
static bool find_plain(const struct mw_zone *zone, const struct mw_want *want, struct mw_run *run,
		       size_t *start)
{
	size_t list = list_from(zone, 2 * bin_of(want->n)), best = MW_PN_NONE;

	/* Two lists at most are in vain: those of its own length, if that is not all they hold. */
	while (list < MW_LISTS && best == MW_PN_NONE) {
		best = best_in(zone->head[list], mw_max(want->n, list / 2 < MW_EXACT ? list / 2 : 0),
			       list / 2 < MW_EXACT);
		list = list_from(zone, list + 1);
	}
	if (best == MW_PN_NONE)
		return false;
	*run = mw_run_ending_at(best);
	*start = run->first;
	return true;
}

bool mw_run_find(enum mw_zone_index z, const struct mw_want *want, struct mw_run *run, size_t *start)
{
	const struct mw_zone *zone = &mw_page.zone[z];
	size_t list;

	if (want->n == 1 && want->align == 1 && find_single(z, run, start))
		return true;
	if (want->align == 1 && !want->boundary)
		return find_plain(zone, want, run, start);
	if (want->n == want->align && !want->boundary)
		return find_natural(zone, want, run, start);
	list = list_from(zone, 2 * mw_max(bin_of(want->n), 2));
	for (unsigned int i = 0; i < LOOK && list < MW_LISTS; i++) {
		if (look_in(zone, list, want, run, start))
			return true;
		list = list_from(zone, list + 1);
	}
	list = list_from(zone, mw_max(list, sure_list(want)));
	return list < MW_LISTS && look_in(zone, list, want, run, start);
}

size_t mw_run_largest(enum mw_zone_index z)
{
	const struct mw_zone *zone = &mw_page.zone[z];
	size_t largest = 0, list, last;

	for (size_t i = 0; i < MW_LEN(zone->singles); i++)
		largest |= zone->singles[i] != 0;
	if (!zone->summary)
		return largest;
	list = mw_highest_bit(zone->summary);
	list = list * MW_WORD_BITS + mw_highest_bit(zone->lists[list]);
	for (unsigned int good = 0; good < 2; good++, list = (list ^ 1)) {
		if (!(zone->lists[list / MW_WORD_BITS] >> (list % MW_WORD_BITS) & 1))
			continue;
		last = zone->head[list];
		for (unsigned int i = 0; i < 1024 && last != MW_PN_NONE; i++, last = next_of(last))
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
	size_t list = list_of(run), last = run->first + run->n - 1, prev = prev_of(last);

	if (!(zone->lists[list / MW_WORD_BITS] >> (list % MW_WORD_BITS) & 1))
		return false;
	return prev == MW_PN_NONE ? zone->head[list] == last : next_of(prev) == last;
}

/* Every run in a list belongs there; with as many as were counted, none is missing. */
bool mw_run_check_lists(enum mw_zone_index z)
{
	const struct mw_zone *zone = &mw_page.zone[z];
	size_t listed = 0, runs = mw_run_count(zone);

	/* First: the walk goes by it. */
	for (size_t i = 0; i < MW_LIST_WORDS; i++)
		MW_CHECK(zone, (zone->summary >> i & 1) == (zone->lists[i] != 0));
	for (size_t list = list_from(zone, 0); list < MW_LISTS; list = list_from(zone, list + 1)) {
		for (size_t last = zone->head[list]; last != MW_PN_NONE; last = next_of(last)) {
			struct mw_run run = mw_run_ending_at(last);

			MW_CHECK(mw_pn_address(last), run.region && run.region->zone == z);
			MW_CHECK(mw_pn_address(last), list_of(&run) == list);
			MW_CHECK(zone, ++listed <= runs);
		}
	}
	MW_CHECK(zone, listed + zone->by_order[0] == runs);
	return true;
}
