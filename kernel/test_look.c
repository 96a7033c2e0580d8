// SPDX-License-Identifier: MIT
/* What `look` says of addresses of every kind. */
#include <marrow/gc.h>
#include "look.h"
#include "kernel.h"
#include "test.h"

static const char *look(const void *address)
{
	test_capture();
	look_at(address);
	return test_captured();
}

static void *kept; /* a root */

TEST(objects)
{
	char *object;

	test_heap(16 << 20);
	CHECK(mw_debug_set("U,alloc-112"));
	kept = object = mw_alloc(100, MW_NORMAL);
	CHECK(test_has(look(object + 7), "in a live object"));
	CHECK(test_has(look(object + 7), "7 bytes behind its beginning"));
	CHECK(test_has(look(object), "cache alloc-112, freed by hand"));
	CHECK(test_has(look(object), "allocated on CPU"));
	CHECK(test_has(look(object), "test_objects"));
	CHECK(test_has(look(object), "a word of bss"));
	mw_free(object);
	CHECK(test_has(look(object), "but none is"));
	CHECK(test_has(look(object), "freed on CPU"));
	CHECK(mw_debug_set("-"));
	kept = object = mw_alloc(100000, MW_NORMAL);
	CHECK(test_has(look(object + 5000), "large, freed by hand"));
	mw_free(object);
	kept = NULL;
}

TEST(pages)
{
	void *pages;

	test_heap(16 << 20);
	pages = mw_pages_alloc(3, MW_NORMAL);
	NEED(pages);
	CHECK(test_has(look(pages), "the first page of a run"));
	CHECK(test_has(look((char *)pages + MW_PAGE_SIZE), "run of pages that is in use"));
	mw_pages_free(pages, 3);
	CHECK(test_has(look(pages), "free pages"));
	CHECK(test_has(look(&kept), "in no region"));
}

#if MW_GC

struct seen {
	struct seen *next;
	long number;
};

static struct mw_type seen_type = MW_TYPE(struct seen, MW_PTR(struct seen, next));

TEST(collected)
{
	test_heap(16 << 20);
	kept = mw_new(&seen_type, MW_NORMAL);
	CHECK(test_has(look(kept), "collected, type struct seen"));
	kept = NULL;
	test_heap_may_leak();
}

#endif
