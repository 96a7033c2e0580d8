// SPDX-License-Identifier: MIT
/*
 * Objects with another size. A small one stays where it is exactly if its place has the size that a new
 * one would get, so that mw_free_sized() with the new size is right. A large one takes the pages behind
 * it if they are free, and gives back those that it does not need any more.
 */
#include "inside.h"

/*
 * The alignment that the object may have been asked with, 0: none. Not what its address happens to
 * have, which would make objects grow for nothing.
 */
static size_t mw_span_align(const struct mw_span *span)
{
	size_t lowest = span->stride & (0 - span->stride);

	if (!span->cache)
		return span->align ? (size_t)1 << span->align : 0;
	if (span->cache->policy == MW_POLICY_HAND)
		return 0;
	return mw_min(lowest, MW_PAGE_SIZE);
}

/* The size that mw_alloc_at() would give for @size and @align; 0: more than a class. */
static size_t mw_size_given(size_t size, size_t align)
{
	if (size > MW_SMALL_MAX || align > MW_PAGE_SIZE)
		return 0;
	if (align > 8)
		return mw_aligned_size(size, align);
	return mw_size_roundup(size);
}

static mw_flags_t mw_span_policy_flags(const struct mw_span *span)
{
	if (span->flags & MW_SPAN_COLLECTED)
		return span->flags & MW_SPAN_POINTERS ? MW_COLLECTED : MW_NOSCAN;
	return span->flags & MW_SPAN_POINTERS ? MW_POINTERS : 0;
}

static bool mw_realloc_stays(const struct mw_span *span, size_t size, size_t align)
{
	if (!span->cache)
		return mw_round_up(size, MW_PAGE_SIZE) == span->size && size > MW_SMALL_MAX;
	if (!span->cache->builtin)
		return size <= span->size;
	return mw_size_given(size, align) == span->size;
}

/* The slot of a size class; its number is that of its cache. */
static struct mw_slot *mw_slot_of_size(struct mw_cpu *cpu, size_t size)
{
	return size <= MW_FINE_MAX ? cpu->fine[(size + 7) / 8]
				   : cpu->slot[mw_class_of(&mw_object.classes, size)];
}

/* Copied with the CPU pinned, at most: hardly longer than the rest of it takes. */
#define MW_COPY_PINNED 512

/* @object is a live one of a size class without an alignment, in a span that this CPU may free into. Pinned. */
static bool mw_realloc_is_near(const struct mw_span *span, const void *object, size_t *index)
{
	return mw_span_owned_by(span, mw_port_cpu()) && mw_span_has(span, object, index) &&
	       mw_span_live(span, *index) && span->cache->id < MW_MAX_CLASSES;
}

/* The object of the other size; @object itself if it has it; or NULL. Pinned. */
static inline void *mw_realloc_take(struct mw_span *span, void *object, size_t size)
{
	struct mw_slot *slot = mw_slot_of_size(mw_cpu_fast(), size);
	void *moved = slot->cache == span->cache ? object : mw_slot_take(slot);

	return mw_likely(moved) ? moved : mw_slot_more(slot);
}

void *mw_realloc_near(void *object, size_t size)
{
	unsigned long state = mw_port_pin();
	struct mw_span *span = mw_span_fast(object);
	size_t index, bytes = 0;
	void *moved = NULL;

	if (mw_likely(mw_realloc_is_near(span, object, &index))) {
		moved = mw_realloc_take(span, object, size);
		bytes = mw_min(size, span->size);
		if (mw_likely(moved && moved != object && bytes <= MW_COPY_PINNED)) {
			__builtin_memcpy(moved, object, bytes);
			mw_span_set_free(span, index);
			object = moved;
		}
	}
	mw_port_unpin(state);
	if (moved && moved != object) {
		__builtin_memcpy(moved, object, bytes);
		mw_free(object);
	}
	return mw_asked(moved, size);
}

/*
 * The object has @size bytes from now on, of which the first @keeps are what they were. With MW_ZERO all behind
 * them is zero: nobody knows what was asked for before, so what a later call adds has to be zero now.
 */
static void *mw_resized(void *object, size_t size, size_t keeps, mw_flags_t flags)
{
	if (flags & MW_ZERO)
		__builtin_memset((char *)object + keeps, 0, mw_usable_size(object) - keeps);
	return mw_asked(object, size);
}

/* What is zeroed behind a constructed object's new end would be missing in the next one that has the place. */
static MW_NOINLINE bool mw_realloc_refuses(const struct mw_cache *cache, const void *object,
					   mw_flags_t flags, uintptr_t site)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.text = "a constructed object cannot be resized zeroed",
		.address = object,
		.object = object,
		.here.pcs[0] = site,
	};

	if (!(flags & MW_ZERO) || !cache || !cache->construct)
		return false;
	report.size = cache->size;
	report.cache = cache->name;
	mw_misuse(&report);
	return true;
}

/*
 * Is it where MW_BELOW_* want it? A region is on one side of each of their limits, and so is all
 * that grows in it.
 */
static bool mw_realloc_zone_fits(const void *object, mw_flags_t flags)
{
	if (!(flags & MW_ZONE_FLAGS))
		return true;
	return mw_phys(object) < UINT64_C(1) << (flags & MW_BELOW_16M ? 24 : 32);
}

static void *mw_realloc_at(void *object, size_t size, mw_flags_t flags, uintptr_t site)
{
	struct mw_span *span = mw_span_of(object);
	size_t had = mw_usable_size(object), keeps = mw_min(size, had), align;
	void *moved;

	if (!had) {
		(void)mw_free_slow(object, NULL, site);
		return NULL;
	}
	if (mw_realloc_refuses(span->cache, object, flags, site))
		return NULL;
	align = mw_span_align(span);
	/* Whose the object is does not change. */
	flags &= ~(mw_flags_t)MW_POLICY_FLAGS;
	if (mw_realloc_zone_fits(object, flags) &&
	    (mw_realloc_stays(span, size, align) ||
	     (!span->cache && mw_large_resize(span, size, flags)))) {
		if (!span->cache)
			span->asked = size;
		return mw_resized(object, size, keeps, flags);
	}
	/* What had a place of its own keeps having one, however small: it is not tiny. */
	if (mw_is_noscan(mw_policy_of(mw_span_policy_flags(span))) && size < MW_TINY_BLOCK)
		align = mw_max(align, MW_TINY_BLOCK);
	moved = mw_alloc_at(size, align, (flags & ~MW_ZERO) | mw_span_policy_flags(span), site);
	if (!moved)
		return NULL;
	__builtin_memcpy(moved, object, keeps);
	moved = mw_resized(moved, size, keeps, flags);
	/* An object with records may not be free to go. */
	if (mw_likely(!__atomic_load_n(&span->records, __ATOMIC_RELAXED))) {
		mw_free(object);
	} else if (!mw_free_slow(object, NULL, site)) {
		mw_free(moved);
		return NULL;
	}
	return moved;
}

void *mw_realloc(void *object, size_t size, mw_flags_t flags)
{
	if (!object || object == mw_zero_object)
		return mw_alloc_at(size, 0, flags, MW_SITE);
	if (!size) {
		(void)mw_free_slow(object, NULL, MW_SITE);
		return mw_zero_object;
	}
	if (mw_likely(!flags && size <= MW_SMALL_MAX)) {
		void *near = mw_realloc_near(object, size);

		if (mw_likely(near))
			return near;
	}
	return mw_realloc_at(object, size, flags, MW_SITE);
}

void *mw_realloc_array(void *object, size_t count, size_t size, mw_flags_t flags)
{
	size_t bytes;

	if (mw_mul_overflows(count, size, &bytes))
		return NULL;
	if (!object || object == mw_zero_object)
		return mw_alloc_at(bytes, 0, flags, MW_SITE);
	if (!bytes) {
		(void)mw_free_slow(object, NULL, MW_SITE);
		return mw_zero_object;
	}
	return mw_realloc_at(object, bytes, flags, MW_SITE);
}
