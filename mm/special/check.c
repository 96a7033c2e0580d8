// SPDX-License-Identifier: MIT
/* The room's structures against what special.h says of them. Nobody else is inside. */
#include "special.h"

#if MW_GC

/* Of one span: what its lists hold. */
struct found_records {
	unsigned int told, quiet;
};

/* Is no slot about to hand out the object's place, were it free? */
static bool is_left_out(const struct mw_span *span, size_t index)
{
	unsigned int owner = mw_owner(span) & ~MW_OWNER_FULL;
	const struct mw_slot *slot;

	if (owner >= MW_MAX_CPUS)
		return true;
	slot = mw_object.cpu[owner]->slot[span->cache->id];
	return slot->span != span || slot->word != &span->free[index / MW_WORD_BITS] ||
	       !((slot->mask | slot->behind) & mw_bit(index));
}

/*
 * @record hangs on an object of the span that is live; or nobody was told of that one's end. Only a
 * part of a packed block begins elsewhere than its object.
 */
static bool check_record(const struct mw_span *span, const struct mw_record *record)
{
	const char *object = span->base + record->offset;
	size_t index = mw_span_index(span, object);

	MW_CHECK(record, record->kind < MW_NR_RECORDS);
	MW_CHECK(record, index < span->count);
	MW_CHECK(record, mw_span_object(span, index) == object || span->flags & MW_SPAN_TINY);
	if (record->kind == MW_RECORD_QUIET)
		MW_CHECK(record, !(span->flags & MW_SPAN_COLLECTED) && is_left_out(span, index));
	else
		MW_CHECK(record, mw_span_live(span, index));
	return true;
}

static bool is_sorted(const struct mw_record *a, const struct mw_record *b)
{
	if (a->offset != b->offset)
		return a->offset < b->offset;
	return a->kind < b->kind || (a->kind == b->kind && mw_record_kinds[a->kind].several);
}

/* One of the span's lists: a piece of its bytes, if there is an index. */
static bool check_list(struct mw_span *span, size_t i, struct found_records *found)
{
	const struct mw_records *index = mw_records_index(span->records);
	const struct mw_record *last = NULL;

	for (const struct mw_record *r = *mw_record_list(span, i); r; last = r, r = r->next) {
		MW_CHECK(span, found->told + found->quiet < span->told + span->quiet);
		MW_CHECK(r, !last || is_sorted(last, r));
		MW_CHECK(r, !index || r->offset >> index->shift == i);
		if (!check_record(span, r))
			return false;
		found->quiet += r->kind == MW_RECORD_QUIET;
		found->told += r->kind != MW_RECORD_QUIET;
	}
	return true;
}

static bool check_span(struct mw_span *span)
{
	const struct mw_records *index = mw_records_index(span->records);
	unsigned int owner = atomic_load_explicit(&span->owner, memory_order_relaxed);
	unsigned int sampled = atomic_load_explicit(&span->sampled, memory_order_relaxed);
	struct found_records found = { 0 };

	for (size_t i = 0; i < mw_record_lists(span); i++)
		if (!check_list(span, i, &found))
			return false;
	MW_CHECK(span, found.told == span->told && found.quiet == span->quiet);
	MW_CHECK(span, !index || index->count == span->told + span->quiet);
	MW_CHECK(span, (sampled != MW_SAMPLED_NONE) == (span->quiet != 0));
	MW_CHECK(span, owner & MW_OWNER_NO_FREE || !span->told);
	return true;
}

static bool check_queue(const struct mw_call_queue *queue, enum mw_record_kind kind)
{
	const struct mw_record *last = NULL;
	size_t length = 0;

	for (const struct mw_record *r = queue->length ? queue->first : NULL; r;
	     last = r, r = r->next) {
		MW_CHECK(queue, length++ < queue->length);
		MW_CHECK(queue, kind != MW_RECORD_FINALIZER || mw_span_of(r->object));
	}
	MW_CHECK(queue, length == queue->length);
	MW_CHECK(queue, !last || queue->last == last);
	return true;
}

static bool check_tables(void)
{
	size_t entries = 0;

	for (struct mw_weak_table *table = mw_special.tables; table; table = table->next) {
		if (!mw_table_check(table))
			return false;
		entries += table->count;
	}
	MW_CHECK(&mw_special, entries == mw_word(&mw_special.entries.in_use));
	return true;
}

bool mw_special_check(void)
{
	struct mw_special *special = &mw_special;
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	size_t spans = 0;

	while ((span = mw_span_next(&cursor))) {
		if (!span->records) {
			MW_CHECK(span, !span->told && !span->quiet);
			MW_CHECK(span, !atomic_load_explicit(&span->sampled, memory_order_relaxed));
			continue;
		}
		spans++;
		if (!check_span(span))
			return false;
	}
	MW_CHECK(special, spans == mw_word(&special->spans));
	MW_CHECK(special,
		 mw_word(&special->due) == special->finalizers.length + special->cleanups.length);
	return check_tables() && check_queue(&special->finalizers, MW_RECORD_FINALIZER) &&
	       check_queue(&special->cleanups, MW_RECORD_CLEANUP);
}

#endif
