// SPDX-License-Identifier: MIT
/* Spans with descriptors, see span.h: all that is not the fast path. */
#include "mark.h"
#include "span.h"
#include "flat.h"

#define MAX_WORDS 64u
#define LARGE_MAX_PAGES LARGEST_RUN

static word_t no_word;
static struct span *free_descriptors[MAX_WORDS + 1];

void span_slot_start(struct lay_slot *slot)
{
	slot->word = slot->remote = &no_word;
}

bool span_live(const struct span *span, size_t index)
{
	return index < span->count &&
	       (word_get(&span->live[index / 64]) &
		~word_get(&span->live[span->remote_at + index / 64]) & bit_of(index));
}

/* ---- a span comes and goes ---- */

static size_t bitmap_words(unsigned int words)
{
	/* Remote words begin a cache line of their own. */
	return words + -(sizeof(struct span) / 8 + words) % 8;
}

static struct span *descriptor(unsigned int words, bool marks)
{
	size_t second = bitmap_words(words), all = second + words + (marks ? words : 0);
	struct span *span = marks ? NULL : free_descriptors[words];

	if (span)
		free_descriptors[words] = span->next;
	else
		span = lay_meta(sizeof(*span) + all * sizeof(word_t), 64);
	span->words = (unsigned short)words;
	span->remote_at = (unsigned short)second;
	span->mark_at = (unsigned short)(marks ? second + words : 0);
	return span;
}

static void map_set(struct span *span, unsigned int kind)
{
	for (size_t i = 0; i < span->pages; i++) {
		atomic_store_explicit(map_entry(span->base + i * PAGE), MAP_WORD(span),
				      memory_order_release);
#ifdef LAYOUT_Q
		flat_owner_set(span->base + i * PAGE, kind);
#else
		(void)kind;
#endif
	}
}

static struct span *span_make(size_t stride, size_t pages, struct lay_cache *cache)
{
	char *base = lay_pages_take(pages);
	size_t count = cache ? pages * PAGE / stride : 1;
	struct span *span;

	if (!base)
		return NULL;
	span = descriptor((unsigned int)(count / 64 + 1), cache && cache->collected);
	span->base = base;
	span->pages = (unsigned int)pages;
	span->size = stride;
	span->count = (unsigned int)count;
	span->cache = cache;
	span->magic = count == 1 ? 1 : ~0ul / stride + 1;
	for (unsigned int w = 0; w < span->words; w++) {
		span->live[w] = 0;
		span->live[span->remote_at + w] = 0;
		if (span->mark_at)
			span->live[span->mark_at + w] = 0;
	}
	map_set(span, OWNER_DESCRIBED);
	return span;
}

/* ---- allocating ---- */

static unsigned long word_mask(const struct span *span, size_t w)
{
	return span->count >= (w + 1) * 64 ? ~0ul : bit_of(span->count) - 1;
}

/* Behind the others, so that more of its objects are free when its turn comes. */
static void avail_push(struct lay_slot *slot, struct span *span)
{
	span->next = NULL;
	span->listed = true;
	if (slot->avail)
		slot->avail_last->next = span;
	else
		slot->avail = span;
	slot->avail_last = span;
}

static bool next_word(struct lay_slot *slot)
{
	struct span *span = slot->span;
	size_t w = slot->w, words = span->words;

	for (size_t left = words; left; left--) {
		unsigned long some;

		if (++w >= words)
			w = 0;
		some = ~(word_get(&span->live[w]) | word_get(&span->live[span->remote_at + w]));
		if (some && (w + 1 < words || (some &= word_mask(span, w)))) {
			slot->w = (unsigned int)w;
			slot->word = &span->live[w];
			slot->remote = &span->live[span->remote_at + w];
			slot->ready = some;
			slot->mask = word_mask(span, w);
			slot->base = span->base + w * 64 * slot->unit;
			slot->refills++;
			return true;
		}
	}
	return false;
}

static void gather(struct span *span)
{
	for (size_t w = 0; w < span->words; w++) {
		unsigned long freed, word;

		if (!word_get(&span->live[span->remote_at + w]))
			continue;
		freed = atomic_exchange_explicit(&span->live[span->remote_at + w], 0,
						 memory_order_acq_rel);
		word = word_get(&span->live[w]);
		if (mw_unlikely(freed & ~word))
			lay_report(LAY_DOUBLE, span->base);
		word_set(&span->live[w], word & ~freed);
	}
}

/* What others freed in spans of this CPU. Return: whether there was any. */
static bool gather_pending(void)
{
	struct span *span =
		atomic_exchange_explicit(&lay_self.cpu->pending, NULL, memory_order_acquire);
	bool any = span;

	while (span) {
		struct span *next = span->next_pending;
		unsigned int was = atomic_fetch_and_explicit(
			&span->owner, ~(OWNER_PENDING | OWNER_FULL), memory_order_seq_cst);

		gather(span);
		if ((was & OWNER_FULL) && !span->listed)
			avail_push(lay_self.cpu->slot[span->cache->id], span);
		span = next;
	}
	return any;
}

static void set_current(struct lay_slot *slot, struct span *span)
{
	slot->avail = span->next;
	span->listed = false;
	slot->span = span;
	slot->w = span->words - 1u;
}

static bool new_span(struct lay_slot *slot)
{
	unsigned short pages[MW_SPAN_LENGTHS];
	struct span *span;

	mw_class_lengths(slot->unit, pages);
	span = span_make(slot->unit, pages[MW_SPAN_LENGTHS - 1], slot->cache);
	if (!span)
		return false;
	atomic_store_explicit(&span->owner, lay_self.number, memory_order_relaxed);
	avail_push(slot, span);
	return true;
}

/* Another word for the slot, and its first object. */
void *span_slot_more(struct lay_slot *slot)
{
	for (;;) {
		if (slot->span) {
			if (next_word(slot))
				return slot_take(slot);
			if (span_owner(slot->span) & OWNER_PENDING) {
				gather(slot->span);
				if (next_word(slot))
					return slot_take(slot);
			}
			atomic_fetch_or_explicit(&slot->span->owner, OWNER_FULL,
						 memory_order_relaxed);
			slot->span = NULL;
			span_slot_start(slot);
		}
		if (!slot->avail && !gather_pending() && !new_span(slot))
			return NULL;
		if (slot->avail)
			set_current(slot, slot->avail);
	}
}

static struct span *large_new(size_t pages)
{
	struct span *span = span_make(pages * PAGE, pages, NULL);

	if (span)
		atomic_store_explicit(&span->owner, OWNER_LARGE, memory_order_relaxed);
	return span;
}

void *span_alloc_large(size_t size)
{
	size_t pages = (size + PAGE - 1) / PAGE;
	struct lay_cpu *cpu = lay_self.cpu;
	struct span *span;

	if (pages > LARGE_MAX_PAGES)
		return NULL;
	span = cpu->large[pages];
	if (mw_likely(span))
		cpu->large[pages] = span->next;
	else
		span = large_new(pages);
	if (mw_unlikely(!span))
		return NULL;
	word_set(&span->live[0], 1);
	atomic_store_explicit(&span->holder, lay_self.number + 1, memory_order_relaxed);
	return span->base;
}

/* ---- freeing, by kind of owner ---- */

static void free_refused(struct span *span, const void *object)
{
	size_t index;

	if (!object)
		return;
	if (span->count == 0)
		lay_report(LAY_FOREIGN, object);
	else if (!span_index(span, object, &index) || index >= span->count)
		lay_report(LAY_INNER, object);
	else
		lay_report(LAY_DOUBLE, object);
}

static void free_own(struct span *span, void *object, unsigned int owner)
{
	size_t index;

	if (!span_index(span, object, &index) || !span_live(span, index)) {
		free_refused(span, object);
		return;
	}
	word_set(&span->live[index / 64], word_get(&span->live[index / 64]) & ~bit_of(index));
	if (owner & OWNER_FULL) {
		atomic_fetch_and_explicit(&span->owner, ~OWNER_FULL, memory_order_relaxed);
		avail_push(lay_self.cpu->slot[span->cache->id], span);
	}
	/* Or all frees into the span come this way until its owner wants more. */
	if (owner & OWNER_PENDING)
		(void)gather_pending();
}

static void free_large(struct span *span, void *object)
{
	unsigned int holder = lay_self.number + 1;
	struct lay_cpu *cpu = lay_self.cpu;

	/* A prototype keeps all of them, so a span cannot go back meanwhile and any CPU may do as its holder does. */
	if (mw_unlikely(object != span->base)) {
		free_refused(span, object);
		return;
	}
	if (!atomic_compare_exchange_strong_explicit(&span->holder, &holder, 0,
						     memory_order_acq_rel, memory_order_relaxed) &&
	    !(holder && atomic_exchange_explicit(&span->holder, 0, memory_order_acq_rel))) {
		free_refused(span, object);
		return;
	}
	word_set(&span->live[0], 0);
	span->next = cpu->large[span->pages];
	cpu->large[span->pages] = span;
}

static MW_NOINLINE void tell_owner(struct span *span)
{
	unsigned int owner =
		atomic_fetch_or_explicit(&span->owner, OWNER_PENDING, memory_order_seq_cst);
	struct lay_cpu *cpu;
	struct span *head;

	if (owner & OWNER_PENDING)
		return;
	cpu = &lay_cpus[owner & OWNER_MASK];
	head = atomic_load_explicit(&cpu->pending, memory_order_relaxed);
	do
		span->next_pending = head;
	while (!atomic_compare_exchange_weak_explicit(&cpu->pending, &head, span,
						      memory_order_release, memory_order_relaxed));
}

/* The owner has freed it as well, before or just now: take the bit back. */
static MW_NOINLINE void free_undo(struct span *span, const void *object, size_t index)
{
	(void)atomic_fetch_and_explicit(&span->live[span->remote_at + index / 64], ~bit_of(index),
					memory_order_acq_rel);
	free_refused(span, object);
}

static inline void free_remote(struct span *span, void *object)
{
	struct lay_hazard *hazard = &lay_hazards[lay_self.number];
	unsigned int owner;
	unsigned long had;
	word_t *word;
	size_t index;

	(void)atomic_exchange_explicit(&hazard->span, span, memory_order_seq_cst);
	owner = atomic_load_explicit(&span->owner, memory_order_seq_cst);
	if (mw_unlikely((owner & OWNER_MASK) >= LAY_CPUS || !span_index(span, object, &index))) {
		atomic_store_explicit(&hazard->span, NULL, memory_order_release);
		free_refused(span, object);
		return;
	}
	word = &span->live[span->remote_at + index / 64];
	had = atomic_fetch_or_explicit(word, bit_of(index), memory_order_seq_cst);
	if (mw_unlikely(had & bit_of(index)))
		free_refused(span, object);
	else if (mw_unlikely(!(word_get(&span->live[index / 64]) & bit_of(index))))
		free_undo(span, object, index);
	atomic_store_explicit(&hazard->span, NULL, memory_order_release);
	if (mw_unlikely(!(span_owner(span) & OWNER_PENDING)))
		tell_owner(span);
}

static MW_NOINLINE void free_not_remote(void *object, struct span *span, unsigned int owner)
{
	if ((owner & OWNER_MASK) == lay_self.number)
		free_own(span, object, owner);
	else if (owner == OWNER_LARGE)
		free_large(span, object);
	else
		free_refused(span, object);
}

MW_NOINLINE void span_free_other(void *object, struct span *span, unsigned int owner)
{
	unsigned int cpu = owner & OWNER_MASK;

	if (mw_likely(cpu < LAY_CPUS && cpu != lay_self.number))
		free_remote(span, object);
	else
		free_not_remote(object, span, owner);
}

MW_NOINLINE void span_free_cached(void *object, struct span *span, struct lay_cache *cache)
{
	if (mw_unlikely(span->cache != cache && span->count))
		lay_report(LAY_WRONG_CACHE, object);
	else
		span_free_other(object, span, span_owner(span));
}

size_t span_usable(const void *object)
{
	struct span *span = span_of(object);
	size_t index;

	if (mw_unlikely(!span_index(span, object, &index) ||
			!(word_get(&span->live[index / 64]) & bit_of(index))))
		return 0;
	return span->size;
}
