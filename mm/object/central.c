// SPDX-License-Identifier: MIT
/*
 * Spans that no CPU owns. The cache's lock guards their lists and their free words: a span whose
 * owner reads MW_OWNER_NONE under the lock stays so until the lock is given back.
 */
#include "inside.h"

void mw_cache_count_span(struct mw_cache *cache, const struct mw_span *span, bool more)
{
	unsigned long state = mw_lock(&cache->lock);

	cache->spans += more ? 1 : (size_t)-1;
	cache->pages += more ? span->pages : (size_t)0 - span->pages;
	mw_unlock(&cache->lock, state);
}

static void mw_central_unlink(struct mw_span *span)
{
	mw_list_remove(&span->link);
	span->where = MW_WHERE_NOWHERE;
}

/*
 * Put a span where its free words say. Return: true if it is empty and may go: then it is in no list, and the
 * caller returns it to the page heap without the lock. Empty ones that stay, as the cache keeps its memory or
 * for a mark, are at the end of their list.
 */
static bool mw_central_settle_locked(struct mw_cache *cache, struct mw_span *span)
{
	if (span->where != MW_WHERE_NOWHERE)
		mw_central_unlink(span);
	if (mw_span_all_free(span)) {
		if (!cache->keeps && !mw_span_held(span)) {
			mw_set_owner(span, MW_OWNER_GONE);
			return true;
		}
		span->where = MW_WHERE_CENTRAL_SOME;
		mw_list_push_back(&cache->some, &span->link);
	} else if (mw_span_some_free(span)) {
		span->where = MW_WHERE_CENTRAL_SOME;
		mw_list_push_front(&cache->some, &span->link);
	} else {
		span->where = MW_WHERE_CENTRAL_FULL;
		if (mw_up_span_unswept(span))
			mw_list_push_front(&cache->full, &span->link);
		else
			mw_list_push_back(&cache->full, &span->link);
	}
	return false;
}

void mw_central_give(struct mw_span *span)
{
	struct mw_cache *cache = span->cache;
	bool empty;

	mw_lock_pinned(&cache->lock);
	cache->remote_frees += mw_span_gather(span);
	mw_set_owner(span, span->flags & MW_SPAN_DEBUG ? MW_OWNER_DEBUG : MW_OWNER_NONE);
	empty = mw_central_settle_locked(cache, span);
	mw_unlock_pinned(&cache->lock);
	if (empty)
		mw_span_unmake(span);
}

bool mw_central_gather(struct mw_span *span)
{
	struct mw_cache *cache = mw_span_cache(span);
	bool ours, empty = false;

	if (!cache)
		return false;
	mw_lock_pinned(&cache->lock);
	ours = mw_owner(span) == MW_OWNER_NONE && mw_span_cache(span) == cache &&
	       span->where != MW_WHERE_NOWHERE;
	if (ours) {
		mw_span_clear_pending(span);
		cache->remote_frees += mw_span_gather(span);
		empty = mw_central_settle_locked(cache, span);
	}
	mw_unlock_pinned(&cache->lock);
	if (empty)
		mw_span_unmake(span);
	return ours;
}

/* Return: the span is empty now, see mw_central_settle_locked(). */
static bool mw_central_free_locked(struct mw_cache *cache, struct mw_span *span, size_t index)
{
	mw_atomic_t *word = &span->free[index / MW_WORD_BITS];
	bool was_full = span->where == MW_WHERE_CENTRAL_FULL;

	mw_shadow_dead(mw_span_object(span, index), span->size, MW_SHADOW_FREE);
	mw_set_word(word, mw_word(word) | mw_bit(index));
	cache->frees++;
	return (was_full || mw_word(word) == ~0ul) && mw_central_settle_locked(cache, span);
}

enum mw_freed mw_central_free(struct mw_cache *cache, struct mw_span *span, const void *object)
{
	enum mw_freed what = MW_FREED_MOVED;
	bool empty = false;
	size_t index;

	mw_lock_pinned(&cache->lock);
	if (mw_owner(span) == MW_OWNER_NONE && mw_span_cache(span) == cache &&
	    mw_span_has(span, object, &index)) {
		what = mw_span_live(span, index) ? MW_FREED : MW_FREED_TWICE;
		if (what == MW_FREED)
			empty = mw_central_free_locked(cache, span, index);
	}
	mw_unlock_pinned(&cache->lock);
	if (empty)
		mw_span_unmake(span);
	return what;
}

size_t mw_central_let_go(struct mw_span *span, const mw_atomic_t *held, const mw_atomic_t *marked)
{
	struct mw_cache *cache = span->cache;
	unsigned long state = mw_lock(&cache->lock);
	bool ours = mw_owner(span) == MW_OWNER_NONE && span->where != MW_WHERE_NOWHERE, empty = false;
	size_t count = 0;

	for (size_t w = 0; ours && w < span->words; w++) {
		unsigned long go = mw_word(&held[w]) & ~mw_word(&marked[w]);

		if (!go)
			continue;
		mw_set_word(&span->free[w], mw_word(&span->free[w]) | go);
		atomic_fetch_and_explicit(&span->remote[w], ~go, memory_order_acq_rel);
		count += mw_count_bits(go);
	}
	cache->frees += count;
	if (count)
		empty = mw_central_settle_locked(cache, span);
	mw_unlock(&cache->lock, state);
	if (empty)
		mw_span_unmake(span);
	return count;
}

/* The first of a list, if it has or gets free objects; owned by @cpu from then on. */
static struct mw_span *mw_central_first(struct mw_cache *cache, struct mw_list *list, unsigned int cpu)
{
	struct mw_span *span = NULL;
	bool ended = false;

	mw_lock_pinned(&cache->lock);
	if (!mw_list_empty(list)) {
		span = mw_container(list->next, struct mw_span, link);
		if (list == &cache->full && !mw_up_span_unswept(span)) {
			span = NULL;
		} else {
			mw_central_unlink(span);
			mw_set_owner(span, cpu);
			ended = mw_span_follow(span);
		}
	}
	mw_unlock_pinned(&cache->lock);
	if (mw_unlikely(ended))
		mw_span_end_mode(span);
	return span;
}

/* Full spans of a collected cache that are swept in vain before another way is tried. */
#define MW_CENTRAL_SWEEPS 8

struct mw_span *mw_central_take(struct mw_cache *cache, unsigned int cpu)
{
	struct mw_span *span;

	if ((cache->span_flags & MW_SPAN_COLLECTED) && mw_up_marking())
		return NULL;
	for (unsigned int tries = 0; tries < MW_CENTRAL_SWEEPS; tries++) {
		span = mw_central_first(cache, &cache->some, cpu);
		if (!span)
			span = mw_central_first(cache, &cache->full, cpu);
		if (!span)
			return NULL;
		mw_up_span_sweep(span);
		(void)mw_span_gather(span);
		if (mw_span_some_free(span))
			return span;
		mw_central_give(span);
	}
	return NULL;
}

/* The last of the spans with free objects, if it is empty; in no list then. */
static struct mw_span *mw_central_empty(struct mw_cache *cache)
{
	unsigned long state = mw_lock(&cache->lock);
	struct mw_span *span = NULL;

	if (!mw_list_empty(&cache->some)) {
		span = mw_container(cache->some.prev, struct mw_span, link);
		if (!mw_span_all_free(span) || mw_span_held(span)) {
			span = NULL;
		} else {
			mw_central_unlink(span);
			mw_set_owner(span, MW_OWNER_GONE);
		}
	}
	mw_unlock(&cache->lock, state);
	return span;
}

size_t mw_central_shrink(struct mw_cache *cache, size_t most)
{
	struct mw_span *span;
	size_t pages = 0;

	while (most-- && (span = mw_central_empty(cache))) {
		pages += span->pages;
		mw_span_unmake(span);
	}
	return pages;
}

void mw_object_swept(struct mw_cache *cache, struct mw_span *span, size_t dead)
{
	unsigned long state = mw_lock(&cache->lock);
	bool empty = false;

	cache->frees += dead;
	if (span->cache == cache && mw_owner(span) == MW_OWNER_NONE &&
	    span->where != MW_WHERE_NOWHERE && !mw_up_span_unswept(span))
		empty = mw_central_settle_locked(cache, span);
	mw_unlock(&cache->lock, state);
	if (empty)
		mw_span_unmake(span);
}
