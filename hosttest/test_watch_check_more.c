// SPDX-License-Identifier: MIT
/*
 * mw_heap_check() against broken heaps: records' allocators, the flat map, debug aids, tables. As
 * in test_watch_check.c.
 */
#include "planted.h"
#include "special.h"
#include <marrow/watch.h>
#include "../mm/object/inside.h"
#include "../mm/page/page.h"

/* Spans come and go, so that their records' allocator has one chunk or more, and a list. */
static struct mw_fixed *make_records(void)
{
	void *object[40];

	test_heap(8 << 20);
	for (size_t i = 0; i < MW_LEN(object); i++)
		NEED(object[i] = mw_alloc(50000, MW_NORMAL));
	for (size_t i = 0; i < MW_LEN(object); i++)
		mw_free(object[i]);
	mw_cpu_stop();
	NEED(mw_page.spans.free && mw_page.spans.chunks);
	return &mw_page.spans;
}

TEST(names_what_is_wrong_with_an_allocator_of_records)
{
	struct mw_fixed *fixed = make_records();
	struct mw_fixed_chunk *chunk = fixed->chunks;

	PLANT(chunk->used, chunk->records + 1, "mw_get(&chunk->used) <= chunk->records");
	PLANT(chunk->base, (uintptr_t)chunk->base + 4, "chunk->base % align == 0");
	PLANT(fixed->fresh, (uintptr_t)fixed->fresh - fixed->size, "fixed->fresh ==");
	PLANT(fixed->spare, mw_word(&fixed->spare) + 1, "records == mw_get(&fixed->in_use)");
	PLANT(fixed->free, (uintptr_t)fixed->free + 8, "mw_fixed_home(fixed, record)");
	PLANT(*(void **)fixed->free, fixed->free, "++n <= spare");
	PLANT(fixed->free, 0, "n == spare");
	CHECK(mw_heap_check());
}

TEST(names_what_is_wrong_with_lost_pages)
{
	void *page;

	test_heap(8 << 20);
	NEED(page = mw_pages_alloc(1, MW_NORMAL));
	PLANT(mw_page.lost, 1, "found.lost == mw_page.lost");
	PLANT(mw_page.lent, mw_page.lent + 1, "mw_page.lent");
	mw_pages_free(page, 1);
}

TEST_WITH(names_what_is_wrong_with_the_flat_map, TEST_HOSTED)
{
	const size_t table = (size_t)1 << MW_MAP_TABLE_SHIFT;
	char *memory = test_memory(2 * table), *small = test_memory(2 << 20);
	void *object;

	test_heap(4 * MW_PAGE_SIZE);
	mw_reset();
	memory = (char *)mw_round_up((uintptr_t)memory, table);
	NEED(mw_region_add(small, 64 << 20, 2 << 20));
	NEED(mw_region_add(memory, 256 << 20, table));
	NEED(object = mw_alloc(4 << 20, MW_NORMAL));
	NEED(mw_map_flat.pages);
	PLANT(mw_map_flat.most, 0, "pages <= mw_map_flat.most");
	PLANT(mw_map_flat.shut, 1, "!mw_map_flat.shut");
	PLANT(mw_map_flat.bias, mw_map_flat.bias + MW_PAGE_SIZE, "mw_map_flat.bias");
	mw_free(object);
}

/* ---- debug aids ---- */

TEST(names_what_is_wrong_with_a_span_with_aids)
{
	struct mw_span *span;
	char *object[3];

	test_heap(8 << 20);
	NEED(mw_debug_set("ZP,alloc-*"));
	for (size_t i = 0; i < MW_LEN(object); i++)
		NEED(object[i] = mw_alloc(64, MW_NORMAL));
	mw_free(object[1]);
	span = mw_span_of(object[0]);
	PLANT(span->where, MW_WHERE_FULL, "owner == MW_OWNER_DEBUG");
	PLANT(span->owner, MW_OWNER_NONE, "owner == MW_OWNER_DEBUG");
	PLANT(span->debug->some, span->debug->some + 1, "span->debug->some == some");
	PLANT(object[0][64], 1, "mw_aid_bad_zone");
	PLANT(object[0][-1], 1, "mw_aid_bad_zone");
	PLANT(object[1][0], 1, "mw_aid_bad_poison");
	PLANT(object[1][63], 1, "mw_aid_bad_poison");
	mw_free(object[0]);
	mw_free(object[2]);
	CHECK(mw_debug_set("-"));
}

TEST(names_a_span_in_the_wrong_list_of_a_cpu)
{
	struct mw_slot *slot;
	struct mw_span *span;
	unsigned long state;
	struct mw_cpu *cpu;
	void *object;

	test_heap(8 << 20);
	NEED(object = mw_alloc(100, MW_NORMAL));
	span = mw_span_of(object);
	state = mw_port_pin();
	cpu = mw_cpu_here();
	mw_port_unpin(state);
	slot = cpu->slot[span->cache->id];
	NEED(slot->span == span);
	PLANT(span->where, MW_WHERE_AVAIL, "slot->span->where == MW_WHERE_CURRENT");
	PLANT(span->where, MW_WHERE_NOWHERE, "MW_WHERE_CENTRAL_FULL");
	PLANT(slot->ahead, slot->ready ? slot->ready & (0 - slot->ready) : 1, "slot->ahead");
	mw_free(object);
}

#if MW_WATCH && MW_GC

/* ---- tables and records ---- */

TEST(names_what_is_wrong_with_a_table)
{
	struct mw_weak_table *table;
	struct mw_table_entry **chain, *entry = NULL;
	void *key[8];

	setup(8 << 20);
	test_heap_may_leak();
	NEED(table = mw_weak_table_new("broken"));
	for (size_t i = 0; i < MW_LEN(key); i++) {
		NEED(key[i] = mw_alloc(64, MW_COLLECTED));
		root[i] = key[i];
		NEED(mw_weak_table_put(table, key[i], key[0]));
	}
	for (size_t i = 0; !entry && (chain = mw_table_chain(table, i)); i++)
		entry = *chain;
	NEED(entry);
	PLANT(table->count, table->count - 1, "n++ < table->count");
	PLANT(table->count, table->count + 1, "n == table->count");
	PLANT(entry->key, &table, "e->key");
	PLANT(entry->shown, 1, "!e->shown");
	PLANT(mw_special.entries.in_use, mw_word(&mw_special.entries.in_use) + 1,
	      "entries == mw_word(&mw_special.entries.in_use)");
	mw_weak_table_free(table);
	CHECK(mw_gc_root_remove(root));
}

TEST(names_what_is_wrong_with_one_record)
{
	struct mw_record *record = NULL;
	struct mw_span *span;
	void *object, *plain;

	test_heap(8 << 20);
	NEED(object = mw_alloc(96, MW_NORMAL));
	NEED(plain = mw_alloc(500, MW_NORMAL));
	NEED(mw_tag_set(object, 1));
	span = mw_span_of(object);
	for (size_t i = 0; !record && i < mw_record_lists(span); i++)
		record = *mw_record_list(span, i);
	NEED(record);
	PLANT(record->offset, span->count * span->stride, "index < span->count");
	PLANT(mw_span_of(plain)->sampled, 1, "&span->sampled");
	PLANT(mw_span_of(plain)->told, 1, "!span->told");
	mw_free(object);
	mw_free(plain);
}

TEST(names_marks_that_are_left)
{
	struct mw_span *span;

	setup(8 << 20);
	NEED(root[0] = mw_alloc(64, MW_COLLECTED));
	collect();
	span = mw_span_of(root[0]);
	PLANT(span->mark[0], 1, "!mw_word(&span->mark[w])");
	root[0] = NULL;
	collect();
	test_heap_may_leak();
	CHECK(mw_gc_root_remove(root));
}

#endif
