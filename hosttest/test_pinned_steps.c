// SPDX-License-Identifier: MIT
/*
 * How much is done while this CPU is pinned once, where a call has much to do: each time it is no longer pinned an
 * interrupt looks how far the call has come. The instructions of ordinary calls are counted by `make pinned`.
 */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/object/inside.h"
#include "../mm/page/page.h"

/* Of the hosted port. */
__attribute__((weak)) void port_interrupt_set(void (*fn)(void *arg), void *arg);
__attribute__((weak)) void port_interrupt_each(bool on);

#define WIDE (sizeof(void *) == 8)

static struct {
	size_t (*progress)(void);
	size_t at, most;
	unsigned long turns;
} seen;

static void look(void *arg)
{
	size_t now = seen.progress();

	(void)arg;
	seen.most = mw_max(seen.most, now > seen.at ? now - seen.at : seen.at - now);
	seen.at = now;
	seen.turns++;
}

static void begin(size_t (*progress)(void))
{
	seen.progress = progress;
	seen.at = progress();
	seen.most = seen.turns = 0;
	port_interrupt_set(look, NULL);
	port_interrupt_each(true);
}

/* Something was done, and no more than @most of it between two looks. */
static void end(const char *what, size_t most)
{
	port_interrupt_each(false);
	look(NULL);
	port_interrupt_set(NULL, NULL);
	test_note("%s: %zu at most, %lu turns", what, seen.most, seen.turns);
	CHECK(seen.most > 0 && seen.most <= most);
}

/* ---- regions ---- */

static char *heap;

#define LONG_REGION ((size_t)64 << 30)
#define LEAVES (LONG_REGION >> MW_MAP_LEAF_SHIFT)

static size_t entries(void)
{
	size_t first = mw_pn(heap) >> MW_LEAF_PAGE_SHIFT, count = 0;

	for (size_t i = 0; i <= LEAVES; i++)
		count += mw_word((const mw_atomic_t *)&mw_map_root[first + i]) != 0;
	return count;
}

TEST_WITH(a_long_region, TEST_HOSTED)
{
	if (!WIDE)
		test_skip("no room for so long a region");
	test_heap(MIB);
	heap = test_memory(LONG_REGION);
	begin(entries);
	NEED(mw_region_add_zeroed(heap, (uint64_t)1 << 40, LONG_REGION));
	end("comes", MW_MAP_STEP);
	CHECK(entries() >= LEAVES);
	CHECK(mw_page_check());
	begin(entries);
	NEED(mw_region_remove(heap));
	end("goes", MW_MAP_STEP);
	CHECK_EQ(entries(), 0);
	CHECK(mw_page_check());
}

/* ---- many records, caches, spans ---- */

static struct mw_fixed fixed;

static size_t records_used(void)
{
	struct mw_fixed_chunk *chunk = atomic_load_explicit(&fixed.chunks, memory_order_relaxed);
	size_t used = 0;

	for (; chunk; chunk = chunk->next)
		used += mw_word(&chunk->used);
	return used;
}

TEST_WITH(fresh_records_that_become_free, TEST_HOSTED)
{
	test_heap(4 * MIB);
	mw_fixed_init(&fixed, 16, MW_USE_OTHER, NULL);
	NEED(mw_fixed_stock(&fixed, 1000));
	begin(records_used);
	NEED(mw_fixed_stock(&fixed, 2000));
	end("become free", 64);
	CHECK(mw_fixed_check(&fixed));
}

static size_t caches_with_aids(void)
{
	size_t count = 0;

	for (unsigned int i = 0; i < MW_NR_BUILTIN; i++)
		count += mw_word(&mw_object.builtin[i].debug) != 0;
	return count;
}

TEST_WITH(rules_for_many_caches, TEST_HOSTED)
{
	test_heap(4 * MIB);
	mw_free(mw_alloc(8, 0));
	begin(caches_with_aids);
	NEED(mw_debug_set("FZPU"));
	end("get aids", 8);
	begin(caches_with_aids);
	NEED(mw_debug_set("-"));
	end("lose them", 8);
}
