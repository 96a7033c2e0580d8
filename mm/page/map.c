// SPDX-License-Identifier: MIT
/*
 * The page map, see span.h: a root in bss, tables of 64 MiB, leaves of 1 MiB.
 *
 * A region brings tables and leaves for all its pages that have none yet. The words of its leaves
 * lie one behind the other. A leaf sleeps until something in it is used: its words are not made
 * yet, and readers find those of mw_map_nothing. So the map of an untouched terabyte is untouched,
 * and a machine of one megabyte pays five KiB.
 *
 * The root and tables change under the heap lock, from nothing to something, and back only when a
 * region is removed; a reader without a lock sees the one or the other.
 */
#include "page.h"

#define TABLE_PAGES (MW_MAP_LEAVES * MW_LEAF_PAGES)
#define LEAF_BYTES (MW_LEAF_PAGES * (sizeof(mw_span_word) + sizeof(mw_map_word)))
/* The flat part is not for regions of less: they may come first, and it stays where it is. */
#define FLAT_LEAST (TABLE_PAGES / 2)

#define NONE ((struct mw_span *)&mw_span_none)

const struct mw_span mw_span_none = {
	.owner = MW_SPAN_NO_OWNER,
	.class = MW_CLASS_NONE,
};

static const mw_span_word no_spans[MW_LEAF_PAGES] = { [0 ... MW_LEAF_PAGES - 1] = NONE };
static const mw_map_word no_runs[MW_LEAF_PAGES];
const struct mw_map_leaf mw_map_nothing = { (mw_span_word *)no_spans, (mw_map_word *)no_runs };

struct mw_map_table *_Atomic mw_map_root[(size_t)1 << (MW_ADDR_BITS - MW_MAP_TABLE_SHIFT)];
struct mw_map_flat mw_map_flat;

static struct mw_map_table *table_of(size_t slot)
{
	return atomic_load_explicit(&mw_map_root[slot], memory_order_relaxed);
}

static mw_span_word *spans_of(const struct mw_map_leaf *leaf)
{
	return atomic_load_explicit(&((struct mw_map_leaf *)leaf)->spans, memory_order_relaxed);
}

/* Leaves are numbered from MW_ADDR_BASE on, as pages are. */
static bool is_awake(size_t leaf)
{
	const struct mw_map_table *table = table_of(leaf / MW_MAP_LEAVES);

	return table && spans_of(&table->leaf[leaf % MW_MAP_LEAVES]) != no_spans;
}

uintptr_t mw_map_get(uintptr_t address)
{
	unsigned long state = mw_port_pin();
	uintptr_t word = mw_map_get_pinned(address);

	mw_port_unpin(state);
	return word;
}

struct mw_span *mw_span_of(const void *address)
{
	unsigned long state = mw_port_pin();
	struct mw_span *span = mw_span_of_pinned(address);

	mw_port_unpin(state);
	return span;
}

/* ---- what a region brings ---- */

/* Only what it may share with others can be there already. */
static struct mw_map_part part_for(size_t first, size_t end)
{
	size_t slot = first / TABLE_PAGES, last_slot = (end - 1) / TABLE_PAGES;
	size_t leaf = first / MW_LEAF_PAGES, last_leaf = (end - 1) / MW_LEAF_PAGES;
	struct mw_map_part part = { .slot = slot, .leaf = leaf };

	part.slot += table_of(slot) != NULL;
	part.leaf += is_awake(leaf);
	last_slot -= last_slot > slot && table_of(last_slot);
	last_leaf -= last_leaf > leaf && is_awake(last_leaf);
	part.slots = last_slot + 1 - part.slot;
	part.leaves = last_leaf + 1 - part.leaf;
	return part;
}

size_t mw_map_bytes(size_t first, size_t end)
{
	const struct mw_map_part part = part_for(first, end);

	return part.slots * sizeof(struct mw_map_table) + part.leaves * LEAF_BYTES;
}

static struct mw_map_table *new_table(const struct mw_map_part *part, size_t slot)
{
	struct mw_map_table *table = &part->tables[slot - part->slot];

	MW_DASSERT(slot - part->slot < part->slots);
	for (size_t i = 0; i < MW_MAP_LEAVES; i++) {
		atomic_init(&table->leaf[i].spans, mw_map_nothing.spans);
		atomic_init(&table->leaf[i].runs, mw_map_nothing.runs);
	}
	atomic_store_explicit(&mw_map_root[slot], table, memory_order_release);
	return table;
}

static void wake(const struct mw_map_part *part, size_t number, bool clear)
{
	size_t slot = number / MW_MAP_LEAVES, at = (number - part->leaf) * MW_LEAF_PAGES;
	struct mw_map_table *table = table_of(slot);
	struct mw_map_leaf *leaf;

	if (!table)
		table = new_table(part, slot);
	leaf = &table->leaf[number % MW_MAP_LEAVES];
	if (spans_of(leaf) != no_spans)
		return;
	MW_DASSERT(number - part->leaf < part->leaves);
	/* Nobody sees them yet. */
	__builtin_memcpy((void *)&part->spans[at], (const void *)no_spans, sizeof(no_spans));
	if (clear)
		__builtin_memset((void *)&part->runs[at], 0, sizeof(no_runs));
	atomic_store_explicit(&leaf->runs, &part->runs[at], memory_order_release);
	atomic_store_explicit(&leaf->spans, &part->spans[at], memory_order_release);
}

/* ---- the flat part: see struct mw_map_flat ---- */

/* Until something was used, more leaves are better. */
static void flat_offer(const struct mw_map_part *part)
{
	size_t pages = part->leaves * MW_LEAF_PAGES, first = part->leaf * MW_LEAF_PAGES;

	if (pages < FLAT_LEAST || mw_map_flat.shut || mw_map_flat.most >= pages ||
	    atomic_load_explicit(&mw_map_flat.pages, memory_order_relaxed))
		return;
	mw_map_flat.most = pages;
	atomic_store_explicit(&mw_map_flat.bias, 0 - (uintptr_t)mw_pn_address(first),
			      memory_order_relaxed);
	atomic_store_explicit(&mw_map_flat.first, first, memory_order_relaxed);
	atomic_store_explicit(&mw_map_flat.spans, part->spans, memory_order_relaxed);
	atomic_store_explicit(&mw_map_flat.runs, part->runs, memory_order_relaxed);
}

static bool flat_within(const char *lo, const char *hi)
{
	const char *spans =
		(const char *)atomic_load_explicit(&mw_map_flat.spans, memory_order_relaxed);

	return spans >= lo && spans < hi;
}

/* As far as its leaves are awake. */
static void flat_grow(const struct mw_map_part *part)
{
	size_t pages = atomic_load_explicit(&mw_map_flat.pages, memory_order_relaxed);

	if (mw_map_flat.shut ||
	    atomic_load_explicit(&mw_map_flat.spans, memory_order_relaxed) != part->spans)
		return;
	while (pages < mw_map_flat.most && is_awake(part->leaf + pages / MW_LEAF_PAGES))
		pages += MW_LEAF_PAGES;
	atomic_store_explicit(&mw_map_flat.pages, pages, memory_order_release);
}

static void flat_shut(const char *lo, const char *hi)
{
	if (!flat_within(lo, hi))
		return;
	mw_map_flat.shut = true;
	atomic_store_explicit(&mw_map_flat.pages, 0, memory_order_relaxed);
}

void mw_map_readers_gone(const char *lo, const char *hi)
{
	if (flat_within(lo, hi))
		__builtin_memset((void *)&mw_map_flat, 0, sizeof(mw_map_flat));
}

/* ---- regions come, grow and go ---- */

void mw_map_come(struct mw_map_part *part, size_t first, size_t end, char *at)
{
	*part = part_for(first, end);
	part->tables = (struct mw_map_table *)at;
	at += part->slots * sizeof(struct mw_map_table);
	part->spans = (mw_span_word *)at;
	at += part->leaves * sizeof(no_spans);
	part->runs = (mw_map_word *)at;
	wake(part, first / MW_LEAF_PAGES, true);
	wake(part, (end - 1) / MW_LEAF_PAGES, true);
	flat_offer(part);
}

void mw_map_wake(const struct mw_map_part *part, size_t first, size_t end, bool clear)
{
	for (size_t leaf = first / MW_LEAF_PAGES; leaf <= (end - 1) / MW_LEAF_PAGES; leaf++)
		wake(part, leaf, clear);
	flat_grow(part);
}

static bool within(const void *at, const char *lo, const char *hi)
{
	return (uintptr_t)at >= (uintptr_t)lo && (uintptr_t)at < (uintptr_t)hi;
}

/* Does what serves the pages around @pn lie in [@lo, @hi), and serve other regions? */
static bool lends_at(const struct mw_region *region, size_t pn, const char *lo, const char *hi)
{
	const struct mw_map_table *table = table_of(pn / TABLE_PAGES);
	const struct mw_map_leaf *leaf = &table->leaf[pn / MW_LEAF_PAGES % MW_MAP_LEAVES];
	size_t slot = mw_round_down(pn, TABLE_PAGES), page = mw_round_down(pn, MW_LEAF_PAGES);

	return (within(table, lo, hi) && mw_region_shares(region, slot, slot + TABLE_PAGES)) ||
	       (within(spans_of(leaf), lo, hi) &&
		mw_region_shares(region, page, page + MW_LEAF_PAGES));
}

bool mw_map_lends(const struct mw_region *region, const char *lo, const char *hi)
{
	return lends_at(region, mw_region_first(region), lo, hi) ||
	       lends_at(region, region->end - 1, lo, hi);
}

void mw_map_disown(size_t first, size_t end, const char *lo, const char *hi)
{
	flat_shut(lo, hi);
	for (size_t slot = first / TABLE_PAGES; slot <= (end - 1) / TABLE_PAGES; slot++) {
		struct mw_map_table *table = table_of(slot);

		if (within(table, lo, hi)) {
			atomic_store_explicit(&mw_map_root[slot], NULL, memory_order_release);
			continue;
		}
		for (size_t i = 0; table && i < MW_MAP_LEAVES; i++) {
			struct mw_map_leaf *leaf = &table->leaf[i];

			if (!within(spans_of(leaf), lo, hi))
				continue;
			atomic_store_explicit(&leaf->spans, mw_map_nothing.spans,
					      memory_order_release);
			atomic_store_explicit(&leaf->runs, mw_map_nothing.runs, memory_order_release);
		}
	}
}

/* One step and three lead to the same words. */
bool mw_map_check(void)
{
	size_t pages = atomic_load_explicit(&mw_map_flat.pages, memory_order_relaxed);

	MW_CHECK(&mw_map_flat, pages <= mw_map_flat.most && (!pages || !mw_map_flat.shut));
	MW_CHECK(&mw_map_flat,
		 !pages || (uintptr_t)mw_pn_address(mw_map_flat.first) == 0 - mw_map_flat.bias);
	for (size_t n = 0; n < pages; n += MW_LEAF_PAGES) {
		size_t number = mw_map_flat.first / MW_LEAF_PAGES + n / MW_LEAF_PAGES;
		const struct mw_map_table *table = table_of(number / MW_MAP_LEAVES);

		MW_CHECK(&mw_map_flat, table);
		MW_CHECK(&mw_map_flat,
			 spans_of(&table->leaf[number % MW_MAP_LEAVES]) == mw_map_flat.spans + n);
		MW_CHECK(&mw_map_flat,
			 table->leaf[number % MW_MAP_LEAVES].runs == mw_map_flat.runs + n);
	}
	return true;
}

void mw_map_forget(size_t first, size_t end)
{
	for (size_t slot = first / TABLE_PAGES; slot <= (end - 1) / TABLE_PAGES; slot++)
		atomic_store_explicit(&mw_map_root[slot], NULL, memory_order_relaxed);
	__builtin_memset((void *)&mw_map_flat, 0, sizeof(mw_map_flat));
}
