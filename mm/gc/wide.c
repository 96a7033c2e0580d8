// SPDX-License-Identifier: MIT
/*
 * Wide marks: hand-managed objects are marked and scanned as collected ones are, by the same markers.
 *
 * Spans of hand-managed objects have no mark bits. For the length of one mark they get some, from
 * scratch pages that were taken before the world stopped: a record for each span, in the order of
 * mw_span_next(). The marker asks a span for its bits and for nothing else, so that it needs no change.
 *
 * While the bits are there no such span may go back to the page heap: an interrupt that empties one
 * leaves it to mw_wide_end(). Handlers that began before the mark, and know of none, have ended when
 * the flush has: see flush() in cycle.c.
 *
 * The second mark of a check keeps its bits in such records too, of collected spans then: see check.c.
 *
 * Who is collecting owns all of this, but for the list of spans that were left.
 */
#include "gc.h"

#if MW_GC

#define CHUNK_MOST ((size_t)1 << 20 >> MW_PAGE_SHIFT) /* pages taken at once */

static size_t record_bytes(size_t words)
{
	return sizeof(struct mw_wide_span) + MW_WIDE_BITMAPS * words * sizeof(mw_atomic_t);
}

static bool is_ours(const struct mw_span *span)
{
	return !(mw_span_flags(span) & MW_SPAN_COLLECTED);
}

/* ---- scratch ---- */

/* What the spans that there are now would need, and an eighth more, and a little. */
static size_t bytes_wanted(bool collected)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	size_t bytes = 0;

	while ((span = mw_span_next(&cursor)))
		if (is_ours(span) != collected)
			bytes += record_bytes(span->words);
	return bytes + bytes / 8 + 4 * MW_PAGE_SIZE;
}

static bool add_chunk(size_t pages)
{
	struct mw_wide_chunk *chunk = NULL, **at = &mw_gc.wide.chunks;

	for (pages = mw_min(pages, CHUNK_MOST); pages && !chunk; pages /= chunk ? 1 : 2)
		chunk = mw_pages_alloc(pages, MW_ATOMIC);
	if (!chunk)
		return false;
	chunk->next = NULL;
	chunk->pages = pages;
	chunk->used = sizeof(*chunk);
	mw_gc.wide.room += pages << MW_PAGE_SHIFT;
	while (*at)
		at = &(*at)->next;
	*at = chunk;
	return true;
}

bool mw_wide_room(bool collected)
{
	size_t wanted = bytes_wanted(collected);

	/* A record does not cross chunks: each may have a tail that is too short. */
	while (mw_gc.wide.room < wanted) {
		if (!add_chunk((wanted - mw_gc.wide.room + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT))
			return false;
		wanted += record_bytes(0);
	}
	return true;
}

void mw_wide_drop(void)
{
	struct mw_wide_chunk *chunk = mw_gc.wide.chunks, *next;

	for (; chunk; chunk = next) {
		next = chunk->next;
		mw_pages_free(chunk, chunk->pages);
	}
	mw_gc.wide.chunks = mw_gc.wide.last = NULL;
	mw_gc.wide.room = 0;
}

struct mw_wide_span *mw_wide_record(struct mw_span *span)
{
	size_t bytes = record_bytes(span->words);
	struct mw_wide_chunk *chunk = mw_gc.wide.last;
	struct mw_wide_span *wide;

	while (chunk && (chunk->pages << MW_PAGE_SHIFT) - chunk->used < bytes)
		chunk = chunk->next;
	if (!chunk)
		return NULL;
	mw_gc.wide.last = chunk;
	wide = (struct mw_wide_span *)((char *)chunk + chunk->used);
	chunk->used += bytes;
	wide->span = NULL;
	wide->words = span->words;
	wide->fresh = true;
	return wide;
}

struct mw_wide_span *mw_wide_next(struct mw_wide_cursor *cursor)
{
	struct mw_wide_span *wide;

	if (!cursor->chunk) {
		cursor->chunk = mw_gc.wide.chunks;
		cursor->at = sizeof(*cursor->chunk);
	}
	while (cursor->chunk && cursor->at == cursor->chunk->used && cursor->chunk->next) {
		cursor->chunk = cursor->chunk->next;
		cursor->at = sizeof(*cursor->chunk);
	}
	if (!cursor->chunk || cursor->at == cursor->chunk->used)
		return NULL;
	wide = (struct mw_wide_span *)((char *)cursor->chunk + cursor->at);
	cursor->at += record_bytes(wide->words);
	return wide;
}

void mw_wide_forget(void)
{
	for (struct mw_wide_chunk *chunk = mw_gc.wide.chunks; chunk; chunk = chunk->next)
		chunk->used = sizeof(*chunk);
	mw_gc.wide.last = mw_gc.wide.chunks;
}

/* ---- begin ---- */

static bool same_life(const struct mw_wide_span *wide, const struct mw_span *span)
{
	return wide->base == span->base && wide->count == span->count &&
	       wide->cache == mw_span_cache(span);
}

static bool has_none(const struct mw_span *span)
{
	for (size_t w = 0; w < span->words; w++)
		if (~mw_word(&span->free[w]) & mw_span_mask(span, w))
			return false;
	return true;
}

static bool holds(const struct mw_span *span)
{
	unsigned long held = 0;

	for (size_t w = 0; w < span->words; w++)
		held |= mw_word(&span->remote[w]);
	return held && mw_span_flags(span) & MW_SPAN_SAFE;
}

static bool has_pointers(const struct mw_span *span)
{
	const struct mw_layout *layout = mw_span_layout(span);

	return !layout || !layout->plain;
}

/*
 * The bits of a word as the mark begins. Leaks: nothing is marked; what is not live, and still has a
 * place, is taken for scanned, as nobody should follow what is in it. Safe: all that lives is
 * marked, what is held back is not, and is noted.
 */
static void fill_word(struct mw_wide_span *wide, const struct mw_span *span, size_t w)
{
	unsigned long mask = mw_span_mask(span, w), live = mw_span_live_word(span, w) & mask;
	unsigned long held = ~mw_word(&span->free[w]) & ~live & mask;
	bool safe = mw_word(&mw_gc.wide.mode) == MW_WIDE_SAFE;

	mw_set_word(&mw_wide_mark(wide)[w], safe ? live : 0);
	mw_set_word(&mw_wide_scanned(wide)[w], safe && !mw_span_faults(span) ? 0 : held);
	if (safe)
		wide->bits[w] = mw_span_flags(span) & MW_SPAN_SAFE ? held : 0;
	else if (wide->fresh)
		wide->bits[w] = 0;
}

static void begin_span(struct mw_wide_span *wide, struct mw_span *span)
{
	wide->span = span;
	wide->base = span->base;
	wide->stride = span->stride;
	wide->count = span->count;
	wide->cache = mw_span_cache(span);
	for (size_t w = 0; w < span->words; w++)
		fill_word(wide, span, w);
	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	mw_set_word(&span->gc_scanned, 0);
	span->mark = mw_wide_mark(wide);
	span->scanned = has_pointers(span) ? mw_wide_scanned(wide) : NULL;
	if (mw_word(&mw_gc.wide.mode) == MW_WIDE_SAFE && span->scanned)
		mw_mark_queue(span);
}

/* No room for the span's bits: what it has is looked at as roots are, and nothing of it is let go. */
static void show_span(const struct mw_span *span)
{
	for (size_t i = 0; i < span->count && has_pointers(span); i++) {
		char *object = mw_span_object(span, i);

		if (!(mw_word(&span->free[i / MW_WORD_BITS]) & mw_bit(i)))
			mw_mark_add_range(object, object + span->size, mw_span_layout(span));
	}
}

/* The span's record of the last mark, if @old is it. Return: it, or a new one; NULL: no room. */
static struct mw_wide_span *wide_record_of(struct mw_span *span, struct mw_wide_span *old)
{
	if (!old || old->words != span->words)
		return mw_wide_record(span);
	old->fresh = !same_life(old, span);
	return old;
}

static bool is_wanted(const struct mw_span *span)
{
	return mw_span_readable(span) && is_ours(span) && !has_none(span) &&
	       (!mw_gc.wide.scarce || holds(span));
}

static void begin_all(void)
{
	struct mw_wide_cursor last = { 0 };
	struct mw_span_cursor cursor = { 0 };
	struct mw_wide_span *old = mw_wide_next(&last), *wide;
	struct mw_wide_chunk *end = mw_gc.wide.last;
	size_t used = end ? end->used : 0;
	struct mw_span *span;

	/* The last mark's records are followed in step, those of spans that went as well. */
	while ((span = mw_span_next_raw(&cursor))) {
		bool was = old && old->span == span;

		wide = is_wanted(span) ? wide_record_of(span, was ? old : NULL) : NULL;
		if (was && wide != old)
			old->span = NULL;
		/* Those of the last mark end where the first one of this mark begins. */
		if (was && last.chunk == end && last.at == used)
			old = NULL;
		else if (was)
			old = mw_wide_next(&last);
		if (wide)
			begin_span(wide, span);
	}
}

bool mw_wide_begin(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	bool all = true;

	begin_all();
	/* Only now, when what they point to can be marked. */
	while ((span = mw_span_next(&cursor))) {
		if (!is_ours(span) || has_none(span) || span->mark)
			continue;
		show_span(span);
		all = false;
	}
	return all;
}

/* ---- end ---- */

void mw_wide_take_bits(void)
{
	struct mw_wide_cursor cursor = { 0 };
	struct mw_wide_span *wide;

	while ((wide = mw_wide_next(&cursor))) {
		if (!wide->span)
			continue;
		atomic_store_explicit(&wide->span->queued, 0, memory_order_relaxed);
		mw_set_word(&wide->span->gc_scanned, 0);
		wide->span->mark = wide->span->scanned = NULL;
	}
}

bool mw_wide_readable(const struct mw_wide_span *wide)
{
	return wide->span && mw_span_readable(wide->span) && is_ours(wide->span) &&
	       same_life(wide, wide->span);
}

void mw_wide_end(void)
{
	uintptr_t at;

	/*
	 * Release: who sees it gives spans back at once, and the mark has read the last of them by
	 * then.
	 */
	atomic_store_explicit(&mw_gc.wide.mode, MW_WIDE_NOT, memory_order_release);
	/* Handlers that saw the mode have ended then. */
	mw_handlers_wait();
	at = atomic_exchange_explicit(&mw_gc.wide.left, 0, memory_order_acquire);
	while (at) {
		struct mw_span *span = (struct mw_span *)at;

		at = (uintptr_t)span->link.next;
		mw_object_end_span(span);
	}
}

bool mw_up_looking(void)
{
	return atomic_load_explicit(&mw_gc.wide.mode, memory_order_acquire) != MW_WIDE_NOT &&
	       mw_up_marking();
}

bool mw_up_span_left(struct mw_span *span)
{
	uintptr_t head = atomic_load_explicit(&mw_gc.wide.left, memory_order_relaxed);

	if (mw_likely(!mw_up_looking()) || mw_span_flags(span) & MW_SPAN_COLLECTED)
		return false;
	do
		span->link.next = (struct mw_list *)head;
	while (!atomic_compare_exchange_weak_explicit(&mw_gc.wide.left, &head, (uintptr_t)span,
						      memory_order_release, memory_order_relaxed));
	return true;
}

/* ---- figures ---- */

void mw_wide_recount(struct mw_gc_cycle *cycle)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	cycle->objects_marked = cycle->heap_marked = 0;
	while ((span = mw_span_next(&cursor))) {
		size_t objects = 0;

		if (!span->mark || mw_span_newborn(span))
			continue;
		for (size_t w = 0; w < span->words; w++)
			objects += mw_count_bits(mw_word(&span->mark[w]));
		cycle->objects_marked += objects;
		cycle->heap_marked += objects * span->stride;
	}
}

#endif
