// SPDX-License-Identifier: MIT
/*
 * mw_free() and its kin. The fast path is one test after the other, each of which may end in
 * mw_free_slow(), which begins again from the address and finds out what it was.
 */
#include "inside.h"

/*
 * The first free into a span that this CPU had found full, and that is as others in all else: its owner says
 * both with one look. Pinned.
 */
static inline bool mw_free_into_full(struct mw_span *span, void *object, struct mw_cache *cache)
{
	if (!mw_span_owned_by(span, mw_port_cpu() | MW_OWNER_FULL) ||
	    (cache && mw_span_cache(span) != cache) || (span->flags & MW_SPAN_COLLECTED) ||
	    !mw_span_free_exact(span, object))
		return false;
	mw_slot_unfull(mw_cpu_here(), span);
	return true;
}

__attribute__((noinline)) void mw_free_otherwise(void *object, struct mw_span *span,
						 struct mw_cache *cache, unsigned long state)
{
	bool full = mw_free_into_full(span, object, cache), plain, done = false;

	plain = !full && (!cache || mw_span_cache(span) == cache) &&
		!__atomic_load_n(&span->records, __ATOMIC_RELAXED);
	mw_port_unpin(state);
	if (full)
		return;
	/* The usual case of the mode, without all the questions of the slow way. */
	if (plain && (span->flags & MW_SPAN_SAFE))
		done = mw_safe_hold(span, object) == MW_FREED;
	if (!done)
		mw_free_slow(object, cache, SIZE_MAX);
}

/* Out of the reach of mw_span_fast(). Pinned, by @state; not any more when it returns. */
static MW_NOINLINE void mw_free_far(void *object, struct mw_cache *cache, unsigned long state)
{
	struct mw_span *span = mw_span_of_pinned(object);

	if (!span) {
		mw_port_unpin(state);
		if (!object)
			return;
		mw_free_slow(object, cache, SIZE_MAX);
	} else if ((!cache || span->cache == cache) && mw_span_owned_by(span, mw_port_cpu()) &&
		   mw_span_free_exact(span, object)) {
		mw_port_unpin(state);
	} else {
		mw_free_elsewhere(object, span, cache, state, mw_span_owner(span));
	}
}

/*
 * Pinned from before the span is looked up: a span that this CPU then finds to be its own has been
 * that all the time, since only this CPU can take one or give one up.
 */
void mw_free(void *object)
{
	unsigned long state = mw_port_pin();
	uintptr_t at = mw_span_fast(object);
	struct mw_span *span = (struct mw_span *)at;
	unsigned int owner;

	if (mw_unlikely(at & MW_MAP_TAG)) {
		mw_free_far(object, NULL, state);
		return;
	}
	owner = mw_span_owner(span);
	if (mw_likely(owner == mw_port_cpu() && mw_span_free_exact(span, object)))
		mw_port_unpin(state);
	else
		mw_free_elsewhere(object, span, NULL, state, owner);
}

void mw_free_sized(void *object, size_t size)
{
	mw_free_slow(object, NULL, size);
}

/* Out of line, so that mw_cache_free() has one value less to keep in registers. */
static MW_NOINLINE void mw_free_not_here(void *object, struct mw_span *span, struct mw_cache *cache,
					 unsigned long state)
{
	unsigned int owner = mw_span_owner(span);

	if (mw_unlikely(owner == MW_OWNER_DEBUG))
		mw_debug_free_short(object, span, cache, state);
	else
		mw_free_elsewhere(object, span, cache, state, owner);
}

void mw_cache_free(struct mw_cache *cache, void *object)
{
	unsigned long state = mw_port_pin();
	uintptr_t at = mw_span_fast(object);
	struct mw_span *span = (struct mw_span *)at;

	if (mw_unlikely(at & MW_MAP_TAG))
		mw_free_far(object, cache, state);
	else if (mw_likely(mw_span_cache(span) == cache && mw_span_owned_by(span, mw_port_cpu()) &&
			   mw_span_free_exact(span, object)))
		mw_port_unpin(state);
	else
		mw_free_not_here(object, span, cache, state);
}

/* Does an object of the span that was asked for with @size bytes have the span's size? */
static bool mw_size_fits(const struct mw_span *span, size_t size)
{
	if (size > span->size)
		return false;
	if (!span->cache)
		return mw_round_up(mw_max(size, 1), MW_PAGE_SIZE) +
				       (span->pages << MW_PAGE_SHIFT) / 8 >=
			       span->size ||
		       span->align > MW_PAGE_SHIFT;
	if (!span->cache->builtin)
		return size == span->cache->asked || size == span->cache->size;
	if (span->cache->policy == MW_POLICY_HAND)
		return mw_size_roundup(size) == span->size;
	for (size_t align = 8; align <= MW_PAGE_SIZE; align *= 2) {
		if (mw_aligned_size(mw_max(size, 1), align) == span->size)
			return true;
	}
	return false;
}

/* What is wrong with freeing @object, as far as the address alone tells. */
static enum mw_misuse mw_free_judge(const struct mw_span *span, const void *object,
				    const struct mw_cache *cache, size_t size)
{
	mw_wide_t product = mw_span_product(span, object);

	if ((size_t)(product >> MW_WORD_BITS) >= span->count)
		return MW_FOREIGN_FREE;
	if (span->flags & MW_SPAN_TINY)
		return MW_BAD_REQUEST;
	if ((unsigned long)product >= span->magic)
		return MW_INNER_FREE;
	if (cache && span->cache != cache)
		return MW_WRONG_CACHE;
	if (size != SIZE_MAX && !mw_size_fits(span, size))
		return MW_WRONG_SIZE;
	return MW_MISUSE_NONE;
}

static const char *mw_span_cache_name(const struct mw_span *span)
{
	return span->cache ? span->cache->name : "large";
}

/* @seen: what @span was when it was looked at; NULL: there is none. */
static MW_NOINLINE void mw_free_report(enum mw_misuse what, const struct mw_span *span,
				       const struct mw_span *seen, const void *object,
				       const struct mw_cache *cache, size_t size)
{
	struct mw_report report = {
		.what = what,
		.address = object,
		.given = size == SIZE_MAX ? 0 : size,
		.given_cache = cache ? cache->name : NULL,
	};

	if (seen && (seen->flags & MW_SPAN_TINY))
		report.text = "tiny objects of the collector share a block: none is freed by hand";
	if (seen) {
		size_t index = mw_span_index(seen, object);

		report.object = index < seen->count ? mw_span_object(seen, index) : NULL;
		report.size = seen->size;
		report.span = (const void *)mw_round_down((uintptr_t)seen->base, MW_PAGE_SIZE);
		report.span_pages = seen->pages;
		report.cache = mw_span_cache_name(seen);
		if (index < seen->count)
			mw_aid_traces(span, index, &report);
	}
	mw_misuse(&report);
}

/* An address in no span. */
static void mw_free_strange(const void *object, const struct mw_cache *cache, size_t size)
{
	struct mw_report report = {
		.address = object,
		.given = size == SIZE_MAX ? 0 : size,
		.given_cache = cache ? cache->name : NULL,
	};

	mw_page_stray(object, &report);
	mw_misuse(&report);
}

/* Other CPUs have freed into it, or it had nothing free, or the object is not live. Pinned. */
static enum mw_freed mw_free_owned(struct mw_cpu *cpu, struct mw_span *span, const void *object)
{
	size_t index;

	if (!mw_span_has(span, object, &index))
		return MW_FREED_MOVED;
	if (!mw_span_live(span, index))
		return MW_FREED_TWICE;
	mw_span_set_free(span, index);
	if (mw_owner(span) & MW_OWNER_FULL)
		mw_slot_unfull(cpu, span);
	(void)mw_cpu_gather(cpu, MW_GATHER_STEP);
	return MW_FREED;
}

/* By the way of whoever owns the span of small objects. Pinned. The span may be anything afterwards. */
static enum mw_freed mw_free_in(struct mw_span *span, const void *object)
{
	unsigned int owner = mw_owner(span) & ~MW_OWNER_FULL, here = mw_port_cpu();
	struct mw_cache *cache = mw_span_cache(span);

	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_sweep(span);
	if (owner == here)
		return mw_free_owned(mw_cpu_here(), span, object);
	if (owner < MW_MAX_CPUS)
		return mw_remote_free(span, object);
	return cache ? mw_central_free(cache, span, object) : MW_FREED_MOVED;
}

static enum mw_freed mw_free_once(struct mw_span *span, const void *object)
{
	unsigned int owner = mw_owner(span);
	unsigned long state;
	enum mw_freed what;

	if (mw_unlikely(span->flags & MW_SPAN_SAFE))
		return mw_safe_hold(span, object);
	if (owner == MW_OWNER_DEBUG)
		return mw_debug_free(span, object);
	if (owner == MW_OWNER_LARGE)
		return mw_large_free(span, object);
	state = mw_port_pin();
	what = mw_free_in(span, object);
	mw_port_unpin(state);
	return what;
}

static enum mw_misuse mw_free_object(struct mw_span *span, void *object)
{
	enum mw_misuse wrong = MW_MISUSE_NONE;
	size_t index;

	/* Quiet samples alone do not ask for it. */
	if (mw_unlikely(__atomic_load_n(&span->records, __ATOMIC_RELAXED)) &&
	    atomic_load_explicit(&span->owner, memory_order_relaxed) & MW_OWNER_NO_FREE)
		wrong = mw_up_records_free(object);
	if (wrong != MW_MISUSE_NONE)
		return wrong;
	for (;;) {
		switch (mw_free_once(span, object)) {
		case MW_FREED:
			return MW_MISUSE_NONE;
		case MW_FREED_TWICE:
			return MW_DOUBLE_FREE;
		default:
			/* It changed hands, or it is gone, and what the object was in with it. */
			if (mw_owner(span) == MW_OWNER_GONE || mw_span_of(object) != span ||
			    !mw_span_has(span, object, &index))
				return MW_FREED_SPAN;
		}
	}
}

/* Note what the span is before anything is done. Return: false: it is gone. */
static bool mw_free_look(struct mw_span *span, struct mw_span *seen)
{
	unsigned long state = mw_port_pin();
	unsigned int here = mw_port_cpu();
	bool there = mw_freer_begin(span, here) != MW_OWNER_GONE;

	if (there) {
		seen->base = span->base;
		seen->magic = span->magic;
		seen->count = span->count;
		seen->cache = mw_span_cache(span);
		seen->size = span->size;
		seen->pages = span->pages;
		seen->stride = span->stride;
		seen->flags = span->flags;
		seen->align = span->align;
	}
	mw_freer_end(here);
	mw_port_unpin(state);
	return there;
}

/* In a frame of its own, so that the free itself has none of it. Return: false: it was reported. */
static MW_NOINLINE bool mw_free_allowed(struct mw_span *span, const void *object,
					const struct mw_cache *cache, size_t size)
{
	enum mw_misuse wrong;
	struct mw_span seen;

	if (!mw_free_look(span, &seen)) {
		mw_free_strange(object, cache, size);
		return false;
	}
	wrong = mw_free_judge(&seen, object, cache, size);
	if (wrong != MW_MISUSE_NONE)
		mw_free_report(wrong, span, &seen, object, cache, size);
	return wrong == MW_MISUSE_NONE;
}

/* What the free itself found. The span may be another one by now: then nothing is said of it. */
static MW_NOINLINE void mw_free_refused(enum mw_misuse wrong, struct mw_span *span,
					const void *object, const struct mw_cache *cache, size_t size)
{
	struct mw_span seen;
	size_t index;
	bool there = mw_free_look(span, &seen) && mw_span_has(&seen, object, &index);

	mw_free_report(wrong, span, there ? &seen : NULL, object, cache, size);
}

MW_NOINLINE void mw_free_slow(void *object, struct mw_cache *cache, size_t size)
{
	enum mw_misuse wrong;
	struct mw_span *span;

	if (!object || object == mw_zero_object)
		return;
	span = mw_span_of(object);
	if (!span) {
		mw_free_strange(object, cache, size);
		return;
	}
	if (!mw_free_allowed(span, object, cache, size))
		return;
	wrong = mw_free_object(span, object);
	if (mw_unlikely(wrong != MW_MISUSE_NONE))
		mw_free_refused(wrong, span, object, cache, size);
}
