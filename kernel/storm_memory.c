// SPDX-License-Identifier: MIT
/* Memory that runs out, and memory that comes and goes while all are at it. */
#include "storm.h"
#include "thread.h"

#define LEFT ((size_t)8 << 20) /* bytes that the storm is about; the rest is put aside */
#define ASIDE 1024u
#define MANY 256u /* objects of a thread, at most */

static struct {
	void *pages;
	size_t n;
} aside[ASIDE];

static void give_back_all(void)
{
	for (unsigned int i = 0; i < ASIDE; i++) {
		mw_pages_free(aside[i].pages, aside[i].n);
		aside[i].pages = NULL;
	}
}

static size_t free_pages(void)
{
	struct mw_page_stats pages;

	mw_page_stats(&pages);
	return pages.free + (pages.untouched >> MW_PAGE_SHIFT);
}

/* The longest runs first, halving what is asked for; their pages are never touched. */
static bool begin_memory(const struct storm_want *want)
{
	size_t n = free_pages(), left = LEFT >> MW_PAGE_SHIFT;

	if (!want->ns)
		return true;
	for (unsigned int i = 0; i < ASIDE && n; i++) {
		size_t free = free_pages();

		if (free <= left)
			break;
		n = n < free - left ? n : free - left;
		while (n && !(aside[i].pages = mw_pages_alloc(n, MW_ATOMIC)))
			n /= 2;
		aside[i].n = n;
	}
	return true;
}

static uint64_t *make(unsigned int i, size_t *words)
{
	static const size_t most[] = { 8, 64, 512, 4096, 16384 };
	uint64_t *object;

	*words = 1 + storm_below(i, most[storm_below(i, LEN(most))]);
	object = mw_alloc(8 * *words, MW_NORMAL);
	if (object)
		object[0] = object[*words - 1] = (uintptr_t)object;
	return object;
}

/* Until there is no more, or it has enough; then all goes back. */
static void work_memory(unsigned int i)
{
	struct {
		uint64_t *object;
		size_t words;
	} mine[MANY];

	while (!storm_is_over()) {
		size_t n = 0;

		while (n < MANY && (mine[n].object = make(i, &mine[n].words))) {
			n++;
			storm_step(i);
		}
		while (n--) {
			uint64_t *object = mine[n].object;

			if (object[0] != (uintptr_t)object ||
			    object[mine[n].words - 1] != (uintptr_t)object)
				storm_wrong("an object was overwritten while memory was short");
			mw_free(object);
		}
	}
}

const struct storm storm_memory = {
	.name = "memory",
	.help = "all allocate until there is no more",
	.begin = begin_memory,
	.work = work_memory,
	.end = give_back_all,
};

/*
 * ---- regions that come and go: memory is not short here, as Marrow's own records, which then lie in any
 * region, keep it for ever ----
 */

static struct {
	struct storm_want want;
	bool there;
} extra;

static bool begin_regions(const struct storm_want *want)
{
	extra.want = *want;
	extra.there = want->extra && mw_phys(want->extra) != UINT64_MAX;
	return true;
}

static void take_or_give(void)
{
	bool before = extra.there;

	if (!extra.there)
		extra.there =
			mw_region_add(extra.want.extra, extra.want.extra_phys, extra.want.extra_len);
	else
		extra.there = !mw_region_remove(extra.want.extra);
	if (extra.there != before)
		storm_step(0);
}

static void work_regions(unsigned int i)
{
	while (i == 0 && extra.want.extra && !storm_is_over()) {
		take_or_give();
		thread_sleep(2000000);
	}
	if (i)
		work_memory(i);
}

/*
 * All its memory is free now, and so it can be taken; unless memory was so short once that Marrow has
 * records of its own in it, which stay.
 */
static void end_regions(void)
{
	if (!extra.there)
		return;
	storm_gc_settle();
	storm_drain();
	(void)mw_region_remove(extra.want.extra);
}

const struct storm storm_regions = {
	.name = "regions",
	.help = "memory comes and goes meanwhile",
	.begin = begin_regions,
	.work = work_regions,
	.end = end_regions,
};
