// SPDX-License-Identifier: MIT
/*
 * Objects with a span of their own. A CPU keeps a few that were freed, by length, so that the page
 * heap is not asked each time.
 *
 * Nobody owns the span of a live large object, any CPU may free it. span->holder says that it is live, and
 * is changed by an exchange, which settles who was first of two; the free bit follows it. The CPU that
 * took it from what it keeps holds it: see mw_large_free_own().
 */
#include "kept.h"

/* The object is free. Return: its pages are to go back, which takes as long as it is. */
static bool mw_large_end(struct mw_span *span)
{
	mw_set_owner(span, MW_OWNER_GONE);
	mw_freers_gone(span);
	if (mw_unlikely(mw_up_span_left(span)))
		return false;
	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_gone(span);
	return true;
}

/* Not pinned, if it may be long. */
static void mw_large_release(struct mw_span *span)
{
	if (mw_large_end(span))
		mw_span_free(span);
}

void mw_object_end_span(struct mw_span *span)
{
	if (span->cache)
		mw_span_unmake(span);
	else
		mw_large_release(span);
}

/* The bin of a plain span; 0: it is too long to be kept. */
static inline unsigned char mw_stock_kept_in(size_t pages)
{
	return (unsigned char)(pages <= MW_STOCK_LONGEST ? mw_stock_bin(pages) : 0);
}

/* Up to @most pages' worth of kept spans, from bin @first on, into *@chain. Pinned, or the CPU stopped. */
static size_t mw_stock_cut_from(struct mw_cpu *cpu, size_t first, size_t most, struct mw_list **chain)
{
	size_t pages = 0;

	for (size_t i = first; pages < most && i < MW_STOCK_BINS && cpu->stock.pages; i++) {
		struct mw_list **bin = &cpu->stock.bin[i];

		while (pages < most && *bin) {
			struct mw_list *link = *bin;
			struct mw_span *span = mw_container(link, struct mw_span, link);

			*bin = link->next;
			cpu->stock.pages -= span->pages;
			pages += span->pages;
			link->next = *chain;
			*chain = link;
		}
	}
	return pages;
}

size_t mw_stock_cut(struct mw_cpu *cpu, size_t most, struct mw_list **chain)
{
	return mw_stock_cut_from(cpu, 0, most, chain);
}

void mw_stock_free(struct mw_list *chain)
{
	while (chain) {
		struct mw_span *span = mw_container(chain, struct mw_span, link);

		chain = chain->next;
		mw_large_release(span);
	}
}

/* Does this CPU keep spans, none of which was of use since this was asked last? */
static bool mw_stock_is_idle(void)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_begun();
	bool idle = false;

	if (cpu && cpu->stock.pages) {
		unsigned long used = cpu->large_allocs - cpu->stock.misses;

		idle = used == cpu->stock.used;
		cpu->stock.used = used;
	}
	mw_port_unpin(state);
	return idle;
}

/*
 * So many pages are about to be taken. Memory does not grow past what is kept for large objects and was of
 * no use since the last time: as much goes back first, one that is long enough if there is.
 */
void mw_stock_yield(size_t pages)
{
	size_t first = pages < MW_STOCK_LONGEST ? mw_stock_bin(pages) + 1 : 0, given = 0, some;

	if (!mw_stock_is_idle())
		return;
	while (given < pages) {
		unsigned long state = mw_port_pin();
		struct mw_cpu *cpu = mw_cpu_begun();
		struct mw_list *chain = NULL;

		some = cpu ? mw_stock_cut_from(cpu, first, 1, &chain) : 0;
		if (!some && cpu)
			some = mw_stock_cut(cpu, 1, &chain);
		mw_port_unpin(state);
		mw_stock_free(chain);
		if (!some)
			return;
		given += some;
	}
}

static void mw_large_fill(struct mw_span *span, size_t asked, mw_flags_t wanted, size_t align)
{
	static const unsigned char flags[] = { 0, 0, MW_SPAN_POINTERS,
					       MW_SPAN_COLLECTED | MW_SPAN_POINTERS,
					       MW_SPAN_COLLECTED };

	__atomic_store_n(&span->cache, NULL, __ATOMIC_RELAXED);
	span->type = NULL;
	span->size = span->stride = span->pages << MW_PAGE_SHIFT;
	span->count = 1;
	span->magic = 1;
	span->flags = flags[mw_policy_of(wanted)];
	span->where = MW_WHERE_NOWHERE;
	span->align = mw_large_noted(align);
	span->class = MW_CLASS_NONE;
	span->asked = asked;
	span->bin = 0;
	if (!span->flags && align <= MW_PAGE_SIZE && !(wanted & MW_ZONE_FLAGS))
		span->bin = mw_stock_kept_in(span->pages);
	__atomic_store_n(&span->debug, NULL, __ATOMIC_RELAXED);
	mw_list_init(&span->link);
	mw_list_init(&span->owned);
	(void)mw_span_bitmaps(span, mw_span_bitmap_count(span->flags));
	mw_span_slow_frees(span, false);
	mw_set_owner(span, MW_OWNER_GONE);
}

/* It is too long to be kept from now on: no CPU's own free of it will do. Unless it was freed this moment. */
static void mw_large_unhold(struct mw_span *span)
{
	unsigned int holder = atomic_load_explicit(&span->holder, memory_order_relaxed);

	if (holder)
		(void)atomic_compare_exchange_strong_explicit(&span->holder, &holder,
							      MW_HOLDER_NO_CPU, memory_order_relaxed,
							      memory_order_relaxed);
}

/* The object has another length, at once for who looks at it pinned or with the world stopped. */
static void mw_large_set_pages(struct mw_span *span, size_t pages)
{
	unsigned long state = mw_port_pin();

	span->pages = pages;
	span->size = span->stride = pages << MW_PAGE_SHIFT;
	if (span->bin && !mw_stock_kept_in(pages))
		mw_large_unhold(span);
	if (span->bin)
		span->bin = mw_stock_kept_in(pages);
	mw_port_unpin(state);
}

static void mw_large_grew(size_t pages)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_here();

	if (cpu)
		cpu->large_pages += pages;
	mw_port_unpin(state);
}

bool mw_large_resize(struct mw_span *span, size_t size, mw_flags_t flags)
{
	size_t pages = (size + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT, had = span->pages;

	if (size <= MW_SMALL_MAX || size > SIZE_MAX - MW_PAGE_SIZE ||
	    mw_owner(span) != MW_OWNER_LARGE || (span->flags & (MW_SPAN_COLLECTED | MW_SPAN_SAFE)))
		return false;
	if (pages > had) {
		if (!mw_span_extend(span, pages - had, flags & MW_ZERO))
			return false;
		mw_large_set_pages(span, pages);
		mw_large_grew(pages - had);
	} else if (had - pages > had / 8) {
		mw_large_set_pages(span, pages);
		mw_span_trim(span, had - pages);
	}
	return true;
}

/*
 * For all to see; a collector sees it as a whole and somebody's, or not at all: in the page map, which takes
 * as long as it is, it stands as a free object of nobody's span before.
 */
static void *mw_large_show(struct mw_span *span)
{
	unsigned long state;
	void *object;

	mw_span_publish(span);
	state = mw_port_pin();
	object = mw_keep(span->base);
	(void)mw_span_follow(span); /* it is new */
	if (span->flags & MW_SPAN_COLLECTED) {
		mw_up_allocated(span->size);
		mw_up_span_born(span);
	}
	/* Who finds it live finds its generation, too. */
	atomic_store_explicit(&span->free[0], ~1ul, memory_order_release);
	atomic_store_explicit(&span->holder, MW_HOLDER_NO_CPU, memory_order_relaxed);
	mw_set_owner(span, MW_OWNER_LARGE);
	mw_port_unpin(state);
	return mw_keep(object);
}

static void *mw_large_new(size_t asked, size_t align, mw_flags_t flags)
{
	size_t pages = mw_max((asked + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT, 1);
	mw_flags_t for_pages = flags & (MW_ZERO | MW_RESERVE | MW_ZONE_FLAGS);
	struct mw_span *span;
	unsigned int step = 0;

	if (mw_policy_of(flags) == MW_POLICY_COLLECTED)
		for_pages |= MW_ZERO;
	if (MW_GC && !(flags & MW_ATOMIC) &&
	    (mw_policy_of(flags) >= MW_POLICY_COLLECTED || mw_object.large_flags))
		mw_up_grow();
	mw_stock_yield(pages);
	while (!(span = mw_span_alloc(pages, align, for_pages))) {
		if (!mw_meta_refill() && !mw_page_reclaim(pages, align, flags, &step))
			return NULL;
	}
	mw_large_fill(span, asked, flags, align);
	return mw_large_show(span);
}

static void mw_large_count(size_t size)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_here();

	if (cpu) {
		cpu->large_allocs++;
		cpu->large_pages += mw_large_pages(size);
		cpu->stock.misses++;
	}
	mw_port_unpin(state);
}

static inline void *mw_large_again(size_t size, size_t align)
{
	unsigned long state;
	void *object;

	if (size > MW_STOCK_LONGEST << MW_PAGE_SHIFT)
		return NULL;
	state = mw_port_pin();
	object = mw_stock_take(mw_cpu_fast(), size, align);
	mw_port_unpin(state);
	return object;
}

void *mw_large_plain(size_t size, mw_flags_t flags, uintptr_t site)
{
	void *object = mw_large_again(size, 0);

	if (mw_unlikely(!object))
		return mw_alloc_at(size, 0, flags, site);
	if (mw_profiling())
		mw_up_profile_bytes(size, object, site);
	return object;
}

void *mw_large_alloc(size_t size, size_t align, mw_flags_t flags)
{
	void *object = NULL;

	if (mw_unlikely(size > SIZE_MAX - MW_PAGE_SIZE))
		return NULL;
	if (align <= MW_PAGE_SIZE && !(flags & (MW_ZONE_FLAGS | MW_POLICY_FLAGS)))
		object = mw_large_again(mw_max(size, 1), align);
	if (object) {
		/* It may be longer than asked. */
		if (flags & MW_ZERO)
			__builtin_memset(object, 0, mw_span_of(object)->size);
		return object;
	}
	object = mw_large_new(size, align, flags);
	if (object)
		mw_large_count(size);
	return object;
}

/*
 * While a mark is under way the span stays where it is: the sweep after it gives it back. So that no
 * mark begins in between, all of it is done pinned; *@gone: but that its pages go back.
 */
static MW_NOINLINE enum mw_freed mw_large_free_collected(struct mw_span *span, const void *object,
							 bool *gone)
{
	enum mw_freed what = MW_FREED_MOVED;
	unsigned int here = mw_port_cpu();
	bool held;

	mw_up_span_sweep(span);
	held = mw_span_held(span);
	if (mw_freer_begin(span, here) == MW_OWNER_LARGE && object == span->base)
		what = mw_large_set_free(span) ? MW_FREED : MW_FREED_TWICE;
	mw_freer_end(here);
	*gone = what == MW_FREED && !held && mw_large_end(span);
	return what;
}

enum mw_freed mw_large_free(struct mw_span *span, const void *object)
{
	unsigned long state = mw_port_pin();
	bool collected = span->flags & MW_SPAN_COLLECTED, kept = true, gone = false;
	enum mw_freed what = MW_FREED_MOVED;
	unsigned int here = mw_port_cpu();

	if (collected) {
		what = mw_large_free_collected(span, object, &gone);
	} else {
		if (mw_freer_begin(span, here) == MW_OWNER_LARGE && object == span->base)
			what = mw_large_set_free(span) ? MW_FREED : MW_FREED_TWICE;
		mw_freer_end(here);
		kept = what != MW_FREED || (span->bin && mw_stock_put(mw_cpu_fast(), span));
	}
	mw_port_unpin(state);
	if (!kept)
		gone = mw_large_end(span);
	if (gone)
		mw_span_free(span);
	return what;
}

MW_NOINLINE void mw_free_large(void *object, struct mw_span *span, struct mw_cache *cache,
			       unsigned long state, uintptr_t site)
{
	/* Any flag makes it another kind, which is looked at twice. */
	bool done = !cache && !span->flags && object == span->base && mw_large_set_free(span);

	mw_freer_end(mw_port_cpu());
	if (mw_unlikely(!done))
		mw_free_otherwise(object, span, cache, state, site);
	else
		mw_large_unkept(span, state);
}

MW_NOINLINE void mw_large_unkept(struct mw_span *span, unsigned long state)
{
	mw_port_unpin(state);
	mw_large_release(span);
}

void mw_large_let_go(struct mw_span *span)
{
	unsigned long state = mw_port_pin();
	bool kept;

	mw_set_word(&span->remote[0], 0);
	kept = !mw_large_set_free(span) || (span->bin && mw_stock_put(mw_cpu_fast(), span));
	mw_port_unpin(state);
	if (!kept)
		mw_large_release(span);
}

bool mw_object_end_large(struct mw_span *span)
{
	(void)mw_large_set_free(span);
	return mw_large_end(span);
}
