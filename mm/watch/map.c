// SPDX-License-Identifier: MIT
/*
 * A picture of the pages, read out of the page map without a lock: what changes meanwhile may be
 * drawn wrong, and nothing worse.
 */
#include "watch.h"

#define MOST_COLUMNS 160
#define MOST_ROWS 12

enum state {
	OBJECTS,
	RAW,
	STOCKED,
	FREE,
	UNTOUCHED,
	RECORDS,
	NR_STATES
};

struct map {
	unsigned int columns, column;
	bool colour;
	size_t each; /* pages that a letter stands for */
	size_t filled; /* of them, in @pages */
	size_t pages[NR_STATES];
	enum state shown; /* the colour that the terminal has now */
};

/* What begins at page @at, and how many pages it has; 0: not told. */
static enum state look(size_t at, size_t *pages)
{
	uintptr_t word = mw_map_get((uintptr_t)mw_pn_address(at));
	const struct mw_span *span;

	*pages = 1;
	switch (mw_map_tag(word)) {
	case MW_TAG_SPAN:
		span = mw_span_of(mw_pn_address(at));
		*pages = span ? __atomic_load_n(&span->pages, __ATOMIC_RELAXED) : 1;
		return OBJECTS;
	case MW_TAG_RAW:
		*pages = mw_map_payload(word & ~MW_RAW_STOCKED);
		return word & MW_RAW_STOCKED ? STOCKED : RAW;
	case MW_TAG_PAIR:
		*pages = 2;
		return FREE;
	case MW_TAG_HEAD:
		*pages = mw_map_payload(word);
		return FREE;
	case MW_TAG_NONE:
		return RECORDS;
	default:
		return FREE;
	}
}

/* Whatever is used is seen, were it one page; a letter whose pages are used for the most part, in capitals. */
static char letter_of(const struct map *map, enum state *state)
{
	static const char letters[NR_STATES] = { 'o', 'p', 's', '.', '-', 'm' };
	size_t used = 0;

	*state = FREE;
	for (unsigned int s = 0; s < NR_STATES; s++) {
		if (s == FREE || s == UNTOUCHED)
			continue;
		used += map->pages[s];
		if (map->pages[s] > (*state == FREE ? 0 : map->pages[*state]))
			*state = (enum state)s;
	}
	if (used)
		return (char)(letters[*state] - (2 * used > map->filled ? 'a' - 'A' : 0));
	*state = map->pages[FREE] ? FREE : UNTOUCHED;
	return letters[*state];
}

static void put_letter(struct map *map)
{
	static const char *const colours[NR_STATES] = { "32", "33", "36", "37", "90", "35" };
	enum state state;
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
	for (unsigned int s = 0; s < NR_STATES; s++)
		map->pages[s] = 0;
}

static void add(struct map *map, enum state state, size_t pages)
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

static void draw_region(const struct mw_region *region, struct map *map)
{
	size_t first = mw_region_first(region), end = mw_word(&region->end), pages;
	size_t ceiling = mw_max(first, mw_min(end, mw_word(&region->ceiling)));
	size_t gap = mw_min(mw_region_gap(region), ceiling - first);
	size_t cells = (size_t)map->columns * MOST_ROWS;

	map->each = (end - first + cells - 1) / cells;
	mw_print("%p to %p, a letter for %zu KiB\n", mw_pn_address(first), mw_pn_address(end),
		 map->each * MW_PAGE_SIZE >> 10);
	for (size_t at = first; at < ceiling - gap; at += pages) {
		enum state state = look(at, &pages);

		if (!pages || pages > ceiling - gap - at)
			pages = 1;
		add(map, state, pages);
	}
	add(map, UNTOUCHED, gap);
	add(map, RECORDS, end - ceiling);
	if (map->filled)
		put_letter(map);
	if (map->column)
		mw_print(map->colour ? "\x1b[0m\n" : "\n");
	map->column = 0;
}

void mw_print_map(unsigned int columns, bool colour)
{
	struct map map = { .columns = columns, .colour = colour };

	map.columns = (unsigned int)mw_max(1, mw_min(columns, MOST_COLUMNS));
	for (size_t i = 0; i < mw_word(&mw_page.nr_regions) && i < MW_MAX_REGIONS; i++) {
		const struct mw_region *region =
			atomic_load_explicit(&mw_page.by_address[i], memory_order_acquire);

		if (region)
			draw_region(region, &map);
	}
	mw_print("o objects, p pages, s in stocks, m records, in capitals where most is used; "
		 ". free, - untouched\n");
}
