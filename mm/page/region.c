// SPDX-License-Identifier: MIT
/*
 * Regions: adding them, and the two ends from which they are used up: see struct mw_region.
 *
 * What mw_region_add() is given is cut at 16 MiB and 4 GiB of physical addresses; each part is a
 * region of its own, so that runs never join across a zone's border.
 */
#include "../base/fail.h"
#include "page.h"

static size_t load(const mw_atomic_t *at)
{
	return atomic_load_explicit((mw_atomic_t *)at, memory_order_relaxed);
}

static void store(mw_atomic_t *at, size_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

/* Take @n pages of the gap for one of its ends. */
static bool gap_take(struct mw_region *region, size_t n)
{
	unsigned long gap = load(&region->gap);

	do {
		if (gap < n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&region->gap, &gap, gap - n,
							memory_order_relaxed, memory_order_relaxed));
	return true;
}

size_t mw_page_gap(void)
{
	size_t gap = 0;

	for (unsigned int z = 0; z < MW_ZONES; z++) {
		struct mw_list *at;

		mw_list_for_each (at, &mw_page.zone[z].growing)
			gap += mw_region_gap(mw_container(at, struct mw_region, growing));
	}
	return gap;
}

/* Pinned up to here, it cannot go afterwards: pages of it are in use. */
static struct mw_region *take_for_records(unsigned int id, size_t n)
{
	unsigned long state = mw_port_pin();
	struct mw_region *region = atomic_load_explicit(&mw_page.by_id[id], memory_order_acquire);

	if (region && !gap_take(region, n))
		region = NULL;
	mw_port_unpin(state);
	return region;
}

static void *carve(struct mw_region *region, size_t n)
{
	/* The page that was at the ceiling is the last of them, and another one is there now. */
	size_t at = atomic_fetch_sub_explicit(&region->ceiling, n, memory_order_relaxed) - n + 1;
	void *pages = mw_pn_address(at);

	atomic_fetch_add_explicit(&mw_page.metadata, n, memory_order_relaxed);
	if (!region->zeroed)
		__builtin_memset(pages, 0, n << MW_PAGE_SHIFT);
	return pages;
}

/* From the region with the first id from @id up, in steps of two, that has so much. */
static void *carve_from(unsigned int id, size_t n)
{
	struct mw_region *region = NULL;

	for (; id < MW_NR_IDS && !region; id += 2)
		region = take_for_records(id, n);
	return region ? carve(region, n) : NULL;
}

/*
 * The regions that came first, as a region that others' records lie in cannot be removed; memory
 * below 16 MiB last, it is wanted for better things.
 */
void *mw_up_meta_pages(size_t bytes)
{
	size_t n = mw_round_up(bytes, MW_PAGE_SIZE) >> MW_PAGE_SHIFT;
	void *pages = carve_from(2, n);

	if (!pages)
		pages = carve_from(2 | MW_ID_LOW, n);
	return pages ? pages : mw_pool_take(n);
}

/* Words of a flat bitmap are made zero when they are reached, as in a tree. */
static void grow_bits(struct mw_region *region, size_t from, size_t to)
{
	size_t at = (from + MW_WORD_BITS - 1) / MW_WORD_BITS;
	size_t end = (to + MW_WORD_BITS - 1) / MW_WORD_BITS;

	for (; !region->zeroed && at < end; at++) {
		store(&region->zero_bits[at], 0);
		store(&region->released_bits[at], 0);
		store(&region->poison_bits[at], 0);
	}
	if (region->zeroed)
		mw_bits_set(region->zero_bits, from, to - from, true);
}

/* Heap lock held. Return: false if the gap has not so much. */
bool mw_region_grow(struct mw_region *region, size_t pages)
{
	size_t first = mw_region_first(region), start = region->frontier, end = start + pages;

	if (!pages || mw_should_fail(pages << MW_PAGE_SHIFT, MW_FAIL_OWN, 0) ||
	    !gap_take(region, pages))
		return false;
	mw_map_wake(&region->map, start, end, !region->zeroed);
	mw_tree_grow(&region->ends, end - first, !region->zeroed);
	mw_tree_grow(&region->singles, end - first, !region->zeroed);
	grow_bits(region, start - first, end - first);
	region->frontier = end;
	mw_page.zone[region->zone].grown += pages;
	if (!mw_region_gap(region))
		mw_region_shut(region);
	mw_heap_give(region, start, pages);
	return true;
}

/* Who carves may still be on the way to the ceiling, but it will be where the frontier is. */
void mw_region_shut(struct mw_region *region)
{
	mw_list_remove(&region->growing);
	mw_guard_set(region->frontier);
	region->shut = true;
}

/* ---- the sorted tables ---- */

typedef struct mw_region *_Atomic region_slot;

static struct mw_region *slot_get(region_slot *slot)
{
	return atomic_load_explicit(slot, memory_order_acquire);
}

/* The last of the table's first @n whose key, at @offset in the region, is not above @key. */
static struct mw_region *table_find(region_slot *table, size_t n, size_t offset, size_t key)
{
	struct mw_region *found = NULL;
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;
		struct mw_region *region = slot_get(&table[mid]);

		if (region && load((mw_atomic_t *)((char *)region + offset)) <= key) {
			found = region;
			lo = mid + 1;
		} else {
			n = mid;
		}
	}
	return found;
}

/* How many pages of @region, counted at @offset, come before @key; it is in none of them: SIZE_MAX. */
static size_t pages_before(const struct mw_region *region, size_t offset, size_t key)
{
	size_t pages = key - load((const mw_atomic_t *)((const char *)region + offset));

	return pages < load(&region->end) - load(&region->first) ? pages : SIZE_MAX;
}

/* The same as lookup(), slowly; but no other CPU is waited for. */
static MW_NOINLINE struct mw_region *search(size_t offset, size_t key, size_t *pages)
{
	for (unsigned int id = 0; id < MW_NR_IDS; id++) {
		struct mw_region *region = slot_get(&mw_page.by_id[id]);

		if (region && (*pages = pages_before(region, offset, key)) != SIZE_MAX)
			return region;
	}
	return NULL;
}

/*
 * The region that @key lies in, and how many pages from its start. Pinned: its record stays as it is until
 * then. If the table is being changed, by whoever an NMI has interrupted or by another CPU, it is no use.
 */
static struct mw_region *lookup(region_slot *table, size_t offset, size_t key, size_t *pages)
{
	unsigned long seq = atomic_load_explicit(&mw_page.seq, memory_order_acquire);
	struct mw_region *region;

	MW_ASSERT_READER();
	region = table_find(table, load(&mw_page.nr_regions), offset, key);
	atomic_thread_fence(memory_order_acquire);
	if (mw_unlikely(seq & 1 || load(&mw_page.seq) != seq))
		return search(offset, key, pages);
	if (!region || (*pages = pages_before(region, offset, key)) == SIZE_MAX)
		return NULL;
	return region;
}

struct mw_region *mw_region_of(size_t pn)
{
	size_t pages;

	return lookup(mw_page.by_address, offsetof(struct mw_region, first), pn, &pages);
}

uint64_t mw_phys(const void *address)
{
	unsigned long state = mw_port_pin();
	size_t pages, pn = mw_pn(address);
	struct mw_region *region =
		lookup(mw_page.by_address, offsetof(struct mw_region, first), pn, &pages);
	uint64_t frame = region ? load(&region->frame) + pages : 0;

	mw_port_unpin(state);
	if (!region)
		return UINT64_MAX;
	return (frame << MW_PAGE_SHIFT) + ((uintptr_t)address & (MW_PAGE_SIZE - 1));
}

void *mw_virt(uint64_t phys)
{
	uint64_t frame = phys >> MW_PAGE_SHIFT;
	struct mw_region *region;
	unsigned long state;
	size_t pages, pn;

	if (frame > SIZE_MAX)
		return NULL;
	state = mw_port_pin();
	region = lookup(mw_page.by_frame, offsetof(struct mw_region, frame), (size_t)frame, &pages);
	pn = region ? load(&region->first) + pages : 0;
	mw_port_unpin(state);
	if (!region)
		return NULL;
	return (char *)mw_pn_address(pn) + (size_t)(phys & (MW_PAGE_SIZE - 1));
}

static void table_insert(region_slot *table, size_t n, size_t offset, struct mw_region *region)
{
	size_t key = load((mw_atomic_t *)((char *)region + offset)), i = n;

	for (; i > 0; i--) {
		struct mw_region *before = slot_get(&table[i - 1]);

		if (load((mw_atomic_t *)((char *)before + offset)) <= key)
			break;
		atomic_store_explicit(&table[i], before, memory_order_release);
	}
	atomic_store_explicit(&table[i], region, memory_order_release);
}

void mw_tables_insert(struct mw_region *region)
{
	size_t n = load(&mw_page.nr_regions);

	store(&mw_page.seq, load(&mw_page.seq) + 1);
	table_insert(mw_page.by_address, n, offsetof(struct mw_region, first), region);
	table_insert(mw_page.by_frame, n, offsetof(struct mw_region, frame), region);
	atomic_store_explicit(&mw_page.nr_regions, n + 1, memory_order_release);
	atomic_store_explicit(&mw_page.seq, load(&mw_page.seq) + 1, memory_order_release);
}

static void table_remove(region_slot *table, size_t n, struct mw_region *region)
{
	size_t i = 0;

	while (slot_get(&table[i]) != region)
		i++;
	for (; i + 1 < n; i++)
		atomic_store_explicit(&table[i], slot_get(&table[i + 1]), memory_order_release);
	atomic_store_explicit(&table[i], NULL, memory_order_release);
}

void mw_tables_remove(struct mw_region *region)
{
	size_t n = load(&mw_page.nr_regions);

	store(&mw_page.seq, load(&mw_page.seq) + 1);
	table_remove(mw_page.by_address, n, region);
	table_remove(mw_page.by_frame, n, region);
	atomic_store_explicit(&mw_page.nr_regions, n - 1, memory_order_release);
	atomic_store_explicit(&mw_page.seq, load(&mw_page.seq) + 1, memory_order_release);
}

bool mw_region_shares(const struct mw_region *region, size_t first, size_t end)
{
	for (size_t i = 0; i < load(&mw_page.nr_regions); i++) {
		const struct mw_region *other = slot_get(&mw_page.by_address[i]);

		if (other != region && load(&other->first) < end && first < load(&other->end))
			return true;
	}
	return false;
}

void mw_page_bounds(uintptr_t *lo, uintptr_t *hi)
{
	size_t n = load(&mw_page.nr_regions);

	*lo = *hi = 0;
	if (n)
		*lo = (uintptr_t)mw_pn_address(load(&slot_get(&mw_page.by_address[0])->first));
	for (size_t i = 0; i < n; i++)
		*hi = mw_max(*hi,
			     (uintptr_t)mw_pn_address(load(&slot_get(&mw_page.by_address[i])->end)));
}
