// SPDX-License-Identifier: MIT
/* First writes to armed pages: what is copied, by whom, what a reader finds, and what it costs. */
#include "landing.h"
#include "snapshot_test.h"

TEST(the_first_write_copies_a_page)
{
	take_chunk();
	for (unsigned int round = 1; round < 4; round++) {
		arm(LOG);
		CHECK_EQ(*(volatile uint64_t *)words_of(7), pattern(7, 0));
		CHECK_EQ(count_copies(), 0);
		for (size_t page = round; page < PAGES; page += 100) {
			store(page, 5, 1);
			store(page, WORDS - 1, 2);
			CHECK(has_copy(page));
			CHECK_EQ(words_of(page)[5], 1);
			CHECK_EQ(words_of(page)[6], pattern(page, 6));
			CHECK_EQ(words_of(page)[WORDS - 1], 2);
		}
		CHECK_EQ(count_copies(), 6);
		CHECK_EQ(arch_copies_state().taken, 6);
		CHECK(!arch_copies_state().spoiled);
		disarm();
		store(99, 0, 3);
		CHECK(!arch_chunk_copy(s.chunk, words_of(99)));
	}
	give_chunk();
	store(98, 0, 3);
}

TEST(what_is_permitted_has_no_copy)
{
	take_chunk();
	arch_chunk_permit(s.base);
	arm(LOG);
	arch_chunk_permit(words_of(3));
	store(3, 0, 1);
	CHECK(!arch_chunk_copy(s.chunk, words_of(3)));
	store(4, 0, 1);
	arch_chunk_permit(words_of(4));
	CHECK(has_copy(4));
	CHECK_EQ(arch_copies_state().taken, 1);
	disarm();
	give_chunk();
}

TEST(a_full_log_spoils_the_snapshot)
{
	take_chunk();
	arm(3);
	for (size_t page = 0; page < 3; page++)
		store(page, 0, 1);
	CHECK_EQ(count_copies(), 3);
	CHECK(!arch_copies_state().spoiled);
	for (size_t page = 3; page < 9; page++)
		store(page, 0, 1);
	CHECK(arch_copies_state().spoiled);
	CHECK_EQ(arch_copies_state().taken, 3);
	CHECK_EQ(count_copies(), 3);
	CHECK_EQ(words_of(8)[0], 1);
	disarm();
	arm(LOG);
	CHECK(!arch_copies_state().spoiled);
	disarm();
	give_chunk();
}

/* ---- pages of other kinds ---- */

static void write_page(void *at)
{
	*(volatile uint64_t *)at = 1;
}

static bool faults(size_t page)
{
	return landing_try(write_page, words_of(page)).came;
}

/* Chosen pages, some of which may not be written at all; and a large page that is none any more. */
TEST(chosen_pages_of_small_ones)
{
	unsigned long pages[PAGES / 64] = { 0 };

	take_chunk();
	pages[0] = 0xf0;
	NEED(arch_page_protect(words_of(5), PAGE, ARCH_PROT_READ));
	for (size_t word = 0; word < WORDS; word++)
		words_of(4)[word] = pattern(4, word);
	arch_copies_begin(s.log, LOG);
	arch_chunk_prepare(s.chunk, pages);
	CHECK(!arch_page_protect(words_of(9), PAGE, ARCH_PROT_READ));
	arm_pages(pages);
	CHECK(!arch_page_protect(words_of(9), PAGE, ARCH_PROT_READ));
	CHECK(faults(5));
	for (size_t page = 0; page < 9; page++)
		CHECK_EQ(faults(page), page == 5);
	for (size_t page = 0; page < 9; page++)
		CHECK_EQ(arch_chunk_copy(s.chunk, words_of(page)) != NULL,
			 page == 4 || page == 6 || page == 7);
	CHECK(has_copy(4));
	disarm();
	CHECK(faults(5));
	NEED(arch_page_protect(words_of(5), PAGE, ARCH_PROT_WRITE));
	CHECK(!faults(5));
	give_chunk();
}

TEST(refuses_what_cannot_be_armed)
{
	take_chunk();
	CHECK(!arch_chunk_reserve(s.base, s.log));
	CHECK(!arch_chunk_reserve(s.base + PAGE, s.log));
	CHECK(!arch_chunk_reserve((void *)ARCH_CHUNK_SIZE, s.log));
	CHECK(!arch_chunk_reserve(arch_virt(1ul << (ARCH_DIRECT_MAP_BITS - 1)), s.log));
	give_chunk();
	s.chunk = arch_chunk_reserve(s.base, s.log);
	CHECK(s.chunk != NULL);
	CHECK_PTR(arch_chunk_release(s.chunk), s.log);
}

TEST(what_is_armed_is_not_released)
{
	take_chunk();
	arch_chunk_prepare(s.chunk, NULL);
	CHECK_PTR(arch_chunk_release(s.chunk), NULL);
	arch_chunk_arm(s.chunk);
	CHECK_PTR(arch_chunk_release(s.chunk), NULL);
	arch_chunk_disarm(s.chunk);
	give_chunk();
}

static _Atomic(unsigned int) respectful;

static void ask(unsigned int i, void *arg)
{
	(void)i, (void)arg;
	respectful += pte_are_respected();
}

TEST(no_cpu_writes_to_what_is_read_only)
{
	respectful = 0;
	test_parallel(test_cpus(), ask, NULL);
	CHECK_EQ(respectful, test_cpus());
}

/* ---- all CPUs ---- */

static void write_all_pages(unsigned int i, void *arg)
{
	(void)arg;
	for (size_t page = 0; page < PAGES; page++) {
		/* Meet at some pages: who comes first differs. */
		if (page % 128 == 0)
			test_barrier();
		store(page, i, i + 1);
	}
}

TEST(all_cpus_write_the_same_pages)
{
	take_chunk();
	for (unsigned int round = 0; round < 4; round++) {
		arm(LOG);
		test_parallel(test_cpus(), write_all_pages, NULL);
		CHECK_EQ(count_copies(), PAGES);
		CHECK(!arch_copies_state().spoiled);
		for (size_t page = 0; page < PAGES; page++)
			for (size_t word = 0; word < test_cpus() + 1; word++)
				NEED(words_of(page)[word] ==
				     (word < test_cpus() ? word + 1 : pattern(page, word)));
		disarm();
	}
	give_chunk();
}

static _Atomic(unsigned int) writing;
static unsigned long from_memory, from_copies, torn;

/* Memory first, the copy then. */
static void read_snapshot(void)
{
	do {
		size_t page = test_below(PAGES), word = test_below(WORDS);
		uint64_t value = ((volatile uint64_t *)words_of(page))[word];
		const uint64_t *copy = arch_chunk_copy(s.chunk, words_of(page));

		from_copies += copy != NULL;
		from_memory += !copy;
		torn += (copy ? copy[word] : value) != pattern(page, word);
		if (!(from_memory & 15))
			arch_relax();
	} while (writing);
}

static void read_or_write(unsigned int i, void *arg)
{
	(void)arg;
	test_barrier();
	if (!i) {
		read_snapshot();
		return;
	}
	for (unsigned int n = 0; n < 2000; n++) {
		store(test_below(PAGES), test_below(WORDS), n);
		if (!(n & 15))
			arch_relax();
	}
	writing--;
}

TEST(a_reader_beside_writers_finds_the_snapshot)
{
	from_memory = from_copies = torn = 0;
	take_chunk();
	for (unsigned int round = 0; round < 6; round++) {
		arm(LOG);
		writing = test_cpus() - 1;
		test_parallel(test_cpus(), read_or_write, NULL);
		CHECK(!arch_copies_state().spoiled);
		disarm();
	}
	give_chunk();
	test_note("%lu words from memory, %lu from copies", from_memory, from_copies);
	CHECK_EQ(torn, 0);
	CHECK(from_memory > 0);
}

/* ---- handlers ---- */

static _Atomic(unsigned int) handled;

/* As often as there are pages to write to: then it goes on with those that are written. */
static void write_in_handler(void *arg)
{
	(void)arg;
	store(handled++ * 7 % PAGES, 1, 1);
}

TEST(handlers_write_too)
{
	take_chunk();
	for (unsigned int round = 0; round < 20; round++) {
		arm(LOG);
		handled = 0;
		NEED(test_interrupts_on(write_in_handler, NULL));
		for (size_t page = 0; page < PAGES; page++)
			store(page, 0, 1);
		while (handled < 20)
			arch_relax();
		test_interrupts_off();
		CHECK_EQ(count_copies(), PAGES);
		for (size_t n = 0; n < handled; n++)
			CHECK_EQ(words_of(n * 7 % PAGES)[1], 1);
		disarm();
	}
	give_chunk();
}

TEST(writes_with_interrupts_off)
{
	unsigned long state;

	take_chunk();
	arm(LOG);
	state = arch_irq_save();
	store(1, 0, 1);
	CHECK(!arch_irq_enabled());
	arch_irq_restore(state);
	store(2, 0, 1);
	CHECK(arch_irq_enabled());
	CHECK_EQ(count_copies(), 2);
	disarm();
	give_chunk();
}

/* Instructions that read, add and write, or write much, are as others. */
TEST(all_kinds_of_writes)
{
	_Atomic(uint64_t) *word;
	uint64_t wrong = 1;

	take_chunk();
	arm(LOG);
	word = (_Atomic(uint64_t) *)words_of(1);
	CHECK_EQ(atomic_fetch_add(word, 1), pattern(1, 0));
	CHECK_EQ(atomic_load(word), pattern(1, 0) + 1);
	word = (_Atomic(uint64_t) *)words_of(2);
	CHECK(!atomic_compare_exchange_strong(word, &wrong, 2));
	CHECK_EQ(wrong, pattern(2, 0));
	memset(words_of(3) + 1, 7, 3 * PAGE);
	CHECK_EQ(words_of(3)[0], pattern(3, 0));
	CHECK_EQ(words_of(6)[0], 0x0707070707070707);
	CHECK_EQ(words_of(6)[1], pattern(6, 1));
	memcpy(words_of(8), words_of(20), 2 * PAGE);
	CHECK_EQ(words_of(9)[WORDS - 1], pattern(21, WORDS - 1));
	for (size_t page = 3; page < 7; page++)
		CHECK(has_copy(page));
	CHECK(has_copy(1) && has_copy(8) && has_copy(9));
	CHECK(!has_copy(20));
	disarm();
	give_chunk();
}

/* ---- what it costs ---- */

static uint64_t count_store(size_t page)
{
	uint64_t start = test_instructions();

	store(page, 0, 1);
	return test_instructions() - start;
}

static uint64_t count_arm(void)
{
	unsigned long state = arch_irq_save();
	uint64_t start = test_instructions();

	arch_chunk_arm(s.chunk);
	start = test_instructions() - start;
	arch_chunk_flush();
	arch_irq_restore(state);
	return start;
}

TEST_WITH(costs, TEST_COUNTED)
{
	uint64_t none, chunk, page, again, armed;

	if (!test_instructions())
		test_skip("instructions are not counted");
	take_chunk();
	arch_copies_begin(s.log, LOG);
	arch_chunk_prepare(s.chunk, NULL);
	(void)count_store(0);
	none = count_store(0);
	armed = count_arm() - none;
	chunk = count_store(0) - none;
	page = count_store(1) - none;
	again = count_store(1) - none;
	test_note("arm %llu; first write in a chunk %llu, in a page %llu, another one %llu",
		  (unsigned long long)armed, (unsigned long long)chunk, (unsigned long long)page,
		  (unsigned long long)again);
	CHECK(armed <= 10);
	CHECK(chunk <= 700);
	CHECK(page <= 700);
	CHECK(again <= 2);
	disarm();
	give_chunk();
}
