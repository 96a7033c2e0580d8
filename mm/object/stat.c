// SPDX-License-Identifier: MIT
/*
 * Counting what is there, from the bitmaps of the spans, so that allocating and freeing count next
 * to nothing. Exact when nobody allocates meanwhile.
 */
#include <marrow/watch.h>
#include "inside.h"

/* The descriptor may become another span's between two of these looks; then the map does not lead back to it. */
bool mw_span_readable(const struct mw_span *span)
{
	return atomic_load_explicit(&((struct mw_span *)span)->in_use, memory_order_acquire) &&
	       mw_owner(span) != MW_OWNER_GONE &&
	       mw_span_of(__atomic_load_n(&span->base, __ATOMIC_RELAXED)) == span;
}

struct mw_span *mw_span_next(struct mw_span_cursor *cursor)
{
	struct mw_span *span;

	do
		span = mw_span_next_raw(cursor);
	while (span && !mw_span_readable(span));
	return span;
}

static void mw_totals_of_spans(struct mw_object_totals *totals)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		size_t live = mw_span_live_count(span);

		totals->live_objects += live;
		totals->live_bytes += live * span->size;
		if (span->flags & MW_SPAN_COLLECTED) {
			totals->collected_objects += live;
			totals->collected_bytes += live * span->size;
		}
		totals->cached_bytes += (span->count - live) * span->stride;
	}
}

size_t mw_object_live_bytes(void)
{
	struct mw_object_totals totals = { 0 };

	mw_totals_of_spans(&totals);
	return totals.live_bytes;
}

/*
 * What another CPU counts, with a plain store: one instruction of the fast paths. A word is read whole, so this is a
 * value that it had; the thread sanitizer need not hear of it.
 */
__attribute__((noinline, no_sanitize("thread"))) static unsigned long
counted(const unsigned long *counter)
{
	return *(const volatile unsigned long *)counter;
}

static void mw_totals_of_cpu(const struct mw_cpu *cpu, struct mw_object_totals *totals)
{
	totals->allocs += counted(&cpu->large_allocs);
	totals->alloc_bytes += (uint64_t)counted(&cpu->large_pages) << MW_PAGE_SHIFT;
	totals->lookups += counted(&cpu->lookups);
	totals->packed += counted(&cpu->tiny.packed);
}

unsigned long mw_cache_allocs(const struct mw_cache *cache, unsigned long *remote)
{
	unsigned int id = mw_cache_id(cache);
	struct mw_lock *lock = (struct mw_lock *)&cache->lock;
	unsigned long allocs, state = mw_lock(lock);

	allocs = cache->allocs;
	*remote = cache->remote_frees;
	mw_unlock(lock, state);
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire);

		const struct mw_slot *slot;

		if (!cpu)
			continue;
		slot = __atomic_load_n(&cpu->slot[id], __ATOMIC_RELAXED);
		allocs += counted(&slot->allocs);
		*remote += counted(&slot->remote_frees);
	}
	return allocs;
}

/* A cache that ends meanwhile may be in it twice, or not at all. */
static void mw_totals_of_gone(struct mw_object_totals *totals)
{
	unsigned long state = mw_lock(&mw_object.lock);

	totals->allocs += mw_object.gone_allocs;
	totals->alloc_bytes += mw_object.gone_bytes;
	totals->remote_frees += mw_object.gone_remote;
	mw_unlock(&mw_object.lock, state);
}

size_t mw_object_records(void)
{
	size_t bytes = mw_fixed_bytes(&mw_object.slots) + mw_fixed_bytes(&mw_object.caches);

	for (unsigned int i = 0; i < MW_MAX_CPUS; i++)
		bytes += mw_object.cpu[i] ? sizeof(struct mw_cpu) : 0;
	return bytes;
}

size_t mw_object_bitmaps(void)
{
	size_t bytes = 0;

	for (unsigned int i = 0; i < MW_LEN(mw_object.bitmaps); i++)
		bytes += mw_fixed_bytes(&mw_object.bitmaps[i]);
	return bytes;
}

void mw_object_totals(struct mw_object_totals *totals)
{
	struct mw_cache_cursor cursor = { 0 };
	struct mw_cache *cache;

	*totals = (struct mw_object_totals){ 0 };
	mw_totals_of_spans(totals);
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire);

		if (cpu)
			mw_totals_of_cpu(cpu, totals);
	}
	while ((cache = mw_cache_next(&cursor))) {
		unsigned long remote, allocs = mw_cache_allocs(cache, &remote);

		totals->allocs += allocs;
		totals->alloc_bytes += (uint64_t)allocs * cache->size;
		totals->remote_frees += remote;
	}
	mw_totals_of_gone(totals);
	totals->frees = totals->allocs - totals->live_objects;
}
