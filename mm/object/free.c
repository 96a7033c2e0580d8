// SPDX-License-Identifier: MIT
/*
 * mw_free() and its kin. The fast path is one test after the other, each of which may end in
 * mw_free_slow(), which begins again from the address and finds out what it was.
 */
#include "inside.h"

/* In a span that holds back what is freed. Return: false: there is more to be looked at. */
static bool mw_free_held(struct mw_span *span, void *object)
{
	mw_wide_t product = mw_span_product(span, object);
	enum mw_misuse wrong;

	return (unsigned long)product < span->magic &&
	       !__atomic_load_n(&span->records, __ATOMIC_RELAXED) &&
	       mw_safe_hold(span, (size_t)(product >> MW_WORD_BITS), &wrong) &&
	       wrong == MW_MISUSE_NONE;
}

__attribute__((noinline)) void mw_free_elsewhere(struct mw_span *span, void *object,
						 struct mw_cache *cache)
{
	/* With MW_OWNER_NO_FREE it is neither. */
	unsigned int owner = atomic_load_explicit(&span->owner, memory_order_acquire) &
			     ~(MW_OWNER_PENDING | MW_OWNER_FULL);
	bool done = false;

	if (mw_unlikely(cache && mw_span_cache(span) != cache)) {
		/* said there */
	} else if (owner < MW_MAX_CPUS) {
		mw_wide_t product = mw_span_product(span, object);
		unsigned long state = mw_port_pin();

		done = (unsigned long)product < span->magic && owner != mw_port_cpu() &&
		       mw_remote_free(span, (size_t)(product >> MW_WORD_BITS));
		mw_port_unpin(state);
	} else if (owner == MW_OWNER_LARGE && object == span->base) {
		done = mw_large_free(span);
	} else if (owner & MW_OWNER_NO_FREE && span->flags & MW_SPAN_SAFE) {
		done = mw_free_held(span, object);
	}
	if (mw_unlikely(!done))
		mw_free_slow(object, cache, SIZE_MAX);
}

/* Out of the reach of mw_span_fast(). */
static MW_NOINLINE void mw_free_far(void *object, struct mw_cache *cache)
{
	struct mw_span *span = mw_span_of(object);
	bool done = false;

	if (span && (!cache || span->cache == cache)) {
		unsigned long state = mw_port_pin();

		done = mw_span_owned_by(span, mw_port_cpu()) && mw_span_free_exact(span, object);
		mw_port_unpin(state);
		if (!done) {
			mw_free_elsewhere(span, object, cache);
			return;
		}
	}
	if (!done)
		mw_free_slow(object, cache, SIZE_MAX);
}

void mw_free(void *object)
{
	uintptr_t at = mw_span_fast(object);
	struct mw_span *span = (struct mw_span *)at;
	unsigned long state;

	if (mw_unlikely(at & MW_MAP_TAG)) {
		mw_free_far(object, NULL);
		return;
	}
	state = mw_port_pin();
	if (mw_likely(mw_span_owned_by(span, mw_port_cpu()) && mw_span_free_exact(span, object))) {
		mw_port_unpin(state);
		return;
	}
	mw_port_unpin(state);
	mw_free_elsewhere(span, object, NULL);
}

void mw_free_sized(void *object, size_t size)
{
	mw_free_slow(object, NULL, size);
}

void mw_cache_free(struct mw_cache *cache, void *object)
{
	uintptr_t at = mw_span_fast(object);
	struct mw_span *span = (struct mw_span *)at;
	unsigned long state;

	if (mw_unlikely(at & MW_MAP_TAG)) {
		mw_free_far(object, cache);
		return;
	}
	state = mw_port_pin();
	if (mw_likely(span->cache == cache && mw_span_owned_by(span, mw_port_cpu()) &&
		      mw_span_free_exact(span, object))) {
		mw_port_unpin(state);
		return;
	}
	mw_port_unpin(state);
	mw_free_elsewhere(span, object, cache);
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
	if ((unsigned long)product >= span->magic)
		return MW_INNER_FREE;
	if (cache && span->cache != cache)
		return MW_WRONG_CACHE;
	if (span->flags & MW_SPAN_TINY)
		return MW_BAD_REQUEST;
	if (size != SIZE_MAX && !mw_size_fits(span, size))
		return MW_WRONG_SIZE;
	return MW_MISUSE_NONE;
}

static const char *mw_span_cache_name(const struct mw_span *span)
{
	return span->cache ? span->cache->name : "large";
}

static MW_NOINLINE void mw_free_report(enum mw_misuse what, const struct mw_span *span,
				       const void *object, const struct mw_cache *cache, size_t size)
{
	struct mw_report report = {
		.what = what,
		.address = object,
		.given = size == SIZE_MAX ? 0 : size,
		.given_cache = cache ? cache->name : NULL,
	};

	if (span && (span->flags & MW_SPAN_TINY))
		report.text = "tiny objects of the collector share a block: none is freed by hand";
	if (span) {
		size_t index = mw_span_index(span, object);

		report.object = index < span->count ? mw_span_object(span, index) : NULL;
		report.size = span->size;
		report.span = (const void *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE);
		report.span_pages = span->pages;
		report.cache = mw_span_cache_name(span);
		if (index < span->count)
			mw_aid_traces(span, index, &report);
	}
	mw_misuse(&report);
}

/* An address in no span. */
static void mw_free_strange(const void *object, const struct mw_cache *cache, size_t size)
{
	mw_free_report(mw_stray_kind(object), NULL, object, cache, size);
}

/* Other CPUs have freed into it, or it had nothing free, or the object is not live. Pinned. */
static enum mw_misuse mw_free_owned(struct mw_cpu *cpu, struct mw_span *span, size_t index)
{
	mw_atomic_t *word = &span->free[index / MW_WORD_BITS];

	if (!mw_span_live(span, index))
		return MW_DOUBLE_FREE;
	mw_shadow_dead(mw_span_object(span, index), span->size, MW_SHADOW_FREE);
	mw_set_word(word, mw_word(word) | mw_bit(index));
	if (mw_owner(span) & MW_OWNER_FULL)
		mw_slot_unfull(cpu, span);
	(void)mw_cpu_gather(cpu, MW_GATHER_STEP);
	return MW_MISUSE_NONE;
}

/* Set the bit by the way of whoever owns the span. Pinned. Return: MW_MISUSE_NONE: it is done. */
static enum mw_misuse mw_free_in(struct mw_span *span, void *object)
{
	size_t index = mw_span_index(span, object);

	for (;;) {
		unsigned int owner = mw_owner(span), here = mw_port_cpu();
		struct mw_cache *cache = mw_span_cache(span);
		enum mw_central_answer answer;

		if ((owner & ~MW_OWNER_FULL) == here) {
			return mw_free_owned(mw_cpu_here(), span, index);
		}
		if ((owner & ~MW_OWNER_FULL) < MW_MAX_CPUS) {
			/* After it the span may be anything, at once. */
			return mw_remote_free(span, index) ? MW_MISUSE_NONE : MW_DOUBLE_FREE;
		}
		if (owner == MW_OWNER_GONE || owner == MW_OWNER_LARGE || !cache)
			return MW_FREED_SPAN;
		answer = mw_central_free(cache, span, index);
		if (answer != MW_CENTRAL_NOT_OURS)
			return answer == MW_CENTRAL_DONE ? MW_MISUSE_NONE : MW_DOUBLE_FREE;
	}
}

static enum mw_misuse mw_free_object(struct mw_span *span, void *object)
{
	enum mw_misuse wrong = MW_MISUSE_NONE;
	unsigned long state;

	if (mw_unlikely(__atomic_load_n(&span->records, __ATOMIC_RELAXED)))
		wrong = mw_up_records_free(object);
	if (wrong != MW_MISUSE_NONE)
		return wrong;
	if (mw_unlikely(span->flags & MW_SPAN_SAFE) &&
	    mw_safe_hold(span, mw_span_index(span, object), &wrong))
		return wrong;
	if (mw_owner(span) == MW_OWNER_LARGE)
		return mw_large_free(span) ? MW_MISUSE_NONE : MW_DOUBLE_FREE;
	if (mw_owner(span) == MW_OWNER_DEBUG)
		return mw_debug_free(span, mw_span_index(span, object));
	state = mw_port_pin();
	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_sweep(span);
	wrong = mw_free_in(span, object);
	mw_port_unpin(state);
	return wrong;
}

MW_NOINLINE void mw_free_slow(void *object, struct mw_cache *cache, size_t size)
{
	struct mw_span *span;
	enum mw_misuse wrong;

	if (!object || object == mw_zero_object)
		return;
	span = mw_span_of(object);
	if (!span) {
		mw_free_strange(object, cache, size);
		return;
	}
	wrong = mw_free_judge(span, object, cache, size);
	if (wrong == MW_MISUSE_NONE)
		wrong = mw_free_object(span, object);
	if (mw_unlikely(wrong != MW_MISUSE_NONE))
		mw_free_report(wrong, span, object, cache, size);
}
