// SPDX-License-Identifier: MIT
/* What the monitor answers: to what it did, and to words that it does not know. */
#include <marrow/gc.h>
#include "commands.h"
#include "internal.h"
#include "keys.h"
#include "storm.h"
#include "test.h"
#include "text.h"

static const char *run(const char *commands)
{
	test_capture();
	monitor_typed(commands);
	return test_captured();
}

static void begin(void)
{
	test_heap(16 << 20);
	test_heap_may_leak();
	commands_forget();
}

/* Pairs: what is typed, and what must be in the answer. */
static void check_answers(const char *const (*pairs)[2], size_t n)
{
	begin();
	for (size_t i = 0; i < n; i++) {
		const char *said = run(pairs[i][0]);

		(void)test_check(test_has(said, pairs[i][1]), __FILE__, __LINE__,
				 "\"%s\" is answered with \"%s\", not \"%s\"", pairs[i][0],
				 pairs[i][1], said);
	}
}

TEST(says_what_was_done)
{
	static const char *const pairs[][2] = {
		{ "trace on", "Events are noted from now on" },
		{ "trace off", "No more events are noted" },
		{ "profile 4096", "One allocation in about 4096 bytes is sampled" },
		{ "profile 0", "No allocation is sampled any more" },
		{ "fail every 1000", "Each 1000th allocation fails" },
		{ "fail after 1000", "The 1000th allocation fails" },
		{ "fail off", "No allocation fails on purpose" },
		{ "alloc 100", "give it back with: free" },
		{ "reclaim", "joined the heap" },
#if MW_GC
		{ "gc trace", "A line for each cycle from now on" },
		{ "gc trace off", "No more lines" },
		{ "safe on", "held back" },
		{ "safe off", "freed at once" },
		{ "leaks make 5", "5 objects" },
		{ "leaks free", "1 rings were freed" },
		{ "churn 10", "10 steps" },
		{ "churn 0", "freed" },
		{ "graph 0", "The tree is dropped" },
#endif
	};

	check_answers(pairs, LEN(pairs));
}

TEST(names_words_that_it_does_not_know)
{
	static const char *const pairs[][2] = {
		{ "nonsense", "There is no command \"nonsense\"" },
		{ "mem everything", "\"everything\"" },
		{ "alloc much", "\"much\"" },
		{ "alloc 1 2", "\"2\"" },
		{ "fail", "every N" },
		{ "fail sometimes 3", "\"sometimes\"" },
		{ "fail every never", "\"never\"" },
		{ "profile abc", "\"abc\"" },
		{ "trace maybe", "\"maybe\"" },
		{ "poke holes", "\"holes\"" },
		{ "storm warning", "\"warning\"" },
		{ "storm fs soon", "\"soon\"" },
		{ "world third", "\"third\"" },
		{ "bench press", "\"press\"" },
		{ "balloon red", "\"red\"" },
		{ "export all", "\"all\"" },
		{ "map blue", "\"blue\"" },
		{ "tests no_such_suite", "There is no test \"no_such_suite\"" },
#if MW_GC
		{ "gc frequently", "\"frequently\"" },
		{ "gc goal high", "\"high\"" },
		{ "gc trace loudly", "\"loudly\"" },
		{ "graph paper", "\"paper\"" },
		{ "churn butter", "\"butter\"" },
		{ "leaks make many", "\"many\"" },
#endif
	};

	check_answers(pairs, LEN(pairs));
}

/* Several begin so: none of them is meant, all are named. */
TEST(a_beginning_of_several_commands)
{
	const char *said;

	begin();
	said = run("st");
	CHECK(test_has(said, "\"st\""));
	CHECK(test_has(said, "state"));
	CHECK(test_has(said, "storm"));
	CHECK(test_has(said, "stop"));
	CHECK(!test_has(said, "There is no command"));
}

TEST(several_commands_in_a_line)
{
	const char *said;

	begin();
	said = run("look 0x1000; help mem");
	CHECK(test_has(said, "nothing that could be freed"));
	CHECK(test_has(said, "the memory map"));
	/* Not where it is quoted. */
	said = run("write note \"one; two\"; cat note; rm note");
	CHECK(test_has(said, "one; two\n"));
	CHECK(!test_has(said, "There is no command"));
}

static void panic_for_reasons(void *arg)
{
	monitor_typed(arg);
}

TEST(a_ring_of_directories_is_marked)
{
	const char *said;

	begin();
	said = run("mkdir a a/b; ln a a/b/again; tree; rm a/b/again; rm a");
	CHECK(test_has(said, "a/\n"));
	CHECK(test_has(said, "again/ ...\n"));
	CHECK(!test_has(test_has(said, "again/ ...") + 1, "again"));
}

TEST(memory_is_explained)
{
	const char *said;

	begin();
	said = run("mem");
	CHECK(test_has(said, "reserved, the kernel\n"));
	CHECK(test_has(said, "Metadata are the heap's own records"));
	CHECK(test_has(run("runs"), "pages were never handed out"));
}

TEST(a_panic_knows_of_the_heap)
{
	char text[400];

	begin();
	mw_on_misuse(report_and_go_on);
	(void)run("poke double-free");
	(void)report_heap(text, sizeof(text));
	CHECK(test_has(text, " regions, "));
	CHECK(test_has(text, "its lock is free"));
	CHECK(test_has(text, "double-free of 0x"));
}

TEST(a_tour_goes_step_by_step)
{
	static const char keys[] = "\nsq";
	const char *said;

	begin();
	for (const char *key = keys; *key; key++)
		console_input(*key);
	said = run("tour");
	CHECK(test_has(said, "-- 1 of"));
	CHECK(test_has(said, "marrow> ln home home/again"));
	CHECK(test_has(said, "again/ ...\n"));
	CHECK(test_has(said, "-- 2 of"));
	CHECK(!test_has(said, "marrow> rm home"));
	CHECK(test_has(said, "-- 3 of"));
	CHECK(test_has(said, "\"tour 3\" goes on"));
	CHECK(test_has(run("tour 100"), "That was the tour"));
	CHECK(test_has(run("tour guide"), "\"guide\""));
	(void)run("rm home");
}

#if MW_GC
static uintptr_t misused; /* the object's address, complemented: it keeps nothing */

/*
 * In a frame of its own, which is gone when it is looked for. The second object of its span: where
 * the first one begins a page begins, and Marrow's own variables, which no mark looks at, may name
 * that.
 */
static __attribute__((noinline)) void misuse_collected(void)
{
	char *first = mw_alloc(48, MW_COLLECTED), *object = mw_alloc(48, MW_COLLECTED);

	NEED(first && object && (uintptr_t)object % MW_PAGE_SIZE);
	misused = ~(uintptr_t)object;
	test_capture();
	mw_free(object + 8);
	(void)test_captured();
}

/* What is remembered of a misuse keeps nothing alive that comes to the same address. */
TEST(the_last_misuse_is_no_root)
{
	char held[64];

	begin();
	mw_on_misuse(report_and_go_on);
	misuse_collected();
	test_capture();
	storm_gc_holders();
	for (size_t at = 0; at < 48; at += 8) {
		mw_format(held, sizeof(held), "held by bss: %p", (void *)(~misused + at));
		CHECK(!test_has(test_captured(), held));
	}
	CHECK(mw_gc_is_object((void *)~misused));
}
#endif

/* ---- control-C ---- */

#define SOON_NS 50000000u
#define PATIENCE_NS 30000000000u

static void press_control_c(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	console_input(3);
}

/* All of these would take far longer. */
TEST(control_c_ends_a_command)
{
	static const char *const commands[] = {
		"storm fs 100",
		"storm all 100",
		"storm fs 100; storm fs 100",
		"soak 1000",
		"bench cpus",
#if MW_GC
		"churn 4000000000",
#endif
	};

	for (size_t i = 0; i < LEN(commands); i++) {
		uint64_t start = test_now();
		const char *said;

		mw_reset();
		test_heap(48 << 20);
		test_heap_may_leak();
		commands_forget();
		arch_timer_oneshot(ARCH_TIMER_STORM, SOON_NS, press_control_c, NULL);
		said = run(commands[i]);
		(void)test_check(test_now() - start < PATIENCE_NS && test_has(said, "^C"), __FILE__,
				 __LINE__, "\"%s\" is ended", commands[i]);
	}
	keys_begin();
}

#if MW_GC
/* What lay in a heap that is gone is not freed in the next one. */
TEST(nothing_is_kept_of_a_heap_that_is_gone)
{
	begin();
	(void)run("churn 300; graph 30; leaks make 5");
	mw_reset();
	begin();
	CHECK(text_after(run("churn 0"), "0 objects"));
	CHECK(test_has(run("leaks free"), "0 rings"));
	CHECK(mw_heap_check());
}
#endif

TEST(a_panic_gives_all_its_reasons)
{
	const char *why;

	begin();
	why = test_panics(panic_for_reasons, "panic because I said so");
	CHECK(why && test_has(why, "because I said so"));
	mw_reset();
}
