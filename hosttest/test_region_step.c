// SPDX-License-Identifier: MIT
/*
 * A region leaves while another CPU looks something up in it, with a switch at each instruction of the look-up
 * in turn. What left can be neither read nor written: who still follows the page map into it faults.
 */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "page_heap.h"
#include "../mm/watch/map.h"

#define MOST 20000u /* instructions: more than there are */
#define LEAST 15u
#define PHYS ((uint64_t)1 << 40)
#define TABLE ((size_t)1 << MW_MAP_TABLE_SHIFT)

static struct {
	char *region;
	size_t bytes;
	bool removed;
	struct mw_place place;
	uint64_t found;
} leaving;

static void leave(void *arg)
{
	(void)arg;
	leaving.removed = mw_region_remove(leaving.region);
	if (leaving.removed)
		NEED(mw_port_protect(leaving.region, leaving.bytes, true));
}

static void come(void)
{
	struct mw_pages want = { .count = 4, .at = leaving.region + MIB / 2 };
	char *pages;

	NEED(mw_port_protect(leaving.region, leaving.bytes, false));
	NEED(mw_region_add(leaving.region, PHYS, leaving.bytes));
	/* So that the leaf is awake. */
	pages = mw_pages_alloc_as(&want);
	NEED(pages);
	mw_pages_free(pages, want.count);
}

static void say_nothing(const struct mw_report *report)
{
	(void)report;
}

static void each_step(void (*look)(void *arg), size_t bytes)
{
	unsigned long at = 0, left = 0;
	mw_misuse_fn *before;
	bool more;

	test_heap(16 * MIB);
	leaving.bytes = bytes;
	leaving.region = test_memory(bytes + TABLE);
	leaving.region = (char *)(((uintptr_t)leaving.region + TABLE - 1) & ~(uintptr_t)(TABLE - 1));
	before = mw_on_misuse(say_nothing);
	do {
		come();
		more = test_step(look, leave, leaving.region + MIB / 2 + 3 * PAGE, at++);
		if (!leaving.removed)
			leave(NULL);
		NEED(leaving.removed);
		left++;
	} while (more && at < MOST);
	mw_on_misuse(before);
	NEED(mw_port_protect(leaving.region, leaving.bytes, false));
	CHECK_EQ(left, at);
	CHECK(at > LEAST && at < MOST);
	CHECK(mw_page_check());
	test_note("%lu instructions", at);
}

/* A region that is in mw_map_flat, and one that is not. */
#define LOOKS(name_)                                                                               \
	TEST_WITH(name_, TEST_HOSTED)                                                              \
	{                                                                                          \
		each_step(look_##name_, 2 * TABLE);                                                \
		each_step(look_##name_, 2 * MIB);                                                  \
	}

static void look_lookup(void *address)
{
	(void)mw_lookup(address, &leaving.place);
}
LOOKS(lookup)

static void look_usable_size(void *address)
{
	leaving.found = mw_usable_size(address);
}
LOOKS(usable_size)

static void look_free_of_no_object(void *address)
{
	mw_free(address);
}
LOOKS(free_of_no_object)

static void look_free_sized_of_no_object(void *address)
{
	mw_free_sized(address, 64);
}
LOOKS(free_sized_of_no_object)

static void look_realloc_of_no_object(void *address)
{
	(void)mw_realloc(address, 5000, MW_NORMAL);
}
LOOKS(realloc_of_no_object)

static void look_free_of_free_page(void *address)
{
	mw_pages_free(address, 1);
}
LOOKS(free_of_free_page)

static void look_free_of_free_pages(void *address)
{
	mw_pages_free(address, 3);
}
LOOKS(free_of_free_pages)

static void look_phys(void *address)
{
	uint64_t phys = mw_phys(address);

	if (phys != UINT64_MAX)
		CHECK_EQ(phys - PHYS, (char *)address - leaving.region);
}
LOOKS(phys)

static void look_virt(void *address)
{
	void *virt = mw_virt(PHYS + (size_t)((char *)address - leaving.region));

	if (virt)
		CHECK_PTR(virt, address);
}
LOOKS(virt)

/* The first pieces of what the pictures of all regions are made of. */
static void look_map(void *address)
{
	struct mw_map_cursor cursor;
	struct mw_map_run run;

	(void)address;
	for (size_t i = 0; mw_map_begin(&cursor, i); i++) {
		for (unsigned int piece = 0; piece < 4 && mw_map_next(&cursor, &run); piece++)
			leaving.found += run.pages;
	}
}
LOOKS(map)

#if MW_GC
static void look_is_object(void *address)
{
	(void)mw_gc_is_object(address);
}
LOOKS(is_object)

static void look_tag(void *address)
{
	(void)mw_tag_get(address);
	(void)mw_tag_set(address, 1);
}
LOOKS(tag)
#endif
