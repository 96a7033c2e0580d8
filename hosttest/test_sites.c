// SPDX-License-Identifier: MIT
/* Totals of the places that allocate: with MW_SITES they are counted, without they cost nothing. */
#include <marrow/gc.h>
#include <marrow/mm.h>
#include <marrow/sites.h>
#include <marrow/watch.h>
#include "test.h"

static void *one_place(size_t size)
{
	return mw_alloc(size, 0);
}

#if MW_SITES
static bool in_function(const struct mw_site *site, const char *function)
{
	const char *at = site->function;

	for (; *at && *at == *function; at++)
		function++;
	return *at == *function;
}
#endif

TEST(totals)
{
	NEED(test_heap((size_t)8 << 20));
	for (unsigned int i = 0; i < 10; i++) {
		void *object = one_place(100);

		CHECK(object);
		mw_free(object);
	}
#if MW_SITES
	const struct mw_site *site = NULL;
	unsigned long calls = 0, bytes = 0;

	while ((site = mw_site_next(site))) {
		if (!in_function(site, "one_place"))
			continue;
		calls += site->calls;
		bytes += site->bytes;
	}
	CHECK_EQ(calls, 10);
	CHECK_EQ(bytes, 1120);
#endif
	mw_print_sites();
}

#if MW_SITES && MW_GC
static const struct mw_site *site_of(const char *function)
{
	const struct mw_site *site = NULL;

	while ((site = mw_site_next(site)))
		if (in_function(site, function))
			return site;
	return NULL;
}

static void *kept_place(size_t size, mw_flags_t flags)
{
	return mw_alloc(size, flags);
}

/* Freed by hand, small and large, tiny parts too; collected; what was resized in place. */
TEST(what_lives_is_known)
{
	const struct mw_site *site;
	void *small[20], *large;

	NEED(test_heap((size_t)8 << 20));
	for (unsigned int i = 0; i < 20; i++)
		small[i] = kept_place(100, MW_NORMAL);
	large = kept_place(100000, MW_NORMAL);
	site = site_of("kept_place");
	NEED(site && large);
	CHECK_EQ(site->live, 21);
	CHECK_EQ(site->live_bytes, 20 * 112 + mw_usable_size(large));
	mw_free(large);
	for (unsigned int i = 0; i < 15; i++)
		mw_free(small[i]);
	CHECK_EQ(site->live, 5);
	CHECK_EQ(site->live_bytes, 5 * 112);
	CHECK_EQ(site->calls, 21);
	for (unsigned int i = 15; i < 20; i++) {
		small[i] = mw_realloc(small[i], 105, MW_NORMAL);
		mw_free(small[i]);
	}
	CHECK_EQ(site->live, 0);
	for (unsigned int i = 0; i < 30; i++)
		(void)kept_place(i % 2 ? 200 : 12, i % 2 ? MW_COLLECTED : MW_NOSCAN);
	CHECK_EQ(site->live, 30);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	/* A few may still be seen on the stack, or share their block with such. */
	CHECK(site->live < 10);
	CHECK_EQ(site->calls, 51);
	CHECK(mw_heap_check());
}
#endif
