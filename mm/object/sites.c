// SPDX-License-Identifier: MIT
/* The places that allocate: a list that only grows, without a lock. See <marrow/sites.h>. */
#include <marrow/sites.h>
#include <marrow/watch.h>
#include "../base/report.h"

#if MW_SITES

static struct mw_site *mw_sites; /* newest first */

static MW_NOINLINE void mw_site_join(struct mw_site *site)
{
	struct mw_site *head;

	if (__atomic_exchange_n(&site->known, 1, __ATOMIC_ACQ_REL))
		return;
	head = __atomic_load_n(&mw_sites, __ATOMIC_RELAXED);
	do {
		site->next = head;
	} while (!__atomic_compare_exchange_n(&mw_sites, &head, site, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

void *mw_site_note(struct mw_site *site, void *object)
{
	if (!object)
		return NULL;
	if (mw_unlikely(!__atomic_load_n(&site->known, __ATOMIC_RELAXED)))
		mw_site_join(site);
	__atomic_fetch_add(&site->calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&site->bytes, mw_usable_size(object), __ATOMIC_RELAXED);
	return object;
}

const struct mw_site *mw_site_next(const struct mw_site *site)
{
	return site ? site->next : __atomic_load_n(&mw_sites, __ATOMIC_ACQUIRE);
}

void mw_print_sites(void)
{
	const struct mw_site *site = NULL;

	while ((site = mw_site_next(site)))
		mw_print("%12lu %8lu %s:%u %s\n", __atomic_load_n(&site->bytes, __ATOMIC_RELAXED),
			 __atomic_load_n(&site->calls, __ATOMIC_RELAXED), site->file, site->line,
			 site->function);
}

#else

void mw_print_sites(void)
{
	mw_print("built without MW_SITES\n");
}

#endif
