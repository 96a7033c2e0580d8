// SPDX-License-Identifier: MIT
/*
 * Objects with records end: the sweep finds them unmarked, or somebody frees them.
 *
 * An unmarked object with a finalizer is marked after all, and its finalizer is due; weak references
 * to it are cleared first. All its other records stay for the time when it does end. An unmarked
 * object without one ends now, and each of its records is told.
 *
 * All records of an object are in one bucket: a bucket of less than a span's objects begins where
 * an object does if those are packed blocks, and the others have records on their first byte only.
 */
#include "special.h"

#if MW_GC

/* Records that ended, to be given back when no lock is held. */
struct ended {
	struct mw_record *first;
	bool key;
};

/* Whoever sees a mark that a sweep has cleared sees afterwards that the mark is over. */
bool mw_span_marked(const struct mw_span *span, size_t index)
{
	mw_atomic_t *word = &span->mark[index / MW_WORD_BITS];

	return atomic_load_explicit(word, memory_order_acquire) & mw_bit(index);
}

bool mw_object_marked(const void *address)
{
	struct mw_span *span = mw_span_of(address);
	size_t index;

	if (!span || !span->mark)
		return true;
	index = mw_span_index(span, address);
	return index < span->count && mw_span_marked(span, index);
}

static void end_one(struct mw_span *span, struct mw_record **at, void *object, enum mw_end how,
		    struct ended *ended)
{
	struct mw_record *record = mw_record_take(span, at);
	enum mw_record_kind kind = record->kind;

	ended->key |= kind == MW_RECORD_KEY;
	if (!mw_record_kinds[kind].end(record, object, how))
		return;
	record->next = ended->first;
	ended->first = record;
}

static void free_ended(struct ended *ended)
{
	for (struct mw_record *r = ended->first, *next; r; r = next) {
		next = r->next;
		mw_record_free(r->kind, r);
	}
}

/* What follows an object's last record in its bucket. */
static struct mw_record **behind(const struct mw_span *span, struct mw_record **at, size_t index)
{
	while (*at && mw_span_index(span, span->base + (*at)->offset) == index)
		at = &(*at)->next;
	return at;
}

static bool has_finalizer(const struct mw_span *span, struct mw_record **at, size_t index)
{
	for (; *at && mw_span_index(span, span->base + (*at)->offset) == index; at = &(*at)->next)
		if ((*at)->kind == MW_RECORD_FINALIZER)
			return true;
	return false;
}

/* The records of one unmarked object, of which @at leads to the first. Return: what follows them. */
static struct mw_record **end_object(struct mw_span *span, struct mw_record **at, size_t index,
				     struct ended *ended)
{
	bool keep = has_finalizer(span, at, index);
	mw_atomic_t *word = &span->mark[index / MW_WORD_BITS];

	/* Weak references first: once a finalizer is due, it may run. */
	for (unsigned int finalizers = 0; keep && finalizers < 2; finalizers++) {
		struct mw_record **r = at;

		while (*r && mw_span_index(span, span->base + (*r)->offset) == index) {
			if (mw_record_kinds[(*r)->kind].before_finalizer &&
			    ((*r)->kind == MW_RECORD_FINALIZER) == finalizers)
				end_one(span, r, span->base + (*r)->offset, MW_END_DEAD, ended);
			else
				r = &(*r)->next;
		}
	}
	if (keep) {
		mw_set_word(word, mw_word(word) | mw_bit(index));
		/* The mark did not count it as living. */
		mw_up_allocated(span->size);
		return behind(span, at, index);
	}
	while (*at && mw_span_index(span, span->base + (*at)->offset) == index)
		end_one(span, at, span->base + (*at)->offset, MW_END_DEAD, ended);
	return at;
}

/* One bucket. Return: objects that were looked at. */
static size_t sweep_list(struct mw_span *span, struct mw_record **at, struct ended *ended)
{
	size_t looks = 0;

	for (; *at; looks++) {
		size_t index = mw_span_index(span, span->base + (*at)->offset);

		if (mw_span_marked(span, index))
			at = behind(span, at, index);
		else
			at = end_object(span, at, index, ended);
	}
	return looks;
}

/*
 * gc_scanned, of no use to small objects else, says how many buckets are done. Until all are nobody gets
 * at the records but by going on here, as the span is not swept.
 */
bool mw_records_sweep(struct mw_span *span)
{
	size_t i = span->count == 1 ? 0 : mw_word(&span->gc_scanned), looks = 0, lists;
	struct mw_records *gone = NULL;
	struct ended ended = { 0 };

	mw_lock_pinned(&span->records_lock);
	lists = mw_record_lists(span);
	while (i < lists && looks < MW_SWEEP_STEP)
		looks += 1 + sweep_list(span, mw_record_list(span, i++), &ended);
	if (i >= lists)
		gone = mw_records_drop(span);
	mw_unlock_pinned(&span->records_lock);
	mw_records_free_index(gone);
	free_ended(&ended);
	if (span->count > 1)
		mw_set_word(&span->gc_scanned, i);
	return i >= lists;
}

static bool is_on(struct mw_record *const *at, uint32_t offset)
{
	return at && *at && (*at)->offset == offset;
}

enum mw_misuse mw_up_records_free(void *object)
{
	struct ended ended = { 0 };
	struct mw_record **at;
	struct mw_held held;
	bool refused;

	/* Who frees what is not live hears of it later. */
	if (!mw_records_hold(&held, object, false))
		return MW_MISUSE_NONE;
	at = mw_record_first(&held);
	refused = is_on(at, held.offset) && (*at)->kind == MW_RECORD_FINALIZER;
	while (!refused && is_on(at, held.offset))
		end_one(held.span, at, object, MW_END_HAND, &ended);
	mw_records_release(&held);
	free_ended(&ended);
	if (ended.key)
		mw_tables_forget(object);
	if (!refused)
		mw_calls_wake();
	return refused ? MW_HAS_FINALIZER : MW_MISUSE_NONE;
}

/* ---- samples whose objects may be freed in silence ---- */

/* Those of one bucket that are on objects from @first to before @end. Return: the bits of live ones. */
static unsigned long look_at(struct mw_span *span, struct mw_record **at, size_t first, size_t end,
			     struct ended *ended)
{
	unsigned long live = 0;

	while (*at) {
		char *object = span->base + (*at)->offset;
		size_t index = mw_span_index(span, object);

		if ((*at)->kind != MW_RECORD_QUIET || index < first || index >= end) {
			at = &(*at)->next;
		} else if (mw_span_live(span, index)) {
			live |= mw_bit(index);
			at = &(*at)->next;
		} else {
			end_one(span, at, object, MW_END_HAND, ended);
		}
	}
	return live;
}

unsigned long mw_up_samples_look(struct mw_span *span, size_t w)
{
	size_t first = w == SIZE_MAX ? 0 : w * MW_WORD_BITS, i = 0, end = SIZE_MAX, lists;
	struct mw_records *index, *gone = NULL;
	struct ended ended = { 0 };
	unsigned long live = 0;

	mw_lock_pinned(&span->records_lock);
	lists = span->quiet ? mw_record_lists(span) : 0;
	index = mw_records_index(span->records);
	if (w != SIZE_MAX) {
		end = first + MW_WORD_BITS;
		i = index ? first * span->stride >> index->shift : 0;
		if (index)
			lists = mw_min(lists, ((end * span->stride - 1) >> index->shift) + 1);
	}
	for (; i < lists; i++)
		live |= look_at(span, mw_record_list(span, i), first, end, &ended);
	if (ended.first)
		gone = mw_records_drop(span);
	mw_unlock_pinned(&span->records_lock);
	if (ended.first) {
		mw_records_free_index(gone);
		free_ended(&ended);
	}
	return live;
}

void mw_samples_look(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		unsigned long state;

		if (!atomic_load_explicit(&span->sampled, memory_order_relaxed))
			continue;
		state = mw_port_pin();
		(void)mw_up_samples_look(span, SIZE_MAX);
		mw_port_unpin(state);
	}
}

#endif
