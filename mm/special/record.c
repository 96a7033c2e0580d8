// SPDX-License-Identifier: MIT
/*
 * A span's records: one or two are a sorted list that begins in the descriptor. More have an index: an
 * array of buckets, each of which is a piece of the span's bytes, with a sorted list. There are twice
 * as many buckets as soon as there are two records for each, until a bucket is no longer than one
 * object or there are 2048 of them.
 *
 * How long is a list? With n records and b buckets, n <= 2 b. If they lie evenly, two on average. If
 * they all lie together, in the first n of the span's N objects, a bucket covers N / b objects of
 * which at most n have one: min(n, 2 N / n) <= sqrt(2 N), which is 128 for the 8192 objects that a
 * span has at most. Several of one kind on one object, cleanups, come on top. Records that come in the
 * order of their addresses walk none of it: each begins where the one before it stands.
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
	records->most = ~0u;
	if (pool + 1 < MW_RECORD_POOLS && (8u << pool) <= span->count)
		records->most = MW_RECORD_CROWD * (4u << pool);
	records->last = NULL;
	records->pool = (unsigned char)pool;
	records->shift = (unsigned char)(bits - pool - 2);
	for (size_t i = 0; i < mw_records_buckets(records); i++)
		records->bucket[i] = NULL;
	return records;
}

void mw_records_free_index(struct mw_records *records)
{
	if (records)
		mw_fixed_free(&mw_special.index[records->pool], records);
}

static inline __attribute__((always_inline)) bool hold(struct mw_held *held, const void *address,
						       bool collected)
{
	unsigned long state = mw_port_pin();
	struct mw_span *span = mw_span_of_pinned(address);
	size_t index = span ? mw_span_index(span, address) : 0;

	if (span && index < span->count &&
	    (mw_span_object(span, index) == address || span->flags & MW_SPAN_TINY) &&
	    (!collected || span->flags & MW_SPAN_COLLECTED)) {
		if (span->flags & MW_SPAN_COLLECTED)
			mw_up_span_sweep(span);
		mw_lock_pinned(&span->records_lock);
		if (mw_span_of_pinned(address) == span && mw_span_live(span, index)) {
			held->span = span;
			held->offset = (uint32_t)((const char *)address - span->base);
			held->state = state;
			return true;
		}
		mw_unlock_pinned(&span->records_lock);
	}
	mw_port_unpin(state);
	return false;
}

bool mw_records_hold(struct mw_held *held, const void *address, bool collected)
{
	return hold(held, address, collected);
}

static void count_span(bool more)
{
	atomic_fetch_add_explicit(&mw_special.spans, more ? 1 : -1ul, memory_order_relaxed);
}

/* Frees by hand go the way that looks for records, or not. The span's records lock is held. */
static void count_record(struct mw_span *span, enum mw_record_kind kind, unsigned int more)
{
	if (kind == MW_RECORD_QUIET) {
		span->quiet += more;
		if (!span->quiet)
			atomic_store_explicit(&span->sampled, MW_SAMPLED_NONE, memory_order_relaxed);
	} else {
		span->told += more;
		mw_span_slow_frees(span, span->told || mw_span_always_slow(span));
	}
}

/* Readers without the lock ask whether there is anything. */
static void link_to(struct mw_record **at, struct mw_record *record)
{
	__atomic_store_n(at, record, __ATOMIC_RELEASE);
}

struct mw_records *mw_records_drop(struct mw_span *span)
{
	struct mw_records *index = mw_records_index(span->records);

	if (!index || index->count)
		return NULL;
	count_span(false);
	__atomic_store_n(&span->records, 0, __ATOMIC_RELEASE);
	return index;
}

static void release(const struct mw_held *held)
{
	mw_unlock_pinned(&held->span->records_lock);
	mw_port_unpin(held->state);
}

void mw_records_release(struct mw_held *held)
{
	struct mw_records *gone = mw_records_drop(held->span);

	release(held);
	mw_records_free_index(gone);
}

/* Does the record stand before any of @kind on @offset? */
static inline bool before(const struct mw_record *record, uint32_t offset, unsigned int kind)
{
	return record->offset < offset || (record->offset == offset && record->kind < kind);
}

/* The first link to what stands at or behind @kind on @offset. The span has records. */
static inline struct mw_record **place(struct mw_span *span, uint32_t offset, unsigned int kind)
{
	struct mw_records *index = mw_records_index(span->records);
	struct mw_record **at = &span->record, *last;

	if (index) {
		at = &index->bucket[offset >> index->shift];
		last = index->last;
		if (last && last->offset < offset && !((last->offset ^ offset) >> index->shift))
			at = &last->next;
	}
	while (*at && before(*at, offset, kind))
		at = &(*at)->next;
	return at;
}

struct mw_record **mw_record_find(const struct mw_held *held, enum mw_record_kind kind)
{
	struct mw_record **at;

	if (!held->span->records)
		return NULL;
	at = place(held->span, held->offset, kind);
	if (!*at || (*at)->offset != held->offset || (*at)->kind != kind)
		return NULL;
	return at;
}

struct mw_record *mw_record_take(struct mw_span *span, struct mw_record **at)
{
	struct mw_records *index = mw_records_index(span->records);
	struct mw_record *record = *at;

	link_to(at, record->next);
	count_record(span, record->kind, -1u);
	if (!index) {
		if (!span->record)
			count_span(false);
		return record;
	}
	index->count--;
	if (index->last == record)
		index->last = NULL;
	return record;
}

/* Return: the first of what stands on the held byte, or behind. */
struct mw_record **mw_record_first(const struct mw_held *held)
{
	return held->span->records ? place(held->span, held->offset, 0) : NULL;
}

/* ---- adding ---- */

static size_t short_length(const struct mw_span *span)
{
	size_t n = 0;

	for (const struct mw_record *r = span->record; r; r = r->next)
		n++;
	return n;
}

/* Does the span want a larger index before one more record comes? */
static inline bool crowded(const struct mw_span *span)
{
	const struct mw_records *index = mw_records_index(span->records);

	if (!index)
		return span->record && short_length(span) >= MW_RECORD_SHORT;
	return index->count >= index->most;
}

static unsigned int next_pool(const struct mw_span *span)
{
	const struct mw_records *index = mw_records_index(span->records);

	return index ? index->pool + 1u : 0;
}

/* A sorted list goes to the end of what @fresh has. Return: how many they were. */
static unsigned int move_list(struct mw_records *fresh, struct mw_record *r)
{
	struct mw_record **end = NULL, *next;
	unsigned int n = 0;
	size_t bucket = 0;

	for (; r; r = next, n++) {
		if (!end || r->offset >> fresh->shift != bucket) {
			bucket = r->offset >> fresh->shift;
			end = &fresh->bucket[bucket];
		}
		next = r->next;
		r->next = NULL;
		*end = r;
		end = &r->next;
	}
	return n;
}

/* Return: the old index, or NULL. */
static struct mw_records *install(struct mw_span *span, struct mw_records *fresh)
{
	struct mw_records *old = mw_records_index(span->records);
	size_t lists = mw_record_lists(span);

	for (size_t i = 0; i < lists; i++)
		fresh->count += move_list(fresh, *mw_record_list(span, i));
	__atomic_store_n(&span->records, (uintptr_t)fresh + 1, __ATOMIC_RELEASE);
	return old;
}

/* Return: false: the object could be handed out again before anybody looks whether it was freed. */
static bool leave_out(struct mw_span *span, uint32_t offset)
{
	size_t index = mw_span_index(span, span->base + offset), w = index / MW_WORD_BITS;
	unsigned int word = w + 1 < MW_SAMPLED_MANY ? (unsigned int)w + 1 : MW_SAMPLED_MANY;
	unsigned int now = atomic_load_explicit(&span->sampled, memory_order_relaxed);

	if (!mw_slot_leave_out(span, index))
		return false;
	if (now && now != word)
		word = MW_SAMPLED_MANY;
	atomic_store_explicit(&span->sampled, (unsigned char)word, memory_order_relaxed);
	return true;
}

static inline bool insert(struct mw_held *held, struct mw_record *record)
{
	bool several = mw_record_kinds[record->kind].several, first = !held->span->records;
	struct mw_records *index = mw_records_index(held->span->records);
	struct mw_record **at;

	record->offset = held->offset;
	at = place(held->span, held->offset, record->kind + several);
	if (*at && !several && (*at)->offset == held->offset && (*at)->kind == record->kind)
		return false;
	if (record->kind == MW_RECORD_QUIET && !leave_out(held->span, held->offset))
		return false;
	record->next = *at;
	link_to(at, record);
	count_record(held->span, record->kind, 1);
	if (index) {
		index->count++;
		index->last = record;
	}
	if (mw_unlikely(first))
		count_span(true);
	return true;
}

/*
 * The held span is crowded. An index is made without the lock, so the span is looked at again with it.
 * If there is no memory for a larger one, what is there does, slower.
 */
static MW_NOINLINE bool attach_to_crowd(struct mw_held *held, const void *address,
					struct mw_record *record, bool collected)
{
	struct mw_records *spare = NULL;
	bool is_held = true, ok = false;

	while (is_held && crowded(held->span)) {
		unsigned int pool = next_pool(held->span);

		if (spare && spare->pool == pool) {
			spare = install(held->span, spare);
			break;
		}
		release(held);
		mw_records_free_index(spare);
		spare = new_index(held->span, pool);
		is_held = hold(held, address, collected);
		if (!spare)
			break;
	}
	if (is_held) {
		ok = insert(held, record);
		release(held);
	}
	mw_records_free_index(spare);
	return ok;
}

bool mw_record_attach(const void *address, struct mw_record *record, bool collected)
{
	struct mw_held held;
	bool ok;

	if (!hold(&held, address, collected))
		return false;
	if (mw_unlikely(crowded(held.span)))
		return attach_to_crowd(&held, address, record, collected);
	ok = insert(&held, record);
	release(&held);
	return ok;
}

#endif
