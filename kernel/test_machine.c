// SPDX-License-Identifier: MIT
/* What boot found: memory that is really free, a timer that comes, text that is understood. */
#include "kernel.h"
#include "test.h"
#include "text.h"

static const struct arch_boot_info *info;

static bool overlaps(const struct mw_memrange *run, uint64_t lo, uint64_t hi)
{
	return run->start < hi && lo < run->start + run->len;
}

static void check_run(const struct mw_memrange *run)
{
	void *lo, *hi;

	CHECK_EQ(run->start % MW_PAGE_SIZE, 0);
	CHECK_EQ(run->len % MW_PAGE_SIZE, 0);
	CHECK(arch_is_mapped(arch_virt(run->start)));
	CHECK(arch_is_mapped(arch_virt(run->start + run->len - 1)));
	CHECK(!overlaps(run, arch_phys(arch_image_start), arch_phys(arch_image_end)));
	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		for (unsigned int which = 0; arch_cpu_stack(cpu, which, &lo, &hi); which++)
			CHECK(!overlaps(run, arch_phys(lo), arch_phys(hi)));
	for (size_t i = 0; i < info->nr_modules; i++)
		CHECK(!overlaps(run, info->modules[i].phys,
				info->modules[i].phys + info->modules[i].len));
}

TEST(free_memory_is_free)
{
	struct mw_memrange run = { 0 };
	uint64_t total = 0, last = 0;

	info = memory_info();
	while (mw_memmap_next(info->map, info->nr_map, MW_MEM_FREE, run.start + run.len, &run)) {
		CHECK(run.start >= last);
		check_run(&run);
		last = run.start + run.len;
		total += run.len;
	}
	CHECK_EQ(total, memory_total());
	CHECK(total >= 8 << 20);
}

static void write_ends(void *arg)
{
	volatile uint64_t *word = arg;
	uint64_t before = *word;

	*word = ~before;
	CHECK(*word == ~before);
	*word = before;
}

TEST(free_memory_is_memory)
{
	struct mw_memrange run = { 0 };

	info = memory_info();
	while (mw_memmap_next(info->map, info->nr_map, MW_MEM_FREE, run.start + run.len, &run)) {
		write_ends(arch_virt(run.start));
		write_ends(arch_virt(run.start + run.len - 8));
	}
}

static void count(void *arg)
{
	++*(volatile unsigned long *)arg;
	CHECK(arch_in_interrupt());
	CHECK(!arch_irq_enabled());
}

static void take_interrupts(unsigned int i, void *arg)
{
	volatile unsigned long counted = 0;

	(void)i, (void)arg;
	NEED(test_interrupts_on(count, (void *)&counted));
	while (counted < 50)
		arch_relax();
	CHECK(test_interrupts_off() == counted);
}

TEST(timers_come)
{
	test_parallel(test_cpus(), take_interrupts, NULL);
}

TEST(preemption_comes)
{
	uint64_t came = 0;

	if (options.seeded)
		test_skip("the whole run is preempted");
	for (int tries = 0; tries < 100 && !came; tries++) {
		arch_preempt_start(7, 20000);
		arch_delay(3000000);
		came = arch_preempt_stop();
	}
	CHECK(came);
}

TEST(numbers)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t number;
	} cases[] = {
		{ "0", true, 0 },
		{ "4096", true, 4096 },
		{ "0x1Fe", true, 0x1fe },
		{ "3K", true, 3072 },
		{ "512M", true, 512ul << 20 },
		{ "2g", true, 2ul << 30 },
		{ "1T", true, 1ul << 40 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "16777216T", false, 0 },
		{ "", false, 0 },
		{ "x", false, 0 },
		{ "0x", false, 0 },
		{ "12a", false, 0 },
		{ "1MB", false, 0 },
		{ "-1", false, 0 },
	};

	for (size_t i = 0; i < LEN(cases); i++) {
		uint64_t number = 0;

		CHECK_EQ(text_number(cases[i].text, &number), cases[i].good);
		CHECK_EQ(number, cases[i].number);
	}
}

TEST(words)
{
	char text[] = "  test=a.b run=\"alloc 100;mem\" 'one word'  last ";
	char three[] = "a b c d";
	char *words[8];

	CHECK_EQ(text_split(text, words, LEN(words)), 4);
	CHECK(text_equal(words[0], "test=a.b"));
	CHECK(text_equal(words[1], "run=alloc 100;mem"));
	CHECK(text_equal(words[2], "one word"));
	CHECK(text_equal(words[3], "last"));
	CHECK_EQ(text_split(three, words, 3), 3);
	CHECK(text_equal(words[2], "c d"));
	three[0] = '\0';
	CHECK_EQ(text_split(three, words, 3), 0);
}
