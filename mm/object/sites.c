// SPDX-License-Identifier: MIT
/* The places that allocate: a list that only grows, without a lock. See <marrow/sites.h>. */
#include <marrow/sites.h>
#include <marrow/watch.h>
#include "up.h"

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

static void count_live(struct mw_site *site, unsigned long objects, size_t bytes)
{
	__atomic_fetch_add(&site->live, objects, __ATOMIC_RELAXED);
	__atomic_fetch_add(&site->live_bytes, bytes, __ATOMIC_RELAXED);
}

/* Of an object that was counted as live, or has turned out not to be followed. */
void mw_site_end(void *site, size_t bytes)
{
	count_live(site, -1ul, (size_t)0 - bytes);
}

void *mw_site_note(struct mw_site *site, void *object)
{
	size_t bytes;

	if (!object)
		return NULL;
	bytes = mw_usable_size(object);
	if (mw_unlikely(!__atomic_load_n(&site->known, __ATOMIC_RELAXED)))
		mw_site_join(site);
	__atomic_fetch_add(&site->calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&site->bytes, bytes, __ATOMIC_RELAXED);
	count_live(site, 1, bytes);
	/* One that was resized where it lies stays its first place's. */
	if (!mw_up_site_attach(site, object, bytes))
		mw_site_end(site, bytes);
	return object;
}

const struct mw_site *mw_site_next(const struct mw_site *site)
{
	return site ? site->next : __atomic_load_n(&mw_sites, __ATOMIC_ACQUIRE);
}

void mw_print_sites(void)
{
	const struct mw_site *site = NULL;

	mw_print("  live bytes    live        bytes    calls\n");
	while ((site = mw_site_next(site)))
		mw_print("%12lu %7lu %12lu %8lu %s:%u %s\n",
			 __atomic_load_n(&site->live_bytes, __ATOMIC_RELAXED),
			 __atomic_load_n(&site->live, __ATOMIC_RELAXED),
			 __atomic_load_n(&site->bytes, __ATOMIC_RELAXED),
			 __atomic_load_n(&site->calls, __ATOMIC_RELAXED), site->file, site->line,
			 site->function);
}

#else

void mw_site_end(void *site, size_t bytes)
{
	(void)site, (void)bytes;
}

void mw_print_sites(void)
{
	mw_print("built without MW_SITES\n");
}

#endif
