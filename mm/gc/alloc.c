/* SPDX-License-Identifier: MIT */
/*
 * Objects of a type.
 *
 * A type has a cache of its own, and one for each size class in which arrays of it, or objects with a
 * flexible array, were ever asked for: so what a span holds is known without a word in the object.
 * Objects of more than MW_SMALL_MAX bytes have a span of their own, which notes the type.
 * Types without pointers need none of this.
 */
#include "gc.h"
#include "../object/ahead.h"

#if MW_GC

static struct mw_cache *cache_new(struct mw_type *type, size_t size)
{
	struct mw_cache_want want = {
		.name = type->name,
		.size = size,
		.flags = MW_COLLECTED,
		.type = type,
	};

	/* What a type's objects needed once is there for others after a collection. */
	return mw_cache_make(&want, false, 0);
}

/* Whoever stores first wins; the other cache is empty, and is taken back. */
static struct mw_cache *own_cache(struct mw_type *type)
{
	struct mw_cache *cache = atomic_load_explicit(&type->cache, memory_order_acquire);
	struct mw_cache *none = NULL;

	if (mw_likely(cache))
		return cache;
	cache = cache_new(type, type->size);
	if (!cache || atomic_compare_exchange_strong_explicit(
			      &type->cache, &none, cache, memory_order_acq_rel, memory_order_acquire))
		return cache;
	mw_cache_destroy(cache);
	return none;
}

static struct mw_cache *array_find(struct mw_type *type, size_t size)
{
	struct mw_type_array *array = atomic_load_explicit(&type->arrays, memory_order_acquire);

	while (array && array->size != size)
		array = array->next;
	return array ? array->cache : NULL;
}

/* Two CPUs may both make one: then there are two caches of that size, and the newer one is used. */
static struct mw_cache *array_cache(struct mw_type *type, size_t size)
{
	struct mw_cache *cache = array_find(type, size);
	struct mw_type_array *array;

	if (mw_likely(cache))
		return cache;
	array = mw_fixed_alloc(&mw_gc.array_records);
	if (!array)
		return NULL;
	array->size = size;
	array->cache = cache_new(type, size);
	if (!array->cache) {
		mw_fixed_free(&mw_gc.array_records, array);
		return NULL;
	}
	array->next = atomic_load_explicit(&type->arrays, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&type->arrays, &array->next, array,
						      memory_order_release, memory_order_relaxed))
		;
	return array->cache;
}

/* A type's first object needs a layout and a cache, which may wait: interrupts get those that are. */
static bool prepared(struct mw_type *type, mw_flags_t flags, const struct mw_layout **layout)
{
	mw_gc_ready();
	*layout = atomic_load_explicit(&type->layout, memory_order_acquire);
	if (!*layout && !(flags & MW_ATOMIC))
		*layout = mw_layout_of(type);
	return *layout != NULL;
}

static void *new_large(struct mw_type *type, size_t bytes, mw_flags_t flags, uintptr_t site)
{
	void *object = mw_alloc_at(bytes, 0, flags | MW_COLLECTED | MW_ZERO, site);
	struct mw_span *span = object ? mw_span_of(object) : NULL;

	/* Until this store the object is scanned as if nothing were known of it: it is all zero. */
	if (span)
		span->type = type;
	return object;
}

static void *new_bytes(struct mw_type *type, size_t bytes, mw_flags_t flags, uintptr_t site)
{
	const struct mw_layout *layout;
	struct mw_cache *cache;
	size_t size;

	flags &= MW_HOW_FLAGS;
	if (!prepared(type, flags, &layout))
		return NULL;
	if (layout->plain)
		return mw_alloc_at(bytes, 0, flags | MW_NOSCAN | MW_ZERO, site);
	size = mw_size_roundup(bytes);
	if (size > MW_SMALL_MAX)
		return new_large(type, bytes, flags, site);
	cache = array_find(type, size);
	if (!cache && !(flags & MW_ATOMIC))
		cache = array_cache(type, size);
	return cache ? mw_cache_alloc_from(cache, flags | MW_ZERO, site) : NULL;
}

/* The type has no cache: it was never asked for, or its objects have none. */
static __attribute__((noinline)) void *new_first(struct mw_type *type, mw_flags_t flags,
						 uintptr_t site)
{
	const struct mw_layout *layout;
	struct mw_cache *cache;

	flags &= MW_HOW_FLAGS;
	if (!prepared(type, flags, &layout))
		return NULL;
	if (layout->plain || type->size > MW_SMALL_MAX)
		return new_bytes(type, type->size, flags, site);
	if (flags & MW_ATOMIC)
		return NULL;
	cache = own_cache(type);
	return cache ? mw_cache_alloc_from(cache, flags | MW_ZERO, site) : NULL;
}

/* Nothing is zeroed ahead. */
static __attribute__((noinline)) void *new_more(struct mw_slot *slot, mw_flags_t flags,
						unsigned long state, struct mw_cache *cache,
						uintptr_t site)
{
	void *object = mw_slot_more_ahead(slot, state);

	return mw_likely(object) ? object : mw_cache_alloc_from(cache, flags & MW_HOW_FLAGS, site);
}

/* What is seldom is in functions of its own, and flags are looked at there: so this one saves no registers. */
void *mw_new(struct mw_type *type, mw_flags_t flags)
{
	struct mw_cache *cache = atomic_load_explicit(&type->cache, memory_order_acquire);
	struct mw_slot *slot;
	unsigned long state;
	void *object;

	if (mw_unlikely(!cache))
		return new_first(type, flags, MW_SITE);
	state = mw_port_pin();
	slot = mw_cpu_fast()->slot[cache->id];
	object = mw_slot_take_ahead(slot);
	if (mw_unlikely(!object))
		return new_more(slot, flags, state, cache, MW_SITE);
	mw_port_unpin(state);
	return object;
}

/* Its layout would be taken for that of one object, whose flexible array is all the others. */
static __attribute__((noinline)) bool refuses_arrays(const struct mw_type *type)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.text = "a type with a flexible array has no arrays",
		.address = type,
	};

	if (!mw_type_is_flexible(type))
		return false;
	mw_misuse(&report);
	return true;
}

void *mw_new_array(struct mw_type *type, size_t count, mw_flags_t flags)
{
	size_t bytes;

	if (refuses_arrays(type))
		return NULL;
	if (mw_mul_overflows(type->size, count, &bytes))
		return NULL;
	return bytes ? new_bytes(type, bytes, flags, MW_SITE) : mw_alloc(0, flags);
}

void *mw_new_flex(struct mw_type *type, size_t bytes, mw_flags_t flags)
{
	if (bytes > SIZE_MAX - type->size)
		return NULL;
	return new_bytes(type, type->size + bytes, flags, MW_SITE);
}

bool mw_type_ready(struct mw_type *type)
{
	const struct mw_layout *layout;

	if (!prepared(type, MW_NORMAL, &layout))
		return false;
	if (layout->plain || type->size > MW_SMALL_MAX)
		return true;
	return own_cache(type) != NULL;
}

bool mw_gc_is_object(const void *word)
{
	struct mw_span *span = mw_span_of(word);
	size_t index;

	if (!span || !(mw_span_flags(span) & MW_SPAN_COLLECTED))
		return false;
	index = mw_span_index(span, word);
	return index < span->count && mw_span_live(span, index);
}

#endif
