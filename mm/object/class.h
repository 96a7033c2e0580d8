/* SPDX-License-Identifier: MIT */
/*
 * Size classes: which sizes objects really have, and how many pages a span of them takes.
 *
 * The classes are made by stepping a candidate size by a step that grows with it. The same generator
 * with other rules gives the tables that the design descends from; a test holds it to their counts.
 */
#ifndef MW_OBJECT_CLASS_H
#define MW_OBJECT_CLASS_H

#include "../base/base.h"

#define MW_SMALL_MAX ((size_t)32 << 10) /* larger objects have a span of their own */
#define MW_MAX_CLASSES 80

/* Sizes up to MW_FINE_MAX are looked up in steps of 8, those above in steps of 128. */
#define MW_FINE_MAX ((size_t)1024)
#define MW_FINE_STEPS (MW_FINE_MAX / 8 + 1)
#define MW_COARSE_STEPS ((MW_SMALL_MAX - MW_FINE_MAX) / 128 + 1)

/* How long the spans of a cache are: the more of them a CPU has, the longer the next one. */
#define MW_SPAN_LENGTHS 4

struct mw_class_rules {
	size_t page; /* bytes */
	size_t eighths_from; /* a power of two from which on steps are an eighth of it; below: 16 */
	size_t even_from, even_step; /* a power of two from which on all steps are the same; 0: none */
	bool merge; /* a size that packs a span no worse than the one below replaces it */
};

extern const struct mw_class_rules mw_class_rules; /* those of this heap */

/*
 * Fill @sizes from index 1 on (0 is "not small"), in rising order, at most @max entries in all.
 * Return: how many entries, the reserved one included; 0: they do not fit.
 */
size_t mw_class_sizes(const struct mw_class_rules *rules, size_t *sizes, size_t max);

/* Pages of the shortest span whose tail is at most an eighth of it. */
size_t mw_class_pages(const struct mw_class_rules *rules, size_t size);

/* The span lengths of a cache whose objects lie @stride bytes apart, rising. */
void mw_class_lengths(size_t stride, unsigned short pages[MW_SPAN_LENGTHS]);

struct mw_class_tables {
	unsigned int count; /* classes, the reserved one included */
	unsigned char fine[MW_FINE_STEPS]; /* [(size + 7) / 8] */
	unsigned char coarse[MW_COARSE_STEPS]; /* [(size - MW_FINE_MAX + 127) / 128] */
	size_t sizes[MW_MAX_CLASSES];
};

void mw_class_fill(struct mw_class_tables *tables);

/* @size from 1 to MW_SMALL_MAX. */
static inline unsigned int mw_class_of(const struct mw_class_tables *tables, size_t size)
{
	if (size <= MW_FINE_MAX)
		return tables->fine[(size + 7) / 8];
	return tables->coarse[(size - MW_FINE_MAX + 127) / 128];
}

#endif
