/* SPDX-License-Identifier: MIT */
/* What the page heap asks of the rooms above, when memory is out. */
#ifndef MW_PAGE_UP_H
#define MW_PAGE_UP_H

#include <marrow/mm.h>

/* Steps 0, 1, ... of mw_up_reclaim() are fewer than this. */
#define MW_RECLAIM_SHRINK 16

/*
 * Defined by mm/object, if it is there: give pages back, the cheapest way first: empty spans that
 * caches keep, what can be swept, a collection. @step counts from 0 for a request; with MW_ATOMIC
 * in @flags nothing may wait. No lock is held; mw_span_free() and mw_pages_free() may be called,
 * nothing that allocates pages. Return: true if the request should be tried again, then the next
 * step is asked; false if there are no further steps.
 */
bool mw_up_reclaim(size_t pages, mw_flags_t flags, unsigned int step) __attribute__((weak));

/* The same; a kernel of pages alone has nobody to ask. */
static inline bool mw_reclaim_above(size_t pages, mw_flags_t flags, unsigned int step)
{
	return mw_up_reclaim && mw_up_reclaim(pages, flags, step);
}

/*
 * The whole way of oom.c, for whoever got NULL: start with *step == 0, try again after true. Locks:
 * none, unless MW_ATOMIC: then none at or behind MW_RANK_STOCK. What could not be had even if all
 * memory were free is refused at once. @align: in bytes, 0: a page.
 */
bool mw_page_reclaim(size_t pages, size_t align, mw_flags_t flags, unsigned int *step);

/* Would there be so many pages if @more of those in use were free, next to all that are? */
bool mw_page_would(size_t pages, size_t more);

/* mw_persist() or mw_fixed_alloc() had no memory: move free pages to them. Return: try again. */
bool mw_meta_refill(void);

/*
 * Say in @report what the pages at an address in no span are now: what, text, span; and object if it is a run in
 * use. Takes as long as that run, without a lock.
 */
void mw_page_stray(const void *address, struct mw_report *report);
/*
 * Is it in a page of a region that nobody has: free, or never handed out? Not pinned, no lock held.
 */
bool mw_page_is_nobodys(const void *address);

/* This CPU's stock goes back: part of mw_cpu_stop(). */
void mw_page_cpu_stop(void);

#endif
