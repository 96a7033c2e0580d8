/* SPDX-License-Identifier: MIT */
/*
 * Sweeping: what was not marked is free, a word of bits at a time; objects are not touched.
 *
 * Each span is swept once a cycle, by whoever needs it first: the CPU that is about to allocate from
 * it, a free by hand into it, the worker in the background, or the next cycle, which begins by
 * finishing the last sweep. Who does it is settled by one compare-and-swap of span->generation, see
 * struct mw_sweeping; who needs the span and lost waits for the few hundred instructions it takes. Where objects
 * have records it may take many more: then the sweeper gives its claim back now and then, and who comes next goes on.
 *
 * The walk over all spans is shared: a cursor that background, demand and cycle advance together. It takes raw
 * descriptors: a span is the sweep's from its generation on, which is set before anybody can read the span as one of
 * objects, and until it is 0 again. Were a new span passed by, its owner would allocate from it while it is unswept.
 */
#include "gc.h"

#if MW_GC

/* Spans that one turn of the walk sweeps at most. */
#define STEP 32
/* What a sweeper adds to a span's generation while it is at it. */
#define SWEEPING 1u

static unsigned int generation_word(void)
{
	return atomic_load_explicit(&mw_gc.sweeping.generation, memory_order_acquire);
}

static unsigned int current_generation(void)
{
	return generation_word() & ~MW_GENERATION_MARKING;
}

static unsigned int generation_of(const struct mw_span *span)
{
	return atomic_load_explicit(&((struct mw_span *)span)->generation, memory_order_acquire);
}

/*
 * A span that is born while the world is stopped for a mark, in an interrupt, belongs to the next
 * generation already: the sweep that follows has nothing to say of it. It is the collector's, and
 * may be claimed, from this store on. Pinned, so that no cycle comes between the load and the store: a mark that
 * is under way may end there, but none begins.
 */
void mw_up_span_born(struct mw_span *span)
{
	unsigned long state;
	unsigned int now;

	mw_gc_ready();
	atomic_fetch_add_explicit(&mw_gc.pace.pages, span->pages, memory_order_relaxed);
	state = mw_port_pin();
	now = generation_word();
	if (now & MW_GENERATION_MARKING) {
		now += MW_GENERATION_STEP - MW_GENERATION_MARKING;
		atomic_fetch_add_explicit(&mw_gc.marking.births, 1, memory_order_relaxed);
	}
	atomic_store_explicit(&span->generation, now, memory_order_release);
	MW_DASSERT(now - current_generation() == 0 ||
		   now - current_generation() == MW_GENERATION_STEP);
	mw_port_unpin(state);
}

bool mw_span_newborn(const struct mw_span *span)
{
	return generation_of(span) == current_generation() + MW_GENERATION_STEP;
}

bool mw_up_marking(void)
{
	return generation_word() & MW_GENERATION_MARKING;
}

/* Of a span's generation: 0 is no span of the collector's. */
static inline bool is_older(unsigned int generation, unsigned int now)
{
	return generation && (int)(now - generation) > 0;
}

static inline bool is_unswept(const struct mw_span *span, unsigned int now)
{
	return is_older(generation_of(span), now);
}

bool mw_up_span_unswept(const struct mw_span *span)
{
	return is_unswept(span, current_generation());
}

/*
 * The span leaves the collector: swept or not, its objects are all free. Who is sweeping it is waited
 * for; whoever comes later finds no span.
 */
void mw_up_span_gone(struct mw_span *span)
{
	atomic_fetch_sub_explicit(&mw_gc.pace.pages, span->pages, memory_order_relaxed);
	for (;;) {
		unsigned int old = generation_of(span);

		if (old % MW_GENERATION_STEP == 1 + SWEEPING)
			mw_port_relax();
		else if (atomic_compare_exchange_weak_explicit(&span->generation, &old, 0,
							       memory_order_acq_rel,
							       memory_order_relaxed)) {
			mw_set_word(&span->gc_scanned, 0); /* it may have been swept in part */
			return;
		}
	}
}

/*
 * Pinned from here until it is swept, so that whoever waits for it does not wait long. A span that is further
 * behind than it can be is claimed as well: who sweeps it would turn for ever otherwise, pinned.
 */
static bool claim(struct mw_span *span)
{
	unsigned int now = current_generation(), old = generation_of(span);

	if (!is_older(old, now) || old % MW_GENERATION_STEP != 1)
		return false;
	MW_DASSERT(now - old == MW_GENERATION_STEP);
	return atomic_compare_exchange_strong_explicit(&span->generation, &old,
						       now - MW_GENERATION_STEP + SWEEPING,
						       memory_order_acquire, memory_order_relaxed);
}

static void poison(struct mw_span *span, size_t w, unsigned long dead)
{
	for (; dead; dead &= dead - 1)
		__builtin_memset(mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(dead)), 0xdb,
				 span->size);
}

/* Return: objects that died. Marks are clear afterwards, as the next cycle wants them. */
static size_t sweep_bits(struct mw_span *span)
{
	size_t count = 0;

	for (size_t w = 0; w < span->words; w++) {
		unsigned long free = mw_word(&span->free[w]);
		unsigned long dead = ~free & ~mw_word(&span->mark[w]);

		if (!dead)
			continue;
		if (mw_unlikely(mw_gc.debug & MW_GC_DEBUG_POISON))
			poison(span, w, dead);
		count += mw_count_bits(dead);
		for (unsigned long left = dead; MW_SHADOW && left; left &= left - 1)
			mw_shadow_dead(mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(left)),
				       span->size, MW_SHADOW_FREE);
		/* A large object's bit is set by who gives the span back. */
		if (mw_span_cache(span))
			mw_set_word(&span->free[w], free | dead);
	}
	mw_sweep_clear(span);
	return count;
}

void mw_sweep_clear(struct mw_span *span)
{
	atomic_store_explicit(&span->queued, 0, memory_order_relaxed);
	mw_set_word(&span->gc_scanned, 0);
	for (size_t w = 0; w < span->words; w++) {
		/* For who looks at marks while they are cleared, see grab() in weak.c. */
		atomic_store_explicit(&span->mark[w], 0, memory_order_release);
		if (span->scanned)
			mw_set_word(&span->scanned[w], 0);
	}
}

/*
 * The caller has claimed the span, and is pinned. Return: false: it has many records, and is given back for who
 * comes next to go on; else the span is not to be touched after this, unless *@gone: then mw_span_free() is to follow.
 */
static bool sweep_claimed(struct mw_span *span, mw_atomic_t *counter, bool *gone)
{
	struct mw_cache *cache = mw_span_cache(span);
	/* A large object that was freed during the mark, when its span had to stay. */
	bool freed = !cache && mw_word(&span->free[0]) & 1;
	size_t dead;

	if (mw_unlikely(mw_span_records(span)) && !mw_records_sweep(span)) {
		atomic_store_explicit(&span->generation, current_generation() - MW_GENERATION_STEP,
				      memory_order_release);
		return false;
	}
	dead = sweep_bits(span);
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
	/* Whoever waits for the span may have it, and lose it, as soon as its generation says so. */
	atomic_store_explicit(&span->generation, current_generation(), memory_order_release);
	if (dead && cache)
		mw_object_swept(cache, span, dead);
	else if (dead || freed)
		*gone = mw_object_end_large(span);
	return true;
}

/* With a look at interrupts between two pieces. Return: false: somebody else is at it, or it is swept. */
static bool sweep(struct mw_span *span, mw_atomic_t *counter)
{
	bool ours, done, gone = false;

	do {
		unsigned long state = mw_port_pin();

		ours = claim(span);
		done = ours && sweep_claimed(span, counter, &gone);
		mw_port_unpin(state);
	} while (ours && !done);
	if (gone)
		mw_span_free(span);
	return done;
}

/* Somebody who is at it may be interrupted between two pieces, and wait for this CPU: so it is asked for again. */
void mw_up_span_sweep(struct mw_span *span)
{
	while (mw_up_span_unswept(span) && !sweep(span, &mw_gc.sweeping.swept_demand))
		mw_port_relax();
}

/* Up to STEP spans further. Return: whether there may be more. */
static bool walk(mw_atomic_t *counter)
{
	struct mw_sweeping *sweeping = &mw_gc.sweeping;
	struct mw_span *batch[STEP];
	size_t n = 0, looks = 0;
	unsigned long state = mw_lock(&sweeping->lock);
	unsigned int now = current_generation();
	bool more;

	for (; n < STEP && looks < 4 * STEP && !sweeping->done_walking; looks++) {
		struct mw_span *span = mw_span_next_raw(&sweeping->cursor);

		if (!span)
			sweeping->done_walking = true;
		else if (is_unswept(span, now))
			batch[n++] = span;
	}
	more = !sweeping->done_walking;
	mw_unlock(&sweeping->lock, state);
	for (size_t i = 0; i < n; i++)
		sweep(batch[i], counter);
	return more;
}

bool mw_sweep_step(void)
{
	return walk(&mw_gc.sweeping.swept_background);
}

void mw_sweep_help(size_t spans)
{
	for (size_t done = 0; done < spans && walk(&mw_gc.sweeping.swept_demand); done += STEP)
		;
}

/*
 * The walk hands each span to one sweeper, who may be slow to begin: so all are looked at once more,
 * and this time nobody is waited for who has not begun.
 */
void mw_sweep_finish(void)
{
	struct mw_span_cursor cursor = { 0 };
	unsigned int now = current_generation();
	struct mw_span *span;

	while (walk(&mw_gc.sweeping.swept_demand))
		;
	while ((span = mw_span_next_raw(&cursor)))
		if (mw_unlikely(is_unswept(span, now)))
			mw_up_span_sweep(span);
}

void mw_sweep_hold(void)
{
	mw_set_word(&mw_gc.marking.births, 0);
	atomic_fetch_or_explicit(&mw_gc.sweeping.generation, MW_GENERATION_MARKING,
				 memory_order_seq_cst);
}

void mw_sweep_begin(void)
{
	struct mw_sweeping *sweeping = &mw_gc.sweeping;

	mw_set_word(&sweeping->swept_background, 0);
	mw_set_word(&sweeping->swept_demand, 0);
	sweeping->cursor = (struct mw_span_cursor){ 0 };
	sweeping->done_walking = false;
	atomic_store_explicit(&sweeping->generation, current_generation() + MW_GENERATION_STEP,
			      memory_order_release);
}

#endif
