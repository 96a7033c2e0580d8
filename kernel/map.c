// SPDX-License-Identifier: MIT
/*
 * A picture of the heap's pages, read out of the page map without a lock: what changes meanwhile may
 * be drawn wrong, and nothing worse.
 */
#include "kernel.h"
#include "../mm/page/map.h"

#define ROWS 12
#define COLUMNS 64

enum state {
	OBJECTS,
	RAW,
	FREE,
	OTHER, /* never handed out, or Marrow's own records */
	NR_STATES
};

static const char letters[NR_STATES] = { 'o', 'p', '.', '-' };

struct cell {
	size_t pages[NR_STATES];
};

/* What begins at @page, and how many pages it has. */
static enum state look(uintptr_t page, size_t *pages)
{
	uintptr_t word = mw_map_get(page);
	const struct mw_span *span;

	*pages = 1;
	switch (mw_map_tag(word)) {
	case MW_TAG_SPAN:
		span = mw_span_of((void *)page);
		*pages = span ? span->pages : 1;
		return OBJECTS;
	case MW_TAG_RAW:
		*pages = mw_map_payload(word);
		return word & MW_RAW_STOCKED ? FREE : RAW;
	case MW_TAG_SINGLE:
		return FREE;
	case MW_TAG_PAIR:
		*pages = 2;
		return FREE;
	case MW_TAG_HEAD:
		*pages = mw_map_payload(word);
		return FREE;
	default:
		return OTHER;
	}
}

static void fill(struct cell *cells, size_t n, const struct mw_memrange *run, size_t each)
{
	size_t total = run->len / MW_PAGE_SIZE, pages;

	memset(cells, 0, n * sizeof(*cells));
	for (size_t at = 0; at < total; at += pages) {
		uintptr_t page = (uintptr_t)arch_virt(run->start) + at * MW_PAGE_SIZE;
		enum state state = look(page, &pages);

		if (!pages || pages > total - at)
			pages = 1;
		for (size_t i = at; i < at + pages; i++)
			cells[i / each].pages[state]++;
	}
}

/* Whatever is used is seen, were it one page; a cell that is used for the most part, in capitals. */
static char letter_of(const struct cell *cell)
{
	size_t used = cell->pages[OBJECTS] + cell->pages[RAW];
	size_t unused = cell->pages[FREE] + cell->pages[OTHER];

	if (used) {
		char c = letters[cell->pages[OBJECTS] >= cell->pages[RAW] ? OBJECTS : RAW];

		return used > unused ? (char)(c - 0x20) : c;
	}
	return letters[cell->pages[FREE] ? FREE : OTHER];
}

static void draw(const struct mw_memrange *run)
{
	static struct cell cells[ROWS * COLUMNS];
	size_t total = run->len / MW_PAGE_SIZE;
	size_t each = (total + LEN(cells) - 1) / LEN(cells), n = (total + each - 1) / each;
	char row[COLUMNS + 1];

	fill(cells, n, run, each);
	mw_print("%p to %p, a letter for %zu KiB\n", arch_virt(run->start),
		 arch_virt(run->start + run->len), each * MW_PAGE_SIZE >> 10);
	for (size_t at = 0; at < n; at += COLUMNS) {
		size_t len = 0;

		for (; len < COLUMNS && at + len < n; len++)
			row[len] = letter_of(&cells[at + len]);
		row[len] = '\0';
		mw_print("  %s\n", row);
	}
}

void map_draw(void)
{
	const struct arch_boot_info *info = memory_info();
	struct mw_memrange run = { 0 };

	while (mw_memmap_next(info->map, info->nr_map, MW_MEM_FREE, run.start + run.len, &run))
		draw(&run);
	mw_print("o objects, p pages, in capitals where they are most; . free, - never used or "
		 "records\n");
}
