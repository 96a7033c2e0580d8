// SPDX-License-Identifier: MIT
/* Totals of the places that allocate: with MW_SITES they are counted, without they cost nothing. */
#include <marrow/sites.h>
#include <marrow/watch.h>
#include "test.h"

static void *one_place(size_t size)
{
	return mw_alloc(size, 0);
}

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
		if (__builtin_strcmp(site->function, "one_place"))
			continue;
		calls += site->calls;
		bytes += site->bytes;
	}
	CHECK_EQ(calls, 10);
	CHECK_EQ(bytes, 1120);
#endif
	mw_print_sites();
}
