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
						 struct mw_cache *cache, unsigned long state,
						 uintptr_t site)
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
		(void)mw_free_slow(object, cache, site);
}

/*
 * Pinned from before the span is looked up: a span that this CPU then finds to be its own has been
 * that all the time, since only this CPU can take one or give one up.
 */
void mw_free(void *object)
{
	unsigned long state = mw_port_pin();
	struct mw_span *span = mw_span_fast(object);
	unsigned int owner = mw_span_owner(span);

	if (mw_likely(owner == mw_port_cpu() && mw_span_free_exact(span, object)))
		mw_port_unpin(state);
	else
		mw_free_elsewhere(object, span, NULL, state, owner, MW_SITE);
}

/* Out of line, so that mw_cache_free() has one value less to keep in registers. */
static MW_NOINLINE void mw_free_not_here(void *object, struct mw_span *span, struct mw_cache *cache,
					 unsigned long state, uintptr_t site)
{
	unsigned int owner = mw_span_owner(span);

	if (mw_unlikely(owner == MW_OWNER_DEBUG))
		mw_debug_free_short(object, span, cache, state, site);
	else
		mw_free_elsewhere(object, span, cache, state, owner, site);
}

void mw_cache_free(struct mw_cache *cache, void *object)
{
	unsigned long state = mw_port_pin();
	struct mw_span *span = mw_span_fast(object);

	if (mw_likely(mw_span_cache(span) == cache && mw_span_owned_by(span, mw_port_cpu()) &&
		      mw_span_free_exact(span, object)))
		mw_port_unpin(state);
	else
		mw_free_not_here(object, span, cache, state, MW_SITE);
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

static enum mw_freed mw_free_once(struct mw_span *span, const void *object, uintptr_t site)
{
	unsigned int owner = mw_owner(span);
	unsigned long state;
	enum mw_freed what;

	if (mw_unlikely(span->flags & MW_SPAN_SAFE))
		return mw_safe_hold(span, object);
	if (owner == MW_OWNER_DEBUG)
		return mw_debug_free(span, object, site);
	if (owner == MW_OWNER_LARGE)
		return mw_large_free(span, object);
	state = mw_port_pin();
	what = mw_free_in(span, object);
	mw_port_unpin(state);
	return what;
}

static enum mw_misuse mw_free_object(struct mw_span *span, void *object, uintptr_t site)
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
		switch (mw_free_once(span, object, site)) {
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

static MW_NOINLINE bool mw_free_said(void *object, const struct mw_said *said)
{
	enum mw_misuse wrong;
	struct mw_span *span;

	if (!object)
		return true;
	span = mw_span_of(object);
	if (!mw_free_allowed(span, object, said))
		return false;
	wrong = mw_free_object(span, object, said->site);
	if (mw_unlikely(wrong != MW_MISUSE_NONE))
		mw_free_refused(wrong, span, object, said);
	return wrong == MW_MISUSE_NONE;
}

MW_NOINLINE bool mw_free_slow(void *object, struct mw_cache *cache, uintptr_t site)
{
	const struct mw_said said = { .cache = cache, .site = site };

	return object == mw_zero_object || mw_free_said(object, &said);
}

/* Is that the class of objects of @size bytes? No size is of MW_CLASS_NONE; 0 is of class 0, that no object has. */
static inline bool mw_class_is(unsigned int class, size_t size)
{
	if (mw_likely(size <= MW_FINE_MAX))
		return mw_object.classes.fine[(size + 7) / 8] == class;
	return size <= MW_SMALL_MAX &&
	       mw_object.classes.coarse[(size - MW_FINE_MAX + 127) / 128] == class;
}

/* The size is not one of the span's class: a large object's; one with an alignment, or of a typed cache; wrong. */
static MW_NOINLINE void mw_free_sized_otherwise(void *object, size_t size, struct mw_span *span,
						unsigned long state, uintptr_t site)
{
	unsigned int owner = mw_span_owner(span);

	if (owner == MW_OWNER_LARGE && mw_large_pages(size) == mw_large_pages(span->asked)) {
		mw_free_elsewhere(object, span, NULL, state, owner, site);
	} else {
		const struct mw_said said = { .size = size, .sized = true, .site = site };

		mw_port_unpin(state);
		if (object != mw_zero_object || size)
			(void)mw_free_said(object, &said);
	}
}

/* As mw_free(), after one look at the size. */
void mw_free_sized(void *object, size_t size)
{
	unsigned long state = mw_port_pin();
	struct mw_span *span = mw_span_fast(object);
	unsigned int owner;

	if (mw_unlikely(!mw_class_is(span->class, size))) {
		mw_free_sized_otherwise(object, size, span, state, MW_SITE);
		return;
	}
	owner = mw_span_owner(span);
	if (mw_likely(owner == mw_port_cpu() && mw_span_free_exact(span, object)))
		mw_port_unpin(state);
	else
		mw_free_elsewhere(object, span, NULL, state, owner, MW_SITE);
}
