// SPDX-License-Identifier: MIT
/* What an address that is in no span is at this moment, for reports of wrong frees. */
#include "runs.h"
#include "stock.h"
#include "up.h"

enum what {
	FOREIGN,
	UNTOUCHED, /* of a region, and was never handed out */
	RECORDS,
	FREE,
	STOCKED,
	LOST,
	RAW,
	MOVING, /* taken or given back at this moment */
};

struct found {
	enum what what;
	size_t first, n; /* the run, where there is one */
};

/* Return: false: it lies between the region's first page and its frontier, and in no free run. */
static bool look_locked(size_t pn, struct found *found, size_t *bottom)
{
	struct mw_region *region = mw_region_of(pn);
	struct mw_run run;

	*found = (struct found){ .what = FOREIGN };
	if (!region || !region->live)
		return true;
	*bottom = mw_region_first(region);
	if (pn >= region->frontier) {
		found->what = pn < region->frontier + mw_region_gap(region) ? UNTOUCHED : RECORDS;
		return true;
	}
	if (!mw_run_around(region, pn, &run))
		return false;
	*found = (struct found){ FREE, run.first, run.n };
	return true;
}

static enum what kind_of(uintptr_t word)
{
	if (!(word & MW_RAW_STOCKED))
		return RAW;
	if (mw_map_is_kept(word))
		return mw_map_id(word) == MW_ID_LOST ? LOST : RECORDS;
	return STOCKED;
}

/* A run is known by its first page, however far below that is. No lock: the heap goes on. */
static void look_back(size_t pn, size_t bottom, struct found *found)
{
	found->what = MOVING;
	for (size_t at = pn; at >= bottom; at--) {
		unsigned long state = mw_port_pin();
		uintptr_t word = mw_map_get((uintptr_t)mw_pn_address(at));
		enum mw_map_tag tag = mw_map_tag(word);

		mw_port_unpin(state);
		if (tag == MW_TAG_RAW && mw_map_payload(word & ~MW_RAW_STOCKED) > pn - at)
			*found = (struct found){ kind_of(word), at,
						 mw_map_payload(word & ~MW_RAW_STOCKED) };
		if ((tag != MW_TAG_NONE && tag != MW_TAG_INNER) || !at ||
		    mw_span_of(mw_pn_address(at)))
			return;
	}
}

/* A run in use is only looked for up to @most pages below. */
static struct found look(size_t pn, size_t most)
{
	unsigned long state = mw_lock(&mw_page.heap);
	struct found found;
	size_t bottom;
	bool known = look_locked(pn, &found, &bottom);

	mw_unlock(&mw_page.heap, state);
	if (!known)
		look_back(pn, mw_max(bottom, pn - mw_min(pn, most)), &found);
	return found;
}

bool mw_page_is_nobodys(const void *address)
{
	enum what what;

	if ((uint64_t)((uintptr_t)address - (uintptr_t)MW_ADDR_BASE) >> MW_ADDR_BITS)
		return false;
	/* No run in a stock is longer, so no other one need be found. */
	what = look(mw_pn(address), (size_t)1 << mw_shelf_order(MW_SHELVES - 1)).what;
	return what == FREE || what == UNTOUCHED || what == STOCKED;
}

void mw_page_stray(const void *address, struct mw_report *report)
{
	static const struct {
		enum mw_misuse what;
		const char *text;
	} says[] = {
		[FOREIGN] = { MW_FOREIGN_FREE, "memory that is in no region" },
		[UNTOUCHED] = { MW_FOREIGN_FREE, "memory that was never handed out" },
		[RECORDS] = { MW_FOREIGN_FREE, "memory of the heap's own records" },
		[FREE] = { MW_FREED_SPAN, "in free pages" },
		[STOCKED] = { MW_FREED_SPAN, "in free pages that a CPU keeps" },
		[LOST] = { MW_FOREIGN_FREE, "in pages that the port has lost" },
		[RAW] = { MW_WRONG_KIND, "in a run of pages that is in use" },
		[MOVING] = { MW_FREED_SPAN, "in pages that another CPU takes or gives back" },
	};
	struct found found = look(mw_pn(address), SIZE_MAX);

	report->what = says[found.what].what;
	report->text = says[found.what].text;
	if (!found.n)
		return;
	report->span = mw_pn_address(found.first);
	report->span_pages = found.n;
	if (found.what == RAW) {
		report->object = report->span;
		report->size = found.n << MW_PAGE_SHIFT;
	}
}
