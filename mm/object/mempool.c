// SPDX-License-Identifier: MIT
/* Elements set aside, see <marrow/mempool.h>. Elements in the pool: elements[0] to elements[held - 1]. */
#include <marrow/mempool.h>
#include "../base/lock.h"
#include "../base/report.h"

struct mw_mempool {
	struct mw_lock lock; /* MW_RANK_LEAF; guards the rest but alloc, free and data */
	void **elements; /* room for @min */
	size_t min, held;
	mempool_alloc_t *alloc;
	mempool_free_t *free;
	void *data;
};

/* Return: false if the pool is full. */
static bool give_element(struct mw_mempool *pool, void *element)
{
	unsigned long state = mw_lock(&pool->lock);
	bool room = pool->held < pool->min;

	if (room)
		pool->elements[pool->held++] = element;
	mw_unlock(&pool->lock, state);
	return room;
}

/* Return: NULL if the pool holds at most @but elements. */
static void *take(struct mw_mempool *pool, size_t but)
{
	unsigned long state = mw_lock(&pool->lock);
	void *element = pool->held > but ? pool->elements[--pool->held] : NULL;

	mw_unlock(&pool->lock, state);
	return element;
}

static bool fill(struct mw_mempool *pool)
{
	for (;;) {
		void *element;

		if (mw_mempool_in_reserve(pool) >= pool->min)
			return true;
		element = pool->alloc(MW_NORMAL, pool->data);
		if (!element)
			return false;
		if (!give_element(pool, element))
			pool->free(element, pool->data);
	}
}

static void drain_to(struct mw_mempool *pool, size_t to)
{
	void *element;

	while ((element = take(pool, to)))
		pool->free(element, pool->data);
}

struct mw_mempool *mw_mempool_create(size_t min, mempool_alloc_t *alloc, mempool_free_t *free,
				     void *data)
{
	struct mw_mempool *pool;

	if (!min)
		return NULL;
	pool = mw_alloc(sizeof(*pool), MW_ZERO | MW_POINTERS);
	if (!pool)
		return NULL;
	mw_lock_init(&pool->lock, MW_RANK_LEAF);
	pool->min = min;
	pool->alloc = alloc;
	pool->free = free;
	pool->data = data;
	pool->elements = mw_alloc_array(min, sizeof(void *), MW_POINTERS);
	if (pool->elements && fill(pool))
		return pool;
	mw_mempool_destroy(pool);
	return NULL;
}

void mw_mempool_destroy(struct mw_mempool *pool)
{
	if (!pool)
		return;
	drain_to(pool, 0);
	mw_free(pool->elements);
	mw_free(pool);
}

/* Return: false if nobody knows how long @element is: reported. */
static bool zero(void *element)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.text = "elements of the pool cannot be zeroed: their size is not known",
		.address = element,
	};
	size_t size = mw_usable_size(element);
	struct mw_place place;

	if (!size && mw_lookup(element, &place) && place.kind == MW_KIND_PAGES &&
	    place.base == element)
		size = place.size;
	if (size) {
		__builtin_memset(element, 0, size);
		return true;
	}
	mw_misuse(&report);
	return false;
}

static void *take_as(struct mw_mempool *pool, mw_flags_t flags)
{
	void *element = take(pool, 0);

	if (!element || !(flags & MW_ZERO) || zero(element))
		return element;
	mw_mempool_free(pool, element);
	return NULL;
}

void *mw_mempool_alloc(struct mw_mempool *pool, mw_flags_t flags)
{
	void *element = pool->alloc(flags | MW_ATOMIC, pool->data);

	if (mw_likely(element))
		return element;
	element = take_as(pool, flags);
	if (element || (flags & MW_ATOMIC))
		return element;
	return pool->alloc(flags, pool->data);
}

void mw_mempool_free(struct mw_mempool *pool, void *element)
{
	if (element && !give_element(pool, element))
		pool->free(element, pool->data);
}

size_t mw_mempool_in_reserve(struct mw_mempool *pool)
{
	unsigned long state = mw_lock(&pool->lock);
	size_t held = pool->held;

	mw_unlock(&pool->lock, state);
	return held;
}

/* Return: the array before, or @elements if nothing came of it. */
static void **exchange(struct mw_mempool *pool, void **elements, size_t min)
{
	unsigned long state = mw_lock(&pool->lock);
	void **old = pool->elements;

	/* Elements may have come back since the pool was drained: then they do not fit. */
	if (pool->held > min) {
		mw_unlock(&pool->lock, state);
		return elements;
	}
	for (size_t i = 0; i < pool->held; i++)
		elements[i] = old[i];
	pool->elements = elements;
	pool->min = min;
	mw_unlock(&pool->lock, state);
	return old;
}

/* Return: the array before. @elements has room for @min. */
static void **change(struct mw_mempool *pool, void **elements, size_t min)
{
	void **old;

	do {
		drain_to(pool, min);
		old = exchange(pool, elements, min);
	} while (old == elements);
	return old;
}

bool mw_mempool_resize(struct mw_mempool *pool, size_t min)
{
	size_t before = pool->min;
	void **elements = min ? mw_alloc_array(min, sizeof(void *), MW_POINTERS) : NULL;
	void **old;
	bool filled;

	if (!elements)
		return false;
	old = change(pool, elements, min);
	filled = fill(pool);
	if (!filled)
		old = change(pool, old, before);
	mw_free(old);
	return filled;
}
