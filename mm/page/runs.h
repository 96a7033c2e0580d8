/* SPDX-License-Identifier: MIT */
/* The index of free runs, inside: where a run is kept, and how it gets there. Heap lock held. */
#ifndef MW_PAGE_RUNS_H
#define MW_PAGE_RUNS_H

#include "page.h"

/* Small, and on the way of every request that no stock answers. */
#define MW_QUICK inline __attribute__((always_inline))
/* So that what it needs registers for is not paid for by those who call it only at times. */
#define MW_APART __attribute__((noinline))

static MW_QUICK size_t mw_bin_of(size_t n)
{
	size_t k, bin;

	if (n < MW_EXACT)
		return n;
	k = mw_highest_bit(n);
	/* What is shifted begins with a bit that is no part of the number within the doubling. */
	bin = (k << MW_SUB_SHIFT) + (n >> (k - MW_SUB_SHIFT)) +
	      (MW_EXACT - (((size_t)MW_EXACT_SHIFT + 1) << MW_SUB_SHIFT));
	return mw_min(bin, MW_BINS - 1);
}

/* Contains a naturally aligned block of the largest power of two up to @n; past 1 GiB any does. */
static MW_QUICK bool mw_is_good(size_t first, size_t n)
{
	size_t order = mw_min((size_t)mw_highest_bit(n), 30 - MW_PAGE_SHIFT);

	/* From the first border between such blocks to the last. */
	return (first + ((size_t)1 << order) - 1) >> order < (first + n) >> order;
}

static MW_QUICK struct mw_run mw_run_of(struct mw_region *region, size_t first, size_t n)
{
	return (struct mw_run){ region, first, n, 2 * mw_bin_of(n) + mw_is_good(first, n) };
}

/* Pages of the free run that ends at @last, whose word is @word; 0: none does. */
static inline size_t mw_run_length_before(uintptr_t word, size_t last)
{
	switch (mw_map_tag(word)) {
	case MW_TAG_END:
		return mw_map_payload(mw_map_read(last - 2));
	case MW_TAG_PAIR:
		return 2;
	case MW_TAG_SINGLE:
		return 1;
	default:
		return 0;
	}
}

/* Pages of the free run that begins with @word; 0: none does. */
static inline size_t mw_run_length_from(uintptr_t word)
{
	switch (mw_map_tag(word)) {
	case MW_TAG_HEAD:
		return mw_map_payload(word);
	case MW_TAG_PAIR:
		return 2;
	case MW_TAG_SINGLE:
		return 1;
	default:
		return 0;
	}
}

static inline uintptr_t mw_map_now(mw_map_word *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void mw_map_put(mw_map_word *word, uintptr_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline void mw_map_put_payload(mw_map_word *word, uintptr_t payload)
{
	mw_map_put(word, (mw_map_now(word) & ~(MW_PN_MASK << MW_PAYLOAD_SHIFT)) |
				 payload << MW_PAYLOAD_SHIFT);
}

/* The words of a run's last pages, which say most of it. */
struct mw_ends {
	mw_map_word *last, *aged, *length; /* @length: of three pages or more */
};

/* Mostly they stand beside each other. */
static MW_QUICK struct mw_ends mw_ends_of(size_t last)
{
	mw_map_word *word = mw_map_at(last);

	if (mw_likely(last % MW_LEAF_PAGES >= 2))
		return (struct mw_ends){ word, word - 1, word - 2 };
	return (struct mw_ends){ word, mw_map_find(mw_pn_address(last - 1)),
				 mw_map_find(mw_pn_address(last - 2)) };
}

static MW_QUICK void mw_list_add(const struct mw_run *run, struct mw_ends at, unsigned int age)
{
	struct mw_zone *zone = run->region->index;
	size_t list = run->list, last = run->first + run->n - 1, next = zone->head[list];
	unsigned int id = run->region->id;

	if (mw_unlikely(run->n == 2)) {
		uintptr_t aged = MW_PAIR_AGE ? (uintptr_t)age << MW_PAIR_AGE_SHIFT : 0;

		mw_map_put(at.last, mw_map_word_of(MW_TAG_PAIR, id, next));
		mw_map_put(at.aged, mw_map_word_of(MW_TAG_PAIR, id, MW_PN_NONE) | aged);
	} else {
		mw_map_put(at.last, mw_map_word_of(MW_TAG_END, id, next));
		mw_map_put(at.aged, mw_map_word_of(MW_TAG_INNER, age, MW_PN_NONE));
	}
	zone->head[list] = last;
	if (next != MW_PN_NONE) {
		mw_map_put_payload(mw_map_at(next - 1), last);
	} else {
		zone->lists[list / MW_WORD_BITS] |= 1ul << (list % MW_WORD_BITS);
		zone->summary |= 1ul << (list / MW_WORD_BITS);
	}
}

static MW_QUICK void mw_list_del(const struct mw_run *run, struct mw_ends at)
{
	struct mw_zone *zone = run->region->index;
	size_t list = run->list;
	size_t next = mw_map_payload(mw_map_now(at.last)), prev = mw_map_payload(mw_map_now(at.aged));

	if (next != MW_PN_NONE)
		mw_map_put_payload(mw_map_at(next - 1), prev);
	if (prev != MW_PN_NONE) {
		mw_map_put_payload(mw_map_at(prev), next);
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
static MW_QUICK void mw_run_write_length(const struct mw_run *run, struct mw_ends at)
{
	mw_map_put(at.length, mw_map_word_of(MW_TAG_INNER, 0, run->n));
	mw_map_write(run->first, mw_map_word_of(MW_TAG_HEAD, run->region->id, run->n));
}

static MW_QUICK size_t *mw_order_count(const struct mw_run *run)
{
	return &run->region->index->by_order[mw_highest_bit(run->n)];
}

/*
 * @run begins at @first instead, earlier or later; its pages before that have no words now. @age: its
 * new one, or MW_AGE_STAYS. The end stays, and with it all that hangs on it.
 */
static MW_QUICK void mw_run_move_front(const struct mw_run *run, size_t first, unsigned int age)
{
	const struct mw_run was = *run;
	const struct mw_run now = mw_run_of(was.region, first, was.first + was.n - first);
	struct mw_ends at;

	if (mw_unlikely(was.n < 3 || now.n < 3)) {
		mw_run_insert_again(run, first, age);
		return;
	}
	at = mw_ends_of(first + now.n - 1);
	if (age == MW_AGE_STAYS)
		age = mw_map_id(mw_map_now(at.aged));
	mw_map_write(was.first, 0);
	mw_run_write_length(&now, at);
	/* Is the highest bit another? */
	if (mw_unlikely((was.n ^ now.n) > (was.n & now.n))) {
		--*mw_order_count(&was);
		++*mw_order_count(&now);
	}
	if (was.list == now.list) {
		mw_map_put(at.aged,
			   mw_map_word_of(MW_TAG_INNER, age, mw_map_payload(mw_map_now(at.aged))));
		return;
	}
	mw_list_del(&was, at);
	mw_list_add(&now, at, age);
}

#endif
