// SPDX-License-Identifier: MIT
/*
 * Records of one size.
 *
 * Chunks come from mw_persist() and grow with their allocator: each is a quarter of what there is,
 * from four records up to MW_FIXED_CHUNK. So at most a fifth of an allocator is ahead of its need, a
 * heap of a megabyte does not pay 16 KiB for its first span, and a walk over a large one visits few
 * chunks.
 *
 * A chunk is made without the lock, and joins under it when the one before has no fresh record left; these
 * become free before, a few at a time, if two CPUs grow at once or a stock is wanted.
 *
 * Invariants, under the lock:
 *   spare == length of free + (fresh_end - fresh) / size
 *   in_use + spare == sum of chunk->records
 *   of all chunks but the newest every record is below chunk->used
 * Without the lock: records below chunk->used are initialised and stay records.
 */
#include "fail.h"
#include "meta.h"

/* Fresh records that become free with the lock held once. */
#define MW_FIXED_STEP 64u

/* Relaxed: a reader without a lock may look at the first word of a record that is being freed. */
static void *mw_link_get(void *record)
{
	return atomic_load_explicit((void *_Atomic *)record, memory_order_relaxed);
}

static void mw_link_set(void *record, void *next)
{
	atomic_store_explicit((void *_Atomic *)record, next, memory_order_relaxed);
}

static size_t mw_get(const mw_atomic_t *counter)
{
	return atomic_load_explicit((mw_atomic_t *)counter, memory_order_relaxed);
}

static void mw_add(mw_atomic_t *counter, size_t n)
{
	atomic_store_explicit(counter, mw_get(counter) + n, memory_order_relaxed);
}

static size_t mw_fixed_align(const struct mw_fixed *fixed)
{
	return fixed->size % MW_CACHE_LINE ? 16 : MW_CACHE_LINE;
}

void mw_fixed_init(struct mw_fixed *fixed, size_t size, enum mw_use use, void (*first)(void *record))
{
	mw_lock_init(&fixed->lock, MW_RANK_META);
	fixed->use = use;
	fixed->size = mw_round_up(mw_max(size, 1), 8);
	fixed->first = first;
	fixed->free = NULL;
	fixed->fresh = fixed->fresh_end = NULL;
	atomic_init(&fixed->chunks, NULL);
	atomic_init(&fixed->in_use, 0);
	atomic_init(&fixed->spare, 0);
}

static void *mw_fixed_take_fresh(struct mw_fixed *fixed)
{
	struct mw_fixed_chunk *chunk = atomic_load_explicit(&fixed->chunks, memory_order_relaxed);
	char *record = fixed->fresh;

	fixed->fresh += fixed->size;
	if (fixed->first)
		fixed->first(record);
	/* Pairs with the load in mw_fixed_next(): whoever sees the count sees the record. */
	atomic_store_explicit(&chunk->used, mw_get(&chunk->used) + 1, memory_order_release);
	return record;
}

static void mw_fixed_put(struct mw_fixed *fixed, void *record)
{
	mw_link_set(record, fixed->free);
	fixed->free = record;
}

/* A chunk of @records, or failing that of one. */
static struct mw_fixed_chunk *mw_fixed_carve(struct mw_fixed *fixed, size_t records)
{
	size_t align = mw_fixed_align(fixed),
	       head = mw_round_up(sizeof(struct mw_fixed_chunk), align);
	struct mw_fixed_chunk *chunk = NULL;

	for (; records; records = records > 1 ? 1 : 0) {
		chunk = mw_persist(head + records * fixed->size, align, fixed->use);
		if (chunk)
			break;
	}
	if (!chunk)
		return NULL;
	chunk->base = (char *)chunk + head;
	chunk->records = records;
	return chunk;
}

/* A record that is there. */
static void *mw_fixed_take(struct mw_fixed *fixed)
{
	unsigned long state = mw_lock(&fixed->lock);
	void *record = NULL;

	if (fixed->free) {
		record = fixed->free;
		fixed->free = mw_link_get(record);
	} else if (fixed->fresh != fixed->fresh_end) {
		record = mw_fixed_take_fresh(fixed);
	}
	if (record) {
		mw_add(&fixed->in_use, 1);
		mw_add(&fixed->spare, (size_t)-1);
	}
	mw_unlock(&fixed->lock, state);
	return record;
}

/* Some of what is fresh becomes free; if nothing is, @chunk joins. Return: whether it did. */
static bool mw_fixed_join(struct mw_fixed *fixed, struct mw_fixed_chunk *chunk)
{
	unsigned long state = mw_lock(&fixed->lock);
	bool joins;

	for (unsigned int n = 0; n < MW_FIXED_STEP && fixed->fresh != fixed->fresh_end; n++)
		mw_fixed_put(fixed, mw_fixed_take_fresh(fixed));
	joins = fixed->fresh == fixed->fresh_end;
	if (joins) {
		fixed->fresh = chunk->base;
		fixed->fresh_end = chunk->base + chunk->records * fixed->size;
		mw_add(&fixed->spare, chunk->records);
		chunk->next = atomic_load_explicit(&fixed->chunks, memory_order_relaxed);
		atomic_store_explicit(&fixed->chunks, chunk, memory_order_release);
	}
	mw_unlock(&fixed->lock, state);
	return joins;
}

/* One more chunk with room for @least records if possible. The lock is not held, as it is made zero first. */
static bool mw_fixed_grow(struct mw_fixed *fixed, size_t least)
{
	size_t have = (mw_get(&fixed->in_use) + mw_get(&fixed->spare)) / 4;
	size_t most = mw_max((MW_FIXED_CHUNK - MW_CACHE_LINE) / fixed->size, 1);
	struct mw_fixed_chunk *chunk;

	chunk = mw_fixed_carve(fixed, mw_min(mw_max(mw_max(have, least), 4), most));
	if (!chunk)
		return false;
	while (!mw_fixed_join(fixed, chunk))
		;
	return true;
}

void *mw_fixed_alloc(struct mw_fixed *fixed)
{
	void *record;

	if (mw_should_fail(fixed->size, MW_FAIL_OWN, 0))
		return NULL;
	do
		record = mw_fixed_take(fixed);
	while (!record && mw_fixed_grow(fixed, 1));
	return record;
}

void mw_fixed_free(struct mw_fixed *fixed, void *record)
{
	unsigned long state = mw_lock(&fixed->lock);

	MW_ASSERT(mw_get(&fixed->in_use));
	mw_fixed_put(fixed, record);
	mw_add(&fixed->in_use, (size_t)-1);
	mw_add(&fixed->spare, 1);
	mw_unlock(&fixed->lock, state);
}

bool mw_fixed_stock(struct mw_fixed *fixed, size_t n)
{
	size_t spare;

	while ((spare = mw_get(&fixed->spare)) < n) {
		if (!mw_fixed_grow(fixed, n - spare))
			return false;
	}
	return true;
}

void *mw_fixed_next_chunk(struct mw_fixed *fixed, struct mw_fixed_cursor *cursor)
{
	if (!cursor->chunk) {
		cursor->chunk = atomic_load_explicit(&fixed->chunks, memory_order_acquire);
		cursor->index = 0;
	}
	while (cursor->chunk) {
		struct mw_fixed_chunk *chunk = cursor->chunk;

		if (cursor->index < atomic_load_explicit(&chunk->used, memory_order_acquire))
			return chunk->base + cursor->index++ * fixed->size;
		cursor->chunk = chunk->next;
		cursor->index = 0;
	}
	return NULL;
}

/* The chunk that @record is a record of, or NULL. */
static const struct mw_fixed_chunk *mw_fixed_home(const struct mw_fixed *fixed, const void *record)
{
	const struct mw_fixed_chunk *chunk =
		atomic_load_explicit(&((struct mw_fixed *)fixed)->chunks, memory_order_relaxed);

	for (; chunk; chunk = chunk->next) {
		uintptr_t offset = (uintptr_t)record - (uintptr_t)chunk->base;

		if (offset < mw_get(&chunk->used) * fixed->size)
			return offset % fixed->size ? NULL : chunk;
	}
	return NULL;
}

static bool mw_fixed_check_chunks(const struct mw_fixed *fixed)
{
	const struct mw_fixed_chunk *newest =
		atomic_load_explicit(&((struct mw_fixed *)fixed)->chunks, memory_order_relaxed);
	size_t records = 0, align = mw_fixed_align(fixed);

	for (const struct mw_fixed_chunk *chunk = newest; chunk; chunk = chunk->next) {
		MW_CHECK(chunk, (uintptr_t)chunk->base % align == 0);
		MW_CHECK(chunk, mw_get(&chunk->used) <= chunk->records);
		MW_CHECK(chunk, chunk == newest || mw_get(&chunk->used) == chunk->records);
		records += chunk->records;
	}
	MW_CHECK(fixed, records == mw_get(&fixed->in_use) + mw_get(&fixed->spare));
	if (newest)
		MW_CHECK(newest, fixed->fresh == newest->base + mw_get(&newest->used) * fixed->size);
	return true;
}

static bool mw_fixed_check_free(const struct mw_fixed *fixed)
{
	size_t fresh = (size_t)(fixed->fresh_end - fixed->fresh) / fixed->size;
	size_t n = fresh, spare = mw_get(&fixed->spare);

	for (void *record = fixed->free; record; record = mw_link_get(record)) {
		MW_CHECK(record, mw_fixed_home(fixed, record) != NULL);
		MW_CHECK(record, ++n <= spare); /* a ring, if not */
	}
	MW_CHECK(fixed, n == spare);
	return true;
}

bool mw_fixed_check(struct mw_fixed *fixed)
{
	unsigned long state = mw_lock(&fixed->lock);
	bool ok;

	ok = fixed->size && fixed->size % 8 == 0 && mw_fixed_check_chunks(fixed) &&
	     mw_fixed_check_free(fixed);
	mw_unlock(&fixed->lock, state);
	return ok;
}
