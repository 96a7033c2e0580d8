// SPDX-License-Identifier: MIT
/* Layout Q: pages of small objects, whose owner and bits are found without a descriptor. */
#include "flat.h"

#define PAGES_AT_ONCE 16u /* taken from the heap */

const uint32_t flat_inverse[17] = { 0,	  65536, 32768, 21846, 16384, 13108, 10923, 9363, 8192,
				    7282, 6554,	 5958,	5462,  5042,  4682,  4370,  4096 };

static word_t no_word;
/* Which granules of a page objects begin at, for each size, a word at a time. */
static unsigned long starts[17][4];

static uint32_t number_of(const void *page)
{
	return (uint32_t)((uintptr_t)((const char *)page - lay_arena) / PAGE);
}

static char *page_at(uint32_t number)
{
	return lay_arena + number * PAGE;
}

static struct flat_page *page_of(const void *address, flat_t **flat, size_t *n)
{
	uintptr_t g = flat_granule((uintptr_t)address & -PAGE);

	*flat = flat_of(g);
	*n = flat_nr_page(g);
	return &(*flat)->page[*n];
}

/* Whoever had the page before may have it in a list: only that flag stays. */
void flat_owner_set(const void *address, unsigned int kind)
{
	struct flat_page *page;
	flat_t *flat;
	size_t n;

	page = page_of(address, &flat, &n);
	page->granules = 0;
	(void)atomic_fetch_and_explicit(&flat->owner[n], OWNER_PENDING, memory_order_relaxed);
	(void)atomic_fetch_or_explicit(&flat->owner[n], kind, memory_order_relaxed);
}

static void slot_none(struct lay_slot *slot)
{
	slot->word = slot->remote = &no_word;
	slot->ready = slot->mask = 0;
	slot->page = 0;
}

void flat_slot_start(struct lay_slot *slot)
{
	slot->granules = (unsigned int)(slot->unit / 16);
	slot->unit = 16;
	slot_none(slot);
	for (size_t g = 0; g + slot->granules <= 256; g += slot->granules)
		starts[slot->granules][g / 64] |= bit_of(g);
}

/* ---- allocating ---- */

/* Behind the others, as spans. */
static void avail_push(struct lay_slot *slot, const void *address, struct flat_page *page)
{
	uint32_t number = number_of(address);
	flat_t *flat;
	size_t n;

	page->next = 0;
	if (slot->avail_page)
		page_of(page_at(slot->avail_last_page), &flat, &n)->next = number;
	else
		slot->avail_page = number;
	slot->avail_last_page = number;
}

/* Its remote bits become free. */
static void page_gather(flat_t *flat, size_t n)
{
	for (size_t w = 4 * n; w < 4 * n + 4; w++) {
		unsigned long freed, live;

		if (!word_get(&flat->remote[w]))
			continue;
		freed = atomic_exchange_explicit(&flat->remote[w], 0, memory_order_acq_rel);
		live = word_get(&flat->live[w]);
		if (mw_unlikely(freed & ~live))
			lay_report(LAY_DOUBLE, NULL);
		word_set(&flat->live[w], live & ~freed);
	}
}

static bool next_word(struct lay_slot *slot)
{
	word_t *live = slot->word - slot->w, *remote = slot->remote - slot->w;
	const unsigned long *start = starts[slot->granules];
	unsigned int w = slot->w;

	for (unsigned int left = 4; left; left--) {
		unsigned long some;

		w = (w + 1) % 4;
		some = start[w] & ~(word_get(&live[w]) | word_get(&remote[w]));
		if (some) {
			slot->base += ((long)w - (long)slot->w) * 1024;
			slot->w = w;
			slot->word = &live[w];
			slot->remote = &remote[w];
			slot->mask = start[w];
			slot->ready = some;
			return true;
		}
	}
	return false;
}

static void set_current(struct lay_slot *slot)
{
	char *address = page_at(slot->avail_page);
	struct flat_page *page;
	flat_t *flat;
	size_t n;

	page = page_of(address, &flat, &n);
	slot->page = slot->avail_page;
	slot->avail_page = page->next;
	slot->w = 3;
	slot->word = &flat->live[4 * n + 3];
	slot->remote = &flat->remote[4 * n + 3];
	slot->base = address + 3 * 1024;
}

static bool new_pages(struct lay_slot *slot)
{
	char *run = lay_pages_take(PAGES_AT_ONCE);

	for (size_t i = 0; run && i < PAGES_AT_ONCE; i++) {
		struct flat_page *page;
		flat_t *flat;
		size_t n;

		page = page_of(run + i * PAGE, &flat, &n);
		for (size_t w = 4 * n; w < 4 * n + 4; w++)
			flat->live[w] = flat->mark[w] = 0;
		flat_owner_set(run + i * PAGE, lay_self.number);
		page->cache = (uint16_t)slot->cache->id;
		page->granules = (uint8_t)slot->granules;
		page->collected = slot->cache->collected;
		avail_push(slot, run + i * PAGE, page);
	}
	return run;
}

static bool gather_pending(void)
{
	uint32_t number =
		atomic_exchange_explicit(&lay_self.cpu->pending_page, 0, memory_order_acquire);
	bool any = number;

	while (number) {
		char *address = page_at(number);
		struct flat_page *page;
		unsigned int was;
		flat_t *flat;
		size_t n;

		page = page_of(address, &flat, &n);
		number = page->next_pending;
		was = atomic_fetch_and_explicit(&flat->owner[n], ~(OWNER_PENDING | OWNER_FULL),
						memory_order_seq_cst);
		page_gather(flat, n);
		if (was & OWNER_FULL)
			avail_push(lay_self.cpu->slot[page->cache], address, page);
	}
	return any;
}

/* Nothing is free in the slot's page any more. Return: false: something is, others freed it. */
static bool retire(struct lay_slot *slot)
{
	struct flat_page *page;
	flat_t *flat;
	size_t n;

	page = page_of(slot->base, &flat, &n);
	(void)page;
	if (atomic_load_explicit(&flat->owner[n], memory_order_relaxed) & OWNER_PENDING) {
		page_gather(flat, n);
		if (next_word(slot))
			return false;
	}
	(void)atomic_fetch_or_explicit(&flat->owner[n], OWNER_FULL, memory_order_relaxed);
	slot_none(slot);
	return true;
}

MW_NOINLINE void *flat_slot_more(struct lay_slot *slot)
{
	for (;;) {
		if (slot->page && (next_word(slot) || !retire(slot)))
			return slot_take(slot);
		if (mw_unlikely(!slot->avail_page) && !gather_pending() && !new_pages(slot))
			return NULL;
		if (mw_likely(slot->avail_page))
			set_current(slot);
	}
}

static MW_NOINLINE void *slot_more(struct lay_slot *slot)
{
	return slot->granules ? flat_slot_more(slot) : span_slot_more(slot);
}

static MW_NOINLINE void *alloc_coarse(size_t size)
{
	struct lay_slot *slot;
	void *object;

	if (size > MW_SMALL_MAX)
		return span_alloc_large(size);
	slot = lay_self.cpu->slot[mw_class_of(&lay_classes, size)];
	object = slot_take(slot);
	return mw_likely(object) ? object : span_slot_more(slot);
}

void *lay_alloc_flags(size_t size, unsigned int flags)
{
	struct lay_slot *slot;
	void *object;

	if (mw_unlikely(flags))
		return NULL;
	if (mw_unlikely(size > MW_FINE_MAX))
		return alloc_coarse(size);
	slot = lay_self.cpu->fine[(size + 7) / 8];
	object = slot_take(slot);
	return mw_likely(object) ? object : slot_more(slot);
}

/* ---- freeing, by kind of owner ---- */

static void free_refused(const void *object, flat_t *flat, uintptr_t g)
{
	const struct flat_page *page = &flat->page[flat_nr_page(g)];

	if (!object)
		return;
	if (!page->granules)
		lay_report(LAY_FOREIGN, object);
	else if (starts[page->granules][g / 64 % 4] & bit_of(g))
		lay_report(LAY_DOUBLE, object);
	else
		lay_report(LAY_INNER, object);
}

static void free_own(void *object, flat_t *flat, uintptr_t g)
{
	size_t n = flat_nr_page(g);
	struct flat_page *page = &flat->page[n];

	if ((word_get(&flat->remote[flat_nr_word(g)]) & bit_of(g)) || !flat_free_exact(flat, g)) {
		free_refused(object, flat, g);
		return;
	}
	if (atomic_fetch_and_explicit(&flat->owner[n], ~OWNER_FULL, memory_order_relaxed) & OWNER_FULL)
		avail_push(lay_self.cpu->slot[page->cache], (char *)((uintptr_t)object & -PAGE),
			   page);
	/* As with descriptors: or all frees into the page come this way. */
	if (atomic_load_explicit(&flat->owner[n], memory_order_relaxed) & OWNER_PENDING)
		(void)gather_pending();
}

static MW_NOINLINE void tell_owner(void *object, flat_t *flat, size_t n)
{
	unsigned int owner =
		atomic_fetch_or_explicit(&flat->owner[n], OWNER_PENDING, memory_order_seq_cst);
	struct lay_cpu *cpu;
	uint32_t head;

	if (owner & OWNER_PENDING)
		return;
	cpu = &lay_cpus[owner & OWNER_MASK];
	head = atomic_load_explicit(&cpu->pending_page, memory_order_relaxed);
	do
		flat->page[n].next_pending = head;
	while (!atomic_compare_exchange_weak_explicit(&cpu->pending_page, &head, number_of(object),
						      memory_order_release, memory_order_relaxed));
}

/*
 * No hazard pointer: a bit stands for the same address whatever the page becomes. One that is set on what is not
 * live is taken back, and means nothing to who has the page meanwhile.
 */
static inline void free_remote(void *object, flat_t *flat, uintptr_t g)
{
	word_t *word = &flat->remote[flat_nr_word(g)];
	unsigned long had = atomic_fetch_or_explicit(word, bit_of(g), memory_order_seq_cst);

	if (mw_unlikely(had & bit_of(g))) {
		free_refused(object, flat, g);
		return;
	}
	if (mw_unlikely(!(word_get(&flat->live[flat_nr_word(g)]) & bit_of(g)))) {
		(void)atomic_fetch_and_explicit(word, ~bit_of(g), memory_order_acq_rel);
		free_refused(object, flat, g);
		return;
	}
	if (mw_unlikely(!(atomic_load_explicit(&flat->owner[flat_nr_page(g)], memory_order_seq_cst) &
			  OWNER_PENDING)))
		tell_owner(object, flat, flat_nr_page(g));
}

/* @owner: of the page: another CPU, or this one, if the page is to be looked at. */
static MW_NOINLINE void free_other(void *object, flat_t *flat, uintptr_t g, unsigned int owner)
{
	if ((owner & OWNER_MASK) == lay_self.number)
		free_own(object, flat, g);
	else if ((owner & OWNER_MASK) < LAY_CPUS)
		free_remote(object, flat, g);
	else
		free_refused(object, flat, g);
}

/* Not a multiple of 16, or of no region. */
static MW_NOINLINE void free_stray(void *object, struct lay_cache *cache)
{
	flat_t *flat;
	size_t n;

	if (!object)
		return;
	if (!flat_is(flat_granule((uintptr_t)object & ~15ul)))
		lay_report(LAY_FOREIGN, object);
	else if (page_of(object, &flat, &n)->granules)
		lay_report(LAY_INNER, object);
	else if (cache)
		span_free_cached(object, span_of(object), cache);
	else
		span_free_other(object, span_of(object), span_owner(span_of(object)));
}

/* Out of line, so that a free of what has no descriptor keeps nothing for it. */
static MW_NOINLINE void free_described(void *object)
{
	struct span *span = span_of(object);
	unsigned int owner = span_owner(span);

	if (mw_likely(owner == lay_self.number && span_free_exact(span, object)))
		return;
	span_free_other(object, span, owner);
}

void lay_free(void *object)
{
	uintptr_t g = flat_granule((uintptr_t)object);
	unsigned int owner;
	flat_t *flat;

	if (mw_unlikely(!flat_is(g))) {
		free_stray(object, NULL);
		return;
	}
	flat = flat_of(g);
	owner = flat_owner(flat, g);
	if (mw_likely(owner == lay_self.number && flat_free_exact(flat, g)))
		return;
	if (owner == OWNER_DESCRIBED)
		free_described(object);
	else
		free_other(object, flat, g, owner);
}

void *lay_cache_alloc(struct lay_cache *cache)
{
	struct lay_slot *slot = lay_self.cpu->slot[cache->id];
	void *object = slot_take(slot);

	return mw_likely(object) ? object : slot_more(slot);
}

static MW_NOINLINE void cache_free_other(struct lay_cache *cache, void *object)
{
	uintptr_t g = flat_granule((uintptr_t)object);
	flat_t *flat;
	unsigned int owner;

	if (!flat_is(g)) {
		free_stray(object, cache);
		return;
	}
	flat = flat_of(g);
	owner = flat_owner(flat, g);
	if (owner == OWNER_DESCRIBED)
		span_free_cached(object, span_of(object), cache);
	else if (flat->page[flat_nr_page(g)].granules &&
		 flat->page[flat_nr_page(g)].cache != cache->id)
		lay_report(LAY_WRONG_CACHE, object);
	else
		free_other(object, flat, g, owner);
}

void lay_cache_free(struct lay_cache *cache, void *object)
{
	uintptr_t g = flat_granule((uintptr_t)object);
	flat_t *flat;

	if (mw_likely(flat_is(g))) {
		flat = flat_of(g);
		if (mw_likely(flat_owner(flat, g) == lay_self.number &&
			      flat->page[flat_nr_page(g)].cache == cache->id &&
			      flat_free_exact(flat, g)))
			return;
	}
	cache_free_other(cache, object);
}

/* Pages begin with an object, so sizes that are a multiple of @align are what is needed, as in layout P. */
void *lay_aligned(size_t size, size_t align)
{
	struct lay_slot *slot;
	void *object;

	size = (size + align - 1) & -align;
	if (mw_unlikely(size > MW_FINE_MAX))
		return align <= PAGE && size > MW_SMALL_MAX ? span_alloc_large(size) : NULL;
	slot = lay_self.cpu->fine[(size + 7) / 8];
	while (mw_unlikely(slot->cache->size & (align - 1)))
		slot = lay_self.cpu->slot[slot->cache->id + 1];
	object = slot_take(slot);
	return mw_likely(object) ? object : slot_more(slot);
}

static inline size_t usable(const void *object)
{
	uintptr_t g = flat_granule((uintptr_t)object);
	flat_t *flat;

	if (mw_likely(flat_is(g))) {
		flat = flat_of(g);
		if (mw_likely(word_get(&flat->live[flat_nr_word(g)]) & bit_of(g)))
			return flat->page[flat_nr_page(g)].granules * 16ul;
	}
	return span_usable(object);
}

size_t lay_usable(const void *object)
{
	return usable(object);
}

void *lay_realloc(void *object, size_t size)
{
	size_t had = usable(object);
	void *other;

	if (mw_likely(size <= had && size >= had / 2))
		return object;
	if (!had)
		return NULL;
	other = lay_alloc_flags(size, 0);
	if (!other)
		return NULL;
	lay_copy(other, object, mw_min(size, had));
	lay_free(object);
	return other;
}

bool lay_marked(const void *object)
{
	uintptr_t g = flat_granule((uintptr_t)object);
	struct span *span = span_of(object);
	size_t index;

	if (flat_of(g)->page[flat_nr_page(g)].granules)
		return word_get(&flat_of(g)->mark[flat_nr_word(g)]) & bit_of(g);
	return span_index(span, object, &index) && span->mark_at &&
	       (word_get(&span->live[span->mark_at + index / 64]) & bit_of(index));
}

/* Live and remote bits, owner, what else is known of a page, and the map; 8 bytes a page for free runs, as in layout P. */
size_t lay_metadata(void)
{
	return lay_described_bytes +
	       lay_used_pages * (2 * 32 + 4 + sizeof(struct flat_page) + sizeof(map_word) + 8);
}
