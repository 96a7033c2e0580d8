// SPDX-License-Identifier: MIT
/*
 * Memory for leak scans, which are wanted most when there is none left. It is put aside while the
 * heap is open, given back for the length of a scan, and taken again. What a scan needs is two bits
 * for each object that is managed by hand and a record for each span: up to a thirty-second of the
 * heap, and it asks for an eighth more.
 */
#include <marrow/gc.h>
#include "kernel.h"
#include "scratch.h"
#include "thread.h"

#define PART 28u /* of the heap's pages, one in so many */
#define RUNS 64u
#define RUN_LEAST ((size_t)16) /* pages */

/* There is none where the collector was left out. */
__attribute__((weak)) size_t mw_leak_scan(const struct mw_leak_want *want);

static MUTEX(lock);

static struct {
	bool open;
	size_t pages; /* in all runs */
	struct {
		void *pages;
		size_t n;
	} run[RUNS];
} scratch; /* guarded by the lock */

static size_t pages_wanted(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return (stats.bytes >> MW_PAGE_SHIFT) / PART;
}

/* As much as is wanted, as far as there is so much. */
static void take(void)
{
	size_t wanted = pages_wanted(), most = wanted / (RUNS / 2) + RUN_LEAST;

	for (unsigned int i = 0; i < RUNS && scratch.pages < wanted; i++) {
		size_t n = most < wanted - scratch.pages ? most : wanted - scratch.pages;

		if (scratch.run[i].pages)
			continue;
		scratch.run[i].pages = mw_pages_alloc(n, MW_NORMAL | MW_NO_SHRINK);
		if (!scratch.run[i].pages)
			break;
		scratch.run[i].n = n;
		scratch.pages += n;
	}
}

static void give(void)
{
	for (unsigned int i = 0; i < RUNS; i++) {
		mw_pages_free(scratch.run[i].pages, scratch.run[i].n);
		scratch.run[i].pages = NULL;
	}
	scratch.pages = 0;
}

void scratch_open(void)
{
	mutex_lock(&lock);
	scratch.open = mw_leak_scan != NULL;
	if (scratch.open)
		take();
	mutex_unlock(&lock);
}

void scratch_close(void)
{
	mutex_lock(&lock);
	give();
	scratch.open = false;
	mutex_unlock(&lock);
}

void scratch_without(void (*fn)(void *arg), void *arg)
{
	mutex_lock(&lock);
	give();
	fn(arg);
	if (scratch.open)
		take();
	mutex_unlock(&lock);
}

size_t scratch_bytes(void)
{
	size_t pages;

	mutex_lock(&lock);
	pages = scratch.pages;
	mutex_unlock(&lock);
	return pages << MW_PAGE_SHIFT;
}

struct scan {
	const struct mw_leak_want *want;
	size_t found;
};

static void scan(void *arg)
{
	struct scan *scan = arg;

	scan->found = mw_leak_scan(scan->want);
}

size_t scratch_leak_scan(const struct mw_leak_want *want)
{
	struct scan it = { .want = want };

	if (mw_leak_scan)
		scratch_without(scan, &it);
	return it.found;
}
