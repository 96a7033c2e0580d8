// SPDX-License-Identifier: MIT
/*
 * The page map: a root in bss, leaves of 64 MiB each, and twigs for regions that are too small for a
 * leaf.
 *
 * An entry of the root is 0, or an address with one of three tags: a leaf; a leaf that sleeps, whose
 * words have not been made zero yet because nothing in it was ever used; or a table of twigs of
 * 1 MiB each. A region of 64 MiB or more, or one that fills
 * half of an entry, brings leaves; a smaller one brings twigs, so that a machine of one
 * megabyte pays two and a half KiB, not 128.
 *
 * Entries and twigs change under the heap lock, from 0 to something, and back only when a region is
 * removed; a reader without a lock sees the one or the other. Only who adds or removes a region changes them,
 * but for leaves that wake, so between its steps it finds them as it left them.
 */
#include "page.h"

#define MAP_ASLEEP 2ul
#define MAP_TABLE 4ul
#define TWIGS ((size_t)1 << (MW_MAP_LEAF_SHIFT - MW_TWIG_SHIFT))

#define LEAF_BYTES (MW_LEAF_PAGES * sizeof(mw_map_word))
#define TWIG_BYTES (MW_TWIG_PAGES * sizeof(mw_map_word))
#define TABLE_BYTES (TWIGS * sizeof(mw_map_word))
#define TWIGS_AT_ONCE 16u

mw_map_word mw_map_root[(size_t)1 << (MW_ADDR_BITS - MW_MAP_LEAF_SHIFT)];
struct mw_map_flat mw_map_flat;

static uintptr_t root_get(size_t slot)
{
	return atomic_load_explicit(&mw_map_root[slot], memory_order_relaxed);
}

static void root_set(size_t slot, uintptr_t entry)
{
	atomic_store_explicit(&mw_map_root[slot], entry, memory_order_release);
}

static mw_map_word *twig_of(uintptr_t entry, size_t pn)
{
	mw_map_word *table = (mw_map_word *)(entry - MAP_TABLE);

	return (mw_map_word *)atomic_load_explicit(&table[pn >> MW_TWIG_PAGE_SHIFT & (TWIGS - 1)],
						   memory_order_acquire);
}

mw_map_word *mw_map_find_small(uintptr_t entry, size_t pn)
{
	mw_map_word *twig;

	if (!(entry & MAP_TABLE))
		return NULL;
	twig = twig_of(entry, pn);
	return twig ? twig + (pn & (MW_TWIG_PAGES - 1)) : NULL;
}

uintptr_t mw_map_get_far(uintptr_t address)
{
	mw_map_word *word = mw_map_find((void *)address);

	return word ? atomic_load_explicit(word, memory_order_acquire) : 0;
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
	return mw_map_span(mw_map_get((uintptr_t)address));
}

mw_map_word *mw_map_at_small(uintptr_t entry, size_t pn)
{
	MW_DASSERT(entry & MAP_TABLE);
	return twig_of(entry, pn) + (pn & (MW_TWIG_PAGES - 1));
}

/* Does the part of [@first, @end) in @slot deserve a leaf? */
static bool wants_leaf(size_t slot, size_t first, size_t end)
{
	size_t lo = mw_max(first, slot << MW_LEAF_PAGE_SHIFT);
	size_t hi = mw_min(end, (slot + 1) << MW_LEAF_PAGE_SHIFT);

	return hi - lo >= MW_LEAF_PAGES / 2 || end - first >= 16 * MW_LEAF_PAGES;
}

static size_t twigs_bytes(uintptr_t entry, size_t slot, size_t first, size_t end)
{
	size_t lo = mw_max(first, slot << MW_LEAF_PAGE_SHIFT) >> MW_TWIG_PAGE_SHIFT;
	size_t hi = (mw_min(end, (slot + 1) << MW_LEAF_PAGE_SHIFT) - 1) >> MW_TWIG_PAGE_SHIFT;
	size_t bytes = entry ? 0 : TABLE_BYTES;

	for (size_t twig = lo; twig <= hi; twig++)
		bytes += entry && twig_of(entry, twig << MW_TWIG_PAGE_SHIFT) ? 0 : TWIG_BYTES;
	return bytes;
}

size_t mw_map_bytes(size_t first, size_t end)
{
	size_t bytes = 0;

	for (size_t slot = first >> MW_LEAF_PAGE_SHIFT; slot <= (end - 1) >> MW_LEAF_PAGE_SHIFT;
	     slot++) {
		uintptr_t entry = root_get(slot);

		if (entry & (MW_MAP_LEAF | MAP_ASLEEP))
			continue;
		bytes += wants_leaf(slot, first, end) ? LEAF_BYTES
						      : twigs_bytes(entry, slot, first, end);
	}
	return bytes;
}

/* Some twigs more, for @claim->slot. Return: there were no more to make. */
static bool claim_twigs(struct mw_map_claim *claim)
{
	size_t slot = claim->slot, start = slot << MW_LEAF_PAGE_SHIFT;
	size_t lo = mw_max(claim->first, start) >> MW_TWIG_PAGE_SHIFT;
	size_t hi = (mw_min(claim->end, start + MW_LEAF_PAGES) - 1) >> MW_TWIG_PAGE_SHIFT;
	uintptr_t entry = root_get(slot);
	mw_map_word *table;

	if (!entry) {
		__builtin_memset(claim->at, 0, TABLE_BYTES);
		entry = (uintptr_t)claim->at + MAP_TABLE;
		claim->at += TABLE_BYTES;
	}
	table = (mw_map_word *)(entry - MAP_TABLE);
	for (size_t n = 0; n < TWIGS_AT_ONCE && lo + claim->done <= hi; n++, claim->done++) {
		size_t twig = lo + claim->done;

		if (twig_of(entry, twig << MW_TWIG_PAGE_SHIFT))
			continue;
		__builtin_memset(claim->at, 0, TWIG_BYTES);
		atomic_store_explicit(&table[twig & (TWIGS - 1)], (uintptr_t)claim->at,
				      memory_order_release);
		claim->at += TWIG_BYTES;
	}
	root_set(slot, entry);
	return lo + claim->done > hi;
}

/*
 * A leaf, made zero before, instead of a table of twigs. Nobody writes words meanwhile: the heap lock is held and the
 * stocks are closed. Readers see the one or the other; what the twigs lay in is lost.
 */
static void replace_twigs(size_t slot, mw_map_word *leaf)
{
	uintptr_t entry = root_get(slot);

	for (size_t i = 0; i < TWIGS; i++) {
		mw_map_word *twig = twig_of(entry, i << MW_TWIG_PAGE_SHIFT);

		for (size_t j = 0; twig && j < MW_TWIG_PAGES; j++)
			atomic_store_explicit(&leaf[(i << MW_TWIG_PAGE_SHIFT) + j],
					      atomic_load_explicit(&twig[j], memory_order_relaxed),
					      memory_order_relaxed);
	}
	root_set(slot, (uintptr_t)leaf + MW_MAP_LEAF);
}

/* ---- the flat part: see struct mw_map_flat ---- */

static uintptr_t slot_address(size_t slot)
{
	return (uintptr_t)mw_pn_address(slot << MW_LEAF_PAGE_SHIFT);
}

/* As far as its leaves are awake. */
static void flat_grow(void)
{
	size_t pages = atomic_load_explicit(&mw_map_flat.pages, memory_order_relaxed);
	uintptr_t bias = atomic_load_explicit(&mw_map_flat.bias, memory_order_relaxed);
	size_t slot = mw_pn((void *)(0 - bias)) >> MW_LEAF_PAGE_SHIFT;

	while (!mw_map_flat.shut && pages < mw_map_flat.most &&
	       root_get(slot + (pages >> MW_LEAF_PAGE_SHIFT)) & MW_MAP_LEAF)
		pages += MW_LEAF_PAGES;
	atomic_store_explicit(&mw_map_flat.pages, pages, memory_order_release);
}

/* Leaves of @slots entries from @slot on begin at @leaf. Until one is awake, more are better. */
static void flat_offer(size_t slot, size_t slots, char *leaf)
{
	if (mw_map_flat.shut || mw_map_flat.most >= slots << MW_LEAF_PAGE_SHIFT ||
	    atomic_load_explicit(&mw_map_flat.pages, memory_order_relaxed))
		return;
	mw_map_flat.most = slots << MW_LEAF_PAGE_SHIFT;
	atomic_store_explicit(&mw_map_flat.bias, 0 - slot_address(slot), memory_order_relaxed);
	atomic_store_explicit(&mw_map_flat.words, (mw_map_word *)leaf, memory_order_relaxed);
	flat_grow();
}

static bool flat_within(const char *lo, const char *hi)
{
	const char *words =
		(const char *)atomic_load_explicit(&mw_map_flat.words, memory_order_relaxed);

	return words >= lo && words < hi;
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

/* Where there are twigs it is made zero in one step, and takes their place in the next. Return: it is there. */
static bool claim_leaf(struct mw_map_claim *claim)
{
	bool twigs = root_get(claim->slot);

	if (twigs && !claim->done++) {
		__builtin_memset(claim->at, 0, LEAF_BYTES);
		return false;
	}
	if (twigs)
		replace_twigs(claim->slot, (mw_map_word *)claim->at);
	else
		root_set(claim->slot, (uintptr_t)claim->at + MAP_ASLEEP);
	claim->leaf = claim->leaves++ ? claim->leaf : claim->at;
	claim->at += LEAF_BYTES;
	return true;
}

/* The leaves in a row end before the entry that is next. */
static void claim_offer(struct mw_map_claim *claim)
{
	if (claim->leaves)
		flat_offer(claim->slot - claim->leaves, claim->leaves, claim->leaf);
	claim->leaves = 0;
}

/* Return: whether the slot has what it needs. */
static bool claim_slot(struct mw_map_claim *claim)
{
	bool done = root_get(claim->slot) & (MW_MAP_LEAF | MAP_ASLEEP);

	if (!done && wants_leaf(claim->slot, claim->first, claim->end))
		return claim_leaf(claim);
	done = done || claim_twigs(claim);
	claim_offer(claim);
	return done;
}

bool mw_map_claim(struct mw_map_claim *claim)
{
	size_t last = (claim->end - 1) >> MW_LEAF_PAGE_SHIFT;
	bool quick = true;

	for (size_t n = 0; n < MW_MAP_STEP && quick && claim->slot <= last; n++) {
		/* A leaf that sleeps, or what is there, takes no time. */
		quick = !(root_get(claim->slot) & MAP_TABLE) &&
			wants_leaf(claim->slot, claim->first, claim->end);
		if (claim_slot(claim)) {
			claim->slot++;
			claim->done = 0;
		}
	}
	if (claim->slot <= last)
		return true;
	claim_offer(claim);
	return false;
}

void mw_map_wake(size_t first, size_t end, bool clear)
{
	for (size_t slot = first >> MW_LEAF_PAGE_SHIFT; slot <= (end - 1) >> MW_LEAF_PAGE_SHIFT;
	     slot++) {
		uintptr_t entry = root_get(slot);

		if (!(entry & MAP_ASLEEP))
			continue;
		entry -= MAP_ASLEEP;
		if (clear)
			__builtin_memset((void *)entry, 0, LEAF_BYTES);
		root_set(slot, entry + MW_MAP_LEAF);
	}
	flat_grow();
}

static bool within(uintptr_t at, const char *lo, const char *hi)
{
	return at >= (uintptr_t)lo && at < (uintptr_t)hi;
}

bool mw_map_lends(const struct mw_region *region, size_t first, size_t end, const char *lo,
		  const char *hi)
{
	for (size_t slot = first >> MW_LEAF_PAGE_SHIFT; slot <= (end - 1) >> MW_LEAF_PAGE_SHIFT;
	     slot++) {
		size_t pn = slot << MW_LEAF_PAGE_SHIFT;
		uintptr_t entry = root_get(slot);

		/* Who brought the table has its twigs in it too, but others may have added to it. */
		if (within(entry, lo, hi) && mw_region_shares(region, pn, pn + MW_LEAF_PAGES))
			return true;
		for (size_t i = 0; entry & MAP_TABLE && i < TWIGS; i++, pn += MW_TWIG_PAGES) {
			if (within((uintptr_t)twig_of(entry, pn), lo, hi) &&
			    mw_region_shares(region, pn, pn + MW_TWIG_PAGES))
				return true;
		}
	}
	return false;
}

void mw_map_disown(size_t first, size_t end, const char *lo, const char *hi)
{
	flat_shut(lo, hi);
	for (size_t slot = first >> MW_LEAF_PAGE_SHIFT; slot <= (end - 1) >> MW_LEAF_PAGE_SHIFT;
	     slot++) {
		uintptr_t entry = root_get(slot);
		mw_map_word *table = (mw_map_word *)(entry - MAP_TABLE);

		if (within(entry, lo, hi)) {
			root_set(slot, 0);
			continue;
		}
		for (size_t i = 0; entry & MAP_TABLE && i < TWIGS; i++) {
			if (within(atomic_load_explicit(&table[i], memory_order_relaxed), lo, hi))
				atomic_store_explicit(&table[i], 0, memory_order_release);
		}
	}
}

/* One step and two lead to the same words. */
bool mw_map_check(void)
{
	size_t pages = atomic_load_explicit(&mw_map_flat.pages, memory_order_relaxed);
	size_t first = mw_pn((void *)(0 - mw_map_flat.bias));

	MW_CHECK(&mw_map_flat, pages <= mw_map_flat.most && (!pages || !mw_map_flat.shut));
	for (size_t n = 0; n < pages; n += MW_LEAF_PAGES)
		MW_CHECK(&mw_map_flat, root_get((first + n) >> MW_LEAF_PAGE_SHIFT) ==
					       (uintptr_t)mw_map_flat_word(n) + MW_MAP_LEAF);
	return true;
}

void mw_map_forget(size_t first, size_t end)
{
	for (size_t slot = first >> MW_LEAF_PAGE_SHIFT; slot <= (end - 1) >> MW_LEAF_PAGE_SHIFT;
	     slot++)
		root_set(slot, 0);
	__builtin_memset((void *)&mw_map_flat, 0, sizeof(mw_map_flat));
}
