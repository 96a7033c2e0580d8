/* SPDX-License-Identifier: MIT */
/*
 * Elements set aside: an allocation that must go on when memory is out.
 *
 * A pool holds @min elements back. mempool_alloc() first asks the allocator behind it and takes from
 * the pool when that has none; mempool_free() fills the pool before it really frees. So whoever
 * holds at most @min elements at once always gets the next one. Nothing here sleeps: a pool
 * that is used up answers NULL, and the caller tries again when an element has come back.
 */
#ifndef MARROW_MEMPOOL_H
#define MARROW_MEMPOOL_H

#include <marrow/mm.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *mempool_alloc_t(mw_flags_t flags, void *data);
typedef void mempool_free_t(void *element, void *data);
typedef struct mw_mempool mempool_t;

/**
 * mw_mempool_create - a pool with all its elements in it
 * @min: how many elements are held back, from 1
 * @alloc: how to get an element, NULL when there is none; called without a lock
 * @free: how to give one back; called without a lock
 * @data: for both
 *
 * early: yes. interrupt: no. waits: yes. NULL: no memory, or @min is 0.
 */
struct mw_mempool *mw_mempool_create(size_t min, mempool_alloc_t *alloc, mempool_free_t *free,
				     void *data);

/** mw_mempool_destroy - frees the elements in the pool; those outside are the caller's. NULL does nothing. */
void mw_mempool_destroy(struct mw_mempool *pool);

/**
 * mw_mempool_alloc - an element
 * @flags: for the allocator behind; without MW_ATOMIC it is asked twice: at first as if with it, so
 * that nobody waits for memory while the pool has some
 *
 * With MW_ZERO an element of the pool is zeroed, all that may be used of it. So elements must be
 * objects or pages of their own: one that is not stays in the pool, and is reported.
 * interrupt: yes, with MW_ATOMIC. waits: as the allocator behind. NULL: it has none, and the pool
 * is used up.
 */
void *mw_mempool_alloc(struct mw_mempool *pool, mw_flags_t flags);

/** mw_mempool_free - back into the pool if that lacks one. NULL does nothing. interrupt: yes. */
void mw_mempool_free(struct mw_mempool *pool, void *element);

/**
 * mw_mempool_resize - hold back another number of elements
 *
 * One caller at a time; elements may come and go meanwhile.
 * interrupt: no. waits: yes. Return: false if there is no memory for more; the pool is as before.
 */
bool mw_mempool_resize(struct mw_mempool *pool, size_t min);

/** mw_mempool_in_reserve - how many elements the pool holds now. interrupt: yes. */
size_t mw_mempool_in_reserve(struct mw_mempool *pool);

/* ---- the Linux names ---- */

static inline mempool_t *mempool_create(int min, mempool_alloc_t *alloc, mempool_free_t *free,
					void *data)
{
	return min < 1 ? NULL : mw_mempool_create((size_t)min, alloc, free, data);
}

static inline void mempool_destroy(mempool_t *pool)
{
	mw_mempool_destroy(pool);
}

static inline void *mempool_alloc(mempool_t *pool, mw_flags_t flags)
{
	return mw_mempool_alloc(pool, flags);
}

static inline void mempool_free(void *element, mempool_t *pool)
{
	mw_mempool_free(pool, element);
}

/* Return: 0, or -12 as Linux's -ENOMEM. */
static inline int mempool_resize(mempool_t *pool, int min)
{
	return min > 0 && mw_mempool_resize(pool, (size_t)min) ? 0 : -12;
}

static inline void *mempool_alloc_slab(mw_flags_t flags, void *data)
{
	return mw_cache_alloc((struct mw_cache *)data, flags);
}

static inline void mempool_free_slab(void *element, void *data)
{
	mw_cache_free((struct mw_cache *)data, element);
}

static inline void *mempool_kmalloc(mw_flags_t flags, void *data)
{
	return mw_alloc((size_t)(uintptr_t)data, flags);
}

static inline void mempool_kfree(void *element, void *data)
{
	(void)data;
	mw_free(element);
}

#define mempool_create_slab_pool(min, cache)                                                       \
	mempool_create((min), mempool_alloc_slab, mempool_free_slab, (cache))
#define mempool_create_kmalloc_pool(min, size)                                                     \
	mempool_create((min), mempool_kmalloc, mempool_kfree, (void *)(uintptr_t)(size))

#ifdef __cplusplus
}
#endif

#endif
