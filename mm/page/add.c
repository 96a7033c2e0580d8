// SPDX-License-Identifier: MIT
/* Regions that come: see region.c. How they go is in remove.c. */
#include "runs.h"
#include "stock.h"

void mw_regions_change(void)
{
	while (atomic_exchange_explicit(&mw_page.changing, 1, memory_order_acquire))
		mw_port_yield();
}

void mw_regions_changed(void)
{
	atomic_store_explicit(&mw_page.changing, 0, memory_order_release);
}

static size_t bits_words(size_t n)
{
	return (n + MW_WORD_BITS - 1) / MW_WORD_BITS;
}

size_t mw_region_index_bytes(size_t n)
{
	return (2 * mw_tree_words(n) + 3 * bits_words(n)) * sizeof(unsigned long);
}

/* Pages of metadata that a region of @n pages needs for itself, with @map bytes of the page map. */
static size_t own_pages(size_t map, size_t n)
{
	size_t bytes = map + mw_region_index_bytes(n);

	/* And the guard page. */
	return (mw_round_up(bytes, MW_PAGE_SIZE) >> MW_PAGE_SHIFT) + 1;
}

static bool overlaps_region(const struct mw_frames *want, const struct mw_region *region)
{
	size_t n = region->end - region->first;

	return (want->first < region->end && region->first < want->first + want->n) ||
	       (want->frame < region->frame + n && region->frame < want->frame + want->n);
}

static bool overlaps_leaving(const struct mw_frames *want)
{
	unsigned long state = mw_lock(&mw_page.add);
	struct mw_list *at;
	bool found = false;

	mw_list_for_each (at, &mw_page.leaving)
		found = found || overlaps_region(want, mw_container(at, struct mw_region, growing));
	mw_unlock(&mw_page.add, state);
	return found;
}

/* One that is leaving is there, too. */
static bool overlaps(const struct mw_frames *want)
{
	for (size_t i = 0; i < mw_page.nr_regions; i++)
		if (overlaps_region(want, mw_page.by_address[i]))
			return true;
	return overlaps_leaving(want);
}

static unsigned int new_id(bool low)
{
	for (unsigned int id = 2 | low; id < MW_NR_IDS; id += 2) {
		if (!mw_region_by_id(id))
			return id;
	}
	return 0;
}

static struct mw_region *new_region(void)
{
	struct mw_region *region = NULL;

	for (size_t i = 0; i < MW_LEN(mw_page.early) && !region; i++) {
		if (!mw_page.early[i].live && !mw_page.early[i].end)
			region = &mw_page.early[i];
	}
	if (!region)
		region = mw_fixed_alloc(&mw_page.regions);
	/* What another region had it for is nothing to this one. */
	if (region)
		__builtin_memset((void *)region, 0, sizeof(*region));
	return region;
}

static enum mw_zone_index zone_of(size_t frame, size_t *end)
{
	uint64_t at = (uint64_t)frame << MW_PAGE_SHIFT;

	*end = SIZE_MAX;
	if (at >= UINT64_C(1) << 32)
		return MW_ZONE_REST;
	if (at >= UINT64_C(1) << 24) {
		*end = (size_t)(UINT64_C(1) << (32 - MW_PAGE_SHIFT));
		return MW_ZONE_4G;
	}
	*end = (size_t)1 << (24 - MW_PAGE_SHIFT);
	return MW_ZONE_16M;
}

/* Lay the region's own bitmaps out from @at on. */
static void place_bitmaps(struct mw_region *region, size_t n, unsigned long *at)
{
	mw_tree_init(&region->ends, at, n);
	at += mw_tree_words(n);
	mw_tree_init(&region->singles, at, n);
	at += mw_tree_words(n);
	region->zero_bits = (mw_atomic_t *)at;
	region->released_bits = (mw_atomic_t *)(at + bits_words(n));
	region->poison_bits = (mw_atomic_t *)(at + 2 * bits_words(n));
}

static void publish(struct mw_region *region, size_t n)
{
	struct mw_zone *zone = region->index;
	char *own = mw_pn_address(region->end - region->own + 1);
	char *bitmaps = own + mw_map_bytes(region->first, region->end);
	unsigned long state;

	state = mw_lock(&mw_page.heap);
	mw_map_come(&region->map, region->first, region->end, own);
	/* Lists are long, and of most machines' zones some stay empty for ever. */
	for (size_t i = 0; !zone->ready && i < MW_LISTS; i++)
		zone->head[i] = MW_PN_NONE;
	zone->ready = true;
	place_bitmaps(region, n, (unsigned long *)bitmaps);
	atomic_store_explicit(&mw_page.by_id[region->id], region, memory_order_release);
	mw_list_push_back(&zone->growing, &region->growing);
	zone->pages += n - region->own;
	region->live = true;
	mw_tables_insert(region);
	mw_unlock(&mw_page.heap, state);
}

/* A part that lies in one zone. @scarce: set if there is no memory for its record. Return: pages that became usable. */
static size_t add_part(const struct mw_frames *part, enum mw_zone_index zone, const void *base,
		       bool *scarce)
{
	size_t map = mw_map_bytes(part->first, part->first + part->n);
	size_t own = own_pages(map, part->n);
	struct mw_region *region;
	unsigned int id = new_id(zone == MW_ZONE_16M);

	if (own >= part->n || !id || mw_page.nr_regions >= MW_MAX_REGIONS)
		return 0;
	region = new_region();
	if (!region) {
		*scarce = true;
		return 0;
	}
	atomic_init(&region->first, part->first);
	atomic_init(&region->end, part->first + part->n);
	atomic_init(&region->frame, part->frame);
	atomic_init(&region->ceiling, part->first + part->n - own);
	atomic_init(&region->gap, part->n - own);
	region->frontier = part->first;
	region->id = id;
	region->zone = zone;
	region->index = &mw_page.zone[zone];
	region->zeroed = part->zeroed;
	atomic_init(&region->some_zero, part->zeroed);
	region->own = own;
	region->map_bytes = map;
	region->base = base;
	publish(region, part->n);
	atomic_fetch_add_explicit(&mw_page.metadata, own, memory_order_relaxed);
	return part->n - own;
}

static size_t add_parts(struct mw_frames rest, const void *base, bool *scarce)
{
	size_t usable = 0;

	mw_stocks_close();
	while (rest.n) {
		struct mw_frames part = rest;
		size_t end;
		enum mw_zone_index zone = zone_of(part.frame, &end);

		part.n = mw_min(part.n, end - part.frame);
		usable += add_part(&part, zone, base, scarce);
		rest.first += part.n;
		rest.frame += part.n;
		rest.n -= part.n;
	}
	mw_stocks_open();
	return usable;
}

/*
 * In pages, counted from address 0, as the end of a region need not be an address. The last page of all is
 * left out: its number is MW_PN_NONE.
 */
const char *mw_region_round(const void *base, uint64_t phys, size_t len, struct mw_frames *out)
{
	const uintptr_t at = (uintptr_t)base, inside = MW_PAGE_SIZE - 1;
	const size_t zero = (uintptr_t)MW_ADDR_BASE >> MW_PAGE_SHIFT;
	size_t lo, hi;

	if (!len)
		return "region has no whole page";
	if (at + (len - 1) < at || phys + (len - 1) < phys)
		return "region wraps around";
	if ((at ^ phys) & inside)
		return "region's virtual and physical addresses differ within a page";
	lo = (at >> MW_PAGE_SHIFT) + ((at & inside) != 0);
	lo = mw_max(lo, 1); /* not the page of NULL */
	hi = ((at + (len - 1)) >> MW_PAGE_SHIFT) + (((at + (len - 1)) & inside) == inside);
	if (lo >= hi)
		return "region has no whole page";
	if (lo < zero || hi - 1 - zero > MW_PN_MASK)
		return "region outside of MW_ADDR_BASE and MW_ADDR_BITS";
	hi = mw_min(hi, zero + MW_PN_NONE);
	if (lo >= hi)
		return "region has no page but the last of all";
	phys += (uint64_t)(lo - (at >> MW_PAGE_SHIFT)) << MW_PAGE_SHIFT;
	if (phys >> MW_PAGE_SHIFT > SIZE_MAX - (hi - lo))
		return "region's frames have no number here";
	out->first = lo - zero;
	out->n = hi - lo;
	out->frame = (size_t)(phys >> MW_PAGE_SHIFT);
	return NULL;
}

static size_t add(void *base, uint64_t phys, size_t len, bool zeroed, uintptr_t site)
{
	struct mw_frames want = { .zeroed = zeroed };
	const char *wrong = mw_region_round(base, phys, len, &want);
	struct mw_report report = {
		.what = MW_BAD_REGION, .address = base, .given = len, .here.pcs[0] = site
	};
	size_t usable = 0;
	bool scarce = false;

	mw_page_init();
	if (!wrong) {
		mw_regions_change();
		if (overlaps(&want)) {
			wrong = "region overlaps another one";
		} else {
			mw_shadow_live(mw_pn_address(want.first), want.n << MW_PAGE_SHIFT);
			usable = add_parts(want, base, &scarce);
		}
		mw_regions_changed();
	}
	if (!wrong && !usable && !scarce)
		wrong = "region too small for its own bookkeeping, or one too many";
	if (wrong) {
		report.text = wrong;
		mw_misuse(&report);
	}
	return usable << MW_PAGE_SHIFT;
}

size_t mw_region_add(void *base, uint64_t phys, size_t len)
{
	return add(base, phys, len, false, MW_SITE);
}

size_t mw_region_add_zeroed(void *base, uint64_t phys, size_t len)
{
	return add(base, phys, len, true, MW_SITE);
}
