// SPDX-License-Identifier: MIT
/*
 * mw_heap_check() against broken heaps: in each structure an invariant is broken, one at a time, and the
 * check must name that one. Then it is mended, and the heap must be well again.
 */
#include "planted.h"
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "../mm/object/inside.h"
#include "../mm/watch/watch.h"

/* ---- the page heap ---- */

/* A run of raw pages, and the region that it is in. */
struct pages {
	char *run;
	struct mw_region *region;
};

static struct pages make_pages(void)
{
	unsigned long state;
	struct pages p;

	test_heap(8 << 20);
	p.run = mw_pages_alloc(20, MW_NORMAL);
	NEED(p.run);
	state = mw_port_pin();
	p.region = mw_region_of(mw_pn(p.run));
	mw_port_unpin(state);
	NEED(p.region);
	return p;
}

static void drop_pages(struct pages *p)
{
	mw_pages_free(p->run, 20);
	CHECK(mw_heap_check());
}

TEST(names_what_is_wrong_with_a_region)
{
	struct pages p = make_pages();
	struct mw_region *region = p.region;

	PLANT(region->frontier, region->frontier + 1, "region->frontier");
	PLANT(region->own, region->own + 1000000, "region->own");
	PLANT(region->used, region->used + 1, "region->used");
	PLANT(region->ends.n, region->ends.n - 1, "region->ends.n");
	PLANT(region->gap, mw_region_gap(region) + 1, "region->gap");
	drop_pages(&p);
}

TEST(names_what_is_wrong_with_the_page_map)
{
	struct pages p = make_pages();
	size_t pn = mw_pn(p.run);
	mw_map_word *word = mw_map_at(pn);
	uintptr_t raw = mw_map_read(pn);

	if (MW_DEBUG)
		test_skip("its assertions are asked before the check has found anything");
	PLANT(*word, mw_map_word_of(MW_TAG_RAW, mw_map_id(raw), 0), "raw run");
	PLANT(*word, mw_map_word_of(MW_TAG_RAW, mw_map_id(raw) ^ 1, 20), "raw run");
	PLANT(*word, mw_map_word_of(MW_TAG_RAW, mw_map_id(raw), MW_PN_MASK), "raw run");
	PLANT(*word, mw_map_word_of(MW_TAG_END, mw_map_id(raw), 20), "end without head");
	/* A free run that the index does not know. */
	PLANT(*word, mw_map_word_of(MW_TAG_HEAD, mw_map_id(raw), 20), "run");
	PLANT(*word, mw_map_word_of(MW_TAG_SINGLE, mw_map_id(raw), 0), "region->ends");
	drop_pages(&p);
}

TEST(names_what_is_wrong_with_the_index_of_runs)
{
	struct pages p = make_pages();
	struct mw_zone *zone = &mw_page.zone[p.region->zone];

	PLANT(zone->summary, zone->summary ^ 1ul << (MW_LIST_WORDS - 1), "zone->summary");
	PLANT(zone->by_order[0], zone->by_order[0] + 1, "mw_run_count(zone)");
	PLANT(zone->used, zone->used + 1, "zone->used");
	PLANT(zone->singles[0], zone->singles[0] ^ 1ul << p.region->id % MW_WORD_BITS,
	      "zone->singles");
	PLANT(p.region->ends.level[p.region->ends.levels - 1][0],
	      ~p.region->ends.level[p.region->ends.levels - 1][0], "mw_tree_check");
	drop_pages(&p);
}

TEST(names_what_is_wrong_with_the_totals)
{
	struct pages p = make_pages();

	PLANT(mw_page.raw, mw_page.raw + 1, "found.raw == mw_page.raw");
	PLANT(mw_page.objects, mw_page.objects + 1, "mw_page.objects + mw_page.lent");
	PLANT(mw_page.spans.spare, mw_word(&mw_page.spans.spare) + 1, "fixed");
	PLANT(mw_page.regions.in_use, mw_word(&mw_page.regions.in_use) + 1, "fixed");
	drop_pages(&p);
}

/* ---- objects ---- */

struct objects {
	void *object[3];
	struct mw_span *span;
	struct mw_cache *cache;
	struct mw_slot *slot;
	struct mw_cpu *cpu;
};

/* Spans on which this CPU is at work. */
static struct objects make_objects(void)
{
	struct objects o;
	unsigned long state;

	test_heap(8 << 20);
	for (size_t i = 0; i < MW_LEN(o.object); i++) {
		o.object[i] = mw_alloc(100, MW_NORMAL);
		NEED(o.object[i]);
	}
	o.span = mw_span_of(o.object[0]);
	o.cache = mw_class_cache(MW_POLICY_HAND, 100);
	state = mw_port_pin();
	o.cpu = mw_cpu_here();
	mw_port_unpin(state);
	NEED(o.span && o.cpu);
	o.slot = o.cpu->slot[o.cache->id];
	NEED(o.slot->span == o.span);
	return o;
}

static void drop_objects(struct objects *o)
{
	for (size_t i = 0; i < MW_LEN(o->object); i++)
		mw_free(o->object[i]);
	CHECK(mw_heap_check());
}

TEST(names_what_is_wrong_with_a_span)
{
	struct objects o = make_objects();
	struct mw_span *span = o.span;
	size_t last = span->words - 1;

	PLANT(span->count, 0, "span->count && span->words");
	PLANT(span->words, 0, "span->count && span->words");
	PLANT(span->stride, span->stride * 4096, "span->stride");
	PLANT(span->magic, span->magic + (span->magic >> 1), "mw_span_index");
	/* A bit that stands for no object, and is not set. */
	NEED(span->count % MW_WORD_BITS);
	PLANT(span->free[last], mw_word(&span->free[last]) & (mw_bit(span->count) - 1),
	      "mw_span_mask");
	PLANT(span->remote[0], mw_word(&span->free[0]) & (0 - mw_word(&span->free[0])),
	      "free & remote");
	PLANT(span->remote[0], 1, "mw_span_pending");
	PLANT(span->size, span->size + 8, "span->cache->size == span->size");
	PLANT(o.cache->live, false, "span->cache->live");
	PLANT(span->owner, MW_OWNER_NONE, "owner < MW_MAX_CPUS");
	PLANT(span->where, MW_WHERE_FULL, "owner & MW_OWNER_FULL");
	PLANT(span->where, MW_WHERE_CENTRAL_SOME, "MW_OWNER_NONE");
	PLANT(span->where, MW_WHERE_CENTRAL_FULL, "MW_OWNER_NONE");
	drop_objects(&o);
}

TEST(names_what_is_wrong_with_a_large_object)
{
	void *object;
	struct mw_span *span;

	test_heap(8 << 20);
	object = mw_alloc(100000, MW_NORMAL);
	NEED(object);
	span = mw_span_of(object);
	PLANT(span->owner, MW_OWNER_NONE, "MW_OWNER_LARGE");
	PLANT(span->holder, 0, "mw_span_holder");
	mw_free(object);
	CHECK(mw_heap_check());
}

TEST(names_what_is_wrong_with_a_cpu)
{
	struct objects o = make_objects();

	PLANT(o.slot->spans, o.slot->spans + 1, "count == slot->spans");
	PLANT(o.slot->mask, 1, "mw_mask_ok");
	PLANT(o.slot->behind, 1, "mw_mask_ok");
	PLANT(o.slot->ready, 1, "slot->ready");
	PLANT(o.slot->base, (uintptr_t)o.slot->base + 8, "slot->base");
	PLANT(o.slot->span, 0, "slot->spans");
	PLANT(o.cpu->owned_count, o.cpu->owned_count + 1, "cpu->owned_count");
	PLANT(o.cpu->stock.pages, o.cpu->stock.pages + 1, "cpu->stock.pages");
	drop_objects(&o);
}

TEST(names_what_is_wrong_with_a_cache)
{
	struct objects o = make_objects();
	unsigned long state = mw_port_pin();
	struct mw_list *link;

	/* All spans to the cache, so that its list has one. */
	for (int i = 0; i < 3; i++)
		(void)mw_slot_flush(o.cpu, o.slot, 100);
	mw_port_unpin(state);
	link = &o.span->link;
	NEED(o.span->where == MW_WHERE_CENTRAL_SOME);
	PLANT(link->prev, (uintptr_t)link, "it->next->prev == it");
	PLANT(o.span->where, MW_WHERE_CENTRAL_FULL, "span->where == where");
	PLANT(o.cache->spans, o.cache->spans + 1, o.cache->name);
	PLANT(o.cache->pages, o.cache->pages + 1, o.cache->name);
	drop_objects(&o);
}
