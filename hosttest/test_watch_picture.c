// SPDX-License-Identifier: MIT
/*
 * The picture of the heap: every run of pages is what it is drawn as, and every cache has its
 * figures.
 */
#include <marrow/watch.h>
#include "text_sink.h"
#include "../mm/base/report.h"
#include "../mm/object/object.h"

#if MW_WATCH

#define PAGE MW_PAGE_SIZE
static struct {
	struct text_sink sink;
	const char *at; /* what is read next */
	bool bad;
} drawn;

static void draw(void)
{
	drawn.sink.text = NULL; /* the memory of another heap's time is gone */
	text_sink_begin(&drawn.sink);
	drawn.bad = false;
	CHECK(mw_picture_write(text_sink_keep, &drawn.sink));
	drawn.at = drawn.sink.text;
}

/* The text goes on with it. */
static bool comes(const char *text)
{
	size_t n = 0;

	while (text[n] && drawn.at[n] == text[n])
		n++;
	if (text[n])
		return false;
	drawn.at += n;
	return true;
}

static void need(const char *text)
{
	if (!drawn.bad && !comes(text)) {
		test_note("\"%s\" does not come at \"%.60s\"", text, drawn.at);
		drawn.bad = true;
	}
}

static size_t number(void)
{
	size_t n = 0;

	drawn.bad |= *drawn.at < '0' || *drawn.at > '9';
	while (*drawn.at >= '0' && *drawn.at <= '9')
		n = n * 10 + (size_t)(*drawn.at++ - '0');
	return n;
}

/* ---- regions ---- */

static size_t pages_of[128]; /* by letter */

static void check_objects(const char *base)
{
	const struct mw_span *span = mw_span_of(base);
	const struct mw_cache *cache = span ? mw_span_cache(span) : NULL;
	char line[64];

	NEED(span && span->base == base);
	mw_format(line, sizeof(line), ",%d,%zu,%u", cache ? (int)mw_cache_id(cache) : -1,
		  mw_span_live_count(span), span->count);
	need(line);
}

static void check_pages(char letter, const char *base, size_t n)
{
	struct mw_place place;
	bool known = mw_lookup(base, &place);

	if (letter == 'p')
		CHECK(known && place.kind == MW_KIND_PAGES && place.size == n * PAGE);
	else
		CHECK(!known || letter == 'o');
}

static void check_run(const char **base)
{
	char letter;
	size_t n;

	need("[\"");
	letter = *drawn.at++;
	need("\",");
	n = number();
	NEED(!drawn.bad && n);
	pages_of[(unsigned char)letter % 128] += n;
	if (letter == 'o')
		check_objects(*base);
	check_pages(letter, *base, n);
	need("]");
	*base += n * PAGE;
}

static void check_region(const struct mw_region_stats *region)
{
	const char *base = region->base;
	char line[128];

	mw_format(line, sizeof(line), "{\"base\":\"%p\",\"pages\":%zu,\"zone\":%d,\"runs\":[", base,
		  region->pages, (int)region->zone);
	need(line);
	do
		check_run(&base);
	while (!drawn.bad && comes(","));
	need("]}");
	CHECK_PTR(base, (const char *)region->base + region->pages * PAGE);
}

static void check_regions(void)
{
	struct mw_region_stats region;
	struct mw_page_stats stats;

	__builtin_memset(pages_of, 0, sizeof(pages_of));
	for (size_t i = 0; mw_region_stats(i, &region); i++) {
		need(i ? ",\n" : "\n");
		check_region(&region);
	}
	mw_page_stats(&stats);
	CHECK_EQ(pages_of['o'], stats.objects);
	CHECK_EQ(pages_of['p'], stats.raw);
	CHECK_EQ(pages_of['s'], stats.stocked);
	CHECK_EQ(pages_of['-'] * PAGE, stats.untouched);
	CHECK_EQ(pages_of['.'] + pages_of['-'], stats.free);
	CHECK_EQ(pages_of['m'] * PAGE, stats.metadata);
	CHECK(pages_of['o'] && pages_of['p'] && pages_of['s'] && pages_of['-'] && pages_of['.']);
}

/* ---- caches ---- */

static size_t check_caches(void)
{
	struct mw_cache_stats s;
	char line[256];
	size_t n = 0;

	for (size_t i = 0; mw_cache_stats(i, &s); i++) {
		if (!s.spans && !s.allocs)
			continue;
		mw_format(line, sizeof(line),
			  "%s\n{\"id\":%u,\"name\":\"%s\",\"size\":%zu,\"asked\":%zu",
			  n++ ? "," : "", s.id, s.name, s.size, s.asked);
		need(line);
		mw_format(
			line, sizeof(line),
			",\"live\":%zu,\"places\":%zu,\"spans\":%zu,\"pages\":%zu,\"allocs\":%lu}",
			s.live, s.capacity, s.spans, s.pages, s.allocs);
		need(line);
	}
	return n;
}

TEST(every_run_and_every_cache)
{
	void *objects[100], *large, *run, *page, *gone;
	char line[64];

	test_heap(16 << 20);
	for (size_t i = 0; i < 100; i++)
		NEED(objects[i] = mw_alloc(1 + i * 50, MW_NORMAL));
	NEED(large = mw_alloc(100000, MW_NORMAL));
	NEED(run = mw_pages_alloc(30, MW_NORMAL));
	NEED(gone = mw_pages_alloc(60, MW_NORMAL));
	NEED(page = mw_pages_alloc(1, MW_NORMAL));
	mw_pages_free(gone, 60);
	for (size_t i = 0; i < 100; i += 3)
		mw_free(objects[i]);
	draw();
	mw_format(line, sizeof(line), "{\"page\":%lu,\"regions\":[", (unsigned long)PAGE);
	need(line);
	check_regions();
	need("],\n\"caches\":[");
	CHECK(check_caches() > 10);
	need("]}\n");
	CHECK(!drawn.bad && !*drawn.at);
	for (size_t i = 0; i < 100; i++)
		if (i % 3)
			mw_free(objects[i]);
	mw_free(large);
	mw_pages_free(run, 30);
	mw_pages_free(page, 1);
}

#endif
