// SPDX-License-Identifier: MIT
/* Filling and emptying stocks: see stock.h. */
#include "stock.h"
#include "up.h"

struct mw_page_stock mw_page_stocks[MW_MAX_CPUS] = {
	[0 ... MW_MAX_CPUS - 1] = { .lock = MW_LOCK_INIT(MW_RANK_STOCK) },
};

/* One run of the longer lengths, where it is less than a hundredth of the memory. */
static size_t room_of(unsigned int shelf)
{
	if (!shelf)
		return MW_STOCK_SINGLES;
	return shelf < MW_STACK_SHELVES ? MW_STOCK_PAGES >> shelf : 1;
}

static bool affords(unsigned int shelf)
{
	size_t pages = 0;

	if (mw_region_flag(&mw_page.poison))
		return false;
	for (unsigned int z = 0; z < MW_ZONES; z++)
		pages += mw_page.zone[z].pages;
	return pages >> mw_shelf_order(shelf) >= (shelf < MW_STACK_SHELVES ? 1 : 100);
}

static void set_up(struct mw_page_stock *stock, bool open)
{
	struct mw_stocked *slots = stock->slots;

	for (unsigned int i = 0; i < MW_SHELVES; i++) {
		struct mw_shelf *shelf = &stock->shelf[i];

		/* Once: others read it without the lock. */
		if (!shelf->bottom) {
			shelf->bottom = slots;
			atomic_store_explicit(&shelf->top, slots, memory_order_relaxed);
		}
		shelf->limit = slots + (open && affords(i) ? room_of(i) : 0);
		slots += room_of(i);
	}
}

bool mw_stock_begun(unsigned int cpu)
{
	return atomic_load_explicit(&mw_page.stocks_begun[cpu / MW_WORD_BITS], memory_order_seq_cst) >>
		       cpu % MW_WORD_BITS &
	       1;
}

/*
 * First the bit, then whether stocks are open is asked once more, under the lock; set_all() says that first,
 * then looks for the bit. So it sees the bit and waits for the lock, or this sees what it said.
 */
static void begin_locked(struct mw_page_stock *stock, unsigned int cpu)
{
	unsigned long turn;

	do {
		turn = atomic_load_explicit(&mw_page.stocks_turn, memory_order_seq_cst);
		set_up(stock, turn & 1);
		atomic_fetch_or_explicit(&mw_page.stocks_begun[cpu / MW_WORD_BITS],
					 1ul << cpu % MW_WORD_BITS, memory_order_seq_cst);
	} while (turn != atomic_load_explicit(&mw_page.stocks_turn, memory_order_seq_cst));
}

MW_NOINLINE bool mw_stock_begin(void)
{
	unsigned long state = mw_port_pin();
	unsigned int cpu = mw_port_cpu();
	struct mw_page_stock *stock = &mw_page_stocks[cpu];
	bool first = !mw_stock_begun(cpu);

	if (mw_unlikely(first)) {
		mw_lock_pinned(&stock->lock);
		begin_locked(stock, cpu);
		mw_unlock_pinned(&stock->lock);
	}
	mw_port_unpin(state);
	return first;
}

/*
 * The region of a run that is stocked. By its word: the map is not to be asked here, as nobody need
 * be pinned.
 */
static struct mw_region *region_of(const struct mw_stocked *run)
{
	return mw_region_by_id(mw_map_id(atomic_load_explicit(run->word, memory_order_relaxed)));
}

/*
 * Up to @most single pages for a stock, in one go. Only the first one, which is for the caller, may be of the
 * reserve.
 */
static size_t take_batch(mw_flags_t flags, struct mw_stocked *out, size_t most)
{
	struct mw_want want = { 1, 1, 0, flags };
	struct mw_region *region;
	size_t pn, n = 0, ready = 0;
	unsigned long state = mw_lock(&mw_page.heap);
	bool grew;

	/* A step is more than a page: what grew has one. */
	while (n < most && (region = mw_heap_take(&want, &pn, &grew))) {
		mw_map_write(pn, mw_map_word_of(MW_TAG_RAW, region->id, 1) | MW_RAW_STOCKED);
		out[n++] = (struct mw_stocked){ mw_pn_address(pn), mw_map_at(pn) };
		want.flags &= ~MW_RESERVE;
	}
	mw_page.raw += n;
	mw_page.allocs += n > 0;
	mw_unlock(&mw_page.heap, state);
	for (size_t i = 0; i < n; i++) {
		pn = mw_pn(out[i].pages);
		if (mw_heap_prepare(region_of(&out[i]), pn, 1, false, NULL)) {
			out[ready++] = out[i];
			continue;
		}
		state = mw_lock(&mw_page.heap);
		mw_heap_lose(pn, 1, &mw_page.raw);
		mw_unlock(&mw_page.heap, state);
	}
	return ready;
}

/* Runs of 1 << @order pages, stocked, that are in no stock any more. */
static void give_batch(unsigned int order, const struct mw_stocked *runs, size_t n)
{
	unsigned long state;

	if (!n)
		return;
	state = mw_lock(&mw_page.heap);
	for (size_t i = 0; i < n; i++) {
		size_t pn = mw_pn(runs[i].pages);
		struct mw_region *region = region_of(&runs[i]);

		mw_map_write(pn, 0);
		mw_heap_return(region, pn, (size_t)1 << order);
	}
	mw_page.raw -= n << order;
	mw_unlock(&mw_page.heap, state);
}

/* The last @n runs leave a shelf; the stock's lock is held. */
static void pop(struct mw_page_stock *stock, unsigned int which, struct mw_stocked *out, size_t n)
{
	struct mw_shelf *shelf = &stock->shelf[which];
	struct mw_stocked *top = mw_shelf_top(shelf) - n;

	for (size_t i = 0; i < n; i++)
		out[i] = top[i];
	atomic_store_explicit(&stock->moved,
			      atomic_load_explicit(&stock->moved, memory_order_relaxed) - n,
			      memory_order_relaxed);
	atomic_store_explicit(&shelf->top, top, memory_order_relaxed);
}

MW_NOINLINE void *mw_stock_refill(mw_flags_t flags)
{
	struct mw_stocked runs[MW_STOCK_BATCH];
	size_t kept = 1, n = take_batch(flags, runs, MW_STOCK_BATCH);
	struct mw_page_stock *stock;
	unsigned long state;

	if (!n)
		return NULL;
	(void)mw_stock_begin();
	state = mw_port_pin();
	stock = &mw_page_stocks[mw_port_cpu()];
	mw_lock_pinned(&stock->lock);
	for (; kept < n && !mw_shelf_full(&stock->shelf[0]); kept++) {
		uintptr_t value = atomic_load_explicit(runs[kept].word, memory_order_relaxed);

		if (!mw_stock_fits(value & ~MW_RAW_STOCKED, 1))
			break;
		mw_shelf_push(&stock->shelf[0], runs[kept].pages, runs[kept].word);
		mw_stock_event(&stock->moved);
	}
	mw_unlock(&stock->lock, state);
	give_batch(0, runs + kept, n - kept);
	atomic_store_explicit(runs[0].word,
			      atomic_load_explicit(runs[0].word, memory_order_relaxed) &
				      ~MW_RAW_STOCKED,
			      memory_order_relaxed);
	mw_shadow_live(runs[0].pages, MW_PAGE_SIZE);
	return runs[0].pages;
}

MW_NOINLINE void mw_stock_spill(void)
{
	struct mw_stocked runs[MW_STOCK_BATCH];
	unsigned long state = mw_port_pin();
	struct mw_page_stock *stock = &mw_page_stocks[mw_port_cpu()];
	size_t n;

	mw_lock_pinned(&stock->lock);
	n = mw_min(mw_shelf_count(&stock->shelf[0]), MW_STOCK_BATCH);
	pop(stock, 0, runs, n);
	mw_unlock(&stock->lock, state);
	give_batch(0, runs, n);
}

/* A batch from one shelf. Return: how many runs. */
static size_t drain_some(struct mw_page_stock *stock, unsigned int which)
{
	struct mw_stocked runs[MW_STOCK_BATCH];
	unsigned long state = mw_lock(&stock->lock);
	size_t n = mw_min(mw_shelf_count(&stock->shelf[which]), MW_STOCK_BATCH);

	pop(stock, which, runs, n);
	mw_unlock(&stock->lock, state);
	give_batch(mw_shelf_order(which), runs, n);
	return n;
}

/* Its own CPU may go on filling it: no more is taken than a full stock holds. */
static size_t drain(struct mw_page_stock *stock, unsigned int first, unsigned int end)
{
	size_t pages = 0, n;

	for (unsigned int i = first; i < end; i++) {
		size_t left = MW_STOCK_SINGLES + MW_STOCK_PAGES;

		for (; left && (n = drain_some(stock, i)); left -= mw_min(n, left))
			pages += n << mw_shelf_order(i);
	}
	return pages;
}

static size_t stocked(const struct mw_page_stock *stock)
{
	size_t pages = 0;

	for (unsigned int i = 0; i < MW_SHELVES; i++)
		pages += mw_shelf_count(&stock->shelf[i]) << mw_shelf_order(i);
	return pages;
}

size_t mw_stock_drain_all(void)
{
	size_t pages = 0;

	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		if (mw_stock_begun(cpu) && stocked(&mw_page_stocks[cpu]))
			pages += drain(&mw_page_stocks[cpu], 0, MW_SHELVES);
	}
	return pages;
}

void mw_stock_drain_stacks(void)
{
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		if (mw_stock_begun(cpu))
			(void)drain(&mw_page_stocks[cpu], 1, MW_STACK_SHELVES);
	}
}

void mw_stock_events(unsigned long *allocs, unsigned long *frees)
{
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		struct mw_page_stock *stock = &mw_page_stocks[cpu];
		unsigned long taken = atomic_load_explicit(&stock->allocs, memory_order_relaxed);

		if (!mw_stock_begun(cpu))
			continue;
		*allocs += taken;
		*frees += taken - atomic_load_explicit(&stock->moved, memory_order_relaxed);
		for (unsigned int i = 0; i < MW_SHELVES; i++)
			*frees += mw_shelf_count(&stock->shelf[i]);
	}
}

size_t mw_stock_pages(void)
{
	size_t pages = 0;

	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++)
		pages += mw_stock_begun(cpu) ? stocked(&mw_page_stocks[cpu]) : 0;
	return pages;
}

static void set_all(bool open)
{
	unsigned long turn = atomic_load_explicit(&mw_page.stocks_turn, memory_order_relaxed);

	atomic_store_explicit(&mw_page.stocks_turn, ((turn | 1) + 1) | open, memory_order_seq_cst);
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		unsigned long state;

		if (!mw_stock_begun(cpu))
			continue;
		state = mw_lock(&mw_page_stocks[cpu].lock);
		set_up(&mw_page_stocks[cpu], open);
		mw_unlock(&mw_page_stocks[cpu].lock, state);
	}
}

void mw_stocks_close(void)
{
	set_all(false);
	mw_stock_drain_all();
}

void mw_stock_mask_set(void)
{
	bool others = mw_page.zone[MW_ZONE_4G].pages || mw_page.zone[MW_ZONE_REST].pages;
	uintptr_t any = (MW_ID_MASK & ~(uintptr_t)(others ? MW_ID_LOW : 0)) << MW_ID_SHIFT;

	/* All bits: no region's id is 0, so nothing fits. */
	atomic_store_explicit(&mw_page.stock_mask, mw_page.reserve_short ? UINTPTR_MAX : ~any,
			      memory_order_relaxed);
}

void mw_stocks_open(void)
{
	unsigned long state = mw_lock(&mw_page.heap);

	mw_stock_mask_set();
	mw_unlock(&mw_page.heap, state);
	set_all(true);
}

void mw_stocks_reset(void)
{
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		if (!mw_stock_begun(cpu))
			continue;
		__builtin_memset((void *)&mw_page_stocks[cpu], 0, sizeof(mw_page_stocks[cpu]));
		mw_lock_init(&mw_page_stocks[cpu].lock, MW_RANK_STOCK);
	}
}

void mw_page_cpu_stop(void)
{
	unsigned long state = mw_port_pin();
	struct mw_page_stock *stock = &mw_page_stocks[mw_port_cpu()];

	mw_port_unpin(state);
	if (mw_stock_begun((unsigned int)(stock - mw_page_stocks)))
		(void)drain(stock, 0, MW_SHELVES);
}
