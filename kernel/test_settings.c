// SPDX-License-Identifier: MIT
/*
 * Words of the boot loader and commands that set something in the heap: it is set, and in the next
 * heap too.
 */
#include <marrow/gc.h>
#include "commands.h"
#include "settings.h"
#include "test.h"

static const char *run(const char *commands)
{
	test_capture();
	monitor_typed(commands);
	return test_captured();
}

static void open_heap(void)
{
	mw_reset();
	test_heap(8 << 20);
	test_heap_may_leak();
	settings_apply();
}

/* Do objects of that many bytes have a red zone? */
static bool finds_overrun(size_t size)
{
	char *object = mw_alloc(size, MW_NORMAL);

	NEED(object);
	mw_on_misuse(report_and_go_on);
	test_capture();
	test_spoil(object + size, 'x');
	mw_free(object);
	return test_has(test_captured(), "overrun");
}

TEST(debug_aids)
{
	settings_forget();
	open_heap();
	CHECK(options_take("debug=FZPU,alloc-1024") == NULL);
	CHECK(finds_overrun(1024));
	open_heap();
	CHECK(finds_overrun(1024));
	CHECK(test_has(run("debug -"), "No debug aids"));
	CHECK(!finds_overrun(1024));
	open_heap();
	CHECK(test_has(run("debug FZU,alloc-1024"), "alloc-1024"));
	CHECK(finds_overrun(1024));
	CHECK(test_has(run("debug Q"), "\"Q\""));
	CHECK(options_take("debug=Q") != NULL);
	settings_forget();
}

#if MW_GC

static int percent(void)
{
	struct mw_gc_policy policy;

	mw_gc_policy_get(&policy);
	return policy.percent;
}

TEST(goal)
{
	settings_forget();
	open_heap();
	CHECK(options_take("gc=50") == NULL);
	CHECK_EQ(percent(), 50);
	open_heap();
	CHECK_EQ(percent(), 50);
	CHECK(test_has(run("gc goal off"), "No cycle begins by itself"));
	open_heap();
	CHECK_EQ(percent(), MW_GC_OFF);
	CHECK(options_take("gc=high") != NULL);
	CHECK(options_take("gc=20000") != NULL);
	settings_forget();
}

TEST(trace_of_cycles)
{
	settings_forget();
	open_heap();
	CHECK(options_take("gctrace=1") == NULL);
	CHECK(test_has(run("gc"), "gc 1"));
	CHECK(options_take("gctrace=loud") != NULL);
	(void)run("gc trace off");
	open_heap();
	CHECK(!test_has(run("gc"), "gc 1"));
	settings_forget();
}

/* With check each cycle has a second mark, which says so where it has no memory. */
TEST(verification)
{
	static const struct mw_fail all = { .every = 1, .pages = true, .own = true };

	settings_forget();
	open_heap();
	CHECK(options_take("gcdebug=check,poison,every=1000") == NULL);
	(void)mw_fail_set(&all);
	CHECK(test_has(run("gc"), "no memory for a second mark"));
	(void)mw_fail_set(NULL);
	CHECK(test_has(run("gc debug off"), "No verification"));
	CHECK(test_has(run("gc debug pointers,poison"), "pointers"));
	CHECK(test_has(run("gc debug slowly"), "\"slowly\""));
	CHECK(options_take("gcdebug=slowly") != NULL);
	settings_forget();
	open_heap();
}

#endif

TEST(profile)
{
	settings_forget();
	open_heap();
	CHECK(options_take("profile=1") == NULL);
	open_heap();
	mw_free(mw_alloc(5000, MW_NORMAL));
	CHECK(test_has(run("profile"), "1: ") || test_has(run("profile"), "5000"));
	CHECK(options_take("profile=most") != NULL);
	(void)run("profile 0");
	settings_forget();
}
