// SPDX-License-Identifier: MIT
/*
 * Calls of rooms that are not in the tree yet, so that the kernel links: each says that there is
 * nothing. A real definition takes the place of a weak one.
 */
#include <marrow/mm.h>
#include <marrow/watch.h>
#include "../mm/base/meta.h"

#define ABSENT __attribute__((weak))

ABSENT size_t mw_region_add(void *base, uint64_t phys, size_t len)
{
	(void)base, (void)phys, (void)len;
	return 0;
}

ABSENT uint64_t mw_phys(const void *address)
{
	(void)address;
	return UINT64_MAX;
}

ABSENT void *mw_pages_alloc(size_t count, mw_flags_t flags)
{
	(void)count, (void)flags;
	return NULL;
}

ABSENT void mw_pages_free(void *pages, size_t count)
{
	(void)pages, (void)count;
}

ABSENT void *mw_alloc(size_t size, mw_flags_t flags)
{
	(void)size, (void)flags;
	return NULL;
}

ABSENT void mw_free(void *object)
{
	(void)object;
}

ABSENT void mw_free_sized(void *object, size_t size)
{
	(void)object, (void)size;
}

ABSENT size_t mw_usable_size(const void *object)
{
	(void)object;
	return 0;
}

ABSENT bool mw_lookup(const void *address, struct mw_place *place)
{
	(void)address;
	*place = (struct mw_place){ 0 };
	return false;
}

ABSENT bool mw_debug_set(const char *spec)
{
	(void)spec;
	return false;
}

ABSENT bool mw_heap_check(void)
{
	return true;
}

ABSENT void mw_page_stats(struct mw_page_stats *stats)
{
	*stats = (struct mw_page_stats){ 0 };
}

ABSENT void mw_stats(struct mw_stats *stats)
{
	*stats = (struct mw_stats){ 0 };
}

ABSENT void mw_print_meminfo(void)
{
}

ABSENT void mw_print_buddyinfo(void)
{
}

ABSENT void mw_print_slabinfo(void)
{
}

ABSENT void mw_print_map(unsigned int columns, bool colour)
{
	(void)columns, (void)colour;
}

ABSENT void *mw_up_meta_pages(size_t bytes)
{
	(void)bytes;
	return NULL;
}
