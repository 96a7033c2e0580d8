// SPDX-License-Identifier: MIT
/*
 * Taking back what CPUs and central lists hold: when memory is out, when a CPU stops, when a
 * collection begins.
 *
 * What a CPU holds is its own; others touch it only while the world is stopped.
 */
#include "../base/grace.h"
#include "inside.h"

/*
 * What an allocation that cannot wait has looked at: bitmap words of this CPU's spans, a few more for each span; and
 * size classes' central lists. The next one goes on behind them: the CPU's list turns, and
 * mw_object.drain_at says where in the lists.
 */
#define MW_BRIEF_WORDS 128
#define MW_BRIEF_SPAN 4
#define MW_BRIEF_CACHES 8

/* Pinned. *@chain: of kept spans, for mw_stock_free(). Return: there may be more. */
static bool mw_drain_step(struct mw_cpu *cpu, size_t *left, size_t *pages, struct mw_list **chain)
{
	size_t step = mw_min(*left, MW_DRAIN_STEP);

	(void)mw_cpu_gather(cpu, MW_DRAIN_STEP);
	*pages += mw_cpu_reap(cpu, step, true);
	*pages += mw_stock_cut(cpu, MW_DRAIN_STEP, chain);
	*left -= step;
	return *left || cpu->stock.pages || cpu->gather;
}

/* What this CPU does not need. Not pinned; stays on the CPU that it began on as long as it can. */
static size_t mw_drain_here(void)
{
	size_t left = SIZE_MAX, pages = 0;
	bool more = true;

	while (more) {
		unsigned long state = mw_port_pin();
		struct mw_cpu *cpu = mw_cpu_begun();
		struct mw_list *chain = NULL;

		if (cpu && left == SIZE_MAX)
			left = cpu->owned_count;
		more = cpu && mw_drain_step(cpu, &left, &pages, &chain);
		mw_port_unpin(state);
		mw_stock_free(chain);
	}
	return pages;
}

/*
 * Empty spans of the next @most size classes; up to @spans of each. The room is set up, so the classes are there
 * and stay.
 */
static size_t mw_drain_central(unsigned int most, size_t spans)
{
	unsigned int at = (unsigned int)mw_word(&mw_object.drain_at);
	size_t pages = 0;

	for (unsigned int n = 0; n < most; n++) {
		struct mw_cache *cache = &mw_object.builtin[at];

		at = at + 1 < MW_NR_BUILTIN ? at + 1 : 0;
		if (cache->live)
			pages += mw_central_shrink(cache, spans) + mw_debug_shrink(cache);
	}
	/* Of two CPUs that drain at once one's progress is lost. */
	mw_set_word(&mw_object.drain_at, at);
	return pages;
}

/* Of all other caches that do not keep theirs. */
static size_t mw_drain_types(void)
{
	struct mw_cache_cursor cursor = { .next = MW_NR_BUILTIN };
	struct mw_cache *cache;
	size_t pages = 0;

	while ((cache = mw_cache_next(&cursor))) {
		if (!cache->keeps)
			pages += mw_central_shrink(cache, SIZE_MAX);
	}
	return pages;
}

static bool mw_turn_done(unsigned int number, unsigned long turn)
{
	return atomic_exchange_explicit(&mw_object.turns[number], turn, memory_order_relaxed) == turn;
}

struct mw_turn {
	void (*fn)(struct mw_cpu *cpu, void *arg);
	void *arg;
	unsigned long number; /* by which CPUs that had their turn are known */
	mw_atomic_t workers; /* CPUs that had it themselves */
};

/* A CPU that did not allocate before its turn has nothing to do, whatever its handlers do afterwards. */
static void mw_turn_stopped(unsigned int worker, void *arg)
{
	unsigned long state = mw_port_pin();
	unsigned int here = mw_port_cpu();
	struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[here], memory_order_acquire);
	struct mw_turn *turn = arg;
	bool done = mw_turn_done(here, turn->number);

	(void)worker;
	mw_port_unpin(state);
	atomic_fetch_add_explicit(&turn->workers, 1, memory_order_relaxed);
	if (cpu && !done)
		turn->fn(cpu, turn->arg);
}

unsigned int mw_cpus_each(void (*fn)(struct mw_cpu *cpu, void *arg), void *arg)
{
	struct mw_turn turn = { .fn = fn, .arg = arg };

	turn.number = ++mw_object.last_turn; /* the stopper's alone */
	mw_port_run_stopped(mw_turn_stopped, &turn);
	/* Ports that run nothing on stopped CPUs keep their handlers out of Marrow meanwhile. */
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire);

		if (cpu && !mw_turn_done(i, turn.number))
			fn(cpu, arg);
	}
	return (unsigned int)mw_word(&turn.workers);
}

bool mw_cpus_stopped(void (*fn)(struct mw_cpu *cpu, void *arg), void *arg)
{
	if (mw_stop_world() >= 0)
		return false;
	(void)mw_cpus_each(fn, arg);
	mw_start_world();
	return true;
}

static void mw_drain_cpu(struct mw_cpu *cpu, void *arg)
{
	size_t left = cpu->owned_count, pages = 0;
	bool more = cpu->running;

	(void)arg;
	while (more) {
		unsigned long state = mw_port_pin();
		struct mw_list *chain = NULL;

		more = mw_drain_step(cpu, &left, &pages, &chain);
		mw_port_unpin(state);
		mw_stock_free(chain);
	}
}

/* Some of it, and no more than @pages, or little more. Not pinned. */
static size_t mw_drain_brief(size_t pages)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_begun();
	size_t most = cpu ? cpu->owned_count : 0, words = 0, got = 0;
	struct mw_list *chain = NULL;

	if (cpu) {
		(void)mw_cpu_gather(cpu, MW_GATHER_STEP);
		got = mw_stock_cut(cpu, pages, &chain);
	}
	while (most-- && got < pages && words < MW_BRIEF_WORDS && cpu->owned_count) {
		struct mw_span *span = mw_container(cpu->owned.next, struct mw_span, owned);

		words += span->words + MW_BRIEF_SPAN;
		got += mw_cpu_reap(cpu, 1, true);
	}
	mw_port_unpin(state);
	mw_stock_free(chain);
	return got;
}

/* For a request that cannot wait it is bounded; for nobody's, of 0 pages, it is not. */
static size_t mw_drain_first(size_t pages, bool waits)
{
	mw_object_ready(); /* not pinned: it takes long, the first time */
	if (waits || !pages)
		return mw_drain_here() + mw_drain_central(MW_NR_BUILTIN, SIZE_MAX) + mw_drain_types();
	pages = mw_max(pages, MW_GATHER_STEP);
	return mw_drain_brief(pages) + mw_drain_central(MW_BRIEF_CACHES, 1);
}

bool mw_up_reclaim(size_t pages, mw_flags_t flags, unsigned int step)
{
	bool waits = !(flags & MW_ATOMIC);

	switch (step) {
	case 0:
		return mw_drain_first(pages, waits) || waits;
	case 1:
		if (waits && MW_PORT_LEVEL >= 2)
			(void)mw_cpus_stopped(mw_drain_cpu, NULL);
		return waits;
	case 2:
		return waits && mw_up_collect(pages);
	default:
		return false;
	}
}

bool mw_slot_flush(struct mw_cpu *cpu, struct mw_slot *slot, unsigned int most)
{
	while (most--) {
		struct mw_span *span = slot->span;

		if (!span && !mw_list_empty(&slot->avail))
			span = mw_container(slot->avail.next, struct mw_span, link);
		if (!span && !mw_list_empty(&slot->full))
			span = mw_container(slot->full.next, struct mw_span, link);
		if (!span)
			return false;
		mw_slot_disown(cpu, slot, span);
	}
	return true;
}

/* One slot's spans, a few at a time, so that the CPU is not pinned for long. */
static void mw_slot_stop(struct mw_cpu *cpu, unsigned int id)
{
	bool more = true;

	while (more) {
		unsigned long state = mw_port_pin();

		more = cpu->slot[id] != &mw_slot_none &&
		       mw_slot_flush(cpu, cpu->slot[id], MW_DRAIN_STEP);
		mw_port_unpin(state);
	}
}

static bool mw_slot_collected(const struct mw_slot *slot)
{
	return slot != &mw_slot_none &&
	       (slot->cache->span_flags & (MW_SPAN_COLLECTED | MW_SPAN_SAFE));
}

/*
 * A free that came between a span's gathering and its end as this CPU's is pending here. It is
 * gathered before the mark: a sweep that frees the object itself would leave the remote bit to free
 * what is handed out there next.
 */
static void mw_cpu_flush(struct mw_cpu *cpu, void *arg)
{
	bool more = true;

	(void)arg;
	if (!cpu->running)
		return;
	for (unsigned int id = 0; id < MW_MAX_CACHES; id++) {
		if (mw_slot_collected(cpu->slot[id]))
			mw_slot_stop(cpu, id);
	}
	while (more) {
		unsigned long state = mw_port_pin();

		cpu->tiny.block = NULL;
		more = mw_cpu_gather(cpu, MW_DRAIN_STEP);
		mw_port_unpin(state);
	}
}

/* Return: there may be more. */
static bool mw_slot_flush_full(struct mw_cpu *cpu, struct mw_slot *slot)
{
	for (unsigned int n = 0; n < MW_DRAIN_STEP; n++) {
		if (mw_list_empty(&slot->full))
			return false;
		mw_slot_disown(cpu, slot, mw_container(slot->full.next, struct mw_span, link));
	}
	return true;
}

void mw_object_flush_full(void)
{
	for (unsigned int id = 0; id < MW_MAX_CACHES; id++) {
		bool more = true;

		while (more) {
			unsigned long state = mw_port_pin();
			struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[mw_port_cpu()],
								  memory_order_relaxed);

			more = cpu && cpu->running && mw_slot_collected(cpu->slot[id]) &&
			       mw_slot_flush_full(cpu, cpu->slot[id]);
			mw_port_unpin(state);
		}
	}
}

void mw_object_flush_here(void)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu =
		atomic_load_explicit(&mw_object.cpu[mw_port_cpu()], memory_order_relaxed);

	mw_port_unpin(state);
	if (cpu)
		mw_cpu_flush(cpu, NULL);
}

unsigned int mw_object_flush(void)
{
	return mw_cpus_each(mw_cpu_flush, NULL);
}

/*
 * Some of what the CPU has. Pinned. Return: it has nothing more, and stopped: no interrupt came between, whose
 * allocation would have taken a span for it. *@chain: as in mw_drain_step().
 */
static bool mw_cpu_stop_step(struct mw_cpu *cpu, struct mw_list **chain)
{
	for (unsigned int n = 0; n < MW_DRAIN_STEP && !mw_list_empty(&cpu->owned); n++) {
		struct mw_span *span = mw_container(cpu->owned.next, struct mw_span, owned);

		mw_slot_disown(cpu, cpu->slot[span->cache->id], span);
	}
	(void)mw_stock_cut(cpu, MW_DRAIN_STEP, chain);
	if (mw_cpu_gather(cpu, MW_DRAIN_STEP) || cpu->owned_count || cpu->stock.pages)
		return false;
	/* What is pushed until here is the caches' by now: it is sent there. */
	cpu->gather =
		atomic_exchange_explicit(&cpu->pending, MW_PENDING_CLOSED, memory_order_acq_rel);
	while (mw_cpu_gather(cpu, MW_DRAIN_STEP))
		;
	MW_ASSERT(!cpu->owned_count);
	cpu->tiny.block = NULL;
	mw_lock_pinned(&mw_object.lock);
	atomic_store_explicit(&mw_cpus[cpu->number], &mw_cpu_none, memory_order_relaxed);
	cpu->running = false;
	mw_unlock_pinned(&mw_object.lock);
	return true;
}

void mw_cpu_stop(void)
{
	bool stopped;

	do {
		unsigned long state = mw_port_pin();
		struct mw_cpu *cpu =
			atomic_load_explicit(&mw_object.cpu[mw_port_cpu()], memory_order_relaxed);
		struct mw_list *chain = NULL;

		stopped = !cpu || !cpu->running || mw_cpu_stop_step(cpu, &chain);
		mw_port_unpin(state);
		mw_stock_free(chain);
	} while (!stopped);
	mw_page_cpu_stop();
}
