/* SPDX-License-Identifier: MIT */
/*
 * A second opinion on memory maps: a window of a few pages, painted byte by byte.
 *
 * Borders of entries lie at four offsets in a page (its first two bytes, middle, last byte), so
 * that four cells a page tell what every byte is. The painting has no arithmetic to get wrong:
 * it asks each entry for each cell.
 */
#ifndef MAPS_MODEL_H
#define MAPS_MODEL_H

#include <marrow/mm.h>

#define MODEL_PAGES 48
#define MODEL_CELLS (4 * MODEL_PAGES)
#define MODEL_ENTRIES 24

struct model {
	uint64_t base; /* of the window; it may end at the end of the address space */
	struct mw_memrange map[MODEL_ENTRIES];
	size_t n;
	enum mw_memtype page[MODEL_PAGES];
};

/* Where cell @i begins, from the window's base. Cell MODEL_CELLS is the window's end. */
static inline uint64_t model_offset(unsigned int i)
{
	const uint64_t in_page[4] = { 0, 1, MW_PAGE_SIZE / 2, MW_PAGE_SIZE - 1 };

	return (i / 4) * (uint64_t)MW_PAGE_SIZE + in_page[i % 4];
}

/* From one cell to before another; @past: up to the window's end means that the length wraps. */
static inline void model_add(struct model *m, unsigned int from, unsigned int end, int t, bool past)
{
	struct mw_memrange *entry = &m->map[m->n++];

	entry->start = m->base + model_offset(from);
	entry->len = end > from ? model_offset(end) - model_offset(from) : 0;
	entry->type = (enum mw_memtype)t;
	if (past && end == MODEL_CELLS && end > from)
		entry->len += 123456;
}

static inline enum mw_memtype model_cell(const struct model *m, uint64_t byte)
{
	enum mw_memtype worst = (enum mw_memtype)0;

	for (size_t i = 0; i < m->n; i++) {
		const struct mw_memrange *entry = &m->map[i];
		int type = (int)entry->type;

		if (byte < entry->start || byte - entry->start >= entry->len)
			continue;
		if (type != MW_MEM_FREE && type != MW_MEM_RECLAIM)
			return MW_MEM_RESERVED;
		if (type > (int)worst)
			worst = entry->type;
	}
	return worst ? worst : MW_MEM_RESERVED;
}

static inline void model_paint(struct model *m)
{
	for (unsigned int i = 0; i < MODEL_CELLS; i++) {
		enum mw_memtype type = model_cell(m, m->base + model_offset(i));

		if (i % 4 == 0 || type > m->page[i / 4])
			m->page[i / 4] = type;
	}
	/* The last page of the 64-bit space is never in a run. */
	if (m->base + (MODEL_PAGES - 1) * (uint64_t)MW_PAGE_SIZE + MW_PAGE_SIZE == 0)
		m->page[MODEL_PAGES - 1] = (enum mw_memtype)0;
}

/* One step from @from against the painted window. */
static inline bool model_agrees(const struct model *m, enum mw_memtype type, uint64_t from,
				struct mw_memrange *run)
{
	bool found = mw_memmap_next(m->map, m->n, type, from, run);
	unsigned int first, end;

	for (first = 0; first < MODEL_PAGES; first++)
		if (m->page[first] == type && m->base + first * (uint64_t)MW_PAGE_SIZE >= from)
			break;
	if (first == MODEL_PAGES)
		return !found;
	for (end = first; end < MODEL_PAGES && m->page[end] == type; end++)
		;
	return found && run->type == type && run->start == m->base + first * MW_PAGE_SIZE &&
	       run->len == (end - first) * (uint64_t)MW_PAGE_SIZE;
}

/* All runs of both types, and a step from each cell of the window. */
static inline bool model_agrees_all(const struct model *m)
{
	for (int type = MW_MEM_FREE; type <= MW_MEM_RECLAIM; type++) {
		const enum mw_memtype t = (enum mw_memtype)type;
		struct mw_memrange run = { 0, 0, t };
		unsigned int steps = 0;
		bool more;

		do {
			uint64_t from = run.start + run.len;

			if (!model_agrees(m, t, from, &run))
				return false;
			more = mw_memmap_next(m->map, m->n, t, from, &run);
		} while (more && ++steps <= MODEL_PAGES);
		if (more)
			return false;
		for (unsigned int i = 0; i < MODEL_CELLS; i++)
			if (!model_agrees(m, t, m->base + model_offset(i), &run))
				return false;
	}
	return true;
}

#endif
