// SPDX-License-Identifier: MIT
/*
 * Every public call with every kind of wrong argument: each has one answer, which arguments.def states, and leaves the
 * heap as it was. Each is asked of a heap as it is, with debug aids on, and with frees held back.
 */
#include "arguments.h"

/* ---- the answer ---- */

static struct {
	unsigned int count;
	struct mw_report report;
	char text[160];
} said;

/* As mw_ignore_misuse(), which goes on. */
static void keep(const struct mw_report *report)
{
	said.count++;
	said.report = *report;
	mw_format(said.text, sizeof(said.text), "%s", report->text);
	mw_ignore_misuse(report);
}

struct wrong {
	enum mw_misuse what;
	const char *words;
	uint64_t value;
};

static bool is_answered(const struct things *at, const struct wrong *wrong, uint64_t value,
			const char *console)
{
	bool ok = true;

	ok &= test_check(said.count == (wrong->what != NONE), __FILE__, __LINE__,
			 "%u reports, last %s", said.count, mw_misuse_name(said.report.what));
	ok &= test_check(value == wrong->value, __FILE__, __LINE__, "returned %llx, not %llx",
			 (unsigned long long)value, (unsigned long long)wrong->value);
	if (!said.count || wrong->what == NONE)
		return ok;
	ok &= test_check(said.report.what == wrong->what, __FILE__, __LINE__, "%s, not %s",
			 mw_misuse_name(said.report.what), mw_misuse_name(wrong->what));
	ok &= test_check(test_has(said.text, wrong->words), __FILE__, __LINE__,
			 "\"%s\" without \"%s\"", said.text, wrong->words);
	ok &= test_check(!at->wrong || said.report.address == at->wrong, __FILE__, __LINE__,
			 "of %p, not %p", said.report.address, at->wrong);
	ok &= test_check(test_has(console, mw_misuse_name(wrong->what)), __FILE__, __LINE__,
			 "not on the console");
	return ok & test_check(said.report.here.depth && said.report.here.pcs[0], __FILE__,
			       __LINE__, "without the caller");
}

typedef uint64_t call_fn(struct things *at, void *it);

static void ask(struct things *at, const struct wrong *wrong, call_fn *call, void *it)
{
	struct picture before = picture_of(), after;
	mw_misuse_fn *handler = mw_on_misuse(keep);
	uint64_t value;
	bool ok;

	said.count = 0;
	said.report = (struct mw_report){ 0 };
	test_capture();
	value = call(at, it);
	(void)mw_on_misuse(handler);
	ok = is_answered(at, wrong, value, test_captured());
	after = picture_of();
	/* The notes of debug aids are in pages of their own. */
	ok &= test_check((after.raw == before.raw || at->mode == AIDS) &&
				 after.regions == before.regions && after.live == before.live &&
				 after.bytes == before.bytes,
			 __FILE__, __LINE__, "the heap has changed: %zu objects, %zu before",
			 after.live, before.live);
	ok &= test_check(are_whole(at), __FILE__, __LINE__, "an object has changed");
	if (!ok)
		test_note("in the mode %s, given %p", mode_names[at->mode], it);
}

typedef void *it_fn(struct things *at);

static void answers(const struct wrong *(*wrong)(struct things *at), call_fn *call, it_fn *it)
{
	for (enum mode mode = PLAIN; mode < MODES; mode++) {
		struct things *at;

		if (mode == SAFE && !MW_GC)
			break;
		at = make(mode);
		ask(at, wrong(at), call, it ? it(at) : NULL);
		end(at);
	}
}

/* ---- kinds of addresses, and what a free of one is ---- */

#define NOWHERE(T, ...)                                                                            \
	T(foreign, MW_FOREIGN_FREE, "in no region", foreign, __VA_ARGS__)                          \
	T(low, MW_FOREIGN_FREE, "in no region", (void *)16, __VA_ARGS__)                           \
	T(top, MW_FOREIGN_FREE, "in no region", TOP, __VA_ARGS__)                                  \
	T(record, MW_FOREIGN_FREE, "records", at->record, __VA_ARGS__)                             \
	T(untouched, MW_FOREIGN_FREE, "never handed out", at->untouched, __VA_ARGS__)

#define NO_OBJECT(T, ...)                                                                          \
	NOWHERE(T, __VA_ARGS__)                                                                    \
	T(tail, MW_FOREIGN_FREE, "behind the last object", at->tail, __VA_ARGS__)                  \
	T(run, MW_WRONG_KIND, "run of pages", at->run, __VA_ARGS__)                                \
	T(inside_run, MW_WRONG_KIND, "run of pages", at->run + 2 * PAGE + 8, __VA_ARGS__)          \
	T(single_page, MW_WRONG_KIND, "run of pages", at->page, __VA_ARGS__)                       \
	T(stack, MW_WRONG_KIND, "run of pages", at->stack, __VA_ARGS__)                            \
	T(freed_run, MW_FREED_SPAN, "free pages", at->freed_run, __VA_ARGS__)                      \
	T(inside_freed_run, MW_FREED_SPAN, "free pages", at->freed_run + 9 * PAGE, __VA_ARGS__)    \
	T(freed_one, MW_FREED_SPAN, "free pages", at->freed_one, __VA_ARGS__)                      \
	T(freed_huge, at->mode == SAFE ? MW_DOUBLE_FREE : MW_FREED_SPAN, "free", at->freed_huge,   \
	  __VA_ARGS__)

#if MW_GC
#define FREED_OF_KINDS(T, ...)                                                                     \
	T(tiny, MW_BAD_REQUEST, "tiny", at->tiny, __VA_ARGS__)                                     \
	T(tiny_second, MW_BAD_REQUEST, "tiny", at->tiny_second, __VA_ARGS__)                       \
	T(freed_collected, MW_DOUBLE_FREE, "is free", at->freed_collected, __VA_ARGS__)            \
	T(freed_noscan, MW_DOUBLE_FREE, "is free", at->freed_noscan, __VA_ARGS__)                  \
	T(freed_pointers, MW_DOUBLE_FREE, "is free", at->freed_pointers, __VA_ARGS__)              \
	T(inner_collected, MW_INNER_FREE, "inside", at->collected + 8, __VA_ARGS__)
#else
#define FREED_OF_KINDS(T, ...)
#endif

#define LIST_FREED(T, ...)                                                                         \
	NO_OBJECT(T, __VA_ARGS__)                                                                  \
	FREED_OF_KINDS(T, __VA_ARGS__)                                                             \
	T(inner, MW_INNER_FREE, "inside", at->object + 1, __VA_ARGS__)                             \
	T(inner_word, MW_INNER_FREE, "inside", at->object + 8, __VA_ARGS__)                        \
	T(inner_last, MW_INNER_FREE, "inside", at->object + SIZE - 1, __VA_ARGS__)                 \
	T(inner_page, MW_INNER_FREE, "inside", at->page_object + 16, __VA_ARGS__)                  \
	T(inner_large, MW_INNER_FREE, "inside", at->large + 8, __VA_ARGS__)                        \
	T(inner_large_page, MW_INNER_FREE, "inside", at->large + 3 * PAGE, __VA_ARGS__)            \
	T(inner_huge, MW_INNER_FREE, "inside", at->huge + HUGE / 2, __VA_ARGS__)                   \
	T(inner_of_cache, MW_INNER_FREE, "inside", at->of_cache + 8, __VA_ARGS__)                  \
	T(freed, MW_DOUBLE_FREE, "is free", at->freed, __VA_ARGS__)                                \
	T(freed_page, MW_DOUBLE_FREE, "is free", at->freed_page, __VA_ARGS__)                      \
	T(freed_large, MW_DOUBLE_FREE, "is free", at->freed_large, __VA_ARGS__)                    \
	T(freed_aligned, MW_DOUBLE_FREE, "is free", at->freed_aligned, __VA_ARGS__)                \
	T(freed_of_cache, MW_DOUBLE_FREE, "is free", at->freed_of_cache, __VA_ARGS__)              \
	T(never, MW_DOUBLE_FREE, "never handed out", at->never, __VA_ARGS__)

#define LIST_OF_CACHE(T, ...)                                                                      \
	NO_OBJECT(T, __VA_ARGS__)                                                                  \
	T(inner, MW_INNER_FREE, "inside", at->of_cache + 8, __VA_ARGS__)                           \
	T(freed, MW_DOUBLE_FREE, "is free", at->freed_of_cache, __VA_ARGS__)                       \
	T(of_other, MW_WRONG_CACHE, "another cache", at->of_other, __VA_ARGS__)                    \
	T(of_no_cache, MW_WRONG_CACHE, "another cache", at->object, __VA_ARGS__)                   \
	T(large, MW_WRONG_CACHE, "another cache", at->large, __VA_ARGS__)                          \
	T(freed_of_no_cache, MW_DOUBLE_FREE, "is free", at->freed, __VA_ARGS__)

#define LIST_PAGES(T, ...)                                                                         \
	NOWHERE(T, __VA_ARGS__)                                                                    \
	T(byte, MW_INNER_FREE, "inside", at->run + 1, __VA_ARGS__)                                 \
	T(inner, MW_INNER_FREE, "inside", at->run + PAGE, __VA_ARGS__)                             \
	T(freed_run, MW_DOUBLE_FREE, "free", at->freed_run, __VA_ARGS__)                           \
	T(freed_one, MW_DOUBLE_FREE, "free", at->freed_one, __VA_ARGS__)                           \
	T(object, MW_WRONG_KIND, "objects", at->object, __VA_ARGS__)                               \
	T(page_object, MW_WRONG_KIND, "objects", at->page_object, __VA_ARGS__)                     \
	T(large, MW_WRONG_KIND, "objects", at->large, __VA_ARGS__)                                 \
	T(inner_large, MW_WRONG_KIND, "objects", at->large + PAGE, __VA_ARGS__)                    \
	T(freed, MW_WRONG_KIND, "objects", at->freed, __VA_ARGS__)

#define LIST_MANAGED(T, ...)                                                                       \
	T(null, NONE, "", NULL, __VA_ARGS__)                                                       \
	T(nothing, NONE, "", mw_alloc(0, 0), __VA_ARGS__)                                          \
	T(foreign, NONE, "", foreign, __VA_ARGS__)                                                 \
	T(low, NONE, "", (void *)16, __VA_ARGS__)                                                  \
	T(top, NONE, "", TOP, __VA_ARGS__)                                                         \
	T(record, NONE, "", at->record, __VA_ARGS__)                                               \
	T(untouched, NONE, "", at->untouched, __VA_ARGS__)                                         \
	T(tail, NONE, "", at->tail, __VA_ARGS__)                                                   \
	T(run, NONE, "", at->run, __VA_ARGS__)                                                     \
	T(freed_run, NONE, "", at->freed_run, __VA_ARGS__)                                         \
	T(freed, NONE, "", at->freed, __VA_ARGS__)                                                 \
	T(freed_large, NONE, "", at->freed_large, __VA_ARGS__)                                     \
	T(freed_huge, NONE, "", at->freed_huge, __VA_ARGS__)                                       \
	T(never, NONE, "", at->never, __VA_ARGS__)                                                 \
	T(inner, NONE, "", at->object + 8, __VA_ARGS__)                                            \
	T(inner_large, NONE, "", at->large + PAGE, __VA_ARGS__)

#if MW_GC
#define LIST_OUTSIDE(T, ...)                                                                       \
	LIST_MANAGED(T, __VA_ARGS__)                                                               \
	T(by_hand, NONE, "", at->object, __VA_ARGS__)                                              \
	T(large_by_hand, NONE, "", at->large, __VA_ARGS__)                                         \
	T(with_pointers, NONE, "", at->pointers, __VA_ARGS__)                                      \
	T(freed_collected, NONE, "", at->freed_collected, __VA_ARGS__)

#define LIST_COLLECTED(T, ...)                                                                     \
	LIST_OUTSIDE(T, __VA_ARGS__)                                                               \
	T(inner_collected, NONE, "", at->collected + 8, __VA_ARGS__)
#endif

/* ---- one test for each answer ---- */

#define WRONG(call_, tag_, report_, words_, value_, expression_)                                   \
	static uint64_t call_##call_##_##tag_(struct things *at, void *it)                         \
	{                                                                                          \
		(void)at, (void)it;                                                                \
		return (uint64_t)(expression_);                                                    \
	}                                                                                          \
	static const struct wrong *wrong_##call_##_##tag_(struct things *at)                       \
	{                                                                                          \
		static struct wrong wrong;                                                         \
		(void)at;                                                                          \
		wrong = (struct wrong){ (report_), (words_), (uint64_t)(value_) };                 \
		return &wrong;                                                                     \
	}                                                                                          \
	TEST(call_##_##tag_)                                                                       \
	{                                                                                          \
		answers(wrong_##call_##_##tag_, call_##call_##_##tag_, NULL);                      \
	}

#define ONE(tag_, report_, words_, address_, call_, value_)                                        \
	static void *it_##call_##_##tag_(struct things *at)                                        \
	{                                                                                          \
		at->wrong = (const void *)(address_);                                              \
		return (void *)(uintptr_t)at->wrong;                                               \
	}                                                                                          \
	static const struct wrong *wrong_##call_##_given_##tag_(struct things *at)                 \
	{                                                                                          \
		static struct wrong wrong;                                                         \
		(void)at;                                                                          \
		wrong = (struct wrong){ (report_), (words_), (uint64_t)(value_) };                 \
		return &wrong;                                                                     \
	}                                                                                          \
	TEST(call_##_given_##tag_)                                                                 \
	{                                                                                          \
		answers(wrong_##call_##_given_##tag_, given_##call_, it_##call_##_##tag_);         \
	}

#define GIVEN(kinds_, call_, value_, expression_)                                                  \
	static uint64_t given_##call_(struct things *at, void *it)                                 \
	{                                                                                          \
		(void)at;                                                                          \
		return (uint64_t)(expression_);                                                    \
	}                                                                                          \
	LIST_##kinds_(ONE, call_, value_)

#include "arguments.def"
