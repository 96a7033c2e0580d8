/* SPDX-License-Identifier: MIT */
/*
 * Totals for each place in the source that allocates.
 *
 * Include it after <marrow/mm.h> in the files to be watched, or give it to the compiler with -include;
 * with MW_SITES 0 it is empty. Each call of the functions below then notes, in a structure of
 * its own, how often it came there and how many bytes it got; mw_print_sites() lists them. With a
 * collector each object also has a special record, which says when it ends, so what still lives of a place is known
 * too. For debugging: an allocation costs some hundred instructions more, a free too. GNU C.
 */
#ifndef MARROW_SITES_H
#define MARROW_SITES_H

#include <marrow/mm.h>

#if MW_SITES

/** struct mw_site - one place; made by the macros, lives for ever */
struct mw_site {
	const char *file, *function;
	unsigned int line;
	unsigned long known; /* in the list */
	unsigned long calls, bytes; /* that gave memory; ever */
	unsigned long live, live_bytes; /* objects that have not ended; 0 without a collector */
	struct mw_site *next;
};

/** mw_site_note - count @object for @site. interrupt: yes. Return: @object. */
void *mw_site_note(struct mw_site *site, void *object);

/** mw_site_next - walk the places; start with NULL. Return: NULL: the end. */
const struct mw_site *mw_site_next(const struct mw_site *site);

#define MW_AT_SITE(object_)                                                                             \
	__extension__({                                                                                 \
		static struct mw_site mw_site_ = { __FILE__, __func__, __LINE__, 0, 0, 0, 0, 0, NULL }; \
		mw_site_note(&mw_site_, (object_));                                                     \
	})

#define mw_alloc(size_, flags_) MW_AT_SITE((mw_alloc)((size_), (flags_)))
#define mw_alloc_aligned(size_, align_, flags_)                                                    \
	MW_AT_SITE((mw_alloc_aligned)((size_), (align_), (flags_)))
#define mw_alloc_array(count_, size_, flags_)                                                      \
	MW_AT_SITE((mw_alloc_array)((count_), (size_), (flags_)))
#define mw_realloc(object_, size_, flags_) MW_AT_SITE((mw_realloc)((object_), (size_), (flags_)))
#define mw_cache_alloc(cache_, flags_) MW_AT_SITE((mw_cache_alloc)((cache_), (flags_)))

#endif

#endif
