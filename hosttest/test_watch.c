// SPDX-License-Identifier: MIT
/* Statistics and tables: they say what was done. */
#include "test.h"
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "../mm/watch/watch.h"

static struct mw_stats now(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return stats;
}

TEST(counts_objects)
{
	static const size_t sizes[] = { 1, 16, 100, 1000, 5000, 40000, 1 << 20 };
	void *objects[MW_LEN(sizes)];
	struct mw_stats before, after;
	size_t bytes = 0;

	test_heap(16 << 20);
	before = now();
	CHECK_EQ(before.live_objects, 0);
	for (size_t i = 0; i < MW_LEN(sizes); i++) {
		objects[i] = mw_alloc(sizes[i], MW_NORMAL);
		NEED(objects[i]);
		bytes += mw_usable_size(objects[i]);
	}
	after = now();
	CHECK_EQ(after.live_objects, MW_LEN(sizes));
	CHECK_EQ(after.live_bytes, bytes);
	CHECK_EQ(after.allocs - before.allocs, MW_LEN(sizes));
	CHECK_EQ(after.frees, before.frees);
	CHECK(after.page.objects << MW_PAGE_SHIFT >= bytes);
	CHECK(after.page.objects << MW_PAGE_SHIFT >= after.live_bytes + after.cached_bytes);
	for (size_t i = 0; i < MW_LEN(sizes); i++)
		mw_free(objects[i]);
	after = now();
	CHECK_EQ(after.live_objects, 0);
	CHECK_EQ(after.live_bytes, 0);
	CHECK_EQ(after.frees - before.frees, MW_LEN(sizes));
}

TEST(adds_up)
{
	void *object, *pages;
	struct mw_stats stats;
	size_t uses = 0;

	test_heap(16 << 20);
	object = mw_alloc(100, MW_NORMAL);
	pages = mw_pages_alloc(5, MW_NORMAL);
	NEED(object && pages);
	stats = now();
	CHECK_EQ(stats.page.raw, 5);
	CHECK_EQ((stats.page.free + stats.page.raw + stats.page.objects + stats.page.stocked)
			 << MW_PAGE_SHIFT,
		 stats.page.bytes - stats.page.metadata);
	for (size_t i = 0; i < MW_LEN(stats.metadata_by_use); i++)
		uses += stats.metadata_by_use[i];
	CHECK(uses && uses + stats.metadata_spare <= stats.page.metadata);
	CHECK_EQ(stats.misuses, 0);
	test_expect_misuse(MW_WRONG_KIND);
	mw_free(pages);
	(void)test_misuse_came();
	CHECK_EQ(now().misuses, 1);
	mw_pages_free(pages, 5);
	mw_free(object);
}

/* The cheap figure is bent; the check that compares it with the exact one must say so. */
TEST(check_finds_wrong_counts)
{
	void *object;

	test_heap(4 << 20);
	object = mw_alloc(100, MW_NORMAL);
	NEED(object);
	CHECK(mw_heap_check());
	mw_class_cache(MW_POLICY_HAND, 100)->spans++;
	test_capture();
	CHECK(!mw_watch_check());
	(void)test_captured();
	mw_class_cache(MW_POLICY_HAND, 100)->spans--;
	mw_page.objects++;
	test_capture();
	CHECK(!mw_watch_check());
	CHECK(test_has(test_captured(), "pages of spans"));
	mw_page.objects--;
	CHECK(mw_heap_check());
	mw_free(object);
}

TEST(meminfo_says_it)
{
	void *pages, *object;
	char line[64];
	struct mw_stats stats;

	test_heap(16 << 20);
	pages = mw_pages_alloc(3, MW_NORMAL);
	object = mw_alloc(100, MW_NORMAL);
	NEED(pages && object);
	test_capture();
	mw_print_meminfo();
	stats = now();
	mw_format(line, sizeof(line), "MemTotal:          %10zu KiB\n", stats.page.bytes >> 10);
	CHECK(test_has(test_captured(), line));
	mw_format(line, sizeof(line), "\nPages:             %10zu KiB\n", 3 * MW_PAGE_SIZE >> 10);
	CHECK(test_has(test_captured(), line));
	test_capture();
	mw_print_buddyinfo();
	CHECK(test_has(test_captured(), "zone"));
	mw_format(line, sizeof(line), "%zu", stats.page.zone[2].low_water);
	CHECK(!stats.page.zone[2].pages || test_has(test_captured(), line));
	mw_pages_free(pages, 3);
	mw_free(object);
}

static unsigned long number_at(const char *text)
{
	unsigned long n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + (unsigned long)(*text++ - '0');
	return n;
}

static const char *after(const char *text, const char *part)
{
	size_t len = 0;

	while (part[len])
		len++;
	for (; *text; text++)
		if (!__builtin_memcmp(text, part, len))
			return text + len;
	return NULL;
}

/* What the letters of one region stand for, in KiB. */
struct drawn {
	size_t each, all, pages;
};

/* Return: what follows the region's rows. */
static const char *read_region(const char *text, struct drawn *drawn)
{
	*drawn = (struct drawn){ .each = number_at(text) };
	while (*text && *text != '\n')
		text++;
	while (text[0] == '\n' && text[1] == ' ')
		for (text += 3; *text && *text != '\n'; text++) {
			drawn->all += drawn->each;
			if (*text == 'P')
				drawn->pages += drawn->each;
		}
	return text;
}

/*
 * Half of all memory is one run of pages. A letter of another region stands for another number of
 * pages, so each counts with its own; few columns, so that the text of many regions is not cut.
 */
TEST(map_shows_pages)
{
	size_t bytes = test_heap(16 << 20), half = bytes / 2 >> MW_PAGE_SHIFT, regions = 0;
	size_t kib = half << MW_PAGE_SHIFT >> 10, pages = 0, error = 0;
	void *run = mw_pages_alloc(half, MW_NORMAL);
	struct mw_region_stats region;
	const char *text, *next;
	struct drawn drawn;

	NEED(run);
	test_capture();
	mw_print_map(16, false);
	text = test_captured();
	for (; (next = after(text, "a letter for ")); text = next, regions++) {
		next = read_region(next, &drawn);
		NEED(mw_region_stats(regions, &region) && drawn.each);
		/* All of the region, and less than a letter more. */
		CHECK(drawn.all >= region.pages << MW_PAGE_SHIFT >> 10);
		CHECK(drawn.all < (region.pages << MW_PAGE_SHIFT >> 10) + drawn.each);
		pages += drawn.pages;
		error = mw_max(error, drawn.each);
	}
	CHECK_EQ(regions, now().page.regions);
	/* A letter at each end of the run may be mostly something else. */
	CHECK(pages <= kib + error && pages + error >= kib);
	mw_pages_free(run, half);
}

#if MW_GC
TEST(remembers_pauses)
{
	struct mw_pause pauses[MW_PAUSES];
	struct mw_stats stats;
	uint64_t sum = 0, last;

	test_heap(8 << 20);
	for (unsigned int i = 0; i < 3; i++)
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	stats = now();
	CHECK_EQ(stats.cycles, 3);
	CHECK_EQ(stats.pauses, 3);
	CHECK_EQ(mw_pauses(pauses, MW_PAUSES), 3);
	for (unsigned int i = 0; i < 3; i++) {
		sum += pauses[i].ns;
		CHECK(pauses[i].ns <= stats.pause_max_ns);
		CHECK(!i || pauses[i].end >= pauses[i - 1].end + pauses[i].ns);
	}
	CHECK_EQ(sum, stats.pause_total_ns);
	last = pauses[2].end;
	for (unsigned int i = 0; i < MW_PAUSES; i++)
		CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	CHECK_EQ(mw_pauses(NULL, 0), MW_PAUSES);
	CHECK_EQ(mw_pauses(pauses, 1), MW_PAUSES);
	CHECK(pauses[0].end > last);
}
#endif

static bool count_bytes(void *ctx, const void *bytes, size_t len)
{
	(void)bytes;
	*(size_t *)ctx += len;
	return true;
}

TEST(caches_and_regions_are_written_down)
{
	const struct mw_cache_want want = { .name = "seen", .size = 100 };
	struct mw_cache_stats stats;
	struct mw_cache *cache;
	size_t bytes = 0, found = 0;
	void *object, *pages;

	test_heap(8 << 20);
	cache = mw_cache_create(&want);
	NEED(cache);
	object = mw_cache_alloc(cache, 0);
	pages = mw_pages_alloc(5, 0);
	for (size_t i = 0; mw_cache_stats(i, &stats); i++)
		found += test_has(stats.name, "seen") && stats.live == 1;
	CHECK_EQ(found, 1);
	test_capture();
	mw_print_slabinfo();
	CHECK(test_has(test_captured(), "seen"));
	CHECK(mw_picture_write(count_bytes, &bytes));
	CHECK(bytes > 100);
	mw_pages_free(pages, 5);
	mw_cache_free(cache, object);
	CHECK(mw_cache_destroy(cache));
}
