// SPDX-License-Identifier: MIT
/*
 * A picture of the pages, read out of the page map without a lock: what changes meanwhile may be
 * drawn wrong, or not at all, and nothing worse.
 */
#include "map.h"

#define MOST_COLUMNS 160
#define MOST_ROWS 12

struct map {
	unsigned int columns, column;
	bool colour;
	size_t each; /* pages that a letter stands for */
	size_t filled; /* of them, in @pages */
	size_t pages[MW_MAP_STATES];
	enum mw_map_state shown; /* the colour that the terminal has now */
};

/* ---- runs ---- */

/* What begins at page @at. Return: how many pages, or 0. */
static size_t look_at_pages(size_t at, struct mw_map_run *run)
{
	uintptr_t word = mw_map_get((uintptr_t)mw_pn_address(at));

	run->span = mw_span_of(mw_pn_address(at));
	if (run->span) {
		run->state = MW_MAP_OBJECTS;
		return __atomic_load_n(&run->span->pages, __ATOMIC_RELAXED);
	}
	run->state = MW_MAP_FREE;
	switch (mw_map_tag(word)) {
	case MW_TAG_RAW:
		run->state = word & MW_RAW_STOCKED ? MW_MAP_STOCKED : MW_MAP_RAW;
		if (mw_map_is_kept(word))
			run->state = MW_MAP_RECORDS;
		return mw_map_payload(word & ~MW_RAW_STOCKED);
	case MW_TAG_PAIR:
		return 2;
	case MW_TAG_HEAD:
		return mw_map_payload(word);
	case MW_TAG_NONE:
		run->state = MW_MAP_RECORDS;
		return 1;
	default:
		return 1;
	}
}

static void begin(struct mw_map_cursor *cursor, const struct mw_region *region)
{
	size_t first = mw_region_first(region), end = mw_word(&region->end);
	size_t ceiling = mw_max(first, mw_min(end, mw_word(&region->ceiling)));

	cursor->at = first;
	cursor->end = end;
	cursor->ceiling = ceiling;
	cursor->gap = ceiling - mw_min(mw_region_gap(region), ceiling - first);
	cursor->zone = region->zone;
}

/* What is known of the region afterwards is a copy: it may go. */
bool mw_map_begin(struct mw_map_cursor *cursor, size_t index)
{
	unsigned long state = mw_port_pin();
	const struct mw_region *region = NULL;

	if (index < mw_min(mw_word(&mw_page.nr_regions), MW_MAX_REGIONS))
		region = atomic_load_explicit(&mw_page.by_address[index], memory_order_acquire);
	if (region)
		begin(cursor, region);
	mw_port_unpin(state);
	return region;
}

bool mw_map_next(struct mw_map_cursor *cursor, struct mw_map_run *run)
{
	size_t at = cursor->at;

	run->span = NULL;
	if (at < cursor->gap) {
		run->pages = look_at_pages(at, run);
		if (!run->pages || run->pages > cursor->gap - at)
			run->pages = 1;
	} else if (at < cursor->ceiling) {
		run->state = MW_MAP_UNTOUCHED;
		run->pages = cursor->ceiling - at;
	} else {
		run->state = MW_MAP_RECORDS;
		run->pages = cursor->end - at;
	}
	cursor->at += run->pages;
	return run->pages;
}

/* ---- letters ---- */

/* Whatever is used is seen, were it one page; a letter whose pages are used for the most part, in capitals. */
static char letter_of(const struct map *map, enum mw_map_state *state)
{
	static const char letters[MW_MAP_STATES] = { 'o', 'p', 's', '.', '-', 'm' };
	size_t used = 0;

	*state = MW_MAP_FREE;
	for (unsigned int s = 0; s < MW_MAP_STATES; s++) {
		if (s == MW_MAP_FREE || s == MW_MAP_UNTOUCHED)
			continue;
		used += map->pages[s];
		if (map->pages[s] > (*state == MW_MAP_FREE ? 0 : map->pages[*state]))
			*state = (enum mw_map_state)s;
	}
	if (used)
		return (char)(letters[*state] - (2 * used > map->filled ? 'a' - 'A' : 0));
	*state = map->pages[MW_MAP_FREE] ? MW_MAP_FREE : MW_MAP_UNTOUCHED;
	return letters[*state];
}

static void put_letter(struct map *map)
{
	static const char *const colours[MW_MAP_STATES] = { "32", "33", "36", "37", "90", "35" };
	enum mw_map_state state;
	char letter = letter_of(map, &state);

	if (!map->column)
		mw_print("  ");
	if (map->colour && (!map->column || state != map->shown))
		mw_print("\x1b[%sm", colours[state]);
	map->shown = state;
	mw_print("%c", letter);
	if (++map->column == map->columns) {
		mw_print(map->colour ? "\x1b[0m\n" : "\n");
		map->column = 0;
	}
	map->filled = 0;
	for (unsigned int s = 0; s < MW_MAP_STATES; s++)
		map->pages[s] = 0;
}

static void add_pages(struct map *map, enum mw_map_state state, size_t pages)
{
	while (pages) {
		size_t n = mw_min(pages, map->each - map->filled);

		map->pages[state] += n;
		map->filled += n;
		pages -= n;
		if (map->filled == map->each)
			put_letter(map);
	}
}

static void draw_region(struct mw_map_cursor *cursor, struct map *map)
{
	size_t cells = (size_t)map->columns * MOST_ROWS, first = cursor->at;
	struct mw_map_run run;

	map->each = (cursor->end - first + cells - 1) / cells;
	mw_print("%p to %p, a letter for %zu KiB\n", mw_pn_address(first),
		 mw_pn_address(cursor->end), map->each * MW_PAGE_SIZE >> 10);
	while (mw_map_next(cursor, &run))
		add_pages(map, run.state, run.pages);
	if (map->filled)
		put_letter(map);
	if (map->column)
		mw_print(map->colour ? "\x1b[0m\n" : "\n");
	map->column = 0;
}

void mw_print_map(unsigned int columns, bool colour)
{
	struct map map = { .columns = columns, .colour = colour };
	struct mw_map_cursor cursor;

	map.columns = (unsigned int)mw_max(1, mw_min(columns, MOST_COLUMNS));
	for (size_t i = 0; mw_map_begin(&cursor, i); i++)
		draw_region(&cursor, &map);
	mw_print("o objects, p pages, s in stocks, m records, in capitals where most is used; "
		 ". free, - untouched\n");
}
