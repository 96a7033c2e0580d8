/* SPDX-License-Identifier: MIT */
/* Wrong calls for weak references, tables, cleanups and listeners: a report or a stated nothing, and no change. */
#include "special.h"

#if MW_GC

#include <marrow/watch.h>

static void begin(void)
{
	setup(16 << 20);
	forget_calls();
	root[0] = make(1);
	root[1] = make(2);
}

static size_t entries(void)
{
	return mw_word(&mw_special.entries.in_use);
}

static bool came(const void *address)
{
	const struct mw_report *report = test_misuse_came();

	return report && report->address == address && report->text && mw_special_check() &&
	       mw_heap_check();
}

TEST(a_weak_reference_freed_twice)
{
	struct mw_weak *weak, *too;

	begin();
	NEED(weak = mw_weak_new(root[0]));
	too = mw_weak_new(root[1]);
	mw_weak_free(weak);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_weak_free(weak);
	CHECK(came(weak));
	CHECK_EQ(records(), 1);
	/* What is handed out next is one, and is nobody else's. */
	weak = mw_weak_new(root[0]);
	NEED(weak);
	CHECK(weak != too && mw_weak_new(root[0]) == weak);
	mw_weak_free(weak);
	CHECK_PTR(mw_weak_get(weak), root[0]);
	mw_weak_free(weak);
	mw_weak_free(too);
	mw_weak_free(NULL);
	CHECK_EQ(records(), 0);
}

TEST(a_weak_reference_of_what_is_gone_freed_twice)
{
	struct mw_weak *weak;

	begin();
	NEED(weak = mw_weak_new(root[0]));
	mw_free(root[0]);
	root[0] = NULL;
	mw_weak_free(weak);
	CHECK_EQ(records(), 0);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_weak_free(weak);
	CHECK(came(weak));
	CHECK_EQ(records(), 0);
}

TEST(a_table_freed_twice)
{
	struct mw_weak_table *table, *other;

	begin();
	table = mw_weak_table_new("once");
	other = mw_weak_table_new("other");
	NEED(table && other && mw_weak_table_put(table, root[0], root[1]));
	NEED(mw_weak_table_put(other, root[0], root[1]));
	mw_weak_table_free(table);
	CHECK_EQ(entries(), 1);
	test_expect_misuse(MW_DOUBLE_FREE);
	mw_weak_table_free(table);
	CHECK(came(table));
	CHECK_EQ(entries(), 1);
	CHECK_PTR(mw_weak_table_get(other, root[0]), root[1]);
	mw_weak_table_free(other);
	mw_weak_table_free(NULL);
	CHECK_EQ(entries(), 0);
}

static void note_end(void *arg)
{
	saw(arg, 1);
}

TEST(a_cleanup_that_is_none_or_is_over)
{
	struct mw_cleanup *cleanup;

	begin();
	CHECK(!mw_cleanup_cancel(NULL));
	NEED(cleanup = mw_cleanup_add(root[0], note_end, NULL));
	CHECK(!mw_cleanup_cancel(NULL));
	CHECK(mw_cleanup_cancel(cleanup));
	CHECK(!mw_cleanup_cancel(cleanup));
	NEED(cleanup = mw_cleanup_add(root[0], note_end, NULL));
	mw_free(root[0]);
	root[0] = NULL;
	CHECK_EQ(run_all(), 1);
	CHECK(!mw_cleanup_cancel(cleanup));
	CHECK_EQ(mw_word(&calls.n), 1);
	CHECK_EQ(records(), 0);
	CHECK(mw_heap_check());
}

static mw_atomic_t heard;

static void hear(struct mw_gc_listener *self, enum mw_gc_moment moment,
		 const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment == MW_GC_MARKED)
		atomic_fetch_add(&heard, 1);
}

TEST(one_that_listens_already)
{
	static struct mw_gc_listener first = { .moment = hear }, second = { .moment = hear };

	begin();
	atomic_store(&heard, 0);
	mw_gc_listen(&first);
	mw_gc_listen(&second);
	for (unsigned int i = 0; i < 2; i++) {
		test_expect_misuse(MW_BAD_REQUEST);
		mw_gc_listen(i ? &first : &second);
		CHECK(came(i ? &first : &second));
	}
	collect();
	CHECK_EQ(mw_word(&heard), 2);
	mw_gc_unlisten(&first);
	mw_gc_unlisten(&first);
	mw_gc_unlisten(&second);
	collect();
	CHECK_EQ(mw_word(&heard), 2);
}

#endif
