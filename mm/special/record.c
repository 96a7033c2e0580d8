// SPDX-License-Identifier: MIT
/*
 * A span's records: an array of buckets, each of which is a piece of the span's bytes, with a sorted
 * list. There are twice as many buckets as soon as there are two records for each, until a bucket is
 * no longer than one object or there are 1024 of them.
 *
 * How long is a list? With n records and b buckets, n <= 2 b. If they lie evenly, two on average. If
 * they all lie together, in the first n of the span's N objects, a bucket covers N / b objects of
 * which at most n have one: min(n, 2 N / n) <= sqrt(2 N), which is 128 for the 8192 objects that a
 * span has at most. Several of one kind on one object, cleanups, come on top.
 */
#include "special.h"

#if MW_GC

#include "../page/up.h"

static struct mw_records *new_index(const struct mw_span *span, unsigned int pool)
{
	size_t bytes = span->pages << MW_PAGE_SHIFT;
	unsigned int bits = mw_log2_up(bytes);
	struct mw_records *records;

	do
		records = mw_fixed_alloc(&mw_special.index[pool]);
	while (!records && mw_meta_refill());
	if (!records)
		return NULL;
	records->count = 0;
	records->pool = (unsigned char)pool;
	records->shift = (unsigned char)(bits - pool - 1);
	for (size_t i = 0; i < mw_records_buckets(records); i++)
		records->bucket[i] = NULL;
	return records;
}

void mw_records_free_index(struct mw_records *records)
{
	if (records)
		mw_fixed_free(&mw_special.index[records->pool], records);
}

bool mw_records_hold(struct mw_held *held, const void *address, bool collected)
{
	struct mw_span *span = mw_span_of(address);
	size_t index;

	if (!span)
		return false;
	held->state = mw_port_pin();
	held->span = span;
	held->offset = (uint32_t)((const char *)address - span->base);
	index = mw_span_index(span, address);
	if (index < span->count &&
	    (mw_span_object(span, index) == address || span->flags & MW_SPAN_TINY) &&
	    (!collected || span->flags & MW_SPAN_COLLECTED)) {
		if (span->flags & MW_SPAN_COLLECTED)
			mw_up_span_sweep(span);
		mw_lock_pinned(&span->records_lock);
		if (mw_span_of(address) == span && mw_span_live(span, index))
			return true;
		mw_unlock_pinned(&span->records_lock);
	}
	mw_port_unpin(held->state);
	return false;
}

/* Frees by hand go the way that looks for records, or not. The span's records lock is held. */
static void slow_frees(struct mw_span *span, bool on)
{
	mw_span_slow_frees(span, on || mw_span_always_slow(span));
	atomic_fetch_add_explicit(&mw_special.spans, on ? 1 : -1ul, memory_order_relaxed);
}

struct mw_records *mw_records_drop(struct mw_span *span)
{
	struct mw_records *records = span->records;

	if (!records || records->count)
		return NULL;
	slow_frees(span, false);
	__atomic_store_n(&span->records, NULL, __ATOMIC_RELEASE);
	return records;
}

void mw_records_release(struct mw_held *held)
{
	struct mw_records *gone = mw_records_drop(held->span);

	mw_unlock_pinned(&held->span->records_lock);
	mw_port_unpin(held->state);
	mw_records_free_index(gone);
}

/* The first link to what stands at or behind @kind on @offset. */
static struct mw_record **place(struct mw_records *records, uint32_t offset, unsigned int kind)
{
	struct mw_record **at = &records->bucket[offset >> records->shift];

	while (*at && ((*at)->offset < offset || ((*at)->offset == offset && (*at)->kind < kind)))
		at = &(*at)->next;
	return at;
}

struct mw_record **mw_record_find(const struct mw_held *held, enum mw_record_kind kind)
{
	struct mw_records *records = held->span->records;
	struct mw_record **at;

	if (!records)
		return NULL;
	at = place(records, held->offset, kind);
	if (!*at || (*at)->offset != held->offset || (*at)->kind != kind)
		return NULL;
	return at;
}

struct mw_record *mw_record_take(struct mw_span *span, struct mw_record **at)
{
	struct mw_record *record = *at;

	*at = record->next;
	span->records->count--;
	return record;
}

/* Which index the span should have, if one more record comes. */
static unsigned int pool_wanted(const struct mw_span *span)
{
	const struct mw_records *records = span->records;

	if (!records)
		return 0;
	if (records->count < MW_RECORD_CROWD * mw_records_buckets(records) ||
	    records->pool + 1 == MW_RECORD_POOLS || 2 * mw_records_buckets(records) > span->count)
		return records->pool;
	return records->pool + 1u;
}

/* All records move, in order, so each goes to the end of a list. Return: the old index, or NULL. */
static struct mw_records *install(struct mw_span *span, struct mw_records *fresh)
{
	struct mw_records *old = span->records;

	for (size_t i = 0; old && i < mw_records_buckets(old); i++) {
		struct mw_record **end = NULL, *next;
		size_t bucket = 0;

		for (struct mw_record *r = old->bucket[i]; r; r = next) {
			if (!end || r->offset >> fresh->shift != bucket) {
				bucket = r->offset >> fresh->shift;
				end = &fresh->bucket[bucket];
			}
			next = r->next;
			r->next = NULL;
			*end = r;
			end = &r->next;
			fresh->count++;
		}
	}
	__atomic_store_n(&span->records, fresh, __ATOMIC_RELEASE);
	if (!old)
		slow_frees(span, true);
	return old;
}

static bool insert(const struct mw_held *held, struct mw_record *record)
{
	bool several = mw_record_kinds[record->kind].several;
	struct mw_record **at;

	record->offset = held->offset;
	at = place(held->span->records, held->offset, record->kind + several);
	if (*at && !several && (*at)->offset == held->offset && (*at)->kind == record->kind)
		return false;
	record->next = *at;
	*at = record;
	held->span->records->count++;
	return true;
}

/*
 * An index is made without the lock, so the span is looked at again with it. If there is no memory
 * for a larger one, the one that is there does, slower.
 */
bool mw_record_attach(const void *address, struct mw_record *record, bool collected)
{
	struct mw_records *spare = NULL;
	bool failed = false, ok = false;
	struct mw_held held;

	while (mw_records_hold(&held, address, collected)) {
		struct mw_records *now = held.span->records;
		unsigned int pool = pool_wanted(held.span);

		if ((!now || now->pool != pool) && !failed) {
			if (!spare || spare->pool != pool) {
				mw_records_release(&held);
				mw_records_free_index(spare);
				spare = new_index(held.span, pool);
				failed = !spare;
				continue;
			}
			spare = install(held.span, spare);
		}
		ok = held.span->records && insert(&held, record);
		mw_records_release(&held);
		break;
	}
	mw_records_free_index(spare);
	return ok;
}

#endif
