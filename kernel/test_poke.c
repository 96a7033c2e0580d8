// SPDX-License-Identifier: MIT
/*
 * Mistakes made at the prompt: each report says what it was, and who allocated and freed the
 * object.
 */
#include "commands.h"
#include "test.h"

static const char *poke_and_hear(const char *command)
{
	mw_reset();
	test_heap(16 << 20);
	test_heap_may_leak();
	mw_on_misuse(report_and_go_on);
	test_capture();
	monitor_typed(command);
	return test_captured();
}

/* All of these words, up to NULL, are said. */
static void check_said(const char *command, const char *const *words)
{
	const char *said = poke_and_hear(command);
	bool all = true;

	for (; *words; words++)
		all = test_check(test_has(said, *words), __FILE__, __LINE__, "\"%s\" says \"%s\"",
				 command, *words) &&
		      all;
	if (!all)
		test_note("%s", said);
	CHECK(mw_heap_check());
}

#define SAYS(command, ...) check_said(command, (const char *const[]){ __VA_ARGS__, NULL })

#define ALLOCATED "the_owner_allocates"
#define FREED "the_owner_frees"

TEST(wrong_frees)
{
	SAYS("poke double-free", "double-free", "somebody_else_frees", ALLOCATED, FREED);
	SAYS("poke inner-free", "inner-free", "somebody_else_frees", ALLOCATED, "offset: 24");
	SAYS("poke foreign-free", "foreign-free");
	SAYS("poke wrong-size", "wrong-size", ALLOCATED, "given: 300");
	SAYS("poke wrong-cache", "wrong-cache", ALLOCATED, "poke-other");
	SAYS("poke wrong-count", "wrong-size", "given: 3");
	SAYS("poke wrong-kind", "wrong-kind");
}

TEST(wrong_writes)
{
	SAYS("poke overrun", "overrun", "behind the object", ALLOCATED, FREED);
	SAYS("poke underrun", "overrun", "before the object", ALLOCATED, FREED);
	SAYS("poke use-after-free", "use-after-free", ALLOCATED, FREED);
	SAYS("poke read-freed", "exception", "somebody_reads", ALLOCATED, FREED);
	SAYS("poke freed-page", "a free page was written to");
}

TEST(one_of_two_cpus_is_told)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	SAYS("poke two-cpus", "double-free", "somebody_else_frees", ALLOCATED, "freed: cpu");
}

#if MW_GC

TEST(what_marks_find)
{
	SAYS("poke bad-pointer", "bad-pointer", "poke_node", "reached from root");
	SAYS("poke leak", "nothing points to 3 objects", "allocated from make_ring");
}

#endif

/* Words that people type after it complete, and the list has them all. */
TEST(list_and_words_agree)
{
	const char *said = poke_and_hear("poke"), *word;

	for (size_t n = 0; (word = poke_word(n)); n++)
		(void)test_check(test_has(said, word), __FILE__, __LINE__, "%s is listed", word);
	CHECK(poke_word(20) != NULL);
}
