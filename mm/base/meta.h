/* SPDX-License-Identifier: MIT */
/*
 * Memory for Marrow's own records, outside of all objects and free pages.
 *
 * mw_persist() carves what is never given back. mw_fixed_* hands out records of one size; a record
 * that was once of a kind stays of that kind for ever, so a reader without a lock that holds an old
 * pointer still reads a record of that kind. Both charge their bytes to a use.
 */
#ifndef MW_BASE_META_H
#define MW_BASE_META_H

#include "lock.h"

/* What bytes of metadata are used for. */
enum mw_use {
	MW_USE_MAP, /* page map */
	MW_USE_RUNS, /* free runs and their index */
	MW_USE_SPANS, /* span descriptors with their bitmaps */
	MW_USE_CACHES, /* caches and CPU caches */
	MW_USE_RECORDS, /* special records */
	MW_USE_COLLECTOR,
	MW_USE_WATCH, /* profile buckets, trace rings */
	MW_USE_OTHER,
	MW_NR_USES,
};

/*
 * Page-aligned memory, reading as zero, never given back. Implemented by mm/page; takes no lock of
 * a rank before MW_RANK_PERSIST, so that the page heap itself may ask. NULL: there is none.
 */
void *mw_up_meta_pages(size_t bytes);

/* Zeroed, aligned to 8 at least; NULL: out of memory. Pinned or not, any lock before MW_RANK_PERSIST held. */
void *mw_persist(size_t size, size_t align, enum mw_use use);

/* Bytes handed out for @use, and bytes carved but not handed out yet. */
size_t mw_persist_bytes(enum mw_use use);
size_t mw_persist_spare(void);

#define MW_FIXED_CHUNK (16u << 10) /* the largest; the first ones are smaller */

struct mw_fixed_chunk {
	struct mw_fixed_chunk *next; /* older; never changes once the chunk can be seen */
	char *base; /* first record */
	size_t records;
	mw_atomic_t used; /* records handed out at least once, or put on the free list */
};

struct mw_fixed {
	struct mw_lock lock; /* MW_RANK_META */
	enum mw_use use;
	size_t size; /* of a record, a multiple of 8 */
	void (*first)(void *record); /* under the lock, before a record can be seen first; or NULL */
	void *free; /* records given back, linked through their first word by relaxed stores */
	char *fresh, *fresh_end; /* never handed out */
	struct mw_fixed_chunk *_Atomic chunks; /* newest first; only grows */
	mw_atomic_t in_use; /* records; may be read without the lock */
	mw_atomic_t spare; /* records on @free and from @fresh to @fresh_end */
};

void mw_fixed_init(struct mw_fixed *fixed, size_t size, enum mw_use use, void (*first)(void *record));
/*
 * Not zeroed on reuse (zero the first time); aligned to 8, to 16 or to a cache line if the size is a
 * multiple of that. NULL: out of memory.
 */
void *mw_fixed_alloc(struct mw_fixed *fixed);
void mw_fixed_free(struct mw_fixed *fixed, void *record);
/* Make sure that @n allocations will succeed without new memory, if no one else takes them. */
bool mw_fixed_stock(struct mw_fixed *fixed, size_t n);
bool mw_fixed_check(struct mw_fixed *fixed);

/* Of records that are in use. */
static inline size_t mw_fixed_bytes(const struct mw_fixed *fixed)
{
	return atomic_load_explicit((mw_atomic_t *)&fixed->in_use, memory_order_relaxed) *
	       fixed->size;
}

/*
 * Every record that was ever handed out, newest chunk first, in use or not; a record tells its
 * state itself. Without a lock: records handed out meanwhile may or may not be seen.
 * Start with *cursor zeroed; NULL: the end.
 */
struct mw_fixed_cursor {
	struct mw_fixed_chunk *chunk;
	size_t index;
};
void *mw_fixed_next_chunk(struct mw_fixed *fixed, struct mw_fixed_cursor *cursor);

static inline void *mw_fixed_next(struct mw_fixed *fixed, struct mw_fixed_cursor *cursor)
{
	struct mw_fixed_chunk *chunk = cursor->chunk;

	if (mw_likely(chunk &&
		      cursor->index < atomic_load_explicit(&chunk->used, memory_order_acquire)))
		return chunk->base + cursor->index++ * fixed->size;
	return mw_fixed_next_chunk(fixed, cursor);
}

/* State of the room; mw_base_reset() makes it as new. */
void mw_base_reset(void);

#endif
