// SPDX-License-Identifier: MIT
/*
 * Memory that is never given back, and the state of the room.
 *
 * Whole pages come from mm/page, a bite at a time. A bite is an eighth of what was carved so far,
 * from one page up to 64 KiB: what is carved and not used stays near an eighth of what is used, so a
 * heap of a megabyte pays one page, and a large one asks seldom. The rest of a bite that a larger
 * request does not fit into stays as a window for smaller ones.
 */
#include <marrow/mm.h>
#include "fail.h"
#include "state.h"

#define MW_BITE_MAX ((size_t)64 << 10)
#define MW_PERSIST_GRAIN 8 /* bytes; every address and size is a multiple */

struct mw_base mw_base = {
	.persist.lock = MW_LOCK_INIT(MW_RANK_PERSIST),
	.fail.lock = MW_LOCK_INIT(MW_RANK_LEAF),
};

/* For fields written under a lock and read without. */
static void mw_count(mw_atomic_t *counter, size_t bytes)
{
	unsigned long now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + bytes, memory_order_relaxed);
}

static void *mw_window_take(struct mw_window *window, size_t size, size_t align)
{
	uintptr_t at = mw_round_up(window->at, align);

	if (at < window->at || at > window->end || window->end - at < size)
		return NULL;
	window->at = at + size;
	return (void *)at;
}

/* Tightest first would be better packing; the first that fits is nearly that, and is bounded. */
static void *mw_persist_take(struct mw_persist_state *persist, size_t size, size_t align)
{
	for (size_t i = 0; i < MW_PERSIST_WINDOWS; i++) {
		void *at = mw_window_take(&persist->windows[i], size, align);

		if (at)
			return at;
	}
	return NULL;
}

/* Keep @rest: joined to a window that it continues, or in place of the smallest one. */
static void mw_persist_keep(struct mw_persist_state *persist, struct mw_window rest)
{
	struct mw_window *least = &persist->windows[0];

	for (size_t i = 0; i < MW_PERSIST_WINDOWS; i++) {
		struct mw_window *window = &persist->windows[i];

		if (window->end == rest.at && rest.at) {
			window->end = rest.end;
			return;
		}
		if (window->end - window->at < least->end - least->at)
			least = window;
	}
	if (least->end - least->at < rest.end - rest.at)
		*least = rest;
}

/* Pages for at least @need bytes, with as much more as the heap has grown to deserve. */
static void *mw_persist_bite(size_t need, size_t *bytes)
{
	size_t carved = atomic_load_explicit(&mw_base.persist.carved, memory_order_relaxed);
	size_t least = mw_round_up(need, MW_PAGE_SIZE);
	void *pages = NULL;

	*bytes = mw_max(least, mw_round_down(mw_min(carved / 8, MW_BITE_MAX), MW_PAGE_SIZE));
	pages = mw_up_meta_pages(*bytes);
	if (!pages && *bytes > least) {
		*bytes = least;
		pages = mw_up_meta_pages(least);
	}
	return pages;
}

/* No lock of this room is held while mm/page is asked: its own may have the same rank. */
static void *mw_persist_grow(size_t size, size_t align)
{
	struct mw_persist_state *persist = &mw_base.persist;
	size_t bytes, need = align > MW_PAGE_SIZE ? size + align - MW_PAGE_SIZE : size;
	struct mw_window window;
	unsigned long state;
	void *pages, *at;

	pages = mw_persist_bite(need, &bytes);
	if (!pages)
		return NULL;
	window = (struct mw_window){ (uintptr_t)pages, (uintptr_t)pages + bytes };
	state = mw_lock(&persist->lock);
	at = mw_window_take(&window, size, align);
	mw_persist_keep(persist, window);
	mw_count(&persist->carved, bytes);
	mw_unlock(&persist->lock, state);
	return at;
}

void *mw_persist(size_t size, size_t align, enum mw_use use)
{
	struct mw_persist_state *persist = &mw_base.persist;
	unsigned long state;
	void *at;

	MW_DASSERT(mw_is_pow2(align) && use < MW_NR_USES);
	if (!size || size > SIZE_MAX / 4 || align > SIZE_MAX / 4 ||
	    mw_should_fail(size, MW_FAIL_OWN, 0))
		return NULL;
	size = mw_round_up(size, MW_PERSIST_GRAIN);
	align = mw_max(align, MW_PERSIST_GRAIN);
	state = mw_lock(&persist->lock);
	at = mw_persist_take(persist, size, align);
	mw_unlock(&persist->lock, state);
	if (!at)
		at = mw_persist_grow(size, align);
	if (!at)
		return NULL;
	atomic_fetch_add_explicit(&persist->bytes[use], size, memory_order_relaxed);
	return at;
}

size_t mw_persist_bytes(enum mw_use use)
{
	return atomic_load_explicit(&mw_base.persist.bytes[use], memory_order_relaxed);
}

size_t mw_persist_spare(void)
{
	size_t carved = atomic_load_explicit(&mw_base.persist.carved, memory_order_relaxed);
	size_t used = 0;

	for (size_t i = 0; i < MW_NR_USES; i++)
		used += mw_persist_bytes((enum mw_use)i);
	return carved > used ? carved - used : 0;
}

void mw_base_reset(void)
{
	mw_misuse_fn *handler = atomic_load_explicit(&mw_base.on_misuse, memory_order_relaxed);

	atomic_store_explicit(&mw_fail_on, 0, memory_order_relaxed);
	__builtin_memset((void *)&mw_base, 0, sizeof(mw_base));
	mw_lock_init(&mw_base.persist.lock, MW_RANK_PERSIST);
	mw_lock_init(&mw_base.fail.lock, MW_RANK_LEAF);
	atomic_store_explicit(&mw_base.on_misuse, handler, memory_order_relaxed);
}
