// SPDX-License-Identifier: MIT
/*
 * Caches with debug aids. Their spans are never a CPU's: each allocation and free takes the cache's
 * lock, and the fast paths, which find no owner, come to debug_short.c by themselves, which has the usual case;
 * here is what it leaves. Off, the aids cost a test where a CPU takes another word.
 *
 * While an object is checked and filled here its remote bit is set: neither live nor free, so that a second
 * free of it is caught, and nobody gets it.
 */
#include "inside.h"

/* Spans that fault when touched are kept for so many frees before their pages are used again. */
#define MW_DEBUG_QUARANTINE 64
#define MW_DEBUG_LOOKS 128

static size_t mw_debug_align(const struct mw_cache *cache)
{
	return mw_max(mw_min(cache->stride & (0 - cache->stride), MW_PAGE_SIZE), 16);
}

/* Where the first object begins: behind a zone, unless it has to begin with a page. */
static size_t mw_debug_left(const struct mw_cache *cache, unsigned int flags)
{
	size_t align = mw_debug_align(cache);

	return flags & MW_DEBUG_REDZONE && align < MW_PAGE_SIZE ? align : 0;
}

static size_t mw_debug_stride(const struct mw_cache *cache, unsigned int flags)
{
	if (!(flags & MW_DEBUG_REDZONE))
		return cache->stride;
	return mw_round_up(cache->size + 32, mw_debug_align(cache));
}

static size_t mw_debug_span_pages(const struct mw_cache *cache, unsigned int flags)
{
	size_t left = mw_debug_left(cache, flags), stride = mw_debug_stride(cache, flags);
	size_t bytes = left + stride;

	if (!(flags & MW_DEBUG_FAULT))
		bytes = mw_max(bytes, (size_t)cache->lengths[0] << MW_PAGE_SHIFT);
	return mw_round_up(bytes, MW_PAGE_SIZE) >> MW_PAGE_SHIFT;
}

/* Objects of more bytes are not looked at and filled with the cache's lock held. */
#define MW_DEBUG_BRIEF 256

unsigned int mw_debug_flags_for(const struct mw_cache *cache)
{
	unsigned int flags = mw_debug_flags_of(cache->name);
	/* Every object of the others has a zone before it, if there are any. */
	bool first = flags & MW_DEBUG_REDZONE && !mw_debug_left(cache, flags);

	if (flags & MW_DEBUG_FAULT || first || cache->size > MW_DEBUG_BRIEF || cache->size % 16)
		return flags ? flags | MW_DEBUG_LONG : 0;
	return flags;
}

static struct mw_debug_span *mw_debug_record(const struct mw_cache *cache, unsigned int count,
					     unsigned int flags)
{
	size_t bytes = sizeof(struct mw_debug_span), pages;
	struct mw_debug_span *debug;

	if (flags & MW_DEBUG_TRACK)
		bytes += count * sizeof(struct mw_debug_track);
	pages = mw_round_up(bytes, MW_PAGE_SIZE) >> MW_PAGE_SHIFT;
	debug = mw_pages_alloc(pages, MW_ZERO | MW_ATOMIC);
	if (!debug)
		return NULL;
	/* A constructed object is as its user left it: nothing may be written into it. */
	debug->flags = cache->construct ? flags & ~MW_DEBUG_POISON : flags;
	/* And without zones there are no surroundings to look at. */
	if (!(flags & MW_DEBUG_REDZONE))
		debug->flags &= ~MW_DEBUG_CHECKS;

	debug->some = count;
	debug->own_pages = (unsigned int)pages;
	return debug;
}

static void mw_debug_unmake(struct mw_span *span)
{
	struct mw_debug_span *debug = span->debug;

	if (debug->flags & MW_DEBUG_FAULT)
		(void)mw_port_protect(span->base, span->pages << MW_PAGE_SHIFT, false);
	__atomic_store_n(&span->debug, NULL, __ATOMIC_RELAXED);
	mw_span_unmake(span);
	mw_pages_free(debug, debug->own_pages);
}

static struct mw_span *mw_debug_make(struct mw_cache *cache, unsigned int debug, mw_flags_t flags)
{
	size_t left = mw_debug_left(cache, debug);
	struct mw_span *span = mw_span_alloc(mw_debug_span_pages(cache, debug), 0,
					     cache->flags | (flags & MW_RESERVE));

	if (!span)
		return NULL;
	mw_span_fill(span, cache, mw_debug_stride(cache, debug));
	/* Not in the map yet: a byte's read-modify-write is a library call on some machines. */
	span->flags = (unsigned char)((span->flags & ~(MW_SPAN_SAFE | MW_SPAN_WIPE)) | MW_SPAN_DEBUG);
	__atomic_store_n(&span->base, span->base + left, __ATOMIC_RELAXED);
	if (debug & MW_DEBUG_FAULT)
		span->count = 1;
	else
		span->count = (unsigned int)(((span->pages << MW_PAGE_SHIFT) - left) / span->stride);
	mw_span_set_magic(span);
	span->debug = mw_debug_record(cache, span->count, debug);
	if (!span->debug || !mw_span_bitmaps(span, 2)) {
		if (span->debug)
			mw_pages_free(span->debug, span->debug->own_pages);
		mw_span_free(span);
		return NULL;
	}
	mw_cache_count_span(cache, span, true);
	for (size_t i = 0; i < span->count; i++) {
		if (cache->construct)
			cache->construct(mw_span_object(span, i));
		mw_aid_born(span, i);
	}
	mw_shadow_dead(span->base - left, span->pages << MW_PAGE_SHIFT, MW_SHADOW_ZONE);
	for (size_t i = 0; MW_SHADOW && i < span->count; i++)
		mw_shadow_dead(mw_span_object(span, i), span->size, MW_SHADOW_FREE);
	mw_set_owner(span, MW_OWNER_DEBUG);
	mw_span_publish(span);
	return span;
}

/* Nothing of it is live or between. */
static bool mw_debug_is_empty(const struct mw_span *span)
{
	return span->debug->some == span->count;
}

void mw_debug_settle_locked(struct mw_cache *cache, struct mw_span *span)
{
	if (span->where == MW_WHERE_DEBUG)
		mw_list_remove(&span->link);
	span->where = MW_WHERE_DEBUG;
	if (!span->debug->some)
		mw_list_init(&span->link);
	else if (mw_debug_is_empty(span))
		mw_list_push_back(&cache->debug_spans, &span->link);
	else
		mw_list_push_front(&cache->debug_spans, &span->link);
}

/*
 * The span that is allocated from: the first, or if that has to be left alone, the last; they differ in kind only where
 * a cache had other aids before. NULL: neither will do.
 */
static struct mw_span *mw_debug_first_locked(struct mw_cache *cache)
{
	struct mw_list *first = cache->debug_spans.next, *last = cache->debug_spans.prev;
	struct mw_span *span = mw_container(first, struct mw_span, link);

	if (mw_list_empty(&cache->debug_spans))
		return NULL;
	if (mw_unlikely(span->debug->flags & MW_DEBUG_FAULT))
		span = mw_container(last, struct mw_span, link);
	return span->debug->flags & MW_DEBUG_FAULT ? NULL : span;
}

/* The bit of an object that is neither live nor free; others change their own in the same word. */
static void mw_debug_between(struct mw_span *span, size_t index, bool between)
{
	mw_atomic_t *word = &span->remote[index / MW_WORD_BITS];

	if (between)
		atomic_fetch_or_explicit(word, mw_bit(index), memory_order_acq_rel);
	else
		atomic_fetch_and_explicit(word, ~mw_bit(index), memory_order_acq_rel);
}

/* The first word of the span that has a free object, and which; 0: none has. */
static inline unsigned long mw_debug_some(const struct mw_span *span, size_t *w)
{
	unsigned long some = 0;

	for (*w = 0; *w < span->words; ++*w) {
		some = mw_word(&span->free[*w]) & mw_span_mask(span, *w);
		if (some)
			break;
	}
	return some;
}

/* An object of the first span, neither live nor free when this returns. Not pinned. */
static struct mw_span *mw_debug_take(struct mw_cache *cache, size_t *index)
{
	unsigned long state = mw_lock(&cache->lock), some = 0;
	struct mw_span *span = mw_debug_first_locked(cache);
	size_t w;

	if (span)
		some = mw_debug_some(span, &w);
	if (mw_likely(some)) {
		*index = w * MW_WORD_BITS + mw_lowest_bit(some);
		mw_debug_between(span, *index, true);
		mw_set_word(&span->free[w], mw_word(&span->free[w]) & ~mw_bit(*index));
		cache->allocs++;
		if (!--span->debug->some || cache->debug_spans.next != &span->link)
			mw_debug_settle_locked(cache, span);
	}
	mw_unlock(&cache->lock, state);
	return some ? span : NULL;
}

/* The first object of a new span, which then joins the list. */
static struct mw_span *mw_debug_grow(struct mw_cache *cache, mw_flags_t flags, size_t *index)
{
	struct mw_span *span = mw_debug_make(cache, (unsigned int)mw_word(&cache->debug), flags);
	unsigned long state;

	if (!span)
		return NULL;
	state = mw_lock(&cache->lock);
	*index = 0;
	mw_debug_between(span, 0, true);
	mw_set_word(&span->free[0], mw_word(&span->free[0]) & ~1ul);
	cache->allocs++;
	span->debug->some--;
	mw_debug_settle_locked(cache, span);
	mw_unlock(&cache->lock, state);
	return span;
}

static void mw_debug_end(struct mw_span *span, size_t index)
{
	struct mw_cache *cache = span->cache;
	unsigned long state = mw_lock(&cache->lock);
	size_t w = index / MW_WORD_BITS;

	mw_shadow_dead(mw_span_object(span, index), span->size, MW_SHADOW_FREE);
	mw_set_word(&span->free[w], mw_word(&span->free[w]) | mw_bit(index));
	mw_debug_between(span, index, false);
	cache->frees++;
	if (!span->debug->some++ || mw_debug_is_empty(span))
		mw_debug_settle_locked(cache, span);
	mw_unlock(&cache->lock, state);
}

void *mw_debug_alloc(struct mw_cache *cache, mw_flags_t flags, const struct mw_trace *here,
		     uintptr_t site)
{
	unsigned int step = 0;
	struct mw_span *span;
	size_t index = 0;

	for (;;) {
		span = mw_debug_take(cache, &index);
		if (!span)
			span = mw_debug_grow(cache, flags, &index);
		if (span)
			break;
		if (!mw_meta_refill() &&
		    !mw_page_reclaim(cache->lengths[0], 0, flags | cache->flags, &step))
			return NULL;
	}
	mw_aid_begin(span, index, flags & MW_ZERO, here, site);
	mw_shadow_live(mw_span_object(span, index), span->size);
	mw_debug_between(span, index, false);
	return mw_span_object(span, index);
}

/* The span is on its way to mw_debug_unmake(): a free that had looked it up does not find it any more. */
static void mw_debug_retire_locked(struct mw_span *span)
{
	mw_list_remove(&span->link);
	span->where = MW_WHERE_NOWHERE;
	mw_set_owner(span, MW_OWNER_GONE);
}

/*
 * Make room in the quarantine of faulting spans, which are at the end of the list, the last ones of all that are kept.
 * Others are among them only if the aids have changed; those are looked at too, but not for long.
 */
static struct mw_span *mw_debug_oldest(struct mw_cache *cache)
{
	unsigned long state = mw_lock(&cache->lock);
	struct mw_list *at = cache->debug_spans.prev;
	struct mw_span *oldest = NULL;
	size_t n = 0;

	for (size_t looks = 0; !oldest && looks < MW_DEBUG_LOOKS && at != &cache->debug_spans;
	     looks++) {
		struct mw_span *span = mw_container(at, struct mw_span, link);

		at = at->prev;
		if (span->debug->flags & MW_DEBUG_FAULT && n++ == MW_DEBUG_QUARANTINE)
			oldest = span;
	}
	if (oldest)
		mw_debug_retire_locked(oldest);
	mw_unlock(&cache->lock, state);
	return oldest;
}

/* Make a live object one that is between; from then on its span stays. */
static enum mw_freed mw_debug_claim(struct mw_cache *cache, struct mw_span *span,
				    const void *object, size_t *index)
{
	unsigned long state = mw_lock(&cache->lock);
	enum mw_freed what = MW_FREED_MOVED;

	if (mw_owner(span) == MW_OWNER_DEBUG && mw_span_cache(span) == cache &&
	    mw_span_has(span, object, index)) {
		what = mw_span_live(span, *index) ? MW_FREED : MW_FREED_TWICE;
		if (what == MW_FREED)
			mw_debug_between(span, *index, true);
	}
	mw_unlock(&cache->lock, state);
	return what;
}

enum mw_freed mw_debug_free(struct mw_span *span, const void *object, uintptr_t site)
{
	struct mw_cache *cache = mw_span_cache(span);
	struct mw_span *oldest;
	enum mw_freed what;
	size_t index;
	bool faults;

	what = cache ? mw_debug_claim(cache, span, object, &index) : MW_FREED_MOVED;
	if (what != MW_FREED)
		return what;
	/* Whoever is marking may be about to look into it. */
	faults = span->debug->flags & MW_DEBUG_FAULT && !mw_up_looking();
	mw_aid_end(span, index, site);
	if (faults)
		(void)mw_port_protect((void *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE),
				      span->pages << MW_PAGE_SHIFT, true);
	mw_debug_end(span, index);
	oldest = faults ? mw_debug_oldest(cache) : NULL;
	if (oldest)
		mw_debug_unmake(oldest);
	return MW_FREED;
}

/* The last span of the list, if it is empty; in no list then. */
static struct mw_span *mw_debug_last_empty(struct mw_cache *cache)
{
	unsigned long state = mw_lock(&cache->lock);
	struct mw_span *span = NULL;

	if (!mw_list_empty(&cache->debug_spans)) {
		span = mw_container(cache->debug_spans.prev, struct mw_span, link);
		if (mw_debug_is_empty(span))
			mw_debug_retire_locked(span);
		else
			span = NULL;
	}
	mw_unlock(&cache->lock, state);
	return span;
}

/* Empty spans back to the page heap. Return: pages. */
size_t mw_debug_shrink(struct mw_cache *cache)
{
	struct mw_span *span;
	size_t pages = 0;

	while ((span = mw_debug_last_empty(cache))) {
		pages += span->pages;
		mw_debug_unmake(span);
	}
	return pages;
}

/* On demand: no free object was written, no live one overrun. Nobody else is inside. */
bool mw_debug_check_span(const struct mw_span *span)
{
	size_t some = 0;

	for (size_t w = 0; w < span->words; w++)
		some += mw_count_bits(mw_word(&span->free[w]) & mw_span_mask(span, w));
	MW_CHECK(span, span->debug->some == some);
	MW_CHECK(span, mw_list_empty(&span->link) == !some);
	if (span->debug->flags & MW_DEBUG_FAULT)
		return true;
	for (size_t i = 0; i < span->count; i++) {
		bool free = mw_word(&span->free[i / MW_WORD_BITS]) & mw_bit(i);

		MW_CHECK(mw_span_object(span, i), !mw_aid_bad_zone(span, i));
		MW_CHECK(mw_span_object(span, i), !free || !mw_aid_bad_poison(span, i));
	}
	return true;
}
